"""Served calls: what a server reads from a request, and how it writes the response in the API's format."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from types import CoroutineType
from typing import Any, ClassVar, Protocol

from multiroute_core.options import Options
from multiroute_core.route import Route
from multiroute_core.serving.errors import HTTPFailure
from multiroute_core.types import Chunk, Response

JSON = dict[str, Any]


class ServedRouter(Protocol):
    """What a server needs of a `Router`."""

    @property
    def routes(self) -> Sequence[Route]: ...

    @property
    def options(self) -> Options: ...

    @property
    def generate(self) -> Callable[..., Response]: ...

    @property
    def agenerate(self) -> Callable[..., CoroutineType[Any, Any, Response]]: ...

    @property
    def stream(self) -> Callable[..., Generator[Chunk, None, None]]: ...

    @property
    def astream(self) -> Callable[..., AsyncGenerator[Chunk, None]]: ...

    @property
    def acount_tokens(self) -> Callable[..., CoroutineType[Any, Any, Any]]: ...

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


class Metrics(Protocol):
    """What `/metrics` answers, such as a `PrometheusMetrics`."""

    CONTENT_TYPE: ClassVar[str]

    def render(self) -> str:
        """Return the metrics as text."""
        ...


class EventWriter(Protocol):
    """Writes one streamed response as server-sent events."""

    def feed(self, chunk: Chunk) -> bytes:
        """Return the events of a chunk; those that open and end the stream come with the first and the last one."""
        ...

    def fail(self, failure: HTTPFailure) -> bytes:
        """Return the events with which a stream ends that has failed."""
        ...
