"""Redaction: keeps keys and passwords out of messages, reprs, logs, and tracebacks that show local variables.

`Secret` and `Address` behave as strings except for their repr. SDKs and HTTP clients accept them unchanged, while
anything that displays values (a dataclass, a dict, a debugger, rich or Sentry with the locals of each frame) shows
dots.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

SECRETS = re.compile(
    r"(?P<before>[?&](?:key|api[_-]?key|(?:access_|auth_)?token|sig|signature|secret|client_secret|password)="
    r"|\b(?:bearer|basic) +|//[^/\s:@]*:(?!\d{1,5}(?:[^\w@]|$)))[^\s&'\"@]+(?=[\s&'\"@]|$)|"
    r"(?P<slashes>//)[^/\s:@'\"]+(?=@)|"
    r"\beyJ[\w-]{10,}\.[\w-]{4,}\.[\w-]*|"  # a JSON web token
    r"\b(?:sk|pk|rk|gsk|xai|csk|fw|pplx|nvapi|tgp|hf|ghp|gho|github_pat|r8|AIza|ya29|ABSK|AKIA|ASIA)[-_.]?[\w.-]{16,}",
    re.IGNORECASE,
)

HARMLESS = frozenset(("api-version", "alt", "db"))
"""URL parameters whose values are shown."""

SHORTEST_SECRET = 6
"""Length in characters below which a key is a placeholder such as `none`, not a secret."""

_PARAMETER = re.compile(r"([?&])([^=&#]+)=([^&#]*)")


def without_secrets(text: str) -> str:
    """Return `text` with everything that looks like a key or a password replaced by an ellipsis."""
    return SECRETS.sub(lambda match: f"{match['before'] or match['slashes'] or ''}…", text)


def without_secret(value: Any, secret: str) -> Any:
    """Replace every occurrence of `secret` in a text or JSON value by an ellipsis."""
    if isinstance(value, str):
        return value.replace(secret, "…")
    if isinstance(value, dict):
        return {name: without_secret(inner, secret) for name, inner in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [without_secret(inner, secret) for inner in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def redact_url(url: str) -> str:
    """Return `url` without its user information and without the values of its parameters, except harmless ones.

    Example:
        >>> redact_url("https://user:password@host/v1?key=abc")
        'https://…@host/v1?key=…'
    """
    head, at, tail = url.partition("://")[2].rpartition("@")
    scheme = url.partition("://")[0]
    if at and "/" not in head.partition("@")[0]:
        url = f"{scheme}://…@{tail}"
    elif at:  # a password with a slash, or an address in the path: redact everything to be safe
        return f"{scheme}://…"
    return _PARAMETER.sub(_redact_parameter, url)


def bare_url(url: str) -> str:
    """Return `url` without its user information, parameters and fragment: the location, without secrets."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _redact_parameter(match: re.Match[str]) -> str:
    value = match[3] if match[2].lower() in HARMLESS else "…"
    return f"{match[1]}{match[2]}={value}"


class Secret(str):
    """A key or a header value. Its repr does not show it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'…'"


class Address(str):
    """A URL that may contain a password. Its repr does not show it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(redact_url(str(self)))


def conceal(value: Any) -> Any:
    """Wrap a string that may be a URL as an `Address`; return anything else unchanged."""
    return Address(value) if type(value) is str and "://" in value else value


def concealed(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments by name, with those that may be keys or URLs as strings whose repr hides them."""
    return {
        name: Secret(value) if "key" in name and type(value) is str else conceal(value)
        for name, value in arguments.items()
    }


def split_credentials(url: str) -> tuple[str, tuple[Secret, Secret] | None]:
    """Split a URL into the URL without user information, and the credentials.

    HTTP clients log the URL; the credentials are sent as a header.
    """
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url, None
    user = parts.username or ""
    password = parts.password or ""
    bare = SplitResult(parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, parts.fragment)
    return urlunsplit(bare), (Secret(unquote(user)), Secret(unquote(password)))
