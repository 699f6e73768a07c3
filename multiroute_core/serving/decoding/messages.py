"""Messages: requests in Anthropic's format.

https://platform.claude.com/docs/en/api/messages and `MessageCreateParamsBase` of anthropic 2.14.0 (read 2026-11-30).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multiroute_core.serving.call import JSON, ServedCall
from multiroute_core.serving.decoding import fields
from multiroute_core.serving.errors import refuse

_OPTIONS = {
    "temperature": "temperature",
    "max_tokens": "max_tokens",
    "top_p": "top_p",
    "stop_sequences": "stop",
    "tools": "tools",
    "tool_choice": "tool_choice",
}
_VENDOR = {
    "top_k",
    "metadata",
    "service_tier",
    "container",
    "context_management",
    "mcp_servers",
    "inference_geo",
    "speed",
    "cache_control",
    "diagnostics",
    "user_profile_id",
    "workspace_id",
    "betas",
}
_KNOWN = {"model", "messages", "system", "stream", "thinking", "output_config", "output_format", "thread", *_OPTIONS}


def read(body: Mapping[str, Any]) -> ServedCall:
    """Read the body of a request.

    Raises:
        RefusedCall: The body is not valid.
    """
    if body.get("max_tokens") is None:
        raise refuse("max_tokens: Field required", param="max_tokens")
    return _read(body)


def read_count(body: Mapping[str, Any]) -> ServedCall:
    """Read the body of a request that counts tokens (https://platform.claude.com/docs/en/api/messages-count-tokens).

    Raises:
        RefusedCall: The body is not valid.
    """
    return _read(body)


def _read(body: Mapping[str, Any]) -> ServedCall:
    model = fields.text(body, "model", required=True)
    passed = fields.vendor_fields(body, _KNOWN, _VENDOR)
    _refuse_thread(body)
    messages = fields.array(body, "messages")
    if not messages:
        raise refuse("messages: at least one message is required", param="messages")
    options: JSON = fields.copy_options(body, _OPTIONS)
    if "tools" in options:
        options["tools"] = fields.array(body, "tools")
    if not options.get("stop"):
        options.pop("stop", None)
    system = body.get("system")
    if isinstance(system, str):
        if system:
            messages = [{"role": "system", "content": system}, *messages]
    elif system:
        messages = [{"role": "system", "content": fields.array(body, "system")}, *messages]
    config = fields.mapping(body, "output_config")
    form = config.get("format") or body.get("output_format")
    if form is not None:
        options["output_schema"] = {"format": form} if isinstance(form, dict) else form
    reasoning = _read_thinking(body)
    if config.get("effort") is not None:
        reasoning = {**reasoning, "effort": config["effort"]}
    if reasoning:
        options["reasoning"] = reasoning
    if passed:
        options["extra"] = {"anthropic": passed}
    return ServedCall(messages, options, model, stream=fields.flag(body, "stream"))


def _refuse_thread(body: Mapping[str, Any]) -> None:
    """Refuse a conversation that the server would have to hold.

    Anthropic's tool runners ask for one first, and send whole conversations after this very error (`error_code` in
    `lib/threads/_thread_state.py` of anthropic 2.14.0 and `ThreadState.mjs` of @anthropic-ai/sdk 1.14.0, read
    2026-12-01).
    """
    if body.get("thread") is not None:
        raise refuse(
            "thread: This server stores no conversations; send the whole conversation as 'messages'.",
            param="thread",
            details={"error_code": "thread_unsupported_request"},
        )


def _read_thinking(body: Mapping[str, Any]) -> JSON:
    """Return the settings of the reasoning.

    The models that a budget is for show their thinking unless the request omits it; other vendors do so on request only
    (https://platform.claude.com/docs/en/build-with-claude/thinking#controlling-thinking-display, 2026-12-01).
    """
    thinking = fields.mapping(body, "thinking")
    if thinking.get("type") == "enabled" and thinking.get("display") is None:
        return {**thinking, "display": "summarized"}
    return thinking
