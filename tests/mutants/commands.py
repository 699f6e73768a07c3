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
    Mutant(
        "a key that ends with a line break is sent",
        "multiroute_core/route.py",
        "    if api_key != api_key.strip():\n",
        "    if False:\n",
        "tests/cli/test_check_more.py -k bad_key",
    ),
    Mutant(
        "tail goes on with a file that was moved away",
        "multiroute_core/report/source.py",
        "        if (identity := self._identify()) == self._identity:\n",
        "        if (identity := self._identity) == self._identity:\n",
        "tests/cli/test_tail.py -k replaced",
    ),
    Mutant(
        "a price of LiteLLM's file that YAML reads as a text is lost",
        "multiroute_core/migration/litellm_models.py",
        "parse_number(value.strip()) if isinstance(value, str) else value",
        "value",
        "tests/cli/test_import.py -k numbers_may_be",
    ),
    Mutant(
        "an error of a file of another kind has thousands of lines",
        "multiroute_core/configuration/problems.py",
        "self.sort()[:MAX_SHOWN]",
        "self.sort()",
        "tests/configuration/test_loading.py -k short_error",
    ),
    Mutant(
        "a default differs from the page",
        "multiroute_core/limits/limit.py",
        'scope: LimitScope = "tenant",',
        'scope: LimitScope = "label",',
        "tests/test_documented_defaults.py",
    ),
)
