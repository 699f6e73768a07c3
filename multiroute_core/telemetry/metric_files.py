"""Metric files: the values of one process in a file of its own, so that any process of a host can add them all up.

How this works: a file holds entries of a length, the series as JSON, and the value as a double. A new series is
appended in one write; later only its eight bytes are overwritten. So what was counted survives a kill, and a reader
needs no lock: at worst it sees the value before. A file of a process that has ended stays, because a sum must not fall;
the directory is emptied when the service starts.
"""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

SeriesKey: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]
"""The name of a series, and its labels."""

_HEADER = struct.Struct("<I")
_VALUE = struct.Struct("<d")
_SUFFIX = ".metrics"
_NAME = re.compile(r"([0-9]{1,9})-[0-9a-f]{8}\.metrics")
"""The name of a file: the id of the process, and a random part."""


class StoredSeries(NamedTuple):
    """A series of a process.

    Attributes:
        key: The series.
        value: Its value.
        is_alive: Whether the process runs; gauges of one that has ended say nothing.
    """

    key: SeriesKey
    value: float
    is_alive: bool


class MetricFile:
    """The values of this process.

    Args:
        directory: Where the processes of a host keep their files.

    Raises:
        OSError: The file cannot be created.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / f"{os.getpid()}-{os.urandom(4).hex()}{_SUFFIX}"
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
        self._places: dict[SeriesKey, int] = {}
        self._end = 0

    def write(self, key: SeriesKey, value: float) -> None:
        """Set the value of a series."""
        if (place := self._places.get(key)) is not None:
            os.pwrite(self._file, _VALUE.pack(value), place)
            return
        name = json.dumps(key).encode()
        entry = _HEADER.pack(len(name)) + name + _VALUE.pack(value)
        os.pwrite(self._file, entry, self._end)
        self._end += len(entry)
        self._places[key] = self._end - _VALUE.size

    def close(self) -> None:
        """Close the file; it stays."""
        os.close(self._file)


def read_series(directory: Path) -> Iterator[StoredSeries]:
    """Yield the series of all processes. An entry that is being written is left out.

    So are files of others, and the rest of a file that a crash of the machine has left with zeros.
    """
    for path in sorted(directory.glob(f"*{_SUFFIX}")):
        if (name := _NAME.fullmatch(path.name)) is None:
            continue
        is_alive = _is_alive(int(name[1]))
        try:
            content = path.read_bytes()
        except OSError:
            continue
        place = 0
        while place + _HEADER.size <= len(content):
            (length,) = _HEADER.unpack_from(content, place)
            end = place + _HEADER.size + length + _VALUE.size
            if end > len(content) or (key := _read_key(content[place + _HEADER.size : end - _VALUE.size])) is None:
                break
            yield StoredSeries(key, _VALUE.unpack_from(content, end - _VALUE.size)[0], is_alive)
            place = end


def _read_key(content: bytes) -> SeriesKey | None:
    try:
        name, labels = json.loads(content)
        return name, tuple((label, text) for label, text in labels)
    except (ValueError, TypeError):
        return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
