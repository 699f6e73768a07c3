"""Secret detection: keys of known vendors, passwords in URLs, private keys and tokens. Pure.

How this works: `SECRETS` hides keys in logs, where one word too many does no harm. Here its matches are candidates that
are checked again, and formats that it lacks are added. A key without a format of its own counts after the name of the
environment variable that the provider table has for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from multiroute_core._util.redaction import SECRETS, SHORTEST_SECRET
from multiroute_core.provider_table import PROVIDERS

_WORD_START = r"(?<![0-9A-Za-z_-])"
_VENDOR_KEYS = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----).)*+"  # RFC 7468
    r"-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
    rf"|{_WORD_START}(?:"
    r"gh[pousr]_[0-9A-Za-z]{36,}"  # GitHub
    r"|gl(?:pat|ptt|dt|rt|cbt|ft|soat)-[\w-]{20,}"  # GitLab
    r"|xox[abeoprs]-[0-9A-Za-z-]{10,}|xapp-\d-[0-9A-Za-z-]{10,}"  # Slack
    r"|npm_[0-9A-Za-z]{36}|pypi-AgEIcHlwaS5vcmc[\w-]{50,}"
    r"|SG\.[\w-]{22}\.[\w-]{43}|SK[0-9a-f]{32}|whsec_[0-9A-Za-z+/]{24,}={0,2}|dop_v1_[0-9a-f]{64}"
    r"|lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}|llx-[0-9A-Za-z]{40,}"  # LangSmith, LlamaCloud
    r"|AQ\.Ab8[\w-]{20,}"  # Gemini, since 2025
    r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"  # JSON Web Token, RFC 7519
    r")(?![0-9A-Za-z_-])",
    re.ASCII | re.DOTALL,
)
"""Formats that `SECRETS` lacks: those of gitleaks (https://github.com/gitleaks/gitleaks, config/gitleaks.toml at commit
009e025, read 2026-11-30), and those of Gemini, LangSmith and LlamaCloud, which it lacks as well."""

_KEY_VARIABLES = sorted(
    {name for spec in PROVIDERS.values() for name in spec.key_variables} | {"AWS_SECRET_ACCESS_KEY"},
    key=len,
    reverse=True,
)
_ASSIGNMENT = re.compile(
    rf"(?<!\w)(?:{'|'.join(map(re.escape, _KEY_VARIABLES))})[\"']?\s{{0,3}}[=:]\s{{0,3}}[\"']?([\w+/=.~-]{{16,}})",
    re.ASCII,
)
"""A provider's environment variable with a value: the keys of some providers have no format of their own."""

_PREFIX = re.compile(r"AIza|ya29|ABSK|AKIA|ASIA|[a-z0-9_]{2,12}[-_.]")
_ALPHANUMERIC = re.compile(r"[0-9A-Za-z]{16,}")
ENDINGS = ".,;:!?)>]}`"
"""What may stand after a secret in a sentence, and is not part of it unless more follows."""

_NON_ASCII = re.compile(r"[^\x00-\x7f]")


def find_secrets(text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and the end of every secret in `text`, in order and without overlap."""
    text = _NON_ASCII.sub(" ", text)  # in scripts without blanks a key ends where its own script does
    candidates = [match.span() for match in _VENDOR_KEYS.finditer(text)]
    candidates += [match.span(1) for match in _ASSIGNMENT.finditer(text) if _looks_random(match[1])]
    candidates += [span for match in SECRETS.finditer(text) if (span := _check_redaction(text, match))]
    yield from drop_overlaps(candidates)


def drop_overlaps(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield spans in order; of two that overlap the one that starts first, of two that start together the longer."""
    last = 0
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if start >= last:
            yield start, end
            last = end


def _check_redaction(text: str, match: re.Match[str]) -> tuple[int, int] | None:
    """Return the span of the value in a match of `SECRETS`, or None if it is not distinctive enough."""
    lead = match["before"] or match["slashes"] or ""
    value = match[0][len(lead) :].rstrip(ENDINGS)
    start = match.start() + len(lead)
    end = start + len(value)
    if match["before"] and lead.startswith("//"):
        is_secret = text.startswith("@", end)  # the password of https://user:password@host
    elif lead[:1] in "?&" and lead[1:].lower() in {"password=", "client_secret=", "secret="}:
        is_secret = len(value) >= SHORTEST_SECRET
    else:
        is_secret = (bool(lead) or bool(_PREFIX.match(value))) and _looks_random(value)
    return (start, end) if is_secret and value else None


def _looks_random(value: str) -> bool:
    """Whether `value` has a long run of letters and digits, unlike names and titles in URLs."""
    return any(
        (re.search(r"\d", run) and re.search(r"[A-Za-z]", run))
        or (len(run) >= 30 and run not in (run.lower(), run.upper()))
        for run in _ALPHANUMERIC.findall(value)
    )
