"""Aggregation of the records of an SQLite ledger: internal; merges the summaries of segments, and reads the others."""

from __future__ import annotations

import contextlib
import math
import sqlite3
import threading
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from multiroute_core.ledger import segments
from multiroute_core.ledger.quantiles import find_quantiles
from multiroute_core.ledger.query import LedgerQuery
from multiroute_core.ledger.record import Record
from multiroute_core.ledger.request_counts import RequestCounter
from multiroute_core.ledger.segments import Part, build_part, read_rows, split_hashes
from multiroute_core.ledger.sqlite_file import connect
from multiroute_core.ledger.sqlite_rows import build_where
from multiroute_core.ledger.summary import FIELDS, SHARES, Run, Summary, to_rows
from multiroute_core.runtime.sqlite_forks import close_at_fork

LOOKUPS = 500
"""Records that are read by id at once; SQLite allows 999 parameters."""

_REQUEST = FIELDS.index("request_id")
_KIND = [FIELDS.index(name) for name in ("route", "provider", "model", "outcome", "tenant", "task", "labels")]
_INSIDE = "first >= ? AND last < ?"
_OVERLAPS = "last >= ? AND first < ?"

UNWRITTEN = -1
"""The segment of records that are not in the file."""


Rows: TypeAlias = tuple[list[tuple[Any, ...]], list[int]]
"""The values of `FIELDS`, and the ids."""


class SQLiteSelection:
    """The records that match a query, as they are when it is created. A fork waits until they are summarized.

    Args:
        path: The file.
        which: The query.
        more: Matching records that are not in the file.

    Raises:
        sqlite3.Error: if the file cannot be read.
    """

    def __init__(self, path: Path, which: LedgerQuery, more: Sequence[Record] = ()) -> None:
        self._which = which
        self._more = list(to_rows(more))
        self._window = (
            -math.inf if which.since is None else which.since,
            math.inf if which.until is None else which.until,
        )
        self.lock = threading.Lock()  # held until the end
        self._stack = ExitStack()
        try:
            self._stack.enter_context(self.lock)
            close_at_fork(self)
            self._db = self._stack.enter_context(contextlib.closing(connect(path)))
            self._db.execute("BEGIN")  # all reads see the same records
            self._whole = which.label is None and not which.equal and segments.has_segments(self._db)
            self._db.execute("SELECT max(id) FROM records").fetchone()
        except BaseException:
            self._stack.close()
            raise

    def summarize(self, by: str | None = None) -> Summary:
        """Returns the summary, and closes the connection; call it once.

        Args:
            by: The only dimension that is needed, as in `GROUPS`; None for all, the timeline and the latencies.

        Raises:
            sqlite3.Error: if the file cannot be read.
        """
        try:
            return self._summarize(by)
        except (msgspec.DecodeError, TypeError, ValueError) as error:
            raise sqlite3.DatabaseError(f"a summary is damaged: {error}") from error
        finally:
            self._stack.close()

    def close(self) -> None:
        """Does nothing: where the lock is free, the connection is closed."""

    def _summarize(self, by: str | None) -> Summary:
        summary = Summary()
        stored: dict[int, bool] = {}  # whether the segment's records must be read, because some of them match
        inside: set[int] = set()
        if self._whole:
            states = f"SELECT segment, {_INSIDE}, {_OVERLAPS} FROM segments"  # noqa: S608
            for number, is_inside, overlaps in self._db.execute(states, self._window * 2):
                stored[number] = bool(overlaps and not is_inside)
                if is_inside:
                    inside.add(number)
            columns = "sums, timeline" if by is None else "sums"
            for blobs in self._db.execute(f"SELECT {columns} FROM segments WHERE {_INSIDE}", self._window):  # noqa: S608
                summary.merge(blobs[0])
                if by is None:
                    summary.merge_timeline(blobs[1])
        parts = list[Part]()
        for segment, (rows, ids) in self._read_others(stored):
            part = build_part(segment, rows, ids, by)
            summary.merge(part.sums)
            if by is None:
                summary.merge_timeline(part.timeline)
            parts.append(part)
        self._correct_requests(summary, inside, parts)
        if by is None:
            summary.latencies = find_quantiles(lambda: self._read_runs(parts), SHARES)
        return summary

    def _read_others(self, stored: dict[int, bool]) -> Iterator[tuple[int | None, Rows]]:
        """Yields the matching records that no stored summary includes, in chunks; `UNWRITTEN` marks those of `more`."""
        where, parameters = build_where(self._which)
        condition = where or " WHERE true"
        if not stored:
            for rows in read_rows(self._db, condition, parameters):
                yield None, rows
        else:
            for low, high in _find_gaps(stored):
                bounds = f" NOT INDEXED {condition} AND id BETWEEN ? AND ?"
                for rows in read_rows(self._db, bounds, (*parameters, low, high)):
                    yield None, rows
        for start in range(0, len(self._more), segments.SIZE):
            some = self._more[start : start + segments.SIZE]
            yield UNWRITTEN, (some, list(range(start, start + len(some))))

    def _read_runs(self, parts: Iterable[Part]) -> Iterator[Run]:
        """Yields the latencies of all records."""
        if self._whole:
            for (blob,) in self._db.execute(f"SELECT latencies FROM segments WHERE {_INSIDE}", self._window):  # noqa: S608
                yield from _decode_runs(blob)
        for part in parts:
            yield from _decode_runs(part.latencies)

    def _correct_requests(self, summary: Summary, inside: set[int], parts: Sequence[Part]) -> None:
        """Counts each request once that has records in several parts."""
        if len(inside) + len(parts) < 2:
            return
        total = RequestCounter()
        for source, ids in self._find_shared(inside, parts).items():
            counter = RequestCounter()
            unwritten = source < 0 and parts[source].segment == UNWRITTEN
            for rows in self._pick_unwritten(ids) if unwritten else self._read_by_id(ids):
                days = [int(row[0] // 86_400) for row in rows]
                kinds = [(*(row[place] for place in _KIND), day) for row, day in zip(rows, days, strict=True)]
                request_ids = [row[_REQUEST] for row in rows]
                counter.add(request_ids, kinds)
                total.add(request_ids, kinds)
            summary.requests.merge(counter.counts().to_stored(), -1)
        summary.requests.merge(total.counts().to_stored())

    def _find_shared(self, inside: set[int], parts: Sequence[Part]) -> dict[int, list[int]]:
        """Returns the ids of the records whose request may have records elsewhere, too.

        The keys are numbers of segments, or negative indexes of parts.
        """
        shared: dict[int, list[int]] = {}
        splits = [list(split_hashes(part.hashes[0])) for part in parts]
        for number in range(segments.PARTS):
            tables = self._read_hashes(number, inside)
            for place, part in enumerate(parts):
                _, start, end = splits[place][number]
                tables[place - len(parts)] = part.hashes[0][start:end], part.hashes[1][start:end]
            several = _find_repeated(hashes for hashes, _ in tables.values())
            for source, (hashes, ids) in tables.items() if several else ():
                for value in sorted(several.intersection(hashes)):
                    found = ids[bisect_left(hashes, value) : bisect_right(hashes, value)]
                    shared.setdefault(source, []).extend(found)
        return shared

    def _read_hashes(self, number: int, inside: set[int]) -> dict[int, tuple[array[int], array[int]]]:
        """Returns the hashes and ids of one part of each stored segment."""
        tables: dict[int, tuple[array[int], array[int]]] = {}
        if not inside:  # the file may be older than this table
            return tables
        rows = self._db.execute("SELECT segment, hashes, ids FROM segment_requests WHERE part = ?", (number,))
        for segment, hash_bytes, id_bytes in rows:
            if segment in inside:
                hashes, ids = tables[segment] = array("I"), array("q")
                hashes.frombytes(hash_bytes)
                ids.frombytes(id_bytes)
                if len(hashes) != len(ids):
                    raise ValueError("its hashes do not match its records")
        return tables

    def _read_by_id(self, ids: Sequence[int]) -> Iterator[list[tuple[Any, ...]]]:
        for start in range(0, len(ids), LOOKUPS):
            some = ids[start : start + LOOKUPS]
            for rows, _ in read_rows(self._db, f"WHERE id IN ({', '.join('?' * len(some))})", some):
                yield rows

    def _pick_unwritten(self, places: Sequence[int]) -> Iterator[list[tuple[Any, ...]]]:
        yield [self._more[place] for place in places]


def _find_gaps(stored: dict[int, bool]) -> Iterator[tuple[int, int]]:
    """Yields the ranges of ids whose records must be read."""
    low = -(2**63)
    for number in sorted(stored):
        start = number * segments.SIZE + 1
        if low < start:
            yield low, start - 1
        low = start + segments.SIZE
        if stored[number]:
            yield start, low - 1
    yield low, 2**63 - 1


def _find_repeated(tables: Iterable[array[int]]) -> set[int]:
    """Returns the hashes that several tables have."""
    union: set[int] = set()
    repeated: set[int] = set()
    for table in tables:
        own = set(table)
        repeated |= own & union
        union |= own
    return repeated


def _decode_runs(blob: bytes) -> Iterator[Run]:
    for route, to_first, values in _runs.decode(blob):
        run = array("d")
        run.frombytes(values)
        yield (route, to_first), run


_runs = msgspec.msgpack.Decoder(list[tuple[str, bool, bytes]])
