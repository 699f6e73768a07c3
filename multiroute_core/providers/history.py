"""Encrypted reasoning and signatures in a history: they are valid for the account that made them, and for no other.

Another organisation, region or endpoint of the same vendor refuses them (OpenAI: `invalid_encrypted_content`). There
the history is told in neutral words, as to another vendor.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from multiroute_core.messages import Message, Part, Raw, Reasoning, Text, ToolCall, VendorPart
from multiroute_core.types import Request

NO_ACCOUNT = ""
"""The account of nobody: a history for it holds nothing that is encrypted or signed."""

FOREIGN = "content.signatures: what another account has encrypted or signed is told without that, or not at all"
"""What `dropped` says of a request that `for_account` has changed."""

OTHER_MODEL = "a model of another account"

_SEALS = frozenset(
    {
        *("encrypted_content", "encrypted_index", "encrypted_stdout", "signature"),
        *("thoughtSignature", "thought_signature", "reasoning_opaque"),
    }
)
"""The vendors' names for what only its maker can read or vouch for."""
_SEALED_TYPES = ("redacted_thinking", "reasoning.encrypted")
"""The types of blocks whose `data` is encrypted: Anthropic's and OpenRouter's."""


def account_of(address: str, api_key: str) -> str:
    """A short digest of an account at an address; neither can be read from it."""
    return hashlib.blake2b(f"{address}\0{api_key}".encode(), digest_size=6).hexdigest()


def for_account(request: Request, account: str | None) -> Request:
    """The request with a history that `account` can read; the same object where nothing has to change.

    Args:
        request: It is not touched.
        account: As of `account_of`; None where it is unknown, so that everything may go there.
    """
    if account is None:
        return request
    for message in request.messages:  # what a user or the system says is in nobody's own words, as a rule
        if message.role in ("assistant", "tool") and any(_is_foreign(part, account) for part in message.parts):
            return replace(request, messages=tuple(_make_readable(message, account) for message in request.messages))
    return request


def _is_foreign(part: Part, account: str) -> bool:
    raw: Raw | None = getattr(part, "raw", None)
    if raw is None or raw.account == account or (raw.account is None and account != NO_ACCOUNT):
        return False
    # OpenAI's calls bear ids that are bound to the reasoning before them.
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
            # A tool that the vendor ran is told whole or not at all: call and result name each other.
            if not _is_foreign(part, account) and not (_reference(part) and _reference(part) in foreign_references):
                parts.append(part)
        else:
            parts.append(_unseal(part) if _is_foreign(part, account) else part)
    return Message(message.role, parts, message.name)


def _unseal(part: Part) -> Part:
    """The part as another model's: encoders leave out what is bound to it."""
    match part:
        case Reasoning(raw=Raw() as raw) | ToolCall(raw=Raw(api="openai.responses") as raw):
            return replace(part, raw=replace(raw, model=OTHER_MODEL))
        case Text() | ToolCall():
            return replace(part, raw=None)
        case _:
            return part


def _reference(part: VendorPart) -> str | None:
    """The id by which a vendor's own call and its result belong together."""
    body = part.raw.body
    return next((body[key] for key in ("tool_use_id", "call_id", "id") if isinstance(body.get(key), str)), None)


def _is_sealed(value: Any) -> bool:
    """Whether there is something in it that is encrypted or signed."""
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        if any(("type", kind) in items for kind in _SEALED_TYPES):
            return True
        return any((key in _SEALS and bool(inner)) or _is_sealed(inner) for key, inner in items)
    return isinstance(value, list) and any(map(_is_sealed, cast("list[Any]", value)))
