"""Admission gate of a server: limits of size and concurrency, draining, and the access log. An ASGI middleware.

The access log has no content: method, path, status, seconds, tenant and route.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from dataclasses import dataclass
from typing import Any

from multiroute_core.display.text import printable
from multiroute_core.serving.asgi import ASGIApp, JSONResponse, Message, Receive, Scope, Send, find_path
from multiroute_core.serving.errors import HTTPFailure
from multiroute_core.serving.service import APIS, find_api

_log = logging.getLogger("multiroute_core.serving.access")

MAX_HEADER_BYTES = 32_768
COUNT_PATH = "/v1/messages/count_tokens"
_PATHS = (*APIS, COUNT_PATH, "/v1/models", "/healthz", "/readyz", "/metrics")

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
"""The names under which a server on this machine is reached, beside the other addresses of 127.0.0.0/8."""

_LOOPBACK_ADDRESS = re.compile(r"127(\.[0-9]{1,3}){3}")


def is_loopback(host: str) -> bool:
    """Whether a name or an address, without a port, is this machine's own."""
    return host in LOOPBACK or _LOOPBACK_ADDRESS.fullmatch(host) is not None


@dataclass(slots=True)
class ServerState:
    """What the parts of one server share.

    Attributes:
        max_concurrency: The maximum number of calls in flight.
        only_loopback: Whether only requests to a name of this machine are answered. So a web page whose name resolves
            to this machine cannot call a server without keys.
        in_flight: The calls in flight.
        draining: Whether the server is about to stop: it takes no more calls.
    """

    max_concurrency: int
    only_loopback: bool = False
    in_flight: int = 0
    draining: bool = False


class Gate:
    """Admits requests.

    Args:
        app: The application behind it.
        state: The state of the server.
    """

    def __init__(self, app: ASGIApp, state: ServerState) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        request_id = f"req_{uuid.uuid4().hex}"
        facts: dict[str, Any] = {"request_id": request_id}
        scope["multiroute"] = facts
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                names = (b"x-request-id", b"request-id")  # OpenAI's and Anthropic's
                message["headers"] = [*message["headers"], *((name, request_id.encode()) for name in names)]
            await send(message)

        path = find_path(scope)
        is_call = (path in APIS or path == COUNT_PATH) and scope["method"] == "POST"
        try:
            if (failure := self._refuse(scope, is_call=is_call)) is not None:
                body = find_api(path).write_error(failure, request_id)
                await JSONResponse(body, failure.status, failure.headers())(scope, receive, send_with_id)
                return
            self._state.in_flight += is_call
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                self._state.in_flight -= is_call
        finally:
            _write_log(scope, facts, status, time.perf_counter() - start)

    def _refuse(self, scope: Scope, *, is_call: bool) -> HTTPFailure | None:
        """Return why the request is not admitted; None if it is."""
        headers = scope["headers"]
        if sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
            return HTTPFailure(431, f"The headers are too large; at most {MAX_HEADER_BYTES:,} bytes are accepted.")
        if self._state.only_loopback:
            hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
            if not all(is_loopback(_without_port(host)) for host in hosts):
                return HTTPFailure(421, "This server answers requests to this machine only; it has no API keys.")
        if not is_call:
            return None
        if self._state.draining:
            return HTTPFailure(503, "The server is shutting down.", "server_error", "shutting_down", retry_after=1.0)
        if self._state.in_flight >= self._state.max_concurrency:
            message = "The server has no place for another call now; retry later."
            return HTTPFailure(503, message, "server_error", "too_many_calls", retry_after=1.0)
        return None


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name.lower() if colon and port.isdigit() else host.lower()


def _write_log(scope: Scope, facts: dict[str, Any], status: int, elapsed: float) -> None:
    if not _log.isEnabledFor(logging.INFO):
        return
    path = path if (path := find_path(scope)) in _PATHS else "(another path)"
    details = " ".join(f"{name}={printable(str(value))}" for name, value in facts.items())
    _log.info("%s %s %s %.3f s %s", scope["method"], path, status or "gone", elapsed, details)
