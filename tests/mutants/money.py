"""The mutants of money: of budgets, and of what is held, spent, told and looked up."""

from tests.mutants.mutant import Mutant

RULE = "multiroute_core/resilience/spend_account.py"
ACCOUNTS = "multiroute_core/budgets/accounts.py"
PURSE = "multiroute_core/budgets/reservation.py"
SPENDING = "multiroute_core/budgets/tracker.py"
BUDGET = "multiroute_core/budgets/budget.py"
FLOW = "multiroute_core/engine/execution.py"
RANKING = "multiroute_core/engine/ranking.py"

TESTS = "tests/budgets/test_tracker.py"
FREED = "tests/budgets/test_budget_fleet.py -k not_called"
SPEND = "tests/resilience/test_spend_account.py"

MONEY = (
    Mutant(
        "two budgets share an account",
        PURSE,
        'name = budget.name.replace("%", "%25").replace(":", "%3A")',
        "name = budget.name",
        "tests/budgets/test_names.py",
    ),
    Mutant(
        "what is held does not count", RULE, "account.spent + account.held + amount > cap", "account.spent > cap", SPEND
    ),
    Mutant("a period never ends", RULE, "        if other <= now:\n", "        if False:\n", TESTS),
    Mutant("what was spent is forgotten", RULE, "account.spent + amount, max", "account.spent, max", TESTS),
    Mutant("what was held stays held", RULE, "max(0, account.held - hold)", "account.held", SPEND),
    Mutant("what is known elsewhere does not count", RULE, "prior[1] > amount", "False", SPEND),
    Mutant(
        "some claims are held though one is refused",
        ACCOUNTS,
        "        if None in after:\n",
        "        if None is after[0]:\n",
        TESTS,
    ),
    Mutant(
        "what is not sent is paid for",
        PURSE,
        "            if attempt is None:\n                _free(reservations, slot)",
        "            if attempt is None:\n                pass",
        FREED,
    ),
    Mutant("soft budgets refuse", PURSE, "budget.cap if budget.hard else None", "budget.cap", TESTS),
    Mutant("hard budgets do not refuse", PURSE, "budget.cap if budget.hard else None", "None", TESTS),
    Mutant(
        "who spends does not matter",
        PURSE,
        "if budget.scope_values is None or name in budget.scope_values",
        "if True",
        TESTS,
    ),
    Mutant(
        "one label of several counts",
        PURSE,
        'sorted(options.labels or ("",))',
        'sorted(options.labels or ("",))[:1]',
        TESTS,
    ),
    Mutant(
        "what broke off costs nothing",
        PURSE,
        "cost = attempt.charged",
        "cost = attempt.cost",
        TESTS,
    ),
    Mutant("the dear one goes on to come first", RANKING, 'replace(options, strategy="cheapest")', "options", TESTS),
    Mutant(
        "a shut route keeps what was held for it",
        "multiroute_core/engine/admission.py",
        "if settle_budget is not None and isinstance(admission, Rejection):",
        "if False:",
        FREED,
    ),
    Mutant("alerts are told again and again", SPENDING, "balance.before < share", "0 < share", TESTS),
    Mutant(
        "what was spent before is not looked up",
        SPENDING,
        'round(total.usd * NANO) if budget.unit == "usd"',
        '0 if budget.unit == "usd"',
        TESTS,
    ),
    Mutant(
        "an unknown price is no matter",
        SPENDING,
        'if budget.unit != "usd" or not counts or',
        "if True or",
        TESTS,
    ),
    Mutant(
        "days are days of UTC",
        BUDGET,
        "datetime.fromtimestamp(at, self.zone)",
        "datetime.fromtimestamp(at, UTC)",
        TESTS,
    ),
    Mutant(
        "an interrupted settlement is booked twice",
        ACCOUNTS,
        "range(settlement.booked, len(settlement.claims))",
        "range(len(settlement.claims))",
        "tests/budgets/test_interrupted_settlements.py",
    ),
    Mutant(
        "an interrupted settlement is lost",
        ACCOUNTS,
        "self._settled[0]\n"
        "            for number in range(settlement.booked, len(settlement.claims)):\n"
        "                self._book(settlement, number, now)\n"
        "            notices.append((settlement.on_settle, settlement.balances))\n"
        "            self._settled.popleft()\n",
        "self._settled.popleft()\n"
        "            for number in range(settlement.booked, len(settlement.claims)):\n"
        "                self._book(settlement, number, now)\n"
        "            notices.append((settlement.on_settle, settlement.balances))\n",
        "tests/budgets/test_interrupted_settlements.py",
    ),
    Mutant(
        "a placeholder is a count",
        "multiroute_core/parsing/token_count.py",
        "        if characters > limit:\n            return True\n",
        "        if characters > limit:\n            return False\n",
        "tests/budgets/test_charged_forms.py -k placeholder",
    ),
    Mutant(
        "a cost before the cut is that of the whole",
        "multiroute_core/pricing/charges.py",
        "if cut and usage is not None and usage.stated_cost",
        "if False and usage is not None and usage.stated_cost",
        "tests/budgets/test_charged_forms.py -k cut",
    ),
    Mutant(
        "increments are totals",
        "multiroute_core/providers/openai/usage.py",
        "if self._repeats and output * CHARACTERS_PER_TOKEN",
        "if False and output * CHARACTERS_PER_TOKEN",
        "tests/providers/openai/test_usage.py -k increments",
    ),
    Mutant(
        "what was read is written again",
        "multiroute_core/providers/openai/usage.py",
        "write = input_tokens - read_inside",
        "pass",
        "tests/providers/openai/test_usage.py -k begins",
    ),
    Mutant(
        "inference in the USA costs the same",
        "multiroute_core/pricing/tariff.py",
        "US_INFERENCE if is_in_usa else 1",
        "1",
        "tests/pricing/test_extras.py -k by_hand",
    ),
)
