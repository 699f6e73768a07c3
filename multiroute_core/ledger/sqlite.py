"""SQLite ledger store: records in a file, for one or several processes."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from multiroute_core.errors import ConfigurationError
from multiroute_core.ledger.aggregate import Spent
from multiroute_core.ledger.query import LedgerQuery
from multiroute_core.ledger.record import KINDS, NAMES, Record, values
from multiroute_core.ledger.sqlite_file import LedgerFile, RowReader
from multiroute_core.ledger.sqlite_rows import ROW_CHECK, build_where, encode_labels, parse_labels
from multiroute_core.ledger.sqlite_selection import SQLiteSelection
from multiroute_core.options import path_of

_ALL = ", ".join(NAMES)
_INSERT = f"INSERT INTO records ({_ALL}) VALUES ({', '.join('?' * len(NAMES))})"  # noqa: S608
_SPENT = (
    "SELECT total(coalesce(charged, cost)), sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) FROM records"
)

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
        self._file = LedgerFile(self.path)
        try:
            with self._file.lock:
                self._file.open()
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(
                f"The ledger file {str(self.path)!r} cannot be used: {error}. It was not changed; give another path."
            ) from error

    @property
    def url(self) -> str:
        """The URL of the file."""
        return f"sqlite:///{self.path}"

    def append(self, records: Sequence[Record], first: int) -> None:
        with self._file.lock:
            db = self._file.open()
            with db:
                db.executemany(_INSERT, map(_row, records))
                self._file.segments.add(db, records)
            try:
                self._file.segments.build(db)
            except (sqlite3.Error, OverflowError) as error:  # the records are written, and reports read them one by one
                logger.debug("A summary of the ledger %r cannot be written: %s", self, error)

    def read(self, which: LedgerQuery) -> Iterator[Record]:
        where, parameters = build_where(which)
        # The query reads a snapshot, unaffected by concurrent writes.
        where = f"{where} AND {ROW_CHECK}" if where else f" WHERE {ROW_CHECK}"
        sql = f"SELECT {_ALL} FROM records{where} ORDER BY ended_at, id"  # noqa: S608
        return _records(RowReader(self.path, sql, parameters))

    def select(self, which: LedgerQuery, more: Sequence[Record]) -> SQLiteSelection:
        return SQLiteSelection(self.path, which, more)

    def read_spending(self, which: LedgerQuery) -> Spent:
        where, parameters = build_where(which)
        ((usd, tokens),) = RowReader(self.path, _SPENT + where, parameters)
        return Spent(usd, tokens or 0)

    def forked(self) -> None:
        self._file.forked()

    def close(self) -> None:
        with self._file.lock:
            self._file.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return SQLiteStore, (self.url,)

    def __repr__(self) -> str:
        return repr(self.url)


def _row(record: Record) -> list[Any]:
    row = list(values(record))
    row[_LABELS] = encode_labels(row[_LABELS])
    return row


def _records(rows: RowReader) -> Iterator[Record]:
    labels_by_text: dict[str | None, tuple[str, ...]] = {None: ()}  # most records share their labels with others
    for row in rows:
        fields = list(row)
        for place in _TRUTHS:
            fields[place] = fields[place] == 1
        if (labels := fields[_LABELS]) not in labels_by_text:
            labels_by_text[labels] = parse_labels(labels)
        fields[_LABELS] = labels_by_text[labels]
        yield Record(*fields)
