"""Signs what a webhook sends, and verifies it where it is received: the form of Standard Webhooks.

That is https://www.standardwebhooks.com: three headers, `webhook-id`, `webhook-timestamp` and `webhook-signature`, the
last of which is `v1,` and the base64 of an HMAC-SHA-256 over `id.timestamp.body`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping

from multiroute_core.errors import ConfigurationError, MultiRouteError

PREFIX = "whsec_"
"""How a secret begins that is written as base64; without it a string is base64 as well."""


class SignatureError(MultiRouteError):
    """What came was not signed with this secret, or is too old."""


def key(secret: str | bytes) -> bytes:
    """The key that a secret is: bytes as they are, or base64 with or without `whsec_` before it.

    Raises:
        ConfigurationError: it is empty, or no base64.
    """
    if isinstance(secret, bytes):
        key_bytes = secret
    else:
        text = secret.removeprefix(PREFIX).rstrip("=")
        try:
            key_bytes = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise ConfigurationError(
                "secret=... is no base64, as the secret of a webhook is ('whsec_...'); give other secrets as bytes."
            ) from None
    if not key_bytes:
        raise ConfigurationError("secret=... is empty; leave it out to send without a signature.")
    return key_bytes


def sign(body: bytes, message_id: str, timestamp: int, secret: bytes) -> str:
    """The value of the header `webhook-signature`; `secret` is a key as `key` gives it."""
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def verify(
    body: bytes,
    headers: Mapping[str, str],
    secret: str | bytes,
    *,
    tolerance: float = 300.0,
    wall: Callable[[], float] = time.time,
) -> None:
    """Make sure that a webhook comes from who has the secret, and is not an old one sent again.

    Args:
        body: The body as it came, byte for byte: not parsed and written again.
        headers: The request's headers; small and capital letters are the same.
        secret: As of `Webhook`.
        tolerance: Seconds by which its time and this machine's may differ.
        wall: The time in seconds since 1970.

    Raises:
        SignatureError: a header is missing, it is too old, or no signature in it is right.
        ConfigurationError: the secret is none.

    Example:
        >>> verify(request.body, request.headers, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")  # doctest: +SKIP
    """
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        message_id = lower["webhook-id"]
        stamp = lower["webhook-timestamp"]
        signatures = lower["webhook-signature"].split()
    except KeyError as error:
        raise SignatureError(f"The header {error.args[0]} is missing: this is no signed webhook.") from None
    if not (stamp.isascii() and stamp.isdigit()) or len(stamp) > 12:
        raise SignatureError("The header webhook-timestamp is no number of seconds.")
    timestamp = int(stamp)
    if abs(wall() - timestamp) > tolerance:
        raise SignatureError(
            f"The webhook's time is more than {tolerance:g} s from now: it is old, or a clock is wrong."
        )
    right = sign(body, message_id, timestamp, key(secret)).encode()
    if not any(hmac.compare_digest(right, signature.encode()) for signature in signatures):
        raise SignatureError("No signature is right: the secret is another, or the body was changed on its way.")
