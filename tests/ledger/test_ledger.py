"""The ledger: one record of every try and every hit, wherever it is kept, whatever becomes of the call."""

import asyncio
import copy
import gc
import logging
import multiprocessing
import os
import pickle
import re
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from multiroute_core import ConfigurationError, Ledger, MultiRouteError, Router, Usage
from multiroute_core.ledger import writer
from multiroute_core.ledger.aggregate import Spent
from multiroute_core.ledger.ledger import BATCH, LedgerUnavailableError, MemoryStore
from multiroute_core.testing import Answer, DropConnection, Fail, SlowAnswer, scripted_route
from tests.chat_server import FACES, Fleet, answer, ask
from tests.redis_servers import eventually, running

PRICES = {"input": 1.0, "output": 2.0}
USED = Answer("Hello.", usage=Usage(input_tokens=1000, output_tokens=500))
EVERY = pytest.mark.parametrize("face", FACES)


@pytest.fixture(scope="module")
def server():
    with running("valkey") as found:
        yield found


@pytest.fixture(params=["memory", "sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def where(request, tmp_path):
    """Where records are kept."""
    if request.param == "memory":
        return "memory"
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    found = request.getfixturevalue("server")
    with found.client() as client:
        client.flushall()
    return found.url


@EVERY
class TestRecords:
    def test_every_try_has_one(self, face, where):
        routes = [scripted_route("a", Fail(), prices=PRICES), scripted_route("b", USED, prices=PRICES)]
        router = Router(routes, ledger=where)
        began = time.time()
        ask(router, face, tenant="t", task="talk", labels={"z", "a"})
        failed, answered = router.ledger.query()
        assert (failed.route, failed.outcome, failed.cost, failed.input_tokens) == ("a", "server_error", None, None)
        assert (answered.route, answered.outcome, answered.model, answered.provider) == (
            "b",
            "success",
            "b",
            "scripted",
        )
        assert (answered.input_tokens, answered.output_tokens, answered.cost) == (1000, 500, pytest.approx(0.002))
        assert failed.request_id == answered.request_id
        assert (answered.tenant, answered.task, answered.estimated) == ("t", "talk", False)
        assert failed.labels == answered.labels == ("a", "z")
        assert (failed.price_source, answered.price_source) == (None, "the route's own")
        assert answered.stream == (face in ("stream", "astream"))
        assert began <= failed.ended_at <= answered.ended_at <= time.time()
        router.ledger.close()

    def test_a_hit_has_one_that_costs_nothing(self, face, where):
        router = Router([scripted_route("a", USED, prices=PRICES)], ledger=where, cache="memory")
        for _ in range(3):
            ask(router, face)
        paid, *hits = router.ledger.query()
        assert [(hit.outcome, hit.cost, hit.input_tokens, hit.output_tokens) for hit in hits] == [
            ("cached", 0.0, 0, 0)
        ] * 2
        assert [hit.saved_cost for hit in hits] == [paid.cost] * 2
        assert [hit.price_source for hit in hits] == ["free"] * 2
        (total,) = router.ledger.totals()
        assert (total.requests, total.attempts, total.cached, total.saved_cost) == (3, 1, 2, pytest.approx(0.004))
        router.ledger.close()


@pytest.mark.parametrize("face", ["stream", "astream"])
def test_what_ended_in_the_middle_is_estimated_and_marked(face):
    router = Router([scripted_route("a", DropConnection(2), prices=PRICES)], ledger="memory")
    with pytest.raises(MultiRouteError):
        ask(router, face, "How do you do?" * 40)
    (record,) = router.ledger.query()
    assert (record.outcome, record.estimated) == ("broken_stream", True)
    assert record.input_tokens is not None
    assert record.output_tokens is not None
    assert 100 < record.input_tokens < 200
    assert 1 <= record.output_tokens <= 4
    assert record.cost is None
    assert record.charged == pytest.approx(record.input_tokens * 1e-6 + record.output_tokens * 2e-6)


def test_an_abandoned_stream_and_a_cancelled_call_have_one_each():
    router = Router([scripted_route("a", SlowAnswer(5.0, Answer(("one ", "two "), per_chunk=0.01)))], ledger="memory")
    stream = Router([scripted_route("a", Answer(("one ", "two ")))], ledger=router.ledger).stream("Hi")
    next(stream)
    stream.close()

    async def main():
        task = asyncio.create_task(router.agenerate("Hi"))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    assert [(r.outcome, r.estimated) for r in router.ledger.query()] == [("cancelled", True), ("cancelled", False)]


class TestAnswers:
    @pytest.fixture
    def ledger(self, where):
        ledger = Ledger(where)
        routes = [scripted_route("a", [USED, Fail(), USED], prices=PRICES), scripted_route("b", USED)]
        router = Router(routes, on_event=[ledger], max_retries=0)
        for tenant, labels in (("x", ()), ("y", {"team", "night"}), ("y", {"team"})):
            router.generate("Hi", tenant=tenant, labels=labels or None)
        yield ledger
        ledger.close()

    def test_queries(self, ledger):
        assert [r.route for r in ledger.query()] == ["a", "a", "b", "a"]
        assert [r.route for r in ledger.query(tenant="y", outcome="success")] == ["b", "a"]
        middle = ledger.query()[1].ended_at
        assert len(ledger.query(since=middle)) + len(ledger.query(until=middle)) == 4
        assert ledger.query(day="1970-01-01") == ledger.query(month="1970-01") == []
        assert [r.labels for r in ledger.query(label="night")] == [("night", "team")] * 2
        assert [r.labels for r in ledger.query(labels={"team"})] == [("team",)]
        assert [r.tenant for r in ledger.query(cost=None, stream=False)] == ["y", "y"]
        today = ledger.query()[0]
        assert ledger.query(day=today.day, month=today.month, route="a")[0] == today
        with pytest.raises(ConfigurationError, match="did you mean 'route'"):
            ledger.query(ruote="a")

    def test_totals(self, ledger):
        a, b = ledger.totals("route")
        assert (a.name, a.requests, a.attempts, a.failed, a.cost, a.unknown) == ("a", 3, 3, 1, pytest.approx(0.004), 0)
        assert (b.name, b.attempts, b.cost, b.unknown) == ("b", 1, 0.0, 1)
        assert {t.name: t.attempts for t in ledger.totals("tenant")} == {"x": 1, "y": 3}
        assert {t.name: (t.requests, t.attempts) for t in ledger.totals("label")} == {
            "–": (1, 1),
            "team": (2, 3),
            "night": (1, 2),
        }
        assert [t.name for t in ledger.totals("month")] == [ledger.query()[0].month]
        assert [t.attempts for t in ledger.totals("route", tenant="y")] == [2, 1]
        assert "1 unknown" in str(ledger.totals("route"))
        assert "<table" in ledger.totals("day")._repr_html_()
        with pytest.raises(ConfigurationError, match="did you mean 'model'"):
            ledger.totals("modle")

    def test_spending(self, ledger):
        assert ledger.spent(since=0) == Spent(about(0.004), 3 * 1500)
        assert ledger.spent(since=0, tenant="x") == Spent(about(0.002), 1500)
        assert ledger.spent(since=0, label="night") == Spent(0.0, 1500)
        assert ledger.spent(since=0, label="team", route="a") == Spent(about(0.002), 1500)
        assert ledger.spent(since=0, task="none") == ledger.spent(since=time.time() + 60) == Spent(0.0, 0)
        last = ledger.query()[-1].ended_at
        assert ledger.spent(since=0, until=last) + ledger.spent(since=last) == ledger.spent(since=0)

    @pytest.mark.parametrize(
        ("wrong", "sentence"),
        [
            ({"tenant": 5}, "tenant=5 is not valid; expected a str"),
            ({"day": "28.11.2026"}, "such as '2026-11-28'"),
            ({"month": 11}, "such as '2026-11'"),
            ({"label": ""}, "label='' is not valid; expected a non-empty string"),
            ({"since": "yesterday"}, "seconds since 1970"),
            ({"cost": "dear"}, "expected a float"),
        ],
    )
    def test_what_no_record_has_is_refused(self, ledger, wrong, sentence):
        with pytest.raises(ConfigurationError, match=re.escape(sentence)):
            ledger.query(**wrong)

    def test_frames(self, ledger):
        assert ledger.to_dicts()[0]["route"] == "a"
        frame = ledger.to_pandas(route="a")
        assert list(frame["outcome"]) == ["success", "server_error", "success"]
        assert frame["cost"].sum() == pytest.approx(0.004)
        assert str(frame["ended_at"].dtype).startswith("datetime64")


class TestKept:
    def test_memory_keeps_the_last_and_counts_what_it_gave_up(self):
        ledger = Ledger(MemoryStore(max_records=10))
        router = Router([scripted_route("a", Answer())], ledger=ledger)
        for _ in range(25):
            router.generate("Hi")
        assert (len(ledger.query()), ledger.dropped) == (10, 15)

    def test_a_file_is_written_by_itself_and_read_by_others(self, tmp_path):
        url = f"sqlite:///{tmp_path}/deep/ledger.db"
        router = Router([scripted_route("a", Answer())], ledger=url)
        router.generate("Hi")
        other = Ledger(url)
        eventually(other.query)
        assert len(other.query()) == 1
        assert os.stat(tmp_path / "deep" / "ledger.db").st_mode & 0o077 == 0
        router.ledger.close()
        other.close()

    def test_threads_lose_nothing(self, where):
        router = Router([scripted_route("a", USED)], ledger=where)
        threads = [
            threading.Thread(target=lambda: [router.generate("Hi") for _ in range(BATCH // 4)]) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(router.ledger.query()) == 2 * BATCH
        assert router.ledger.totals()[0].input_tokens == 2 * BATCH * 1000
        router.ledger.close()

    def test_a_forked_child_writes_its_own_and_nothing_of_its_parents(self, where):
        router = Router([scripted_route("a", Answer())], ledger=where)
        router.generate("Hi", tenant="before")
        router.ledger.flush()
        store: Any = router.ledger.store
        store.append = Mock(side_effect=OSError("not now"))
        router.generate("Hi", tenant="parent")
        child = multiprocessing.get_context("fork").Process(target=_child, args=(router,))
        child.start()
        child.join(60)
        assert child.exitcode == 0
        del store.append
        shared = [] if where == "memory" else ["child"]
        assert sorted(str(r.tenant) for r in router.ledger.query()) == ["before", *shared, "parent"]
        router.ledger.close()

    def test_where_the_file_cannot_be_written_records_wait_and_calls_go_on(self, tmp_path, caplog):
        url = f"sqlite:///{tmp_path}/ledger.db"
        router = Router([scripted_route("a", Answer())], ledger=url)
        blocker = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
        blocker.execute("BEGIN EXCLUSIVE")
        with caplog.at_level(logging.WARNING, "multiroute_core"):
            for _ in range(3):
                assert router.generate("Hi").text == "ok"
                router.ledger.flush()
        assert len(caplog.records) == 1
        assert "are queued" in caplog.text
        blocker.execute("ROLLBACK")
        blocker.close()
        assert len(router.ledger.query()) == 3
        assert router.ledger.dropped == 0
        router.ledger.close()

    def test_a_store_of_ones_own_that_fails_loses_nothing_until_there_is_too_much(self, monkeypatch, caplog):
        monkeypatch.setattr("multiroute_core.ledger.writer.WAITING", 10)
        store = _Stubborn()
        router = Router([scripted_route("a", Answer())], ledger=Ledger(store))
        for _ in range(25):
            router.generate("Hi")
        router.ledger.flush()
        assert router.ledger.dropped == 15
        assert sorted(record.message.split()[0] for record in caplog.records) == ["More", "The"], "each is told once"
        with pytest.raises(LedgerUnavailableError, match="cannot be read: not now"):
            router.ledger.query()
        with pytest.raises(LedgerUnavailableError, match="cannot be read: not now"):
            router.ledger.spent(since=0)
        store.well = True
        assert len(router.ledger.query()) == 10
        assert store.numbers == list(range(15, 25)), "those that are gone have had their numbers"
        router.generate("Hi")
        router.ledger.flush()
        assert store.numbers == list(range(15, 26))

    def test_a_store_that_does_not_come_back_makes_nobody_wait_and_no_memory_grow(self, monkeypatch):
        monkeypatch.setattr("multiroute_core.ledger.writer.WAITING", 300)
        store, gate = _Stubborn(), threading.Event()

        def append_later(records, first):
            assert gate.wait(60)
            MemoryStore.append(store, records, first)

        store.append = append_later
        router = Router([scripted_route("a", Answer())], ledger=Ledger(store))
        router.generate("Hi")
        eventually(lambda: router.ledger._writer._lock.locked())
        for _ in range(1_000):
            router.generate("Hi")
        assert len(router.ledger._writer._events) <= 300
        assert 690 <= router.ledger.dropped <= 701
        store.well = True
        gate.set()
        assert len(router.ledger.query()) + router.ledger.dropped == 1_001

    def test_what_is_lost_at_the_end_is_told(self):
        told = multiprocessing.get_context("fork").SimpleQueue()
        child = multiprocessing.get_context("fork").Process(target=_end_without_a_store, args=(told,))
        child.start()
        child.join(60)
        assert child.exitcode == 0
        assert "2 records of the ledger" in told.get()

    def test_the_end_of_the_program_writes_what_waits(self, tmp_path):
        url = f"sqlite:///{tmp_path}/ledger.db"
        child = multiprocessing.get_context("spawn").Process(target=_one_call, args=(url,))
        child.start()
        child.join(60)
        assert child.exitcode == 0
        ledger = Ledger(url)
        assert len(ledger.query()) == 1
        ledger.close()

    def test_so_does_a_process_that_multiprocessing_forked(self, tmp_path):
        url = f"sqlite:///{tmp_path}/ledger.db"
        child = multiprocessing.get_context("fork").Process(target=_one_call, args=(url,))
        child.start()
        child.join(60)
        assert child.exitcode == 0
        ledger = Ledger(url)
        assert len(ledger.query()) == 1
        ledger.close()

    def test_a_ledger_that_nobody_has_ends_its_thread(self, tmp_path):
        router = Router([scripted_route("a", Answer())], ledger=f"sqlite:///{tmp_path}/ledger.db")
        before = set(threading.enumerate())
        router.generate("Hi")
        (thread,) = set(threading.enumerate()) - before  # those of other tests may end meanwhile
        router.ledger.close()
        del router
        gc.collect()
        eventually(lambda: not thread.is_alive())

    def test_it_pickles_as_its_place(self, where):
        ledger = Ledger(where)
        again = pickle.loads(pickle.dumps(ledger))
        assert type(again.store) is type(ledger.store)
        assert repr(again) == repr(ledger)
        assert copy.copy(ledger) is copy.deepcopy(ledger) is ledger
        ledger.close()
        again.close()


def about(amount: float) -> Any:
    return pytest.approx(amount)


class _Stubborn(MemoryStore):
    """It can do nothing until it is well."""

    def __init__(self):
        super().__init__()
        self.quick, self.well, self.numbers = False, False, []

    def append(self, records, first):
        if not self.well:
            raise OSError("not now")
        self.numbers += range(first, first + len(records))
        super().append(records, first)

    def read(self, which):
        if not self.well:
            raise OSError("not now")
        return super().read(which)


def _child(router):
    router.generate("Hi", tenant="child")
    del router.ledger.store.append
    router.ledger.flush()


def _end_without_a_store(told):
    handler = logging.Handler()
    messages = []
    handler.emit = lambda record: messages.append(record.getMessage())
    logging.getLogger("multiroute_core").addHandler(handler)
    router = Router([scripted_route("a", Answer())], ledger=Ledger(_Stubborn()))
    router.generate("Hi")
    router.generate("Hi")
    writer._at_exit()
    told.put(messages[-1])


def _one_call(url):
    Router([scripted_route("a", Answer())], ledger=url).generate("Hi")


def test_a_real_wire_is_priced():
    with Fleet(answer(model="gpt-4.1", prompt=1000, completion=100), ledger="memory") as fleet:
        response = ask(fleet.router, "generate")
        (record,) = fleet.router.ledger.query()
        assert record.cost == response.cost > 0


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("memroy", "is not a valid ledger"),
        ("mysql://x", "'redis://host:6379/0'"),
        ("sqlite://x.db", "is not the URL of a file"),
        ("sqlite:///:memory:", "is not the URL of a file"),
        (5, "expected"),
    ],
)
def test_what_is_no_place_for_records_is_refused(given, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        Router([scripted_route("m", Answer())], ledger=given)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are read from /proc, which only Linux has")
def test_a_router_that_is_closed_has_closed_its_ledger_and_can_still_be_read(tmp_path):
    def is_open():
        links = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
        return str(path) in links

    path = tmp_path / "ledger.db"
    with Router([scripted_route("a", Answer("Hi."))], ledger=f"sqlite:///{path}") as router:
        router.generate("Hello")
        assert is_open()
    assert not is_open()
    assert len(router.ledger.query()) == 1
    assert router.report().total.attempts == 1
    assert not is_open()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are read from /proc, which only Linux has")
def test_a_router_that_cannot_be_built_leaves_no_file_open(tmp_path):
    (tmp_path / "cache.db").write_bytes(b"no database" * 1000)
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Router(
            [scripted_route("a", Answer("Hi."))],
            cache=f"sqlite:///{tmp_path}/cache.db",
            ledger=f"sqlite:///{tmp_path}/ledger.db",
        )
    links = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
    assert not [link for link in links if link.startswith(str(tmp_path))]
