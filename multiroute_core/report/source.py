"""Read-only access to a ledger that other processes write."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Protocol

from multiroute_core.errors import ConfigurationError
from multiroute_core.ledger.ledger import Ledger, summarize
from multiroute_core.ledger.query import LedgerQuery
from multiroute_core.ledger.record import NAMES, Record
from multiroute_core.ledger.sqlite_file import APPLICATION, VERSION
from multiroute_core.ledger.sqlite_rows import build_row_check, parse_labels
from multiroute_core.ledger.sqlite_selection import SQLiteSelection
from multiroute_core.ledger.summary import Summary
from multiroute_core.options import path_of
from multiroute_core.report.tally import RecordRow

PATIENCE = 5.0
"""Seconds to wait for a locked file."""

REMOTE = ("redis://", "rediss://", "unix://")


class Source(Protocol):
    """The source of a report's records."""

    def read(self, since: float | None = None, until: float | None = None) -> Iterator[Record | RecordRow]:
        """Returns records from `since` on and before `until`, in seconds since 1970, in any order."""
        ...

    def summarize(self, since: float | None = None, until: float | None = None) -> Summary:
        """Returns the summary of these records."""
        ...

    def close(self) -> None:
        """Releases the source."""
        ...


def source(place: str) -> Source:
    """Opens a ledger for reading.

    Args:
        place: The path of a ledger's file, `sqlite:///path`, or `redis://host:6379/0`.

    Raises:
        ConfigurationError: if the file does not exist or is not a ledger, or the Redis URL is not valid.

    Example:
        >>> with contextlib.closing(source("ledger.db")) as ledger:  # doctest: +SKIP
        ...     records = list(ledger.read())
    """
    if place.startswith(REMOTE):
        return _Shared(place)
    if "://" in place and not place.startswith("sqlite:"):
        scheme = place.partition("://")[0]
        raise ConfigurationError(
            f"{scheme}:// is not the address of a ledger; expected a file, sqlite:///path or redis://…."
        )
    if not place:
        raise ConfigurationError("The ledger has no name; give the file of Router(ledger='sqlite:///…').")
    return _File(Path(path_of(place) if place.startswith("sqlite:") else place).expanduser())


class _Shared:
    """A ledger on Redis."""

    def __init__(self, url: str) -> None:
        self._ledger = Ledger(url)

    def read(self, since: float | None = None, until: float | None = None) -> Iterator[Record | RecordRow]:
        return iter(self._ledger.query(since=since, until=until))

    def summarize(self, since: float | None = None, until: float | None = None) -> Summary:
        return summarize(self._ledger, LedgerQuery(since, until))

    def close(self) -> None:
        self._ledger.close()


class _File:
    """A ledger in an SQLite file. The file is never created, changed or migrated."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity = self._identify()
        self._db = self._connect()

    def _identify(self) -> tuple[int, int]:
        """Return what tells the file from another one of its name."""
        if not self._path.is_file():
            why = "is a folder" if self._path.is_dir() else "does not exist"
            raise ConfigurationError(
                f"The ledger {str(self._path)!r} {why}; give the file of Router(ledger='sqlite:///…')."
            )
        status = self._path.stat()
        return status.st_dev, status.st_ino

    def _follow_name(self) -> None:
        """Open the file again if another one has its name: nobody writes to a ledger that was moved away."""
        if (identity := self._identify()) == self._identity:
            return
        db = self._connect()
        self._db.close()
        self._db = db
        self._identity = identity

    def _connect(self) -> sqlite3.Connection:
        with self._translate_errors():
            # Not mode=ro: SQLite must recover what a killed process left behind before it can read the file.
            db = sqlite3.connect(f"{self._path.resolve().as_uri()}?mode=rw", uri=True, timeout=PATIENCE)
            try:
                db.execute("PRAGMA query_only = ON")
                whose, version = (
                    db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
                )
            except BaseException:
                db.close()
                raise
        if whose == APPLICATION and version == VERSION:
            return db
        db.close()
        if whose == APPLICATION and version:
            advice = (
                "use a newer MultiRoute" if version > VERSION else "open it once with a Router, which migrates the file"
            )
            raise ConfigurationError(
                f"The ledger {str(self._path)!r} has schema version {version}; reports support version {VERSION}: "
                f"{advice}."
            )
        raise self._foreign()

    def read(self, since: float | None = None, until: float | None = None) -> Iterator[Record | RecordRow]:
        self._follow_name()
        with self._translate_errors():
            self._check_columns()
            clauses = [
                (text, value)
                for text, value in (("ended_at >= ?", since), ("ended_at < ?", until))
                if value is not None
            ]
            where = f"WHERE {' AND '.join((*(text for text, _ in clauses), build_row_check(RecordRow._fields)))}"
            rows = self._db.execute(
                f"SELECT {', '.join(RecordRow._fields)} FROM records {where}",  # noqa: S608
                [value for _, value in clauses],
            )
            for row in rows:
                yield RecordRow._make((*row[:-1], _labels(row[-1])))

    def summarize(self, since: float | None = None, until: float | None = None) -> Summary:
        with self._translate_errors():
            self._check_columns()
            return SQLiteSelection(self._path.resolve(), LedgerQuery(since, until)).summarize()

    def _check_columns(self) -> None:
        columns = {row[1] for row in self._db.execute("PRAGMA table_info(records)")}
        if not columns.issuperset(NAMES):
            raise self._foreign()

    def close(self) -> None:
        self._db.close()

    @contextlib.contextmanager
    def _translate_errors(self) -> Generator[None, None, None]:
        try:
            yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
                raise self._foreign() from error
            raise ConfigurationError(f"The ledger {str(self._path)!r} cannot be read: {error}.") from error

    def _foreign(self) -> ConfigurationError:
        return ConfigurationError(f"The file {str(self._path)!r} is not a MultiRoute ledger.")


@functools.lru_cache(4096)
def _labels(text: str | None) -> tuple[str, ...]:
    return parse_labels(text) if text else ()
