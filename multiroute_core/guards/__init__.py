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
    from multiroute_core.guards.finder import Finder
    from multiroute_core.guards.guard import (
        AnswerPart,
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
    from multiroute_core.guards.llm_guard import scan_with_llm_guard
    from multiroute_core.guards.masking import Masks, StreamRestorer
    from multiroute_core.guards.moderation import Categories, Classifier, OpenAIModeration, moderate
    from multiroute_core.guards.output import ban_text, block_prompt_leaks, block_secrets, require_schema
    from multiroute_core.guards.personal_data import Kind, Span, find_personal_data
    from multiroute_core.guards.presidio import PresidioFinder
    from multiroute_core.guards.privacy import mask_personal_data, restrict_personal_data
    from multiroute_core.guards.suspicion import detect_injection
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "acceptance": "Acceptance AnswerCheck AnswerFunction JudgeRouter judge matches_schema",
            "finder": "Finder",
            "guard": (
                "AnswerPart Block Check Flag Guard GuardedText Masking Origin Pass Restrict Rewrite StreamRestoring "
                "Verdict"
            ),
            "hidden": "remove_hidden_text strip_hidden_text",
            "llm_guard": "scan_with_llm_guard",
            "masking": "Masks StreamRestorer",
            "moderation": "Categories Classifier OpenAIModeration moderate",
            "output": "ban_text block_prompt_leaks block_secrets require_schema",
            "personal_data": "Kind Span find_personal_data",
            "presidio": "PresidioFinder",
            "privacy": "mask_personal_data restrict_personal_data",
            "suspicion": "detect_injection",
        },
    )

__all__ = [
    "Acceptance",
    "AnswerCheck",
    "AnswerFunction",
    "AnswerPart",
    "Block",
    "Categories",
    "Check",
    "Classifier",
    "Finder",
    "Flag",
    "Guard",
    "GuardedText",
    "JudgeRouter",
    "Kind",
    "Masking",
    "Masks",
    "OpenAIModeration",
    "Origin",
    "Pass",
    "PresidioFinder",
    "Restrict",
    "Rewrite",
    "Span",
    "StreamRestorer",
    "StreamRestoring",
    "Verdict",
    "ban_text",
    "block_prompt_leaks",
    "block_secrets",
    "detect_injection",
    "find_personal_data",
    "judge",
    "mask_personal_data",
    "matches_schema",
    "moderate",
    "remove_hidden_text",
    "require_schema",
    "restrict_personal_data",
    "scan_with_llm_guard",
    "strip_hidden_text",
]
