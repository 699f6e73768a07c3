"""Prompt-injection classifier: hashed n-grams and concepts, calibrated, with published error rates.

`folding` normalizes a text, `lexicon` says what words are about, `features` cuts windows and hashes their features,
`weights` reads the file that `python -m benchmarks.injection --train` writes, `classifier` scores.
"""

from typing import TYPE_CHECKING

from multiroute_core._util.lazy import attach

if TYPE_CHECKING:
    from multiroute_core.guards.injection.classifier import (
        THRESHOLDS,
        InjectionFinding,
        InjectionOrigin,
        InjectionThresholds,
        find_injection,
        score_injection,
    )
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "classifier": "THRESHOLDS InjectionFinding InjectionOrigin InjectionThresholds find_injection "
            "score_injection"
        },
    )

__all__ = [
    "THRESHOLDS",
    "InjectionFinding",
    "InjectionOrigin",
    "InjectionThresholds",
    "find_injection",
    "score_injection",
]
