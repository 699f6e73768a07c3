"""Model catalogue: context windows and unsupported parameters of model families. As of 2026-11.

One row per model family; the first match wins. When a provider changes a model, only its row here changes. Sources: the
providers' model and migration pages; windows also from `genai-prices`.
"""

from __future__ import annotations

import fnmatch
import functools
from dataclasses import dataclass, replace
from typing import Literal

from multiroute_core.provider_table import PROVIDERS


@dataclass(frozen=True, slots=True)
class Model:
    """A family of models.

    Attributes:
        provider: The provider.
        pattern: Glob pattern of the model names, with `*` and `?`.
        window: Context window in tokens, prompt and answer together; None if unknown.
        max_output: Maximum number of output tokens; None if unknown.
        api: The API that the family needs on OpenAI's own endpoint.
        sampling: Support for temperature and top_p: `"both"`, `"one"` (not both at once) or `"none"`.
        max_temperature: The highest temperature that it accepts.
        token_limit: The name of `max_tokens` in Chat Completions.
        stop: Whether it supports stop sequences.
        tools: Whether it supports tool calls.
        inputs: Content types that it reads besides text: `image`, `document`, `audio`, `video`.
        reasoning: How reasoning is controlled: by `"effort"`, by a token `"budget"`, or not at all (`"none"`).
        json_schema: Whether it supports structured output natively.
        forced_tool: Whether it supports a forced tool choice.
        parallel_tool_calls: Whether it can be set to call one tool at a time, or several.
        efforts: Supported efforts, weakest first; values between them are rounded.
        budgets: Minimum and maximum reasoning budget in tokens; a minimum of 0 means that reasoning can be disabled.
        schema_with_tools: Whether it supports structured output together with tools.
        signed_calls: Whether tool calls in the history must have a signature.
        no_thinking: Anthropic's setting for effort `"none"`, if `efforts` includes it.
        media_in_answers: Whether images and documents can be inside a tool result; otherwise they follow it.
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
# Those that reason reject `stop`, and all but these an effort: https://docs.x.ai/docs/guides/reasoning (2026-11-30)
_grok_thinks = functools.partial(
    Model, "xai", stop=False, token_limit="max_tokens", inputs=_EVERYTHING, reasoning="effort"
)

MODELS = (
    # 4.7 and newer reject every sampling parameter; 4.1 to 4.6 reject two at once. All models with efforts can decide
    # for themselves how long to reason. Fable, Mythos and 5.5 do not support a forced tool choice; of them, Haiku
    # supports disabled reasoning, and Sonnet no reasoning before the first tool call.
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
    # Only the Responses API serves these models.
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
    # OpenAI-compatible servers often support only the older name.
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
    # It supports only JSON mode: https://api-docs.deepseek.com/guides/json_mode (2026-11-29)
    Model("deepseek", "*", token_limit="max_tokens", json_schema=False, inputs=_EVERYTHING),
    _grok_thinks("grok-4.5*"),
    _grok_thinks("grok-4.3*", efforts=("none", "low", "medium", "high")),
    _grok_thinks("grok-4.20-multi-agent*", efforts=("low", "medium", "high", "xhigh")),
    _grok_thinks("grok-3-mini*", efforts=("low", "high")),
    Model("local", "smollm2", 2_048, 1_024, token_limit="max_tokens", tools=False, inputs=_TEXT),
    Model("local", "*", 2_048, 1_024, token_limit="max_tokens", inputs=_TEXT),
)


_VENDORS = {"openai": "openai", "anthropic": "anthropic", "google": "google", "x-ai": "xai", "xai": "xai"}
"""The providers by the prefix under which gateways list their models, as in `anthropic/claude-sonnet-4.5`."""


@functools.lru_cache(maxsize=1024)
def lookup(provider: str, model: str) -> Model:
    """Returns the catalogue row of `model`; each provider has a fallback row for unknown models.

    A provider that speaks Chat Completions and has no row for the model has that of the `openai` provider. If the name
    has a vendor's prefix, as behind OpenRouter and other gateways, it is that of the vendor's model.
    """
    name = model.removeprefix("models/")
    spec = PROVIDERS.get(provider)
    if spec is None or not spec.speaks_chat_completions:
        return _find((provider,), name) or Model(provider, "*", inputs=_EVERYTHING)
    row = _find((provider, "openai"), name) or Model(provider, "*", inputs=_EVERYTHING)
    if row.pattern == "*" and (vendors_row := _find_behind_gateway(name)) is not None:
        row = _behind_gateway(vendors_row, row)
    return row if row.provider == provider else replace(row, provider=provider)


def _find(families: tuple[str, ...], name: str) -> Model | None:
    rows = (row for family in families for row in MODELS if row.provider == family)
    return next((row for row in rows if fnmatch.fnmatchcase(name, row.pattern)), None)


def _find_behind_gateway(name: str) -> Model | None:
    """Returns the row of a model whose name has a vendor's prefix; None if there is none."""
    path, _, model = name.lower().rpartition("/")
    vendor = _VENDORS.get(path.rpartition("/")[2])
    if vendor is None:
        return None
    if vendor == "anthropic":
        model = model.replace(".", "-")
    row = _find((vendor,), model)
    return None if row is None or row.pattern == "*" else row


def _behind_gateway(row: Model, fallback: Model) -> Model:
    """Returns what holds of a vendor's model in Chat Completions: its limits, not the forms of its vendor's API.

    The gateways translate the effort for models that take a budget:
    https://openrouter.ai/docs/guides/best-practices/reasoning-tokens (2026-11-30).
    """
    return replace(
        fallback,
        pattern=row.pattern,
        window=row.window,
        max_output=row.max_output,
        sampling=row.sampling,
        max_temperature=row.max_temperature,
        stop=row.stop,
        tools=row.tools,
        forced_tool=row.forced_tool,
        parallel_tool_calls=row.parallel_tool_calls,
        reasoning="effort" if row.reasoning == "budget" else row.reasoning,
        efforts=row.efforts,
    )
