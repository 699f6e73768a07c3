"""LangChain's rules for personal data as guards of a router."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from multiroute_core.display.text import describe_value
from multiroute_core.errors import ConfigurationError
from multiroute_core.guards import Block, Guard, GuardedText, Origin, Rewrite, Verdict

WINDOW = 128
"""Characters of a stream that are held back; LangChain's own middleware holds back as many (langchain 1.5.2)."""


def pii_guard(middleware: Any) -> Guard:
    """Return a guard with the rule of a `PIIMiddleware` of LangChain.

    The middleware works in agents only; the guard works in every call of the router, before the cache and the vendors
    see the text, and whatever route answers. What it redacts, masks or hashes stays so; to see the values again in the
    answer, use `mask_personal_data`.

    Args:
        middleware: A `langchain.agents.middleware.PIIMiddleware`; it is not changed.

    Raises:
        ConfigurationError: It is not a `PIIMiddleware`.

    Example:
        >>> from langchain.agents.middleware import PIIMiddleware
        >>> pii_guard(PIIMiddleware("email", strategy="redact")).name
        'pii_email'
    """
    detector = getattr(middleware, "detector", None)
    strategy = getattr(middleware, "strategy", None)
    if not callable(detector) or not isinstance(strategy, str):
        raise ConfigurationError(
            f"{describe_value(middleware)} is not valid; expected a PIIMiddleware of langchain.agents.middleware."
        )
    applies: dict[Origin, str] = {
        "user": "apply_to_input",
        "answer": "apply_to_output",
        "tool_result": "apply_to_tool_results",
    }
    origins: list[Origin] = [origin for origin, setting in applies.items() if getattr(middleware, setting, False)]
    if not origins:
        raise ConfigurationError("The PIIMiddleware applies to nothing; set apply_to_input or another apply_to_ field.")
    check = functools.partial(_apply, detector, strategy, middleware.pii_type)
    return Guard(check, f"pii_{middleware.pii_type}", origins, window=WINDOW)


def _apply(detector: Any, strategy: str, pii_type: str, text: GuardedText) -> Verdict | None:
    whole = text.before + text.text
    start = len(text.before)
    matches = [match for match in detector(whole) if match["end"] > start]
    if not text.is_complete:
        # What is held back waits: it may go on, or be part of something longer.
        matches = [match for match in matches if match["start"] < len(whole) - WINDOW]
    if not matches:
        return None
    if strategy == "block":
        return Block(f"{pii_type} in the text")
    inside = [{**match, "start": max(0, match["start"] - start), "end": match["end"] - start} for match in matches]
    apply_strategy = importlib.import_module("langchain.agents.middleware.pii").apply_strategy
    return Rewrite(apply_strategy(text.text, inside, strategy), f"{pii_type} in the text")
