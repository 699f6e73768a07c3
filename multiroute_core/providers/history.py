"""Encrypted reasoning and signatures in a history: they are valid only for the account that created them.

Another organisation, region or endpoint of the same provider rejects them (OpenAI: `invalid_encrypted_content`). There
the history is sent in provider-neutral form, as to another provider.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from multiroute_core.messages import Message, Part, Raw, Reasoning, Text, ToolCall, VendorPart
from multiroute_core.types import Request

NO_ACCOUNT = ""
"""An account that matches nothing: a history for it contains no encrypted or signed content."""

FOREIGN = (
    "content.signatures: parts encrypted or signed by another account are sent without the signature, or not at all"
)
"""The `dropped` entry of a request that `for_account` has changed."""

OTHER_MODEL = "a model of another account"

_SEALS = frozenset(
    {
        *("encrypted_content", "encrypted_index", "encrypted_stdout", "signature"),
        *("thoughtSignature", "thought_signature", "reasoning_opaque"),
    }
)
"""Fields with content that only its creator can decrypt or verify."""
_SEALED_TYPES = ("redacted_thinking", "reasoning.encrypted")
"""Types of blocks whose `data` is encrypted: Anthropic's and OpenRouter's."""


def account_of(address: str, api_key: str) -> str:
    """Returns a short one-way digest of an account at an address."""
    return hashlib.blake2b(f"{address}\0{api_key}".encode(), digest_size=6).hexdigest()


def for_account(request: Request, account: str | None) -> Request:
    """Returns the request with a history that `account` can read; the same object if nothing changes.

    Args:
        request: The request; not modified.
        account: A digest of `account_of`; None if unknown, then nothing is removed.
    """
    if account is None:
        return request
    for message in request.messages:  # user and system messages are not provider-specific, as a rule
        if message.role in ("assistant", "tool") and any(_is_foreign(part, account) for part in message.parts):
            return replace(request, messages=tuple(_make_readable(message, account) for message in request.messages))
    return request


def _is_foreign(part: Part, account: str) -> bool:
    raw: Raw | None = getattr(part, "raw", None)
    if raw is None or raw.account == account or (raw.account is None and account != NO_ACCOUNT):
        return False
    # Ids of OpenAI's tool calls are bound to the preceding reasoning.
    return _is_sealed(raw.body) or (isinstance(part, ToolCall) and raw.api == "openai.responses")


def _make_readable(message: Message, account: str) -> Message:
    if not any(_is_foreign(part, account) for part in message.parts):
        return message
    foreign_references = {
        _reference(part) for part in message.parts if isinstance(part, VendorPart) and _is_foreign(part, account)
    }
    parts: list[Part] = []
    for part in message.parts:
        if isinstance(part, VendorPart):
            # Keep or drop a server tool's call and result together, because they reference each other.
            if not _is_foreign(part, account) and not (_reference(part) and _reference(part) in foreign_references):
                parts.append(part)
        else:
            parts.append(_unseal(part) if _is_foreign(part, account) else part)
    return Message(message.role, parts, message.name)


def _unseal(part: Part) -> Part:
    """Mark the part as another model's, so that encoders drop what is bound to its model."""
    match part:
        case Reasoning(raw=Raw() as raw) | ToolCall(raw=Raw(api="openai.responses") as raw):
            return replace(part, raw=replace(raw, model=OTHER_MODEL))
        case Text() | ToolCall():
            return replace(part, raw=None)
        case _:
            return part


def _reference(part: VendorPart) -> str | None:
    """Returns the id that links a server tool's call to its result."""
    body = part.raw.body
    return next((body[key] for key in ("tool_use_id", "call_id", "id") if isinstance(body.get(key), str)), None)


def _is_sealed(value: Any) -> bool:
    """Whether `value` contains encrypted or signed data."""
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        if any(("type", kind) in items for kind in _SEALED_TYPES):
            return True
        return any((key in _SEALS and bool(inner)) or _is_sealed(inner) for key, inner in items)
    return isinstance(value, list) and any(map(_is_sealed, cast("list[Any]", value)))
