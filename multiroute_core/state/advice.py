"""Log messages of the circuit breaker: what happened to a route, and which variable or setting to check.

They consist of the program's own settings and of `Failure`: no prompt, no key and no text of the provider.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from multiroute_core.provider_table import PROVIDERS
from multiroute_core.resilience.failure import Failure
from multiroute_core.route import Route

_PHRASES = {
    "authentication": "authentication failed",
    "bad_reply": "invalid response",
    "broken_stream": "stream interrupted",
    "connection": "connection failed",
    "not_found": "model or address not found",
    "overloaded": "provider overloaded",
    "quota_exhausted": "credit or quota exhausted",
    "server_error": "server error",
    "timeout": "timeout",
}
_SEGMENT = re.compile(r"[A-Za-z._-]{1,20}|v\d{1,2}(?:(?:alpha|beta)\d?)?")
"""A path segment that may be shown; others may be an account or a token."""


def describe_opening(names: Sequence[str], route: Route, failure: Failure | None, seconds: float, *, new: bool) -> str:
    """Return the message about breakers that open.

    Args:
        names: The routes whose breakers open.
        route: The route whose attempt failed.
        failure: How it failed; None if unknown.
        seconds: How long they are open.
        new: Whether they were closed before.
    """
    many = len(names) > 1
    subject = ", ".join(map(repr, names))
    quota = f" (quota {route.rate_limit_group!r})" if many else ""
    verb = "opened for" if new else "stay open for another" if many else "stays open for another"
    span = f"up to {format_seconds(seconds)}" if many else format_seconds(seconds)
    breakers = "circuit breakers" if many else "circuit breaker"
    message = f"Route{'s' if many else ''} {subject}{quota}: {breakers} {verb} {span}"
    if failure is None:
        return f"{message}."
    phrase = _PHRASES.get(failure.code, failure.code.replace("_", " "))
    details = f" ({failure.details})" if failure.details else ""
    return " ".join(filter(None, (f"{message}: {phrase}{details}.", advise(route, failure))))


def describe_recovery(name: str, seconds: float) -> str:
    """Return the message about a breaker that closes.

    Args:
        name: The route's name.
        seconds: How long it was not closed.
    """
    return f"Route {name!r}: recovered; circuit breaker closed after {format_seconds(max(0.0, seconds))}."


def format_seconds(seconds: float) -> str:
    """Format seconds with the digits that matter."""
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def advise(route: Route, failure: Failure) -> str:
    """Return what to check after a failure; empty if only waiting helps."""
    match failure.code:
        case "authentication":
            return f"Check {_key(route)}{_permissions(route, failure)}."
        case "not_found":
            return f"Check the model name {route.model!r}{_and(_address(route, path=True))}."
        case "quota_exhausted":
            return f"Check the billing, credits and spending limits of {_account(route)}."
        case "connection":
            address = _address(route, path=False)
            return f"Check {address}." if address else "Check the network."
        case _:
            return ""


def _key(route: Route) -> str:
    if route.llm is not None:
        return "the key of the wrapped model"
    if route.api_key is not None:
        return "Route(api_key=...)"
    names = PROVIDERS[route.provider].key_variables
    in_use = next((name for name in names if os.environ.get(name)), None)
    return in_use or " or ".join(names) or "the key"


def _permissions(route: Route, failure: Failure) -> str:
    """Return advice for a valid key that was rejected: it lacks a permission."""
    return "" if failure.status == 401 else f", and whether it may use the model {route.model!r} from here"


def _account(route: Route) -> str:
    if route.base_url is None or route.llm is not None:
        return f"the {route.provider!r} account"
    return f"the account at {_address(route, path=False)}"


def _and(address: str) -> str:
    return f" and {address}" if address else ""


def _address(route: Route, *, path: bool) -> str:
    """Return the source of the address, and its host; empty for the provider's default."""
    if route.llm is not None:
        return ""
    if route.base_url is not None:
        return f"base_url {safe_address(route.base_url, path=path)}".rstrip()
    variable = PROVIDERS[route.provider].base_url_variable
    return variable if os.environ.get(variable) else ""


def safe_address(url: str, *, path: bool) -> str:
    """Return an address without credentials, query and other possible secrets; empty if that is uncertain.

    Args:
        url: The address.
        path: Whether its path is shown as well.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
        port = parts.port
    except ValueError:  # a password with a slash in it looks like a port
        return ""
    if not host or "@" in f"{parts.path}{parts.query}{parts.fragment}":
        return ""
    host = f"[{host}]" if ":" in host else host
    where = f"{parts.scheme}://{host}" + ("" if port is None else f":{port}")
    if not path:
        return where
    return where + "".join(
        f"/{segment if _SEGMENT.fullmatch(segment) else '…'}" for segment in parts.path.split("/") if segment
    )
