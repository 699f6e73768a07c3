"""JSON schemas as OpenAI's strict mode takes them, and in words for models that know no schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from multiroute_core.messages import Message, Text
from multiroute_core.providers.models import Model
from multiroute_core.providers.restoring import Shape
from multiroute_core.providers.schema_closing import Dialect, close
from multiroute_core.providers.schema_nodes import InexpressibleError
from multiroute_core.providers.schema_roots import with_object_root
from multiroute_core.tools import OutputSchema, Tool

STRICT = Dialect(
    keywords=frozenset(
        (
            *("pattern", "format", "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
            *("minItems", "maxItems"),
        )
    ),
    formats=frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}),
    all_required=True,
    recursion=True,
    type_lists=True,
    most_properties=5_000,
    most_depth=10,
    most_enum=1_000,
    most_text=120_000,
    most_enum_text=15_000,
)
"""https://developers.openai.com/api/docs/guides/structured-outputs#supported-schemas (2026-11-29)"""


def strict(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema of a tool's arguments as strict mode takes it; None where strict mode cannot state it."""
    try:
        return close(schema, STRICT, arguments=True)[0]
    except InexpressibleError:
        return None


def adapt_tool(tool: Tool, traits: Model, dropped: list[str]) -> tuple[Mapping[str, Any], bool | None, Shape]:
    """The schema of a tool's arguments, whether it is kept strictly, and how calls are read back.

    It is strict where that is asked for and strict mode can state it; otherwise `dropped` says why not.
    """
    if tool.strict:
        try:
            closed, shape = close(tool.parameters, STRICT, arguments=True)
        except InexpressibleError as error:
            dropped.append(f"strict of tool {tool.name}: strict mode cannot state {error}")
        else:
            return closed, True, shape
    is_strict = None if tool.strict is None else False
    if traits.provider == "local":  # it takes any schema
        return tool.parameters, is_strict, Shape()
    parameters, shape = with_object_root(tool.parameters, "arguments")
    return parameters, is_strict, shape


def adapt_form(form: OutputSchema | None, traits: Model, dropped: list[str]) -> tuple[OutputSchema | None, Shape]:
    """The form of the answer as it is asked for, and how the answer is read back.

    It is strict unless the caller says that it need not be: without `strict: true` OpenAI only shows the schema to the
    model. Where strict mode cannot state it, `dropped` says why.
    """
    if form is None or form.schema is None:
        return form, Shape()
    if traits.json_schema and (form.strict or (form.strict is None and traits.provider != "local")):
        try:
            closed, shape = close(form.schema, STRICT)
        except InexpressibleError as error:
            dropped.append(f"strict of the answer: strict mode cannot state {error}; the model is shown its schema")
        else:
            return replace(form, schema=closed, strict=True), shape
    is_strict = None if form.strict is None else False
    if traits.provider == "local":
        return replace(form, strict=is_strict), Shape()
    schema, shape = with_object_root(form.schema)
    return replace(form, schema=schema, strict=is_strict), shape


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
        schema_json = json.dumps(form.schema, ensure_ascii=False)
        words = f"Answer with a JSON object that follows this JSON schema, and nothing else:\n{schema_json}"
    if messages[0].role == "system":
        return (Message("system", [*messages[0].parts, Text(f"\n\n{words}")], messages[0].name), *messages[1:])
    return (Message("system", words), *messages)
