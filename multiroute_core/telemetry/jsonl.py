"""The ledger's records as lines of a file, one JSON object each."""

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
from multiroute_core.telemetry.delivery import DeliveryResult, Timing
from multiroute_core.telemetry.outbox import Outbox

BATCH = 1000
"""How many lines are written at once at most."""

_HEALS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.EINTR, errno.ESTALE)
"""What may be over before long; any other trouble at the start is a wrong path."""


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes lines at the end of a file, a batch in one piece."""

    path: Path

    def __call__(self, records: Sequence[Any]) -> DeliveryResult[Any]:
        """Write a batch."""
        lines, bad = _lines(records)
        try:
            with self.open_file() as file:
                _append(file, lines)
        except OSError as error:
            return DeliveryResult(
                unsent=records, reason=os.strerror(error.errno) if error.errno else type(error).__name__
            )
        return DeliveryResult(rejected=bad, reason="they cannot be written as JSON" if bad else "")

    @contextlib.contextmanager
    def open_file(self) -> Generator[int]:
        """The file, made if it is not there. It is opened for each batch, so that it may be moved away meanwhile."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            yield file
        finally:
            os.close(file)


class JSONLines:
    """A sink that appends records to a file, one JSON object a line. It returns at once; one thread writes.

    Several processes may write to one file: each batch is one piece. A batch of which a part finds no room is taken
    back, so no line is ever cut. Where the file cannot be written, records wait and are written later. The file may be
    moved away at any time, by `logrotate` for instance; the next batch begins a new one.

    Args:
        path: Where. The file and its directory are made if they are not there; only its owner may read it.
        batch: How many lines are written at once at most.
        max_waiting: How many records wait at most; of more, the oldest are given up, and counted.
        timing: Clock and sleep, for tests.

    Raises:
        ConfigurationError: there can be no such file.

    Example:
        >>> ledger = Ledger(export=[JSONLines("calls.jsonl")])  # doctest: +SKIP
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        batch: int = BATCH,
        max_waiting: int = 50_000,
        timing: Timing | None = None,
    ) -> None:
        self.path = Path(path)
        self._options = batch, max_waiting
        writer = _Writer(self.path.absolute())
        try:
            with writer.open_file():
                pass
        except OSError as error:
            if error.errno not in _HEALS:
                reason = os.strerror(error.errno or 0)
                raise ConfigurationError(f"The file {str(path)!r} cannot be written: {reason}.") from error
        what = f"The file {str(path)!r}"
        self._outbox: Outbox[Any] = Outbox(writer, what, batch=batch, max_waiting=max_waiting, timing=timing)

    def __call__(self, records: Sequence[Any]) -> None:
        """Write records, which are dataclasses. It neither waits nor raises."""
        self._outbox.put(records)

    @property
    def dropped(self) -> int:
        """How many records were given up."""
        return self._outbox.dropped

    @property
    def waiting(self) -> int:
        """How many records are not written yet."""
        return self._outbox.waiting

    def flush(self, timeout: float = 5.0) -> bool:
        """Write what waits, within `timeout` seconds; whether all of it is written."""
        return self._outbox.flush(timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Write what waits, within `timeout` seconds, and end."""
        self._outbox.close(timeout)

    def __repr__(self) -> str:
        return f"JSONLines({str(self.path)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.path, *self._options)


def _rebuild(path: Path, batch: int, max_waiting: int) -> JSONLines:
    return JSONLines(path, batch=batch, max_waiting=max_waiting)


def _lines(records: Sequence[Any]) -> tuple[bytes, int]:
    """Records as lines, and how many cannot be written as JSON."""
    lines: list[bytes] = []
    for record in records:
        with contextlib.suppress(Exception):
            lines.append(msgspec.json.encode(record) + b"\n")
    return b"".join(lines), len(records) - len(lines)


def _append(file: int, lines: bytes) -> None:
    """Write all of `lines` at the end, or nothing."""
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
    """Whether the last line has its end: whoever wrote it may have died over it."""
    if not size:
        return True
    os.lseek(file, size - 1, os.SEEK_SET)
    return os.read(file, 1) == b"\n"


@contextlib.contextmanager
def _locked(file: int) -> Generator[bool]:
    """Hold the file alone among those who write to it in this way; False where there are no such locks."""
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
