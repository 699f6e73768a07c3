"""The ledger's records in an SQLite file, for one process or several."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from multiroute_core.cost.record import NAMES, Record
from multiroute_core.errors import ConfigurationError

APPLICATION, VERSION = 0x4D526C67, 1
"""What the file's header says: that it is a ledger, and of which form."""

WAITING = 50_000
"""How many records wait at most where the file cannot be written; of more, the oldest are given up, and counted."""

PATIENCE = 1.0
"""Seconds for which other processes that write are waited for."""

_KINDS = {"at": "REAL", "seconds": "REAL", "first_token_seconds": "REAL", "cost": "REAL", "saved_cost": "REAL"}
_TEXTS = ("request_id", "route", "provider", "model", "outcome", "tenant", "task")
_COLUMNS = ", ".join(f"{name} {_KINDS.get(name, 'TEXT' if name in _TEXTS else 'INTEGER')}" for name in NAMES)

logger = logging.getLogger("multiroute_core")


class SQLiteStore:
    """Keeps records in a file. Where that cannot be written, calls go on: records wait, and are written later.

    Args:
        url: `sqlite:///relative/path.db` or `sqlite:////absolute/path.db`. The file is made if it is not there; only
            its owner may read it.

    Attributes:
        dropped: How many records were given up, since they waited for too long.

    Raises:
        ConfigurationError: the URL names no file, or it cannot be used, or is another application's.
    """

    def __init__(self, url: str) -> None:
        path = url.removeprefix("sqlite:///")
        if path == url or not path or path.startswith(":"):
            raise ConfigurationError(
                f"{url!r:.200} names no file; give 'sqlite:///relative/path.db' or 'sqlite:////absolute/path.db'."
            )
        self.url, self.path, self.dropped, self.quick = url, Path(path), 0, False
        self._waiting: deque[Record] = deque()
        self._lock = threading.Lock()
        self._failing = False
        self._connection: tuple[int, sqlite3.Connection] | None = None
        try:
            self._open()
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(f"The ledger's file {path!r} cannot be used: {error}.") from error

    def append(self, records: Sequence[Record]) -> None:
        with self._lock:
            self._waiting.extend(records)
            over = len(self._waiting) - WAITING
            for _ in range(over):
                self._waiting.popleft()
                self.dropped += 1
            self._write()

    def read(self) -> Iterator[Record]:
        with self._lock:
            self._write()
            rows = self._open().execute(f"SELECT {', '.join(NAMES)} FROM records ORDER BY at, id").fetchall()  # noqa: S608
            waiting = tuple(self._waiting)
        yield from map(_record, rows)
        yield from waiting

    def close(self) -> None:
        with self._lock:
            self._write()
            if self._connection is not None and self._connection[0] == os.getpid():
                self._connection[1].close()
            self._connection = None

    def _write(self) -> None:
        if not self._waiting:
            return
        rows = [[getattr(record, name) for name in NAMES] for record in self._waiting]
        try:
            with self._open() as db:
                db.executemany(f"INSERT INTO records ({', '.join(NAMES)}) VALUES ({', '.join('?' * len(NAMES))})", rows)  # noqa: S608
        except (OSError, sqlite3.Error, ConfigurationError) as error:
            if not self._failing:
                logger.warning("The ledger's file %r cannot be written; its records wait: %s", str(self.path), error)
            self._failing = True
            return
        self._failing = False
        self._waiting.clear()

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._connection[0] == os.getpid():
            return self._connection[1]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.path.exists():
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        db = sqlite3.connect(self.path, timeout=PATIENCE, check_same_thread=False)
        try:
            self._prepare(db)
        except BaseException:
            db.close()
            raise
        self._connection = os.getpid(), db
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        application, version = (
            db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if (application, version) == (APPLICATION, VERSION):
            db.execute("PRAGMA synchronous = NORMAL")
            return
        if tables or application or version:
            raise ConfigurationError(
                f"The file {str(self.path)!r} is no ledger of this MultiRoute: it belongs to another application, or "
                "to a newer version. It is left as it is; give another path."
            )
        db.execute("PRAGMA journal_mode = WAL")
        with db:
            db.execute("BEGIN IMMEDIATE")
            db.execute(f"CREATE TABLE IF NOT EXISTS records (id INTEGER PRIMARY KEY, {_COLUMNS})")
            db.execute("CREATE INDEX IF NOT EXISTS records_by_time ON records (at)")
            db.execute(f"PRAGMA application_id = {APPLICATION}")
            db.execute(f"PRAGMA user_version = {VERSION}")


def _record(row: tuple[Any, ...]) -> Record:
    values = dict(zip(NAMES, row, strict=True))
    values["estimated"], values["stream"] = bool(values["estimated"]), bool(values["stream"])
    return Record(**values)
