"""The thread of a link ends with it: closed, dropped or interrupted, and whatever Redis does meanwhile."""

import contextlib
import gc
import itertools
import os
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core import Budget, BudgetExceededError, Limit, Router
from multiroute_core.state import multiplexer
from multiroute_core.state.job import Job
from multiroute_core.state.link import Link
from multiroute_core.state.redis import RedisState
from multiroute_core.testing import Answer, scripted_route
from tests.examples import examples
from tests.interrupts.steps import Interrupt
from tests.redis_servers import Server, eventually, free_port, running

pytestmark = [pytest.mark.redis, pytest.mark.slow]

TIMEOUT = 0.1
ENDINGS = ("close", "close twice", "drop", "drop in a cycle", "drop after a call that was cancelled")
TROUBLES = ("none", "none", "absent", "silent", "babbling", "paused", "killed", "flushed", "forked")
MODULES = ("multiroute_core.state.link", "multiroute_core.state.multiplexer", "multiroute_core.runtime.thread_start")
names = itertools.count()


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "multiroute-redis"}


@pytest.fixture(autouse=True)
def forever(monkeypatch):
    """A thread that waits does so until something comes: none may need the next ping or probe to notice its end."""
    monkeypatch.setattr(multiplexer, "BEAT_SECONDS", 3600.0)
    monkeypatch.setattr(multiplexer, "FIRST_PAUSE", 3600.0)
    monkeypatch.setattr(multiplexer, "LONGEST_PAUSE", 3600.0)


def has_ended(before: set[threading.Thread]) -> bool:
    """Whether all threads have ended but those from before; what errors have tied into cycles is collected."""
    if threads() <= before:
        return True
    gc.collect()
    return threads() <= before


@pytest.fixture
def nothing_left() -> Iterator[Callable[[], None]]:
    """The collector runs between the steps only: an interrupt in a finalizer is lost, as Python documents."""
    before = threads()
    gc.disable()
    yield lambda: eventually(lambda: has_ended(before))
    gc.enable()


@contextlib.contextmanager
def listening(*replies: bytes) -> Iterator[str]:
    """The URL of something that accepts connections and is no Redis: it says these, and reads nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepted = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    accepted.append(server.accept()[0])
                    for reply in replies:
                        accepted[-1].sendall(reply)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"redis://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in accepted:
                connection.close()


@contextlib.contextmanager
def address(trouble: str, server: Server) -> Iterator[str]:
    if trouble == "absent":
        yield f"redis://127.0.0.1:{free_port()}"
    elif trouble in ("silent", "babbling"):
        with listening(*([b"HTTP/1.1 400 Bad Request\r\n\r\n"] if trouble == "babbling" else [])) as url:
            yield url
    else:
        yield server.url


def cause(trouble: str, server: Server) -> None:
    if trouble == "paused":
        server.pause()
    elif trouble == "killed":
        server.kill()
    elif trouble == "flushed":
        with server.client() as client:
            client.script_flush()
    elif trouble == "forked" and not (pid := os.fork()):
        os._exit(0)  # what it inherited stays the parent's
    elif trouble == "forked":
        os.waitpid(pid, 0)


def mend(trouble: str, server: Server) -> None:
    if trouble == "paused":
        server.resume()
    elif trouble == "killed":
        server.start()


def ask(router: Router) -> None:
    """Ask; a hard budget is unknown while Redis is away."""
    with contextlib.suppress(BudgetExceededError):
        assert router.generate("Hi", max_tokens=5).text == "ok"


def use(url: str, server: Server, calls: int, trouble: str, ending: str, *, hard: bool) -> None:
    """A router that shares its state, limits and budgets, in this trouble, until its end."""
    state = RedisState(url, prefix=f"threads-{next(names)}", timeout=TIMEOUT)
    router = Router(
        [scripted_route("a", Answer("ok"), max_concurrency=5)],
        state=state,
        limit=Limit(concurrency=5, tpm=10**6),
        budget=Budget(tokens=10**6, hard=hard),
    )
    for _ in range(calls):
        ask(router)
    cause(trouble, server)
    try:
        ask(router)
        if ending == "drop after a call that was cancelled":
            stream = router.stream("Hi", max_tokens=5)
            with contextlib.suppress(BudgetExceededError):
                next(stream)
            stream.close()
        router.close()
        if ending.startswith("close"):
            state.close()
        if ending == "close twice":
            state.close()
        if ending == "drop in a cycle":
            router.cycle = router  # type: ignore[attr-defined]
    finally:
        mend(trouble, server)


@pytest.fixture(scope="module")
def server():
    with running("valkey") as found:
        yield found


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@settings(max_examples=examples(60))
@given(st.sampled_from(TROUBLES), st.sampled_from(ENDINGS), st.integers(0, 3), st.booleans())
def test_no_thread_is_left_of_a_state(server, trouble, ending, calls, hard):
    before = threads()
    with address(trouble, server) as url:
        use(url, server, calls, trouble, ending, hard=hard)
    eventually(lambda: has_ended(before))


@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("trouble", ["none", "absent"])
def test_a_thread_that_waits_holds_no_job_that_is_done(server, trouble, dropped, nothing_left):
    """Its command or its listener may reference the link, which is dropped."""
    with address(trouble, server) as url:
        link = Link(url, timeout=TIMEOUT)
        eventually(lambda: link.up or link.away)
        job = Job(lambda _, own=link: ("SET", own.prefix, 1))
        job.dropped = dropped  # as by a caller that was cancelled
        link._multiplexer().put(job)
        link = job = None
        nothing_left()


@pytest.mark.parametrize("trouble", ["none", "absent"])
def test_no_thread_is_left_by_an_interrupt_at_any_step_of_a_link(server, trouble, nothing_left):
    has_started = set()
    with address(trouble, server) as url:
        for number in range(1000):
            interrupt = Interrupt(number, *MODULES)
            before = threads()
            with contextlib.suppress(KeyboardInterrupt), interrupt:
                link = Link(url, timeout=TIMEOUT)
                link.send(("SET", "a", 1), keep=True)
                link.close()
            has_started.add(threads() <= before)
            interrupt.previous.clear()  # its frames of functions that have returned still hold their arguments
            link = None
            nothing_left()
            if not interrupt.has_happened:
                break
    assert number > 20
    assert has_started == {True, False}


def test_an_interrupted_start_is_followed_by_no_second_thread(server, nothing_left):
    others = threads()
    for number in range(200):
        link = Link(server.url, timeout=TIMEOUT)
        link.close()
        nothing_left()
        other = link._multiplexers[os.getpid()] = multiplexer.Multiplexer(
            link._address.connect, where="here", probe=(("PING",),)
        )
        interrupt = Interrupt(number, multiplexer.__name__)
        with contextlib.suppress(KeyboardInterrupt), interrupt:
            other.start()
        interrupt.previous.clear()
        before = threads()
        other.state = "starting"  # as before the first connection
        other.start()
        assert len((threads() | before) - others) <= 1
        link.close()
        nothing_left()
        if not interrupt.has_happened:
            break
    assert number > 3
