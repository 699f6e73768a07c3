"""JSON schemas as Anthropic takes them: strict for structured outputs and strict tools, others nearly as given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multiroute_core.providers.restoring import Shape
from multiroute_core.providers.schema_closing import Dialect, close
from multiroute_core.providers.schema_nodes import InexpressibleError
from multiroute_core.providers.schema_roots import with_object_root
from multiroute_core.tools import Tool

STRICT = Dialect(
    keywords=frozenset({"pattern", "format", "minItems"}),
    formats=frozenset(("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")),
    all_required=False,
    recursion=False,
    type_lists=False,
    most_min_items=1,
    most_optional=24,
    most_unions=16,
)
"""https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations, and what the SDK's
`transform_schema` keeps (anthropic 2.14.0; both read 2026-11-29)."""


def adapt_tool(tool: Tool, dropped: list[str], *, can_be_strict: bool) -> tuple[Mapping[str, Any], bool, Shape]:
    """The schema of a tool's input, whether it is kept strictly, and how calls are read back."""
    if tool.strict and can_be_strict:
        try:
            closed, shape = close(tool.parameters, STRICT, arguments=True)
        except InexpressibleError as error:
            dropped.append(f"strict of tool {tool.name}: structured outputs cannot state {error}")
        else:
            return closed, True, shape
    schema, shape = with_object_root({"type": "object", **tool.parameters}, "arguments")
    return schema, False, shape
