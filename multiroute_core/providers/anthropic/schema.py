"""Adapts JSON schemas to Anthropic: closed for structured outputs and strict tools, nearly unchanged otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multiroute_core.providers.restoring import Shape
from multiroute_core.providers.schema_closing import Dialect, close
from multiroute_core.providers.schema_limits import SchemaSize
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
"""Sources: https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations, and what
the SDK's `transform_schema` keeps (anthropic 2.14.0); patterns follow the page. (2026-11-29)
"""

MOST_STRICT_TOOLS = 20
"""Maximum number of tools with `strict: true` in one request (same page, "Explicit limits")."""


class StrictBudget:
    """Remaining limits for the strict schemas of one request.

    "These limits apply to the combined total across all strict schemas in a single request" (same page). The output
    schema is counted first, then the tools in order.
    """

    __slots__ = ("_optional", "_tools", "_unions")

    def __init__(self, output_schema: Mapping[str, Any] | None) -> None:
        self._tools = self._optional = self._unions = 0
        if output_schema is not None:
            size = SchemaSize(output_schema)
            self._optional = size.optional
            self._unions = size.unions

    def add(self, schema: Mapping[str, Any]) -> None:
        """Count the closed schema of a tool.

        Raises:
            InexpressibleError: If it exceeds a limit; the schema is not counted and the message names the limit.
        """
        size = SchemaSize(schema)
        tools = self._tools + 1
        optional = self._optional + size.optional
        unions = self._unions + size.unions
        limits = (
            (tools, MOST_STRICT_TOOLS, "strict tools"),
            (optional, STRICT.most_optional, "optional properties"),
            (unions, STRICT.most_unions, "choices"),
        )
        for number, most, what in limits:
            if most is not None and number > most:
                raise InexpressibleError(f"more than {most} {what} in one request")
        self._tools = tools
        self._optional = optional
        self._unions = unions


def adapt_tool(
    tool: Tool, dropped: list[str], budget: StrictBudget, *, can_be_strict: bool
) -> tuple[Mapping[str, Any], bool, Shape]:
    """Return the schema of a tool's input, whether it is strict, and how calls are restored."""
    if tool.strict and can_be_strict:
        try:
            closed, shape = close(tool.parameters, STRICT, arguments=True)
            budget.add(closed)
        except InexpressibleError as error:
            dropped.append(f"strict of tool {tool.name}: structured outputs cannot state {error}")
        else:
            return closed, True, shape
    schema, shape = with_object_root({"type": "object", **tool.parameters}, "arguments")
    return schema, False, shape
