"""In-process clients: OpenAI's SDK over a transport that calls the router directly, without a socket.

The transport reads requests and writes responses with the same code as the server. The sync one needs no event loop:
it calls `Router.generate` and `Router.stream`, so it works wherever these do, in a running loop too.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from multiroute_core.errors import ConfigurationError
from multiroute_core.serving.call import EventWriter, ServedCall, ServedRouter
from multiroute_core.serving.encoding.frames import dump
from multiroute_core.serving.errors import HTTPFailure, describe_error, refuse
from multiroute_core.serving.service import APIS, Api, Service, find_api, write_headers
from multiroute_core.types import Chunk, Response

if TYPE_CHECKING:
    import openai

BASE_URL = "http://multiroute.invalid/v1"
"""An address that no request is sent to; the name is reserved (RFC 2606)."""

_JSON = {"content-type": "application/json"}
_EVENTS = {"content-type": "text/event-stream"}


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a transport returns; a stream's body comes in pieces."""

    status: int
    headers: Mapping[str, str]
    body: bytes | Iterator[bytes] | AsyncIterator[bytes]


def build_openai(router: ServedRouter) -> openai.OpenAI:
    """Build a sync client of OpenAI's SDK for a router.

    Raises:
        ConfigurationError: The SDK is not installed.
    """
    sdk, http = _import_sdk()
    client = http.Client(transport=_build_transports(http)[0](Service(router)))
    return sdk.OpenAI(api_key="in-process", base_url=BASE_URL, http_client=client, max_retries=0)


def build_async_openai(router: ServedRouter) -> openai.AsyncOpenAI:
    """Build an async client of OpenAI's SDK for a router.

    Raises:
        ConfigurationError: The SDK is not installed.
    """
    sdk, http = _import_sdk()
    client = http.AsyncClient(transport=_build_transports(http)[1](Service(router)))
    return sdk.AsyncOpenAI(api_key="in-process", base_url=BASE_URL, http_client=client, max_retries=0)


def _import_sdk() -> tuple[Any, ModuleType]:
    """Return OpenAI's SDK, and the module of the HTTP client that its version uses: `httpx` or `httpx2`."""
    try:
        sdk = importlib.import_module("openai")
    except ImportError as error:
        raise ConfigurationError(
            f"OpenAI's SDK is not installed ({error}); run: pip install 'multiroute-llm[openai]'"
        ) from error
    modules = [base.__module__.partition(".")[0] for base in sdk.DefaultHttpxClient.__mro__]
    return sdk, importlib.import_module(next(name for name in modules if name.startswith("httpx")))


@functools.cache
def _build_transports(http: Any) -> tuple[Any, Any]:
    """Return a sync and an async transport for a module of HTTP clients."""

    class SyncBody(http.SyncByteStream):
        def __init__(self, frames: Generator[bytes, None, None]) -> None:
            self._frames = frames

        def __iter__(self) -> Iterator[bytes]:
            return self._frames

        def close(self) -> None:
            self._frames.close()

    class AsyncBody(http.AsyncByteStream):
        def __init__(self, frames: AsyncGenerator[bytes, None]) -> None:
            self._frames = frames

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self._frames

        async def aclose(self) -> None:
            await self._frames.aclose()

    class SyncTransport(http.BaseTransport):
        def __init__(self, service: Service) -> None:
            self._service = service

        def handle_request(self, request: Any) -> Any:
            answer = _handle(self._service, request.method, request.url.path, request.headers, request.read())
            content = {"content": answer.body} if isinstance(answer.body, bytes) else {"stream": SyncBody(answer.body)}  # pyright: ignore[reportArgumentType]
            return http.Response(answer.status, headers=dict(answer.headers), request=request, **content)

    class AsyncTransport(http.AsyncBaseTransport):
        def __init__(self, service: Service) -> None:
            self._service = service

        async def handle_async_request(self, request: Any) -> Any:
            body = await request.aread()
            answer = await _handle_async(self._service, request.method, request.url.path, request.headers, body)
            content = {"content": answer.body} if isinstance(answer.body, bytes) else {"stream": AsyncBody(answer.body)}  # pyright: ignore[reportArgumentType]
            return http.Response(answer.status, headers=dict(answer.headers), request=request, **content)

    return SyncTransport, AsyncTransport


def _handle(service: Service, method: str, path: str, headers: Mapping[str, str], body: bytes) -> _Answer:
    api = find_api(path)
    try:
        if (call := _read(service, method, path, headers, body)) is None:
            return _list(service, path)
        if not call.stream:
            return _write(api, call, service.router.generate(call.messages, **call.options))
        frames = _write_frames(service.router.stream(call.messages, **call.options), api.writer(call))
        next(frames)  # the first chunk is ready; an error before it is a status
        return _Answer(200, _EVENTS, frames)
    except Exception as error:
        return _fail(api, describe_error(error))


async def _handle_async(service: Service, method: str, path: str, headers: Mapping[str, str], body: bytes) -> _Answer:
    api = find_api(path)
    try:
        if (call := _read(service, method, path, headers, body)) is None:
            return _list(service, path)
        if not call.stream:
            return _write(api, call, await service.router.agenerate(call.messages, **call.options))
        frames = _write_async_frames(service.router.astream(call.messages, **call.options), api.writer(call))
        await anext(frames)
        return _Answer(200, _EVENTS, frames)
    except Exception as error:
        return _fail(api, describe_error(error))


def _read(service: Service, method: str, path: str, headers: Mapping[str, str], body: bytes) -> ServedCall | None:
    """Return the call of a request; None for one that asks for models."""
    if method == "POST" and path in APIS:
        return service.read_call(APIS[path], headers, body)
    if method == "GET" and (path == "/v1/models" or path.startswith("/v1/models/")):
        return None
    raise refuse(f"This client has no {method} {path[:100]}.", status=404, code="not_found")


def _list(service: Service, path: str) -> _Answer:
    name = unquote(path.removeprefix("/v1/models").removeprefix("/"))
    return _Answer(200, _JSON, dump(service.describe_model(name) if name else service.list_models()))


def _write(api: Api, call: ServedCall, response: Response) -> _Answer:
    return _Answer(200, {**_JSON, **write_headers(response)}, dump(api.write(response, call)))


def _fail(api: Api, failure: HTTPFailure) -> _Answer:
    return _Answer(failure.status, {**_JSON, **failure.headers()}, dump(api.write_error(failure, None)))


def _write_frames(chunks: Generator[Chunk, None, None], writer: EventWriter) -> Generator[bytes, None, None]:
    """Yield nothing once the first chunk is there, then the events of the stream."""
    started = False
    try:
        for chunk in chunks:
            if not started:
                started = True
                yield b""
            if frames := writer.feed(chunk):
                yield frames
    except Exception as error:
        if not started:
            raise
        yield writer.fail(describe_error(error))
    finally:
        chunks.close()


async def _write_async_frames(chunks: AsyncGenerator[Chunk, None], writer: EventWriter) -> AsyncGenerator[bytes, None]:
    """Async variant of `_write_frames`."""
    started = False
    try:
        async for chunk in chunks:
            if not started:
                started = True
                yield b""
            if frames := writer.feed(chunk):
                yield frames
    except Exception as error:
        if not started:
            raise
        yield writer.fail(describe_error(error))
    finally:
        await chunks.aclose()
