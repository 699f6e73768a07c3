"""SQLite cache: a file, for repeated notebook runs and for several processes of one machine.

The file is in SQLite's WAL mode: readers never wait for writers, and a killed process leaves only complete entries
behind. Each process has two connections, one to read and one to write, each under a lock: readers do not wait for
writers, and more threads need no more file descriptors. (One connection per thread was not faster.)
"""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
import time
import weakref
import zlib
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from multiroute_core.cache.sqlite_file import SOON, Connection, checked
from multiroute_core.cache.trouble import FailureLogger
from multiroute_core.errors import ConfigurationError
from multiroute_core.options import invalid, path_of
from multiroute_core.runtime.deadline import Deadline, Expired
from multiroute_core.runtime.interrupts import wait_until_free
from multiroute_core.runtime.io import IO

logger = logging.getLogger("multiroute_core")

T = TypeVar("T")

OVERHEAD = 200
"""Approximate size of an entry in bytes besides its key and value."""

PATIENCE = 1.0
"""Seconds that an event loop waits for a write, however slow the disk; also the time during which writes do not wait
for other processes after one has waited in vain."""

QUEUE = 0.5
"""Seconds that a write waits for other threads of this process."""

OPENING = 5.0
"""Seconds that a new cache waits for the process that creates the file."""

GRAIN = 60.0
"""Resolution of an entry's last-used time, in seconds: a read is recorded once per interval, with the next write."""

_GET = "SELECT id, value, crc, used FROM entries WHERE key = ? AND expires > ?"
_PUT = """INSERT INTO entries (key, expires, used, size, crc, value) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO
    UPDATE SET expires = excluded.expires, used = excluded.used, size = excluded.size, crc = excluded.crc,
    value = excluded.value"""
_PURGE = "DELETE FROM entries WHERE id IN (SELECT id FROM entries WHERE expires <= ? ORDER BY expires LIMIT 8)"
_CLAIM = "INSERT INTO claims (key, token, expires) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING"


class SQLiteCache:
    """Caches entries in a file, with LRU eviction when it is full.

    Any number of processes and threads of one machine may use the file at once, also across `fork`; SQLite's locks do
    not work on network drives. The file and its parent directories are created if missing; only the owner may read the
    file. Data that does not belong to this cache is never deleted or overwritten.

    If the file is readable but not writable, the cache is read-only. Later errors (disk full, file damaged or locked)
    are logged and count as a miss. If the file is deleted, a new one is created.

    Args:
        path: The file. Not `":memory:"`, which no other process could see.
        max_bytes: Maximum size, including keys and overhead. 1 GiB by default. The file itself may be somewhat larger,
            and does not shrink.
        clock: Returns the time, in seconds since 1970.

    Raises:
        ConfigurationError: The file cannot be created or read, is not an SQLite database, is damaged, or belongs to
            another application or to a newer MultiRoute. It is left unchanged.

    Example:
        >>> router = Router([...], cache=SQLiteCache("~/.cache/llm.db", max_bytes=256 * 2**20))  # doctest: +SKIP
    """

    shared = True

    def __init__(
        self, path: str | os.PathLike[str], *, max_bytes: int = 2**30, clock: Callable[[], float] = time.time
    ) -> None:
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise invalid("max_bytes", max_bytes, "a number of bytes of at least 1")
        self.path = checked(path)
        self.max_bytes = max_bytes
        self._clock = clock
        self._reader = Connection(self.path)
        self._writer = Connection(self.path)
        self._used: dict[int, float] = {}
        self._noted = clock()
        # A finalizer may release a claim in a thread that holds the lock, so releases are queued.
        self._released: deque[tuple[str, str]] = deque()
        self._failures = FailureLogger(str(self.path))
        self._hurried = 0.0
        self._writer.open(OPENING)
        if self._writer.read_only:
            logger.warning("The cache %s cannot be written; it is used read-only.", self.path)
        self._writer.close()  # reopened on first use: this process may only fork others
        weakref.finalize(self, self._reader.close)
        weakref.finalize(self, self._writer.close)

    @classmethod
    def of(cls, url: str) -> SQLiteCache:
        """Return the cache at `sqlite:///relative/path.db` or `sqlite:////absolute/path.db`.

        Raises:
            ConfigurationError: The URL has another form, or the file cannot be used.
        """
        return cls(path_of(url))

    @property
    def bytes(self) -> int:
        """The current size in bytes."""
        with self._reader.lock:
            return self._reader.read("SELECT bytes FROM total")[0][0]

    async def get(self, io: IO, key: str) -> bytes | None:
        now = self._clock()
        try:
            with self._reader.lock:
                rows = self._reader.read(_GET, key, now)
        except (sqlite3.Error, ConfigurationError) as error:
            self._failures.log("A cache lookup failed", error)
            return None
        if not rows:
            return None
        entry_id, value, crc, used = rows[0]
        if crc != _crc(key, value):
            self._failures.log("A cache lookup failed", sqlite3.DatabaseError("an entry is damaged"))
            return None
        if now - used >= GRAIN and not self._writer.read_only:
            self._used[entry_id] = now
            if now - self._noted >= GRAIN:
                await self._write(io, "The use of cached answers was not recorded", lambda _: None)
        return value

    async def put(self, io: IO, key: str, value: bytes, seconds: float) -> None:
        await self._write(io, "An answer was not cached", lambda db: self._put(db, key, value, seconds))

    async def claim(self, io: IO, key: str, seconds: float) -> str | None:
        token = secrets.token_hex(8)
        # If it cannot be written, the claim is granted all the same: a duplicate request is better than none.
        won = await self._write(
            io, "A single-flight claim was not recorded", lambda db: self._claim(db, key, token, seconds)
        )
        return None if won is False else token

    async def release(self, io: IO, key: str, token: str) -> None:
        self._released.append((key, token))
        self._work_off()

    def close(self) -> None:
        if (self._used or self._released) and not self._writer.read_only:
            self._write_now("The use of cached answers was not recorded", lambda _: None)
        for connection in (self._writer, self._reader):
            with connection.lock:
                connection.close()

    async def aclose(self) -> None:
        self.close()

    def _put(self, db: sqlite3.Connection, key: str, value: bytes, seconds: float) -> None:
        now = self._clock()
        size = len(key) + len(value) + OVERHEAD
        db.execute(_PURGE, (now,))
        if size > self.max_bytes:
            db.execute("DELETE FROM entries WHERE key = ?", (key,))
            return
        db.execute(_PUT, (key, now + seconds, now, size, _crc(key, value), value))
        excess = db.execute("SELECT bytes FROM total").fetchone()[0] - self.max_bytes
        if excess > 0:
            entry_ids: list[tuple[int]] = []
            for entry, its_size in db.execute("SELECT id, size FROM entries WHERE key <> ? ORDER BY used", (key,)):
                entry_ids.append((entry,))
                excess -= its_size
                if excess <= 0:
                    break
            db.executemany("DELETE FROM entries WHERE id = ?", entry_ids)

    def _claim(self, db: sqlite3.Connection, key: str, token: str, seconds: float) -> bool:
        now = self._clock()
        db.execute("DELETE FROM claims WHERE expires <= ?", (now,))
        return db.execute(_CLAIM, (key, token, now + seconds)).rowcount == 1

    async def _write(self, io: IO, otherwise: str, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Run `work` in a transaction. On failure, log `otherwise` with the reason and return None."""
        if self._writer.read_only:
            return None
        if not io.native:
            return self._write_now(otherwise, work)
        limit = Deadline(io.now)
        limit.set("the cache", io.now() + PATIENCE, PATIENCE)
        try:
            return await io.thread(limit, self._write_now, otherwise, work)
        except Expired as error:
            self._failures.log(otherwise, error)
            return None

    def _write_now(self, otherwise: str, work: Callable[[sqlite3.Connection], T]) -> T | None:
        if not wait_until_free(self._writer.lock, QUEUE):
            self._failures.log(otherwise, TimeoutError("other threads are writing"))
            return None
        try:
            with self._writer.lock, self._writer.transaction(SOON if time.monotonic() >= self._hurried else 0.0) as db:
                self._note(db)
                done = work(db)
        except (sqlite3.Error, ConfigurationError) as error:
            self._hurried = time.monotonic() + PATIENCE
            self._failures.log(otherwise, error)
            return None
        else:
            self._hurried = 0.0
            return done
        finally:
            self._work_off()

    def _note(self, db: sqlite3.Connection) -> None:
        """Write the uses and released claims recorded since the last transaction."""
        self._noted = self._clock()
        while self._used:
            entry, now = self._used.popitem()
            db.execute("UPDATE entries SET used = ? WHERE id = ?", (now, entry))
        while self._released:
            db.execute("DELETE FROM claims WHERE key = ? AND token = ?", self._released.popleft())

    def _work_off(self) -> None:
        """Delete released claims, unless a write is running, which does it then. A claim that remains expires."""
        while self._released and not self._writer.read_only and not self._writer.lock.locked():
            try:
                with self._writer.lock, self._writer.transaction(SOON / 10) as db:
                    self._note(db)
            except (sqlite3.Error, ConfigurationError):
                return

    def __copy__(self) -> SQLiteCache:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> SQLiteCache:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(SQLiteCache, max_bytes=self.max_bytes), (str(self.path),)

    def __repr__(self) -> str:
        return f"SQLiteCache({str(self.path)!r}, max_bytes={self.max_bytes:,})"


def _crc(key: str, value: bytes) -> int:
    """Checksum of an entry: SQLite does not detect a damaged page if its structure is intact."""
    return zlib.crc32(value, zlib.crc32(key.encode()))
