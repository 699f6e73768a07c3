"""Candidate selection, ranking strategies and load balancing. Pure: route health and randomness are arguments.

`candidates` selects the routes that may answer, `strategies` ranks them; `affinity` holds the criteria that outrank any
strategy, `expected_usage` the usage that a request is expected to have. `explain` describes the result. The strategies:

* `"priority"`: in the given order.
* `"weighted"`: at random; each route is first for its share of the weights.
* `"least_busy"`: the fewest calls in flight relative to the route's size, which is its concurrency limit if all limits
  are known, otherwise its weight; full routes come after the others.
* `"fastest"`: of two routes drawn at random, the one with the lower recent latency, then the others by latency. One
  request in twenty goes first to a route that has not been measured, or else to any route, so that no route is ranked
  forever by an old measurement or by none.
* `"cheapest"`: by the expected cost of this request: its estimated tokens, prompt cache reads at their price, long
  inputs at theirs, and an answer of typical length. Unknown prices come last.
* A custom function, `(request, routes, standings) -> routes`: any of the candidates, in any order. If it fails, its
  error is logged and the routes keep the given order.

With every strategy, routes suited to the task come before the others, then those of the provider with an open tool
call, and backups last. Sorting is stable: a criterion without a preference keeps the order.

Prompt cache affinity: a route is warm if its model gave the latest answer in the history, as far as that is known, and
the prompt it read then is long enough to be cached (1,024 tokens). With `"cheapest"` a warm route gets the cache price
for that part and no other preference. A healthy warm route goes first with `"weighted"`; with `"least_busy"` it counts
one call less and wins a tie; with `"fastest"` it goes first if its latency is at most a quarter above that of the route
chosen otherwise. `"priority"` and custom functions are explicit and not changed.

With `"weighted"`, `"least_busy"` and `"fastest"`, routes that cannot be used now come after those that can. With the
other strategies they keep their place and are skipped at their turn.
"""

from typing import TYPE_CHECKING

from multiroute_core._util.lazy import attach

if TYPE_CHECKING:
    from multiroute_core.routing.estimate import Estimate, RouteEstimate
    from multiroute_core.routing.explain import ExplainedRoute, Explanation
    from multiroute_core.routing.health import Health
    from multiroute_core.routing.route_health import RouteHealth
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "estimate": "Estimate RouteEstimate",
            "explain": "ExplainedRoute Explanation",
            "health": "Health",
            "route_health": "RouteHealth",
        },
    )

__all__ = [
    "Estimate",
    "ExplainedRoute",
    "Explanation",
    "Health",
    "RouteEstimate",
    "RouteHealth",
]
