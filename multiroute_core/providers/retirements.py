"""Retirement dates of models, from the vendors' deprecation pages; read on 2026-11-30.

The dates hold at the vendors' own addresses: clouds that serve the same models set their own. A vendor's list of models
may tell newer dates, and is asked first; see `model_list`.

* Anthropic: https://platform.claude.com/docs/en/about-claude/model-deprecations, and anthropic 2.14.0,
  `_data/deprecated_models.py`
* OpenAI: https://developers.openai.com/api/docs/deprecations
* Google: https://ai.google.dev/gemini-api/docs/deprecations
* xAI: https://docs.x.ai/developers/migration/may-15-retirement
* DeepSeek: https://api-docs.deepseek.com
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from datetime import date

from multiroute_core.route import Route

READ_ON = date(2026, 11, 30)
"""When the pages were read."""


@dataclass(frozen=True, slots=True)
class Retirement:
    """When a model retires.

    Attributes:
        on: The date; requests fail from then on.
        successor: The model that the vendor recommends instead; empty if it names none.
    """

    on: date
    successor: str = ""


_TABLE: dict[str, tuple[tuple[str, str, str], ...]] = {
    "anthropic": (
        ("2025-10-28", "claude-3-5-sonnet*", ""),
        ("2026-01-05", "claude-3-opus*", ""),
        ("2026-02-19", "claude-3-7-sonnet*", ""),
        ("2026-06-15", "claude-sonnet-4-0 claude-sonnet-4-20250514", "claude-sonnet-4-6"),
        ("2026-06-15", "claude-opus-4-0 claude-opus-4-20250514", "claude-opus-4-8"),
        ("2026-06-30", "claude-mythos-preview", ""),
        ("2026-08-05", "claude-opus-4-1*", ""),
        ("2026-11-30", "claude-sonnet-4-5*", ""),
        ("2027-01-22", "claude-opus-4-5*", "claude-opus-5-5"),
    ),
    "openai": (
        ("2026-02-17", "chatgpt-4o-latest", ""),
        ("2026-10-23", "gpt-3.5-turbo gpt-3.5-turbo-0125", "gpt-5.6-terra"),
        ("2026-10-23", "gpt-4 gpt-4-0613 gpt-4-1106-preview gpt-4-turbo gpt-4-turbo-2024-04-09", "gpt-5.6-sol"),
        ("2026-10-23", "gpt-4o-2024-05-13 o1 o1-2024-12-17 o3-mini o3-mini-2025-01-31 o1-pro*", "gpt-5.6-sol"),
        ("2026-10-23", "o4-mini o4-mini-2025-04-16", "gpt-5.6-terra"),
        ("2026-10-23", "gpt-4.1-nano gpt-4.1-nano-2025-04-14", ""),
        ("2026-12-11", "gpt-5 gpt-5-2025-08-07", "gpt-6.1-sol"),
        ("2026-12-11", "gpt-5-pro gpt-5-pro-2025-10-06 o3 o3-2025-04-16 o3-pro o3-pro-2025-06-10", "gpt-5.6-sol"),
        ("2026-12-11", "gpt-5-mini gpt-5-mini-2025-08-07", "gpt-6.1-terra"),
        ("2026-12-11", "gpt-5-nano gpt-5-nano-2025-08-07", ""),
        ("2027-01-14", "gpt-4o gpt-4o-mini gpt-4o-20* gpt-4o-mini-20*", "gpt-6-luna"),
        ("2027-01-14", "gpt-4.1 gpt-4.1-mini gpt-4.1-20* gpt-4.1-mini-20*", "gpt-6-luna"),
        ("2027-01-20", "gpt-audio gpt-audio-20* gpt-4o-audio-preview*", ""),
        ("2027-04-01", "gpt-5.1 gpt-5.1-20* gpt-5.3-codex gpt-5.4-nano gpt-5.4-nano-20*", ""),
    ),
    "google": (
        ("2026-03-09", "gemini-3-pro-preview", "gemini-3.1-pro-preview"),
        ("2026-05-25", "gemini-3.1-flash-lite-preview", ""),
        ("2026-06-01", "gemini-2.0-flash gemini-2.0-flash-001", ""),
        ("2026-06-25", "gemini-3-pro-image-preview", "gemini-3-pro-image"),
        ("2026-06-25", "gemini-3.1-flash-image-preview", "gemini-3.1-flash-image"),
        ("2026-10-02", "gemini-2.5-flash-image", "gemini-3.1-flash-image"),
        ("2026-12-01", "gemini-2.5-pro", "gemini-3.8-flash"),
        ("2026-12-01", "gemini-2.5-flash", "gemini-3.5-flash-lite"),
        ("2027-05-07", "gemini-3.1-flash-lite", ""),
    ),
    "xai": (
        ("2026-05-15", "grok-3 grok-4-0709 grok-4-fast* grok-4-1-fast* grok-code-fast-1", "grok-4.3"),
        ("2026-11-19", "grok-build-0.1", ""),
    ),
    "deepseek": (("2026-07-24", "deepseek-chat deepseek-reasoner", "deepseek-v4-flash"),),
}
"""By provider: the date, patterns of the models, and the recommended successor where one is named."""


def find_retirement(route: Route) -> Retirement | None:
    """Return when the model of a route retires at its vendor; None if nothing is known.

    Example:
        >>> find_retirement(Route("openai:gpt-4-turbo"))
        Retirement(on=datetime.date(2026, 10, 23), successor='gpt-5.6-sol')
    """
    name = route.model.removeprefix("models/")
    for day, patterns, successor in _TABLE.get(route.provider, ()):
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns.split()):
            return Retirement(date.fromisoformat(day), successor)
    return None
