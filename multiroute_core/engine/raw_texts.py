"""Texts within provider-specific JSON: what a model reads in a raw form, without ids, types and encrypted data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from multiroute_core._util.json_text import load_json
from multiroute_core.messages import InvalidToolCall, Part, Reasoning, Text, ToolCall, ToolCallResponse

_OPAQUE_KEYS = frozenset(
    {
        *("type", "id", "index", "name", "role", "status", "phase", "caller", "source", "url", "uri", "logprobs"),
        *("call_id", "tool_use_id", "tool_call_id", "file_id", "container_id", "encrypted", "data", "signature"),
        *("thoughtSignature", "thought_signature", "mime_type", "mimeType", "media_type", "namespace"),
    }
)
"""Keys under which providers send names, ids, addresses, signatures and encrypted data."""

_OWN_KEYS = frozenset({"input", "args", "arguments", "parameters", "response"})
"""Keys below which the tools choose the keys, so that none of them is opaque."""

_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z_$.-]*[0-9]{0,3}")


def is_opaque(key: object) -> bool:
    """Whether a provider's value under this key is no text for the model."""
    return key in _OPAQUE_KEYS or str(key).startswith("encrypted_")


def has_own_keys(key: object) -> bool:
    """Whether the tools choose the keys below this one."""
    return key in _OWN_KEYS


def is_identifier(key: object) -> bool:
    """Whether a key is a name of a parameter rather than a text, such as an address or a number."""
    return not isinstance(key, str) or _IDENTIFIER.fullmatch(key) is not None


def texts_of_json(value: Any, *, opaque_keys: bool = True) -> Iterator[str]:
    """Yield the texts in a provider's JSON value; those of JSON within a text, such as arguments, one by one.

    Args:
        value: The value.
        opaque_keys: Whether to leave out the values under opaque keys.

    Example:
        >>> [*texts_of_json({"type": "tool_use", "id": "toolu_1", "input": {"type": "mail", "to": ["ada"]}})]
        ['mail', 'ada']
    """
    if isinstance(value, str):
        if value:
            yield value
    elif isinstance(value, Mapping):
        for key, inner in cast("Mapping[Any, Any]", value).items():
            if has_own_keys(key):
                yield from texts_of_json(_parse(inner), opaque_keys=False)
            elif not opaque_keys or not is_opaque(key):
                if not opaque_keys and not is_identifier(key):
                    yield key
                yield from texts_of_json(inner, opaque_keys=opaque_keys)
    elif isinstance(value, list | tuple):
        for inner in cast("list[Any]", value):
            yield from texts_of_json(inner, opaque_keys=opaque_keys)


def texts_of_part(part: Part) -> Iterator[str]:
    """Yield the texts of a part, without its raw form."""
    if isinstance(part, Text | Reasoning):
        yield part.text
    elif isinstance(part, ToolCall):
        yield from texts_of_json(part.arguments, opaque_keys=False)
    elif isinstance(part, InvalidToolCall):
        yield part.arguments
    elif isinstance(part, ToolCallResponse):
        for inner in part.parts:
            yield from texts_of_part(inner)


def _parse(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return load_json(value)
        except ValueError:
            return value
    return value
