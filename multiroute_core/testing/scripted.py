"""Scripted provider: follows a script, sync and async, on any clock, and records every call.

Example:
    >>> from multiroute_core import Router
    >>> from multiroute_core.testing import Answer, Fail, scripted_route
    >>> router = Router([scripted_route("first", Fail()), scripted_route("second", Answer("Here."))])
    >>> router.generate("Hello").text
    'Here.'
"""

from __future__ import annotations

import asyncio
import itertools
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from multiroute_core.errors import RouteError
from multiroute_core.messages import Api, Part, assemble
from multiroute_core.providers import classify
from multiroute_core.providers.models import Model
from multiroute_core.providers.provider import Encoded, Reply
from multiroute_core.route import Route
from multiroute_core.runtime.deadline import Cancelled, Deadline, current
from multiroute_core.runtime.io import IO
from multiroute_core.testing.behaviours import HEADERS, PING, Behaviour, IncomingCall, Step
from multiroute_core.types import Delta, FinishReason, Request, Usage

PROVIDER = "scripted"
"""The provider prefix of a scripted route."""

Script: TypeAlias = Behaviour | Sequence[Behaviour] | Callable[[IncomingCall], Behaviour]
"""The script of a route: one behaviour for all calls; one per call, the last one repeated; or a function of the call.
"""


@dataclass(slots=True, eq=False)
class RecordedCall:
    """The record of one call.

    Attributes:
        asked: The incoming call.
        opened: The time of the headers; None before.
        ended: The time at which either side ended the call; None while it is in flight.
        parts: The parts of the response sent so far.
        usage: The reported token counts.
        finish_reason: The finish reason; None if the response was not completed.
        error: The raised error.
        cut: Whether the stream ended before the response was complete.
    """

    asked: IncomingCall
    opened: float | None = None
    ended: float | None = None
    parts: list[Part] = field(default_factory=list[Part])
    usage: Usage | None = None
    finish_reason: FinishReason | None = None
    error: Exception | None = None
    cut: bool = False


class ScriptedProvider:
    """A provider that follows a script.

    Args:
        script: The behaviour for each call.
        model: The model's properties, such as its context window.
        sleep: The sleep function of sync code; None sleeps in real time and can be cancelled. Async code sleeps on the
            event loop.

    Attributes:
        takes: All calls, in the order of arrival.
        on_end: Called with a record when its call ends; None for no callback.
    """

    def __init__(
        self, script: Script, *, model: Model | None = None, sleep: Callable[[float], None] | None = None
    ) -> None:
        self.script = script
        self.sleep = sleep
        self.model = model or Model(PROVIDER, "*")
        self.takes: list[RecordedCall] = []
        self.on_end: Callable[[RecordedCall], None] | None = None
        self._numbers = itertools.count()

    @property
    def in_flight(self) -> int:
        """Number of calls that have not ended."""
        return sum(take.ended is None for take in self.takes)

    def api(self, route: Route) -> Api:
        return "openai.chat"

    def encode(self, request: Request, route: Route, *, stream: bool) -> Encoded:
        return Encoded("", {"request": request, "route": route.name, "stream": stream}, model=route.model)

    def decode(self, reply: Reply, encoded: Encoded) -> Delta:
        return cast("_Said", reply).delta

    def decoder(self, encoded: Encoded) -> _Decoder:
        return _Decoder()

    def classify(self, error: Exception) -> RouteError:
        return classify.classify(error)

    async def call(self, io: IO, limit: Deadline, encoded: Encoded) -> Reply:
        play = self._play(io, limit, encoded)
        try:
            return _Said(b"", {}, await io.wait(limit, play.aall if io.native else play.all))
        finally:
            play.close()

    async def open(self, io: IO, limit: Deadline, encoded: Encoded) -> Any:
        play = self._play(io, limit, encoded)
        try:
            await io.wait(limit, play.aopen if io.native else play.open)
        except BaseException:
            play.close()
            raise
        return play

    def close(self) -> None:
        """Does nothing: the provider holds no resources."""

    async def aclose(self) -> None:
        """Does nothing: the provider holds no resources."""

    def _play(self, io: IO, limit: Deadline, encoded: Encoded) -> _Play:
        body = encoded.body
        incoming_call = IncomingCall(body["route"], next(self._numbers), io.now(), body["request"], body["stream"])
        take = RecordedCall(incoming_call)
        self.takes.append(take)
        return _Play(self, io, limit, take, self._behaviour(incoming_call).steps(incoming_call))

    def _behaviour(self, incoming_call: IncomingCall) -> Behaviour:
        script = self.script
        if callable(script):
            return script(incoming_call)
        if isinstance(script, Sequence):
            return script[min(incoming_call.number, len(script) - 1)]
        return script


def scripted_route(name: str, script: Script, **options: Any) -> Route:
    """Creates a route that follows `script`. Its provider, which records the calls, is `route.llm`.

    Args:
        name: The name of the route and of its model.
        script: The behaviour for each call.
        **options: Options of `Route`, and `model` and `sleep` of `ScriptedProvider`.
    """
    own = {key: options.pop(key) for key in ("model", "sleep") if key in options}
    return Route(f"{PROVIDER}:{name}", name=name, llm=ScriptedProvider(script, **own), **options)


def provider_of(route: Route) -> ScriptedProvider:
    """Returns the provider of a scripted route, which records the calls.

    Raises:
        TypeError: if the route is not scripted.
    """
    if not isinstance(route.llm, ScriptedProvider):
        raise TypeError(f"Route {route.name!r} is not scripted.")
    return route.llm


@dataclass(frozen=True, slots=True)
class _Said(Reply):
    """A complete response."""

    delta: Delta


class _Decoder:
    def __init__(self) -> None:
        self.complete = False

    def feed(self, event: Any) -> Delta | None:
        if event is PING:
            return None
        self.complete = self.complete or event.finish_reason is not None
        return event


class _Play:
    """One call in progress: a sync and async stream, or a complete response."""

    def __init__(
        self, provider: ScriptedProvider, io: IO, limit: Deadline, take: RecordedCall, steps: Iterator[Step]
    ) -> None:
        self._provider = provider
        self._io = io
        self._limit = limit
        self._take = take
        self._steps = steps
        self._after: tuple[str, float, float] | None = None
        self._raw: Mapping[str, Any] | None = None

    def open(self) -> None:
        while self._step() is not HEADERS:
            pass

    async def aopen(self) -> None:
        while await self._astep() is not HEADERS:
            pass

    def all(self) -> Delta:
        while self._take.finish_reason is None and (event := self._step()) is not None:
            self._adjust_deadline(event)
        return self._build_delta()

    async def aall(self) -> Delta:
        while self._take.finish_reason is None and (event := await self._astep()) is not None:
            self._adjust_deadline(event)
        return self._build_delta()

    def __iter__(self) -> _Play:
        return self

    def __next__(self) -> Any:
        if (event := self._step()) is None:
            raise StopIteration
        return event

    def __aiter__(self) -> _Play:
        return self

    async def __anext__(self) -> Any:
        if (event := await self._astep()) is None:
            raise StopAsyncIteration
        return event

    def close(self) -> None:
        take = self._take
        if take.ended is None:
            take.ended = self._io.now()
            if self._provider.on_end is not None:
                self._provider.on_end(take)

    async def aclose(self) -> None:
        self.close()

    def _step(self) -> str | Delta | None:
        if (step := self._next()) is None:
            return None
        if step.after > 0:
            self._sleep(step.after)
        return self._record_event(step.event)

    async def _astep(self) -> str | Delta | None:
        if (step := self._next()) is None:
            return None
        if step.after == math.inf:
            await asyncio.get_running_loop().create_future()
        elif step.after > 0:
            await asyncio.sleep(step.after)
        return self._record_event(step.event)

    def _next(self) -> Step | None:
        step = next(self._steps, None)
        self._take.cut = step is None and self._take.finish_reason is None
        return step

    def _record_event(self, event: str | Delta | Exception) -> str | Delta:
        take = self._take
        if isinstance(event, Delta):
            take.parts += event.parts
            self._raw = event.raw or self._raw
            take.usage = event.usage or take.usage
            take.finish_reason = event.finish_reason or take.finish_reason
        elif event is HEADERS:
            take.opened = self._io.now()
        elif isinstance(event, Exception):
            take.error = event
            raise event
        return event

    def _adjust_deadline(self, event: str | Delta) -> None:
        """Shortens the deadline of a non-streamed reply after its headers; heartbeats alone must not extend it."""
        limit = self._limit
        if event is HEADERS and limit.body_within is not None:
            until = limit.clock() + limit.body_within
            if until < limit.until:
                self._after = (limit.phase, limit.until, limit.allowed)
                limit.set("the first token of the answer", until, limit.body_within)
        elif isinstance(event, Delta) and self._after is not None:
            limit.set(*self._after)
            self._after = None

    def _build_delta(self) -> Delta:
        take = self._take
        if take.finish_reason is None:
            raise EOFError("The response ended before the answer was complete.")
        return Delta(assemble(take.parts), take.finish_reason, take.usage, raw=self._raw)

    def _sleep(self, seconds: float) -> None:
        """Sleeps as a socket does: no longer than the deadline of the current step."""
        limit = current.get() or self._limit
        allowed = limit.remaining()
        late = seconds > allowed
        patience = max(min(seconds, allowed), 0.0)
        if self._provider.sleep is not None:
            self._provider.sleep(patience)
        else:
            self._wait(limit, patience)
        if late:
            limit.expired = True
            raise TimeoutError("Nothing arrived.")

    @staticmethod
    def _wait(limit: Deadline, seconds: float) -> None:
        called_off = threading.Event()
        limit.interrupt = called_off.set
        if limit.cancelled:
            called_off.set()
        try:
            called_off.wait(min(seconds, threading.TIMEOUT_MAX))
        finally:
            limit.interrupt = None
        if limit.cancelled:
            raise Cancelled
