"""A cache in a file: for notebooks that run again, and for several processes of one machine.

The file is in SQLite's WAL mode: readers wait for nobody, and a process that is killed leaves whole entries behind.
Each process has two connections to it, one that reads and one that writes, each under a lock: so nobody who reads waits
for somebody who writes, and threads cost no descriptors. (One connection a thread was no faster.)
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
from multiroute_core.options import path_of
from multiroute_core.runtime.deadline import Deadline, Expired
from multiroute_core.runtime.interrupts import wait_until_free
from multiroute_core.runtime.io import IO

logger = logging.getLogger("multiroute_core")

T = TypeVar("T")

OVERHEAD = 200
"""About how many bytes an entry takes besides its key and value."""

PATIENCE = 1.0
"""Seconds for which a write is waited for on an event loop, however slow the disk; and for which nobody waits for other
processes once one of them was waited for in vain."""

QUEUE = 0.5
"""Seconds for which a write waits for other threads of this process."""

OPENING = 2.0
"""Seconds for which a new cache waits for the process that makes the file."""

GRAIN = 60.0
"""How exactly the last use of an entry is known, in seconds: a read is noted once in so many, with the next write."""

_GET = "SELECT id, value, crc, used FROM entries WHERE key = ? AND expires > ?"
_PUT = """INSERT INTO entries (key, expires, used, size, crc, value) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO
    UPDATE SET expires = excluded.expires, used = excluded.used, size = excluded.size, crc = excluded.crc,
    value = excluded.value"""
_PURGE = "DELETE FROM entries WHERE id IN (SELECT id FROM entries WHERE expires <= ? ORDER BY expires LIMIT 8)"
_CLAIM = "INSERT INTO claims (key, token, expires) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING"


class SQLiteCache:
    """Keeps entries in a file; when it is full, those go that were used longest ago.

    Any number of processes and threads of one machine may use the file at once, also across `fork`; SQLite's locks do
    not work on network drives. It is made, with the folders that lead to it, if it is not there, and only its owner may
    read it. Nothing is ever deleted or written over that is not this cache's own.

    A file that can be read but not written is a cache that only reads. What goes wrong later (the disk is full, the
    file is damaged or held by somebody else) is logged, and a miss. If the file is deleted, a new one is begun.

    Args:
        path: The file. Not `":memory:"`, which no other process could see.
        max_bytes: How much it may hold, keys and overhead included. 1 GiB by default. The file itself may be somewhat
            larger, and does not shrink.
        clock: The time, in seconds since 1970.

    Raises:
        ConfigurationError: the file cannot be made or read, is no SQLite database, is damaged, belongs to another
            application or to a newer MultiRoute. It is left as it is.

    Example:
        >>> router = Router([...], cache=SQLiteCache("~/.cache/llm.db", max_bytes=256 * 2**20))  # doctest: +SKIP
    """

    shared = True

    def __init__(
        self, path: str | os.PathLike[str], *, max_bytes: int = 2**30, clock: Callable[[], float] = time.time
    ) -> None:
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"max_bytes={max_bytes!r} must be a whole number of bytes, 1 or more.")
        self.path = checked(path)
        self.max_bytes = max_bytes
        self._clock = clock
        self._reader = Connection(self.path)
        self._writer = Connection(self.path)
        self._used: dict[int, float] = {}
        self._noted = clock()
        # A claim may be given back by a finalizer, in a thread that is inside the lock; so it goes into a queue.
        self._released: deque[tuple[str, str]] = deque()
        self._trouble = FailureLogger(str(self.path))
        self._hurried = 0.0
        self._writer.open(OPENING)
        if self._writer.read_only:
            logger.warning("The cache %s cannot be written; it is only read.", self.path)
        self._writer.close()  # opened again when it is used: this process may only be there to fork others
        weakref.finalize(self, self._reader.close)
        weakref.finalize(self, self._writer.close)

    @classmethod
    def of(cls, url: str) -> SQLiteCache:
        """The cache at `sqlite:///relative/path.db` or `sqlite:////absolute/path.db`.

        Raises:
            ConfigurationError: the URL has another form, or the file cannot be used.
        """
        return cls(path_of(url))

    @property
    def bytes(self) -> int:
        """How much it holds."""
        with self._reader.lock:
            return self._reader.read("SELECT bytes FROM total")[0][0]

    async def get(self, io: IO, key: str) -> bytes | None:
        now = self._clock()
        try:
            with self._reader.lock:
                rows = self._reader.read(_GET, key, now)
        except (sqlite3.Error, ConfigurationError) as error:
            self._trouble.tell("An answer could not be looked up", error)
            return None
        if not rows:
            return None
        entry_id, value, crc, used = rows[0]
        if crc != _crc(key, value):
            self._trouble.tell("An answer could not be looked up", sqlite3.DatabaseError("an entry is damaged"))
            return None
        if now - used >= GRAIN and not self._writer.read_only:
            self._used[entry_id] = now
            if now - self._noted >= GRAIN:
                await self._write(io, "The use of answers was not noted", lambda _: None)
        return value

    async def put(self, io: IO, key: str, value: bytes, seconds: float) -> None:
        await self._write(io, "An answer was not cached", lambda db: self._put(db, key, value, seconds))

    async def claim(self, io: IO, key: str, seconds: float) -> str | None:
        token = secrets.token_hex(8)
        # Where it cannot be written down it is given all the same: to work a thing out twice beats not to answer.
        won = await self._write(io, "A claim was not noted", lambda db: self._claim(db, key, token, seconds))
        return None if won is False else token

    async def release(self, io: IO, key: str, token: str) -> None:
        self._released.append((key, token))
        self._work_off()

    def close(self) -> None:
        if (self._used or self._released) and not self._writer.read_only:
            self._write_now("The use of answers was not noted", lambda _: None)
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
        """Do some work in a transaction. Where it fails, say so: what was not done, and why."""
        if self._writer.read_only:
            return None
        if not io.native:
            return self._write_now(otherwise, work)
        limit = Deadline(io.now)
        limit.set("the cache", io.now() + PATIENCE, PATIENCE)
        try:
            return await io.thread(limit, self._write_now, otherwise, work)
        except Expired as error:
            self._trouble.tell(otherwise, error)
            return None

    def _write_now(self, otherwise: str, work: Callable[[sqlite3.Connection], T]) -> T | None:
        if not wait_until_free(self._writer.lock, QUEUE):
            self._trouble.tell(otherwise, TimeoutError("other threads are writing"))
            return None
        try:
            with self._writer.lock, self._writer.transaction(SOON if time.monotonic() >= self._hurried else 0.0) as db:
                self._note(db)
                done = work(db)
        except (sqlite3.Error, ConfigurationError) as error:
            self._hurried = time.monotonic() + PATIENCE
            self._trouble.tell(otherwise, error)
            return None
        else:
            self._hurried = 0.0
            return done
        finally:
            self._work_off()

    def _note(self, db: sqlite3.Connection) -> None:
        """Write down what was used and released since the last time."""
        self._noted = self._clock()
        while self._used:
            entry, now = self._used.popitem()
            db.execute("UPDATE entries SET used = ? WHERE id = ?", (now, entry))
        while self._released:
            db.execute("DELETE FROM claims WHERE key = ? AND token = ?", self._released.popleft())

    def _work_off(self) -> None:
        """Give back what was released, unless somebody writes: they do it then. A claim that stays lapses."""
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
    """SQLite itself does not see that a page was damaged where its structure is whole."""
    return zlib.crc32(value, zlib.crc32(key.encode()))
