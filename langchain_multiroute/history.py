"""Convert messages of LangChain's chat models to provider-neutral parts.

Each chat model writes its provider's blocks in its own format, or LangChain's standard blocks, and names the provider
in `response_metadata["model_provider"]`. Data that the provider must get back (signed reasoning, output of its server
tools) is restored to the provider's native format.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from langchain_core.messages import AIMessage

from multiroute_core import parsing
from multiroute_core.messages import (
    Api,
    InvalidToolCall,
    Part,
    Raw,
    Reasoning,
    Text,
    ToolCall,
    VendorPart,
)

WIRES: Mapping[str, Api] = {
    "anthropic": "anthropic",
    "openai": "openai.responses",
    "google_genai": "google",
    "google_vertexai": "google",
}
"""The providers' APIs by LangChain's provider names."""

SIGNATURES = "__gemini_function_call_thought_signatures__"
"""Key under which LangChain's Gemini class stores the signatures of tool calls, by call id."""

CALLS = frozenset(
    {
        "tool_use",
        "tool_call",
        "tool_call_chunk",
        "function_call",
        "custom_tool_call",
        "invalid_tool_call",
        "input_json_delta",
    }
)
"""Block types that duplicate entries of a message's `tool_calls`."""

STANDARD = frozenset({"text-plain", "image", "image_url", "audio", "input_audio", "video", "file", "document"})
"""Block types that every provider supports in some format."""

UNTOLD = frozenset({"server_tool_call", "server_tool_call_chunk", "server_tool_result"})
"""Standard blocks for a provider's server tools; they hold too little data to be sent back."""


def parts(message: AIMessage, place: int = 0) -> tuple[Part, ...]:
    """Read the parts of a model's message from its visible content.

    Args:
        message: The message; it is not changed.
        place: Its position in the conversation, used to generate ids for calls without one.

    Raises:
        ConfigurationError: the type of a block is unknown.
    """
    provider: str = message.response_metadata.get("model_provider", "")
    wire = WIRES.get(provider)
    calls = _calls(message, place)
    message_parts: list[Part] = []
    content: list[Any] = [message.content] if isinstance(message.content, str) else message.content
    if isinstance(thought := message.additional_kwargs.get("reasoning"), dict):
        message_parts.extend(_reasoning(cast("dict[str, Any]", thought), wire))
    for block in content:
        if isinstance(block, str):
            message_parts.extend([Text(block)] if block else [])
        elif (kind := block.get("type")) in CALLS:
            call_id = block.get("call_id") or block.get("id")
            if (call := calls.pop(call_id, None)) is not None:
                if kind == "custom_tool_call" and isinstance(call, ToolCall):  # its output has a separate item type
                    call = replace(call, raw=Raw("openai.responses", _own(block)))
                message_parts.append(call)
            elif not message.tool_calls and not message.invalid_tool_calls and kind in ("tool_use", "tool_call"):
                message_parts.append(
                    ToolCall(call_id or f"call_{place}", block["name"], block.get("input") or block.get("args") or {})
                )
        else:
            message_parts.extend(_block(cast("dict[str, Any]", block), kind, wire))
    if refusal := message.additional_kwargs.get("refusal"):
        message_parts.append(_refusal(refusal))
    return (*_joined(message_parts), *calls.values())


def _calls(message: AIMessage, place: int) -> dict[str, ToolCall | InvalidToolCall]:
    """The tool calls by id."""
    calls: dict[str, ToolCall | InvalidToolCall] = {}
    signatures: Mapping[str, Any] = message.additional_kwargs.get(SIGNATURES) or {}
    for number, call in enumerate(message.tool_calls):
        call_id = call["id"] or f"call_{place}_{number}"
        name = call["name"]
        arguments = call["args"]
        raw = None
        if sign := signatures.get(call_id):
            raw = Raw("google", {"functionCall": {"name": name, "args": arguments}, "thoughtSignature": sign})
        calls[call_id] = ToolCall(call_id, name, arguments, raw)
    for number, bad in enumerate(message.invalid_tool_calls):
        call_id = bad["id"] or f"call_{place}_{len(calls) + number}"
        calls.setdefault(
            call_id,
            InvalidToolCall(
                call_id, bad["name"] or "", bad["args"] or "", bad["error"] or "The arguments are malformed."
            ),
        )
    return calls


def _block(block: dict[str, Any], kind: Any, wire: Api | None) -> Iterator[Part]:
    match kind:
        case "text" if "cache_control" not in block:
            yield _text(block, wire)
        case "refusal" if wire == "anthropic":
            return  # an explanation beside the response; the Messages API has no refusal block
        case "refusal":
            yield _refusal(block.get("refusal"))
        case "thinking" | "redacted_thinking" | "reasoning" | "reasoning_content":
            yield from _reasoning(block, wire)
        case "non_standard" if isinstance(value := block.get("value"), dict):
            yield from _block(cast("dict[str, Any]", value), cast("Any", value).get("type"), wire)
        case "executable_code" if wire == "google":
            code = {"language": "PYTHON", "code": block.get("executable_code", "")}
            yield VendorPart(Raw(wire, {"executableCode": code}))
        case "code_execution_result" if wire == "google":
            outcome = "OUTCOME_OK" if block.get("outcome", 1) == 1 else "OUTCOME_FAILED"
            result = {"outcome": outcome, "output": block.get("code_execution_result", "")}
            yield VendorPart(Raw(wire, {"codeExecutionResult": result}))
        case _ if kind in UNTOLD:
            return
        case _ if kind in STANDARD or kind == "text" or wire is None:
            yield from parsing.blocks.parts([block])
        case _:
            yield VendorPart(Raw(wire, _own(block)))


def _refusal(refusal: Any) -> Text:
    text = refusal if isinstance(refusal, str) else ""
    return Text(text, Raw("langchain", {"type": "refusal", "refusal": text}))


def _text(block: Mapping[str, Any], wire: Api | None) -> Text:
    text = str(block.get("text", ""))
    extras = cast("Mapping[str, Any]", block.get("extras") or {})
    if wire == "anthropic" and block.get("citations"):
        return Text(text, Raw(wire, _own(block)))
    if wire == "google" and (sign := extras.get("signature")):
        return Text(text, Raw(wire, {"text": text, "thoughtSignature": sign}))
    return Text(text)


def _reasoning(block: Mapping[str, Any], wire: Api | None) -> Iterator[Part]:
    extras = cast("Mapping[str, Any]", block.get("extras") or {})
    summary = block.get("summary")
    if isinstance(summary, list):
        text = "".join(str(piece.get("text", "")) for piece in cast("list[dict[str, Any]]", summary))
    else:
        text = str(block.get("thinking") or block.get("reasoning") or "")
    sign = extras.get("signature") or block.get("signature")
    raw: dict[str, Any] | None = None
    if wire == "anthropic":
        if block.get("type") in ("thinking", "redacted_thinking"):
            raw = _own(block)
        elif sign:
            raw = {"type": "thinking", "thinking": text, "signature": sign}
    elif wire == "google" and sign:
        raw = {"text": text, "thought": True, "thoughtSignature": sign}
    elif wire == "openai.responses" and (block.get("id") or isinstance(summary, list)):
        pieces: list[Any] = cast("list[Any]", summary) if isinstance(summary, list) else []
        if not pieces and text:
            pieces = [{"type": "summary_text", "text": text}]
        raw = {"type": "reasoning", "id": block.get("id"), "summary": [_own(piece) for piece in pieces]}
        if hidden := block.get("encrypted_content") or extras.get("encrypted_content"):
            raw["encrypted_content"] = hidden
    if text or raw is not None:
        yield Reasoning(text, None if raw is None or wire is None else Raw(wire, raw))


def _joined(message_parts: list[Part]) -> Iterator[Part]:
    """Merge OpenAI reasoning blocks with the same id: LangChain splits a summary into one block per paragraph."""
    last: Reasoning | None = None
    for part in message_parts:
        if isinstance(part, Reasoning) and part.raw is not None and part.raw.api == "openai.responses":
            if last is not None and last.raw is not None and last.raw.body.get("id") == part.raw.body.get("id"):
                body = {**part.raw.body, **last.raw.body}
                body["summary"] = [*last.raw.body["summary"], *part.raw.body["summary"]]
                last = Reasoning(last.text + part.text, Raw("openai.responses", body))
                continue
            if last is not None:
                yield last
            last = part
            continue
        if last is not None:
            yield last
            last = None
        yield part
    if last is not None:
        yield last


def _own(block: Mapping[str, Any]) -> dict[str, Any]:
    """A provider's block without the fields that LangChain adds while streaming."""
    body = {name: value for name, value in block.items() if name not in ("index", "partial_json")}
    if isinstance(partial_json := block.get("partial_json"), str) and not block.get("input"):
        try:
            body["input"] = json.loads(partial_json)
        except ValueError:
            body["input"] = {}
    return body
