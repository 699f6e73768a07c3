"""Guards: check what goes to the models and what comes back, and rewrite, flag, block or restrict it.

`guard` holds the interface: a `Guard`, the `GuardedText` that it checks, and its verdicts. The other modules are guards
that are ready to use.

Example:
    >>> router = Router(routes, guards=[strip_hidden_text(), block_prompt_leaks()])  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

from multiroute_core._util.lazy import attach

if TYPE_CHECKING:
    from multiroute_core.guards.acceptance import (
        Acceptance,
        AnswerCheck,
        AnswerFunction,
        JudgeRouter,
        judge,
        matches_schema,
    )
    from multiroute_core.guards.guard import (
        Block,
        Check,
        Flag,
        Guard,
        GuardedText,
        Masking,
        Origin,
        Pass,
        Restrict,
        Rewrite,
        StreamRestoring,
        Verdict,
    )
    from multiroute_core.guards.hidden import remove_hidden_text, strip_hidden_text
    from multiroute_core.guards.masking import Masks, StreamRestorer
    from multiroute_core.guards.output import ban_text, block_prompt_leaks
    from multiroute_core.guards.personal_data import Kind, Span, find_personal_data
    from multiroute_core.guards.privacy import mask_personal_data, restrict_personal_data
    from multiroute_core.guards.suspicion import detect_injection
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "acceptance": "Acceptance AnswerCheck AnswerFunction JudgeRouter judge matches_schema",
            "guard": (
                "Block Check Flag Guard GuardedText Masking Origin Pass Restrict Rewrite StreamRestoring Verdict"
            ),
            "hidden": "remove_hidden_text strip_hidden_text",
            "masking": "Masks StreamRestorer",
            "output": "ban_text block_prompt_leaks",
            "personal_data": "Kind Span find_personal_data",
            "privacy": "mask_personal_data restrict_personal_data",
            "suspicion": "detect_injection",
        },
    )

__all__ = [
    "Acceptance",
    "AnswerCheck",
    "AnswerFunction",
    "Block",
    "Check",
    "Flag",
    "Guard",
    "GuardedText",
    "JudgeRouter",
    "Kind",
    "Masking",
    "Masks",
    "Origin",
    "Pass",
    "Restrict",
    "Rewrite",
    "Span",
    "StreamRestorer",
    "StreamRestoring",
    "Verdict",
    "ban_text",
    "block_prompt_leaks",
    "detect_injection",
    "find_personal_data",
    "judge",
    "mask_personal_data",
    "matches_schema",
    "remove_hidden_text",
    "restrict_personal_data",
    "strip_hidden_text",
]
