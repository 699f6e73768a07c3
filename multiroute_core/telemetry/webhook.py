"""Alerts to an address on the web, signed, and sent until they are taken."""

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
from multiroute_core.telemetry.delivery import DeliveryResult, Timing
from multiroute_core.telemetry.outbox import Outbox
from multiroute_core.telemetry.signature import key, sign

STALE = 86400.0
"""An alert that nobody has taken after so many seconds is given up."""

_OF_A_CALL = (RequestStarted, AttemptStarted, FirstToken, AttemptEnded, RouteSkipped, RequestEnded)


@dataclass(frozen=True, slots=True)
class _Letter:
    """An alert on its way. Its id stays the same however often it is sent, so that receivers know it again."""

    message_id: str
    at: float
    body: bytes


@dataclass(frozen=True, slots=True)
class _Post:
    """Where letters go, and how."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    secret: bytes | None = field(repr=False)
    timeout: float
    wall: Callable[[], float] = field(repr=False)

    def __call__(self, letters: Sequence[_Letter]) -> DeliveryResult[_Letter]:
        """Send one."""
        from multiroute_core.telemetry.post import post  # which loads what speaks HTTP

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


class Webhook:
    """Sends alerts to an address: `Webhook(url, secret)(alert)` returns at once, and the alert is on its way.

    An alert is posted as `{"type": "budget.alert", "timestamp": "2026-11-28T13:45:00Z", "data": {...}}`, where `data`
    holds its fields. It counts as taken when the answer is a 2xx. After a 5xx, 408, 409, 425, 429 or no answer it is
    sent again, in order and with the same `webhook-id`, and not before a `Retry-After` of at most an hour; after any
    other answer, or a day, it is given up. Redirects are not followed. Proxies are those of the environment.

    What a call tells of itself (`RequestStarted` and the like) holds messages and is ignored; so a webhook may stand
    among a router's hooks.

    Args:
        url: `https://…` or `http://…`. A name and password in it are sent as basic authentication.
        secret: Signs what is sent, so that receivers can verify it: base64 with or without `whsec_` before it, or
            bytes. None sends without a signature.
        headers: More headers, such as an `Authorization`.
        timeout: Seconds for each step of the connection: to connect, and to wait for the answer.
        max_waiting: How many alerts wait at most while nobody takes them; of more, the oldest are given up.
        wall: The time in seconds since 1970, for tests.
        timing: Clock and sleep, for tests.

    Raises:
        ConfigurationError: the URL, a header, the secret or the timeout cannot be used.

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
        max_waiting: int = 1000,
        wall: Callable[[], float] = time.time,
        timing: Timing | None = None,
    ) -> None:
        if not timeout > 0:
            raise ConfigurationError(f"timeout={timeout!r} must be a number of seconds above 0.")
        address, self._where, credentials = _address(url)
        post = _Post(
            address,
            _checked({**credentials, **(headers or {})}),
            None if secret is None else key(secret),
            timeout,
            wall,
        )
        self._wall = wall
        self._outbox: Outbox[_Letter] = Outbox(
            post, f"The webhook at {self._where}", max_waiting=max_waiting, timing=timing
        )

    def __call__(self, alert: Any) -> None:
        """Send an alert: any dataclass of plain values. It neither waits nor raises."""
        if isinstance(alert, _OF_A_CALL):
            return
        now = self._wall()
        kind: str = alert.__class__.__name__
        try:
            stamp = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            body = msgspec.json.encode({"type": _kind(kind), "timestamp": stamp, "data": alert})
        except Exception as error:
            self._outbox.drop(1, f"a {kind} cannot be written as JSON ({type(error).__name__})")
            return
        self._outbox.put([_Letter(f"msg_{uuid.uuid4().hex}", now, body)])

    @property
    def dropped(self) -> int:
        """How many alerts were given up."""
        return self._outbox.dropped

    @property
    def waiting(self) -> int:
        """How many alerts are not sent yet."""
        return self._outbox.waiting

    def flush(self, timeout: float = 5.0) -> bool:
        """Send what waits, within `timeout` seconds; whether all of it is sent."""
        return self._outbox.flush(timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Send what waits, within `timeout` seconds, and end."""
        self._outbox.close(timeout)

    def __repr__(self) -> str:
        return f"Webhook({self._where!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A Webhook holds secrets and is not pickled; make one in each process.")


def _address(url: str) -> tuple[str, str, dict[str, str]]:
    """The URL without credentials, the same for logs, and the header that the credentials are.

    Of the path and the query nothing is logged: that of a chat's webhook is a secret.
    """
    wrong = ConfigurationError(
        "url=... is no address of a webhook; write https://host/path, with what is special in it percent-encoded."
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
            raise ConfigurationError(f"headers={{{name!r}: ...}}: this is no name of a header.")
        if any(character in value for character in "\r\n\0") or not _latin(value):
            raise ConfigurationError(f"headers={{{name!r}: ...}}: its value holds what no header may hold.")
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
