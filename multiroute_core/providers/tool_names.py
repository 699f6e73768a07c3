"""Tool names: replace names that a provider's pattern does not allow, reversibly. Pure functions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace

from multiroute_core.messages import Api, InvalidToolCall, Message, Part, ToolCall, ToolCallResponse
from multiroute_core.tools import ServerTool, Tool, ToolChoice
from multiroute_core.types import Request

_PATTERNS: Mapping[Api, re.Pattern[str]] = {
    # The API returns "String should match pattern '^[a-zA-Z0-9_-]{1,128}$'" and "String should have at most 128
    # characters", as quoted in https://github.com/home-assistant/core/issues/147760 and
    # https://github.com/anthropics/claude-code/issues/96152 (2026-11-29). Its documentation states 64.
    "anthropic": re.compile(r"[a-zA-Z0-9_-]{1,128}"),
    # "Must be a-z, A-Z, 0-9, or contain underscores and dashes, with a maximum length of 64": openai 2.54.0,
    # `FunctionDefinition`
    "openai.chat": re.compile(r"[a-zA-Z0-9_-]{1,64}"),
    "openai.responses": re.compile(r"[a-zA-Z0-9_-]{1,64}"),
    # "Must start with a letter or an underscore. Must be a-z, A-Z, 0-9, or contain underscores, dots, colons and
    # dashes, with a maximum length of 128": google-genai 3.6.1, `FunctionDeclaration.name`. The definition of v1beta
    # states 64: https://pub.dev/documentation/google_cloud_ai_generativelanguage_v1beta (2026-11-29). The lower limit
    # is safe.
    "google": re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}"),
}
_SUFFIX = 9
"""The length of `_` and eight digits, which make a replaced name unique."""
_STEM = 64 - _SUFFIX - 1


def with_wire_names(request: Request, wire: Api) -> tuple[Request, Mapping[str, str]]:
    """Returns `request` with tool names that the API accepts, and the caller's names by the replaced ones.

    Definitions, tool choice and history are renamed consistently. A name is replaced in the same way in every request,
    which keeps conversations and the provider's prompt cache valid: illegal characters become `_`, and a digest of the
    name is appended.
    """
    pattern = _PATTERNS.get(wire)
    if pattern is None:
        return request, {}
    legal = {tool.name for tool in request.tools if isinstance(tool, Tool)}
    illegal = {name for name in legal if pattern.fullmatch(name) is None}
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, ToolCall | ToolCallResponse | InvalidToolCall):
                name = part.name
                if name and name not in illegal and pattern.fullmatch(name) is None:
                    illegal.add(name)
    if not illegal:
        return request, {}
    wire_names = legal - illegal
    wire_names.update(str(tool.body.get("name")) for tool in request.tools if isinstance(tool, ServerTool))
    names: dict[str, str] = {}
    for name in sorted(illegal):
        names[name] = _legal_name(name, wire_names)
        wire_names.add(names[name])
    return _renamed(request, names), {changed: name for name, changed in names.items()}


def _legal_name(name: str, wire_names: set[str]) -> str:
    stem = re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:_STEM]
    if not re.match(r"[a-zA-Z_]", stem):
        stem = f"_{stem}"
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    places = (f"{stem}_{digest[start : start + _SUFFIX - 1]}" for start in range(len(digest) - _SUFFIX))
    return next(place for place in places if place not in wire_names)


def _renamed(request: Request, names: Mapping[str, str]) -> Request:
    choice = request.tool_choice
    if choice is not None and choice.name is not None and choice.name in names:
        choice = ToolChoice(choice.mode, names[choice.name])
    return replace(
        request,
        tools=tuple(
            replace(tool, name=names[tool.name]) if isinstance(tool, Tool) and tool.name in names else tool
            for tool in request.tools
        ),
        tool_choice=choice,
        messages=tuple(_renamed_message(message, names) for message in request.messages),
    )


def _renamed_message(message: Message, names: Mapping[str, str]) -> Message:
    if not any(getattr(part, "name", None) in names for part in message.parts):
        return message
    return Message(message.role, [_renamed_part(part, names) for part in message.parts], message.name)


def _renamed_part(part: Part, names: Mapping[str, str]) -> Part:
    match part:
        case ToolCall() | InvalidToolCall() if part.name in names:
            return replace(part, name=names[part.name])
        case ToolCallResponse(name=str(name)) if name in names:
            return ToolCallResponse(part.id, part.parts, error=part.error, name=names[name], raw=part.raw)
        case _:
            return part
