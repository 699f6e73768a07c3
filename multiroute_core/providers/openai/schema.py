"""JSON schemas as OpenAI's strict mode takes them, and in words for models that know no schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from multiroute_core.messages import Message, Text
from multiroute_core.providers.body import array, mapping
from multiroute_core.providers.models import Model
from multiroute_core.tools import OutputSchema

_REFUSED = ("default", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties")
_SAYS_WHAT = {"type", "$ref", "anyOf", "enum", "const"}
_DEFINITIONS = {"$defs", "definitions"}


def strict(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """A copy of `schema` whose objects are closed and need all their properties, as strict mode demands.

    None where the schema lets a value be anything, or an object hold anything: strict mode has no words for that.
    """
    an_object = schema.get("type", "object") == "object" and not schema.keys() & {"$ref", "anyOf"}
    top: dict[str, Any] = {**({"type": "object", "properties": {}} if an_object else {}), **schema}
    try:
        return _closed(top, top, ())
    except _OpenError:
        return None


def adapted(
    schema: Mapping[str, Any], *, asked: bool | None, what: str, dropped: list[str]
) -> tuple[Mapping[str, Any], bool | None]:
    """`schema`, and whether it is kept strictly, as `asked` where that can be; otherwise the reason is recorded."""
    if not asked:
        return schema, asked
    if (closed := strict(schema)) is not None:
        return closed, True
    dropped.append(f"strict of {what}: the schema lets a value be anything")
    return schema, False


def in_words(messages: tuple[Message, ...], form: OutputSchema | None, traits: Model) -> tuple[Message, ...]:
    """The messages, with the form of the answer told at the end of the system message where that is needed.

    It is where the model knows no schemas; and JSON mode is refused where nobody says JSON.
    """
    if form is None:
        return messages
    if form.schema is None:
        if any("json" in message.text.lower() for message in messages):
            return messages
        words = "Answer with a JSON object and nothing else."
    elif traits.json_schema:
        return messages
    else:
        told = json.dumps(form.schema, ensure_ascii=False)
        words = f"Answer with a JSON object that follows this JSON schema, and nothing else:\n{told}"
    if messages[0].role == "system":
        return (Message("system", [*messages[0].parts, Text(f"\n\n{words}")], messages[0].name), *messages[1:])
    return (Message("system", words), *messages)


class _OpenError(Exception):
    """Something may be anything."""


def _closed(node: Any, root: Mapping[str, Any], within: tuple[str, ...]) -> dict[str, Any]:
    """`node` closed; `within` are the references that led to it."""
    made = {name: value for name, value in mapping(node).items() if name not in _REFUSED}
    if isinstance(ref := made.get("$ref"), str) and (beside := {k: v for k, v in made.items() if k != "$ref"}):
        if (
            beside.keys() - _DEFINITIONS and ref not in within
        ):  # a reference stands alone, or what it means stands there
            return _closed({**_found(root, ref), **beside}, root, (*within, ref))
        made = {k: v for k, v in made.items() if k == "$ref" or k in _DEFINITIONS}
    if "oneOf" in made:
        made["anyOf"] = made.pop("oneOf")
    if "allOf" in made:
        whole = array(made.pop("allOf"))
        if len(whole) > 1:
            raise _OpenError
        return _closed({**mapping(whole[0] if whole else None), **made}, root, within)
    if not made.keys() & _SAYS_WHAT:
        raise _OpenError
    kinds = made.get("type")
    if "object" in (cast("list[Any]", kinds) if isinstance(kinds, list) else [kinds]):
        if "properties" not in made or isinstance(made.get("additionalProperties"), dict):
            raise _OpenError
        made |= {"additionalProperties": False, "required": list(mapping(made["properties"]))}
    for name in ("anyOf", "prefixItems"):
        if name in made:
            made[name] = [_closed(one, root, within) for one in array(made[name])]
    for name in ("properties", *_DEFINITIONS):
        if name in made:
            made[name] = {key: _closed(one, root, within) for key, one in mapping(made[name]).items()}
    if "items" in made:
        made["items"] = _closed(made["items"], root, within)
    return made


def _found(root: Mapping[str, Any], ref: str) -> Mapping[str, Any]:
    """What a reference within the schema points to."""
    found: Any = root
    for step in ref.removeprefix("#").strip("/").split("/"):
        found = mapping(found).get(step.replace("~1", "/").replace("~0", "~"))
    return mapping(found)
