"""Guards: check what goes to the models and what comes back, and rewrite, flag, block or restrict it.

`guard` holds the interface: a `Guard`, the `GuardedText` that it checks, and its verdicts. The other modules are guards
that are ready to use.

Example:
    >>> router = Router(routes, guards=[hidden_text(), leaked_system_prompt()])  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

from multiroute_core._util.lazy import attach

if TYPE_CHECKING:
    from multiroute_core.guards.acceptance import Acceptance, AnswerCheck, AnswerFunction, judge, matches_schema
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
    from multiroute_core.guards.hidden import hidden_text, remove_hidden_text
    from multiroute_core.guards.output import banned_text, leaked_system_prompt
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "acceptance": "Acceptance AnswerCheck AnswerFunction judge matches_schema",
            "guard": (
                "Block Check Flag Guard GuardedText Masking Origin Pass Restrict Rewrite StreamRestoring Verdict"
            ),
            "hidden": "hidden_text remove_hidden_text",
            "output": "banned_text leaked_system_prompt",
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
    "Masking",
    "Origin",
    "Pass",
    "Restrict",
    "Rewrite",
    "StreamRestoring",
    "Verdict",
    "banned_text",
    "hidden_text",
    "judge",
    "leaked_system_prompt",
    "matches_schema",
    "remove_hidden_text",
]
