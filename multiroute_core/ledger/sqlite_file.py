"""The file of an SQLite ledger: its schema, and the connections to it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from multiroute_core.errors import ConfigurationError
from multiroute_core.ledger import segments
from multiroute_core.ledger.record import KINDS, NAMES
from multiroute_core.runtime.sqlite_forks import close_at_fork, opening

APPLICATION = 0x4D526C67
VERSION = 5
"""The application id and schema version in the file's header.

Version 1 had no `labels` and no `price`; version 2 had no `charged`, and stored estimates under `cost`; version 3 had
`at` and `price` for `ended_at` and `price_source`; version 4 had no `prompt_cache_saving`.
"""

PATIENCE = 1.0
"""Seconds to wait for other processes that write."""

OPENING = 30.0
"""Seconds to wait for another process that migrates a large file."""

_SQL = {str: "TEXT", tuple: "TEXT", float: "REAL", int: "INTEGER", bool: "INTEGER"}
_COLUMNS = {name: _SQL[KINDS[name]] for name in NAMES}

# The index covers all columns of the spending query, so that the table itself is not read.
_INDEX = """CREATE INDEX IF NOT EXISTS records_charged ON records
    (ended_at, charged, cost, input_tokens, output_tokens, tenant, route, task, labels)"""

_RENAMED = {"at": "ended_at", "price": "price_source"}
"""Columns that had other names in older versions."""

ROWS = 1_000
"""Number of rows that are fetched at once."""


class LedgerFile:
    """The connection for writes.

    Args:
        path: The file; it is created, or migrated, when it is opened.

    Attributes:
        lock: Must be held while the connection is used.
        segments: Builds the summaries of the file's records.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.RLock()
        self.segments = segments.SegmentBuilder()
        self._connection: sqlite3.Connection | None = None
        self._inherited: list[sqlite3.Connection] = []
        self._file: tuple[int, int] | None = None
        close_at_fork(self)

    def open(self) -> sqlite3.Connection:
        """Returns the connection for writes; opens it if it is closed or the file was deleted.

        Raises:
            sqlite3.Error: if the file cannot be used.
            OSError: if it cannot be created.
            ConfigurationError: if it belongs to another application, or has a newer schema.
        """
        if self._connection is not None and self._file != self._identity():
            self._connection.close()  # the file was deleted; start a new one
            self._connection = None
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            db = connect(self.path)
            try:
                self._prepare(db)
            except BaseException:
                db.close()
                raise
            self._connection = db
            if self._file != (identity := self._identity()):
                self._file, self.segments = identity, segments.SegmentBuilder()
        return self._connection

    def _identity(self) -> tuple[int, int] | None:
        """Returns the device and inode of the file; None if it does not exist."""
        with contextlib.suppress(OSError):
            file_stat = self.path.stat()
            return file_stat.st_dev, file_stat.st_ino
        return None

    def _prepare(self, db: sqlite3.Connection) -> None:
        """Ensures that the file is a ledger with the current schema."""
        until = time.monotonic() + OPENING
        while (version := self._read_version(db)) != VERSION or not segments.has_segments(db):
            try:
                if not version:
                    db.execute("PRAGMA journal_mode = WAL")
                with db:
                    db.execute("BEGIN IMMEDIATE")
                    self._migrate(db, self._read_version(db))  # another process may have been faster
            except sqlite3.OperationalError as error:  # SQLite does not wait if two processes create the file at once
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                    raise
                time.sleep(0.01)
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000:.0f}")

    def _read_version(self, db: sqlite3.Connection) -> int:
        """Returns the schema version of the file; 0 if it is empty."""
        outer = db.in_transaction
        if not outer:
            db.execute("BEGIN")  # read all in one transaction: another process may be creating the schema
        whose, version = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
        tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not outer:
            db.rollback()
        if whose != APPLICATION and (whose or version or tables):
            raise ConfigurationError(
                f"The file {str(self.path)!r} is not a ledger: it belongs to another application. It was not changed; "
                "give another path."
            )
        if version > VERSION:
            raise ConfigurationError(
                f"The ledger {str(self.path)!r} has schema version {version}; this MultiRoute supports versions up "
                f"to {VERSION}. It was not changed; give another path, or use a newer MultiRoute."
            )
        return version

    def _migrate(self, db: sqlite3.Connection, version: int) -> None:
        columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
        db.execute(f"CREATE TABLE IF NOT EXISTS records (id INTEGER PRIMARY KEY, {columns})")
        if 0 < version < VERSION:
            for old, new in _RENAMED.items():
                if old in _read_columns(db):
                    db.execute(f"ALTER TABLE records RENAME COLUMN {old} TO {new}")
            existing = _read_columns(db)
            for name in NAMES:
                if name not in existing:
                    db.execute(f"ALTER TABLE records ADD COLUMN {name} {_COLUMNS[name]}")
            db.execute("DROP INDEX IF EXISTS records_by_time")
            db.execute("DROP INDEX IF EXISTS records_spent")
        db.execute(_INDEX)
        segments.create_tables(db)
        db.execute(f"PRAGMA application_id = {APPLICATION}")
        db.execute(f"PRAGMA user_version = {VERSION}")

    def close(self) -> None:
        """Closes the connection, if it is open."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def forked(self) -> None:
        """Drops what a fork that did not wait any longer left to the child."""
        if self._connection is not None:
            self._inherited.append(self._connection)  # closing it here would affect the parent
        self._connection = None
        self.lock = threading.RLock()


class RowReader:
    """The rows of a query, as they are when it is created; iterates once.

    A fork reads the rows that are left into memory, for both processes.

    Args:
        path: The file.
        sql: The query.
        parameters: Its parameters.

    Raises:
        sqlite3.Error: if the file cannot be read.
    """

    def __init__(self, path: Path, sql: str, parameters: Sequence[Any]) -> None:
        self.lock = threading.RLock()
        self._rest: list[tuple[Any, ...]] | None = None
        with self.lock:
            close_at_fork(self)
            self._db = connect(path)
            try:
                self._cursor = self._db.execute(sql, parameters)
            except BaseException:
                self._db.close()
                raise

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        try:
            while rows := self._fetch():
                yield from rows
        finally:
            with self.lock:
                self._db.close()

    def _fetch(self) -> list[tuple[Any, ...]]:
        with self.lock:
            if self._rest is None:
                return self._cursor.fetchmany(ROWS)
            rows, self._rest = self._rest, []
            return rows

    def close(self) -> None:
        """Closes the connection, and keeps the rows that are left."""
        if self._rest is None:
            try:
                self._rest = self._cursor.fetchall()
            finally:
                self._db.close()


def connect(path: Path) -> sqlite3.Connection:
    """Connects to an existing file.

    Raises:
        sqlite3.Error: if there is no such file.
    """
    with opening:
        return sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=PATIENCE, check_same_thread=False)


def _read_columns(db: sqlite3.Connection) -> list[str]:
    """Returns the names of the columns that the table has."""
    return [row[1] for row in db.execute("PRAGMA table_info(records)")]
