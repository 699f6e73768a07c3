"""Message conversion between LangChain and MultiRoute."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeGuard, cast

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    messages_from_dict,
)

from langchain_multiroute.answers import KEPT, blocks_of, to_additional_kwargs
from multiroute_core import ConfigurationError, Message, parsing
from multiroute_core.messages import (
    Api,
    Blob,
    CachePoint,
    File,
    InvalidToolCall,
    Part,
    Raw,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolCallResponse,
    Uri,
    VendorPart,
    every,
    join,
)
from multiroute_core.parsing import message_json
from multiroute_core.providers.dropped_content import REASONING, VENDORS, describe_vendor_part
from multiroute_core.providers.ids import tool_call_id

ROLES: Mapping[str, Role] = {"developer": "system", "human": "user", "ai": "assistant"}


_PLAIN: Mapping[type[BaseMessage], Role] = {HumanMessage: "user", SystemMessage: "system"}


def messages_in(messages: Iterable[BaseMessage]) -> tuple[Message, ...]:
    """Convert LangChain messages to MultiRoute's, without changing them.

    Raises:
        ConfigurationError: the type of a message or block is not supported.
    """
    core_messages: list[Message] = []
    for place, message in enumerate(messages):
        role = _PLAIN.get(type(message))
        if role is not None and isinstance(content := message.content, str) and not message.additional_kwargs:
            core_messages.append(Message(role, content, message.name))  # fast path for plain text, the common case
        else:
            core_messages.extend(_messages(message, place))
    return tuple(core_messages)


def messages_back(messages: Iterable[Message]) -> list[BaseMessage]:
    """Convert MultiRoute messages to LangChain's; each tool result becomes a message of its own."""
    chat_messages: list[BaseMessage] = []
    for message in messages:
        match message.role:
            case "system":
                chat_messages.append(SystemMessage(_content(message.parts), name=message.name))
            case "user":
                chat_messages.append(HumanMessage(_content(message.parts), name=message.name))
            case "assistant":
                chat_messages.append(_assistant(message.parts))
            case "tool":
                chat_messages.extend(_answer(part) for part in message.parts if isinstance(part, ToolCallResponse))
    return chat_messages


def messages_for(messages: Iterable[Message], model: str, wire: Api | None = None) -> list[BaseMessage]:
    """Convert a conversation for a wrapped LangChain chat model.

    The model's own messages are sent back unchanged; messages of other models are reduced to provider-neutral content.

    Args:
        messages: The conversation.
        model: The chat model's name, as its route names it.
        wire: The API whose native blocks the chat model accepts; None if only standard blocks are safe.
    """
    chat_messages: list[BaseMessage] = []
    for message in messages:
        own = next((part.raw for part in message.parts if _is_own(part, model)), None)
        if own is not None:
            (said_then,) = messages_from_dict([dict(own.body)])
            if isinstance(said_then, AIMessage) and _still(said_then, message):
                chat_messages.append(said_then)
                continue
        if wire is not None and message.role != "assistant":
            chat_messages.extend(_for_wire(message, wire))
            continue
        parts = [_neutral(part) for part in message.parts if not isinstance(part, Reasoning | VendorPart | CachePoint)]
        chat_messages.extend(messages_back([Message(message.role, parts, message.name)]))
    return chat_messages


def unsendable(messages: Iterable[Message], model: str, wire: Api | None) -> list[str]:
    """List what `messages_for` leaves out of a conversation, as entries for `dropped`, without duplicates."""
    dropped: dict[str, None] = {}
    for message in messages:
        if len(message.parts) == 1 and type(message.parts[0]) is Text:
            continue
        if any(_is_own(part, model) for part in message.parts):
            continue
        own = None if message.role == "assistant" else wire
        for part in every((message,)):
            match part:
                case CachePoint() if own != "anthropic":
                    dropped["content.cache_control: prompt cache marks are not supported for this chat model"] = None
                case Reasoning():
                    dropped[REASONING] = None
                case VendorPart(raw=raw) if raw.api in VENDORS and raw.api != own:
                    dropped[describe_vendor_part(raw)] = None
                case _:
                    pass
    return list(dropped)


def _for_wire(message: Message, wire: Api) -> Iterator[BaseMessage]:
    """Convert user and tool messages, with the native blocks and cache marks of `wire` unchanged."""
    if message.role != "tool":
        (back,) = messages_back([Message(message.role, [], message.name)])
        yield back.model_copy(update={"content": _wire_content(message.parts, wire)})
        return
    for part in message.parts:
        if isinstance(part, ToolCallResponse):
            answer = _answer(ToolCallResponse(tool_call_id(part.id), [], error=part.error, name=part.name))
            yield answer.model_copy(update={"content": _wire_content(part.parts, wire)})


def _wire_content(parts: Sequence[Part], wire: Api) -> Any:
    blocks: list[dict[str, Any]] = []
    for part in parts:
        raw: Raw | None = getattr(part, "raw", None)
        if isinstance(part, CachePoint):
            if blocks:
                blocks[-1]["cache_control"] = {"type": "ephemeral"} | ({"ttl": "1h"} if part.ttl == "1h" else {})
        elif raw is not None and raw.api == wire:
            blocks.append(dict(raw.body))
        elif not isinstance(part, Reasoning | VendorPart):
            blocks += blocks_of([_neutral(part)])
    match blocks:
        case [{"type": "text", "text": text, **more}] if not more:
            return text
        case _:
            return blocks


def _is_own(part: Part, model: str) -> TypeGuard[VendorPart]:
    return isinstance(part, VendorPart) and part.raw.api == "langchain" and part.raw.model == model


def _still(then: AIMessage, message: Message) -> bool:
    """Whether `message` still has the text and the tool calls of the stored message `then`."""
    calls = [(call["id"], call["name"], call["args"]) for call in then.tool_calls]
    return then.text == message.text and calls == [(c.id, c.name, dict(c.arguments)) for c in message.tool_calls]


def _neutral(part: Part) -> Part:
    """A part without provider-specific data, and with an id that every provider accepts."""
    match part:
        case ToolCall():
            return ToolCall(tool_call_id(part.id), part.name, part.arguments)
        case InvalidToolCall() if part.is_nameable:  # its tool result needs a call, and some classes drop invalid ones
            return replace(part.to_tool_call(), id=tool_call_id(part.id))
        case ToolCallResponse():
            inside = [_neutral(one) for one in part.parts if not isinstance(one, CachePoint | VendorPart)]
            return ToolCallResponse(tool_call_id(part.id), inside, error=part.error, name=part.name)
        case Text() | Blob() | Uri() | File():
            return replace(part, raw=None)
        case _:
            return part


def _messages(message: BaseMessage, place: int) -> Iterator[Message]:
    match message:
        case AIMessage():
            yield Message("assistant", read_assistant_parts(message, place), _name(message))
        case ToolMessage():
            response = ToolCallResponse(
                message.tool_call_id, _parse_tool_message(message), error=message.status == "error", name=message.name
            )
            yield Message("tool", [response])
        case SystemMessage():
            yield Message("system", _parts(message), _name(message))
        case HumanMessage():
            parts = _parts(message)
            # In Anthropic's API a user message carries tool results.
            answers = [part for part in parts if isinstance(part, ToolCallResponse)]
            if answers:
                yield Message("tool", answers)
            if len(answers) < len(parts) or not parts:
                others = [part for part in parts if not isinstance(part, ToolCallResponse)]
                yield Message("user", others, _name(message))
        case ChatMessage():
            yield Message(cast("Role", ROLES.get(message.role, message.role)), _parts(message), _name(message))
        case _:
            raise ConfigurationError(
                f"A {type(message).__name__} is not supported; expected system, human, AI and tool messages."
            )


def _name(message: BaseMessage) -> str | None:
    """The participant's name, read from the same places as in ChatOpenAI."""
    name = message.name or message.additional_kwargs.get("name")
    return name if isinstance(name, str) and name else None


def _parts(message: BaseMessage) -> Sequence[Part]:
    content = message.content
    parts = (Text(content),) if isinstance(content, str) else parsing.blocks.parts(content)
    if message.additional_kwargs and (point := parsing.blocks.cache_point(message.additional_kwargs)) is not None:
        return (*parts, point)  # a cache mark on the message applies to its end
    return parts


def _parse_tool_message(message: ToolMessage) -> Sequence[Part]:
    """A tool's output; LangChain's `custom_tool` wraps it in an OpenAI block that other models do not support."""
    if isinstance(message.content, str):
        return _parts(message)
    parts: list[Part] = []
    for block in message.content:
        output = _custom_output(block)
        parts += parsing.blocks.parts([block] if output is None else output)
    return parts


def _custom_output(block: str | dict[str, Any]) -> Any:
    """The output in a `custom_tool_call_output` block; None for other blocks."""
    if not isinstance(block, Mapping):
        return None
    value = block.get("value") if block.get("type") == "non_standard" else block
    if not isinstance(value, Mapping):
        return None
    fields = cast("Mapping[str, Any]", value)
    return fields.get("output") or "" if fields.get("type") == "custom_tool_call_output" else None


def read_assistant_parts(message: AIMessage, place: int = 0) -> Sequence[Part]:
    """Read the parts of an assistant message.

    The parts that MultiRoute stored in the message are used as far as they still match its visible content. Users and
    middleware may edit messages; the visible content then takes precedence.
    """
    from langchain_multiroute import history  # lazy: a conversation without assistant messages does not need it

    record: Any = message.additional_kwargs.get(KEPT)
    if not isinstance(record, Mapping) or "parts" not in record:
        return history.parts(message, place)
    stored = message_json.from_json(cast("Any", record)["parts"])
    try:
        visible = history.parts(message, place)
    except ConfigurationError:  # an unknown provider block; the stored parts are complete
        return stored
    return _agreed(stored, visible, shows_reasoning=not isinstance(message.content, str))


def _agreed(stored: Sequence[Part], visible: Sequence[Part], *, shows_reasoning: bool) -> Sequence[Part]:
    """Merge stored and visible parts: a stored part wins if the visible content is unchanged, else the visible one.

    Args:
        stored: The parts of the original response.
        visible: The parts that the message shows now.
        shows_reasoning: Whether the message would show its reasoning.
    """
    texts = [part for part in visible if isinstance(part, Text)]
    same_text = join(texts) == join([part for part in stored if isinstance(part, Text)])
    thought = "".join(part.text for part in visible if isinstance(part, Reasoning))
    same_thought = not shows_reasoning or thought == "".join(
        part.text for part in stored if isinstance(part, Reasoning)
    )
    calls = {part.id: part for part in visible if isinstance(part, ToolCall | InvalidToolCall)}
    parts: list[Part] = []
    for part in stored:
        if isinstance(part, Text):
            if same_text:
                parts.append(part)
            else:
                parts.extend(texts)
                texts = []
        elif isinstance(part, ToolCall | InvalidToolCall):
            if (call := calls.pop(part.id, None)) is not None:
                parts.append(part if _same(part, call) else call)
        elif not isinstance(part, Reasoning) or same_thought:
            parts.append(part)
    if not same_text and texts:
        first = next((n for n, part in enumerate(parts) if isinstance(part, ToolCall | InvalidToolCall)), len(parts))
        parts[first:first] = texts
    return (*parts, *calls.values())


def _same(stored: ToolCall | InvalidToolCall, visible: ToolCall | InvalidToolCall) -> bool:
    """Whether both calls are equal. Invalid arguments are not compared, since a stream may have marked their ends."""
    if isinstance(stored, InvalidToolCall) or isinstance(visible, InvalidToolCall):
        return type(stored) is type(visible) and stored.name == visible.name
    return stored.name == visible.name and stored.arguments == visible.arguments


def _content(parts: Sequence[Part]) -> Any:
    """Plain text if the parts are a single text; blocks otherwise."""
    if len(parts) == 1 and isinstance(only := parts[0], Text) and only.raw is None:
        return only.text
    return blocks_of(parts)


def _assistant(parts: Sequence[Part]) -> AIMessage:
    plain = all(isinstance(part, Text | ToolCall | InvalidToolCall) for part in parts)
    calls = [part for part in parts if isinstance(part, ToolCall)]
    invalid = [part for part in parts if isinstance(part, InvalidToolCall)]
    return AIMessage(
        content=join(parts) if plain else cast("Any", blocks_of(parts)),
        tool_calls=[{"name": call.name, "args": dict(call.arguments), "id": call.id} for call in calls],
        invalid_tool_calls=[
            {"type": "invalid_tool_call", "name": call.name, "args": call.arguments, "id": call.id, "error": call.error}
            for call in invalid
        ],
        additional_kwargs=to_additional_kwargs(parts),
        response_metadata={} if plain else {"output_version": "v1"},
    )


def _answer(part: ToolCallResponse) -> ToolMessage:
    return ToolMessage(
        _content(part.parts), tool_call_id=part.id, status="error" if part.error else "success", name=part.name
    )
