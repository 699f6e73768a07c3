"""The ledger: one record of every try and every hit, wherever it is kept, whatever becomes of the call."""

import asyncio
import gc
import logging
import multiprocessing
import os
import pickle
import sqlite3
import threading
import time

import pytest

from multiroute_core import ConfigurationError, Ledger, MultiRouteError, Router, Usage
from multiroute_core.cost.ledger import BATCH, MemoryStore
from multiroute_core.cost.ledger_file import SQLiteStore
from multiroute_core.testing import Answer, Cut, Fail, scripted_route, slow
from tests.chat_server import FACES, Fleet, answer, ask

PRICES = {"input": 1.0, "output": 2.0}
USED = Answer("Hello.", usage=Usage(input_tokens=1000, output_tokens=500))
EVERY = pytest.mark.parametrize("face", FACES)


@pytest.fixture(params=["memory", "sqlite"])
def where(request, tmp_path):
    """Where records are kept."""
    return "memory" if request.param == "memory" else f"sqlite:///{tmp_path}/ledger.db"


@EVERY
class TestRecords:
    def test_every_try_has_one(self, face, where):
        routes = [scripted_route("a", Fail(), prices=PRICES), scripted_route("b", USED, prices=PRICES)]
        router = Router(routes, ledger=where)
        began = time.time()
        ask(router, face, tenant="t", task="talk")
        failed, answered = router.ledger.query()
        assert (failed.route, failed.outcome, failed.cost, failed.input_tokens) == ("a", "server_error", None, None)
        assert (answered.route, answered.outcome, answered.model, answered.provider) == (
            "b",
            "answered",
            "b",
            "scripted",
        )
        assert (answered.input_tokens, answered.output_tokens, answered.cost) == (1000, 500, pytest.approx(0.002))
        assert failed.request_id == answered.request_id
        assert (answered.tenant, answered.task, answered.estimated) == ("t", "talk", False)
        assert answered.stream == (face in ("stream", "astream"))
        assert began <= failed.at <= answered.at <= time.time()
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
        (total,) = router.ledger.totals()
        assert (total.requests, total.attempts, total.cached, total.saved_cost) == (3, 1, 2, pytest.approx(0.004))
        router.ledger.close()


@pytest.mark.parametrize("face", ["stream", "astream"])
def test_what_ended_in_the_middle_is_estimated_and_marked(face):
    router = Router([scripted_route("a", Cut(2), prices=PRICES)], ledger="memory")
    with pytest.raises(MultiRouteError):
        ask(router, face, "How do you do?" * 40)
    (record,) = router.ledger.query()
    assert (record.outcome, record.estimated) == ("broken_stream", True)
    assert 100 < record.input_tokens < 200
    assert 1 <= record.output_tokens <= 4
    assert record.cost == pytest.approx(record.input_tokens * 1e-6 + record.output_tokens * 2e-6)


def test_an_abandoned_stream_and_a_cancelled_call_have_one_each():
    router = Router([scripted_route("a", slow(5.0, Answer(("one ", "two "), per_chunk=0.01)))], ledger="memory")
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
        for tenant in ("x", "y", "y"):
            router.generate("Hi", tenant=tenant)
        yield ledger
        ledger.close()

    def test_queries(self, ledger):
        assert [r.route for r in ledger.query()] == ["a", "a", "b", "a"]
        assert [r.route for r in ledger.query(tenant="y", outcome="answered")] == ["b", "a"]
        middle = ledger.query()[1].at
        assert len(ledger.query(since=middle)) + len(ledger.query(until=middle)) == 4
        assert ledger.query(day="1970-01-01") == []
        with pytest.raises(ConfigurationError, match="did you mean 'route'"):
            ledger.query(ruote="a")

    def test_totals(self, ledger):
        a, b = ledger.totals("route")
        assert (a.name, a.requests, a.attempts, a.failed, a.cost, a.unknown) == ("a", 3, 3, 1, pytest.approx(0.004), 0)
        assert (b.name, b.attempts, b.cost, b.unknown) == ("b", 1, 0.0, 1)
        assert {t.name: t.attempts for t in ledger.totals("tenant")} == {"x": 1, "y": 3}
        assert "1 unknown" in str(ledger.totals("route"))
        assert "<table>" in ledger.totals("day")._repr_html_()
        with pytest.raises(ConfigurationError, match="did you mean 'model'"):
            ledger.totals("modle")

    def test_frames(self, ledger):
        assert ledger.to_dicts()[0]["route"] == "a"
        frame = ledger.to_pandas(route="a")
        assert list(frame["outcome"]) == ["answered", "server_error", "answered"]
        assert frame["cost"].sum() == pytest.approx(0.004)
        assert str(frame["at"].dtype).startswith("datetime64")


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
        until = time.monotonic() + 20
        while not other.query() and time.monotonic() < until:
            time.sleep(0.05)
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
        assert "wait" in caplog.text
        blocker.execute("ROLLBACK")
        blocker.close()
        assert len(router.ledger.query()) == 3
        assert router.ledger.dropped == 0
        router.ledger.close()

    def test_the_end_of_the_program_writes_what_waits(self, tmp_path):
        url = f"sqlite:///{tmp_path}/ledger.db"
        child = multiprocessing.get_context("spawn").Process(target=_one_call, args=(url,))
        child.start()
        child.join(60)
        assert child.exitcode == 0
        ledger = Ledger(url)
        assert len(ledger.query()) == 1
        ledger.close()

    def test_a_ledger_that_nobody_has_ends_its_thread(self, tmp_path):
        router = Router([scripted_route("a", Answer())], ledger=f"sqlite:///{tmp_path}/ledger.db")
        before = threading.active_count()
        router.generate("Hi")
        assert threading.active_count() == before + 1
        router.ledger.close()
        del router
        gc.collect()
        until = time.monotonic() + 20
        while threading.active_count() > before and time.monotonic() < until:
            time.sleep(0.05)
        assert threading.active_count() == before

    def test_it_pickles_as_its_place(self, where):
        ledger = Ledger(where)
        again = pickle.loads(pickle.dumps(ledger))
        assert type(again.store) is type(ledger.store)
        ledger.close()
        again.close()


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
        ("memroy", "no place"),
        ("sqlite://x.db", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        (5, "must be"),
    ],
)
def test_what_is_no_place_for_records_is_refused(given, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        Router([scripted_route("m", Answer())], ledger=given)


@pytest.mark.parametrize("content", [b"not a database, but long enough to look like one" * 50, b""])
def test_a_file_that_is_none_of_ours_is_left_as_it_is(tmp_path, content):
    path = tmp_path / "x.db"
    if content:
        path.write_bytes(content)
    else:
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE theirs (a)")
        other.commit()
        other.close()
        content = path.read_bytes()
    with pytest.raises(ConfigurationError, match="x.db"):
        SQLiteStore(f"sqlite:///{path}")
    assert path.read_bytes() == content
