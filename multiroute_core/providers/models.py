"""What is known of models, as data: defaults, windows, and the parameters that they refuse. As of 2026-11.

One row a family, the first match wins. Where the vendors change their minds, change a row here and nothing else.
Sources: the vendors' model and migration pages; windows also from `genai-prices`.
"""

from __future__ import annotations

import fnmatch
import functools
from dataclasses import dataclass
from typing import Literal

DEFAULTS = {
    "anthropic": "claude-sonnet-5-5",
    "google": "gemini-3.8-flash",
    "openai": "gpt-6.1-sol",
}
"""The model of a provider for a router that is given no routes."""

KEYS = {
    "anthropic": ("ANTHROPIC_API_KEY",),
    "google": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    "openai": ("OPENAI_API_KEY",),
}
"""Environment variables that hold a provider's key, in the order in which its SDK looks; providers in the order in
which a router without routes asks them."""


@dataclass(frozen=True, slots=True)
class Model:
    """A family of models.

    Attributes:
        provider: Its provider.
        pattern: What its names look like, with `*` and `?`.
        window: Tokens that fit in, prompt and answer together; None for unknown.
        max_output: Most tokens that it writes; None for unknown.
        api: The API that it needs on OpenAI's own endpoint.
        sampling: Which of temperature and top_p it takes: `"both"`, `"one"` (not together) or `"none"`.
        max_temperature: The highest temperature that it takes.
        token_limit: The name that Chat Completions has for `max_tokens`.
        stop: Whether it takes stop sequences.
        tools: Whether it calls tools.
        inputs: The kinds of content that it reads besides text: `image`, `document`, `audio`, `video`.
        reasoning: How it is told how long to think: by `"effort"`, by a `"budget"` of tokens, or it cannot be told.
        json_schema: Whether it keeps to a JSON schema by itself.
        forced_tool: Whether it can be made to use a tool.
    """

    provider: str
    pattern: str
    window: int | None = None
    max_output: int | None = None
    api: Literal["chat", "responses"] = "chat"
    sampling: Literal["both", "one", "none"] = "both"
    max_temperature: float = 2.0
    token_limit: Literal["max_tokens", "max_completion_tokens"] = "max_completion_tokens"
    stop: bool = True
    tools: bool = True
    inputs: frozenset[str] = frozenset({"image", "document"})
    reasoning: Literal["effort", "budget", "none"] = "none"
    json_schema: bool = True
    forced_tool: bool = True


_TEXT = frozenset[str]()
_EVERYTHING = frozenset({"image", "document", "audio", "video"})

MODELS = (
    # Sonnet 5, Opus 5 and newer refuse every sampling parameter; 4.1 to 4.6 refuse two at once.
    Model("anthropic", "claude-[a-z]*[a-z]-5*", 1_000_000, 128_000, sampling="none"),
    Model("anthropic", "claude-opus-4-[78]*", 1_000_000, 128_000, sampling="none"),
    Model("anthropic", "claude-*-4-6*", 1_000_000, 64_000, sampling="one", max_temperature=1.0),
    Model("anthropic", "claude-*-4-5*", 200_000, 64_000, sampling="one", max_temperature=1.0),
    Model("anthropic", "claude-opus-4-1*", 200_000, 32_000, sampling="one", max_temperature=1.0),
    Model("anthropic", "claude-*-4*", 200_000, 32_000, max_temperature=1.0),
    Model("anthropic", "claude-3-7-*", 200_000, 64_000, max_temperature=1.0),
    Model("anthropic", "claude-3-5-*", 200_000, 8_192, max_temperature=1.0),
    Model("anthropic", "*", 200_000, 4_096, max_temperature=1.0),
    Model("openai", "gpt-6*", 1_050_000, 128_000, api="responses", sampling="none", stop=False),
    Model("openai", "gpt-5.[4-9]*", 1_050_000, 128_000, api="responses", sampling="none", stop=False),
    Model("openai", "gpt-5*-chat*", 128_000, 16_384),
    Model("openai", "gpt-5*", 400_000, 128_000, sampling="none", stop=False),
    Model("openai", "o[1-9]*", 200_000, 100_000, sampling="none", stop=False),
    Model("openai", "gpt-4.1*", 1_047_576, 32_768),
    Model("openai", "gpt-4o*", 128_000, 16_384),
    Model("openai", "gpt-4-turbo*", 128_000, 4_096, inputs=frozenset({"image"}), json_schema=False),
    Model("openai", "gpt-4*", 8_192, 8_192, inputs=_TEXT, json_schema=False),
    Model("openai", "gpt-3.5*", 16_385, 4_096, inputs=_TEXT, json_schema=False),
    # Servers that speak OpenAI's wire often know only the older name.
    Model("openai", "*", token_limit="max_tokens", inputs=_EVERYTHING),
    Model("google", "gemini-*-image*", 65_536, 32_768, inputs=_EVERYTHING),
    Model("google", "gemini-[1-9]*", 1_048_576, 65_536, inputs=_EVERYTHING),
    Model("google", "*", inputs=_EVERYTHING),
    Model("local", "smollm2", 2_048, 1_024, token_limit="max_tokens", tools=False, inputs=_TEXT),
    Model("local", "*", 2_048, 1_024, token_limit="max_tokens", inputs=_TEXT),
)


@functools.lru_cache(maxsize=1024)
def lookup(provider: str, model: str) -> Model:
    """The row of `model`; every provider has one that takes whatever is unknown."""
    name = model.removeprefix("models/")
    rows = (m for m in MODELS if m.provider == provider and fnmatch.fnmatchcase(name, m.pattern))
    return next(rows, Model(provider, "*", inputs=_EVERYTHING))
