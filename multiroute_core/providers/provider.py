"""Provider protocol: the interface between the request execution and one provider's API.

A provider is four pure functions on plain JSON (encode, decode, decode a stream, classify an error) and two calls
through the provider's SDK, written once for sync and async over `IO`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from multiroute_core.errors import RouteError
from multiroute_core.messages import Api
from multiroute_core.providers.restoring import Restoration
from multiroute_core.route import Route
from multiroute_core.runtime.deadline import Deadline
from multiroute_core.runtime.io import IO
from multiroute_core.types import Delta, Request, Usage


@dataclass(frozen=True, slots=True)
class Encoded:
    """A request in one provider's format.

    Attributes:
        path: The path below the provider's base URL.
        body: The JSON body; excluded from the repr, like headers and query.
        dropped: Parameters that the route does not support, each with the reason.
        headers: Headers besides the SDK's own. Excluded from the repr, because they may contain a gateway's key.
        model: The requested model, as the route names it; parts of the answer store it in their `raw`.
        output_tool: The name of a tool that emulates structured output, for providers without native support: the
            arguments of its call are the answer's text.
        account: Digest of the account and endpoint in use; parts of the answer store it in their `raw`.
        query: Query parameters of the URL besides the SDK's own; excluded from the repr.
        restoration: What was rewritten for the provider and must be undone in the answer; None if nothing was.
    """

    path: str
    body: dict[str, Any] = field(repr=False)
    dropped: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    model: str | None = None
    output_tool: str | None = None
    account: str | None = None
    query: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    restoration: Restoration | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A non-streaming response: the undecoded body and the headers."""

    body: bytes | str
    headers: Mapping[str, str]


class Done:
    """The type of `DONE`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "DONE"


DONE: Final = Done()
"""The end marker `[DONE]` of an event stream, as passed to the decoder."""


class Decoder(Protocol):
    """Decodes the events of one stream into deltas. Stateful; each stream needs a new decoder."""

    complete: bool
    """Whether the stream's proper end was seen; an earlier end is an interruption, which no SDK reports."""

    def feed(self, event: Any) -> Delta | None:
        """Decode one event; returns None if it adds nothing.

        Args:
            event: A JSON value, or `DONE`.

        Raises:
            WireError: If the event reports an error.
        """
        ...


class Provider(Protocol):
    """One provider's API for one set of credentials."""

    def api(self, route: Route) -> Api:
        """Returns the API of the route."""
        ...

    def encode(self, request: Request, route: Route, *, stream: bool) -> Encoded:
        """Encode the request in the provider's format; the request is not modified."""
        ...

    def decode(self, reply: Reply, encoded: Encoded) -> Delta:
        """Decode a complete answer.

        Raises:
            WireError: If the body is an error or contains no answer.
        """
        ...

    def decoder(self, encoded: Encoded) -> Decoder:
        """Returns a decoder for one stream."""
        ...

    def classify(self, error: Exception) -> RouteError:
        """Returns the error as a `RouteError`, whichever SDK or transport raised it."""
        ...

    async def call(self, io: IO, limit: Deadline, encoded: Encoded) -> Reply:
        """Request a complete answer."""
        ...

    async def open(self, io: IO, limit: Deadline, encoded: Encoded) -> Any:
        """Request a stream of events.

        Returns an (async) iterator of events, to be read with `io.next` and closed with `io.close`. A server that
        ignores the stream option sends a complete answer: the only event is then a `Reply`.
        """
        ...

    def close(self) -> None:
        """Close the sync clients."""
        ...

    async def aclose(self) -> None:
        """Close the running loop's async clients, and the sync clients."""
        ...


class WireError(Exception):
    """An error that arrived as a body: inside a stream, or under HTTP 200.

    Attributes:
        body: The error as the provider wrote it.
        status_code: The equivalent HTTP status, if the body names one.
        usage: The token usage that the provider reported for it: a failed answer is billed as well.
        model: The model that failed, as the provider names it.
    """

    def __init__(
        self,
        message: str,
        body: Any = None,
        status: int | None = None,
        *,
        usage: Usage | None = None,
        model: str | None = None,
    ) -> None:
        super().__init__(message)
        self.body = body
        self.status_code = status
        self.usage = usage
        self.model = model


UNREADABLE = "unreadable_reply"
"""Error type that marks an unreadable reply, for when an SDK loses the exception's class."""


class UnreadableReply(WireError):
    """A reply that does not have the API's format: not JSON, not an object, an HTML page, plain text."""


class NoAnswer(WireError):
    """A well-formed reply without an answer, such as a blocked prompt.

    Attributes:
        filtered: Whether a content filter is the reason.
    """

    def __init__(
        self,
        message: str,
        body: Any = None,
        *,
        filtered: bool = False,
        usage: Usage | None = None,
        model: str | None = None,
    ) -> None:
        super().__init__(message, body, usage=usage, model=model)
        self.filtered = filtered
