"""Webhook signatures: signs webhooks, and verifies them at the receiver, as Standard Webhooks specifies.

See https://www.standardwebhooks.com. It uses three headers: `webhook-id`, `webhook-timestamp` and `webhook-signature`,
which is `v1,` followed by the base64 of an HMAC-SHA-256 over `id.timestamp.body`.
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
"""The prefix of a base64 secret; a string without it is base64 as well."""


class SignatureError(MultiRouteError):
    """The webhook was not signed with this secret, or is too old."""


def key(secret: str | bytes) -> bytes:
    """Returns the key of a secret: bytes unchanged, or base64 with or without the prefix `whsec_`.

    Raises:
        ConfigurationError: if the secret is empty or not valid base64.
    """
    if isinstance(secret, bytes):
        key_bytes = secret
    else:
        text = secret.removeprefix(PREFIX).rstrip("=")
        try:
            key_bytes = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise ConfigurationError(
                "secret=... is not valid base64, the format of webhook secrets ('whsec_...'); pass other secrets "
                "as bytes."
            ) from None
    if not key_bytes:
        raise ConfigurationError("secret=... is empty; leave it out to send without a signature.")
    return key_bytes


def sign(body: bytes, message_id: str, timestamp: int, secret: bytes) -> str:
    """Returns the value of the header `webhook-signature`; `secret` is a key returned by `key`."""
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def verify_signature(
    body: bytes,
    headers: Mapping[str, str],
    secret: str | bytes,
    *,
    tolerance: float = 300.0,
    wall: Callable[[], float] = time.time,
) -> None:
    """Verifies that a webhook was signed with the secret and is not an old one sent again.

    Args:
        body: The raw body, byte for byte: not parsed and serialized again.
        headers: The request's headers; names are case-insensitive.
        secret: As in `Webhook`.
        tolerance: Maximum difference in seconds between the webhook's time and this machine's.
        wall: Returns the time in seconds since 1970.

    Raises:
        SignatureError: if a header is missing, the webhook is too old, or no signature matches.
        ConfigurationError: if the secret is not valid, or `body` is not bytes.

    Example:
        >>> verify_signature(request.body, request.headers, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")  # doctest: +SKIP
    """
    if not isinstance(body, (bytes, bytearray, memoryview)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            f"The body of a webhook is signed as bytes, and this is of type {type(body).__name__}: pass the raw body, "
            "such as `await request.body()` in FastAPI or `request.get_data()` in Flask."
        )
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        message_id = lower["webhook-id"]
        stamp = lower["webhook-timestamp"]
        signatures = lower["webhook-signature"].split()
    except KeyError as error:
        raise SignatureError(f"The header {error.args[0]} is missing: the webhook is not signed.") from None
    if not (stamp.isascii() and stamp.isdigit()) or len(stamp) > 12:
        raise SignatureError("The header webhook-timestamp is not a number of seconds.")
    timestamp = int(stamp)
    if abs(wall() - timestamp) > tolerance:
        raise SignatureError(
            f"The webhook's timestamp differs from now by more than {tolerance:g} s: it is old, or a clock is wrong."
        )
    right = sign(body, message_id, timestamp, key(secret)).encode()
    if not any(hmac.compare_digest(right, signature.encode()) for signature in signatures):
        raise SignatureError("No signature matches: the secret is wrong, or the body was changed.")
