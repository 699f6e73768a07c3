"""Error messages for other libraries' arguments: the line to write instead."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.errors import ConfigurationError, unknown
from multiroute_core.migration.actions import (
    Action,
    Invert,
    LeaveOut,
    Owner,
    ProviderKey,
    ProviderOption,
    Rename,
    RouteSetting,
    Write,
    WriteCall,
)
from multiroute_core.migration.names import BY_NAME
from multiroute_core.migration.rendering import render_call, render_value

_CALLS: Mapping[str, Mapping[str, str]] = {
    "ChatMultiRoute": {
        "system": "{call}.invoke([('system', {value}), ('user', 'Hello')])",
        "output_schema": "{call}.with_structured_output({value})",
    },
    "MultiRoute": {
        "system": "{call}.chat([ChatMessage(role='system', content={value}), ChatMessage('Hello')])",
        "output_schema": "{call}.as_structured_llm({value})",
    },
}
"""Lines for options that a framework's model takes in a method of its own."""


def answer(owner: Owner, name: str, line: str, reason: str = "") -> ConfigurationError:
    """Build the error for an argument that is written differently; its text ends with the line to write."""
    what = "A call takes no option" if owner == "call" else f"{owner} takes no argument"
    return ConfigurationError(f"{what} {name}{f': {reason}' if reason else ''}; write {line}")


def leave_out(owner: Owner, name: str, reason: str) -> ConfigurationError:
    """Build the error for an argument that has no counterpart."""
    what = "A call takes no option" if owner == "call" else f"{owner} takes no argument"
    return ConfigurationError(f"{what} {name}: {reason}; leave it out.")


def conflict(first: str, second: str) -> ConfigurationError:
    """Build the error for two names of one argument."""
    return ConfigurationError(f"{first} and {second} mean the same; pass only one of them.")


def is_accepted(action: LeaveOut, value: Any) -> bool:
    """Whether a value describes what happens anyway; True and 1 differ."""
    return any(type(value) is type(one) and value == one for one in action.accepted)


def in_a_call(owner: Owner, name: str, option: str, value: Any, others: Mapping[str, Any]) -> ConfigurationError:
    """Build the error for an option of a call that was given to a constructor.

    Args:
        owner: The constructor.
        name: The name that was given.
        option: The option of the call.
        value: The value that was given.
        others: The other arguments of the constructor.
    """
    line = _CALLS.get(owner, {}).get(option, f"{{call}}.generate('Hello', {option}={{value}})")
    code = line.format(call=render_call(owner, others), value=render_value(name, value))
    return answer(owner, name, code, "it is an option of a call")


def provider_option(action: ProviderOption, name: str, value: Any, provider: str) -> tuple[dict[str, Any], str]:
    """Return the value of `extra` for an option of one provider, and the same as code."""
    shown = render_value(name, value)
    if action.field is None:
        return {provider: value}, f"{{{provider!r}: {shown}}}"
    if action.header:
        if isinstance(value, list | tuple):
            value = ",".join(map(str, cast("list[Any]", value)))
            shown = repr(value)
        return (
            {provider: {action.field: {action.header: value}}},
            f"{{{provider!r}: {{{action.field!r}: {{{action.header!r}: {shown}}}}}}}",
        )
    return {provider: {action.field: value}}, f"{{{provider!r}: {{{action.field!r}: {shown}}}}}"


def written(action: Write, name: str, value: Any, model: str | None) -> str:
    """Return the value of the argument to write, as code."""
    code = action.code
    if action.values is not None and isinstance(value, str):
        code = action.values.get(value, code)
    texts = {"value": render_value(name, value), "text": str(value), "route": repr(model or "openai:gpt-6.1-sol")}
    for place, text in texts.items():
        code = code.replace(f"{{{place}}}", text)
    return code


def translate_call(arguments: Mapping[str, Any], accepted: Collection[str]) -> dict[str, Any]:
    """Return the options of a call with other libraries' names replaced.

    Args:
        arguments: The options; at least one name is unknown.
        accepted: The names of the options.

    Raises:
        ConfigurationError: A name is unknown (the message suggests the closest one), or written differently.
    """
    options = {name: value for name, value in arguments.items() if name in accepted}
    for name, value in arguments.items():
        if name in accepted:
            continue
        row = BY_NAME.get(name)
        if row is None:
            raise unknown("option", name, accepted)
        if value is None:
            continue
        option = _call_option(row.action, name, value, accepted)
        if option is None:
            continue
        if options.get(option) is not None:
            raise conflict(name, option)
        options[option] = value
    return options


def _call_option(action: Action, name: str, value: Any, accepted: Collection[str]) -> str | None:
    """Return the option that a name stands for in a call; None if it is accepted without effect."""
    if isinstance(action, Rename) and action.option in accepted:
        return action.option
    if isinstance(action, LeaveOut):
        if is_accepted(action, value):
            return None
        raise leave_out("call", name, action.reason)
    if isinstance(action, ProviderOption):
        _, code = provider_option(action, name, value, action.provider)
        raise answer("call", name, f"extra={code}", "it depends on the provider")
    if isinstance(action, Write) and action.option in accepted and action.option != "cache":
        raise answer("call", name, f"{action.option}={written(action, name, value, None)}")
    if isinstance(action, WriteCall) and (line := action.lines.get("call")) is not None:
        raise answer("call", name, line.format(value=render_value(name, value)), action.reason)
    if isinstance(action, RouteSetting):
        code = render_value(name, value) if action.values is None else repr(action.values.get(value))
        raise answer("call", name, f"Route('provider:model', {action.setting}={code})", _OF_ROUTES)
    if isinstance(action, ProviderKey) or (isinstance(action, Rename) and action.option == "api_key"):
        raise answer("call", name, "Route('provider:model', api_key=...)", _OF_ROUTES)
    if isinstance(action, Rename) and action.option in ("provider", "fallbacks"):
        raise answer("call", name, "Router(['openai:gpt-6.1-sol', 'anthropic:claude-sonnet-5-5'])", _OF_ROUTES)
    option = action.option if isinstance(action, Rename | Invert | Write) else name
    raise answer("call", name, f"Router(routes, {option}=...)", "it is a setting of the router")


_OF_ROUTES = "it is a setting of the routes"
