"""Secret redaction: keys and passwords out of sentences that reach logs and callers."""

from __future__ import annotations

import re

SECRETS = re.compile(
    r"(?P<before>[?&](?:key|api[_-]?key|access_token|token|sig)=|\bbearer +|//[^/\s:@]*:)[^\s&'\"@]+(?=[\s&'\"@]|$)|"
    r"\b(?:sk|pk|rk|gsk|xai|csk|fw|pplx|nvapi|tgp|hf|ghp|gho|github_pat|r8|AIza|ya29|ABSK|AKIA|ASIA)[-_.]?[\w.-]{16,}",
    re.IGNORECASE,
)


def without_secrets(text: str) -> str:
    """`text` with what looks like a key or a password replaced by three dots."""
    return SECRETS.sub(lambda match: f"{match['before'] or ''}…", text)
