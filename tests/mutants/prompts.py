"""The mutants of prompt caching."""

from tests.mutants.mutant import Mutant

BREAKPOINTS = "multiroute_core/providers/anthropic/breakpoints.py"
KEYS = "multiroute_core/providers/openai/prompt_cache.py"
MARKS = "tests/providers/anthropic/test_breakpoints.py"

PROMPTS = (
    Mutant(
        "a turn of many blocks is out of the window",
        BREAKPOINTS,
        "_last_markable(blocks, ends[earlier[-1] + 1], head) if earlier else None,",
        "None,",
        MARKS,
    ),
    Mutant(
        "a longer expiry follows a shorter one",
        BREAKPOINTS,
        'return "5m" if after_short else wanted',
        "return wanted",
        MARKS,
    ),
    Mutant("a fifth mark is set", BREAKPOINTS, "if taken >= MARKS or", "if", MARKS),
    Mutant(
        "tenants share a key",
        KEYS,
        'b"" if tenant is None else b"tenant\\0" + tenant.encode("utf-8", "replace")',
        'b""',
        "tests/providers/openai/test_prompt_cache.py",
    ),
    Mutant(
        "cache writes cost nothing extra",
        "multiroute_core/pricing/savings.py",
        "        cache_write_tokens=None,\n",
        "",
        "tests/pricing/test_savings.py",
    ),
    Mutant(
        "a credit goes to another account",
        "multiroute_core/providers/anthropic/credit.py",
        "credit.account != account or ",
        "",
        "tests/engine/test_prompt_cache.py",
    ),
)
