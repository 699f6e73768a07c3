"""Convert the call arguments of LangChain's chat models to the router's options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from langchain_multiroute.schemas import recursive_schema
from multiroute_core import ConfigurationError, parsing
from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.migration.answers import translate_call
from multiroute_core.options import NAMES
from multiroute_core.parsing.arguments import PARAMETERS

KNOWN = frozenset((*PARAMETERS, *NAMES))


def tool_dict(tool: Any, *, strict: bool | None = None) -> dict[str, Any]:
    """A tool in the OpenAI format, with provider-specific members added; a provider's built-in tool is unchanged.

    Raises:
        ConfigurationError: `tool` is not a valid tool.
    """
    extras: Mapping[str, Any] = (tool.extras or {}) if isinstance(tool, BaseTool) else {}
    if isinstance(own := extras.get("provider_tool_definition"), dict):
        return {**own}
    if (
        isinstance(tool, Mapping)
        and "function" not in tool
        and _is_vendor_tool(vendor_tool := cast("Mapping[str, Any]", tool))
    ):
        return {**vendor_tool}
    try:
        openai_tool = convert_to_openai_tool(cast("Any", tool), strict=strict)
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(f"{tool!r} is not a valid tool: {error}") from error
    if "function" in openai_tool and (schema := recursive_schema(tool)) is not None:
        openai_tool = {**openai_tool, "function": {**openai_tool["function"], "parameters": schema}}
    return openai_tool | {name: value for name, value in extras.items() if name in parsing.tools.EXTRAS}


def _is_vendor_tool(tool: Mapping[str, Any]) -> bool:
    """Whether a dict is a tool in a provider's format; otherwise it may still be a schema that LangChain supports."""
    try:
        return bool(parsing.tools.tools([tool]))
    except ConfigurationError:
        return False


def bound_tools(
    tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
    tool_choice: Any,
    parallel_tool_calls: bool | None,  # noqa: FBT001
    *,
    strict: bool | None = None,
) -> dict[str, Any]:
    """The keyword arguments to bind for these tools; empty without tools."""
    if not tools:
        if tool_choice in (None, "auto", "none", False):
            return {}
        raise ConfigurationError(f"tool_choice={tool_choice!r} requires a tool, but there are no tools.")
    bind_kwargs: dict[str, Any] = {"tools": [tool_dict(tool, strict=strict) for tool in tools]}
    if tool_choice is not None:
        tool_specs = [spec for tool in bind_kwargs["tools"] for spec in parsing.tools.tools([tool])]
        parsing.tools.tool_choice(tool_choice, tool_specs)  # validate now rather than on the first call
        bind_kwargs["tool_choice"] = tool_choice
    if parallel_tool_calls is not None:
        bind_kwargs["parallel_tool_calls"] = parallel_tool_calls
    return bind_kwargs


def options(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a call's keyword arguments to the router's names.

    Raises:
        ConfigurationError: a name is unknown (the message suggests the closest valid one), or two names are aliases.
    """
    call_options = {name: value for name, value in kwargs.items() if value is not None}
    strict = call_options.pop("strict", None)
    if not call_options.keys() <= KNOWN:
        call_options = translate_call(call_options, KNOWN)
    if (tools := call_options.pop("tools", None)) is not None and len(tools):
        call_options["tools"] = [tool if isinstance(tool, Mapping) else tool_dict(tool) for tool in tools]
    if (form := call_options.get("output_schema")) is not None:
        form = parsing.schemas.output_schema(form)
        call_options["output_schema"] = replace(form, strict=strict) if form and form.strict is None else form
    return call_options
