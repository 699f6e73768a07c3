"""Time limits, hanging up, and what is left behind: nothing."""

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import threading
import time

import pytest

from multiroute_core.runtime.async_io import AsyncIO
from multiroute_core.runtime.deadline import Deadline, Expired
from multiroute_core.runtime.io import END
from multiroute_core.testing.server import Reply
from tests.providers.google.gemini import (
    ANSWER,
    HELLO,
    ROUTE,
    SSE,
    STREAM,
    Slow,
    drive,
    either,
    framed,
    limited,
    plain,
    stream,
    streamed,
    whole,
)

SOON = 0.1
SLACK = 20.0  # without the limit there is no end at all


@pytest.fixture
def slow(server):
    """Makes a server that never comes to an end, and ends it with the test."""
    made = []

    def make(*head, drip=b""):
        made.append(Slow(*head, drip=drip))
        server.serve(made[-1])
        return made[-1]

    yield make
    for each in made:
        each.over.set()


def first(sdk):
    return next(framed(sdk, STREAM, end=False))


async def expires(flow):
    """Seconds until `flow` ran out of time."""
    began = time.monotonic()
    with pytest.raises(Expired):
        await flow
    return time.monotonic() - began


def quietly(provider, server, world, sdk, kind, flow):
    """Run `flow` after a call that was answered: the first one of an SDK takes its time."""
    slow, server._reply = server._reply, plain(ANSWER) if kind == "whole" else stream(sdk, STREAM)

    async def both(io):
        await either(kind, provider, io)
        server.serve(slow)
        return await flow(io)

    return drive(world, both)


def test_silence(provider, server, slow, world, kind, sdk):
    slow()
    took = quietly(provider, server, world, sdk, kind, lambda io: expires(either(kind, provider, io, limited(SOON))))
    assert SOON <= took < SOON + SLACK


def test_a_body_that_drips(provider, server, slow, world, kind, sdk):
    begun = (b"[ " if sdk == "legacy" else b"data: ") if kind == "streamed" else b"{"
    dripping = slow(begun, drip=b" ")
    took = quietly(provider, server, world, sdk, kind, lambda io: expires(either(kind, provider, io, limited(SOON))))
    assert SOON <= took < SOON + SLACK
    assert dripping.ended.wait(2), "the connection was not dropped"


@pytest.mark.parametrize("drip", [b"", b" "])
def test_a_stream_that_stalls(provider, server, slow, world, sdk, drip):
    stalled = slow(first(sdk), *([] if sdk == "legacy" else [b"data: "]), drip=drip)

    async def flow(io):
        limit, encoded = limited(), provider.encode(HELLO, ROUTE, stream=True)
        source = await provider.open(io, limit, encoded)
        try:
            assert (await io.next(limit, source))["candidates"]
            limit.set("the next chunk", time.monotonic() + SOON, SOON)
            return await expires(io.next(limit, source))
        finally:
            await io.close(source)

    took = quietly(provider, server, world, sdk, "streamed", flow)
    assert SOON <= took < SOON + SLACK
    assert not drip or stalled.ended.wait(2), "the connection was not dropped"


def test_a_pause_that_is_allowed(provider, server, world, sdk):
    """What was allowed for the first token is no limit for the later ones."""

    def paused():
        yield first(sdk)
        time.sleep(0.4)
        yield from list(framed(sdk, STREAM))[1:]

    server.serve(lambda _: Reply(200, SSE, paused(), stream=True))

    async def flow(io):
        limit, encoded = limited(0.3), provider.encode(HELLO, ROUTE, stream=True)
        source = await provider.open(io, limit, encoded)
        assert await io.next(limit, source)
        limit.set("the next chunk", time.monotonic() + 5, 5)
        rest = []
        while (event := await io.next(limit, source)) is not END:
            rest.append(event)
        await io.close(source)
        return len(rest)

    assert drive(world, flow) == len(STREAM) - 1


def test_no_limit_at_all(provider, server, world, kind, sdk):
    def late():
        yield first(sdk)
        time.sleep(0.05)  # so that the second read waits
        yield from list(framed(sdk, STREAM))[1:]

    if kind == "streamed":
        server.serve(lambda _: Reply(200, SSE, late(), stream=True))
    assert drive(world, lambda io: either(kind, provider, io, Deadline()))


def test_a_stream_closed_early_is_dropped(provider, slow, world, sdk):
    endless = slow(first(sdk), drip=b" ")

    async def flow(io):
        limit, encoded = limited(), provider.encode(HELLO, ROUTE, stream=True)
        source = await provider.open(io, limit, encoded)
        await io.next(limit, source)
        assert not endless.ended.is_set()
        await io.close(source)
        return await asyncio.to_thread(endless.ended.wait, 2) if io.native else endless.ended.wait(2)

    assert drive(world, flow), "the connection was not dropped"


def test_a_stream_that_reports_an_error_is_dropped(provider, slow, world, sdk):
    if sdk == "legacy":
        pytest.skip("it does not see the error")
    fault = b'data: {"error": {"code": 500, "message": "Internal error", "status": "INTERNAL"}}\n\n'
    endless = slow(first(sdk), fault, drip=b" ")

    async def flow(io):
        with pytest.raises(Exception) as caught:
            await streamed(provider, io)
        assert provider.classify(caught.value).code == "server_error"
        return await asyncio.to_thread(endless.ended.wait, 2) if io.native else endless.ended.wait(2)

    assert drive(world, flow), "the connection was not dropped"


def test_a_stream_that_was_never_read_is_never_sent(make, server, world, monkeypatch):
    monkeypatch.setenv("MULTIROUTE_PREPARED_REQUESTS", "0")  # a prepared request is sent at once
    provider = make(server.url)

    async def flow(io):
        source = await provider.open(io, limited(), provider.encode(HELLO, ROUTE, stream=True))
        await io.close(source)

    drive(world, flow)
    assert server.requests == []


@pytest.mark.usefixtures("prepared_requests")
def test_a_prepared_stream_that_was_never_read_is_dropped(provider, slow, world, sdk):
    if sdk != "genai":
        pytest.skip("it prepares no requests")
    endless = slow(first(sdk), drip=b" ")

    async def flow(io):
        source = await provider.open(io, limited(), provider.encode(HELLO, ROUTE, stream=True))
        assert not endless.ended.is_set()
        await io.close(source)
        return await asyncio.to_thread(endless.ended.wait, 2) if io.native else endless.ended.wait(2)

    assert drive(world, flow), "the connection was not dropped"


def test_a_cancelled_call_is_dropped(provider, slow, kind, sdk):
    endless = slow(first(sdk) if kind == "streamed" else b"{", drip=b" ")

    async def flow():
        task = asyncio.create_task(either(kind, provider, AsyncIO()))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await asyncio.to_thread(endless.ended.wait, 2)

    assert asyncio.run(flow()), "the connection was not dropped"


@pytest.mark.slow
def test_one_provider_for_many_loops(provider, server, sdk, caplog):
    """No loop leaves a connection, a task or a warning behind; a warning of an unclosed one would be an error here."""

    async def both():
        await whole(provider, AsyncIO())
        server.serve(stream(sdk, STREAM))
        await streamed(provider, AsyncIO())
        source = await provider.open(AsyncIO(), limited(), provider.encode(HELLO, ROUTE, stream=True))
        await AsyncIO().next(limited(), source)
        await AsyncIO().close(source)
        gc.collect()
        server.serve(
            stream(sdk, [STREAM[0], {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}])
        )
        with contextlib.suppress(Exception):
            await streamed(provider, AsyncIO())
        server.serve(lambda _: Reply(200, SSE, iter([first(sdk), b"data: {\n\n", b"data: {}\n\n"]), stream=True))
        with contextlib.suppress(Exception):
            await streamed(provider, AsyncIO())
        server.serve(plain(ANSWER))

    def sockets():
        kinds = []
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                kinds.append(os.readlink(f"/proc/self/fd/{name}"))
        return sum(kind.startswith("socket:") for kind in kinds)

    asyncio.run(both())
    before = sockets()
    for _ in range(5):
        asyncio.run(both())
        gc.collect()
    patience = time.monotonic() + 2
    while sockets() > before and time.monotonic() < patience:
        time.sleep(0.01)
    assert sockets() <= before
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


def test_many_loops_at_once(provider, server):
    failures = []

    def work():
        async def calls():
            await asyncio.gather(*(whole(provider, AsyncIO()) for _ in range(10)))

        try:
            asyncio.run(calls())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(server.requests) == 40


def test_a_closed_provider_can_be_asked_again(provider, world):
    drive(world, lambda io: whole(provider, io))
    provider.close()
    drive(world, lambda io: whole(provider, io))


def test_closing_on_a_loop(provider):
    async def flow():
        await whole(provider, AsyncIO())
        await provider.aclose()
        await whole(provider, AsyncIO())
        await provider.aclose()

    asyncio.run(flow())


@pytest.mark.slow
def test_the_sdks_warn_of_nothing(sdk):
    """Neither at import nor at the end of a process whose provider nobody closed."""
    if sdk == "typed":
        pytest.skip("the same SDK as genai's")
    name = "legacy:LegacyProvider" if sdk == "legacy" else "genai:GenaiProvider"
    module, _, provider = name.partition(":")
    code = (
        f"from multiroute_core.providers.google.{module} import {provider} as P\n"
        "import asyncio, sys\n"
        "from multiroute_core.testing.server import ReplayServer\n"
        "from tests.providers.google.gemini import *\n"
        "with ReplayServer(plain(ANSWER)) as server:\n"
        "    provider = P('k', server.url)\n"
        "    drive('sync', lambda io: whole(provider, io))\n"
        "    drive('async', lambda io: whole(provider, io))\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
