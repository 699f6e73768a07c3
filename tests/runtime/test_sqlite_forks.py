"""Forks while SQLite is used: SQLite's own locks would stay locked in the child forever."""

import os
import signal
import sqlite3
import threading
import time
import traceback

import pytest

from multiroute_core import Router
from multiroute_core.cache.sqlite import SQLiteCache
from multiroute_core.cache.sqlite_file import Connection
from multiroute_core.ledger.query import LedgerQuery
from multiroute_core.ledger.record import Record
from multiroute_core.ledger.segments import SegmentBuilder
from multiroute_core.ledger.sqlite import SQLiteStore
from multiroute_core.ledger.sqlite_file import ROWS
from multiroute_core.ledger.sqlite_selection import SQLiteSelection
from multiroute_core.runtime import sqlite_forks
from multiroute_core.testing import Answer, scripted_route

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

ALL = LedgerQuery.of(None, None, {})


def record(number: int) -> Record:
    return Record(
        ended_at=float(number), request_id=str(number), route="a", provider="openai", model="m", outcome="success",
        seconds=1.0,
    )  # fmt: skip


def in_child(work) -> int:
    """The exit code of a forked child: 0 if `work` returns true."""
    pid = os.fork()
    if not pid:
        signal.alarm(20)
        code = 3
        try:
            code = 0 if work() else 1
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Pause:
    """Wraps a method: the first call waits until a fork was asked for, and for a moment more."""

    def __init__(self, monkeypatch, owner: type, method: str) -> None:
        self.inside = False
        self.began, self.forking = threading.Event(), threading.Event()
        original = getattr(owner, method)

        def call(*arguments, **options):
            if not self.began.is_set():
                self.inside = True
                self.began.set()
                self.forking.wait(20)
                time.sleep(0.3)
                self.inside = False
            return original(*arguments, **options)

        monkeypatch.setattr(owner, method, call)

    def fork_while(self, work, child) -> int:
        """Forks while another thread is in the method; 1 if it was still there."""
        thread = threading.Thread(target=work)
        thread.start()
        assert self.began.wait(20)
        self.forking.set()
        code = in_child(lambda: not self.inside and child())
        thread.join(20)
        return code


def test_a_fork_waits_for_a_thread_that_writes_the_ledger(tmp_path, monkeypatch):
    store = SQLiteStore(f"sqlite:///{tmp_path}/ledger.db")
    pause = Pause(monkeypatch, SegmentBuilder, "build")

    def check_child() -> bool:
        store.forked()
        store.append([record(2)], 0)
        return len(list(store.read(ALL))) == 2

    assert pause.fork_while(lambda: store.append([record(1)], 0), check_child) == 0
    store.append([record(3)], 1)
    assert [row.request_id for row in store.read(ALL)] == ["1", "2", "3"]
    store.close()


def test_a_fork_waits_for_a_thread_that_sums_up_the_ledger(tmp_path, monkeypatch):
    store = SQLiteStore(f"sqlite:///{tmp_path}/ledger.db")
    store.append([record(1)], 0)
    pause = Pause(monkeypatch, SQLiteSelection, "_summarize")
    summarize = lambda: store.select(ALL, []).summarize("model")  # noqa: E731
    assert pause.fork_while(summarize, summarize) == 0
    store.close()


def test_a_fork_waits_for_a_thread_that_uses_the_cache(tmp_path, monkeypatch):
    router = Router([scripted_route("a", Answer())], cache=SQLiteCache(tmp_path / "cache.db"))
    pause = Pause(monkeypatch, Connection, "read")
    assert pause.fork_while(lambda: router.generate("Hi"), lambda: router.generate("Hi").text == "ok") == 0


def test_a_fork_closes_the_connections_and_the_parent_goes_on(tmp_path):
    store = SQLiteStore(f"sqlite:///{tmp_path}/ledger.db")
    store.append([record(1)], 0)
    assert store._file._connection is not None
    assert in_child(lambda: all(getattr(c, "_connection", None) is None for c in sqlite_forks.list_connections())) == 0
    assert store._file._connection is None
    store.append([record(2)], 1)
    assert len(list(store.read(ALL))) == 2
    store.close()


def test_records_that_are_half_read_are_told_in_both_processes(tmp_path):
    store = SQLiteStore(f"sqlite:///{tmp_path}/ledger.db")
    count = 2 * ROWS + 7
    store.append([record(number) for number in range(count)], 0)
    rows = store.read(ALL)
    first = [next(rows).request_id for _ in range(3)]
    expected = [str(number) for number in range(count)]
    assert in_child(lambda: first + [row.request_id for row in rows] == expected) == 0
    store.append([record(count)], count)  # not in the rows: they are as they were when the read began
    assert first + [row.request_id for row in rows] == expected
    store.close()


def test_a_summary_that_fails_does_not_hold_forks(tmp_path):
    store = SQLiteStore(f"sqlite:///{tmp_path}/ledger.db")
    (tmp_path / "ledger.db").unlink()
    with pytest.raises(sqlite3.Error) as caught:  # whose traceback keeps the selection alive
        store.select(ALL, [])
    selections = [item for item in sqlite_forks.list_connections() if isinstance(item, SQLiteSelection)]
    assert caught.value.__traceback__
    assert [selection.lock.locked() for selection in selections] == [False]
    store.close()


def test_a_fork_does_not_wait_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite_forks, "PATIENCE_SECONDS", 0.05)
    store = SQLiteStore(f"sqlite:///{tmp_path}/ledger.db")
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with store._file.lock:
            held.set()
            over.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(20)

    def check_child() -> bool:
        store.forked()
        store.append([record(1)], 0)
        return True

    assert in_child(check_child) == 0
    over.set()
    thread.join(20)
    assert len(list(store.read(ALL))) == 1
    store.close()


def test_connections_that_are_gone_are_not_kept(tmp_path):
    store = SQLiteStore(f"sqlite:///{tmp_path}/ledger.db")
    before = len(sqlite_forks._connections)
    for _ in range(20):
        assert list(store.read(ALL)) == []
        store.select(ALL, []).summarize("model")
    assert len(sqlite_forks._connections) <= before + 2
    store.close()
