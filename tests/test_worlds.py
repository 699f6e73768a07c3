"""One router in every world: many loops, many threads, inside a running loop, across processes."""

import asyncio
import contextvars
import gc
import multiprocessing
import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from multiroute_core import Router
from multiroute_core.events import AttemptEnded
from multiroute_core.testing.server import Reply
from tests.chat_server import SSE, Fleet, answer, events


def clients_of(router: Router) -> Any:
    provider: Any = router._parts.providers["a"]
    return provider._clients


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.slow
def test_asyncio_run_twenty_times_leaks_no_client_descriptor_or_warning():
    with Fleet(answer()) as fleet, warnings.catch_warnings():
        warnings.simplefilter("error")

        async def work():
            await fleet.router.agenerate("Hi")
            return [chunk.text async for chunk in fleet.router.astream("Hi")]

        asyncio.run(work())
        gc.collect()
        before = open_descriptors()
        for _ in range(20):
            assert "".join(asyncio.run(work())) == "Hello."
        gc.collect()
        assert open_descriptors() <= before
        assert clients_of(fleet.router)._native == {}


@pytest.mark.slow
def test_loops_that_are_closed_by_hand_are_forgotten_at_the_next_call():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # without shutdown_asyncgens the collector gets the sockets
        with Fleet(answer()) as fleet:
            for _ in range(5):
                loop = asyncio.new_event_loop()
                assert loop.run_until_complete(fleet.router.agenerate("Hi")).text == "Hello."
                loop.close()
            assert len(clients_of(fleet.router)._native) == 1
        del fleet, loop
        gc.collect()
        gc.collect()  # the router first, then what its client left in circles of their own


@pytest.mark.slow
def test_a_router_in_a_circle_that_is_collected_while_its_loop_lives_leaves_nothing_open(recwarn):
    with Fleet(answer()) as fleet, asyncio.Runner() as runner:
        router = Router(fleet.routes)
        runner.run(router.agenerate("Hi"))
        before = open_descriptors()
        setattr(router, "circle", router)
        del router
        gc.collect()
        runner.run(asyncio.sleep(0))
        runner.run(asyncio.sleep(0.01))
        assert open_descriptors() < before
        gc.collect()
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.slow
def test_three_threads_with_loops_of_their_own():
    with Fleet(answer()) as fleet:

        def work():
            async def calls():
                return [(await fleet.router.agenerate("Hi")).text for _ in range(10)]

            return [text for _ in range(3) for text in asyncio.run(calls())]

        with ThreadPoolExecutor(3) as pool:
            assert [text for f in [pool.submit(work) for _ in range(3)] for text in f.result()] == ["Hello."] * 90


def test_sync_calls_inside_a_running_loop():
    with Fleet(answer("One two.")) as fleet:

        async def work():
            whole = fleet.router.generate("Hi").text
            return whole, "".join(chunk.text for chunk in fleet.router.stream("Hi"))

        assert asyncio.run(work()) == ("One two.", "One two.")


def test_a_sync_stream_begun_inside_a_loop_is_read_after_it_ended():
    with Fleet(answer("One two three.")) as fleet:

        async def begin():
            stream = fleet.router.stream("Hi")
            return stream, next(stream).text

        stream, first = asyncio.run(begin())
        assert first + "".join(chunk.text for chunk in stream) == "One two three."


def test_a_sync_stream_may_be_read_by_another_thread_than_the_one_that_began_it():
    with Fleet(answer("One two three.")) as fleet:
        stream = fleet.router.stream("Hi")
        texts = [next(stream).text]
        thread = threading.Thread(target=lambda: texts.extend(chunk.text for chunk in stream))
        thread.start()
        thread.join()
        assert "".join(texts) == "One two three."


@pytest.mark.parametrize("face", ["generate", "agenerate", "stream", "astream"])
def test_hooks_see_the_callers_context_variables_in_every_step(face):
    request = contextvars.ContextVar("request", default="nobody")
    seen: list[str] = []

    with Fleet(answer("One two.")) as fleet:
        router = Router(fleet.routes, on_event=[lambda _: seen.append(request.get())])

        def sync():
            request.set("mine")
            if face == "generate":
                router.generate("Hi")
                return
            stream = router.stream("Hi")
            # Each step from another context: the ones of the caller at the beginning count.
            for _ in range(4):
                contextvars.Context().run(next, stream, None)

        async def native():
            request.set("mine")
            if face == "agenerate":
                await router.agenerate("Hi")
            else:
                async for _ in router.astream("Hi"):
                    pass

        if face in ("generate", "stream"):
            contextvars.copy_context().run(sync)
        else:
            asyncio.run(native())
        router.close()
    assert len(seen) >= 4
    assert set(seen) == {"mine"}


def test_options_cross_threads_tasks_and_batches():
    import multiroute_core

    details = [{}, {"tasks": {"code"}}]
    with Fleet(answer(), answer(), details=details) as fleet:

        async def tasks():
            with multiroute_core.options(task="code"):
                one = asyncio.create_task(fleet.router.agenerate("Hi"))
            return (await one).route, (await fleet.router.agenerate("Hi")).route

        assert asyncio.run(tasks()) == ("b", "a")
        with multiroute_core.options(task="code"):
            context = contextvars.copy_context()
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(context.run, lambda: fleet.router.generate("Hi").route).result() == "b"


def test_a_cancelled_call_is_cancelled_and_counts_for_nobody():
    def slow(received):
        def body():
            yield from list(events("One two."))[:2]
            threading.Event().wait(5)

        return Reply(200, SSE, body(), stream=True)

    with Fleet(slow) as fleet:

        async def work():
            async def read():
                async for _ in fleet.router.astream("Hi"):
                    pass

            task = asyncio.create_task(read())
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(work())
        ended = [event for event in fleet.events if isinstance(event, AttemptEnded)]
        assert [event.attempt.outcome for event in ended] == ["cancelled"]


@pytest.mark.slow
def test_an_abandoned_stream_is_closed_by_the_collector():
    with Fleet(answer("One two three.")) as fleet:
        stream = fleet.router.stream("Hi")
        next(stream)
        del stream
        gc.collect()
        assert [e.attempt.outcome for e in fleet.events if isinstance(e, AttemptEnded)] == ["cancelled"]


def test_many_threads_at_once():
    with Fleet(answer()) as fleet, ThreadPoolExecutor(16) as pool:
        futures = [pool.submit(lambda: fleet.router.generate("Hi").text) for _ in range(200)]
        assert {future.result() for future in futures} == {"Hello."}


@pytest.mark.slow
def test_many_tasks_at_once():
    with Fleet(answer()) as fleet:

        async def work():
            return await asyncio.gather(*(fleet.router.agenerate("Hi") for _ in range(100)))

        assert {response.text for response in asyncio.run(work())} == {"Hello."}


def _in_child(router, results):
    results.put(router.generate("Hi").text)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_worker_has_its_own_connections():
    with Fleet(answer()) as fleet:
        assert fleet.router.generate("Hi").text == "Hello."
        context = multiprocessing.get_context("fork")
        results = context.SimpleQueue()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of forks beside threads: the servers' own
            child = context.Process(target=_in_child, args=(fleet.router, results))
            child.start()
        child.join(10)
        assert child.exitcode == 0
        assert results.get() == "Hello."
        assert fleet.router.generate("Hi").text == "Hello."


def test_aclose_closes_the_running_loops_client():
    with Fleet(answer()) as fleet:

        async def work():
            async with Router(fleet.routes) as router:
                await router.agenerate("Hi")
                router.generate("Hi")
            return clients_of(router)

        clients = asyncio.run(work())
        assert clients._native == {}
        assert clients._blocking == {}
