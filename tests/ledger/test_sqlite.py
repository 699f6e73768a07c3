"""The ledger's file: its forms, whose it is, several processes, a full disk."""

import contextlib
import dataclasses
import logging
import multiprocessing
import os
import resource
import sqlite3
import time
from typing import Any

import pytest

from multiroute_core import ConfigurationError, Ledger, Router
from multiroute_core.ledger.aggregate import Spent
from multiroute_core.ledger.query import LedgerQuery
from multiroute_core.ledger.record import Record
from multiroute_core.ledger.sqlite import _SPENT, SQLiteStore
from multiroute_core.ledger.sqlite_file import APPLICATION, VERSION
from multiroute_core.ledger.sqlite_rows import build_where
from multiroute_core.testing import Answer, scripted_route
from tests.redis_servers import eventually

FORK = multiprocessing.get_context("fork")
ALL = LedgerQuery()

FORM_1 = """
CREATE TABLE records (id INTEGER PRIMARY KEY, at REAL, request_id TEXT, route TEXT, provider TEXT, model TEXT,
    outcome TEXT, seconds REAL, first_token_seconds REAL, input_tokens INTEGER, output_tokens INTEGER,
    cache_read_tokens INTEGER, cache_write_tokens INTEGER, reasoning_tokens INTEGER, cost REAL, estimated INTEGER,
    saved_cost REAL, stream INTEGER, tenant TEXT, task TEXT);
CREATE INDEX records_by_time ON records (at);
INSERT INTO records (at, request_id, route, provider, model, outcome, seconds, input_tokens, output_tokens, cost,
    estimated, stream, tenant) VALUES (1000.5, 'r-1', 'a', 'openai', 'gpt-4.1', 'success', 0.25, 10, 5, 0.5, 0, 1, 't');
"""
OLD = Record(1000.5, "r-1", "a", "openai", "gpt-4.1", "success", 0.25, None, 10, 5, cost=0.5, stream=True, tenant="t")
NEW = dataclasses.replace(OLD, ended_at=2000.0, labels=("x", "y"), price_source="free")


def of_form_1(path, records=1):
    """A file as the first MultiRoute that had a ledger made it."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(FORM_1)
        db.executemany(
            "INSERT INTO records (at, request_id, route, provider, model, outcome, seconds, cost, estimated, stream) "
            "SELECT ?, request_id, route, provider, model, outcome, seconds, 0.5, estimated, stream FROM records "
            "WHERE id = 1",
            [(1001.0 + number,) for number in range(records - 1)],
        )
        db.execute(f"PRAGMA application_id = {0x4D526C67}")
        db.execute("PRAGMA user_version = 1")
        db.commit()
    return f"sqlite:///{path}"


class TestForms:
    def test_a_file_of_form_1_is_brought_up_in_place(self, tmp_path):
        url = of_form_1(tmp_path / "l.db")
        store = SQLiteStore(url)
        assert list(store.read(ALL)) == [OLD]
        store.append([NEW], 0)
        assert list(store.read(ALL)) == [OLD, NEW]
        assert store.read_spending(ALL) == Spent(1.0, 30)
        store.close()
        with contextlib.closing(sqlite3.connect(tmp_path / "l.db")) as db:
            assert db.execute("PRAGMA user_version").fetchone() == (VERSION,) == (5,)
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            indexes = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'index'")]
            assert indexes == ["records_charged"]
        again = SQLiteStore(url)
        assert list(again.read(ALL)) == [OLD, NEW], "a second time there is nothing to be done"
        again.close()

    def test_estimates_of_form_2_still_count(self, tmp_path):
        """Form 2 kept what was charged under `cost`."""
        SQLiteStore(f"sqlite:///{tmp_path}/l.db").close()
        with contextlib.closing(sqlite3.connect(tmp_path / "l.db")) as db:
            db.executescript(
                "DROP INDEX records_charged; ALTER TABLE records DROP COLUMN charged; PRAGMA user_version = 2;"
                "ALTER TABLE records RENAME COLUMN ended_at TO at;"
                "ALTER TABLE records RENAME COLUMN price_source TO price;"
                "INSERT INTO records (at, request_id, route, provider, model, outcome, seconds, cost, estimated, stream)"
                " VALUES (1.0, 'r', 'a', 'p', 'm', 'cancelled', 1.0, 0.25, 1, 1)"
            )
            db.commit()
        store = SQLiteStore(f"sqlite:///{tmp_path}/l.db")
        store.append([dataclasses.replace(NEW, cost=None, charged=0.5, estimated=True)], 0)
        assert store.read_spending(ALL).usd == 0.75
        assert [(record.cost, record.charged) for record in store.read(ALL)] == [(0.25, None), (None, 0.5)]
        store.close()

    def test_it_has_the_columns_of_a_new_file(self, tmp_path):
        def columns(path):
            with contextlib.closing(sqlite3.connect(path)) as db:
                return [row[1:] for row in db.execute("PRAGMA table_info(records)")]

        SQLiteStore(of_form_1(tmp_path / "old.db")).close()
        SQLiteStore(f"sqlite:///{tmp_path}/new.db").close()
        assert columns(tmp_path / "old.db") == columns(tmp_path / "new.db")

    def test_a_file_of_version_3_is_migrated(self, tmp_path):
        store = SQLiteStore(f"sqlite:///{tmp_path}/l.db")
        store.append([NEW], 0)
        store.close()
        with contextlib.closing(sqlite3.connect(tmp_path / "l.db")) as db:
            db.executescript(
                "ALTER TABLE records RENAME COLUMN ended_at TO at;"
                "ALTER TABLE records RENAME COLUMN price_source TO price; PRAGMA user_version = 3;"
            )
        store = SQLiteStore(f"sqlite:///{tmp_path}/l.db")
        assert list(store.read(ALL)) == [NEW]
        assert store.read_spending(LedgerQuery.of(1999.0, 2001.0, {})).usd == 0.5
        store.close()

    def test_processes_that_open_it_at_once_bring_it_up_once(self, tmp_path):
        url = of_form_1(tmp_path / "l.db", 20_000)
        children = [FORK.Process(target=_append, args=(url,)) for _ in range(4)]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
        assert [child.exitcode for child in children] == [0] * 4
        store = SQLiteStore(url)
        assert len(list(store.read(ALL))) == 20_004
        store.close()

    def test_processes_that_make_it_at_once_make_one(self, tmp_path):
        url = f"sqlite:///{tmp_path}/deep/er/l.db"
        children = [FORK.Process(target=_append, args=(url,)) for _ in range(4)]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
        assert [child.exitcode for child in children] == [0] * 4
        store = SQLiteStore(url)
        assert list(store.read(ALL)) == [NEW] * 4
        store.close()

    def test_one_that_cannot_be_brought_up_stays_as_it_was(self, tmp_path):
        """The disk is full in the middle of it."""
        url = of_form_1(tmp_path / "l.db", 5_000)
        child = FORK.Process(target=_open_on_a_full_disk, args=(url, 64 * 1024))
        child.start()
        child.join(60)
        assert child.exitcode == 0
        with contextlib.closing(sqlite3.connect(tmp_path / "l.db")) as db:
            assert db.execute("PRAGMA user_version").fetchone() == (1,)
            assert len(db.execute("PRAGMA table_info(records)").fetchall()) == 20
        store = SQLiteStore(url)
        assert len(list(store.read(ALL))) == 5_000
        store.close()

    def test_a_newer_form_is_refused_and_left_as_it_is(self, tmp_path):
        path = tmp_path / "l.db"
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute(f"PRAGMA application_id = {APPLICATION}")
            db.execute(f"PRAGMA user_version = {VERSION + 1}")
            db.commit()
        content = path.read_bytes()
        with pytest.raises(ConfigurationError, match="has schema version 6; this MultiRoute supports versions up to 5"):
            Router([scripted_route("a", Answer())], ledger=f"sqlite:///{path}")
        assert path.read_bytes() == content

    @pytest.mark.parametrize("content", [b"not a database, but long enough to look like one" * 50, b""])
    def test_a_file_that_is_none_of_ours_is_left_as_it_is(self, tmp_path, content):
        path = tmp_path / "x.db"
        if content:
            path.write_bytes(content)
        else:
            with contextlib.closing(sqlite3.connect(path)) as other:
                other.execute("CREATE TABLE theirs (a)")
                other.commit()
            content = path.read_bytes()
        with pytest.raises(ConfigurationError, match="x.db"):
            SQLiteStore(f"sqlite:///{path}")
        assert path.read_bytes() == content


def _append(url):
    store = SQLiteStore(url)
    store.append([NEW], 0)
    store.close()


def _open_on_a_full_disk(url, size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    with pytest.raises(ConfigurationError, match="cannot be used"):
        SQLiteStore(url)


class TestPaths:
    def test_a_relative_path_and_a_home_stay_where_they_were(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.chdir(tmp_path)
        stores = [SQLiteStore("sqlite:///here.db"), SQLiteStore("sqlite:///~/there.db")]
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        for store in stores:
            store.append([NEW], 0)
            assert store.url == f"sqlite:///{store.path}"
            store.close()
        assert {path.name for path in tmp_path.iterdir()} == {"here.db", "there.db", "elsewhere"}

    def test_a_path_of_strange_characters(self, tmp_path):
        store = SQLiteStore(f"sqlite:///{tmp_path}/a %41 #ü.db")
        store.append([NEW], 0)
        assert list(store.read(ALL)) == [NEW]
        assert (tmp_path / "a %41 #ü.db").exists()
        store.close()

    def test_a_file_that_is_deleted_is_begun_anew(self, tmp_path):
        store = SQLiteStore(f"sqlite:///{tmp_path}/l.db")
        store.append([OLD], 0)
        for path in tmp_path.iterdir():
            path.unlink()
        with pytest.raises(sqlite3.OperationalError):
            store.read(ALL)
        assert list(tmp_path.iterdir()) == [], "who only reads makes no file"
        store.append([NEW], 1)
        assert list(store.read(ALL)) == [NEW]
        store.close()


class TestReading:
    def test_who_reads_sees_what_was_there_when_he_began(self, tmp_path):
        store = SQLiteStore(f"sqlite:///{tmp_path}/l.db")
        store.append([OLD] * 2000, 0)
        reading = store.read(ALL)
        assert next(reading) == OLD
        store.append([NEW] * 2000, 2000)
        assert len(list(reading)) == 1999
        assert len(list(store.read(ALL))) == 4000
        store.close()

    def test_spending_is_read_from_the_index_alone(self, tmp_path):
        store = SQLiteStore(f"sqlite:///{tmp_path}/l.db")
        for given in ({}, {"tenant": "t"}, {"route": "a", "task": "x", "label": "y"}):
            where, bound = build_where(LedgerQuery.of(5.0, 9.0, given))
            with contextlib.closing(sqlite3.connect(store.path)) as db:
                plan = db.execute(f"EXPLAIN QUERY PLAN {_SPENT}{where}", bound).fetchall()
            assert [row[3] for row in plan] == [
                "SEARCH records USING COVERING INDEX records_charged (ended_at>? AND ended_at<?)"
            ]
        store.close()

    def test_a_large_ledger_tells_quickly_what_was_spent(self, tmp_path):
        """A million takes twenty times as long as these."""
        store = SQLiteStore(f"sqlite:///{tmp_path}/l.db")
        many = [
            dataclasses.replace(NEW, ended_at=float(number), labels=(f"l{number % 10}",)) for number in range(50_000)
        ]
        store.append(many, 0)
        began = time.perf_counter()
        assert store.read_spending(LedgerQuery.of(0.0, None, {})) == Spent(25_000.0, 750_000)
        assert store.read_spending(LedgerQuery.of(0.0, None, {"label": "l3"})) == Spent(2_500.0, 75_000)
        assert store.read_spending(LedgerQuery.of(49_990.0, None, {})) == Spent(5.0, 150)
        assert time.perf_counter() - began < 30.0
        store.close()


class TestFullDisk:
    def test_a_full_database_makes_records_wait_and_calls_go_on(self, tmp_path, monkeypatch, caplog):
        router = Router([scripted_route("a", Answer())], ledger=f"sqlite:///{tmp_path}/l.db")
        router.generate("Hi")
        router.ledger.flush()
        store: Any = router.ledger.store
        db = store._file.open()
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
        with caplog.at_level(logging.WARNING, "multiroute_core"):
            for _ in range(200):
                assert router.generate("Hi").text == "ok"
            router.ledger.flush()
            router.ledger.flush()
            assert [record.message.partition("are queued: ")[2] for record in caplog.records] == [
                "database or disk is full"
            ]
            assert len(router.ledger.query()) == 201, "those that wait can be seen"
            monkeypatch.setattr("multiroute_core.ledger.writer.WAITING", 150)
            router.generate("Hi")
            router.ledger.flush()
            router.ledger.flush()
        assert router.ledger.dropped == 51
        assert [record.message.split()[0] for record in caplog.records] == ["The", "More"]
        db.execute("PRAGMA max_page_count = 1000000")
        assert len(router.ledger.query()) == 151
        assert "is written again; 150 queued records were written" in caplog.text
        router.ledger.close()
        with contextlib.closing(sqlite3.connect(tmp_path / "l.db")) as db:
            assert db.execute("SELECT count(*) FROM records").fetchone() == (151,)

    def test_a_system_that_refuses_to_write(self, tmp_path):
        told = FORK.SimpleQueue()
        child = FORK.Process(target=_write_on_a_full_disk, args=(f"sqlite:///{tmp_path}/l.db", told))
        child.start()
        child.join(60)
        assert child.exitcode == 0
        waiting, warnings, dropped = told.get()
        assert (waiting, dropped) == (3_001, 0)
        assert warnings[0].startswith("The ledger ")
        assert len(warnings) == 2
        assert "is written again" in warnings[1]
        ledger = Ledger(f"sqlite:///{tmp_path}/l.db")
        assert len(ledger.query()) == 3_001
        ledger.close()


def _write_on_a_full_disk(url, told):
    handler, warnings = logging.Handler(), []
    handler.emit = lambda record: warnings.append(record.getMessage())
    logging.getLogger("multiroute_core").addHandler(handler)
    router = Router([scripted_route("a", Answer())], ledger=url)
    router.generate("Hi")
    router.ledger.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, resource.RLIM_INFINITY))
    for _ in range(3_000):
        assert router.generate("Hi").text == "ok"
    router.ledger.flush()
    waiting = len(router.ledger.query())
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    router.ledger.flush()
    told.put((waiting, warnings, router.ledger.dropped))
    router.ledger.close()


def test_several_processes_write_one_file(tmp_path):
    url = f"sqlite:///{tmp_path}/l.db"
    children = [FORK.Process(target=_ask_often, args=(url,)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0] * 3
    ledger = Ledger(url)
    assert len({(r.request_id, r.ended_at) for r in ledger.query()}) == 3 * 700
    ledger.close()


def _ask_often(url):
    router = Router([scripted_route("a", Answer())], ledger=url)
    for _ in range(700):
        router.generate("Hi")


def test_a_killed_process_leaves_what_it_had_written(tmp_path):
    url = f"sqlite:///{tmp_path}/l.db"
    child = FORK.Process(target=_ask_and_wait, args=(url,))
    child.start()
    ledger = Ledger(url)
    eventually(lambda: len(ledger.query()) == 50, 60.0)
    child.kill()
    child.join(60)
    assert len(ledger.query()) == 50
    ledger.close()


def _ask_and_wait(url):
    router = Router([scripted_route("a", Answer())], ledger=url)
    for _ in range(50):
        router.generate("Hi")
    time.sleep(600)


def test_only_its_owner_may_read_it(tmp_path):
    store = SQLiteStore(f"sqlite:///{tmp_path}/l.db")
    store.append([NEW], 0)
    assert {os.stat(path).st_mode & 0o077 for path in tmp_path.iterdir()} == {0}
    store.close()


def test_a_file_of_version_4_gets_a_column_for_prompt_cache_savings(tmp_path):
    path = tmp_path / "ledger.db"
    ledger = Ledger(f"sqlite:///{path}")
    with Router(scripted_route("a", Answer("Hello")), ledger=ledger) as router:
        router.generate("Hi")
    ledger.close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("ALTER TABLE records DROP COLUMN prompt_cache_saving")
        db.execute("PRAGMA user_version = 4")
        db.commit()
    ledger = Ledger(f"sqlite:///{path}")
    assert [record.prompt_cache_saving for record in ledger.query()] == [None]
    assert ledger.totals("route")[0].prompt_cache_saving == 0.0
    ledger.close()
