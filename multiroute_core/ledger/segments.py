"""Materialized aggregates of an SQLite ledger: internal; totals of a million records without reading them.

How this works: records are numbered, and each `SIZE` consecutive numbers are a segment. Once it is complete, its
summary is stored beside it, so that a reader merges the summaries of all segments within the period, and reads only
the other records: those at both ends of the period, and the latest. Triggers delete the summary of a segment when one
of its records is deleted or changed by other software; it is then read record by record, until it is summarized again.

A request whose attempts are in several segments would count once in each. So a segment also stores a hash of the
request of each record, in `PARTS` parts by hash. A reader compares the hashes of all segments part by part, reads the
records of those few requests that occur in several (or whose hashes collide), and corrects the counts.
"""

from __future__ import annotations

import math
import sqlite3
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import msgspec

from multiroute_core.ledger.record import KINDS, LATEST, MOST, Record
from multiroute_core.ledger.sqlite_rows import ROW_CHECK, parse_labels
from multiroute_core.ledger.summary import FIELDS, Summary, to_rows

SIZE = 10_000
"""Records of a segment."""

PARTS = 64
"""Parts of the request hashes: a reader holds one part of all segments at a time."""

_SHIFT = 32 - 6  # log2 of PARTS

_REQUEST = FIELDS.index("request_id")

_TABLES = (
    """CREATE TABLE IF NOT EXISTS segments
        (segment INTEGER PRIMARY KEY, first REAL, last REAL, sums BLOB, timeline BLOB, latencies BLOB)""",
    """CREATE TABLE IF NOT EXISTS segment_requests (part INTEGER, segment INTEGER, hashes BLOB, ids BLOB,
        PRIMARY KEY (part, segment)) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS segment_changes (changes INTEGER)",
    "INSERT INTO segment_changes SELECT 0 WHERE NOT EXISTS (SELECT * FROM segment_changes)",
)


def create_tables(db: sqlite3.Connection) -> None:
    """Creates the tables and triggers, within the caller's transaction."""
    for statement in _TABLES:
        db.execute(statement)
    for event, numbers in (
        ("DELETE", f"(OLD.id - 1) / {SIZE}"),
        ("UPDATE", f"(OLD.id - 1) / {SIZE}, (NEW.id - 1) / {SIZE}"),
    ):
        db.execute(
            f"""CREATE TRIGGER IF NOT EXISTS segments_after_{event.lower()} AFTER {event} ON records BEGIN
                UPDATE segment_changes SET changes = changes + 1;
                DELETE FROM segments WHERE segment IN ({numbers});
            END"""  # noqa: S608
        )


@dataclass(frozen=True, slots=True)
class Part:
    """The summary of some records, as it is stored.

    Attributes:
        segment: The segment's number; None if these are not all records of a segment.
        first: The time of the first record, in seconds since 1970; None without valid records.
        last: The time of the last record.
        sums: The sums.
        timeline: The timeline.
        latencies: The latencies of answers, by route.
        hashes: The hash of the request of each record, ascending, and the record's id.
    """

    segment: int | None
    first: float | None
    last: float | None
    sums: bytes
    timeline: bytes
    latencies: bytes
    hashes: tuple[array[int], array[int]]


def build_part(segment: int | None, rows: Sequence[tuple[Any, ...]], ids: Sequence[int], by: str | None = None) -> Part:
    """Summarizes rows: the values of `FIELDS`; and their ids. `by` is as in `Summary.add`."""
    if not rows:  # all records are damaged
        return Part(segment, None, None, b"", b"", b"", (array("I"), array("q")))
    summary = Summary()
    runs = summary.add(rows, by=by)
    sums, timeline = summary.to_bytes()
    # Sorting one number for each pair takes a quarter of the time of sorting the pairs.
    pairs = sorted([crc32(row[_REQUEST].encode()) << 32 | place for place, row in enumerate(rows)])
    return Part(
        segment,
        summary.first,
        summary.last,
        sums,
        timeline,
        msgspec.msgpack.encode([(*key, values.tobytes()) for key, values in runs]),
        (array("I", [pair >> 32 for pair in pairs]), array("q", [ids[pair & 0xFFFFFFFF] for pair in pairs])),
    )


def write_part(db: sqlite3.Connection, part: Part, changes: int) -> bool:
    """Stores the summary of a segment, unless records were deleted or changed since it was built.

    Args:
        db: A connection outside a transaction.
        part: The summary.
        changes: What `read_changes` returned before its records were read.
    """
    with db:
        db.execute("BEGIN IMMEDIATE")
        if read_changes(db) != changes:
            return False
        hashes, ids = part.hashes
        db.execute(
            "INSERT OR REPLACE INTO segments VALUES (?, ?, ?, ?, ?, ?)",
            (part.segment, part.first, part.last, part.sums, part.timeline, part.latencies),
        )
        db.executemany(
            "INSERT OR REPLACE INTO segment_requests VALUES (?, ?, ?, ?)",
            [
                (number, part.segment, hashes[start:end].tobytes(), ids[start:end].tobytes())
                for number, start, end in split_hashes(hashes)
            ],
        )
    return True


def split_hashes(hashes: array[int]) -> Iterator[tuple[int, int, int]]:
    """Yields the number, start and end of each part."""
    start = 0
    for number in range(PARTS):
        end = bisect_left(hashes, (number + 1) << _SHIFT, start)
        yield number, start, end
        start = end


def read_changes(db: sqlite3.Connection) -> int:
    """Returns a number that grows when records are deleted or changed."""
    return db.execute("SELECT changes FROM segment_changes").fetchone()[0]


def has_segments(db: sqlite3.Connection) -> bool:
    """Returns whether the ledger has tables of segments; those of older versions get them when a router opens them."""
    return db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'segment_changes'").fetchone()[0] > 0


COLUMNS = ", ".join(["id", *("estimated IS 1" if name == "estimated" else name for name in FIELDS)])
"""The columns of a row: the id, and the values of `FIELDS`."""


def read_rows(
    db: sqlite3.Connection, condition: str, parameters: Sequence[Any]
) -> Iterator[tuple[list[tuple[Any, ...]], list[int]]]:
    """Yields the rows of valid records in chunks: the values of `FIELDS`, and the ids."""
    labels: dict[str | None, tuple[str, ...]] = {None: ()}  # most records share their labels with others
    cursor = db.execute(f"SELECT {COLUMNS} FROM records {condition} AND {ROW_CHECK}", parameters)  # noqa: S608
    while chunk := cursor.fetchmany(SIZE):
        for text in {row[-1] for row in chunk}.difference(labels):
            labels[text] = parse_labels(text)
        yield [(*row[1:-1], labels[row[-1]]) for row in chunk], [row[0] for row in chunk]


class SegmentBuilder:
    """Builds the summaries of complete segments.

    Records that this process has just written need not be read again if it wrote a whole segment.
    """

    def __init__(self) -> None:
        self._records: list[Record] = []  # the latest, with consecutive ids
        self._next_id = 0
        self._changes = -1
        self._summarized = -1  # number of complete segments when none lacked a summary

    def add(self, db: sqlite3.Connection, records: Sequence[Record]) -> None:
        """Remembers records that were inserted with the next ids; the transaction is not committed yet."""
        last_id, changes = db.execute(_LATEST).fetchone()
        first_id = last_id - len(records) + 1
        if first_id != self._next_id or changes != self._changes:  # another process has written
            self._records.clear()
        self._records += records
        self._next_id = last_id + 1
        self._changes = changes

    def build(self, db: sqlite3.Connection) -> None:
        """Builds at most one summary, because the writer waits for it; those of new segments first.

        Args:
            db: A connection outside a transaction.
        """
        complete = (self._next_id - 1) // SIZE
        if complete == self._summarized:
            return
        end = complete * SIZE + 1
        start = len(self._records) - (self._next_id - end) - SIZE
        rows = list(to_rows(self._records[start : start + SIZE])) if start >= 0 else []
        del self._records[: max(0, len(self._records) - (self._next_id - end))]
        if rows and is_storable(rows):
            write_part(db, build_part(complete - 1, rows, range(end - SIZE, end)), self._changes)
        elif not build_stored_segment(db, complete):
            self._summarized = complete


_LATEST = "SELECT coalesce((SELECT max(id) FROM records), 0), changes FROM segment_changes"


def is_storable(rows: Sequence[tuple[Any, ...]]) -> bool:
    """Returns whether SQLite gives the rows back as they are: no number is out of range or not a number."""
    columns: list[tuple[Any, ...]] = list(zip(*rows, strict=True))
    for place, most in _LIMITS:
        sizes: list[float] = [abs(value) for value in columns[place] if value]
        if sizes and not (max(sizes) <= most and math.isfinite(sum(sizes))):
            return False
    return min(columns[0]) >= 0


_LIMITS = [
    (place, LATEST if name == "ended_at" else 1e15 if KINDS[name] is float else MOST)
    for place, name in enumerate(FIELDS)
    if KINDS[name] in (int, float)
]


def build_stored_segment(db: sqlite3.Connection, complete: int) -> bool:
    """Builds and stores the summary of one of the first segments that has none, the latest first.

    Args:
        db: A connection outside a transaction.
        complete: The number of segments.

    Returns:
        Whether there was one.
    """
    with db:
        db.execute("BEGIN")
        changes = read_changes(db)
        segment = _find_missing(db, complete)
        if segment is None:
            return False
        condition = "NOT INDEXED WHERE id BETWEEN ? AND ?"
        chunks = list(read_rows(db, condition, (segment * SIZE + 1, (segment + 1) * SIZE)))
    rows, ids = chunks[0] if chunks else ([], [])
    return write_part(db, build_part(segment, rows, ids), changes)


def _find_missing(db: sqlite3.Connection, complete: int) -> int | None:
    """Returns the last of the first `complete` segments that has records but no summary; None if there is none."""
    end = complete  # summaries exist from here on
    present = db.execute("SELECT segment FROM segments WHERE segment < ? ORDER BY segment DESC", (complete,))
    for number in (*(row[0] for row in present), -1):
        if number < end - 1:
            newest = db.execute("SELECT max(id) FROM records WHERE id <= ?", (end * SIZE,)).fetchone()[0] or 0
            if newest > (number + 1) * SIZE:
                return (newest - 1) // SIZE
        end = number
    return None
