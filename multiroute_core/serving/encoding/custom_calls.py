"""Calls of OpenAI's custom tools, whose input is free text instead of JSON.

The router holds the text as the only argument of a call, under `CUSTOM_INPUT`. Which tools of a request are custom, the
request says: `ChatCompletionCustomToolParam` and `CustomToolParam` of openai 2.54.0 (read 2026-11-30).
"""

from __future__ import annotations

from typing import Any, cast

from multiroute_core._util.json_text import NO_JSON, decode_json
from multiroute_core.serving.call import JSON, ServedCall
from multiroute_core.tools import CUSTOM_INPUT


def find_custom_tools(call: ServedCall) -> frozenset[str]:
    """Return the names of the custom tools of a request of OpenAI's APIs."""
    tools: list[JSON] = call.options.get("tools") or []
    custom = [tool.get("custom") or tool for tool in tools if tool.get("type") == "custom"]
    names: list[Any] = [cast("JSON", tool).get("name") for tool in custom if isinstance(tool, dict)]
    return frozenset(name for name in names if isinstance(name, str))


def input_of(arguments: str) -> str:
    """Return the input of a call from the JSON text of its arguments; the text itself where it is something else.

    Input that was cut off is returned as far as it came.
    """
    for end in ("", '"}', "}"):
        try:
            value = decode_json((arguments + end).encode("utf-8", "surrogatepass"))
        except NO_JSON:
            continue
        text: Any = cast("JSON", value).get(CUSTOM_INPUT) if isinstance(value, dict) and len(value) == 1 else None  # pyright: ignore[reportUnknownArgumentType]
        return text if isinstance(text, str) else arguments
    return arguments
