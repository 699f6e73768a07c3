"""Conversations: parses messages of all formats, and checks that the turns form a valid conversation."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.errors import ConfigurationError
from multiroute_core.messages import (
    PARTS,
    ROLES,
    Blob,
    CachePoint,
    File,
    InvalidToolCall,
    Message,
    Part,
    Raw,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolCallDelta,
    ToolCallResponse,
    Uri,
    VendorPart,
)
from multiroute_core.migration.wrong_routes import framework_of
from multiroute_core.parsing import blocks

ALIASES: Mapping[str, Role] = {
    "human": "user",
    "ai": "assistant",
    "model": "assistant",
    "developer": "system",
    "function": "tool",
}
"""Role names of other formats."""

_HELD = (Text, Blob, Uri, File, VendorPart, CachePoint)
TAKES: Mapping[Role, tuple[type, ...]] = {
    "system": (Text, CachePoint),
    "user": _HELD,
    "assistant": (*_HELD, Reasoning, ToolCall, InvalidToolCall),
    "tool": (ToolCallResponse, CachePoint, VendorPart),
}
"""The parts that a message of each role may contain; a tool result may contain what a user message may."""


def read(conversation: Any) -> tuple[Message, ...]:
    """Parse and validate a conversation.

    Raises:
        ConfigurationError: A message has an unknown format, contains a part that its role does not allow, or tool calls
            and results do not match.
    """
    if isinstance(conversation, str):
        return (Message("user", conversation),) if conversation else ()
    if isinstance(conversation, Message):
        conversation = (conversation,)
    if isinstance(conversation, Mapping) or not isinstance(conversation, Iterable):
        kind = type(cast("Any", conversation)).__name__
        raise ConfigurationError(f"messages is a {kind}; expected a string or a list of messages.")
    messages = [_message(one) for one in cast("Iterable[Any]", conversation)]
    if all(_plain(message) for message in messages):
        return tuple(messages)
    messages = [turn for message in messages for turn in _turns(_checked(message))]
    return tuple(_complete_answers(_assign_ids(messages)))


def _message(message: Any) -> Message:
    if isinstance(message, Message):
        return message
    if type(message) is tuple and len(pair := cast("tuple[Any, ...]", message)) == 2:
        role, content = pair
        if type(role) is str and type(content) is str:
            return Message(_role(role), content)
    if isinstance(message, Mapping):
        fields = cast("Mapping[str, Any]", message)
        name = fields.get("role")
        if isinstance(name, str) and any(word in fields for word in _SAYS):
            role = _role(name)
            content = fields.get("content")
            if isinstance(content, str) and role != "tool" and len(fields) == 2:
                return Message(role, content)
            return Message(role, _read_parts(role, fields), _name(role, fields))
    elif isinstance(message, tuple | list):
        match cast("Any", message):
            case (str(role), str() | [*_] as content):
                return Message(_role(role), blocks.parts(content))
            case _:
                pass
    raise _explain_wrong_message(message)


def _explain_wrong_message(message: Any) -> ConfigurationError:
    """Build the error for a value that is not a message, with the line to write where it can be told."""
    kind = type(message).__name__
    expected = "Message('user', …), ('user', …) or {'role': 'user', 'content': …}."
    if isinstance(message, str):
        return ConfigurationError(
            "A message is a str; expected one conversation as a string or a list of messages: for several prompts, "
            "write router.map(prompts)."
        )
    if (framework := framework_of(message)) is not None:
        owner = {"langchain": "ChatMultiRoute", "llamaindex": "MultiRoute"}[framework]
        return ConfigurationError(
            f"A message is a {kind}, which is a message of {owner}; write {owner}(router=router), or pass {expected}"
        )
    return ConfigurationError(f"A message is a {kind}; expected {expected}")


def _name(role: Role, fields: Mapping[str, Any]) -> str | None:
    """Return the participant's name; a tool's name belongs to its result."""
    name = fields.get("name")
    return name if isinstance(name, str) and name and role != "tool" else None


_SAYS = ("content", "parts", "tool_calls", "function_call")
"""Keys that hold a message's content; the second is Gemini's, the last a deprecated one of OpenAI's."""


def _role(name: str) -> Role:
    role = ALIASES.get(name, name)
    if role not in ROLES:
        raise ConfigurationError(f"{name!r} is not a valid role; expected one of {', '.join(map(repr, ROLES))}.")
    return role


def _read_parts(role: Role, fields: Mapping[str, Any]) -> Iterator[Part]:
    """Yield the parts of a message given as a mapping: its content, and the tool calls beside it."""
    content = fields.get("content", fields.get("parts"))
    parts = blocks.parts(content)
    listed = fields.get("tool_calls") or ()
    if not isinstance(listed, list | tuple):
        raise ConfigurationError(f"tool_calls is a {type(listed).__name__}; expected a list.")
    calls = [blocks.part(_call(one)) for one in cast("Iterable[Any]", listed)]
    if isinstance(old := fields.get("function_call"), Mapping):
        calls.append(blocks.part({"type": "function", "function": old}))
    if role == "tool" and not any(isinstance(part, ToolCallResponse) for part in parts):
        name = fields.get("name")
        failed = fields.get("status") == "error" or fields.get("is_error") is True
        yield ToolCallResponse(
            str(fields.get("tool_call_id") or ""), parts, error=failed, name=name if isinstance(name, str) else None
        )
        return
    there = {part.id for part in parts if isinstance(part, ToolCall | InvalidToolCall) and part.id}
    yield from (part for part in parts if not calls or not isinstance(part, Text) or part.text)
    yield from (one for one in calls if not isinstance(one, ToolCall | InvalidToolCall) or one.id not in there)
    if not parts and isinstance(refusal := fields.get("refusal"), str):
        yield Text(refusal)


def _call(call: Any) -> Any:
    """Parse an entry of `tool_calls`; frameworks omit the type."""
    if isinstance(call, Mapping) and "type" not in call:
        kind = "function" if "function" in call else "tool_call"
        return {**cast("Mapping[str, Any]", call), "type": kind}
    return cast("Any", call)


def _plain(message: Message) -> bool:
    """Whether the message needs no checks: one text, not of a tool."""
    return (
        len(message.parts) == 1 and type(message.parts[0]) is Text and message.role in ("user", "assistant", "system")
    )


def _checked(message: Message) -> Message:
    role = _role(message.role)
    for part in cast("tuple[Any, ...]", message.parts):
        _fits(
            part,
            (*TAKES[role], ToolCallResponse) if role == "user" else TAKES[role],
            f"{'An' if role == 'assistant' else 'A'} {role} message",
        )
        if isinstance(part, ToolCallResponse):
            for inner in cast("tuple[Any, ...]", part.parts):
                _fits(inner, _HELD, "A tool result")
    return message if role == message.role else Message(role, message.parts, message.name)


def _fits(part: Any, part_types: tuple[type, ...], whose: str) -> None:
    kind = type(part).__name__
    if not isinstance(part, PARTS):
        raise ConfigurationError(f"{whose} contains a {kind}; expected a string or parts such as Text(...).")
    if isinstance(part, ToolCallDelta):
        raise ConfigurationError(
            f"{whose} contains a ToolCallDelta, a chunk of a stream; join the chunks with assemble()."
        )
    if not isinstance(part, part_types):
        names = ", ".join(sorted(one.__name__ for one in part_types))
        raise ConfigurationError(f"{whose} contains a {kind}, which is not allowed there; expected {names}.")
    for name, right in _FIELDS.get(kind, {}).items():
        if not isinstance(value := getattr(part, name), right):
            raise ConfigurationError(f"{whose} contains a {kind} whose {name} is a {type(value).__name__}.")


_FIELDS: Mapping[str, Mapping[str, type]] = {
    "Text": {"text": str},
    "Reasoning": {"text": str},
    "ToolCall": {"id": str, "name": str, "arguments": Mapping},
    "InvalidToolCall": {"id": str, "name": str, "arguments": str},
    "ToolCallResponse": {"id": str},
    "Blob": {"data": bytes, "mime_type": str},
    "Uri": {"uri": str},
    "File": {"file_id": str, "provider": str},
    "VendorPart": {"raw": Raw},
}
"""Types of part fields, where a wrong type would otherwise fail only when the request is sent."""


def _turns(message: Message) -> Iterator[Message]:
    """Split a user message with tool results into a tool and a user message: some providers have no tool role."""
    if message.role != "user" or not any(isinstance(part, ToolCallResponse) for part in message.parts):
        yield message
        return
    answers: list[Part] = []
    others: list[Part] = []
    for part in message.parts:
        marks_answer = isinstance(part, CachePoint) and bool(answers) and not others
        (answers if isinstance(part, ToolCallResponse) or marks_answer else others).append(part)
    yield Message("tool", answers)
    if others:
        yield Message("user", others, message.name)


def _assign_ids(messages: Sequence[Message]) -> list[Message]:
    """Assign an id to each tool call that has none, as Gemini's may, and to its result."""
    ids = {getattr(part, "id", None) for message in messages for part in message.parts}
    if "" not in ids:
        return list(messages)
    fresh = (name for number in itertools.count(1) if (name := f"call_{number}") not in ids)
    conversation: list[Message] = []
    waiting: dict[str, str] = {}
    for message in messages:
        parts: list[Part] = []
        for part in message.parts:
            if isinstance(part, ToolCall | InvalidToolCall):
                parts.append(call := part if part.id else replace(part, id=next(fresh)))
                waiting[call.id] = call.name
            elif isinstance(part, ToolCallResponse):
                parts.append(answer := _matched(part, waiting))
                waiting.pop(answer.id, None)
            else:
                parts.append(part)
        conversation.append(Message(message.role, parts, message.name))
    return conversation


def _matched(answer: ToolCallResponse, waiting: Mapping[str, str]) -> ToolCallResponse:
    """Return a result with the id of its call; a result without one belongs to the oldest open call of its tool."""
    if answer.id:
        return answer
    call_id = next((call_id for call_id, name in waiting.items() if name == answer.name), None)
    if call_id is None:
        whose = "without a name" if answer.name is None else f"of {answer.name!r}"
        raise ConfigurationError(f"A tool result {whose} has no id, and no open call matches it; give the call's id.")
    return ToolCallResponse(call_id, answer.parts, error=answer.error, name=answer.name, raw=answer.raw)


def _complete_answers(messages: list[Message]) -> list[Message]:
    """Check that every tool call has one result and every result a call.

    Only calls of the last message may be open: the caller may want further output before the tools run. A malformed
    call without a result gets one that explains why the tool was not run, so that the model can correct it.
    """
    waiting: dict[str, ToolCall | InvalidToolCall] = {}
    done: set[str] = set()
    conversation: list[Message] = []
    for message in messages:
        if message.role == "user" or (message.role == "assistant" and conversation and conversation[-1].role == "tool"):
            _refuse(waiting, conversation)
        if message.role == "user":
            _closed(waiting)
            waiting.clear()
            done.clear()
        for part in message.parts:
            if isinstance(part, ToolCall | InvalidToolCall):
                waiting[part.id] = part
            elif isinstance(part, ToolCallResponse):
                if part.id not in waiting:
                    why = (
                        "has two results"
                        if part.id in done
                        else "has a result, but no earlier message contains the call"
                    )
                    raise ConfigurationError(f"The tool call {part.id!r} {why}; give each call one result, after it.")
                del waiting[part.id]
                done.add(part.id)
        conversation.append(message)
    _refuse(waiting, conversation)
    if messages[-1].role == "tool":
        _closed(waiting)
    return conversation


def _refuse(waiting: dict[str, ToolCall | InvalidToolCall], conversation: list[Message]) -> None:
    """Add error results for the malformed calls that are open at the end of `conversation`."""
    malformed = [call for call in waiting.values() if isinstance(call, InvalidToolCall) and call.is_nameable]
    refusals = [
        ToolCallResponse(call.id, f"The tool was not run. {call.error}", error=True, name=call.name)
        for call in malformed
    ]
    for call in malformed:
        del waiting[call.id]
    if refusals and conversation[-1].role == "tool":
        conversation[-1] = Message("tool", [*conversation[-1].parts, *refusals])
    elif refusals:
        conversation.append(Message("tool", refusals))


def _closed(waiting: Mapping[str, ToolCall | InvalidToolCall]) -> None:
    if owed := [call for call in waiting.values() if isinstance(call, ToolCall)]:
        calls = ", ".join(f"{call.id!r} of {call.name!r}" for call in owed)
        raise ConfigurationError(f"Tool calls without a result: {calls}; every provider requires one for each call.")
