"""Runs the clients' suite, written in JavaScript, at the vendors' stand-in and at servers with routes of each vendor.

`scripts/clients` installs the clients and starts this module. It prints what each client can do directly and through a
server, and fails if something is lost. Support for tests, no test of the suite.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route as Endpoint

from multiroute_core import Route, Router
from multiroute_core.serving import build_app, hash_key
from multiroute_core.serving.gate import ServerState
from multiroute_core.testing.server import Drop, Received, Reply
from tests.serving.javascript.table import Outcome, compare
from tests.serving.servers import running
from tests.vendors.server import ROUTES, WIRES, VendorServer, Wire, find_wire, write_error

KEY = "mr-clients"
"""The key that the servers and the stand-in accept."""

CLIENTS = (
    "openai-chat",
    "openai-responses",
    "anthropic",
    "ai-chat",
    "ai-responses",
    "ai-compatible",
    "ai-anthropic",
    "langchain-chat",
    "langchain-responses",
    "langchain-anthropic",
)
FAULTS = ("limited_once", "limited", "busy", "rejected", "broken", "breaks", "drops", "slow")
"""What a question can order from the stand-in. Each client has a route for each fault, so that none disturbs another."""

NAMES = ("gpt-4o", "gpt-6.1-sol", "claude-sonnet-4-6")
"""The models that the clients name. They choose parameters by these names, so the routes of all vendors have them."""

_ORDER = re.compile(rb"\[\[(\w+) ([\w-]+)\]\]")
_FAILURES = {
    "limited": (429, "Rate limit reached."),
    "limited_once": (429, "Rate limit reached."),
    "busy": (503, "The model is overloaded."),
    "rejected": (400, "The request is not valid."),
    "broken": (500, "The server had an error."),
}
_BREAKS: dict[str, bytes] = {
    "anthropic": b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
    "chat": b'data: {"error":{"message":"The server had an error.","type":"server_error","param":null,"code":null}}\n\n',
    "responses": b'event: error\ndata: {"type":"error","code":"server_error","message":"The server had an error.",'
    b'"param":null,"sequence_number":9}\n\n',
    "google": b'data: {"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}\n\n',
}
_FIRST_TEXT = b"Hello"
_JSON = {"content-type": "application/json"}


class Vendors(VendorServer):
    """The vendors' stand-in, which checks keys and names of models, and fails if a question says so.

    Attributes:
        cancelled: The orders whose streams the client has left.
        calls: The number of calls of each order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cancelled: set[str] = set()
        self.calls: dict[str, int] = {}

    def _answer(self, received: Received) -> Reply:
        wire = find_wire(received.path)
        key = received.headers.get("authorization", "") + received.headers.get("x-api-key", "")
        if wire is None:
            return super()._answer(received)
        if "wrong" in key:
            return self._fail(wire, 401, "The API key is not valid.")
        if b"no-such-model" in received.body:
            return self._fail(wire, 404, "The model does not exist.")
        order = _ORDER.search(received.body)
        if order is None:
            return super()._answer(received)
        fault, name = order[1].decode(), order[2].decode()
        self.calls[name] = self.calls.get(name, 0) + 1
        if fault in _FAILURES and (fault != "limited_once" or self.calls[name] == 1):
            status, message = _FAILURES[fault]
            is_overload = wire == "anthropic" and status == 503
            return self._fail(wire, 529 if is_overload else status, message)  # Anthropic has a status of its own
        reply = super()._answer(received)
        if fault == "slow":
            pieces = self._delay(cast("Any", reply.body), name)
            return Reply(reply.status, reply.headers, pieces, stream=reply.stream)
        if fault in ("breaks", "drops") and not isinstance(reply.body, bytes):
            pieces = _break(reply.body, _BREAKS[wire] if fault == "breaks" else None)
            return Reply(reply.status, reply.headers, pieces, stream=True)
        return reply

    def _fail(self, wire: Wire, status: int, message: str) -> Reply:
        headers = {**_JSON, "retry-after": "1"} if status in (429, 503, 529) else _JSON
        return Reply(status, headers, json.dumps(write_error(wire, status, message)).encode())

    def _delay(self, body: Any, name: str) -> Iterator[bytes]:
        """Repeat the first text for half a minute, unless the client leaves."""
        is_over = False
        try:
            for event in [body] if isinstance(body, bytes) else body:
                yield event
                if _FIRST_TEXT in event:
                    for _ in range(300):
                        time.sleep(0.1)
                        yield event if event is not body else b""
            is_over = True
        finally:
            if not is_over:
                self.cancelled.add(name)


def _break(body: Any, end: bytes | None) -> Iterator[bytes]:
    for event in body:
        yield event
        if _FIRST_TEXT in event:
            break
    if end is None:
        raise Drop
    yield end


def build_routes(vendors: Vendors, wire: Wire) -> list[Route]:
    """Return the routes of a server: all names of models, and one for each client and fault."""
    usual = ROUTES[wire][0].partition(":")[2]
    models = dict.fromkeys([*NAMES, *(f"{client}.{fault}" for client in CLIENTS for fault in FAULTS)], usual)
    if wire == "chat":
        models["gpt-6.1-sol"] = "gpt-6.1-sol"  # the usual one does not reason
    return [vendors.route(wire, model, name=name) for name, model in models.items()]


@contextlib.contextmanager
def serve_all() -> Iterator[dict[str, Any]]:
    """Run the stand-in and a server for each wire; yield what the suite has to know."""
    with contextlib.ExitStack() as stack:
        vendors = stack.enter_context(Vendors())
        urls: dict[str, str] = {"directly": vendors.url}
        states: dict[str, ServerState] = {}
        for wire in WIRES:
            router = stack.enter_context(Router(build_routes(vendors, wire), max_retries=0))
            app = build_app(router, keys={hash_key(KEY): "shop"}, heartbeat=0.2)
            states[wire] = app.state.serving
            urls[wire] = stack.enter_context(running(app)).url

        async def describe(request: Request) -> JSONResponse:
            name = request.query_params["name"]
            state = states.get(request.query_params["where"])
            calls = vendors.calls.get(name, 0)
            is_cancelled = name in vendors.cancelled
            return JSONResponse(
                {"calls": calls, "is_cancelled": is_cancelled, "in_flight": 0 if state is None else state.in_flight}
            )

        control = stack.enter_context(running(Starlette(routes=[Endpoint("/", describe)])))
        yield {"urls": urls, "key": KEY, "control": control.url}


def run_suite(folder: Path) -> list[Outcome]:
    """Run the suite in a folder that has the clients; return the outcomes, which it prints as lines of JSON."""
    for path in Path(__file__).parent.glob("*.mjs"):
        shutil.copy(path, folder)
    with serve_all() as settings:
        command = ["node", "suite.mjs", json.dumps(settings), *sys.argv[2:]]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        watchdog = threading.Timer(900, process.kill)
        watchdog.start()
        try:
            lines = [line for line in cast("Any", process.stdout) if line.startswith("{")]
        finally:
            watchdog.cancel()
            process.kill()
        if process.wait() != 0:
            raise SystemExit("The suite ended before its end; see its output above.")
    return [Outcome(**json.loads(line)) for line in lines]


if __name__ == "__main__":
    sys.exit(compare(run_suite(Path(sys.argv[1]))))
