"""Reloading: what a router knows stays, what is in flight ends as it began, and a bad file changes nothing."""

import asyncio
import logging
import os
import signal
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import ConfigurationError, LimitExceededError, Router
from multiroute_core.configuration import RouterReloader
from multiroute_core.telemetry import PrometheusMetrics
from multiroute_core.testing.server import Received, ReplayServer, Reply
from tests.chat_server import FACES, SSE, answer, ask, error, events

WAIT = 10.0


class File:
    """A configuration file with a route for each server, and its router."""

    def __init__(self, path: Path, servers: dict[str, ReplayServer]) -> None:
        self.path = path
        self.servers = servers

    def write(self, more: str = "", routes: tuple[str, ...] = ("a",), **keys: str) -> None:
        text = more + "\n"
        for name in routes:
            text += f'[[routes]]\nroute = "openai:gpt-4.1"\nname = "{name}"\nprices = "openai"\n'
            text += f'base_url = "{self.servers[name].url}/v1"\napi_key = "{keys.get(name, "k")}"\n'
        self.path.write_text(text, encoding="utf-8")

    def open(self) -> Router:
        return Router.from_file(self.path)


@pytest.fixture
def file(tmp_path):
    with ExitStack() as stack:
        servers = {name: stack.enter_context(ReplayServer(answer(f"I am {name}"))) for name in "ab"}
        yield File(tmp_path / "routes.toml", servers)


def wait_for(condition: Any) -> None:
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.005)


def test_a_router_continues_with_the_new_file(file):
    file.write()
    with file.open() as router:
        assert router.generate("?").text == "I am a"
        assert router.reload() is False, "nothing has changed"
        file.write('deadline = 7\nstrategy = "cheapest"', routes=("b",))
        assert router.reload() is True
        assert router.generate("?").text == "I am b"
        assert (router.options.deadline, router.options.strategy) == (7, "cheapest")
        assert [route.name for route in router.routes] == ["b"]


STATE = """
cache = "memory"
ledger = {store = "memory"}
on_event = ["PrometheusMetrics"]
budget = [{tokens = 10000, hard = true}, {tokens = 50, per = "session"}]
limit = {rpm = 2, scope_values = ["t"]}
"""


def test_state_stays(file):
    file.write(STATE, routes=("a", "b"))
    with file.open() as router:
        file.servers["a"].serve(error(401, kind="invalid_request_error"))
        assert router.generate("?", tenant="t").text == "I am b"
        (metrics,) = (hook for hook in router._parts.hooks if isinstance(hook, PrometheusMetrics))
        before = router._parts
        file.write(STATE.replace("= 10000", "= 9000").replace("rpm = 2", "rpm = 4") + "deadline = 9", routes=("a", "b"))
        assert router.reload()
        after = router._parts
        assert router.health().routes["a"].breaker == "open"
        assert router.health().routes["b"].latency is not None
        assert {one.budget: one.remaining for one in router.budgets()} == {"tokens/day": 8993, "tokens/session": 43}
        assert len(router.ledger.query()) == 2
        assert router.generate("?", tenant="t").cached
        assert after.providers == before.providers
        assert metrics in after.hooks
        assert 'outcome="cached"} 1' in metrics.render()
        router.generate("1?", tenant="t")
        (status,) = router.limit_statuses()
        assert status.rpm == 4
        router.generate("2?", tenant="t")
        with pytest.raises(LimitExceededError):
            router.generate("3?", tenant="t")


def test_a_corrected_key_is_used_at_once(file):
    file.write(routes=("a", "b"), a="wrong")
    with file.open() as router:
        file.servers["a"].serve(error(401, kind="invalid_request_error"))
        assert router.generate("?").text == "I am b"
        assert router.health().routes["a"].breaker == "open"
        file.servers["a"].serve(answer("again"))
        file.write(routes=("a", "b"), a="right")
        router.reload()
        assert router.health().routes["a"].breaker == "closed"
        assert router.generate("?").text == "again"
        assert file.servers["a"].requests[-1].headers["authorization"] == "Bearer right"


def test_new_limits_of_a_route_hold_at_once(file):
    file.write()
    with file.open() as router:
        router.generate("?")
        file.write()
        file.path.write_text(file.path.read_text() + "rpm = 1\n")
        router.reload()
        assert router.health().routes["a"].requests_left == 1
        file.write()
        router.reload()
        assert router.health().routes["a"].requests_left is None


@pytest.mark.parametrize(
    "bad",
    [
        "deadline = -1",
        "x = [",
        "strategi = 'x'",
        "cache = 'sqlite:////proc/none/x.db'",
        "budget = {usd = 1, timezone = 'x'}",
    ],
)
def test_a_bad_file_changes_nothing_and_is_told_in_one_line(file, caplog, bad):
    file.write()
    with file.open() as router, RouterReloader(router, interval=None) as reloader:
        before = vars(router).copy()
        file.write(bad, routes=("b",))
        with pytest.raises(ConfigurationError):
            router.reload()
        assert vars(router) == before
        with caplog.at_level(logging.INFO):
            assert reloader.reload() is False
        assert vars(router) == before
        (record,) = caplog.records
        assert record.levelno == logging.ERROR
        assert "\n" not in record.getMessage()
        assert str(file.path) in record.getMessage()
        assert router.generate("?").text == "I am a"


async def test_streams_in_flight_end_as_they_began(file):
    """Half of each stream comes before the reload, half after it; the route of all is gone by then."""
    reloaded = threading.Event()
    pieces = list(events("one two three four"))

    def slow(_: Received) -> Reply:
        def body():
            yield from pieces[:3]
            assert reloaded.wait(WAIT)
            yield from pieces[3:]

        return Reply(200, SSE, body(), stream=True)

    file.servers["a"].serve(slow)
    file.write("budget = {tokens = 100}\nlimit = {concurrency = 9}")
    router = file.open()
    begun = asyncio.Semaphore(0)
    texts: list[str] = []

    async def read() -> None:
        text = ""
        async for chunk in router.astream("?"):
            if not text and chunk.text:
                begun.release()
            text += chunk.text
        texts.append(text)

    def read_in_thread() -> None:
        texts.append("".join(chunk.text for chunk in router.stream("?")))

    threads = [threading.Thread(target=read_in_thread) for _ in range(2)]
    tasks = [asyncio.create_task(read()) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in tasks:
        await asyncio.wait_for(begun.acquire(), WAIT)
    wait_for(lambda: len(file.servers["a"].requests) == 6)
    file.write("budget = {tokens = 200}\nlimit = {concurrency = 7}", routes=("b",))
    assert router.reload()
    assert (await router.agenerate("?")).text == "I am b"
    (status,) = router.limit_statuses()
    assert (status.in_flight, status.concurrency) == (6, 7)
    reloaded.set()
    await asyncio.wait_for(asyncio.gather(*tasks), WAIT)
    for thread in threads:
        thread.join(WAIT)
    assert texts == ["one two three four"] * 6
    (budget,) = router.budgets()
    assert budget.spent == 7 * 7, "what ran before and after the reload is charged to one account"
    assert router.limit_statuses()[0].in_flight == 0
    await router.aclose()


@pytest.mark.parametrize("face", FACES)
def test_a_call_uses_one_version_of_the_file(file, face, monkeypatch):
    """The file changes between the validation of a call and its first step."""
    file.write()
    with file.open() as router:
        prepare = router._call

        def prepare_and_reload(*arguments: Any, **options: Any) -> Any:
            call = prepare(*arguments, **options)
            file.write(routes=("b",))
            assert router.reload()
            return call

        monkeypatch.setattr(router, "_call", prepare_and_reload)
        assert ask(router, face).text == "I am a"
        monkeypatch.undo()
        assert ask(router, face).text == "I am b"


def test_calls_of_many_threads_while_the_file_changes(file):
    """Each call uses one version of the file from beginning to end."""
    file.write(routes=("a",))
    router = file.open()
    stop = threading.Event()
    texts: set[str] = set()
    failures: list[BaseException] = []

    def call() -> None:
        while not stop.is_set():
            try:
                texts.add(router.generate("?").text)
                router.explain("?")
            except Exception as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(12):
        file.write(f"deadline = {turn + 1}", routes=("a",) if turn % 2 else ("b",))
        assert router.reload()
    wait_for(lambda: len(texts) == 2 or failures)
    stop.set()
    for thread in threads:
        thread.join(WAIT)
    router.close()
    assert failures == []
    assert texts == {"I am a", "I am b"}


@pytest.mark.parametrize("adapter", [ChatMultiRoute, MultiRoute])
def test_the_frameworks_see_the_new_routes(file, adapter):
    file.write()
    with file.open() as router:
        model = adapter(router=router)
        say = (lambda: model.invoke("?").content) if adapter is ChatMultiRoute else (lambda: model.complete("?").text)
        assert say() == "I am a"
        repr(model)
        file.write(routes=("b",))
        router.reload()
        assert say() == "I am b"


def test_sighup_reloads(file, caplog):
    file.write()
    previous = signal.getsignal(signal.SIGHUP)
    with file.open() as router:
        with RouterReloader(router, interval=None), caplog.at_level(logging.INFO):
            file.write(routes=("b",))
            os.kill(os.getpid(), signal.SIGHUP)
            wait_for(lambda: router.routes[0].name == "b")
            wait_for(lambda: "The router is reloaded from" in caplog.text)
        assert signal.getsignal(signal.SIGHUP) == previous
        assert router.generate("?").text == "I am b"


def test_a_changed_file_reloads(file):
    file.write()
    with file.open() as router, RouterReloader(router, interval=0.01, on_signal=False) as reloader:
        file.path.unlink()  # as an editor does
        file.write(routes=("b",))
        wait_for(lambda: router.routes[0].name == "b")
        assert repr(reloader) == f"RouterReloader({str(file.path)!r}, interval=0.01)"


def test_a_file_that_is_being_written_is_not_read(file):
    """Its first half is valid, and has other settings."""
    looks = 0
    routes = 'routes = [{route = "openai:gpt-4.1", api_key = "k"}]'

    class Reader(RouterReloader):
        def _read_digest(self):
            nonlocal looks
            looks += 1
            if looks < 50:  # the program writes on between two looks
                file.path.write_text(f"# {looks}\n{routes}")
            elif looks == 50:
                file.write("deadline = 7", routes=("b",))
            return super()._read_digest()

    file.write("deadline = 7")
    deadlines = set()
    with file.open() as router, Reader(router, interval=0.01, on_signal=False):
        wait_for(lambda: deadlines.add(router.options.deadline) or router.routes[0].name == "b")
    assert deadlines == {7}


@pytest.mark.parametrize("content", ["", " \n"])
def test_an_emptied_file_changes_nothing(file, content, monkeypatch, caplog):
    monkeypatch.setenv("OPENAI_API_KEY", "k")  # with it, a router without routes has one
    file.write()
    with file.open() as router, RouterReloader(router, interval=None) as reloader:
        file.path.write_text(content)
        assert reloader.reload() is False
        assert "routes.toml is empty" in caplog.text
        assert router.generate("?").text == "I am a"


def test_a_change_before_the_reloader_begins_is_seen(file):
    file.write()
    with file.open() as router:
        file.write(routes=("b",))
        with RouterReloader(router, interval=0.01, on_signal=False):
            wait_for(lambda: router.routes[0].name == "b")


def test_a_budget_that_counts_something_else_needs_another_name(file):
    file.write('budget = {tokens = 100, name = "x"}')
    with file.open() as router:
        router.generate("?")
        file.write('budget = {usd = 1, name = "x"}')
        with pytest.raises(ConfigurationError, match="'x' has another unit than before.*another name="):
            router.reload()
        assert router.budgets()[0].spent == 7


def test_what_cannot_be_reloaded(file):
    file.write()
    router = file.open()
    router.close()
    with pytest.raises(ConfigurationError, match="closed"):
        router.reload()
    for reload in (RouterReloader, lambda router: router.reload()):
        with pytest.raises(ConfigurationError, match="no file to reload; build it with Router.from_file"):
            reload(Router(router.routes))
    with pytest.raises(ConfigurationError, match="interval=0 is not valid"):
        RouterReloader(router, interval=0)


@pytest.mark.redis
def test_a_fleet_on_redis_keeps_its_state(file, redis_server):
    """The breaker stays that of the fleet; limits of routes and tenants change at once."""
    more = f'state = "{redis_server.url}"\nlimit = {{rpm = RPM}}\nbudget = {{tokens = 10000}}'
    file.write(more.replace("RPM", "9"), routes=("a", "b"))
    with file.open() as router:
        file.servers["a"].serve(error(401, kind="invalid_request_error"))
        assert router.generate("?").text == "I am b"
        state = router._parts.state
        file.write(more.replace("RPM", "5"), routes=("a", "b"), a="k")
        file.path.write_text(file.path.read_text() + "rpm = 3\n")
        assert router.reload()
        assert router._parts.state is state
        health = router.health().routes
        assert health["a"].breaker == "open"
        assert health["b"].requests_left == pytest.approx(3, abs=1.1)
        router.generate("?")
        assert router.limit_statuses()[0].rpm == 5
        assert router.budgets()[0].spent == 14
