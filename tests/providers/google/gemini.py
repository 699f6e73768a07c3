"""What the tests of the google provider share: bodies, a server's replies in each SDK's framing, and both worlds."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any

from multiroute_core.messages import Message, Text
from multiroute_core.providers.provider import Decoder
from multiroute_core.route import Route
from multiroute_core.runtime.async_io import AsyncIO
from multiroute_core.runtime.deadline import Deadline
from multiroute_core.runtime.io import END, IO
from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO
from multiroute_core.testing.server import Drop, Received, Reply
from multiroute_core.types import Delta, Request

HELLO = Request((Message("system", "Be brief."), Message("user", "Hello")), temperature=0.5, max_tokens=20)
ROUTE = Route("google:gemini-3.8-flash")
USAGE = {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10}
JSON = {"content-type": "application/json; charset=UTF-8"}
SSE = {"content-type": "text/event-stream"}


def chunk(text: str | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A `GenerateContentResponse` with one candidate."""
    candidate: dict[str, Any] = {"index": 0}
    if text is not None:
        candidate["content"] = {"role": "model", "parts": [{"text": text}]}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "modelVersion": "gemini-3.8-flash-001", **more}


ANSWER = chunk("Hello there", "STOP", usageMetadata=USAGE)
STREAM = [chunk("Hel"), chunk("lo"), chunk("", "STOP", usageMetadata=USAGE)]


def plain(body: Any, status: int = 200) -> Reply:
    """A plain reply."""
    return Reply(status, JSON, json.dumps(body).encode())


def failure(code: int, status: str, message: str, *details: Any) -> Reply:
    """An error as Google writes it."""
    return plain({"error": {"code": code, "message": message, "status": status, "details": list(details)}}, code)


def framed(sdk: str, events: Iterable[Any], *, end: bool = True) -> Iterator[bytes]:
    """Events as the SDK wants them: server-sent ones for the newer, a JSON array for the older."""
    if sdk != "legacy":
        for event in events:
            yield b"data: " + json.dumps(event).encode() + b"\r\n\r\n"
        return
    for number, event in enumerate(events):
        yield (b"," if number else b"[") + json.dumps(event).encode() + b"\r\n"
    if end:
        yield b"]"


def stream(sdk: str, events: Iterable[Any], *, end: bool = True) -> Callable[[Received], Reply]:
    """A streamed reply, for any number of requests."""
    kept = list(events)
    return lambda _: Reply(200, JSON if sdk == "legacy" else SSE, framed(sdk, kept, end=end), stream=True)


class Slow:
    """Replies that begin with `head`, if there is one, and then drip, or say nothing: more than anyone waits for.

    Attributes:
        ended: Set when the client's going away was seen.
    """

    def __init__(self, *head: bytes, drip: bytes = b"") -> None:
        self.head, self.drip = head, drip
        self.ended = threading.Event()
        self.over = threading.Event()

    def __call__(self, received: Received) -> Reply:
        if not self.head:
            self.over.wait(10)
            raise Drop
        return Reply(200, SSE, self._body(), stream=True)

    def _body(self) -> Iterator[bytes]:
        try:
            yield from self.head
            for _ in range(500):
                if self.over.wait(0.02):
                    return
                if self.drip:
                    yield self.drip
        finally:
            self.ended.set()


def limited(seconds: float = 10.0) -> Deadline:
    """A limit that ends soon."""
    limit = Deadline()
    limit.set("the answer", time.monotonic() + seconds, seconds)
    return limit


def drive(world: str, flow: Callable[[IO], Coroutine[Any, Any, Any]]) -> Any:
    """Run `flow` with no event loop, or on one of its own."""
    if world == "sync":
        return run(flow(SyncIO()))
    return asyncio.run(flow(AsyncIO()))


async def whole(provider: Any, io: IO, limit: Deadline | None = None, request: Request = HELLO) -> Delta:
    """Ask for a whole answer."""
    encoded = provider.encode(request, ROUTE, stream=False)
    return provider.decode(await provider.call(io, limit or limited(), encoded), encoded)


async def streamed(provider: Any, io: IO, limit: Deadline | None = None) -> tuple[list[Delta], Decoder]:
    """Ask for a stream, and read it to its end."""
    limit = limit or limited()
    encoded = provider.encode(HELLO, ROUTE, stream=True)
    decoder = provider.decoder(encoded)
    source = await provider.open(io, limit, encoded)
    deltas: list[Delta] = []
    try:
        while (event := await io.next(limit, source)) is not END:
            delta = decoder.feed(event)
            if delta is not None:
                deltas.append(delta)
    finally:
        await io.close(source)
    return deltas, decoder


async def either(kind: str, provider: Any, io: IO, limit: Deadline | None = None) -> Any:
    """Ask for a whole answer or a stream."""
    return await (whole if kind == "whole" else streamed)(provider, io, limit)


def text(deltas: Iterable[Delta]) -> str:
    return "".join(part.text for delta in deltas for part in delta.parts if isinstance(part, Text))
