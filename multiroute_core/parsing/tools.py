"""Tools and tool choice, parsed from all supported formats."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, cast

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.errors import ConfigurationError
from multiroute_core.messages import Api
from multiroute_core.options import unknown
from multiroute_core.parsing import json_schema
from multiroute_core.parsing.reading import camel
from multiroute_core.tools import ServerTool, Tool, ToolChoice

SERVER_TOOLS: tuple[tuple[str, Api], ...] = (
    ("*_20[0-9][0-9][01][0-9][0-3][0-9]", "anthropic"),
    ("tool_search_tool_*", "anthropic"),
    ("mcp_toolset", "anthropic"),
    ("web_search*", "openai.responses"),
    ("file_search", "openai.responses"),
    ("code_interpreter", "openai.responses"),
    ("image_generation", "openai.responses"),
    ("mcp", "openai.responses"),
    ("computer", "openai.responses"),
    ("computer_use*", "openai.responses"),
    ("local_shell", "openai.responses"),
    ("shell", "openai.responses"),
    ("apply_patch", "openai.responses"),
    ("tool_search", "openai.responses"),
    ("programmatic_tool_calling", "openai.responses"),
    ("namespace", "openai.responses"),
    ("custom", "openai.responses"),
)
"""Patterns of the `type` of server tools, and the API they belong to; the first match wins. Anthropic dates its own."""

GEMINI_TOOLS = {
    "codeExecution",
    "computerUse",
    "enterpriseWebSearch",
    "exaAiSearch",
    "fileSearch",
    "googleMaps",
    "googleSearch",
    "googleSearchRetrieval",
    "mcpServers",
    "parallelAiSearch",
    "retrieval",
    "urlContext",
}
"""Gemini's server tools; each is a key of its own."""

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "cache_control": ("anthropic",),
    "input_examples": ("anthropic",),
    "eager_input_streaming": ("anthropic",),
    "allowed_callers": ("anthropic", "openai"),
    "defer_loading": ("anthropic", "openai"),
    "async": ("openai",),
    "behavior": ("google",),
    "response": ("google",),
    "responseJsonSchema": ("google",),
}
"""The providers that accept a field, whatever the format around it."""

MODES = {
    "auto": "auto",
    "none": "none",
    "required": "required",
    "any": "required",
    "AUTO": "auto",
    "NONE": "none",
    "ANY": "required",
    "REQUIRED": "required",
    "VALIDATED": "auto",
    "MODE_UNSPECIFIED": "auto",
}
"""Tool choice modes of all supported formats."""

_PARAMETERS = ("parameters", "parametersJsonSchema", "parameters_json_schema", "input_schema")
_EMPTY: Mapping[str, Any] = {"type": "object", "properties": {}}


def tools(definitions: Iterable[Any]) -> tuple[Tool | ServerTool, ...]:
    """Parse tools.

    Accepts `Tool`s and `ServerTool`s, the dicts of OpenAI (Chat Completions and Responses), Anthropic and Gemini, JSON
    schemas with a title, pydantic models, dataclasses, and functions with annotations.

    Raises:
        ConfigurationError: A value is not a tool, its schema is invalid, or two tools share a name.
    """
    if isinstance(definitions, str | Mapping) or not isinstance(cast("Any", definitions), Iterable):
        raise ConfigurationError(f"tools is a {type(cast('Any', definitions)).__name__}; expected a list of tools.")
    neutral_tools = tuple(_checked(tool) for one in definitions for tool in _read(one))
    names: set[str] = set()
    for name in (tool.name if isinstance(tool, Tool) else tool.body.get("name") for tool in neutral_tools):
        if name in names:
            raise ConfigurationError(f"Two tools are named {name!r}; tool names must be unique.")
        if isinstance(name, str):
            names.add(name)
    return neutral_tools


def tool_choice(raw_choice: Any, available_tools: Sequence[Tool | ServerTool]) -> ToolChoice | None:
    """Parse the tool choice; None if it is not set.

    Raises:
        ConfigurationError: The choice is unknown, or names a tool that is not among `available_tools`.
    """
    choice = _choice(raw_choice, available_tools)
    if choice is None or choice.mode in ("auto", "none"):
        return choice if available_tools else None  # without tools it has no effect, and providers reject it
    if not available_tools:
        raise ConfigurationError(
            f"tool_choice={raw_choice!r} requires a tool, but there are no tools; pass tools=[...] too."
        )
    names = [name for tool in available_tools for name in _names(tool)]
    if choice.mode == "tool" and choice.name not in names:
        raise unknown("tool in tool_choice", choice.name, names)
    return choice


def parallel(raw_choice: Any) -> bool | None:
    """Whether a `tool_choice` in Anthropic's format allows several calls at once; None if it does not specify."""
    disable_flag = (
        cast("Mapping[str, Any]", raw_choice).get("disable_parallel_tool_use")
        if isinstance(raw_choice, Mapping)
        else None
    )
    return not disable_flag if isinstance(disable_flag, bool) else None


def _read(definition: Any) -> Iterator[Tool | ServerTool]:
    if isinstance(definition, Tool | ServerTool):
        yield definition
    elif isinstance(definition, Mapping):
        yield from _of_mapping(cast("Mapping[str, Any]", definition))
    elif isinstance(definition, type):
        yield _titled(json_schema.of_class(cast("type[Any]", definition)), definition.__name__)
    elif callable(definition) and hasattr(definition, "__name__"):
        described = inspect.cleandoc(getattr(definition, "__doc__", None) or "")
        yield Tool(definition.__name__, described, json_schema.of_function(cast("Callable[..., Any]", definition)))
    else:
        raise ConfigurationError(
            f"A tool is a {type(definition).__name__}; expected a Tool, a provider's dict, a pydantic model "
            "or a function."
        )


def _of_mapping(definition: Mapping[str, Any]) -> Iterator[Tool | ServerTool]:
    kind = definition.get("type")
    function = definition.get("function")
    if isinstance(function, Mapping):
        around = {name: value for name, value in definition.items() if name not in ("type", "function")}
        yield _declared({**cast("Mapping[str, Any]", function), **around}, "openai")
    elif kind == "function":
        yield _declared({name: value for name, value in definition.items() if name != "type"}, "openai")
    elif "input_schema" in definition:
        yield _declared({name: value for name, value in definition.items() if name != "type"}, "anthropic")
    elif kind == "custom" and "custom" in definition:
        yield ServerTool("openai.chat", definition)
    elif isinstance(kind, str) and (wire := _vendor(kind)):
        yield ServerTool(wire, definition)
    elif isinstance(definition.get("title"), str) and "properties" in definition:
        yield _titled(definition, definition["title"])
    elif isinstance(definition.get("name"), str) and kind is None:
        yield _declared(definition, "google")
    elif definition and all(camel(name) in {*GEMINI_TOOLS, "functionDeclarations"} for name in definition):
        yield from _of_gemini(definition)
    else:
        keys = f"the keys {', '.join(map(repr, definition))}" if definition else "no keys"
        raise ConfigurationError(
            f"A tool with {keys} has an unknown format; expected its name, description and parameters, or a "
            "provider's own "
            "tool as ServerTool(api, body)."
        )


def _vendor(kind: str) -> Api | None:
    """Return the API that a server tool's type belongs to."""
    return next((wire for pattern, wire in SERVER_TOOLS if fnmatchcase(kind, pattern)), None)


def _of_gemini(definition: Mapping[str, Any]) -> Iterator[Tool | ServerTool]:
    """Parse Gemini's `Tool`, which may contain several tools."""
    for name, value in definition.items():
        if camel(name) != "functionDeclarations":
            yield ServerTool("google", {camel(name): value})
            continue
        if not isinstance(value, list | tuple):
            raise ConfigurationError(f"{name} is a {type(value).__name__}; expected a list of dicts.")
        for one in cast("Iterable[Any]", value):
            if not isinstance(one, Mapping):
                raise ConfigurationError(f"A function declaration is a {type(one).__name__}; expected a dict.")
            yield _declared(cast("Mapping[str, Any]", one), "google")


def _declared(declaration: Mapping[str, Any], vendor: str) -> Tool:
    """Parse a function declaration in a provider's format; provider-specific fields go into the extras."""
    schema = next((value for name in _PARAMETERS if (value := declaration.get(name)) is not None), _EMPTY)
    extras: dict[str, dict[str, Any]] = {}
    for name, value in declaration.items():
        if name not in (*_PARAMETERS, "name", "description", "strict") and value is not None:
            for owner in _owners(name, value, vendor):
                extras.setdefault(owner, {})[name] = value
    strict = declaration.get("strict")
    if strict is not None and not isinstance(strict, bool):
        raise ConfigurationError(
            f"Tool {declaration.get('name')!r}: strict={strict!r} is not valid; expected True or False."
        )
    return Tool(declaration.get("name", ""), declaration.get("description") or "", schema, strict, extras)


def _owners(name: str, value: Any, vendor: str) -> tuple[str, ...]:
    """Return the providers that accept a field of a tool; callers have provider-specific names."""
    if name == "allowed_callers" and isinstance(value, list | tuple):
        words = [str(one) for one in cast("Sequence[Any]", value)]
        if any(word.startswith("code_execution") for word in words):
            return ("anthropic",)
        if "programmatic" in words:
            return ("openai",)
    return EXTRAS.get(name, (vendor,))


def _titled(schema: Mapping[str, Any], name: str) -> Tool:
    """Parse a JSON schema whose title is the tool's name."""
    inside = {key: value for key, value in schema.items() if key not in ("title", "description")}
    return Tool(name, schema.get("description") or "", inside)


def _checked(tool: Tool | ServerTool) -> Tool | ServerTool:
    if isinstance(tool, ServerTool):
        return tool
    name = cast("Any", tool.name)
    schema = cast("Any", tool.parameters)
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError(f"Tool {name!r}: its name must be a non-empty string.")
    if not isinstance(cast("Any", tool.description), str):
        raise ConfigurationError(f"Tool {name!r}: its description must be a string.")
    if json_schema.is_gemini(schema):
        schema = json_schema.of_gemini(schema)
    json_schema.check(schema, f"The schema of tool {name!r}")
    if "$ref" in schema:
        schema = json_schema.rooted(schema)
    if "type" not in schema or "properties" not in schema:
        schema = {**_EMPTY, **schema}
    if schema["type"] != "object":
        kind = schema["type"]
        raise ConfigurationError(f"Tool {name!r}: its parameters are of type {kind!r}; they must be an 'object'.")
    return tool if schema is tool.parameters else replace(tool, parameters=schema)


def _choice(raw_choice: Any, available_tools: Sequence[Tool | ServerTool]) -> ToolChoice | None:
    match raw_choice:
        case None | ToolChoice():
            return raw_choice
        case bool():
            return ToolChoice("required" if raw_choice else "none")
        case str() if raw_choice in MODES:
            return ToolChoice(cast("Any", MODES[raw_choice]))
        case str():
            if raw_choice in {name for tool in available_tools for name in _names(tool)}:
                return ToolChoice("tool", raw_choice)
            if not available_tools:
                raise ConfigurationError(
                    f"tool_choice={raw_choice!r} names a tool, but there are no tools; pass tools=[...] too."
                )
            raise unknown(
                "tool_choice",
                raw_choice,
                ["auto", "none", "required", *(n for t in available_tools for n in _names(t))],
            )
        case {"functionCallingConfig": config} | {"function_calling_config": config} if isinstance(config, Mapping):
            return _gemini_choice(cast("Mapping[str, Any]", config))
        case {"mode": str()} if "type" not in raw_choice:
            return _gemini_choice(cast("Mapping[str, Any]", raw_choice))
        case {"type": "allowed_tools"}:
            config = raw_choice.get("allowed_tools")
            return _openai_choice(cast("Mapping[str, Any]", config if isinstance(config, Mapping) else raw_choice))
        case {"function": {"name": str(name)}} | {"custom": {"name": str(name)}} | {"name": str(name)}:
            return ToolChoice("tool", name)
        case {"type": str(kind)}:
            return ToolChoice(cast("Any", MODES[kind])) if kind in MODES else ToolChoice("tool", kind)
        case _:
            raise ConfigurationError(
                f"tool_choice={raw_choice!r} is not valid; expected 'auto', 'none', 'required' or a tool's name."
            )


def _openai_choice(config: Mapping[str, Any]) -> ToolChoice:
    allowed = config.get("tools")
    listed = cast("Sequence[Any]", allowed) if isinstance(allowed, list | tuple) else ()
    return _among(config.get("mode"), [_choice(one, ()) for one in listed])


def _gemini_choice(config: Mapping[str, Any]) -> ToolChoice:
    allowed = config.get("allowedFunctionNames") or config.get("allowed_function_names")
    listed = cast("Sequence[Any]", allowed) if isinstance(allowed, list | tuple) else ()
    return _among(config.get("mode", "AUTO"), [ToolChoice("tool", name) for name in listed])


def _among(mode: Any, allowed: Sequence[ToolChoice | None]) -> ToolChoice:
    """Build a choice among some of the tools: a required choice of one tool selects it, others keep only the mode."""
    word = str(getattr(mode, "value", mode))
    if word not in MODES:
        raise unknown("mode in tool_choice", word, MODES)
    one = allowed[0] if len(allowed) == 1 and MODES[word] == "required" else None
    return one or ToolChoice(cast("Any", MODES[word]))


def _names(tool: Tool | ServerTool) -> tuple[str, ...]:
    """Return the names that a choice may use for a tool: a server tool is identified by its name, label or type."""
    if isinstance(tool, Tool):
        return (tool.name,)
    names = tuple(tool.body[key] for key in ("name", "server_label", "type") if isinstance(tool.body.get(key), str))
    match tool.body.get("custom"):
        case {"name": str(name)}:  # a custom tool in Chat Completions format
            return (name, *names)
        case _:
            return names
