"""Served calls: what a server reads from a request, and how it writes the response in the API's format."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from types import CoroutineType
from typing import Any, Protocol

from multiroute_core.options import Options
from multiroute_core.route import Route
from multiroute_core.serving.errors import HTTPFailure
from multiroute_core.types import Chunk, Response

JSON = dict[str, Any]


class ServedRouter(Protocol):
    """What a server needs of a `Router`."""

    routes: Sequence[Route]
    options: Options

    def generate(self, messages: Any, **options: Any) -> Response: ...

    def agenerate(self, messages: Any, **options: Any) -> CoroutineType[Any, Any, Response]: ...

    def stream(self, messages: Any, **options: Any) -> Generator[Chunk, None, None]: ...

    def astream(self, messages: Any, **options: Any) -> AsyncGenerator[Chunk, None]: ...

    def health(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class ServedCall:
    """One call, read from the body of a request.

    Attributes:
        messages: The conversation, as `Router.generate` takes it.
        options: The keyword arguments of the call.
        model: The model that was requested.
        stream: Whether the response is streamed.
        include_usage: Whether a stream of Chat Completions reports its usage.
        echo: Fields of the request that the response repeats.
        id: A unique part for the ids of the response.
        created: When the call arrived, in seconds since 1970.
    """

    messages: Any = field(repr=False)
    options: JSON = field(repr=False)
    model: str
    stream: bool = False
    include_usage: bool = False
    echo: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))


class EventWriter(Protocol):
    """Writes one streamed response as server-sent events."""

    def feed(self, chunk: Chunk) -> bytes:
        """Return the events of a chunk; those that open and end the stream come with the first and the last one."""
        ...

    def fail(self, failure: HTTPFailure) -> bytes:
        """Return the events with which a stream ends that has failed."""
        ...


class ServedApi(Protocol):
    """One API that a server speaks."""

    def read(self, body: Mapping[str, Any]) -> ServedCall:
        """Read the body of a request.

        Raises:
            RefusedCall: The body is not valid.
        """
        ...

    def write(self, response: Response, call: ServedCall) -> JSON:
        """Return the body of a complete response."""
        ...

    def writer(self, call: ServedCall) -> EventWriter:
        """Return the writer of a streamed response."""
        ...

    def write_error(self, failure: HTTPFailure, request_id: str | None) -> JSON:
        """Return the body of an error."""
        ...
