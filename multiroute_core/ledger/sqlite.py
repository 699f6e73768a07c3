"""SQLite ledger store: records in a file, for one or several processes."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from multiroute_core.errors import ConfigurationError
from multiroute_core.ledger.aggregate import Spent
from multiroute_core.ledger.query import LedgerQuery
from multiroute_core.ledger.record import KINDS, LATEST, MOST, NAMES, Record, values
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

REQUIRED = NAMES[:7]
"""The fields that every record has."""

_RANGES = {
    "ended_at": f"0 AND {LATEST!r}",
    **dict.fromkeys([name for name, kind in KINDS.items() if kind is float and name != "ended_at"], "-1e15 AND 1e15"),
    **dict.fromkeys([name for name, kind in KINDS.items() if kind is int], f"-{MOST} AND {MOST}"),
}


def build_row_check(names: Iterable[str] = NAMES) -> str:
    """Builds a SQL condition that excludes rows that are damaged or were written by other software.

    SQLite does not enforce column types, and a value of the wrong type would fail far from here. A text or blob is
    outside any numeric range.

    Args:
        names: The columns to check.
    """
    checks: list[str] = []
    for name in names:
        null = "" if name in REQUIRED else f"{name} IS NULL OR "
        if name in _RANGES:
            checks.append(f"({null}{name} BETWEEN {_RANGES[name]})")
        elif KINDS[name] is tuple:
            checks.append(f"({null}{name} LIKE '[%')")
        elif KINDS[name] is str:
            checks.append(f"({null}typeof({name}) = 'text')")
    return " AND ".join(checks)


def parse_labels(labels: Any) -> tuple[str, ...]:
    """Parses the labels of a record; empty if they are not a JSON array of strings."""
    try:
        value: Any = json.loads(labels)
    except (ValueError, TypeError, RecursionError):
        return ()
    return (
        tuple(label for label in cast("list[Any]", value) if isinstance(label, str)) if isinstance(value, list) else ()
    )


_LABELS = NAMES.index("labels")
_CHECK = build_row_check()
_TRUTHS = [place for place, name in enumerate(NAMES) if KINDS[name] is bool]


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
        with self._lock, self._open() as db:
            db.executemany(_INSERT, map(_row, records))

    def read(self, which: LedgerQuery) -> Iterator[Record]:
        where, parameters = _where(which)
        db = self._connect()
        try:
            # The query reads a snapshot, unaffected by concurrent writes.
            where = f"{where} AND {_CHECK}" if where else f" WHERE {_CHECK}"
            rows = db.execute(f"SELECT {_ALL} FROM records{where} ORDER BY ended_at, id", parameters)  # noqa: S608
        except BaseException:
            db.close()
            raise
        return _records(db, rows)

    def read_spending(self, which: LedgerQuery) -> Spent:
        where, parameters = _where(which)
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
        return self._connection

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
        while (version := self._read_version(db)) != VERSION:
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
        db.execute(f"PRAGMA application_id = {APPLICATION}")
        db.execute(f"PRAGMA user_version = {VERSION}")

    def __reduce__(self) -> tuple[Any, ...]:
        return SQLiteStore, (self.url,)

    def __repr__(self) -> str:
        return repr(self.url)


def _read_columns(db: sqlite3.Connection) -> list[str]:
    """Returns the names of the columns that the table has."""
    return [row[1] for row in db.execute("PRAGMA table_info(records)")]


def _where(which: LedgerQuery) -> tuple[str, list[Any]]:
    """Returns a query as a SQL clause and its parameters."""
    clauses = list[str]()
    parameters = list[Any]()
    for clause, value in (
        ("ended_at >= ?", which.since),
        ("ended_at < ?", which.until),
        ("instr(labels, ?)", which.label and _quoted(which.label)),
    ):
        if value is not None:
            clauses.append(clause)
            parameters.append(value)
    for name, value in which.equal:
        clauses.append(f"{name} IS ?")
        parameters.append(_encode_labels(value) if name == "labels" else value)
    return (f" WHERE {' AND '.join(clauses)}" if clauses else ""), parameters


def _row(record: Record) -> list[Any]:
    row = list(values(record))
    row[_LABELS] = _encode_labels(row[_LABELS])
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


def _encode_labels(labels: tuple[str, ...]) -> str | None:
    """Encodes labels as a JSON array."""
    return f"[{','.join(map(_quoted, labels))}]" if labels else None


def _quoted(label: str) -> str:
    """Encodes a label so that its JSON matches only a complete array element.

    Quotes and commas within it are escaped.
    """
    inner = json.dumps(label, ensure_ascii=False)[1:-1].replace('\\"', "\\u0022").replace(",", "\\u002c")
    return f'"{inner}"'
