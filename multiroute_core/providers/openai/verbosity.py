"""Verbosity: the one setting of OpenAI's that has another place in each of its APIs.

`verbosity` in Chat Completions, `text.verbosity` in Responses (`CompletionCreateParamsBase` and
`ResponseTextConfigParam` of openai 2.54.0, read 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast


def to_responses(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return extra fields with the verbosity where Responses has it."""
    if "verbosity" not in fields:
        return fields
    rest = {name: value for name, value in fields.items() if name != "verbosity"}
    return {**rest, "text": {"verbosity": fields["verbosity"], **_text_of(fields)}}


def to_chat(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return extra fields with the verbosity where Chat Completions has it."""
    text = _text_of(fields)
    if "verbosity" not in text:
        return fields
    rest = {name: value for name, value in fields.items() if name != "text"}
    if more := {name: value for name, value in text.items() if name != "verbosity"}:
        rest["text"] = more
    return {"verbosity": text["verbosity"], **rest}


def _text_of(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    text = fields.get("text")
    return cast("Mapping[str, Any]", text) if isinstance(text, Mapping) else {}
