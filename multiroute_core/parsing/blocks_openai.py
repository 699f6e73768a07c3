"""Content parts and items in OpenAI's formats, Chat Completions and Responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from multiroute_core.errors import ConfigurationError
from multiroute_core.messages import Extras, Part, Reasoning, Text, VendorPart
from multiroute_core.parsing.reading import (
    Block,
    Reader,
    address,
    beside,
    blob,
    call,
    file,
    inner,
    kind,
    raw,
    richer,
    text,
)
from multiroute_core.tools import CUSTOM_INPUT

AUDIO = {"wav": "audio/wav", "mp3": "audio/mpeg", "flac": "audio/flac", "opus": "audio/opus", "pcm16": "audio/pcm"}
"""OpenAI's names of audio formats."""


def _image_url(block: Block) -> Part:
    image = block.get("image_url")
    if not isinstance(image, Mapping):
        return address(image, "image")
    image = cast("Block", image)
    return address(image.get("url"), "image", extras=beside({**block, **image}))


def _input_audio(block: Block) -> Part:
    audio = inner(block, "input_audio")
    return blob(audio.get("data"), AUDIO.get(str(audio.get("format"))), extras=beside(block))


def chat_file(block: Block) -> Part:
    """A Chat Completions file, under `file`."""
    file_block = inner(block, "file")
    extras = beside({**block, **file_block})
    if (file_id := file_block.get("file_id")) is not None:
        return file(file_id, "document", provider="openai", extras=extras)
    return _data(file_block.get("file_data"), file_block.get("filename"), extras)


def _input_image(block: Block) -> Part:
    if (file_id := block.get("file_id")) is not None:
        return file(file_id, "image", provider="openai", extras=beside(block))
    return address(block.get("image_url"), "image", extras=beside(block))


def _input_file(block: Block) -> Part:
    if (file_id := block.get("file_id")) is not None:
        return file(file_id, "document", provider="openai", extras=beside(block))
    if (url := block.get("file_url")) is not None:
        return address(url, "document", extras=beside(block))
    return _data(block.get("file_data"), block.get("filename"), beside(block))


def _data(data: Any, name: Any, extras: Extras | None) -> Part:
    """File data, as a `data:` URL or as base64 alone."""
    if isinstance(data, str) and data.startswith("data:"):
        return address(data, "document", name=name, extras=extras)
    return blob(data, None, name, extras=extras)


def _function(block: Block) -> Part:
    function = inner(block, "function")
    form = richer("openai.chat", block, "id", "function")  # compatible servers attach signatures to it
    return call(block.get("id"), function.get("name"), function.get("arguments"), form)


def _function_call(block: Block) -> Part:
    form = raw("openai.responses", block)
    return call(block.get("call_id") or block.get("id"), block.get("name"), block.get("arguments"), form)


def _custom_tool_call(block: Block) -> Part:
    """A custom tool call of the Responses API."""
    form = raw("openai.responses", block)
    arguments = {CUSTOM_INPUT: text(block, "input")}
    return call(block.get("call_id") or block.get("id"), block.get("name"), arguments, form)


def _custom(block: Block) -> Part:
    """A custom tool call of Chat Completions."""
    custom = inner(block, "custom")
    return call(block.get("id"), custom.get("name"), {CUSTOM_INPUT: text(custom, "input")}, raw("openai.chat", block))


def reasoning(block: Block) -> Part:
    """A reasoning item; its summaries are the readable text."""
    key = "summary" if block.get("summary") else "content"
    pieces = block.get(key) or ()
    if isinstance(pieces, str):
        return Reasoning(pieces, raw("openai.responses", block))
    if not isinstance(pieces, list | tuple):
        raise ConfigurationError(f"A block of type {kind(block)!r} needs a list under {key!r}.")
    texts = [text(cast("Block", one), "text") for one in cast("list[Any]", pieces) if isinstance(one, Mapping)]
    return Reasoning("\n".join(texts), raw("openai.responses", block))


def _vendors(block: Block) -> Part:
    return VendorPart(raw("openai.responses", block))


READERS: Mapping[str, Reader] = {
    "image_url": _image_url,
    "input_audio": _input_audio,
    "refusal": lambda block: Text(text(block, "refusal")),
    "input_text": lambda block: Text(text(block, "text"), richer("openai.responses", block, "text")),
    "output_text": lambda block: Text(
        text(block, "text"), raw("openai.responses", block) if block.get("annotations") else None
    ),
    "summary_text": lambda block: Text(text(block, "text")),
    "input_image": _input_image,
    "input_file": _input_file,
    "function": _function,
    "function_call": _function_call,
    "custom": _custom,
    "custom_tool_call": _custom_tool_call,
    "mcp_list_tools": _vendors,
    "mcp_approval_request": _vendors,
    "mcp_approval_response": _vendors,
    "item_reference": _vendors,
    "program": _vendors,
    "program_output": _vendors,
}
PATTERNS: Mapping[str, Reader] = {"*_call": _vendors, "*_call_output": _vendors}
