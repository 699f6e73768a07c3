"""The mutants of the rules, of the state that keeps them, and of the order."""

from tests.mutants.mutant import BREAKER, ORDER, STATE, Mutant

BREAKERS = "multiroute_core/resilience/circuit_breaker.py"
MEMORY = "multiroute_core/state/memory.py"

RULES = (
    Mutant(
        "generations are ignored",
        BREAKERS,
        "    if permit.generation != breaker.generation:\n        return breaker\n",
        "",
        BREAKER,
    ),
    Mutant(
        "two probes at once",
        BREAKERS,
        "if breaker.probe_until is not None and now < breaker.probe_until:",
        "if False:",
    ),
    Mutant(
        "a probe's lease never ends",
        BREAKERS,
        "if breaker.probe_until is not None and now < breaker.probe_until:",
        "if breaker.probe_until is not None:",
        BREAKER,
    ),
    Mutant(
        "a probe without a verdict keeps the route shut",
        BREAKERS,
        "return replace(breaker, probe_until=None) if permit.probe else breaker",
        "return breaker",
        BREAKER,
    ),
    Mutant(
        "a route is asked before its break is over",
        BREAKERS,
        "if now < breaker.opened_until and not early:",
        "if now < breaker.opened_until - 2.0 and not early:",
    ),
    Mutant(
        "a failed probe closes the breaker",
        BREAKERS,
        "        if verdict is Verdict.SUCCESS:\n            return Breaker(",
        "        if True:\n            return Breaker(",
        BREAKER,
    ),
    Mutant("breaks do not grow", BREAKERS, "settings.seconds * 2.0**breaks", "settings.seconds", BREAKER),
    Mutant(
        "breaks have no jitter",
        BREAKERS,
        "    seconds *= 0.75 + random / 2  # equal on average\n",
        "",
        BREAKER,
    ),
    Mutant(
        "a success does not end a run of failures",
        BREAKERS,
        "run = breaker.run + 1 if failed else 0",
        "run = breaker.run + failed",
        BREAKER,
    ),
    Mutant(
        "a place in flight is not given back",
        MEMORY,
        "            route_state.slots.pop(permit.slot, None)\n",
        "            pass\n",
    ),
    Mutant(
        "routes of one quota have limits of their own",
        MEMORY,
        "self._quotas.setdefault(route.rate_limit_group, _Quota())",
        "_Quota()",
    ),
    Mutant("a spent quota is spent for one route", MEMORY, "if outcome.shared:", "if False:", STATE),
    Mutant(
        "a spent quota takes a probe's lease away",
        MEMORY,
        "if other is not route_state and breakers.shut(other.breaker, now) is None:",
        "if other is not route_state:",
        STATE,
    ),
    Mutant(
        "hedges do not count as retries",
        MEMORY,
        "            if enough:\n                self._retries = retries\n",
        "            if enough and not hedge:\n                self._retries = retries\n",
        STATE,
    ),
    Mutant(
        "who is refused pays all the same",
        "multiroute_core/resilience/token_bucket.py",
        "(tat, wait) if wait > GRACE",
        "(due, wait) if wait > GRACE",
        "tests/resilience/test_token_bucket.py",
    ),
    Mutant(
        "too many calls in flight",
        "multiroute_core/resilience/adaptive_concurrency.py",
        "if most is not None and in_flight >= most:",
        "if most is not None and in_flight > most:",
    ),
    Mutant(
        "each refusal of one episode cuts the limit",
        "multiroute_core/resilience/adaptive_concurrency.py",
        "    if now < state.calm_at:\n        return replace(state, calm_at=max",
        "    if False:\n        return replace(state, calm_at=max",
        "tests/resilience/test_adaptive_concurrency.py",
    ),
    Mutant(
        "a quantile of few answers counts",
        "multiroute_core/resilience/latency.py",
        "if len(samples) < max(1, fewest):",
        "if len(samples) < 1:",
        "tests/resilience/test_latency.py",
    ),
    Mutant(
        "backoff without jitter",
        "multiroute_core/resilience/backoff.py",
        "return random * min(",
        "return min(",
        "tests/resilience/test_backoff.py",
    ),
    Mutant(
        "backoff without a cap",
        "multiroute_core/resilience/backoff.py",
        "min(CAP_SECONDS, BASE_SECONDS * 2.0 ** (round_ - 1))",
        "BASE_SECONDS * 2.0 ** (round_ - 1)",
        "tests/resilience/test_backoff.py",
    ),
    Mutant(
        "weights are ignored",
        "multiroute_core/routing/strategies.py",
        "max(case.live.random(), 1e-300)) / r.weight for",
        "max(case.live.random(), 1e-300)) for",
        ORDER,
    ),
    Mutant(
        "the dearest comes first",
        "multiroute_core/routing/strategies.py",
        "math.inf if (cost := costs[r.name]) is None else cost, explain),)",
        "math.inf if (cost := costs[r.name]) is None else -cost, explain),)",
        ORDER,
    ),
    Mutant(
        "full routes come first",
        "multiroute_core/routing/strategies.py",
        "limit is not None and busy + 1 > limit",
        "limit is None or busy + 1 <= limit",
        ORDER,
    ),
)
