"""Content parts in Gemini's format: identified by a single key instead of a type, in camel or snake case."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from multiroute_core.messages import Part, Raw, Reasoning, Text, ToolCallResponse, VendorPart, modality_of
from multiroute_core.parsing.reading import (
    Block,
    Reader,
    address,
    beside,
    blob,
    call,
    camel,
    file,
    inner,
    richer,
    text,
)

FILES = "https://generativelanguage.googleapis.com/"
"""URL prefix of Gemini's own file store; any other URL is on the web."""

_BESIDE = ("videoMetadata", "mediaResolution")
"""Fields of a file part besides the file, which `beside` reads."""


def _text(block: Block) -> Part:
    if block.get("thought"):
        return Reasoning(text(block, "text"), Raw("google", block))
    return Text(text(block, "text"), richer("google", block, "text", "thought"))


def _inline(block: Block) -> Part:
    inline_data = inner(block, "inlineData")
    form = None if isinstance(inline_data.get("data"), bytes) else richer("google", block, "inlineData", *_BESIDE)
    return blob(
        inline_data.get("data"),
        inline_data.get("mimeType"),
        inline_data.get("displayName"),
        form,
        None if form else beside(block),
    )


def _file(block: Block) -> Part:
    file_data = inner(block, "fileData")
    uri = file_data.get("fileUri")
    mime_type = file_data.get("mimeType")
    modality = modality_of(mime_type) if isinstance(mime_type, str) else "document"
    if isinstance(uri, str) and uri.startswith(FILES):
        return file(uri, modality, mime_type, "google", beside(block))
    form = richer("google", block, "fileData", *_BESIDE)
    return address(uri, modality, mime_type, form=form, extras=None if form else beside(block))


def _call(block: Block) -> Part:
    function_call = inner(block, "functionCall")
    return call(
        function_call.get("id"), function_call.get("name"), function_call.get("args") or {}, Raw("google", block)
    )


def _response(block: Block) -> Part:
    """A tool result is an object; the result text is its only string value, or the whole object as JSON."""
    function_response = inner(block, "functionResponse")
    answer = function_response.get("response")
    failed = isinstance(answer, Mapping) and "error" in answer
    values: tuple[Any, ...] = tuple(cast("Block", answer).values()) if isinstance(answer, Mapping) else (answer,)
    output = values[0] if len(values) == 1 and isinstance(values[0], str) else json.dumps(answer, default=str)
    name = function_response.get("name")
    return ToolCallResponse(
        str(function_response.get("id") or ""),
        output,
        error=failed,
        name=name if isinstance(name, str) else None,
        raw=Raw("google", block),
    )


def _vendors(block: Block) -> Part:
    return VendorPart(Raw("google", block))


READERS: Mapping[str, Reader] = {
    "functionCall": _call,
    "functionResponse": _response,
    "inlineData": _inline,
    "fileData": _file,
    "executableCode": _vendors,
    "codeExecutionResult": _vendors,
    "toolCall": _vendors,
    "toolResponse": _vendors,
    "text": _text,
}
"""Parsers by key; a part with a signature beside its text is still a text."""


def reader(block: Block) -> tuple[Reader, Block] | None:
    """Return the parser of a part, and the part with camel-case keys; None if it is not a Gemini part."""
    fields = {camel(name): _keyed(value) for name, value in block.items()}
    return next(((read, fields) for key, read in READERS.items() if key in fields), None)


def _keyed(value: Any) -> Any:
    return {camel(name): one for name, one in cast("Block", value).items()} if isinstance(value, Mapping) else value
