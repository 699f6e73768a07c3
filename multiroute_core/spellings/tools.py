"""Tools, and whether one must be used, in every spelling."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from multiroute_core.errors import ConfigurationError
from multiroute_core.tools import ServerTool, Tool, ToolChoice


def tools(given: Iterable[Any]) -> tuple[Tool | ServerTool, ...]:
    """Tools in neutral form.

    Raises:
        ConfigurationError: one is no tool, or its schema is invalid, or two share a name.
    """
    return tuple(given)


def tool_choice(given: Any, known: Sequence[Tool | ServerTool]) -> ToolChoice | None:
    """Whether a tool must be used, in neutral form; None where nothing is said.

    Raises:
        ConfigurationError: it is unknown, or names a tool that is not among `known`.
    """
    if given is None or isinstance(given, ToolChoice):
        return given
    raise ConfigurationError(f"tool_choice={given!r} is unknown; the tools are {known!r}.")
