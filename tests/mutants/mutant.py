"""What a mutant is, and the tests that most of them must not pass."""

from typing import NamedTuple

SIMULATION = "tests/simulation/test_simulation.py -k every_law"
FACES = "tests/simulation/test_faces.py"
RACE = "tests/simulation/test_race.py"
PLAN = "tests/engine/test_retry_plan.py"
ORDER = "tests/routing/test_strategies.py"
STATE = "tests/state/test_memory.py"
BREAKER = "tests/resilience/test_circuit_breaker.py"
KEY = "tests/cache/test_key.py"
CACHE = "tests/engine/test_caching.py"
WORLDS = "tests/simulation/test_recall.py"


class Mutant(NamedTuple):
    """One way to break the router."""

    name: str
    file: str
    old: str
    new: str
    tests: str = SIMULATION
