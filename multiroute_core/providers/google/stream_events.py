"""Server-sent events of a Gemini stream, read without the SDK, with the values and errors that the SDK would give."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import msgspec

from multiroute_core._util.json_text import NO_JSON, decode_json
from multiroute_core.providers.body import mapping
from multiroute_core.providers.event_stream import Events
from multiroute_core.providers.google.faults import reading
from multiroute_core.providers.google.sse_normalizer import has_valid_code
from multiroute_core.providers.in_band import has_error
from multiroute_core.providers.provider import UnreadableReply, WireError
from multiroute_core.providers.sse import ServerSentEvent
from multiroute_core.providers.stream_body import error_body_of, to_value


def read_events(sdk: ModuleType, response: Any, *, native: bool) -> Events:
    """Return the events of a response's body, each a JSON value.

    Args:
        sdk: The SDK, whose error classes are used for Google's own errors.
        response: The HTTP response, with an unread body.
        native: Whether it belongs to an async client.
    """
    reader = _EventReader(sdk, response.headers)
    return Events(response, native=native, read_event=reader.read, split_body=_split_body)


class _EventReader:
    """Reads events, and raises the errors among them.

    Args:
        sdk: The SDK.
        headers: The headers of the response; an error inside the stream has them as well.
    """

    __slots__ = ("_headers", "_sdk")

    def __init__(self, sdk: ModuleType, headers: Mapping[str, str]) -> None:
        self._sdk = sdk
        self._headers = headers

    def read(self, event: ServerSentEvent, /, *, last: bool) -> Any:
        """Return the value of an event; None for an empty one.

        Raises:
            WireError: If it is unreadable, or reports an error without a valid HTTP status.
            google.genai.errors.APIError: If it reports any other error.
        """
        try:
            value = to_value(event, last=last)
        except UnreadableReply:
            raise
        except WireError as error:
            self._raise_error(mapping(error.body))
            raise
        if "error" in mapping(value):
            self._raise_error(mapping(value))
        return value

    def _raise_error(self, body: Mapping[str, Any]) -> None:
        """Raise the error of `body`, if it has one, as it comes through the SDK."""
        if not has_error(body):
            return
        if not has_valid_code(body):
            raise WireError("The provider reported an error inside the stream.", error_body_of(body))
        if next(iter(body)) == "error":  # the SDK looks at the beginning of the text; the decoder reads the others
            with reading("google.genai"):
                response = SimpleNamespace(headers=dict(self._headers))
                self._sdk.errors.APIError.raise_error(body["error"]["code"], body, response)


def _split_body(body: bytes) -> list[ServerSentEvent]:
    """Return the events of a JSON body: a response, an error, or a list of these, which is Gemini's other format.

    Invalid UTF-8 becomes a replacement character, as in a body that is read as an event stream.

    Raises:
        UnreadableReply: If the body is not JSON.
    """
    body = body.decode("utf-8", "replace").encode()
    try:
        value: Any = decode_json(body)
    except NO_JSON as error:
        message = f"The body of the stream is not valid JSON: {error}."
        raise UnreadableReply(message, {"error": {"message": message}}) from error
    if not isinstance(value, list):
        return [ServerSentEvent(b"", body)]
    return [ServerSentEvent(b"", msgspec.json.encode(one)) for one in cast("list[Any]", value)]
