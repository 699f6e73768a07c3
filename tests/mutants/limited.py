"""The mutants of limits: of what a tenant may call, and of what frees its places."""

from tests.mutants.mutant import Mutant

RULE = "multiroute_core/resilience/call_limits.py"
ACCOUNTS = "multiroute_core/limits/accounts.py"
LIMITER = "multiroute_core/limits/limiter.py"
STAGE = "multiroute_core/engine/limiting.py"

TESTS = "tests/engine/test_limiting.py"
FLEET = "tests/limits/test_accounts.py"

LIMITED = (
    Mutant(
        "a tenant has one call too many at once",
        RULE,
        "in_flight + token_bucket.required(1.0, most, reserve) > most",
        "in_flight > most",
        TESTS,
    ),
    Mutant(
        "a refused label costs the other labels",
        ACCOUNTS,
        "            if not refusals:\n                self._take(accounts, states, slot, now)\n",
        "            self._take(accounts, states, slot, now)\n",
        FLEET,
    ),
    Mutant(
        "an interrupted call keeps its place",
        LIMITER,
        "if self._watched.get(reference.name) is reference:",
        "if False:",
        f"{TESTS} -k interrupt",
    ),
    Mutant(
        "what is not used stays reserved",
        STAGE,
        "permit.settle(None if meter is None else meter.total)",
        "permit.settle(None)",
        TESTS,
    ),
    Mutant(
        "waiting for a limit counts toward the deadline",
        STAGE,
        "context.waited += io.now() - start",
        "pass",
        f"{TESTS} -k deadline",
    ),
    Mutant(
        "a child ends the calls of its parent",
        LIMITER,
        "if self.generation == forks.generation():",
        "if True:",
        f"{FLEET} -k fork",
    ),
    Mutant(
        "a flood reaches Redis",
        "multiroute_core/limits/redis.py",
        "if (refused := self._recall(claims, now, reserve)) is not None:",
        "if False and (refused := self._recall(claims, now, reserve)) is not None:",
        f"{FLEET} -k flood",
    ),
)
