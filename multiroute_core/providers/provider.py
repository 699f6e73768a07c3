"""The seam between the flow and a vendor.

A provider is four pure functions on plain wire JSON (encode, decode, decode a stream, classify an error) and two calls
through the vendor's SDK, written once for both worlds over `IO`.
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
    """A request in one vendor's words.

    Attributes:
        path: Below the provider's base URL.
        body: The JSON body; in no repr, as headers and query are.
        dropped: Parameters that the route cannot take, each with the reason.
        headers: Headers besides the SDK's own. They stand in no repr: they may hold a gateway's key.
        model: The model that is asked, as the route names it; parts of the answer keep it in their `raw`.
        output_tool: The name of a tool that stands for the form of the answer, at vendors that have no other way to
            ask for one: the arguments of its call are the answer's text.
        account: The account and endpoint that is asked, as a digest; parts of the answer keep it in their `raw`.
        query: Parameters of the URL besides the SDK's own; in no repr either.
        restoration: What was rewritten for the vendor and is undone in the answer; None for nothing.
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
    """A plain reply: the body's bytes, undecoded, and the headers."""

    body: bytes | str
    headers: Mapping[str, str]


class Done:
    """The type of `DONE`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "DONE"


DONE: Final = Done()
"""The end marker `[DONE]` of an event stream, as it is handed to the decoder."""


class Decoder(Protocol):
    """Makes deltas of one stream's events. It is new for each stream and remembers what has passed."""

    complete: bool
    """Whether the stream's proper end was seen; a stream that stops before it is broken, though no SDK says so."""

    def feed(self, event: Any) -> Delta | None:
        """What is new in an event; None for nothing. Raises `WireError` where the event reports an error.

        An event is a JSON value, or `DONE`.
        """
        ...


class Provider(Protocol):
    """One vendor's wire for one set of credentials."""

    def api(self, route: Route) -> Api:
        """The API that the route speaks."""
        ...

    def encode(self, request: Request, route: Route, *, stream: bool) -> Encoded:
        """The request in the vendor's words; the request is not touched."""
        ...

    def decode(self, reply: Reply, encoded: Encoded) -> Delta:
        """A whole answer. Raises `WireError` for a body that is an error or no answer."""
        ...

    def decoder(self, encoded: Encoded) -> Decoder:
        """A decoder for one stream."""
        ...

    def classify(self, error: Exception) -> RouteError:
        """The error's class, whatever SDK or transport raised it."""
        ...

    async def call(self, io: IO, limit: Deadline, encoded: Encoded) -> Reply:
        """Ask for a whole answer."""
        ...

    async def open(self, io: IO, limit: Deadline, encoded: Encoded) -> Any:
        """Ask for a stream: an (async) iterator of events, to be read by `io.next` and closed by `io.close`.

        A server that ignores that a stream is asked for answers as a whole: the only event is a `Reply` then.
        """
        ...

    def close(self) -> None:
        """Close the sync clients."""
        ...

    async def aclose(self) -> None:
        """Close the running loop's async clients, and the sync ones."""
        ...


class WireError(Exception):
    """An error that came as a body: inside a stream, or under HTTP 200.

    Attributes:
        body: The error as the vendor wrote it.
        status: The HTTP status that the vendor means, where the body names one.
        usage: The tokens that the vendor counted for it: a failed answer is billed as well.
        model: The model that failed, as the vendor names it.
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
"""The type of an error that says of a reply what it is, where its class is lost on the way through an SDK."""


class UnreadableReply(WireError):
    """Something that is not in the API's form: no JSON, no object, a web page, plain text."""


class NoAnswer(WireError):
    """A reply that is well-formed and holds no answer, such as a blocked prompt.

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
