"""Responses: requests in OpenAI's format, without any state on the server.

https://platform.openai.com/docs/api-reference/responses/create and `ResponseCreateParamsBase` of openai 2.54.0 (read
2026-11-30).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from multiroute_core.serving.call import JSON, ServedCall
from multiroute_core.serving.decoding import fields
from multiroute_core.serving.errors import refuse

_OPTIONS = {
    "temperature": "temperature",
    "max_output_tokens": "max_tokens",
    "top_p": "top_p",
    "tools": "tools",
    "tool_choice": "tool_choice",
    "parallel_tool_calls": "parallel_tool_calls",
    "text": "output_schema",
    "reasoning": "reasoning",
}
_VENDOR = {
    "context_management",
    "max_tool_calls",
    "metadata",
    "moderation",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "user",
    "truncation",
}
_REFUSED: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "previous_response_id": (
        (),
        "This server stores no responses; leave previous_response_id out, and send the whole conversation as 'input'.",
    ),
    "conversation": ((), "This server stores no conversations; send the whole conversation as 'input'."),
    "store": ((False,), "This server stores no responses; send store=false or leave it out."),
    "background": ((False,), "This server runs no responses in the background; use 'stream'."),
    "prompt": ((), "This server stores no prompt templates; send 'instructions' and 'input'."),
    "top_logprobs": ((0,), "This server returns no log probabilities; leave 'top_logprobs' out."),
}
_INCLUDED = frozenset({"reasoning.encrypted_content"})
_KNOWN = {"model", "input", "instructions", "stream", "stream_options", "include", *_OPTIONS, *_REFUSED}
_ECHO = (
    "instructions",
    "metadata",
    "max_output_tokens",
    "temperature",
    "top_p",
    "reasoning",
    "text",
    "truncation",
    "user",
)


def read(body: Mapping[str, Any]) -> ServedCall:
    """Read the body of a request.

    Raises:
        RefusedCall: The body is not valid.
    """
    model = fields.text(body, "model", required=True)
    passed = fields.vendor_fields(body, _KNOWN, _VENDOR)
    fields.refuse_values(body, _REFUSED)
    _check_include(body)
    options: JSON = fields.copy_options(body, _OPTIONS)
    settings = fields.mapping(body, "text")
    options.pop("output_schema", None)
    if settings.get("format") is not None:
        options["output_schema"] = {"format": settings["format"]}
    if settings.get("verbosity") is not None:
        passed["text"] = {"verbosity": settings["verbosity"]}
    if not fields.mapping(body, "reasoning"):
        options.pop("reasoning", None)
    if instructions := fields.text(body, "instructions"):
        options["system"] = instructions
    tools = fields.array(body, "tools")
    if "tools" in options:
        options["tools"] = tools
    if passed.get("truncation") == "disabled":  # the default; Chat Completions does not know it
        del passed["truncation"]
    if passed:
        options["extra"] = {"openai": passed}
    echo = {name: body[name] for name in _ECHO if body.get(name) is not None}
    echo["tools"] = tools
    echo["tool_choice"] = body.get("tool_choice") or "auto"
    echo["parallel_tool_calls"] = body.get("parallel_tool_calls") is not False
    return ServedCall(_read_input(body), options, model, stream=fields.flag(body, "stream"), echo=echo)


def _check_include(body: Mapping[str, Any]) -> None:
    include: Any = body.get("include")
    if include is not None and (
        not isinstance(include, list) or not _INCLUDED.issuperset(map(str, cast("Any", include)))
    ):
        raise refuse("include is not valid; this server knows 'reasoning.encrypted_content' only.", param="include")


def _read_input(body: Mapping[str, Any]) -> Any:
    """Return the conversation: consecutive items of the model form one assistant turn, as they were one response."""
    value = body.get("input")
    if isinstance(value, str) and value:
        return value
    messages: list[JSON] = []
    for item in fields.array(body, "input"):
        if item.get("type") == "item_reference":
            _check_reference(item)
            continue
        role, content = _read_item(item)
        last = messages[-1] if messages else None
        if last is not None and last["role"] == role and role in ("assistant", "tool"):
            last["content"] = [*last["content"], *content]
        else:
            messages.append({"role": role, "content": content})
    if not messages:
        raise refuse("input is missing or empty; expected a string or a list of items.", param="input")
    return messages


def _read_item(item: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Return the role and the content blocks of an input item."""
    kind = item.get("type", "message")
    if kind == "message":
        content: Any = item.get("content")
        if not isinstance(content, str | list):
            raise refuse(
                "The content of a message in 'input' is not valid; expected a string or a list.", param="input"
            )
        role = fields.text(item, "role", required=True)
        return role, [{"type": "text", "text": content}] if isinstance(content, str) else content  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(kind, str):
        raise refuse("The type of an item in 'input' is not a string.", param="input")
    if kind.endswith("_output") and kind != "program_output":
        return "tool", [item]
    if kind == "function_call":
        # The id is of the response that it came from, which may have been another provider's.
        item = {name: value for name, value in item.items() if name not in ("id", "status")}
    return "assistant", [item]


def _check_reference(item: Mapping[str, Any]) -> None:
    """Refuse a reference to an item that this server would have to store.

    One to reasoning is skipped: the conversation is complete without it. The `ai` package sends references by default
    (`convertToOpenAIResponsesInput` of @ai-sdk/openai 3.0.141, read 2026-12-01).
    """
    name = fields.text(item, "id", required=True)
    if not name.startswith("rs_"):
        raise refuse(
            f"Item with id {name[:80]!r} not found: this server stores no responses. Send the item itself; clients do "
            "that with store=false.",
            param="input",
        )
