"""`EventStream` and `event_stream` in applications of others: statuses, events, heartbeats, and clients that leave."""

import asyncio
import json
import re
import subprocess
import sys
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import StreamingResponse

from multiroute_core import BadRequestError, ConfigurationError, Reasoning, Router, Text, ToolCall
from multiroute_core.serving import EventStream, event_stream
from multiroute_core.testing import Answer, DropConnection, Fail, Hang, SlowStream, rate_limited, scripted_route
from tests.serving.servers import eventually, in_flight, running

pytestmark = pytest.mark.slow

ANSWER = Answer(("Hel", "lo"), tool_calls=[ToolCall("1", "f", {"x": 1})])


def router_of(script, **settings):
    return Router([scripted_route("only", script)], max_retries=0, **settings)


def build(router, **settings):
    app = FastAPI()

    @app.post("/async")
    async def answer():
        return EventStream(router.astream("Hi"), **settings)

    @app.post("/sync")
    def answer_sync():
        return EventStream(router.stream("Hi"), **settings)

    @app.post("/plain")
    async def answer_plainly():
        return StreamingResponse(event_stream(router.astream("Hi"), heartbeat=0.05), media_type="text/event-stream")

    @app.post("/plain-sync")
    def answer_plainly_sync():
        return StreamingResponse(event_stream(router.stream("Hi"), heartbeat=0.05), media_type="text/event-stream")

    return app


PATHS = ("/async", "/sync", "/plain", "/plain-sync")


def events(content: bytes):
    """Name and JSON of each event."""
    for block in content.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            yield lines.get("event", "data"), json.loads(lines["data"])


def test_a_stream_is_data_and_done():
    with running(build(router_of(ANSWER))) as server:
        for path in PATHS:
            status, headers, content = server.request("POST", path)
            *chunks, (last, summary) = events(content)
            assert (status, last) == (200, "done"), path
            assert "".join(body.get("text", "") for _, body in chunks) == "Hello"
            calls = [call for _, body in chunks for call in body.get("tool_calls", ())]
            assert "".join(call["arguments"] for call in calls) == '{"x": 1}'
            assert summary["route"] == "only"
            assert summary["usage"]["output_tokens"] > 0
            assert len(summary["attempts"]) == 1
            assert headers["content-type"].startswith("text/event-stream")
        _, headers, _ = server.request("POST", "/async")
        assert headers["cache-control"] == "no-store"
        assert headers["x-accel-buffering"] == "no"
        assert "content-length" not in headers


def test_an_error_before_the_first_chunk_is_a_status():
    with running(build(router_of(rate_limited(20)))) as server:
        status, headers, content = server.request("POST", "/async")
        assert status == 429
        assert headers["content-type"] == "application/json"
        assert 1 <= int(headers["retry-after"]) <= 20
        assert json.loads(content)["error"]["code"] == "rate_limit_exceeded"
    with running(build(router_of(Fail(BadRequestError)))) as server:
        for path in ("/async", "/sync"):
            assert server.request("POST", path)[0] == 400
        for path in ("/plain", "/plain-sync"):
            status, _, content = server.request("POST", path)
            assert status == 200
            assert [name for name, _ in events(content)] == ["error"]


def test_an_error_after_the_first_chunk_is_an_event():
    with running(build(router_of(DropConnection(1, Answer(("Hel", "lo")))))) as server:
        for path in PATHS:
            status, _, content = server.request("POST", path)
            (_, chunk), (name, body) = events(content)
            assert (status, name) == (200, "error")
            assert chunk == {"text": "Hel"}
            assert body["error"]["code"] == "stream_interrupted"


def test_a_silent_model_gets_heartbeats_and_a_late_error_is_an_event():
    router = router_of(Fail(BadRequestError, after=0.2))
    with running(build(router, heartbeat=0.05, status_timeout=0.05)) as server:
        for path in PATHS:
            status, _, content = server.request("POST", path)
            assert status == 200
            assert content.startswith(b": heartbeat\n\n")
            assert [name for name, _ in events(content)] == ["error"]


@pytest.mark.parametrize("script", [Hang(), Hang(opened=True), SlowStream(), Answer(["w "] * 5000, per_chunk=0.01)])
def test_a_client_that_leaves_cancels_the_call(script):
    router = router_of(script)
    with running(build(router)) as server:
        for path in PATHS:
            connection = server.open(path, {})
            eventually(lambda: in_flight(router) == 1)
            if isinstance(script, Answer):
                assert connection.recv(4096)
            connection.close()
            eventually(lambda: in_flight(router) == 0, seconds=2.0)


class NotesStatuses(BaseHTTPMiddleware):
    def __init__(self, app, statuses):
        super().__init__(app)
        self.statuses = statuses

    async def dispatch(self, request, call_next):
        response = await call_next(request)
        self.statuses.append(response.status_code)
        return response


@pytest.mark.parametrize("path", PATHS)
def test_middleware_sees_a_client_that_leaves_before_the_first_chunk_as_no_error(path, caplog):
    router, statuses = router_of(Hang()), []
    app = build(router)
    app.add_middleware(NotesStatuses, statuses=statuses)
    with running(app) as server:
        connection = server.open(path, {})
        eventually(lambda: in_flight(router) == 1)
        connection.close()
        eventually(lambda: in_flight(router) == 0)
        eventually(lambda: statuses)
    assert statuses == [200 if path.startswith("/plain") else 499]
    assert not [record for record in caplog.records if record.name == "uvicorn.error" and record.levelname == "ERROR"]


def test_a_stream_without_chunks_is_a_response_without_events():
    app = FastAPI()

    @app.get("/")
    def answer():
        return EventStream([])

    assert TestClient(app).get("/").content == b""


async def yield_texts():
    yield "Hel"


@pytest.mark.parametrize("build_stream", [yield_texts, lambda: iter(["Hel"]), lambda: iter([b"Hel"])])
def test_a_stream_of_something_else_is_an_error_that_says_so(build_stream, caplog):
    app = FastAPI()

    @app.get("/")
    async def answer():
        return EventStream(build_stream())

    assert TestClient(app).get("/").status_code == 500
    assert re.search(r"yields (str|bytes) in place of a Chunk; pass what router\.astream", caplog.text)


async def test_clients_without_a_socket_get_the_stream():
    app = build(router_of(ANSWER))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for path in PATHS:
            response = await client.post(path)
            assert [name for name, _ in events(response.content)][-1] == "done"
    for path in PATHS:
        response = await asyncio.to_thread(TestClient(app).post, path)
        assert [name for name, _ in events(response.content)][-1] == "done"


async def test_closing_an_event_stream_cancels_the_call():
    router = router_of(Answer(["w "] * 5000, per_chunk=0.01))
    for chunks in (router.astream("Hi"), router.stream("Hi")):
        stream = event_stream(chunks)
        assert b"data: " in await anext(stream)
        await stream.aclose()
        for _ in range(400):
            if in_flight(router) == 0:
                break
            await asyncio.sleep(0.005)
        assert in_flight(router) == 0


SHUTDOWN = """
import asyncio, sys
from multiroute_core import Router
from multiroute_core.serving import EventStream, event_stream
from multiroute_core.testing import Hang, provider_of, scripted_route

router = Router([scripted_route("only", Hang())], max_retries=0, deadline=1e6, first_token_timeout=None)
provider = provider_of(router.routes[0])


async def ignore(_):
    pass


async def respond():
    await EventStream(router.stream("Hi"))({"type": "http"}, asyncio.Event().wait, ignore)


async def read():
    async for _ in event_stream(router.stream("Hi")):
        pass


async def main():
    task = asyncio.create_task({"respond": respond, "read": read}[sys.argv[1]]())
    while provider.in_flight == 0:
        await asyncio.sleep(0.01)


asyncio.run(main())  # ends as a server does: it cancels what still runs
"""


@pytest.mark.parametrize("face", ["respond", "read"])
def test_a_loop_that_ends_leaves_no_thread_that_reads(face):
    """Some servers cancel all tasks and end their loop in one moment; Python then waits for the threads."""
    completed = subprocess.run(
        [sys.executable, "-c", SHUTDOWN, face], capture_output=True, text=True, timeout=60, check=False
    )
    assert (completed.returncode, completed.stderr) == (0, "")


async def test_a_stream_that_is_never_read_is_closed():
    router = router_of(ANSWER)
    stream = event_stream(router.astream("Hi"))
    await stream.aclose()
    assert in_flight(router) == 0


async def test_a_chunk_of_reasoning_and_bad_arguments():
    from multiroute_core import Chunk

    frames = [frame async for frame in event_stream([Chunk((Reasoning("hm"), Text("so")))])]
    assert frames == [b'data: {"reasoning":"hm","text":"so"}\n\n']
    wrong: list[Any] = [{"heartbeat": 0}, {"status_timeout": -1}, {"heartbeat": "x"}]
    for arguments in wrong:
        with pytest.raises(ConfigurationError):
            EventStream([], **arguments)
    streams: list[Any] = ["text", None, {}]
    for chunks in streams:
        with pytest.raises(ConfigurationError):
            EventStream(chunks)
