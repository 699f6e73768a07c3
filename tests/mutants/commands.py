"""The mutants of the command line."""

from tests.mutants.mutant import Mutant

CHECK = "tests/cli/test_check.py"

COMMANDS = (
    Mutant(
        "check prints a key that a server quotes",
        "multiroute_core/cli/checks/route_check.py",
        "                message = without_secret(message, key)\n",
        "                pass\n",
        f"{CHECK} -k quotes",
    ),
    Mutant(
        "check leaves out a route that has a problem in the file",
        "multiroute_core/configuration/inspection.py",
        '            route = Route(**chosen) if "route" in chosen else None\n',
        '            route = Route(**chosen) if "route" in chosen and not rejected else None\n',
        f"{CHECK} -k wrong_in_the_file",
    ),
    Mutant(
        "check calls a model good whose last day has passed",
        "multiroute_core/cli/checks/route_check.py",
        "last_day <= today and",
        "last_day < today and",
        f"{CHECK} -k retirement",
    ),
    Mutant(
        "tail reports no answer that comes late",
        "multiroute_core/report/following.py",
        "            if record.request_id not in self.answered:\n",
        "            if record.request_id not in self.answered and record.request_id not in self.failed:\n",
        "tests/cli/test_tail.py",
    ),
    Mutant(
        "a key of LiteLLM's file is written",
        "multiroute_core/migration/litellm_models.py",
        "    if secret:\n",
        "    if False:\n",
        "tests/cli/test_import.py -k secret",
    ),
    Mutant(
        "an outage of a drill never ends",
        "multiroute_core/cli/drills.py",
        "FaultPeriod(seconds / 3, 2 * seconds / 3, behaviour)",
        "FaultPeriod(seconds / 3, 2 * seconds, behaviour)",
        "tests/cli/test_drill.py -k next_vendor",
    ),
)
