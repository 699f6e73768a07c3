"""SQLite ledger store: records in a file, for one or several processes."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from multiroute_core.errors import ConfigurationError
from multiroute_core.ledger import segments
from multiroute_core.ledger.aggregate import Spent
from multiroute_core.ledger.query import LedgerQuery
from multiroute_core.ledger.record import KINDS, NAMES, Record, values
from multiroute_core.ledger.sqlite_rows import ROW_CHECK, build_where, encode_labels, parse_labels
from multiroute_core.ledger.sqlite_selection import SQLiteSelection
from multiroute_core.options import path_of

APPLICATION = 0x4D526C67
VERSION = 4
"""The application id and schema version in the file's header.

Version 1 had no `labels` and no `price`; version 2 had no `charged`, and stored estimates under `cost`; version 3 had
`at` and `price` for `ended_at` and `price_source`.
"""

PATIENCE = 1.0
"""Seconds to wait for other processes that write."""

OPENING = 30.0
"""Seconds to wait for another process that migrates a large file."""

_SQL = {str: "TEXT", tuple: "TEXT", float: "REAL", int: "INTEGER", bool: "INTEGER"}
_COLUMNS = {name: _SQL[KINDS[name]] for name in NAMES}
_ALL = ", ".join(NAMES)
_INSERT = f"INSERT INTO records ({_ALL}) VALUES ({', '.join('?' * len(NAMES))})"  # noqa: S608
_SPENT = (
    "SELECT total(coalesce(charged, cost)), sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) FROM records"
)

# The index covers all columns of `_SPENT`, so that the table itself is not read.
_INDEX = """CREATE INDEX IF NOT EXISTS records_charged ON records
    (ended_at, charged, cost, input_tokens, output_tokens, tenant, route, task, labels)"""

_RENAMED = {"at": "ended_at", "price": "price_source"}
"""Columns that had other names in older versions."""

_LABELS = NAMES.index("labels")
_TRUTHS = [place for place, name in enumerate(NAMES) if KINDS[name] is bool]


logger = logging.getLogger("multiroute_core")


class SQLiteStore:
    """Stores records in an SQLite file. It pickles as its URL.

    Any number of processes and threads on one machine can use the file at once; SQLite's locks do not work on network
    drives. A file with an older schema is migrated when it is opened.

    Args:
        url: `sqlite:///relative/path.db` or `sqlite:////absolute/path.db`. The file and its directories are created if
            they do not exist; only the owner can read the file.

    Raises:
        ConfigurationError: if the URL names no file, or the file cannot be used, belongs to another application, or has
            a newer schema. The file is not modified.
    """

    quick = False

    def __init__(self, url: str) -> None:
        self.dropped = 0
        self.path = Path(os.path.abspath(os.path.expanduser(path_of(url))))  # noqa: PTH100, PTH111  (links stay)
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._segments = segments.SegmentBuilder()
        self._parents: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        try:
            self._open()
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(
                f"The ledger file {str(self.path)!r} cannot be used: {error}. It was not changed; give another path."
            ) from error

    @property
    def url(self) -> str:
        """The URL of the file."""
        return f"sqlite:///{self.path}"

    def append(self, records: Sequence[Record], first: int) -> None:
        with self._lock:
            db = self._open()
            with db:
                db.executemany(_INSERT, map(_row, records))
                self._segments.add(db, records)
            self._build_segment(db)

    def read(self, which: LedgerQuery) -> Iterator[Record]:
        where, parameters = build_where(which)
        db = self._connect()
        try:
            # The query reads a snapshot, unaffected by concurrent writes.
            where = f"{where} AND {ROW_CHECK}" if where else f" WHERE {ROW_CHECK}"
            rows = db.execute(f"SELECT {_ALL} FROM records{where} ORDER BY ended_at, id", parameters)  # noqa: S608
        except BaseException:
            db.close()
            raise
        return _records(db, rows)

    def select(self, which: LedgerQuery, more: Sequence[Record]) -> SQLiteSelection:
        return SQLiteSelection(self._connect(), which, more)

    def read_spending(self, which: LedgerQuery) -> Spent:
        where, parameters = build_where(which)
        with contextlib.closing(self._connect()) as db:
            usd, tokens = db.execute(_SPENT + where, parameters).fetchone()
        return Spent(usd, tokens or 0)

    def forked(self) -> None:
        if self._connection is not None:
            self._parents.append(self._connection)  # closing it here would affect the parent
        self._connection = None
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        """Returns the connection for writes."""
        if self._connection is not None and self._file != self._identity():
            self._connection.close()  # the file was deleted; start a new one
            self._connection = None
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            db = self._connect()
            try:
                self._prepare(db)
            except BaseException:
                db.close()
                raise
            self._connection, self._file = db, self._identity()
            self._segments = segments.SegmentBuilder()
        return self._connection

    def _build_segment(self, db: sqlite3.Connection) -> None:
        try:
            self._segments.build(db)
        except (sqlite3.Error, OverflowError) as error:  # the records are written, and reports read them one by one
            logger.debug("A summary of the ledger %r cannot be written: %s", self, error)

    def _identity(self) -> tuple[int, int] | None:
        """Returns the device and inode of the file; None if it does not exist."""
        with contextlib.suppress(OSError):
            file_stat = self.path.stat()
            return file_stat.st_dev, file_stat.st_ino
        return None

    def _connect(self) -> sqlite3.Connection:
        """Connects to an existing file."""
        return sqlite3.connect(f"{self.path.as_uri()}?mode=rw", uri=True, timeout=PATIENCE, check_same_thread=False)

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

    def __reduce__(self) -> tuple[Any, ...]:
        return SQLiteStore, (self.url,)

    def __repr__(self) -> str:
        return repr(self.url)


def _read_columns(db: sqlite3.Connection) -> list[str]:
    """Returns the names of the columns that the table has."""
    return [row[1] for row in db.execute("PRAGMA table_info(records)")]


def _row(record: Record) -> list[Any]:
    row = list(values(record))
    row[_LABELS] = encode_labels(row[_LABELS])
    return row


def _records(db: sqlite3.Connection, rows: Iterator[tuple[Any, ...]]) -> Generator[Record, None, None]:
    labels_by_text: dict[str | None, tuple[str, ...]] = {None: ()}  # most records share their labels with others
    with contextlib.closing(db):
        for row in rows:
            fields = list(row)
            for place in _TRUTHS:
                fields[place] = fields[place] == 1
            if (labels := fields[_LABELS]) not in labels_by_text:
                labels_by_text[labels] = parse_labels(labels)
            fields[_LABELS] = labels_by_text[labels]
            yield Record(*fields)
