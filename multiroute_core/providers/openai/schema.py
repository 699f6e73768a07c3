"""Adapts JSON schemas to OpenAI's strict mode, or to an instruction for models without schema support."""

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
    """Return the schema of a tool's arguments for strict mode; None if strict mode cannot express it."""
    try:
        return close(schema, STRICT, arguments=True)[0]
    except InexpressibleError:
        return None


def adapt_tool(tool: Tool, traits: Model, dropped: list[str]) -> tuple[Mapping[str, Any], bool | None, Shape]:
    """Return the schema of a tool's arguments, whether it is strict, and how calls are restored.

    It is strict if requested and if strict mode can express it; otherwise `dropped` gets the reason.
    """
    if tool.strict:
        try:
            closed, shape = close(tool.parameters, STRICT, arguments=True)
        except InexpressibleError as error:
            dropped.append(f"strict of tool {tool.name}: strict mode cannot state {error}")
        else:
            return closed, True, shape
    is_strict = None if tool.strict is None else False
    if traits.provider == "local":  # local servers accept any schema
        return tool.parameters, is_strict, Shape()
    parameters, shape = with_object_root(tool.parameters, "arguments")
    return parameters, is_strict, shape


def adapt_form(form: OutputSchema | None, traits: Model, dropped: list[str]) -> tuple[OutputSchema | None, Shape]:
    """Return the output schema to send, and how the response is restored.

    It is strict unless the caller opts out: without `strict: true`, OpenAI only shows the schema to the model. If
    strict mode cannot express it, `dropped` gets the reason.
    """
    if form is None or form.schema is None:
        return form, Shape()
    if traits.json_schema and (form.strict or (form.strict is None and traits.provider != "local")):
        try:
            closed, shape = close(form.schema, STRICT)
        except InexpressibleError as error:
            dropped.append(
                f"strict of the answer: strict mode cannot state {error}; an instruction contains the schema"
            )
        else:
            return replace(form, schema=closed, strict=True), shape
    is_strict = None if form.strict is None else False
    if traits.provider == "local":
        return replace(form, strict=is_strict), Shape()
    schema, shape = with_object_root(form.schema)
    return replace(form, schema=schema, strict=is_strict), shape


def in_words(messages: tuple[Message, ...], form: OutputSchema | None, traits: Model) -> tuple[Message, ...]:
    """Return the messages, with the output schema appended to the system message if needed.

    It is needed if the model supports no schemas. JSON mode also requires the word JSON in the messages.
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
