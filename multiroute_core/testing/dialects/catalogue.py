"""Catalogue of dialects: how each counts and reports tokens, and what failures look like in each API.

The shapes come from public reports and the providers' documentation; see `docs/dialects.md` for the sources.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from multiroute_core.messages import Api
from multiroute_core.options import unknown
from multiroute_core.types import Usage

JSON: TypeAlias = dict[str, Any]
Place: TypeAlias = Literal["usage", "choice", "x_groq", "nowhere"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of server speaks an API.

    Attributes:
        name: The name in `DIALECTS`.
        wire: The API: `"openai.chat"`, `"openai.responses"`, `"anthropic"` or `"google"`.
        count: Writes a `Usage`, in tokens, as the server does. The `Usage` counts cached tokens in the input and
            reasoning in the output.
        place: Where a stream reports usage: in the chunk's `"usage"`, in the `"choice"`, in `"x_groq"`, or `"nowhere"`.
            A non-streamed response reports it under `usage`, or also nowhere.
        growing: Whether every chunk of a stream reports the usage so far. False by default, as all below.
        zeros_at_end: Whether the last chunk of a stream reports zeros.
        alias: The model name in its responses, such as a deployment; None repeats the requested model.
        done_ends: Whether a stream ends with `[DONE]` alone, without a finish reason.
        control_lines: Whether a stream starts with a BOM and contains comments, `retry:` and empty data.
    """

    name: str
    wire: Api
    count: Callable[[Usage], JSON]
    place: Place = "usage"
    growing: bool = False
    zeros_at_end: bool = False
    alias: str | None = None
    done_ends: bool = False
    control_lines: bool = False


def _openai(usage: Usage) -> JSON:
    read = usage.input_tokens or 0
    output_tokens = usage.output_tokens or 0
    return {
        "prompt_tokens": read,
        "completion_tokens": output_tokens,
        "total_tokens": read + output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens or 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
    }


def _xai(usage: Usage) -> JSON:
    """Reports reasoning outside the completion, but within the total."""
    block = _openai(usage)
    return block | {"completion_tokens": block["completion_tokens"] - (usage.reasoning_tokens or 0)}


def _gemini_openai(usage: Usage) -> JSON:
    """Reports reasoning only within the total."""
    block = _xai(usage)
    return {name: block[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}


def _deepseek(usage: Usage) -> JSON:
    block = _openai(usage)
    hit = usage.cache_read_tokens or 0
    del block["prompt_tokens_details"]
    return block | {"prompt_cache_hit_tokens": hit, "prompt_cache_miss_tokens": block["prompt_tokens"] - hit}


def _moonshot(usage: Usage) -> JSON:
    block = _openai(usage)
    del block["prompt_tokens_details"], block["completion_tokens_details"]
    return block | {"cached_tokens": usage.cache_read_tokens or 0}


def _mistral(usage: Usage) -> JSON:
    block = _openai(usage)
    del block["prompt_tokens_details"]
    hit = usage.cache_read_tokens or 0
    return block | {"num_cached_tokens": hit, "prompt_token_details": {"cached_tokens": hit}}


def _openrouter(usage: Usage) -> JSON:
    stated = {} if usage.stated_cost is None else {"cost": usage.stated_cost}
    return _openai(usage) | stated


def _floats(usage: Usage) -> JSON:
    return {name: float(value) for name, value in _openai(usage).items() if not isinstance(value, dict)}


def _strings(usage: Usage) -> JSON:
    return {name: str(value) for name, value in _openai(usage).items() if not isinstance(value, dict)}


def _half(usage: Usage) -> JSON:
    """The completion must be derived from the total."""
    block = _openai(usage)
    return {"prompt_tokens": block["prompt_tokens"], "total_tokens": block["total_tokens"]}


def _responses(usage: Usage) -> JSON:
    read = usage.input_tokens or 0
    output_tokens = usage.output_tokens or 0
    return {
        "input_tokens": read,
        "output_tokens": output_tokens,
        "total_tokens": read + output_tokens,
        "input_tokens_details": {"cached_tokens": usage.cache_read_tokens or 0},
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
    }


def _anthropic(usage: Usage) -> JSON:
    cached = usage.cache_read_tokens or 0
    return {
        "input_tokens": (usage.input_tokens or 0) - cached,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": 0,
        "output_tokens": usage.output_tokens or 0,
    }


def _openrouter_anthropic(usage: Usage) -> JSON:
    stated = {} if usage.stated_cost is None else {"cost": usage.stated_cost}
    return _anthropic(usage) | stated


def _google(usage: Usage) -> JSON:
    read = usage.input_tokens or 0
    output_tokens = usage.output_tokens or 0
    thought = usage.reasoning_tokens or 0
    block = {
        "promptTokenCount": read,
        "candidatesTokenCount": output_tokens - thought,
        "totalTokenCount": read + output_tokens,
    }
    block["cachedContentTokenCount"] = usage.cache_read_tokens or 0
    return block | ({"thoughtsTokenCount": thought} if thought else {})


_CHAT: Api = "openai.chat"

DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        Dialect("openai", _CHAT, _openai),
        Dialect("openai_responses", "openai.responses", _responses),
        Dialect("anthropic", "anthropic", _anthropic),
        Dialect("google", "google", _google),
        Dialect("xai", _CHAT, _xai),
        Dialect("gemini_openai", _CHAT, _gemini_openai),
        Dialect("deepseek", _CHAT, _deepseek),
        Dialect("moonshot", _CHAT, _moonshot, place="choice"),
        Dialect("groq", _CHAT, _openai, place="x_groq"),
        Dialect("mistral", _CHAT, _mistral),
        Dialect("openrouter", _CHAT, _openrouter),
        Dialect("openrouter_anthropic", "anthropic", _openrouter_anthropic),
        Dialect("vllm", _CHAT, _openai, growing=True),
        Dialect("lightllm", _CHAT, _openai, done_ends=True),
        Dialect("zeros", _CHAT, _openai, growing=True, zeros_at_end=True),
        Dialect("floats", _CHAT, _floats),
        Dialect("strings", _CHAT, _strings),
        Dialect("half", _CHAT, _half),
        Dialect("alias", _CHAT, _openai, alias="prod-chat-east"),
        Dialect("silent", _CHAT, _openai, place="nowhere", alias="prod-chat-east"),
        Dialect("silent_anthropic", "anthropic", _anthropic, place="nowhere"),
        Dialect("silent_google", "google", _google, place="nowhere"),
        Dialect("chatty", _CHAT, _openai, control_lines=True),
        Dialect("chatty_anthropic", "anthropic", _anthropic, control_lines=True),
        Dialect("chatty_google", "google", _google, control_lines=True),
    )
}
"""The dialects by name."""

_TYPED = {"object": "error", "type": "InternalServerError", "message": "EngineCore died", "code": 500}
_UPSTREAM = {"code": 502, "message": "Upstream provider failed"}


def _choice(**fields: Any) -> JSON:
    return {"id": "c", "created": 1, "choices": [{"index": 0, "message": {}, "delta": {}, **fields}]}


_ANY_CHAT: Mapping[str, JSON] = {
    "choice_error": _choice(finish_reason="error", error=_UPSTREAM),
    "finish_error": _choice(finish_reason="error"),
    "network_error": _choice(finish_reason="network_error"),
    "top_error": {"error": _UPSTREAM},
    "string_error": {"error": "model is overloaded, try again later"},
    "object_error": {"object": "error", "message": "EngineCore died", "type": "InternalServerError", "code": 500},
    "detail": {"detail": "Internal Server Error"},
    "missing_call": _choice(finish_reason="tool_calls"),
    "code_and_msg": {"code": 1302, "msg": "Too many requests"},
    "cloudflare": {
        "success": False,
        "result": None,
        "errors": [{"code": 7009, "message": "Upstream service unavailable"}],
    },
    "minimax": {"choices": None, "base_resp": {"status_code": 1002, "status_msg": "rate limit"}},
}

FAILURES: Mapping[Api, Mapping[str, JSON]] = {
    "openai.chat": _ANY_CHAT,
    "openai.responses": {
        "failed": {"status": "failed", "error": {"code": "server_error", "message": "It failed."}},
        "failed_silently": {"status": "failed", "error": None},
        "cancelled": {"status": "cancelled", "error": None},
        "top_error": {"error": _UPSTREAM},
        "typed_error": _TYPED,
    },
    "anthropic": {
        "overloaded": {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        "api_error": {"type": "error", "error": {"type": "api_error", "message": "Internal server error"}},
        "string_error": {"error": "upstream timeout"},
        "typed_error": _TYPED,
    },
    "google": {
        "malformed_call": {"candidates": [{"content": {}, "finishReason": "MALFORMED_FUNCTION_CALL", "index": 0}]},
        "unexpected_call": {"candidates": [{"content": {}, "finishReason": "UNEXPECTED_TOOL_CALL", "index": 0}]},
        "top_error": {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}},
    },
}
"""Failures under HTTP 200, by API and name: the body, or the last event of a stream."""

REFUSALS: Mapping[str, tuple[int, str, str]] = {
    "bad_key": (401, "authentication_error", "invalid api key"),
    "disabled": (400, "invalid_request_error", "This organization has been disabled."),
    "no_credit": (402, "billing_error", "Insufficient credits."),
    "retired_model": (404, "not_found_error", "The model has been deprecated."),
    "policy": (400, "invalid_request_error", "Output blocked by content filtering policy"),
    "no_tools": (400, "invalid_request_error", "This model does not support tools."),
    "no_system_role": (500, "server_error", "Jinja Exception: System role not supported"),
    "fixed_temperature": (400, "invalid_request_error", "invalid temperature: only 1 is allowed for this model"),
    "extra_usage": (400, "invalid_request_error", "You're out of extra usage. Add more and keep going."),
    "gateway_filter": (446, "hooks_failed", "The guardrail checks defined in the config failed."),
    "overflow": (400, "invalid_request_error", "This model's maximum context length is 4096 tokens."),
    "rate_limited": (429, "rate_limit_error", "Rate limit reached, please try again in 2s."),
    "overloaded": (503, "overloaded_error", "The server is overloaded."),
}
"""Failures with an error status: status, error type and message. They are the same in every dialect."""


def failures_of(dialect: str) -> tuple[str, ...]:
    """Returns the names that `Failure` accepts for a dialect: those under HTTP 200, then those with an error status.

    Args:
        dialect: One of `DIALECTS`.

    Raises:
        ConfigurationError: if the dialect does not exist.

    Example:
        >>> failures_of("google")[:2]
        ('malformed_call', 'unexpected_call')
    """
    if dialect not in DIALECTS:
        raise unknown("dialect", dialect, DIALECTS)
    return (*FAILURES[DIALECTS[dialect].wire], *REFUSALS)
