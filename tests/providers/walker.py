"""A strict walk over a request's body along the parameter types of the vendor's own SDK. Support for tests, no test.

Plain validation of TypedDicts takes nearly anything: it leaves iterables unread, takes keys that nobody knows, and a
union takes what any of its members would. Here every list is read to its end, every key must be known, every required
one be there, and of a union only those members count whose literals (`type`, `role`) the value bears.
"""

from __future__ import annotations

import base64
import binascii
import collections.abc
import enum
import functools
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import pydantic
import typing_extensions

_WRAPPERS = (typing.Required, typing.NotRequired, typing_extensions.Required, typing_extensions.NotRequired)
_LISTS = (list, collections.abc.Iterable, collections.abc.Sequence, tuple)
_OBJECTS = (dict, collections.abc.Mapping)


class Misfit(Exception):
    """A body that is not of its type: `path` says where."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path}: {what}")
        self.path = path


def walk(value: Any, kind: Any, path: str = "body") -> None:
    """Hold `value`, plain JSON, against a type.

    Raises:
        Misfit: it is not of this type.
    """
    kind = _bare(kind)
    origin = typing.get_origin(kind)
    if kind in (Any, object):
        _json(value, path)
    elif kind is None or kind is types.NoneType:
        _must(value is None, path, f"{value!r} is not null")
    elif origin is Literal:
        _must(
            any(value == one and type(value) is type(one) for one in typing.get_args(kind)),
            path,
            f"{value!r} is none of {typing.get_args(kind)}",
        )
    elif origin in (typing.Union, types.UnionType):
        _union(value, typing.get_args(kind), path)
    elif typing_extensions.is_typeddict(kind):
        _fields(value, *_typed_dict(kind), path)
    elif isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        _fields(value, *_model(kind), path)
    elif kind in _LISTS or origin in _LISTS or getattr(origin, "__name__", "") == "SequenceNotStr":
        _must(isinstance(value, list), path, f"a {type(value).__name__} where a list should be")
        for i, item in enumerate(value):
            walk(item, (typing.get_args(kind) or (Any,))[0], f"{path}[{i}]")
    elif kind in _OBJECTS or origin in _OBJECTS:
        _must(isinstance(value, dict), path, f"a {type(value).__name__} where an object should be")
        for key, item in value.items():
            walk(item, (typing.get_args(kind) or (str, Any))[1], f"{path}.{key}")
    else:
        _plain(value, kind, path)


def _must(true: bool, path: str, what: str) -> None:
    if not true:
        raise Misfit(path, what)


def _bare(kind: Any) -> Any:
    """The type inside of what only says something about it."""
    while True:
        origin = typing.get_origin(kind)
        if origin in _WRAPPERS or origin in (typing.Annotated, typing_extensions.Annotated):
            kind = typing.get_args(kind)[0]
        elif isinstance(kind, typing_extensions.TypeAliasType):
            kind = kind.__value__
        else:
            return kind


def _json(value: Any, path: str) -> None:
    """Anything, as long as it is JSON."""
    if isinstance(value, dict):
        for key, item in value.items():
            _must(isinstance(key, str), path, f"the key {key!r} is no string")
            _json(item, f"{path}.{key}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _json(item, f"{path}[{i}]")
    else:
        _must(value is None or isinstance(value, str | int | float), path, f"a {type(value).__name__} is no JSON")


def _plain(value: Any, kind: Any, path: str) -> None:
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        _must(value in [one.value for one in kind], path, f"{value!r} is no {kind.__name__}")
        return
    if kind is bytes:
        try:
            base64.b64decode(value.replace("-", "+").replace("_", "/"), validate=True)  # Google takes both alphabets
        except (binascii.Error, AttributeError, ValueError):
            raise Misfit(path, "no base64") from None
        return
    takes = {str: (str,), bool: (bool,), int: (int,), float: (int, float)}.get(kind)
    _must(takes is not None, path, f"a {type(value).__name__} where only Python knows a {kind}")
    fits = isinstance(value, takes or ()) and (kind is bool or not isinstance(value, bool))
    _must(fits, path, f"{value!r} is no {getattr(kind, '__name__', kind)}")


def _fields(value: Any, kinds: Mapping[str, Any], required: Iterable[str], path: str) -> None:
    _must(isinstance(value, dict), path, f"a {type(value).__name__} where an object should be")
    for key in value:
        _must(key in kinds, path, f"the key {key!r} is unknown; known are {', '.join(kinds)}")
    for key in required:
        _must(key in value, path, f"the key {key!r} is missing")
    for key, item in value.items():
        walk(item, kinds[key], f"{path}.{key}")


@functools.cache
def _typed_dict(kind: Any) -> tuple[dict[str, Any], frozenset[str]]:
    """The keys of a TypedDict with their types, and those that must be there.

    The SDKs' annotations are strings, of which Python 3.11 does not see that they say `Required`.
    """
    kinds = typing_extensions.get_type_hints(kind, include_extras=True)
    required: set[str] = set()
    inherited: set[str] = set()
    for base in types.get_original_bases(kind) if sys.version_info >= (3, 12) else getattr(kind, "__orig_bases__", ()):
        if typing_extensions.is_typeddict(base):
            names, needed = _typed_dict(base)
            inherited |= set(names)
            required |= needed
    for name, hint in kinds.items():
        origin = typing.get_origin(hint)
        if origin in (typing.Required, typing_extensions.Required):
            required.add(name)
        elif origin in (typing.NotRequired, typing_extensions.NotRequired):
            required.discard(name)
        elif name not in inherited and kind.__total__:
            required.add(name)
    return kinds, frozenset(required)


@functools.cache
def _model(kind: type[pydantic.BaseModel]) -> tuple[dict[str, Any], frozenset[str]]:
    """The same of a pydantic model, by the names that go over the wire."""
    names = {name: found.alias or name for name, found in kind.model_fields.items()}
    kinds = {names[name]: found.annotation for name, found in kind.model_fields.items()}
    return kinds, frozenset(names[name] for name, found in kind.model_fields.items() if found.is_required())


def _union(value: Any, members: tuple[Any, ...], path: str) -> None:
    """Of the members those count that the value can be meant as."""
    flat = [inner for member in members for inner in _members(member)]
    if any(typing_extensions.is_typeddict(member) for member in flat):
        flat = [
            m for m in flat if not (isinstance(m, type) and issubclass(m, pydantic.BaseModel))
        ]  # what the SDK answers with
    meant = [member for member in flat if _may_be(value, member)]
    if not meant:
        said = {key: value.get(key) for key in ("type", "role") if key in value} if isinstance(value, dict) else value
        raise Misfit(path, f"{said!r:.80} is none of {', '.join(getattr(m, '__name__', str(m)) for m in flat)}")
    misfits: list[Misfit] = []
    for member in meant:
        try:
            walk(value, member, path)
        except Misfit as misfit:
            misfits.append(misfit)
        else:
            return
    raise max(misfits, key=lambda misfit: len(misfit.path))  # who came farthest was meant


def _members(kind: Any) -> list[Any]:
    kind = _bare(kind)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return [inner for member in typing.get_args(kind) for inner in _members(member)]
    return [kind]


def _may_be(value: Any, kind: Any) -> bool:
    if kind in (Any, object):
        return True
    origin = typing.get_origin(kind)
    if typing_extensions.is_typeddict(kind):
        return isinstance(value, dict) and _bears(value, *_typed_dict(kind))
    if kind in _OBJECTS or origin in _OBJECTS or (isinstance(kind, type) and issubclass(kind, pydantic.BaseModel)):
        return isinstance(value, dict)
    if kind in _LISTS or origin in _LISTS or getattr(origin, "__name__", "") == "SequenceNotStr":
        return isinstance(value, list)
    return not isinstance(value, dict | list)


def _bears(value: Mapping[str, Any], kinds: Mapping[str, Any], required: frozenset[str]) -> bool:
    """Whether the value bears the literals by which a member of a union is known."""
    for key in ("type", "role"):
        literal = _bare(kinds[key]) if key in kinds else None
        if typing.get_origin(literal) is Literal:
            if key in value and value[key] not in typing.get_args(literal):
                return False
            if key not in value and key in required:
                return False
        elif literal is None and key in value:
            return False
    return True


def anthropic(body: Any) -> None:
    """Walk the body of a message request."""
    from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming

    walk(body, MessageCreateParamsStreaming if body.get("stream") else MessageCreateParamsNonStreaming)


def chat(body: Any) -> None:
    """Walk the body of a chat completion."""
    from openai.types.chat.completion_create_params import (
        CompletionCreateParamsNonStreaming,
        CompletionCreateParamsStreaming,
    )

    walk(body, CompletionCreateParamsStreaming if body.get("stream") else CompletionCreateParamsNonStreaming)


def responses(body: Any) -> None:
    """Walk the body of a response."""
    from openai.types.responses.response_create_params import (
        ResponseCreateParamsNonStreaming,
        ResponseCreateParamsStreaming,
    )
    from openai.types.responses.response_input_item_param import FunctionCallOutput

    if typing.get_type_hints(FunctionCallOutput)["output"] is str and isinstance(body.get("input"), list):
        # The oldest SDK's types know texts alone there; the API takes lists, as those of newer ones say.
        items = [{**item, "output": ""} if isinstance(item.get("output"), list) else item for item in body["input"]]
        body = {**body, "input": items}
    walk(body, ResponseCreateParamsStreaming if body.get("stream") else ResponseCreateParamsNonStreaming)


def google(body: Any) -> None:
    """Walk the body of `generateContent`. The SDK has one type for what stands in two places on the wire."""
    from google.genai import types as genai

    kinds, _ = _model(genai.GenerateContentConfig)
    outer = ("systemInstruction", "tools", "toolConfig", "safetySettings", "cachedContent", "labels", "serviceTier")
    unused = (
        "httpOptions",
        "shouldReturnHttpResponse",
        "automaticFunctionCalling",
        "modelSelectionConfig",
        "routingConfig",
    )
    inner = {name: kind for name, kind in kinds.items() if name not in (*outer, *unused)}
    inner["responseSchema"] = genai.Schema
    body_kinds = {
        **{name: kinds[name] for name in outer if name in kinds},
        "contents": list[genai.Content],
        "systemInstruction": genai.Content,
        "tools": list[genai.Tool],
    }
    rest = {name: value for name, value in body.items() if name != "generationConfig"}
    _fields(rest, body_kinds, ("contents",), "body")
    _fields(body.get("generationConfig", {}), inner, (), "body.generationConfig")


WALKS = {"anthropic": anthropic, "chat": chat, "responses": responses, "google": google}
"""The walk of each wire."""
