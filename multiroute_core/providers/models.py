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
        parallel_tool_calls: Whether it can be told to call one tool at a time, or several.
        efforts: The efforts that it knows, weakest first; what is between them is rounded.
        budgets: The least and the most tokens that it thinks with; where the least is 0, it can be kept from thinking.
        schema_with_tools: Whether it keeps to a JSON schema while it has tools.
        signed_calls: Whether the calls of tools that it is told of must bear a signature.
        no_thinking: Anthropic's word for an effort of `"none"`, where `efforts` has it.
        media_in_answers: Whether pictures and documents stand inside a tool's answer, or can only follow it.
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
    parallel_tool_calls: bool = True
    efforts: tuple[str, ...] = ("low", "medium", "high")
    budgets: tuple[int, int] = (0, 24_576)
    schema_with_tools: bool = True
    signed_calls: bool = False
    media_in_answers: bool = False
    no_thinking: Literal["disabled", "between_tools"] = "disabled"


_TEXT = frozenset[str]()
_EVERYTHING = frozenset({"image", "document", "audio", "video"})

_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_claude = functools.partial(Model, "anthropic", window=200_000, max_temperature=1.0, json_schema=False)
_claude_5 = functools.partial(
    Model,
    "anthropic",
    window=1_000_000,
    max_output=128_000,
    sampling="none",
    reasoning="effort",
    efforts=("none", *_EFFORTS),
)
_gemini_2 = functools.partial(Model, "google", window=1_048_576, inputs=_EVERYTHING, schema_with_tools=False)
_gemini_3 = functools.partial(
    Model,
    "google",
    window=1_048_576,
    max_output=65_536,
    inputs=_EVERYTHING,
    reasoning="effort",
    signed_calls=True,
    media_in_answers=True,
)

_gpt_thinks = functools.partial(Model, "openai", sampling="none", stop=False, reasoning="effort")

MODELS = (
    # 4.7 and newer refuse every sampling parameter; 4.1 to 4.6 refuse two at once. All that know efforts can choose for
    # themselves how long to think. Fable, Mythos and 5.5 cannot be made to use a tool; of them, Haiku can be kept from
    # thinking, and Sonnet from thinking before the first call of a tool.
    _claude_5("claude-fable-*", forced_tool=False, efforts=_EFFORTS),
    _claude_5("claude-mythos-*", forced_tool=False, efforts=_EFFORTS),
    _claude_5("claude-opus-5-5*", forced_tool=False, efforts=_EFFORTS),
    _claude_5("claude-sonnet-5-5*", forced_tool=False, no_thinking="between_tools"),
    _claude_5("claude-[a-z]*[a-z]-5-5*", forced_tool=False),
    _claude_5("claude-[a-z]*[a-z]-5*"),
    _claude_5("claude-opus-4-[78]*"),
    _claude(
        "claude-*-4-6*",
        window=1_000_000,
        max_output=64_000,
        sampling="one",
        reasoning="effort",
        json_schema=True,
        efforts=("none", "low", "medium", "high", "max"),
    ),
    _claude("claude-*-4-5*", max_output=64_000, sampling="one", reasoning="budget", json_schema=True),
    _claude("claude-opus-4-1*", max_output=32_000, sampling="one", reasoning="budget"),
    _claude("claude-*-4*", max_output=32_000, reasoning="budget"),
    _claude("claude-3-7-*", max_output=64_000, reasoning="budget"),
    _claude("claude-3-5-*", max_output=8_192),
    _claude("*", max_output=4_096),
    _gpt_thinks("gpt-6-astra*", 1_050_000, 128_000, api="responses", efforts=_EFFORTS),
    _gpt_thinks("gpt-6.1*", 1_050_000, 128_000, api="responses", efforts=_EFFORTS),
    _gpt_thinks("gpt-6*", 1_050_000, 128_000, api="responses", efforts=("none", *_EFFORTS)),
    _gpt_thinks("gpt-5.[6-9]*", 1_050_000, 128_000, api="responses", efforts=("none", *_EFFORTS)),
    _gpt_thinks("gpt-5.[45]*", 1_050_000, 128_000, api="responses", efforts=("none", *_EFFORTS[:-1])),
    Model("openai", "gpt-5*-chat*", 128_000, 16_384),
    # These are in the newer API alone.
    _gpt_thinks("gpt-5-pro*", 400_000, 272_000, api="responses", efforts=("high",)),
    _gpt_thinks("gpt-5*-codex*", 400_000, 128_000, api="responses"),
    _gpt_thinks("gpt-5.2-pro*", 400_000, 128_000, api="responses", efforts=("medium", "high", "xhigh")),
    _gpt_thinks("gpt-5.[23]*", 400_000, 128_000, efforts=("none", *_EFFORTS[:-1])),
    _gpt_thinks("gpt-5.1*", 400_000, 128_000, efforts=("none", "low", "medium", "high")),
    _gpt_thinks("gpt-5*", 400_000, 128_000, efforts=("minimal", "low", "medium", "high")),
    _gpt_thinks("o[1-9]-pro*", 200_000, 100_000, api="responses", parallel_tool_calls=False),
    _gpt_thinks("o3-mini*", 200_000, 100_000, parallel_tool_calls=False, inputs=_TEXT),
    _gpt_thinks("o[1-9]*", 200_000, 100_000, parallel_tool_calls=False),
    Model("openai", "gpt-4o*-audio*", 128_000, 16_384, inputs=frozenset({"audio"}), json_schema=False),
    Model("openai", "gpt-audio*", 128_000, 16_384, inputs=frozenset({"audio"}), json_schema=False),
    Model("openai", "gpt-4.1*", 1_047_576, 32_768),
    Model("openai", "gpt-4o*", 128_000, 16_384),
    Model("openai", "gpt-4-turbo*", 128_000, 4_096, inputs=frozenset({"image"}), json_schema=False),
    Model("openai", "gpt-4*", 8_192, 8_192, inputs=_TEXT, json_schema=False),
    Model("openai", "gpt-3.5*", 16_385, 4_096, inputs=_TEXT, json_schema=False),
    # Servers that speak OpenAI's wire often know only the older name.
    Model("openai", "*gpt-oss*", 131_072, token_limit="max_tokens", inputs=_TEXT, reasoning="effort"),
    Model("openai", "*", token_limit="max_tokens", inputs=_EVERYTHING),
    Model("google", "gemini-*-image*", 65_536, 32_768, tools=False, inputs=_EVERYTHING),
    _gemini_2("gemini-1*", max_output=8_192),
    _gemini_2("gemini-2.5-pro*", max_output=65_536, reasoning="budget", budgets=(128, 32_768)),
    _gemini_2("gemini-2.5*", max_output=65_536, reasoning="budget"),
    _gemini_2("gemini-2*", max_output=8_192),
    _gemini_3("gemini-3-pro*", efforts=("low", "high")),
    _gemini_3("gemini-3-flash*", efforts=("minimal", "low", "medium", "high")),
    _gemini_3("gemini-3.1-flash*", efforts=("minimal", "low", "medium", "high")),
    _gemini_3("gemini-[3-9]*"),
    _gemini_3("gemini-*-latest"),
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
