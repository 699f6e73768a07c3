"""Tool call ids that every provider accepts."""

from __future__ import annotations

import hashlib
import re

_VALID = re.compile(r"[A-Za-z0-9_-]{1,40}")
"""Anthropic's pattern, and the limit of 40 characters of OpenAI's Chat Completions."""


def tool_call_id(call_id: str) -> str:
    """Returns `call_id`, or if a provider would reject it, an id derived from it.

    The result is deterministic, so calls and results stay paired.
    """
    if _VALID.fullmatch(call_id):
        return call_id
    return f"call_{hashlib.blake2b(call_id.encode('utf-8', 'surrogatepass'), digest_size=12).hexdigest()}"
