"""The ledger's records in an SQLite file, for one process or several."""

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
VERSION = 3
"""What the file's header says: that it is a ledger, and of which form.

Form 1 had no `labels` and no `price`, form 2 no `charged`, whose estimates stood under `cost`. Who has a file of an
older form open goes on to write it after it has the present one.
"""

PATIENCE = 1.0
"""Seconds for which other processes that write are waited for."""

OPENING = 30.0
"""Seconds for which a process is waited for that brings a large file into the newer form."""

_SQL = {str: "TEXT", tuple: "TEXT", float: "REAL", int: "INTEGER", bool: "INTEGER"}
_COLUMNS = {name: _SQL[KINDS[name]] for name in NAMES}
_ALL = ", ".join(NAMES)
_INSERT = f"INSERT INTO records ({_ALL}) VALUES ({', '.join('?' * len(NAMES))})"  # noqa: S608
_SPENT = (
    "SELECT total(coalesce(charged, cost)), sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) FROM records"
)

# All that `_SPENT` needs stands in the index, so that it reads nothing else.
_INDEX = """CREATE INDEX IF NOT EXISTS records_charged ON records
    (at, charged, cost, input_tokens, output_tokens, tenant, route, task, labels)"""

REQUIRED = NAMES[:7]
"""The fields that every record has."""

_RANGES = {
    "at": f"0 AND {LATEST!r}",
    **dict.fromkeys([name for name, kind in KINDS.items() if kind is float and name != "at"], "-1e15 AND 1e15"),
    **dict.fromkeys([name for name, kind in KINDS.items() if kind is int], f"-{MOST} AND {MOST}"),
}


def build_row_check(names: Iterable[str] = NAMES) -> str:
    """A clause for the rows that are records: others were damaged, or written by somebody else.

    A type that is not what it should be would fail far from here; to SQLite a column's type is only a wish. A text or
    a blob is in no range of numbers.

    Args:
        names: The columns to look at.
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
    """The labels of a record; none where they are no JSON array of texts."""
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
    """Keeps records in a file. It pickles as its URL.

    Any number of processes and threads of one machine may use the file at once; SQLite's locks do not work on network
    drives. A file of an older form is brought into the present one when it is opened.

    Args:
        url: `sqlite:///relative/path.db` or `sqlite:////absolute/path.db`. The file is made if it is not there, with
            the folders that lead to it; only its owner may read it.

    Raises:
        ConfigurationError: the URL names no file, or it cannot be used, or is another application's, or of a newer
            form. It is left as it is.
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
                f"The ledger's file {str(self.path)!r} cannot be used: {error}. "
                "It was left as it is; give another path."
            ) from error

    @property
    def url(self) -> str:
        """Where the file is."""
        return f"sqlite:///{self.path}"

    def append(self, records: Sequence[Record], first: int) -> None:
        with self._lock, self._open() as db:
            db.executemany(_INSERT, map(_row, records))

    def read(self, which: LedgerQuery) -> Iterator[Record]:
        where, parameters = _where(which)
        db = self._connect()
        try:
            # What is read stands still from here on, whoever writes.
            where = f"{where} AND {_CHECK}" if where else f" WHERE {_CHECK}"
            rows = db.execute(f"SELECT {_ALL} FROM records{where} ORDER BY at, id", parameters)  # noqa: S608
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
            self._parents.append(self._connection)  # to close it here would be felt there
        self._connection = None
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        """The connection that writes."""
        if self._connection is not None and self._file != self._identity():
            self._connection.close()  # the file was deleted, and a new one is begun
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
        """Which file it is; None where there is none."""
        with contextlib.suppress(OSError):
            file_stat = self.path.stat()
            return file_stat.st_dev, file_stat.st_ino
        return None

    def _connect(self) -> sqlite3.Connection:
        """A connection to a file that is there."""
        return sqlite3.connect(f"{self.path.as_uri()}?mode=rw", uri=True, timeout=PATIENCE, check_same_thread=False)

    def _prepare(self, db: sqlite3.Connection) -> None:
        """Make sure that the file is a ledger, and of the present form."""
        until = time.monotonic() + OPENING
        while (form := self._form(db)) != VERSION:
            try:
                if not form:
                    db.execute("PRAGMA journal_mode = WAL")
                with db:
                    db.execute("BEGIN IMMEDIATE")
                    self._bring_up(db, self._form(db))  # another process may have been quicker
            except sqlite3.OperationalError as error:  # where two make the file at once, SQLite lets neither wait
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                    raise
                time.sleep(0.01)
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000:.0f}")

    def _form(self, db: sqlite3.Connection) -> int:
        """The form that the file has; 0 for an empty one."""
        outer = db.in_transaction
        if not outer:
            db.execute("BEGIN")  # another process may make it just now: that is seen as a whole, or not at all
        whose, form = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
        tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not outer:
            db.rollback()
        if whose != APPLICATION and (whose or form or tables):
            raise ConfigurationError(
                f"The file {str(self.path)!r} is no ledger: it belongs to another application. It was left as it is; "
                "give another path."
            )
        if form > VERSION:
            raise ConfigurationError(
                f"The ledger {str(self.path)!r} has form {form}, and this MultiRoute knows forms up to {VERSION}. "
                "It was left as it is; give another path, or use the newer MultiRoute."
            )
        return form

    def _bring_up(self, db: sqlite3.Connection, form: int) -> None:
        columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
        db.execute(f"CREATE TABLE IF NOT EXISTS records (id INTEGER PRIMARY KEY, {columns})")
        if 0 < form < VERSION:
            for name in ("labels", "price", "charged") if form == 1 else ("charged",):
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


def _where(which: LedgerQuery) -> tuple[str, list[Any]]:
    """A selection as a clause, and the values in it."""
    clauses = list[str]()
    parameters = list[Any]()
    for clause, value in (
        ("at >= ?", which.since),
        ("at < ?", which.until),
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
    labels_by_text: dict[str | None, tuple[str, ...]] = {None: ()}  # most have the labels of others
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
    """Labels as a JSON array."""
    return f"[{','.join(map(_quoted, labels))}]" if labels else None


def _quoted(label: str) -> str:
    """A label as it stands in JSON, and nowhere else: what ends it and what parts it from the next is written out."""
    inner = json.dumps(label, ensure_ascii=False)[1:-1].replace('\\"', "\\u0022").replace(",", "\\u002c")
    return f'"{inner}"'
