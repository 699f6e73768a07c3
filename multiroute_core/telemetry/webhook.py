"""Webhook: sends signed alerts to a URL, with retries until they are accepted."""

from __future__ import annotations

import base64
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit, urlunsplit

import msgspec

from multiroute_core.errors import ConfigurationError
from multiroute_core.events import AttemptEnded, AttemptStarted, FirstToken, RequestEnded, RequestStarted, RouteSkipped
from multiroute_core.options import invalid
from multiroute_core.telemetry.outbox import DeliveryResult, Outbox, Timing
from multiroute_core.telemetry.signature import key, sign

STALE = 86400.0
"""Seconds after which an undelivered alert is dropped."""

_OF_A_CALL = (RequestStarted, AttemptStarted, FirstToken, AttemptEnded, RouteSkipped, RequestEnded)


@dataclass(frozen=True, slots=True)
class _Letter:
    """A queued alert. Its id is the same in every attempt, so that receivers can detect duplicates."""

    message_id: str
    at: float
    body: bytes


@dataclass(frozen=True, slots=True)
class _Post:
    """Posts alerts to the URL."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    secret: bytes | None = field(repr=False)
    timeout: float
    wall: Callable[[], float] = field(repr=False)

    def __call__(self, letters: Sequence[_Letter]) -> DeliveryResult[_Letter]:
        """Sends one alert."""
        from multiroute_core.telemetry.post import post  # imports the HTTP modules

        (letter,) = letters
        now = self.wall()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "multiroute-webhook",
            **self.headers,
            "webhook-id": letter.message_id,
            "webhook-timestamp": str(int(now)),
        }
        if self.secret is not None:
            headers["webhook-signature"] = sign(letter.body, letter.message_id, int(now), self.secret)
        answer = post(self.url, letter.body, headers, self.timeout)
        if answer.ok:
            return DeliveryResult()
        if not answer.again or now - letter.at > STALE:
            return DeliveryResult(rejected=1, reason=answer.what)
        return DeliveryResult(unsent=letters, reason=answer.what, seconds=answer.door(now))


class Webhook(Outbox[_Letter]):
    """Sends alerts to a URL: `Webhook(url, secret)(alert)` queues the alert and returns at once.

    An alert is posted as `{"type": "budget.alert", "timestamp": "2026-11-28T13:45:00Z", "data": {...}}`, where `data`
    holds its fields. A 2xx response means that it was accepted. After a 5xx, 408, 409, 425, 429 or no response it is
    sent again, in order and with the same `webhook-id`, respecting a `Retry-After` of up to an hour; after any other
    response, or a day, it is dropped. Redirects are not followed. The environment's proxies are used.

    Events of calls (`RequestStarted` and the like) contain messages and are ignored; so a webhook can be one of a
    router's hooks.

    Args:
        url: `https://…` or `http://…`. A user name and password in it are sent as basic authentication.
        secret: Signs the webhooks, so that receivers can verify them: base64 with or without the prefix `whsec_`, or
            bytes. None sends them unsigned.
        headers: Additional headers, such as `Authorization`.
        timeout: Timeout in seconds for each step of the connection: connecting, and waiting for the response.
        max_pending: Maximum number of queued alerts; beyond it, the oldest are dropped.
        wall: Returns the time in seconds since 1970, for tests.
        timing: Clock and sleep, for tests.

    Raises:
        ConfigurationError: if the URL, a header, the secret or the timeout is not valid.

    Example:
        >>> webhook = Webhook("https://ops.example/hooks/budget", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        >>> webhook
        Webhook('https://ops.example')
    """

    def __init__(
        self,
        url: str,
        secret: str | bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 5.0,
        max_pending: int = 1000,
        wall: Callable[[], float] = time.time,
        timing: Timing | None = None,
    ) -> None:
        if not timeout > 0:
            raise invalid("timeout", timeout, "a number of seconds greater than 0")
        address, self._where, credentials = _address(url)
        post = _Post(
            address,
            _checked({**credentials, **(headers or {})}),
            None if secret is None else key(secret),
            timeout,
            wall,
        )
        self._wall = wall
        super().__init__(post, f"The webhook at {self._where}", max_pending=max_pending, timing=timing)

    def __call__(self, alert: Any) -> None:
        """Queues an alert: any dataclass of plain values. Never blocks or raises."""
        if isinstance(alert, _OF_A_CALL):
            return
        now = self._wall()
        kind: str = alert.__class__.__name__
        try:
            stamp = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            body = msgspec.json.encode({"type": _kind(kind), "timestamp": stamp, "data": alert})
        except Exception as error:
            self._drop(1, f"a {kind} cannot be serialized as JSON ({type(error).__name__})")
            return
        self.put([_Letter(f"msg_{uuid.uuid4().hex}", now, body)])

    def __repr__(self) -> str:
        return f"Webhook({self._where!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A Webhook contains secrets and cannot be pickled; create one in each process.")


def _address(url: str) -> tuple[str, str, dict[str, str]]:
    """Returns the URL without credentials, its loggable part, and the header for the credentials.

    The path and query are never logged, because a chat webhook's URL is a secret.
    """
    wrong = ConfigurationError(
        "url=... is not a valid webhook URL; expected https://host/path with special characters percent-encoded."
    )
    try:
        parts = urlsplit(url)
        port = parts.port
    except (ValueError, AttributeError):
        raise wrong from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii() or not url.isprintable():
        raise wrong
    if " " in url:
        raise wrong
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = host if port is None else f"{host}:{port}"
    credentials: dict[str, str] = {}
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        credentials["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    address = urlunsplit((parts.scheme, place, parts.path or "/", parts.query, ""))
    return address, f"{parts.scheme}://{place}", credentials


def _checked(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            raise ConfigurationError(f"headers={{{name!r}: ...}}: this is not a valid header name.")
        if any(character in value for character in "\r\n\0") or not _latin(value):
            raise ConfigurationError(
                f"headers={{{name!r}: ...}}: its value contains characters that headers do not allow."
            )
    return dict(headers)


def _latin(value: str) -> bool:
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True


def _kind(alert: str) -> str:
    """`BudgetAlert` → `budget.alert`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", ".", alert.lstrip("_")).lower()
