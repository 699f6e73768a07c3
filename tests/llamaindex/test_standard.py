"""The standard tests, on every wire, and on one with a route before it that is down.

What an answer is after a failover, for every wire, is tested in `tests/providers/test_classify_routes.py`, and with
agents that change the vendor after each step in `test_vendors.py`.
"""

import gc
import subprocess
import sys

import pytest

from llamaindex_multiroute import MultiRoute
from llamaindex_multiroute.testing import LLMTests
from llamaindex_multiroute.testing.suite import run
from multiroute_core import Router
from tests.llamaindex.conftest import import_openai
from tests.vendors.server import WIRES, VendorServer

pytestmark = pytest.mark.standard

SECRET = "sk-very-secret"


@pytest.fixture(scope="module")
def vendors():
    with VendorServer() as server:
        yield server


@pytest.fixture(scope="module", params=[*(f"{wire}-plain" for wire in WIRES), "chat-failover"])
def router(vendors, request):
    wire, _, way = request.param.partition("-")
    routes = [route.with_key(SECRET) for route in vendors.routes(wire, dead_first=way == "failover")]
    with Router(routes) as router:
        yield router
    vendors.dead.clear()


def test_users_of_the_llm_need_no_pytest():
    code = "import llamaindex_multiroute, sys; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestMultiRoute(LLMTests):
    secrets = (SECRET,)

    @pytest.fixture
    def llm(self, router):
        return MultiRoute(router=router)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
class TestOpenAI(LLMTests):
    """LlamaIndex's own integration keeps the same contract: the tests are the framework's, not ours.

    It leaves its connections open.
    """

    has_streamed_usage = False  # it does not ask for it
    crosses_loops = False  # its async client belongs to the loop of its first call
    takes_direct_returns = False  # it sends the call's id with the assistant's words, where the API knows none
    keeps_history = False  # it appends the user's turn to the caller's list

    @pytest.fixture
    def llm(self, vendors):
        llm = import_openai()(model="gpt-4o", api_key="k", api_base=f"{vendors.url}/v1", max_retries=0)
        yield llm
        if llm._aclient is not None:
            run(llm._aclient.close())
        del llm
        gc.collect()  # now, while the warnings are meant for this class
