"""Cache, state, budget, limit and ledger on a real server. Argument: its address."""

import sys

from multiroute_core import Budget, Limit, Router
from multiroute_core.testing import Answer, rate_limited, scripted_route

url = sys.argv[1]
routes = [scripted_route("first", rate_limited(retry_after=5)), scripted_route("second", Answer("I am here."))]
limit = Limit(rpm=60, scope="tenant")
budget = Budget(tokens=10_000, per="day", hard=True)
with Router(routes, cache=url, state=url, ledger=url, limit=limit, budget=budget) as router:
    response = router.generate("Is anybody there?", tenant="acme")
    assert (response.text, response.route) == ("I am here.", "second")
    assert router.generate("Is anybody there?", tenant="acme").cached
    assert "first" in str(router.health())
    assert len(router.ledger.to_dicts()) == 3
with Router([scripted_route("third", Answer("Not asked."))], cache=url) as other:
    assert other.generate("Another question").text == "Not asked."
