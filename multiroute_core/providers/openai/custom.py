"""OpenAI's custom tools, whose input is free text: converts their calls to tool calls, and the tools for both APIs.

The text is the only argument of the call, under the name that LangChain's ChatOpenAI uses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from multiroute_core.messages import InvalidToolCall, Raw, ToolCall
from multiroute_core.providers.body import mapping, word
from multiroute_core.tools import CUSTOM_INPUT

BEGINNING = f'{{"{CUSTOM_INPUT}": "'
END = '"}'
"""JSON around the escaped text in the arguments."""


def to_call(call_id: str, name: str, text: str, raw: Raw, *, is_cut: bool) -> ToolCall | InvalidToolCall:
    """Build a call from its input. Truncation is not visible in the text, so `is_cut` reports it."""
    if not name:
        return InvalidToolCall(call_id, name, text, "The call does not name a tool.")
    if is_cut:
        return InvalidToolCall(
            call_id, name, BEGINNING + escape(text), "The answer ended before the input was complete."
        )
    return ToolCall(call_id, name, {CUSTOM_INPUT: text}, raw)


def escape(text: str) -> str:
    """Escape a fragment of the input as a fragment of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def is_custom(call: ToolCall) -> bool:
    """Return whether a call is for a custom tool, in the format of either API."""
    raw = call.raw
    if raw is None or raw.api not in ("openai.chat", "openai.responses"):
        return False
    return raw.body.get("type") in ("custom", "custom_tool_call")


def input_of(call: ToolCall) -> str:
    """Return the input of a custom tool call."""
    text = call.arguments.get(CUSTOM_INPUT)
    return text if isinstance(text, str) else json.dumps(dict(call.arguments), ensure_ascii=False)


def to_chat_tool(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a custom tool in the format of Chat Completions, with its grammar in a nested object.

    Source: openai 2.54.0, `ChatCompletionCustomToolParam` and, for Responses, `CustomToolParam`.
    """
    if "custom" in body:
        return dict(body)
    custom = {name: value for name, value in body.items() if name != "type"}
    form = mapping(custom.get("format"))
    if form.get("type") == "grammar" and "grammar" not in form:
        grammar = {name: value for name, value in form.items() if name != "type"}
        custom["format"] = {"type": "grammar", "grammar": grammar}
    return {"type": "custom", "custom": custom}


def to_responses_tool(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a custom tool in the format of the Responses API, with all fields beside its type."""
    if "custom" not in body:
        return dict(body)
    custom = dict(mapping(body.get("custom")))
    form = mapping(custom.get("format"))
    if form.get("type") == "grammar" and (grammar := mapping(form.get("grammar"))):
        custom["format"] = {"type": "grammar", **grammar}
    return {"type": "custom", **custom}


def name_of(body: Mapping[str, Any]) -> str | None:
    """Return the name of a custom tool in either format."""
    return word(body.get("name")) or word(mapping(body.get("custom")).get("name"))
