"""Decodes tool calls of Chat Completions, complete or in fragments of any size."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from multiroute_core.messages import Part, Raw, ToolCallDelta, tool_call
from multiroute_core.providers.body import array, mapping, word
from multiroute_core.providers.openai import custom
from multiroute_core.providers.openai.chat_history import WIRE
from multiroute_core.providers.provider import Encoded

CUT = "{"
"""Arguments of a call that was truncated before they began. An empty string would be a call without arguments."""


class Call:
    """A call assembled from consecutive fragments."""

    def __init__(self, place: int, index: Any, encoded: Encoded) -> None:
        self.index = index
        self.id = None
        self._place = place
        self._encoded = encoded
        self._told: dict[str, Any] = {}
        self._inner: dict[str, Any] = {}
        self._waiting: list[str] = []
        self._arguments: list[str] = []
        self._begun = self._custom = False

    id: str | None

    @property
    def has_name(self) -> bool:
        """Whether the name is known."""
        return bool(word(self._inner.get("name")))

    def add(self, piece: Mapping[str, Any]) -> list[Part]:
        """Add a fragment; emits nothing before the name is known."""
        self._told |= {name: value for name, value in piece.items() if value is not None and name != "index"}
        if not self._begun:
            self._custom = is_custom(self._told)
        inner = read_function(piece, custom=self._custom)
        before = word(self._inner.get("name")) or ""
        suffix = _rest_of_name(before, word(inner.get("name")) or "", self._encoded)
        self._inner |= {name: value for name, value in inner.items() if value is not None and value != ""}
        if before or suffix:
            self._inner["name"] = before + suffix
        self.id = self.id or word(piece.get("id"))
        arguments = _arguments(inner)
        self._arguments.append(arguments)
        self._waiting.append(arguments)
        if not word(self._inner.get("name")):
            return []
        if self._begun and suffix:
            return [ToolCallDelta(self._place, name=suffix), *self._send()]
        return self._send()

    def end(self, *, is_cut: bool) -> list[Part]:
        """Return the last fragment, with the complete call as a non-streaming server sends it."""
        fields = _without_noise(self._told, custom=self._custom)
        call = {**fields, "type": word(self._told.get("type")) or ("custom" if self._custom else "function")}
        arguments = "".join(self._arguments)
        parts = self._send()
        call["id"] = self.id
        if self._custom:
            call["custom"] = {**self._inner, "input": arguments}
            closing = "" if is_cut else custom.END
        else:
            call["function"] = {**self._inner, "arguments": arguments}
            closing = CUT if is_cut and not arguments.strip() else ""
        raw = Raw(WIRE, call, self._encoded.model, self._encoded.account)
        return [*parts, ToolCallDelta(self._place, arguments=closing, raw=raw)]

    def _send(self) -> list[Part]:
        arguments = "".join(self._waiting)
        self._waiting.clear()
        if self._custom:
            arguments = ("" if self._begun else custom.BEGINNING) + custom.escape(arguments)
        if not self._begun:
            self._begun = True
            self.id = self.id or _minted()
            return [ToolCallDelta(self._place, self.id, word(self._inner.get("name")) or "", arguments)]
        return [ToolCallDelta(self._place, arguments=arguments)] if arguments else []


def _rest_of_name(before: str, piece: str, encoded: Encoded) -> str:
    """Return what the next name fragment adds: servers repeat the name, split it, or resend it with more characters.

    A fragment belongs to the name if the name of an offered tool begins with the result.
    """
    if not before or not piece:
        return piece
    longer = piece if piece.startswith(before) and piece != before else before + piece
    return longer[len(before) :] if any(name.startswith(longer) for name in _offered(encoded)) else ""


def _offered(encoded: Encoded) -> Iterator[str]:
    """Yield the names of the request's tools."""
    for tool in array(encoded.body.get("tools")):
        if name := word(read_function(mapping(tool)).get("name")):
            yield name


def whole_call(call: Mapping[str, Any], encoded: Encoded, *, is_cut: bool) -> Part:
    """Decode a complete call, or the part of it that fit into the token limit."""
    custom_call = is_custom(call)
    fields = _without_noise(call, custom=custom_call)
    inner = read_function(call, custom=custom_call)
    call_id = word(call.get("id")) or _minted()
    arguments = _arguments(inner)
    if custom_call:
        fields |= {"id": call_id, "type": "custom", "custom": {**inner, "input": arguments}}
        raw = Raw(WIRE, fields, encoded.model, encoded.account)
        return custom.to_call(call_id, word(inner.get("name")) or "", arguments, raw, is_cut=is_cut)
    if is_cut and not arguments.strip():
        arguments = CUT
    fields |= {
        "id": call_id,
        "type": word(call.get("type")) or "function",
        "function": {**inner, "arguments": arguments},
    }
    return tool_call(
        call_id, word(inner.get("name")) or "", arguments, Raw(WIRE, fields, encoded.model, encoded.account)
    )


def is_custom(call: Mapping[str, Any]) -> bool:
    """Return whether a call is for a custom tool.

    Its type decides: some servers put an empty `custom` beside a `function`, and vice versa.
    """
    kind = call.get("type")
    custom = mapping(call.get("custom"))
    if kind == "custom":
        return bool(custom) or not mapping(call.get("function"))
    return kind != "function" and any(custom.values()) and not any(mapping(call.get("function")).values())


def read_function(call: Mapping[str, Any], *, custom: bool = False) -> Mapping[str, Any]:
    """Return the inner object of a call or fragment: the name and the arguments or input."""
    first, second = ("custom", "function") if custom else ("function", "custom")
    return mapping(call.get(first)) or mapping(call.get(second))


def _without_noise(call: Mapping[str, Any], *, custom: bool) -> dict[str, Any]:
    """Return a call without its index and without the empty object beside the actual one."""
    empty = "function" if custom else "custom"
    return {name: value for name, value in call.items() if name not in ("index", empty)}


def _arguments(inner: Mapping[str, Any]) -> str:
    """Return the arguments, or a fragment of them, as text; some servers send an object."""
    arguments = inner.get("arguments", inner.get("input"))
    if isinstance(arguments, dict):
        return json.dumps(arguments)
    return word(arguments) or ""


def calls_of(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the calls of a message or delta; the deprecated `function_call` counts only as the sole call."""
    if calls := [call for one in array(message.get("tool_calls")) if (call := mapping(one))]:
        return calls
    call = mapping(message.get("function_call"))
    return [{"index": 0, "function": call}] if call and any(call.values()) else []


def _minted() -> str:
    return f"call_{uuid.uuid4().hex[:24]}"
