"""Dropped content: parts of a conversation and its tools that an API cannot express, each with the reason.

Encoders drop them; this module reports them, in the same form as dropped parameters. The entries begin with `content.`
or `tools.`. They do not exclude a route under `strict_params`: an earlier answer of one provider must not bind a
conversation to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from multiroute_core.messages import (
    Api,
    Blob,
    CachePoint,
    File,
    InvalidToolCall,
    Message,
    Part,
    Raw,
    Reasoning,
    Text,
    ToolCallResponse,
    Uri,
    VendorPart,
)
from multiroute_core.tools import Tool
from multiroute_core.types import Request

VENDORS: Mapping[Api, str] = {
    "anthropic": "anthropic",
    "openai.chat": "openai",
    "openai.responses": "openai",
    "google": "google",
}
"""The vendor of each API; OpenAI's two APIs share the extras of files."""

BESIDE = ("citations", "annotations", "title", "context", "prompt_cache_breakpoint")
"""Fields of a provider's text block other than the text."""

REASONING = "content.reasoning: only the model and the account that wrote it can read it"
"""The entry for reasoning that is not sent back."""

RESPONSES_ONLY = frozenset({"defer_loading", "allowed_callers", "output_schema", "async"})
"""Fields of OpenAI's function tools that Chat Completions does not accept."""

_NAME = re.compile(r"[^\s<|\\/>]{1,64}")
"""Participant names that OpenAI accepts.

Its documentation gives no pattern, but its 400 responses do: "Expected a string that matches the pattern
'^[^\\s<|\\\\/>]+$'". The maximum of 64 characters is an assumption: it is the limit of its function names.
"""


def sendable_name(message: Message) -> str | None:
    """Returns the participant's name if Chat Completions accepts it; otherwise None."""
    return message.name if message.name is not None and _NAME.fullmatch(message.name) else None


def list_dropped(request: Request, wire: Api, model: str, vendor: str | None = None) -> list[str]:
    """List what is dropped from `request` for an API, without duplicates, in order of first occurrence.

    Args:
        request: The request.
        wire: The API that it is sent to.
        model: The requested model; reasoning is sent back only to the model that wrote it.
        vendor: The vendor whose extras of tools are sent; None for that of the API.
    """
    dropped: dict[str, None] = {}
    for message in request.messages:
        if message.name is not None:
            dropped.update(dict.fromkeys(_names(message, wire)))
        parts = message.parts
        if len(parts) == 1 and type(only := parts[0]) is Text and only.raw is None:
            continue
        dropped.update(dict.fromkeys(_of_parts(parts, wire, model)))
    for tool in request.tools:
        if isinstance(tool, Tool) and tool.extras:
            dropped.update(dict.fromkeys(_of_tool(tool, wire, vendor or VENDORS[wire])))
    return list(dropped)


def _names(message: Message, wire: Api) -> Iterator[str]:
    if wire != "openai.chat":
        yield "content.name: the API does not support participant names"
    elif sendable_name(message) is None:
        yield "content.name: the API takes 1 to 64 characters without spaces and <|\\/>"


def _of_parts(parts: Sequence[Part], wire: Api, model: str) -> Iterator[str]:
    for part in parts:
        match part:
            case Text(raw=Raw() as raw) if VENDORS.get(raw.api) != VENDORS[wire]:
                yield from (_only(name, raw.api) for name in BESIDE if raw.body.get(name))
            case Reasoning() if not _returns(part.raw, wire, model):
                yield REASONING
            case VendorPart(raw=raw) if raw.api in VENDORS and raw.api != wire:
                yield describe_vendor_part(raw)
            case CachePoint() if wire != "anthropic":
                yield "content.cache_control: only Anthropic supports prompt cache marks"
            case InvalidToolCall() if not part.is_nameable:
                yield "content.invalid_tool_call: no API accepts a call without a name"
            case Blob() | Uri() | File() if part.extras:
                yield from _extras(part, part.extras, wire)
            case ToolCallResponse():
                yield from _of_parts(part.parts, wire, model)
            case _:
                pass


def _returns(raw: Raw | None, wire: Api, model: str) -> bool:
    """Whether reasoning is sent back: only to the model that wrote it, and for Responses only if encrypted."""
    if raw is None or raw.api != wire or raw.model not in (None, model):
        return False
    return wire != "openai.responses" or bool(raw.body.get("encrypted_content"))


def _extras(part: Blob | Uri | File, extras: Mapping[str, Mapping[str, Any]], wire: Api) -> Iterator[str]:
    """Yield file extras that belong to another vendor, or that this type of file does not accept."""
    for vendor, values in extras.items():
        for name in values:
            if vendor != VENDORS[wire]:
                yield f"content.{name}: only {vendor} supports it beside a file"
            elif wire == "anthropic" and part.modality != "document":
                yield f"content.{name}: the API supports it on documents only"
            elif wire == "openai.chat" and name == "detail" and part.modality != "image":
                yield "content.detail: the API supports it on images only"


def describe_vendor_part(raw: Raw) -> str:
    """Returns the entry for a part that only its vendor understands."""
    return _only(str(raw.body.get("type") or next(iter(raw.body), "part")), raw.api)


def _only(name: str, wire: Api) -> str:
    return f"content.{name}: only {VENDORS.get(wire, wire)} supports it"


def _of_tool(tool: Tool, wire: Api, own_vendor: str) -> Iterator[str]:
    own = tool.extras.get(own_vendor, {})
    owners: dict[str, list[str]] = {}
    for vendor, values in tool.extras.items():
        for name in values:
            owners.setdefault(name, []).append(vendor)
    for name, vendors in owners.items():
        if name not in own:
            yield f"tools.{name}: only {' and '.join(vendors)} support{'' if len(vendors) > 1 else 's'} it on a tool"
        elif wire == "openai.chat" and name in RESPONSES_ONLY:
            yield f"tools.{name}: only the Responses API supports it"
