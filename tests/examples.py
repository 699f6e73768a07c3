"""Number of Hypothesis examples: all of them in the whole suite, a part of them in the fast tier."""

import os

SHARE = float(os.environ.get("MULTIROUTE_TEST_EXAMPLES", "1"))
"""The part of the examples that is tried, above 0 to 1; `scripts/test --fast` sets it."""


def examples(count: int) -> int:
    """Return how many examples a test tries that wants `count` in the whole suite."""
    return max(5, round(count * SHARE))
