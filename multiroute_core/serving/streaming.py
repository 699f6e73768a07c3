"""Server-sent events: a router's stream as an HTTP response, for applications on Starlette and FastAPI.

Example:
    >>> from multiroute_core.serving import EventStream
    >>> @app.post("/api/chat/stream")  # doctest: +SKIP
    ... async def chat(body: ChatBody):
    ...     return EventStream(router.astream(body.messages, tenant=body.tenant))
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from typing import Any

from multiroute_core.options import invalid, seconds
from multiroute_core.serving.asgi import JSONResponse, Receive, Response, Scope, Send
from multiroute_core.serving.call import EventWriter
from multiroute_core.serving.encoding.events import ChunkWriter
from multiroute_core.serving.encoding.frames import HEARTBEAT
from multiroute_core.serving.errors import HTTPFailure, describe_error
from multiroute_core.serving.pump import END, ChunkPump
from multiroute_core.types import Chunk

HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
"""Keeps proxies from storing and buffering the stream; nginx knows the second: https://nginx.org/en/docs/http/
ngx_http_proxy_module.html#proxy_buffering (2026-11-30)."""

CLIENT_LEFT = 499
"""The status where the client has left: it reaches middleware and logs only. nginx's number."""


async def event_stream(
    chunks: AsyncIterable[Chunk] | Iterable[Chunk], *, heartbeat: float | None = 15.0
) -> AsyncGenerator[bytes, None]:
    """Yield a router's stream as server-sent events, for a streaming response of your own.

    `EventStream` is the response around it; it can also answer the first error with an HTTP status.

    * `data`: a chunk, as JSON with `text`, `reasoning`, `tool_calls`, `files` and `restarted`, as far as it has them
    * event `error`: what went wrong, as `http_error` writes it
    * event `done`: the end, with the route, cost (USD), attempts, token counts and finish reason
    * a comment while nothing arrives

    Closing the generator cancels the call.

    Args:
        chunks: What `Router.astream` or `Router.stream` returns. A sync stream is read in threads.
        heartbeat: Seconds of silence after which a comment is sent, 15 by default; None sends none.

    Raises:
        ConfigurationError: An argument is not valid.
    """
    writer = ChunkWriter()
    pump = ChunkPump(_check_chunks(chunks), writer)
    interval = _check_seconds("heartbeat", heartbeat)
    pump.start()
    try:
        while (frames := await pump.next(interval)) is not END:
            yield frames if isinstance(frames, bytes) else HEARTBEAT
    except Exception as error:
        yield writer.fail(describe_error(error))
    finally:
        await pump.close()


class EventStream(Response):
    """An HTTP response that streams a router's chunks as server-sent events.

    The first chunk is awaited before the status is sent, so that an error before it is an HTTP status, as `http_error`
    says. When the client leaves, the call to the provider is cancelled, also for sync streams.

    Args:
        chunks: What `Router.astream` or `Router.stream` returns.
        heartbeat: Seconds of silence after which a comment is sent, 15 by default; None sends none.
        status_timeout: Seconds to wait for the first chunk before status 200 is sent without it, so that proxies do not
            give up; an error after that is an event. 30 by default; None waits as long as the call takes.
        headers: Further headers of the response.
        writer: Writes the chunks; None writes the events of `event_stream`.
        on_error: Builds the response for an error before the first chunk; None answers as `http_error` says.

    Raises:
        ConfigurationError: An argument is not valid.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        chunks: AsyncIterable[Chunk] | Iterable[Chunk],
        *,
        heartbeat: float | None = 15.0,
        status_timeout: float | None = 30.0,
        headers: Mapping[str, str] | None = None,
        writer: EventWriter | None = None,
        on_error: Callable[[HTTPFailure], Response] | None = None,
    ) -> None:
        self._chunks = _check_chunks(chunks)
        self._heartbeat = _check_seconds("heartbeat", heartbeat)
        self._status_timeout = _check_seconds("status_timeout", status_timeout)
        self._writer = writer or ChunkWriter()
        self._on_error = on_error or _answer
        self.status_code = 200
        self.background = None
        self.body = b""
        self.init_headers({**HEADERS, **(headers or {})})
        # A body of unknown length; `init_headers` counts an empty one.
        self.raw_headers = [header for header in self.raw_headers if header[0] != b"content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        pump = ChunkPump(self._chunks, self._writer)
        pump.start()
        departure = watch_departure(receive, pump.stop)
        try:
            await self._send(pump, departure, scope, receive, send)
        except OSError:  # the client has left, by ASGI 2.4 and newer
            pass
        finally:
            departure.cancel()
            await pump.close()
        if self.background is not None:
            await self.background()  # pyright: ignore[reportGeneralTypeIssues]  (set by the framework)

    async def _send(
        self, pump: ChunkPump, departure: asyncio.Task[None], scope: Scope, receive: Receive, send: Send
    ) -> None:
        try:
            frames = await pump.next(self._status_timeout)
        except Exception as error:
            failure = describe_error(error)
            self.status_code = failure.status
            await self._on_error(failure)(scope, receive, send)
            return
        if frames is END and departure.done():
            # It is not read, but middleware, such as Starlette's `BaseHTTPMiddleware`, takes no response for an error.
            await Response(status_code=CLIENT_LEFT)(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        while frames is not END:
            await _send_body(send, frames if isinstance(frames, bytes) else HEARTBEAT)
            try:
                frames = await pump.next(self._heartbeat)
            except Exception as error:
                await _send_body(send, self._writer.fail(describe_error(error)))
                break
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def watch_departure(receive: Receive, stop: Callable[[], object]) -> asyncio.Task[None]:
    """Call `stop` when the client leaves; the body of the request must have been read. Cancel the task at the end."""

    async def wait() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        stop()

    return asyncio.create_task(wait())


async def run_until_departure(receive: Receive, work: Any) -> Any:
    """Await a coroutine, and cancel it when the client leaves; the result is None then."""
    task = asyncio.ensure_future(work)
    departure = watch_departure(receive, task.cancel)
    try:
        await asyncio.wait({task})
    finally:
        is_gone = departure.done()
        departure.cancel()
        if not task.done():  # the server is shutting down
            task.cancel()
            with contextlib.suppress(BaseException):
                await task
    return None if is_gone and task.cancelled() else task.result()


async def _send_body(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


def _answer(failure: HTTPFailure) -> Response:
    return JSONResponse(failure.to_openai(), failure.status, failure.headers())


def _check_chunks(chunks: Any) -> Any:
    if isinstance(chunks, str | bytes | dict) or not isinstance(chunks, AsyncIterable | Iterable):
        raise invalid("chunks", chunks, "what router.astream(…) or router.stream(…) returns")  # pyright: ignore[reportUnknownArgumentType]
    return chunks  # pyright: ignore[reportUnknownVariableType]


def _check_seconds(name: str, value: float | None) -> float | None:
    return None if value is None else seconds(name, value)
