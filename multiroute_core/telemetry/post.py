"""HTTP POST: sends one request and describes the result without secrets."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

AGAIN = (408, 409, 425, 429)
"""Statuses below 500 that are worth a retry."""

LONGEST_DOOR = 3600.0
"""Maximum `Retry-After` in seconds."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a POST.

    Attributes:
        status: The HTTP status; None if no response arrived.
        what: The result for logs; it contains nothing of the URL.
        retry_after: The `Retry-After` header.
    """

    status: int | None
    what: str
    retry_after: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the request was accepted."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def again(self) -> bool:
        """Whether a retry may be accepted."""
        return self.status is None or self.status >= 500 or self.status in AGAIN

    def door(self, now: float) -> float | None:
        """Returns the retry delay that the server requests, in seconds, at most one hour; None if not given.

        Args:
            now: The time in seconds since 1970.
        """
        after = (self.retry_after or "").strip()
        try:
            seconds = float(after) if after.isdigit() else parsedate_to_datetime(after).timestamp() - now
        except (ValueError, TypeError, OverflowError, OSError):
            return None
        return min(max(0.0, seconds), LONGEST_DOOR)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Does not follow redirects: a request signed for one address must not reach another."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Returns None, which stops the redirect."""


def post(url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Answer:
    """Sends a POST through the environment's proxies; never raises for server or network errors.

    Each request has its own connection: they are rare, so no connection can go stale or be shared after a fork. It uses
    the standard library, because httpx is installed only with the providers' SDKs.

    Args:
        url: `http` or `https`, without credentials.
        body: The request body.
        headers: The request headers.
        timeout: Timeout in seconds for each step of the connection.
    """
    request = urllib.request.Request(url, body, dict(headers), method="POST")  # noqa: S310  (the caller has looked)
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout) as reply:
            return Answer(reply.status, "")
    except urllib.error.HTTPError as error:
        with error:
            return Answer(
                error.code, f"the response was {_describe_status(error.code)}", error.headers.get("Retry-After")
            )
    except TimeoutError:
        return Answer(None, f"no response within {timeout:g} s")
    except urllib.error.URLError as error:  # the text may contain parts of the URL
        if isinstance(error.reason, TimeoutError):
            return Answer(None, f"no connection within {timeout:g} s")
        reason = type(error.reason).__name__ if isinstance(error.reason, Exception) else "URLError"
        return Answer(None, f"no connection ({reason})")
    except (OSError, http.client.HTTPException) as error:
        return Answer(None, f"the connection broke ({type(error).__name__})")


def _describe_status(status: int) -> str:
    try:
        return f"HTTP {status} ({HTTPStatus(status).phrase})"
    except ValueError:
        return f"HTTP {status}"
