"""Streams that whoever reads them drops: the call is over at once, without the garbage collector.

What drops them: the last reference, `close`, a generator around them, a thread, and a web server on AnyIO whose client
leaves (Starlette's and FastAPI's `StreamingResponse`), which cancels the task that reads and keeps the stream.
"""

import asyncio
import contextlib
import gc
import json
import threading
import time
from typing import Any

import anyio
import anyio.to_thread
import pytest

from multiroute_core import Limit, Route, Router
from multiroute_core.budgets.budget import Budget
from multiroute_core.errors import MultiRouteError
from multiroute_core.testing.server import ReplayServer, Reply
from tests.interrupts.leftovers import after_a_while, leftovers

pytestmark = pytest.mark.wire

SECONDS = 30.0


class Upstream:
    """A provider that goes on and on, until its connection is closed."""

    def __init__(self) -> None:
        self.url = ""
        self.open = 0
        self.lock = threading.Lock()
        self.pause = 0.005

    def answer(self, _) -> Reply:
        return Reply(200, {"content-type": "text/event-stream"}, self.pieces(), stream=True)

    def pieces(self):
        with self.lock:
            self.open += 1
        try:
            for number in range(4000):
                delta = {"content": f"w{number} "}
                choice = {"index": 0, "delta": delta, "finish_reason": None}
                yield b"data: " + json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode() + b"\n\n"
                time.sleep(self.pause)
        finally:
            with self.lock:
                self.open -= 1


@pytest.fixture
def upstream():
    upstream = Upstream()
    with ReplayServer(upstream.answer) as server:
        upstream.url = server.url
        yield upstream


@pytest.fixture(autouse=True)
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "cached": {"cache": "memory"},
    "budgeted": {"budget": Budget(usd=1e6, per="day", hard=True), "limit": Limit(rpm=1000, tpm=1e6, concurrency=2)},
    "continued": {"on_stream_error": "continue"},
}


def build(upstream: Upstream, setting: str = "plain") -> Router:
    prices = {"input": 1.0, "output": 1.0}
    route = Route("openai:m", name="one", base_url=upstream.url, api_key="k", prices=prices, max_concurrency=2)
    return Router([route], **SETTINGS[setting])


def core(router):
    return router.stream("Hi")


def langchain(router):
    return pytest.importorskip("langchain_multiroute").ChatMultiRoute(router=router).stream("Hi")


def langchain_chain(router):
    langchain_core = pytest.importorskip("langchain_core.runnables")
    model = pytest.importorskip("langchain_multiroute").ChatMultiRoute(router=router)
    return (langchain_core.RunnableLambda(lambda text: text) | model).stream("Hi")


def llamaindex_chat(router):
    llms = pytest.importorskip("llama_index.core.llms")
    model = pytest.importorskip("llamaindex_multiroute").MultiRoute(router=router)
    return model.stream_chat([llms.ChatMessage(role="user", content="Hi")])


def llamaindex_complete(router):
    return pytest.importorskip("llamaindex_multiroute").MultiRoute(router=router).stream_complete("Hi")


FACES = [core, langchain, langchain_chain, llamaindex_chat, llamaindex_complete]


def check_over(upstream: Upstream, router: Router, seconds: float = SECONDS) -> None:
    """The call is over here and at the provider."""
    assert after_a_while(lambda: leftovers(router), seconds) == []
    assert after_a_while(lambda: [upstream.open] if upstream.open else [], seconds) == []


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("face", FACES)
def test_the_last_reference_ends_the_call(upstream, face, setting):
    router = build(upstream, setting)
    stream = face(router)
    next(stream)
    del stream
    assert leftovers(router) == []
    check_over(upstream, router)


@pytest.mark.parametrize("face", FACES)
def test_a_generator_around_it_ends_the_call_with_its_own_end(upstream, face):
    router = build(upstream)
    around = (piece for piece in face(router))
    next(around)
    around.close()
    assert leftovers(router) == []
    check_over(upstream, router)


@pytest.mark.parametrize("face", FACES)
def test_a_reader_that_fails_ends_the_call_when_its_error_is_gone(upstream, face):
    router = build(upstream)

    def read():
        for _ in face(router):
            raise ValueError

    with contextlib.suppress(ValueError):
        read()
    assert leftovers(router) == []
    check_over(upstream, router)


def test_a_thread_that_ends_in_the_middle_ends_the_call(upstream):
    router = build(upstream)
    thread = threading.Thread(target=lambda: next(router.stream("Hi")))
    thread.start()
    thread.join()
    check_over(upstream, router)


def read_one(stream):
    try:
        return next(stream)
    except StopIteration:
        return None


async def serve(stream, sent) -> None:
    """What a server on AnyIO does with a sync generator: it keeps it, and never closes it."""
    while (piece := await anyio.to_thread.run_sync(read_one, stream)) is not None:
        sent.append(piece)


async def leave_early(stream, after: int) -> list:
    """A client that leaves after some pieces, as Starlette sees it before ASGI 2.4."""
    sent: list = []
    async with anyio.create_task_group() as group:
        group.start_soon(serve, stream, sent)
        while len(sent) < after:
            await anyio.sleep(0.002)
        group.cancel_scope.cancel()
    return sent


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("face", FACES)
def test_a_server_whose_client_leaves_ends_the_call_though_the_stream_is_kept(upstream, face, setting):
    router = build(upstream, setting)
    stream = face(router)

    async def run():
        await leave_early(stream, 3)
        while leftovers(router) or upstream.open:  # the loop goes on, as a server's does
            await anyio.sleep(0.01)

    asyncio.run(asyncio.wait_for(run(), SECONDS))
    check_over(upstream, router)


def test_a_server_ends_the_call_that_waits_for_a_provider_which_says_nothing(upstream):
    upstream.pause = 1.5
    router = build(upstream)

    stream = router.stream("Hi")

    async def run():
        await leave_early(stream, 1)
        while leftovers(router):
            await anyio.sleep(0.01)

    asyncio.run(asyncio.wait_for(run(), SECONDS))
    assert leftovers(router) == []


def test_the_next_client_finds_a_place(upstream):
    router = build(upstream)

    async def run():
        for _ in range(6):  # with two places
            kept.append(router.stream("Hi"))
            assert len(await leave_early(kept[-1], 2)) >= 2
            await anyio.sleep(0.15)

    kept: list = []
    asyncio.run(run())
    check_over(upstream, router)


def test_whoever_reads_on_after_the_task_was_cancelled_is_told(upstream):
    router = build(upstream)
    stream = router.stream("Hi")

    async def run():
        await leave_early(stream, 2)
        while leftovers(router):
            await anyio.sleep(0.01)

    asyncio.run(run())
    with pytest.raises(RuntimeError, match="was cancelled"):
        next(stream)


def test_tasks_that_read_one_piece_each_read_the_whole_answer(upstream):
    router = build(upstream)
    stream = router.stream("Hi")

    async def run():
        said = []
        for _ in range(8):
            said.append(await asyncio.create_task(anyio.to_thread.run_sync(read_one, stream)))
            await anyio.sleep(0.06)  # longer than a look at whoever reads
        return said

    said = asyncio.run(run())
    stream.close()
    assert "".join(chunk.text for chunk in said) == "".join(f"w{number} " for number in range(8))
    check_over(upstream, router)


def test_a_task_that_was_cancelled_leaves_the_stream_to_who_reads_on_at_once(upstream):
    router = build(upstream)
    stream = router.stream("Hi")

    async def run():
        with anyio.move_on_after(0.0):
            await anyio.to_thread.run_sync(read_one, stream)
        said = [await anyio.to_thread.run_sync(read_one, stream) for _ in range(3)]
        await anyio.sleep(0.1)
        return [*said, await anyio.to_thread.run_sync(read_one, stream)]

    said = asyncio.run(run())
    stream.close()
    assert all(said)
    check_over(upstream, router)


@pytest.mark.parametrize("setting", SETTINGS)
def test_an_async_stream_whose_task_is_cancelled_is_over_at_once(upstream, setting):
    router = build(upstream, setting)

    async def read(ready):
        async for _ in router.astream("Hi"):
            ready.set()

    async def run():
        ready = asyncio.Event()
        task = asyncio.create_task(read(ready))
        await ready.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        found = leftovers(router)
        await router.aclose()
        return found

    assert asyncio.run(run()) == []
    assert after_a_while(lambda: [upstream.open] if upstream.open else [], SECONDS) == []


def test_a_stream_that_was_never_read_holds_nothing(upstream):
    router = build(upstream)
    stream = router.stream("Hi")
    assert leftovers(router) == []
    stream.close()
    with contextlib.suppress(MultiRouteError):
        assert list(stream) == []
