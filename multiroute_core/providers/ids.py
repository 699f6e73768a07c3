"""Ids of tool calls that every vendor takes."""

from __future__ import annotations

import hashlib
import re

_VALID = re.compile(r"[A-Za-z0-9_-]{1,40}")
"""Anthropic's pattern, and the 40 characters that OpenAI's Chat Completions allow."""


def tool_call_id(call_id: str) -> str:
    """`given`, or where a vendor would refuse it one made of it, always the same: calls and answers stay paired."""
    if _VALID.fullmatch(call_id):
        return call_id
    return f"call_{hashlib.blake2b(call_id.encode(), digest_size=12).hexdigest()}"
