"""JSON Lines exporter: ledger records as lines of a file, one JSON object each."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from multiroute_core.errors import ConfigurationError
from multiroute_core.telemetry.outbox import DeliveryResult, Outbox, Timing

BATCH = 1000
"""Maximum lines per write."""

_HEALS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.EINTR, errno.ESTALE)
"""Errors that may be temporary; any other error in the constructor means a wrong path."""


@dataclass(frozen=True, slots=True)
class _Writer:
    """Appends lines to a file, one write per batch."""

    path: Path

    def __call__(self, records: Sequence[Any]) -> DeliveryResult[Any]:
        """Writes a batch."""
        lines, bad = _lines(records)
        try:
            with self.open_file() as file:
                _append(file, lines)
        except OSError as error:
            return DeliveryResult(
                unsent=records, reason=os.strerror(error.errno) if error.errno else type(error).__name__
            )
        return DeliveryResult(rejected=bad, reason="they cannot be serialized as JSON" if bad else "")

    @contextlib.contextmanager
    def open_file(self) -> Generator[int]:
        """Opens or creates the file. It is opened for each batch, so that it can be moved in between."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # For writing alone, opening a pipe waits for its reader: what is written to one without a reader is lost.
        access = os.O_WRONLY if self.path.is_fifo() else os.O_RDWR
        file = os.open(self.path, access | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            yield file
        finally:
            os.close(file)


class JSONLines(Outbox[Any]):
    """Exporter that appends records to a file, one JSON object per line. It returns at once; one thread writes.

    Several processes can write to one file, because each batch is appended in one piece. A batch that is written only
    partly, for lack of space, is rolled back, so no line is ever truncated. While the file cannot be written, records
    are queued and written later. The file can be moved at any time, for example by `logrotate`; the next batch starts a
    new file.

    Args:
        path: The file's path. The file and its directory are created if they do not exist; only the owner can read it.
        batch: Maximum number of lines per write.
        max_pending: Maximum number of queued records; beyond it, the oldest are dropped and counted.
        timing: Clock and sleep, for tests.

    Raises:
        ConfigurationError: if the file cannot be created or opened.

    Example:
        >>> ledger = Ledger(export=[JSONLines("calls.jsonl")])  # doctest: +SKIP
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        batch: int = BATCH,
        max_pending: int = 50_000,
        timing: Timing | None = None,
    ) -> None:
        self.path = Path(path)
        self._options = batch, max_pending
        writer = _Writer(self.path.absolute())
        try:
            if not writer.path.is_fifo():
                with writer.open_file():
                    pass
        except OSError as error:
            if error.errno not in _HEALS:
                reason = os.strerror(error.errno or 0)
                raise ConfigurationError(f"The file {str(path)!r} cannot be written: {reason}.") from error
        what = f"The file {str(path)!r}"
        super().__init__(writer, what, batch=batch, max_pending=max_pending, timing=timing)

    def __call__(self, records: Sequence[Any]) -> None:
        """Queues records, which are dataclasses. Never blocks or raises."""
        self.put(records)

    def __repr__(self) -> str:
        return f"JSONLines({str(self.path)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.path, *self._options)


def _rebuild(path: Path, batch: int, max_pending: int) -> JSONLines:
    return JSONLines(path, batch=batch, max_pending=max_pending)


def _lines(records: Sequence[Any]) -> tuple[bytes, int]:
    """Serializes records as lines; also returns how many cannot be serialized."""
    lines: list[bytes] = []
    for record in records:
        with contextlib.suppress(Exception):
            lines.append(msgspec.json.encode(record) + b"\n")
    return b"".join(lines), len(records) - len(lines)


def _append(file: int, lines: bytes) -> None:
    """Appends all of `lines` to the file, or nothing."""
    with _locked(file) as alone:
        state = os.fstat(file)
        regular = stat.S_ISREG(state.st_mode)
        if regular and not _ends_with_newline(file, state.st_size):
            lines = b"\n" + lines
        try:
            offset = 0
            while offset < len(lines):
                offset += os.write(file, lines[offset:])
        except OSError:
            if regular and alone:
                with contextlib.suppress(OSError):
                    os.ftruncate(file, state.st_size)
            raise


def _ends_with_newline(file: int, size: int) -> bool:
    """Returns whether the last line is complete; a writer may have died before finishing it."""
    if not size:
        return True
    os.lseek(file, size - 1, os.SEEK_SET)
    return os.read(file, 1) == b"\n"


@contextlib.contextmanager
def _locked(file: int) -> Generator[bool]:
    """Locks the file against other exporters; yields False if the platform has no such locks."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
    except (ImportError, OSError):
        yield False
        return
    try:
        yield True
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
