"""The mutants of configuration files, of reloading, and of Prometheus metrics."""

from tests.mutants.mutant import Mutant

FILES = "tests/configuration/test_loading.py"
RELOADING = "tests/configuration/test_reloading.py"
METRICS = "tests/telemetry/test_prometheus.py"

CONFIGURED = (
    Mutant(
        "only the first wrong key of a table is named",
        "multiroute_core/configuration/building.py",
        "            del rest[culprit]\n",
        "            return FAILED\n",
        f"{FILES} -k planted",
    ),
    Mutant(
        "an error shows a value from the environment",
        "multiroute_core/configuration/building.py",
        "    if not isinstance(data, Substituted):\n        return text\n",
        "    return str(error)\n",
        f"{FILES} -k environment",
    ),
    Mutant(
        "a reload forgets the circuit breakers",
        "multiroute_core/engine/renewal.py",
        "previous.state if is_same_state else None",
        "None",
        RELOADING,
    ),
    Mutant(
        "a call is prepared by one version of the file and sent by another",
        "multiroute_core/engine/calls.py",
        "        answer = parts.answer(io, call)\n",
        "        answer = self._parts.answer(io, call)\n",
        f"{RELOADING} -k version_of_the_file",
    ),
    Mutant(
        "a corrected key waits for the breaker of the wrong one",
        "multiroute_core/state/memory.py",
        "if route.name in changed:",
        "if False:",
        f"{RELOADING} -k corrected",
    ),
    Mutant(
        "the metrics of a killed worker are lost",
        "multiroute_core/telemetry/exposition.py",
        "if name in _COMBINE and (not one.is_alive or math.isnan(one.value)):",
        "if not one.is_alive or math.isnan(one.value):",
        f"{METRICS} -k combine",
    ),
    Mutant(
        "a change between the start and the reloader is never seen",
        "multiroute_core/configuration/reloading.py",
        'self._digest: bytes | None = b""',
        "self._digest: bytes | None = self._read_digest()",
        f"{RELOADING} -k begins",
    ),
)
