"""Custom tools of OpenAI's, whose input is free text: their calls as calls of tools, and the tools on both wires.

The text is the one argument of the call, under the name that LangChain's ChatOpenAI gives it.
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
"""What stands around the escaped text in the arguments as JSON."""


def to_call(call_id: str, name: str, text: str, raw: Raw, *, is_cut: bool) -> ToolCall | InvalidToolCall:
    """A call by its input. That a text is cut cannot be seen in it, so the end of the answer must say it."""
    if not name:
        return InvalidToolCall(call_id, name, text, "The call names no tool.")
    if is_cut:
        return InvalidToolCall(call_id, name, BEGINNING + escape(text), "The answer ended before the input was whole.")
    return ToolCall(call_id, name, {CUSTOM_INPUT: text}, raw)


def escape(text: str) -> str:
    """A piece of the input as a piece of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def is_custom(call: ToolCall) -> bool:
    """Whether a call is one of a custom tool, in the words of either wire."""
    raw = call.raw
    if raw is None or raw.api not in ("openai.chat", "openai.responses"):
        return False
    return raw.body.get("type") in ("custom", "custom_tool_call")


def input_of(call: ToolCall) -> str:
    """The input of a call of a custom tool."""
    text = call.arguments.get(CUSTOM_INPUT)
    return text if isinstance(text, str) else json.dumps(dict(call.arguments), ensure_ascii=False)


def to_chat_tool(body: Mapping[str, Any]) -> dict[str, Any]:
    """A custom tool as Chat Completions spell it, with its grammar in an object of its own.

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
    """A custom tool as the Responses API spells it, with everything beside its type."""
    if "custom" not in body:
        return dict(body)
    custom = dict(mapping(body.get("custom")))
    form = mapping(custom.get("format"))
    if form.get("type") == "grammar" and (grammar := mapping(form.get("grammar"))):
        custom["format"] = {"type": "grammar", **grammar}
    return {"type": "custom", **custom}


def name_of(body: Mapping[str, Any]) -> str | None:
    """The name of a custom tool in either spelling."""
    return word(body.get("name")) or word(mapping(body.get("custom")).get("name"))
