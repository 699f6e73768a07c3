"""Google's client and an exporter over it; nothing is sent, since no BigQuery is here."""

from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client

from multiroute_core import Ledger, Router
from multiroute_core.telemetry import BigQuery
from multiroute_core.testing import Answer, rate_limited, scripted_route

sink = BigQuery("project.llm.calls", client=Client("project", credentials=AnonymousCredentials()))
routes = [scripted_route("first", rate_limited(retry_after=5)), scripted_route("second", Answer("I am here."))]
with Router(routes, ledger=Ledger("memory")) as router:
    assert router.generate("Is anybody there?").route == "second"
    assert len(router.ledger.to_dicts()) == 2
assert sink.pending == 0
