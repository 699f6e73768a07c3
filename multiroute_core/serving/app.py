"""Server that speaks OpenAI's and Anthropic's APIs, as an ASGI application on Starlette."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from collections.abc import AsyncGenerator, Mapping
from typing import Any, cast

from multiroute_core.options import invalid
from multiroute_core.serving.asgi import (
    ClientDisconnect,
    JSONResponse,
    Middleware,
    Request,
    Response,
    Route,
    Starlette,
    find_path,
)
from multiroute_core.serving.call import EventWriter, Metrics, ServedRouter
from multiroute_core.serving.encoding.frames import dump
from multiroute_core.serving.errors import HTTPFailure, describe_error, refuse
from multiroute_core.serving.gate import COUNT_PATH, Gate, ServerState
from multiroute_core.serving.keys import ApiKeys
from multiroute_core.serving.service import APIS, TOKEN_COUNTS, Api, Service, find_api, write_headers
from multiroute_core.serving.streaming import CLIENT_LEFT, EventStream, run_until_departure
from multiroute_core.types import Chunk

MAX_BODY_BYTES = 20_000_000
BODY_SECONDS = 60.0
"""Seconds within which the body of a request has to arrive."""


def build_app(
    router: ServedRouter,
    *,
    keys: ApiKeys | Mapping[str, str] | str | os.PathLike[str] | None = None,
    max_body_bytes: int = MAX_BODY_BYTES,
    max_concurrency: int = 1000,
    heartbeat: float | None = 15.0,
    metrics: Metrics | None = None,
    only_loopback: bool = False,
    freeze: bool = False,
) -> Starlette:
    """Build a server that answers with the models of a router.

    It has `/v1/chat/completions`, `/v1/responses`, `/v1/messages`, `/v1/models`, `/healthz` and `/readyz`, and
    `/metrics` if asked for. The
    requested model is the name of a route or a model, or `"auto"` for routing. The headers `x-multiroute-tenant`,
    `-labels`, `-task`, `-deadline` (seconds) and `-priority` set options of the call.

    Args:
        router: The router; it stays open when the server ends.
        keys: The keys of the clients, by `hash_key`, with their tenants; a mapping, a file, or `ApiKeys`. None accepts
            every call, with the tenant that its header names.
        max_body_bytes: The largest body of a request in bytes, 20,000,000 by default; a larger one gets 413.
        max_concurrency: The maximum number of calls in flight, 1000 by default; further ones are answered with 503.
        heartbeat: Seconds of silence in a stream after which a comment is sent; None sends none.
        metrics: A `PrometheusMetrics` of the router, which `/metrics` answers with; with `keys` it needs one. None
            leaves `/metrics` out.
        only_loopback: Whether requests to another name than this machine's are refused.
        freeze: Whether the garbage collector leaves out what is loaded at the start (`gc.freeze`).

    Raises:
        ConfigurationError: An argument is not valid, or Starlette is not installed.

    Example:
        >>> app = build_app(router, keys={hash_key(key): "shop"})  # doctest: +SKIP
        >>> uvicorn.run(app)  # doctest: +SKIP
    """
    for name, limit in (("max_body_bytes", max_body_bytes), ("max_concurrency", max_concurrency)):
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise invalid(name, limit, "an integer of at least 1")
    api_keys = keys if keys is None or isinstance(keys, ApiKeys) else ApiKeys(keys)
    state = ServerState(max_concurrency, only_loopback)
    server = _Server(Service(router, api_keys), state, max_body_bytes, heartbeat, metrics)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None, None]:
        if freeze:
            gc.collect()
            gc.freeze()
        yield

    app = Starlette(
        routes=[
            *(Route(path, server.answer, methods=["POST"]) for path in APIS),
            Route(COUNT_PATH, server.count_tokens, methods=["POST"]),
            Route("/v1/models", server.list_models, methods=["GET"]),
            Route("/v1/models/{name:path}", server.describe_model, methods=["GET"]),
            Route("/healthz", _is_alive, methods=["GET"]),
            Route("/readyz", server.is_ready, methods=["GET"]),
            *([] if metrics is None else [Route("/metrics", server.show_metrics, methods=["GET"])]),
        ],
        middleware=[Middleware(Gate, state=state)],
        exception_handlers={404: _not_found, 405: _not_found, 500: _failed},
        lifespan=lifespan,
    )
    # A redirect would lead to http:// behind a proxy that ends TLS, and to any name that the request claims.
    app.router.redirect_slashes = False
    app.state.serving = state
    app.state.router = router
    return app


class _Server:
    """The endpoints."""

    def __init__(
        self,
        service: Service,
        state: ServerState,
        max_body_bytes: int,
        heartbeat: float | None,
        metrics: Metrics | None,
    ) -> None:
        self._service = service
        self._metrics = metrics
        self._router = service.router
        self._state = state
        self._max_body_bytes = max_body_bytes
        self._heartbeat = heartbeat

    async def answer(self, request: Request) -> Response:
        """Answer a call."""
        api = APIS[find_path(request.scope)]
        facts: dict[str, Any] = request.scope["multiroute"]
        try:
            tenant = self._service.authenticate(request.headers)
            body = await self._read_body(request)
            call = self._service.read_call(api, request.headers, body, tenant)
            facts |= {"tenant": call.options["tenant"]} if "tenant" in call.options else {}
            if call.stream:
                return EventStream(
                    self._router.astream(call.messages, **call.options),
                    heartbeat=self._heartbeat,
                    writer=_LoggedWriter(api.writer(call), facts),
                    on_error=lambda failure: _write_failure(request, api, failure),
                )
            response = await run_until_departure(request.receive, self._router.agenerate(call.messages, **call.options))
        except ClientDisconnect:
            return Response(status_code=CLIENT_LEFT)
        except Exception as error:
            return _write_failure(request, api, describe_error(error))
        if response is None:
            return Response(status_code=CLIENT_LEFT)
        facts["route"] = response.route
        content = dump(api.write(response, call))
        return Response(content, headers=write_headers(response), media_type="application/json")

    async def count_tokens(self, request: Request) -> Response:
        """Answer how many tokens a prompt has."""
        try:
            tenant = self._service.authenticate(request.headers)
            body = await self._read_body(request)
            call = self._service.read_call(TOKEN_COUNTS, request.headers, body, tenant)
            count = await run_until_departure(
                request.receive, self._router.acount_tokens(call.messages, **call.options)
            )
        except ClientDisconnect:
            return Response(status_code=CLIENT_LEFT)
        except Exception as error:
            return _write_failure(request, TOKEN_COUNTS, describe_error(error))
        return Response(status_code=CLIENT_LEFT) if count is None else JSONResponse({"input_tokens": count.tokens})

    async def list_models(self, request: Request) -> Response:
        """Answer with all models."""
        try:
            self._service.authenticate(request.headers)
        except Exception as error:
            return _write_failure(request, _find_api(request), describe_error(error))
        return JSONResponse(self._service.list_models())

    async def describe_model(self, request: Request) -> Response:
        """Answer with one model."""
        try:
            self._service.authenticate(request.headers)
            return JSONResponse(self._service.describe_model(request.path_params["name"]))
        except Exception as error:
            return _write_failure(request, _find_api(request), describe_error(error))

    async def is_ready(self, _: Request) -> Response:
        """Answer whether a route can take a call."""
        if self._state.draining:
            return JSONResponse({"status": "shutting down"}, 503)
        health = await asyncio.to_thread(self._router.health)  # with a state on Redis it may wait
        if any(route.retry_in <= 0 for route in health.routes.values()):
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "no route is available"}, 503)

    async def show_metrics(self, request: Request) -> Response:
        """Answer with the metrics."""
        metrics = cast("Metrics", self._metrics)
        try:
            self._service.authenticate(request.headers)
            text = await asyncio.to_thread(metrics.render)  # it may read the files of other workers
        except Exception as error:
            return _write_failure(request, _find_api(request), describe_error(error))
        return Response(text, headers={"content-type": metrics.CONTENT_TYPE})

    async def _read_body(self, request: Request) -> bytes:
        limit = self._max_body_bytes
        too_large = refuse(
            f"The body is too large; at most {limit:,} bytes are accepted.", status=413, code="request_too_large"
        )
        length = request.headers.get("content-length", "0")
        if length.isascii() and length.isdigit() and int(length[:20]) > limit:
            raise too_large
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for piece in request.stream():
                    size += len(piece)
                    if size > limit:
                        raise too_large
                    pieces.append(piece)
        except TimeoutError:
            raise refuse(f"The body did not arrive within {BODY_SECONDS:g} seconds.", status=408) from None
        return b"".join(pieces)


class _LoggedWriter:
    """Notes the route of a stream for the access log."""

    def __init__(self, writer: EventWriter, facts: dict[str, Any]) -> None:
        self._writer = writer
        self._facts = facts
        self.fail = writer.fail

    def feed(self, chunk: Chunk) -> bytes:
        if chunk.response is not None:
            self._facts["route"] = chunk.response.route
        return self._writer.feed(chunk)


def _write_failure(request: Request, api: Api, failure: HTTPFailure) -> Response:
    facts: dict[str, Any] = request.scope.get("multiroute", {})
    facts["error"] = failure.code or failure.type
    body = api.write_error(failure, facts.get("request_id"))
    return Response(dump(body), api.status_of(failure), failure.headers(), "application/json")


def _find_api(request: Request) -> Api:
    """Return the API whose errors a client reads: Anthropic's SDK names its version in every request."""
    return find_api("/v1/messages" if "anthropic-version" in request.headers else find_path(request.scope))


async def _is_alive(_: Request) -> Response:
    return JSONResponse({"status": "alive"})


async def _not_found(request: Request, error: Any) -> Response:
    if error.status_code == 405:
        failure = HTTPFailure(405, "This path does not know the method of the request.", code="method_not_allowed")
    else:
        failure = HTTPFailure(404, "This path does not exist; see /v1/models for the models.", code="not_found")
    response = _write_failure(request, _find_api(request), failure)
    response.headers.update(error.headers or {})
    return response


async def _failed(request: Request, error: Exception) -> Response:
    return _write_failure(request, _find_api(request), describe_error(error))
