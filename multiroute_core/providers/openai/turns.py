"""A conversation as OpenAI's wires want it: what the model said, then at once the answers of its tools, then the rest.

Both refuse an answer without its call, and a call whose answer comes late. An answer that has no call, since the call
was malformed or another program forgot it, is told in words.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from multiroute_core.messages import InvalidToolCall, Message, Part, Text, ToolCall, ToolCallResponse, VendorPart
from multiroute_core.providers.dropped_content import sendable_name


@dataclass(slots=True)
class Turn:
    """What the model said, and what came until it spoke again.

    Attributes:
        said: The model's parts; none before its first words.
        answers: What the tools answered that it called.
        rest: Messages of the system and the user.
        name: The name of the one who said it, where the API takes it.
    """

    parts: list[Part] = field(default_factory=list[Part])
    answers: list[ToolCallResponse] = field(default_factory=list[ToolCallResponse])
    messages: list[Message] = field(default_factory=list[Message])
    name: str | None = None


def turns(messages: Iterable[Message]) -> list[Turn]:
    """The turns of a conversation."""
    history = [Turn()]
    waiting: set[str] = set()
    for message in messages:
        turn = history[-1]
        if message.role == "assistant":
            # Two messages in a row are one where the first has calls: their answers come after both.
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
    """The arguments of a malformed call for a history.

    OpenAI takes back any text. Other servers read the arguments of earlier calls as JSON and refuse what is none; they
    get an object that holds the text. vLLM is one of them: https://github.com/vllm-project/vllm/issues/43995
    (2026-11-29).
    """
    if provider == "openai":
        return call.arguments
    return json.dumps(dict(call.to_tool_call().arguments), ensure_ascii=False)


def outcome(response: ToolCallResponse) -> str:
    """A tool's answer as text, which says when it is an error: the wires have no other place for that."""
    text = response.text
    return f"Error: {text}" if response.error and "error" not in text.lower() else text


def _calls(parts: Iterable[Part]) -> set[str]:
    """The ids that answers may have: of calls, and of calls in the vendor's own words."""
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
