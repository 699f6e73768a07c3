"""Groups a conversation for OpenAI's APIs: the model's output, its tool results right after it, then other messages.

Both APIs reject a result without its call, and a call whose result comes late. A result without a call, because the
call was malformed or another program dropped it, becomes text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from multiroute_core.messages import InvalidToolCall, Message, Part, Text, ToolCall, ToolCallResponse, VendorPart
from multiroute_core.providers.dropped_content import sendable_name


@dataclass(slots=True)
class Turn:
    """The model's output, and the messages up to its next output.

    Attributes:
        parts: The model's parts; empty before its first output.
        answers: The results of the tools that it called.
        messages: System and user messages.
        name: The participant's name, if the API accepts it.
    """

    parts: list[Part] = field(default_factory=list[Part])
    answers: list[ToolCallResponse] = field(default_factory=list[ToolCallResponse])
    messages: list[Message] = field(default_factory=list[Message])
    name: str | None = None


def turns(messages: Iterable[Message]) -> list[Turn]:
    """Return the turns of a conversation."""
    history = [Turn()]
    waiting: set[str] = set()
    for message in messages:
        turn = history[-1]
        if message.role == "assistant":
            # Consecutive messages are merged if the first has calls: the results come after both.
            if turn.answers or turn.messages or not waiting:
                waiting = set()
                history.append(turn := Turn())
            turn.parts += message.parts
            if message.name is not None:
                turn.name = sendable_name(message)
            waiting |= _calls(message.parts)
            continue
        others: list[Part] = []
        for part in message.parts:
            if not isinstance(part, ToolCallResponse):
                others.append(part)
            elif part.id in waiting:
                waiting.remove(part.id)
                turn.answers.append(part)
            else:
                others += (Text(f"The tool {part.name or part.id} answered: {outcome(part)}"), *_media(part.parts))
        if others:
            turn.messages.append(Message("system" if message.role == "system" else "user", others, message.name))
    return history


def written_arguments(call: InvalidToolCall, provider: str) -> str:
    """Return the arguments of a malformed call for the conversation history.

    OpenAI accepts any text. Other servers parse the arguments of earlier calls as JSON and reject invalid ones, so they
    get an object that contains the text. vLLM is one of them: https://github.com/vllm-project/vllm/issues/43995
    (2026-11-29).
    """
    if provider == "openai":
        return call.arguments
    return json.dumps(dict(call.to_tool_call().arguments), ensure_ascii=False)


def outcome(response: ToolCallResponse) -> str:
    """Return a tool result as text, marked if it is an error, as the APIs have no error flag."""
    text = response.text
    return f"Error: {text}" if response.error and "error" not in text.lower() else text


def _calls(parts: Iterable[Part]) -> set[str]:
    """Return the IDs that results may refer to: those of calls, including calls in provider-specific parts."""
    ids = {
        part.id
        for part in parts
        if isinstance(part, ToolCall) or (isinstance(part, InvalidToolCall) and part.is_nameable)
    }
    for part in parts:
        if isinstance(part, VendorPart):
            raw_ids = (part.raw.body.get("call_id"), part.raw.body.get("id"))
            ids |= {name for name in raw_ids if isinstance(name, str)}
    return ids


def _media(parts: Iterable[Part]) -> list[Part]:
    return [part for part in parts if not isinstance(part, Text)]
