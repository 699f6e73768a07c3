"""The file of an SQLite cache: ownership check, creation, connections.

Data that does not belong to this cache is never deleted or overwritten. SQLite's header has two application-defined
numbers: one identifies a MultiRoute cache, the other its format version.
"""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import stat
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from multiroute_core.errors import ConfigurationError
from multiroute_core.runtime.sqlite_forks import close_at_fork, list_connections, opening

APPLICATION = 0x4D526C6D
VERSION = 1
"""The header values: `application_id` and `user_version`."""

SOON = 0.1
"""Seconds to wait for other processes while a request is waiting."""

_SCHEMA = f"""
CREATE TABLE entries (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, expires REAL NOT NULL, used REAL NOT NULL, size INTEGER NOT NULL,
    crc INTEGER NOT NULL, value BLOB NOT NULL
);
CREATE INDEX entries_by_use ON entries (used);
CREATE INDEX entries_by_end ON entries (expires);
CREATE TABLE claims (key TEXT PRIMARY KEY, token TEXT NOT NULL, expires REAL NOT NULL);
CREATE TABLE total (bytes INTEGER NOT NULL);
INSERT INTO total VALUES (0);
CREATE TRIGGER entry_kept AFTER INSERT ON entries BEGIN UPDATE total SET bytes = bytes + new.size; END;
CREATE TRIGGER entry_gone AFTER DELETE ON entries BEGIN UPDATE total SET bytes = bytes - old.size; END;
CREATE TRIGGER entry_replaced AFTER UPDATE OF size ON entries
    BEGIN UPDATE total SET bytes = bytes + new.size - old.size; END;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
"""  # noqa: S608  (two numbers)


class Connection:
    """One connection to the file, opened on first use.

    SQLite's locks do not survive a fork: all connections are closed before one.

    Args:
        path: The file.

    Attributes:
        lock: Must be held while the connection is used.
        read_only: Whether the file was not writable when it was opened.
    """

    def __init__(self, path: Path) -> None:
        self.lock = threading.Lock()
        self.read_only = False
        self._path = path
        self._file = (0, 0)
        self._pid = 0
        self._db: sqlite3.Connection | None = None
        close_at_fork(self)

    def open(self, wait: float = SOON) -> sqlite3.Connection:
        """Return the connection; reopens it if the file was replaced.

        Raises:
            ConfigurationError: The file cannot be used.
        """
        if self._db is not None and self._pid == os.getpid():
            if _identity(self._path) == self._file:
                return self._db
            self.close()
        with opening:
            others = (other for other in list_connections() if isinstance(other, Connection))
            if any(other.inherited for other in others):  # SQLite would take the parent's locks for its own
                raise ConfigurationError(
                    "A cache was open when this process was forked without Python's fork hooks; "
                    "build the router after the fork."
                )
            self._db, self.read_only = _open_connection(self._path, wait)
        self._file = _identity(self._path)
        self._pid = os.getpid()
        return self._db

    @property
    def inherited(self) -> bool:
        """Whether it was opened by the parent process before a fork."""
        return self._db is not None and self._pid != os.getpid()

    def read(self, sql: str, *values: Any) -> list[Any]:
        """Return all rows of a query."""
        rows = self.open().execute(sql, values).fetchall()
        if self.read_only:  # a connection without locks does not see the writes of others
            self.close()
        return rows

    @contextlib.contextmanager
    def transaction(self, wait: float = SOON) -> Generator[sqlite3.Connection, None, None]:
        """Run an atomic write transaction. Waits up to `wait` seconds for other processes."""
        db = self.open()
        try:
            if db.in_transaction:  # two interrupts while the last transaction ended
                db.execute("ROLLBACK")
            _begin(db, wait)  # inside the `try`: an interrupt may follow immediately
            yield db
            _commit(db, wait)
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the connection, unless it belongs to another process."""
        if self._db is not None and not self.inherited:
            self._db.close()
            self._db = None


def checked(path: str | os.PathLike[str]) -> Path:
    """Return an absolute path, since the working directory may change.

    Raises:
        ConfigurationError: The path cannot be that of a file.
    """
    location = os.fspath(path)
    if not location or location.startswith((":", "file:")) or "\0" in location:
        raise ConfigurationError(f"{location!r:.200} is not a valid cache path; expected the path of a file.")
    return Path(os.path.abspath(os.path.expanduser(location)))  # noqa: PTH100, PTH111  (links stay as they are)


def _open_connection(path: Path, wait: float) -> tuple[sqlite3.Connection, bool]:
    """Open a connection to the cache at `path`, creating the file if missing; also returns whether it is read-only."""
    try:
        if _ensure_file(path).st_size:
            with _closed_on_error(_connect(path, "mode=ro&immutable=1")) as db:
                # The file may belong to another application: take no lock, leave no file beside it. (Reading it with
                # `open` and closing it would release the locks that this process holds on it.)
                db.execute("PRAGMA writable_schema = ON")  # also reads the header while the file is being written
                _check(path, db)
                db.close()
        try:
            with _closed_on_error(_connect(path, "mode=rw")) as db:
                _prepare(path, db, wait)
                return db, False
        except sqlite3.OperationalError as error:
            if _code(error) not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
                raise
        return _opened_to_read(path), True
    except sqlite3.DatabaseError as error:
        busy = _code(error) == sqlite3.SQLITE_BUSY
        advice = "another program has locked it" if busy else "give another path, or delete it"
        raise ConfigurationError(f"The cache {path} cannot be used: {error}. It was not changed; {advice}.") from error


def _ensure_file(path: Path) -> os.stat_result:
    """Return the file's status, creating an empty file if it is missing."""
    try:
        try:
            status = path.stat()
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):  # another process created it first
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            status = path.stat()
    except OSError as error:
        raise ConfigurationError(
            f"The cache {path} cannot be created ({error.strerror or error}); give the path of a writable file."
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise ConfigurationError(f"{path} is not a file; give the path of a file for the cache.")
    return status


def _check(path: Path, db: sqlite3.Connection) -> None:
    """Check that the file is a MultiRoute cache of this version."""
    whose, version = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    if whose != APPLICATION:
        raise ConfigurationError(
            f"{path} is not a MultiRoute cache. It was not changed; give another path for the cache."
        )
    if version != VERSION:
        raise ConfigurationError(
            f"The cache {path} has schema version {version}; this MultiRoute supports version {VERSION}. "
            "It was not changed; give another path."
        )


def _prepare(path: Path, db: sqlite3.Connection, wait: float) -> None:
    """Check that the file is writable, and create its tables if missing."""
    patience = f"PRAGMA busy_timeout = {wait * 1000:.0f}"  # another process may be creating the file, under a lock
    db.execute(patience)
    db.execute("PRAGMA page_size = 8192")  # for a new file; typical responses waste half of SQLite's default of 4096
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA journal_size_limit = 16777216")
    try:
        _begin(db, wait)
    except sqlite3.OperationalError as error:
        if _code(error) != sqlite3.SQLITE_BUSY:
            raise
    else:
        if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            for statement in _SCHEMA.split(";\n"):
                db.execute(statement)
        db.execute("DELETE FROM claims WHERE 0")  # raises if read-only, which BEGIN does not
        _commit(db, wait)  # before WAL mode, a reader in another process blocks writes
    db.execute(patience)
    _check(path, db)
    db.execute("SELECT bytes, (SELECT max(id) FROM entries) FROM total").fetchone()  # raises if damaged
    if db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        with contextlib.suppress(sqlite3.OperationalError):  # another process is switching it
            db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA busy_timeout = {SOON * 1000:.0f}")


def _opened_to_read(path: Path) -> sqlite3.Connection:
    """Open a connection to a file that is not writable.

    SQLite keeps readers' locks in a file beside it. If that is missing and cannot be created, no process is writing,
    and no locks are needed.
    """
    try:
        with _closed_on_error(_connect(path, "mode=ro")) as db:
            _check(path, db)
            return db
    except sqlite3.OperationalError:
        with _closed_on_error(_connect(path, "mode=ro&immutable=1")) as db:
            _check(path, db)
            return db


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.as_uri()}?{mode}", uri=True, timeout=SOON, isolation_level=None, check_same_thread=False
    )


@contextlib.contextmanager
def _closed_on_error(db: sqlite3.Connection) -> Generator[sqlite3.Connection, None, None]:
    try:
        yield db
    except BaseException:
        db.close()
        raise


def _begin(db: sqlite3.Connection, wait: float) -> None:
    """Begin a write transaction, within `wait` seconds."""
    db.execute("PRAGMA busy_timeout = 0")
    _retry_while_busy(db, "BEGIN IMMEDIATE", wait)


def _commit(db: sqlite3.Connection, wait: float) -> None:
    """Commit, within `wait` seconds. A commit that finds the file busy leaves its transaction open."""
    _retry_while_busy(db, "COMMIT", wait)


def _retry_while_busy(db: sqlite3.Connection, statement: str, wait: float) -> None:
    """Execute a statement, retrying while another process holds the lock.

    SQLite's own busy handler sleeps up to 100 ms between attempts: too long where many processes write.
    """
    deadline = time.monotonic() + wait
    while True:
        try:
            db.execute(statement)
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(random.uniform(0.0005, 0.003))  # noqa: S311
        else:
            return


def _code(error: sqlite3.Error) -> int:
    """Return the primary error code, without the extended one."""
    return error.sqlite_errorcode & 0xFF


def _identity(path: Path) -> tuple[int, int]:
    """Return the file's identity, which changes if it is deleted and created again."""
    try:
        status = os.stat(path)  # noqa: PTH116  (twice as fast, and every lookup calls it)
    except OSError:
        return 0, 0
    return status.st_dev, status.st_ino
