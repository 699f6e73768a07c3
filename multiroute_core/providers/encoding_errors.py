"""Serialization errors: a request that cannot be encoded, which is not the fault of any route."""

from __future__ import annotations

import re

from multiroute_core.providers.error_chain import causes
from multiroute_core.providers.provider import WireError

NOT_ENCODED = re.compile(
    r"out of range float values|not json serializable|not json compliant|surrogates not allowed|isn't valid utf-8|"
    r"unable to parse raw data as a unicode string",
    re.IGNORECASE,
)
HALF = "The request contains half of a surrogate pair (usually an emoji cut in two), which cannot be encoded."
NUMBER = "The request contains a number that JSON does not support (NaN or infinity)."
HEADER = "The request contains a character that HTTP headers do not allow; check keys and headers for quotation marks."
OBJECT = "The request contains a value that cannot be serialized as JSON"


def read_encoding_error(error: Exception) -> str | None:
    """Returns why the request could not be encoded; None if `error` has another cause.

    A reply that cannot be decoded raises UnicodeDecodeError or JSONDecodeError, whose messages differ.
    """
    if isinstance(error, WireError):
        return None
    for cause in causes(error):
        if isinstance(cause, UnicodeEncodeError):
            return HALF if "surrogate" in cause.reason else HEADER
        if not isinstance(cause, ValueError | TypeError) or isinstance(cause, UnicodeError):
            continue
        if any(kind.__name__.endswith("DecodeError") for kind in type(cause).__mro__):
            continue  # orjson reports "surrogates not allowed" for a reply that is not UTF-8
        text = str(cause)
        if NOT_ENCODED.search(text):
            if "float" in text or "compliant" in text:
                return NUMBER
            return f"{OBJECT}: {text[:200]}" if "serializable" in text and "surrogate" not in text else HALF
    return None
