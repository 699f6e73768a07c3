"""Bodies as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from multiroute_core.providers.provider import Reply, WireError

_decode = msgspec.json.Decoder().decode


def of(reply: Reply) -> Mapping[str, Any]:
    """The reply's body as a JSON object.

    Raises:
        WireError: it is cut, empty, or something else.
    """
    try:
        found = _decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireError(f"The body is no JSON: {error}.") from error
    if not isinstance(found, dict):
        raise WireError(f"The body is a JSON {type(found).__name__}, not an object.")
    return cast("dict[str, Any]", found)
