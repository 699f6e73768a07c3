"""Cache keys: a SHA-256 over everything that may change the response, and nothing else. Pure.

Keys compare meaning. They ignore the order of arguments and of dict keys, whether a number is `0` or `0.0`, the ids
that link tool calls to their results, and prompt cache marks. A part's raw form counts, since its provider reads it. No
route's key or password is included; the values of `extra_headers` are, as part of the hash, and so is the tenant.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass, replace
from operator import attrgetter
from typing import Any, cast

import msgspec

from multiroute_core._util.redaction import bare_url
from multiroute_core.messages import (
    CachePoint,
    InvalidToolCall,
    Message,
    Raw,
    Text,
    ToolCall,
    ToolCallResponse,
    every,
)
from multiroute_core.route import Route
from multiroute_core.types import Request

VERSION = 1
"""Part of every key: an older MultiRoute may have interpreted the same request differently."""

EXACT = 2**53
"""Up to this bound, a float with an integer value equals that integer."""


class UnkeyableError(Exception):
    """A request contains a value without a canonical form, such as an object in provider-specific options."""


def key(request: Request, among: str, tenant: str | None) -> str:
    """Return the cache key of a request: 64 hex digits.

    Args:
        request: The request.
        among: The candidates: the result of `models`, or the user's `namespace` instead.
        tenant: The tenant.

    Raises:
        UnkeyableError: The request contains a value without a canonical form.
    """
    payload = {"version": VERSION, "among": among, "tenant": tenant, "request": _Canon(request).to_dict()}
    try:
        return hashlib.sha256(msgspec.json.encode(payload, order="sorted")).hexdigest()
    except (TypeError, ValueError, OverflowError) as error:  # such as a lone surrogate
        raise UnkeyableError(str(error)) from error


def scope(request: Request, among: str, tenant: str | None) -> tuple[str, str] | None:
    """Return the key of everything except the user's last message, and its text; None if that is not plain text."""
    last = request.messages[-1]
    if last.role != "user" or not last.text.strip() or not all(isinstance(part, Text) for part in last.parts):
        return None
    context = replace(request, messages=(*request.messages[:-1], Message("user", "", last.name)))
    return key(context, among, tenant), last.text


def models(routes: Iterable[Route]) -> str:
    """Return the candidates in canonical form: the set of models and addresses, regardless of order and route names."""
    return msgspec.json.encode(sorted({_model(route) for route in routes})).decode()


def _model(route: Route) -> tuple[str, ...]:
    address = bare_url(route.base_url or "")  # it may contain a password
    identity = (route.provider, route.model, address, route.api or "")
    # A framework model has settings of its own; its wrapper provides a fingerprint of them.
    return identity if route.llm is None else (*identity, str(getattr(route.llm, "fingerprint", route.name)))


class _Canon:
    """The canonical JSON form of one request.

    Lists begin with a tag for their type, and only mappings become objects, so that different values never have the
    same form.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._ids: dict[str, int] = {}
        self._in_raw = False

    def to_dict(self) -> dict[str, Any]:
        request = self._request
        messages = _plain_texts(request.messages)
        if messages is None:
            for part in every(request.messages):
                if type(part) in _TIED:
                    self._ids.setdefault(cast("ToolCall", part).id, len(self._ids))
            messages = [self._message(message) for message in request.messages]
        form: dict[str, Any] = {"messages": messages}
        values = _SAID(request)
        if values != _UNSAID:
            for name, value, default in zip(_NAMES, values, _UNSAID, strict=True):
                if value != default:
                    form[name] = self.plain(value)
        return form

    def _message(self, message: Message) -> list[Any]:
        parts = [self.plain(part) for part in message.parts if type(part) is not CachePoint]
        return [message.role if message.name is None else ["named", message.role, message.name], *parts]

    def plain(self, value: Any) -> Any:
        kind = cast("type[Any]", type(value))
        if (make := _PLAIN.get(kind)) is not None:
            return make(self, value)
        for base in kind.__mro__:
            if (make := _PLAIN.get(base)) is not None:
                return make(self, value)
        if is_dataclass(kind):
            return self.record(value)
        if isinstance(value, Mapping):
            return self.mapping(cast("Mapping[Any, Any]", value))
        raise UnkeyableError(f"A {kind.__name__} cannot be part of a cache key.")

    def text(self, value: Text) -> Any:
        return ["t", value.text] if value.raw is None else self.record(value)

    def record(self, value: Any) -> Any:
        entries = {
            name: self._id(inner) if name == "id" else self.plain(inner)
            for name, default in _fields(cast("type[Any]", type(value)))
            if (inner := getattr(value, name)) != default
        }
        return [type(value).__name__, entries]

    def raw(self, value: Raw) -> Any:
        """The raw form, without the provider's ids of the part and of its message."""
        self._in_raw = True
        body = self.mapping({name: inner for name, inner in value.body.items() if name != "id"})
        self._in_raw = False
        return ["Raw", value.api, body]

    def _id(self, value: Any) -> Any:
        return ["id", self._ids[value]] if value in self._ids else self.plain(value)

    def mapping(self, value: Mapping[Any, Any]) -> Any:
        if all(type(name) is str for name in value):
            return {name: self.plain(inner) for name, inner in value.items()}
        pairs = [[self.plain(name), self.plain(inner)] for name, inner in value.items()]
        return ["pairs", *sorted(pairs, key=lambda pair: msgspec.json.encode(pair, order="sorted"))]

    def string(self, value: str) -> Any:
        return ["id", self._ids[value]] if self._in_raw and value in self._ids else str(value)

    def listed(self, value: Collection[Any]) -> Any:
        return ["l", *map(self.plain, value)]

    def unordered(self, value: Collection[Any]) -> Any:
        return ["s", *sorted(map(self.plain, value), key=lambda one: msgspec.json.encode(one, order="sorted"))]

    def number(self, value: float) -> Any:
        if not math.isfinite(value):
            return ["f", repr(value)]
        return int(value) if value.is_integer() and abs(value) < EXACT else float(value)

    def whole_number(self, value: int) -> Any:
        return int(value) if abs(value) < EXACT else ["i", str(int(value))]

    def data(self, value: bytes) -> Any:
        return ["b", hashlib.sha256(value).hexdigest()]

    def same(self, value: Any) -> Any:
        return value


def _plain_texts(messages: Sequence[Message]) -> list[Any] | None:
    """Return the form of messages with one plain text each, as `_Canon` would build it; None for other messages.

    A fast path: most requests have only such messages.
    """
    entries: list[Any] = []
    for message in messages:
        parts = message.parts
        if len(parts) != 1 or type(only := parts[0]) is not Text or only.raw is not None or message.name:
            return None
        entries.append([message.role, ["t", only.text]])
    return entries


_PLAIN: Mapping[Any, Callable[[_Canon, Any], Any]] = {
    str: _Canon.string,
    bool: _Canon.same,
    type(None): _Canon.same,
    int: _Canon.whole_number,
    float: _Canon.number,
    bytes: _Canon.data,
    list: _Canon.listed,
    tuple: _Canon.listed,
    dict: _Canon.mapping,
    set: _Canon.unordered,
    frozenset: _Canon.unordered,
    Text: _Canon.text,
    Raw: _Canon.raw,
}

_KNOWN: dict[type[Any], tuple[tuple[str, Any], ...]] = {}


def _fields(kind: type[Any]) -> tuple[tuple[str, Any], ...]:
    """Return the names and defaults of a dataclass's fields; a field with its default is omitted from the key."""
    if (field_defaults := _KNOWN.get(kind)) is None:
        field_defaults = _KNOWN[kind] = tuple(
            (f.name, f.default_factory() if f.default_factory is not MISSING else f.default) for f in fields(kind)
        )
    return field_defaults


_APART = ("messages", "prompt_cache")
"""Fields of a request that are keyed apart, or change only its cost."""
_NAMES = tuple(name for name, _ in _fields(Request) if name not in _APART)
_UNSAID = tuple(default for name, default in _fields(Request) if name not in _APART)
_SAID = attrgetter(*_NAMES)
_TIED = frozenset({ToolCall, InvalidToolCall, ToolCallResponse})
"""The parts that are linked by an id."""
