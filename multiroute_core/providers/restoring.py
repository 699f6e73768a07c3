"""Restoration: convert answers back to the caller's tool names, schema roots and maps.

A request is rewritten if the provider's API cannot express it: a tool's name, a root that is not an object, a map in a
strict schema. `Restoration` records the changes, and `Restorer` undoes them in the parts of one answer, complete or
streamed. `raw` forms stay as the provider wrote them, since they are sent back to that provider.

A rewritten map is self-describing: `{"map_entries": [{"key": …, "value": …}]}`. So an answer in the caller's original
form, from a model that ignores the rewritten schema, is also understood.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from multiroute_core.messages import InvalidToolCall, Part, Text, ToolCall, ToolCallDelta

MAP = "map_entries"
KEY = "key"
VALUE = "value"


@dataclass(frozen=True, slots=True)
class Shape:
    """How the instances of a schema differ from those of the rewritten schema.

    Attributes:
        wrapper: The only property of the object that wraps the instance; None if it is not wrapped.
        maps: Whether maps may be encoded as lists of entries.
    """

    wrapper: str | None = None
    maps: bool = False

    def __bool__(self) -> bool:
        """Whether they differ."""
        return self.wrapper is not None or self.maps


@dataclass(frozen=True, slots=True)
class Restoration:
    """The changes to undo in an answer.

    Attributes:
        names: The caller's tool names, by the provider's tool names.
        tools: The shapes of arguments, by the provider's tool names.
        answer: The shape of the answer's text.
    """

    names: Mapping[str, str] = field(default_factory=dict[str, str])
    tools: Mapping[str, Shape] = field(default_factory=dict[str, Shape])
    answer: Shape | None = None


def restoration_of(names: Mapping[str, str], tools: Mapping[str, Shape], answer: Shape | None) -> Restoration | None:
    """Returns a restoration; None if nothing was rewritten."""
    shapes = {name: shape for name, shape in tools.items() if shape}
    answer = answer or None
    return Restoration(names, shapes, answer) if names or shapes or answer else None


class Restorer:
    """Undoes the changes in the parts of one answer."""

    def __init__(self, restoration: Restoration) -> None:
        self._names = restoration.names
        self._tools = restoration.tools
        self._answer = restoration.answer
        self._text: JsonStream | None = None
        self._calls: dict[int, JsonStream | None] = {}

    def restore(self, parts: Sequence[Part], *, stream: bool) -> tuple[Part, ...]:
        """Returns the parts in the caller's form.

        A stream yields one part per input part, even if its text is held back, so that the stream does not appear
        stalled.
        """
        restored = [self._restore(part) for part in parts]
        return tuple(restored) if stream else (*restored, *self.flush())

    def flush(self) -> tuple[Part, ...]:
        """Returns the text held back at the end of truncated or invalid JSON."""
        text = "" if self._text is None else self._text.end()
        self._text = None
        return (Text(text),) if text else ()

    def _restore(self, part: Part) -> Part:
        match part:
            case Text() if self._answer is not None:
                self._text = self._text or JsonStream(self._answer)
                text = self._text.feed(part.text)
                if part.raw is not None:  # the end of a block: the next part is another text
                    text = text + self._text.end()
                    self._text = None
                return replace(part, text=text)
            case ToolCall():
                shape = self._tools.get(part.name)
                arguments = part.arguments if shape is None else restore_value(dict(part.arguments), shape)
                if not isinstance(arguments, dict):
                    arguments = part.arguments
                return replace(part, name=self._names.get(part.name, part.name), arguments=cast("Any", arguments))
            case InvalidToolCall():
                shape = self._tools.get(part.name)
                arguments = part.arguments
                if shape is not None:
                    stream = JsonStream(shape)
                    arguments = stream.feed(arguments) + stream.end()
                return replace(part, name=self._names.get(part.name, part.name), arguments=arguments)
            case ToolCallDelta():
                return self._delta(part)
            case _:
                return part

    def _delta(self, part: ToolCallDelta) -> ToolCallDelta:
        if part.name and part.index not in self._calls:
            shape = self._tools.get(part.name)
            self._calls[part.index] = None if shape is None else JsonStream(shape)
        name = part.name and self._names.get(part.name, part.name)
        stream = self._calls.get(part.index)
        arguments = part.arguments if stream is None else stream.feed(part.arguments)
        if stream is not None and part.raw is not None:
            arguments += stream.end()
        return replace(part, name=name, arguments=arguments)


def restore_value(value: Any, shape: Shape) -> Any:
    """Returns a JSON value in the caller's form."""
    inner: Any = value
    if isinstance(value, dict) and shape.wrapper is not None:
        members = cast("dict[str, Any]", value)
        inner = members[shape.wrapper] if set(members) == {shape.wrapper} else members
    if not shape.maps:
        return inner
    try:
        return _with_maps(inner)
    except RecursionError:
        return inner


def _with_maps(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_maps(inner) for inner in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    members = cast("dict[str, Any]", value)
    entries = members.get(MAP)
    if len(members) == 1 and isinstance(entries, list) and all(map(_is_entry, cast("list[Any]", entries))):
        return {entry[KEY]: _with_maps(entry[VALUE]) for entry in cast("list[dict[str, Any]]", entries)}
    return {name: _with_maps(inner) for name, inner in members.items()}


def _is_entry(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    members = cast("dict[str, Any]", value)
    return members.keys() == {KEY, VALUE} and isinstance(members[KEY], str)


class JsonStream:
    """Rewrites the text of one JSON value incrementally, from chunks of any size.

    It reads characters with a stack of open brackets. The beginning of an object is held back until its first key shows
    whether it is a wrapper, a map or neither; a map is held back until it ends. Everything else is passed on at once.
    """

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._stack: list[str] = []
        self._held: list[str] | None = None  # the beginning of an object before its first key is known
        self._key: list[str] | None = None
        self._map: list[str] | None = None
        self._depth = 0
        self._in_string = self._escaped = False
        self._state = "before"

    def feed(self, text: str) -> str:
        """Returns the rewritten text that is known after the next chunk."""
        if self._state == "passing":
            return text
        out: list[str] = []
        for place, char in enumerate(text):
            self._read(char, out)
            if self._state == "passing":
                out.append(text[place + 1 :])
                break
        return "".join(out)

    def end(self) -> str:
        """Returns the truncated text that was held back."""
        text = "".join((*(self._held or ()), *(self._map or ())))
        self._held = self._map = None
        return text

    def _read(self, char: str, out: list[str]) -> None:
        if self._map is not None:
            self._read_map(char, out)
        elif self._held is not None:
            self._read_beginning(char, out)
        elif self._in_string:
            out.append(char)
            self._step_in_string(char)
        elif self._state == "over":
            return
        elif char == "{" and (self._shape.maps or not self._stack):
            self._held = [char]
            self._key = None
            self._state = "within"
        elif char in "{[":
            self._state = "within"
            self._stack.append(char)
            out.append(char)
        elif char in "}]":
            self._close(char, out)
        elif self._stack and self._stack[-1] == "wrapper" and (char.isspace() or char == ","):
            self._state = "over" if char == "," else self._state
        elif self._state == "before" and not char.isspace():
            self._state = "passing"  # not an object, such as an explanation before a call
            out.append(char)
        else:
            self._in_string = char == '"'
            out.append(char)

    def _close(self, char: str, out: list[str]) -> None:
        bracket = self._stack.pop() if self._stack else ""
        if bracket == "wrapper":
            self._state = "over"
        else:
            out.append(char)

    def _step_in_string(self, char: str) -> bool:
        """Advance within a string; returns whether it ends here."""
        if self._escaped:
            self._escaped = False
        elif char == "\\":
            self._escaped = True
        elif char == '"':
            self._in_string = False
            return True
        return False

    def _read_beginning(self, char: str, out: list[str]) -> None:
        buffer = cast("list[str]", self._held)
        buffer.append(char)
        if self._in_string:
            cast("list[str]", self._key).append(char)
            self._step_in_string(char)
        elif char == '"' and self._key is None:
            self._in_string = True
            self._key = [char]
        elif char == ":" and self._key is not None:
            self._decide(_decoded("".join(self._key)), buffer, out)
        elif char == "}" and self._key is None:
            out.extend(buffer)
            self._held = None
        elif not char.isspace():
            self._go_on(buffer, out)

    def _decide(self, key: str | None, buffer: list[str], out: list[str]) -> None:
        if not self._stack and key is not None and key == self._shape.wrapper:
            self._stack.append("wrapper")
            self._held = None
        elif self._shape.maps and key == MAP:
            self._map = buffer
            self._depth = 1
            self._held = None
        else:
            self._go_on(buffer, out)

    def _go_on(self, buffer: list[str], out: list[str]) -> None:
        """Handle an object that is neither a wrapper nor a map."""
        out.extend(buffer)
        self._held = None
        self._stack.append("{")

    def _read_map(self, char: str, out: list[str]) -> None:
        buffer = cast("list[str]", self._map)
        buffer.append(char)
        if self._in_string:
            self._step_in_string(char)
        elif char == '"':
            self._in_string = True
        elif char in "{[":
            self._depth += 1
        elif char in "}]":
            self._depth -= 1
            if self._depth == 0:
                out.append(_map_text("".join(buffer)))
                self._map = None


def _decoded(key: str) -> str | None:
    try:
        return json.loads(key)
    except ValueError:
        return None


def _map_text(text: str) -> str:
    try:
        return json.dumps(_with_maps(json.loads(text)), ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
