"""One POST, and what came of it in words that hold no secret."""

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
"""Statuses below 500 after which it is worth while to try again."""

LONGEST_DOOR = 3600.0
"""Seconds for which a `Retry-After` is kept at most."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a POST.

    Attributes:
        status: The HTTP status; None where none came.
        what: What happened, for a log; it holds nothing of the URL.
        retry_after: The header of that name.
    """

    status: int | None
    what: str
    retry_after: str | None = None

    @property
    def ok(self) -> bool:
        """Whether it was taken."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def again(self) -> bool:
        """Whether the same may be taken another time."""
        return self.status is None or self.status >= 500 or self.status in AGAIN

    def door(self, now: float) -> float | None:
        """For how many seconds it wants to be left alone, an hour at most; None where it did not say.

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
    """What is signed for one address goes to no other."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None is followed."""


def post(url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Answer:
    """Send a POST, through the proxies of the environment; it raises nothing that the other end or the network causes.

    Each has a connection of its own: they are rare, and so there is nothing to go stale, or to share after a fork. The
    standard library does it, since httpx comes only with the vendors' SDKs.

    Args:
        url: `http` or `https`, without credentials.
        body: What to send.
        headers: With what.
        timeout: Seconds for each step of the connection.
    """
    request = urllib.request.Request(url, body, dict(headers), method="POST")  # noqa: S310  (the caller has looked)
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout) as reply:
            return Answer(reply.status, "")
    except urllib.error.HTTPError as error:
        with error:
            return Answer(
                error.code, f"the answer was {_describe_status(error.code)}", error.headers.get("Retry-After")
            )
    except TimeoutError:
        return Answer(None, f"there was no answer within {timeout:g} s")
    except urllib.error.URLError as error:  # whose text may hold what the URL says
        if isinstance(error.reason, TimeoutError):
            return Answer(None, f"there was no connection within {timeout:g} s")
        reason = type(error.reason).__name__ if isinstance(error.reason, Exception) else "URLError"
        return Answer(None, f"there is no connection ({reason})")
    except (OSError, http.client.HTTPException) as error:
        return Answer(None, f"the connection broke ({type(error).__name__})")


def _describe_status(status: int) -> str:
    try:
        return f"HTTP {status} ({HTTPStatus(status).phrase})"
    except ValueError:
        return f"HTTP {status}"
