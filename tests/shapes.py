"""Every shape of an answer: each variant of the SDKs' own types of answers, as JSON. Support for tests, no test.

The types are read as they are installed, so that an SDK's next version adds its own shapes. A variant fills the required
fields alone, or all fields, or all fields with one of them in another of its forms: every member of a union, every word
of a literal, a list with nothing and with each kind of entry.
"""

from __future__ import annotations

import base64
import datetime
import enum
import functools
import json
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pydantic

DEEPEST = 4
"""Models within models beyond this depth have their required fields alone: some types hold themselves."""

_PLAIN: Mapping[Any, tuple[Any, ...]] = {
    str: ("text",),
    int: (1,),
    float: (0.5,),
    bool: (True,),
    bytes: (base64.b64encode(b"bytes").decode(),),
    object: ({"a": [1, None, "b"]},),
    Any: ({"a": [1, None, "b"]},),
    datetime.datetime: ("2026-11-29T00:00:00Z",),
    types.NoneType: (None,),
}


@dataclass(frozen=True)
class Shape:
    """One answer.

    Attributes:
        wire: The API that gives it: `"anthropic"`, `"chat"`, `"responses"` or `"google"`.
        name: What it is, for a test's report.
        body: The answer's body.
    """

    wire: str
    name: str
    body: dict[str, Any]

    @property
    def in_pieces(self) -> bool:
        """Whether it is a part of a stream alone: a call whose arguments go on in the next event."""
        return '"willContinue": true' in json.dumps(self.body)


def variants(kind: Any, depth: int = 0) -> list[Any]:
    """The forms of a type, as JSON; the first is the usual one."""
    return list(_variants(kind, depth))


@functools.cache
def _variants(kind: Any, depth: int) -> list[Any]:
    kind = _bare(kind)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return list(inner)
    if origin in (typing.Union, types.UnionType):
        members = [one for one in inner if one is not types.NoneType]
        found = [variant for member in members for variant in variants(member, depth)]
        return found + ([None] if len(members) < len(inner) else [])
    if origin in (list, typing.List) or kind is list:  # noqa: UP006
        held = variants(inner[0], depth) if inner else [{}]
        return [held[:1], [], *([one] for one in held[1:])]
    if origin in (dict, typing.Dict) or kind is dict:  # noqa: UP006
        return [{"key": variants(inner[1], depth)[0]} if inner else {"key": "text"}, {}]
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return [one.value for one in kind]
    if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        return list(_of_model(kind, depth))
    if kind in _PLAIN:
        return list(_PLAIN[kind])
    raise TypeError(f"The generator does not know {kind!r}.")


def _bare(kind: Any) -> Any:
    while typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    return kind


def _of_model(model: type[pydantic.BaseModel], depth: int) -> Iterator[dict[str, Any]]:
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    required = {
        name: variants(field.annotation, depth + 1)
        for name, field in fields.items()
        if field.is_required() or _is_type_of(name, field)
    }
    least = {name: forms[0] for name, forms in required.items()}
    if depth >= DEEPEST:
        yield least
        return
    forms = {name: required.get(name) or variants(field.annotation, depth + 1) for name, field in fields.items()}
    whole = {name: known[0] for name, known in forms.items()}
    yield whole
    if least != whole:
        yield least
    for name, known in forms.items():
        for other in known[1:]:
            yield whole | {name: other}


def _is_type_of(name: str, field: Any) -> bool:
    """Whether a field names the type, though it has a default."""
    return name == "type" and typing.get_origin(_bare(field.annotation)) is Literal


def of_anthropic() -> Iterator[Shape]:
    """Every content block of the Messages API and its betas."""
    from anthropic.types import ContentBlock
    from anthropic.types.beta import BetaContentBlock

    seen: set[str] = set()
    for member in (*typing.get_args(_bare(ContentBlock)), *typing.get_args(_bare(BetaContentBlock))):
        for block in variants(member):
            if (told := json.dumps(block, sort_keys=True)) in seen:
                continue
            seen.add(told)
            reason = "tool_use" if block["type"] == "tool_use" else "end_turn"
            yield Shape("anthropic", f"{block['type']}", anthropic_message([block], reason))


def anthropic_message(content: list[Any], reason: str = "end_turn") -> dict[str, Any]:
    """A message of Anthropic's."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }


def of_responses() -> Iterator[Shape]:
    """Every output item of the Responses API."""
    from openai.types.responses import ResponseOutputItem

    for member in typing.get_args(_bare(ResponseOutputItem)):
        for item in variants(member):
            # The SDK's arguments are JSON texts, which its types do not say.
            fixed = item | {"arguments": '{"a": 1}'} if item.get("type") == "function_call" else item
            # Reasoning stands before something: alone it is refused, and never comes alone.
            after = [REPLY] if item.get("type") == "reasoning" else []
            yield Shape("responses", f"{item.get('type')}", responses_body([fixed, *after]))


REPLY = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}],
}


def responses_body(output: list[Any]) -> dict[str, Any]:
    """A response of OpenAI's."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "gpt-6.1-sol",
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "output": output,
        "usage": {
            "input_tokens": 1,
            "output_tokens": 1,
            "total_tokens": 2,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }


REASONING = [
    {
        "type": "reasoning.text",
        "text": "Hm.",
        "signature": "SIG==",
        "id": "r1",
        "format": "anthropic-claude-v1",
        "index": 0,
    },
    {"type": "reasoning.summary", "summary": "Hm.", "id": None, "format": "openai-responses-v1", "index": 1},
    {"type": "reasoning.encrypted", "data": "ENC==", "id": "c1", "format": "google-gemini-v1", "index": 2},
]
"""https://openrouter.ai/docs/guides/best-practices/reasoning-tokens (2026-11-29)"""


def of_chat() -> Iterator[Shape]:
    """Every form of a Chat Completions message, and what compatible servers put beside its content."""
    from openai.types.chat import ChatCompletionMessage

    call = {"id": "call_1", "type": "function", "function": {"name": "text", "arguments": '{"a": 1}'}}
    messages = [_with_json_arguments(message) for message in variants(ChatCompletionMessage)]
    beside = [
        {"reasoning_content": "Hm."},
        {"reasoning": "Hm.", "reasoning_details": REASONING},
        *({"reasoning_details": [entry]} for entry in REASONING),
        {"extra_content": {"google": {"thought_signature": "SIG=="}}},
        {"thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "SIG=="}]},
        {"provider_specific_fields": {"thought_signatures": ["SIG=="]}},
        {"audio": {}, "function_call": {}, "refusal": "", "tool_calls": []},
        {"audio": None, "function_call": None, "refusal": None, "tool_calls": None, "annotations": None},
    ]
    for more in beside:
        said = {"role": "assistant", "content": "Hello", **more}
        messages += [said, {**said, "content": None, "tool_calls": [call]}, {**said, "tool_calls": [call]}]
    odd = [
        {**call, "custom": {}},
        {**call, "custom": None},
        {"id": "call_1", "type": "custom", "custom": {"name": "text", "input": "a"}, "function": {}},
        {**call, "extra_content": {"google": {"thought_signature": "SIG=="}}},
        {"id": "call_1", "function": {"name": "text", "arguments": {"a": 1}}},
    ]
    messages += [{"role": "assistant", "content": None, "tool_calls": [one]} for one in odd]
    for message in messages:
        yield Shape("chat", ", ".join(name for name, value in message.items() if value), chat_body(message))


def _with_json_arguments(message: dict[str, Any]) -> dict[str, Any]:
    fixed = dict(message)
    if called := fixed.get("function_call"):
        fixed["function_call"] = {**called, "arguments": '{"a": 1}'}
    if calls := fixed.get("tool_calls"):
        functions = [
            {**one, "function": {**one["function"], "arguments": '{"a": 1}'}} if "function" in one else one
            for one in calls
        ]
        fixed["tool_calls"] = functions
    return fixed


def chat_body(message: dict[str, Any]) -> dict[str, Any]:
    """A completion of OpenAI's."""
    finish = "tool_calls" if message.get("tool_calls") or message.get("function_call") else "stop"
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o",
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }


def of_google() -> Iterator[Shape]:
    """Every form of a part: each field by itself, with a signature, as a thought, and beside a text."""
    from google.genai.types import Part

    fields = {field.alias or name: field for name, field in Part.model_fields.items()}
    beside = ({}, {"thoughtSignature": "U0lH"}, {"thought": True}, {"thought": True, "thoughtSignature": "U0lH"})
    for name, field in fields.items():
        for value in variants(field.annotation):
            for more in beside:
                parts = [{name: value, **more}]
                yield Shape("google", name, google_body(parts))
            yield Shape("google", f"text, {name}", google_body([{"text": "Hello"}, {name: value}]))
    for name, other in ((n, o) for n in fields for o in ("text", "functionCall", "inlineData") if o != n):
        values = [variants(fields[one].annotation)[0] for one in (name, other)]
        yield Shape("google", f"{name} in {other}", google_body([dict(zip((name, other), values, strict=True))]))


def google_body(parts: list[Any]) -> dict[str, Any]:
    """An answer of Gemini's."""
    return {
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
        "modelVersion": "gemini-3.8-flash",
    }


SOURCES: tuple[Callable[[], Iterator[Shape]], ...] = (of_anthropic, of_responses, of_chat, of_google)
