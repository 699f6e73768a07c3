"""What stores hold may be damaged, foreign or written by somebody else: an answer, a miss or a typed error."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core import Budget, Ledger, MemoryCache, Router, report
from multiroute_core.cache.entry import FORM
from multiroute_core.errors import MultiRouteError
from multiroute_core.report.source import source
from multiroute_core.testing import Answer, scripted_route
from tests.examples import examples
from tests.hostile.mutations import ODD, RAW, mutated
from tests.providers.faces import FACES, ask

VALUES = [
    "NULL",
    "'abc'",
    "x'00ff'",
    "1e308",
    "9e999",
    "-5",
    "9223372036854775807",
    "'[1]'",
    "'{bad'",
    "''",
    "'\x1b[2J'",
]


class Holding(MemoryCache):
    """A cache that gives the same value to everybody."""

    value: Any = None

    async def get(self, io: Any, key: str) -> Any:
        return self.value


def pieces() -> list[Any]:
    return [
        [{"type": "text", "content": "hi"}, {"type": "reasoning", "content": "hm", "raw": {"api": "w", "body": {}}}],
        [{"type": "tool_call", "id": "i", "name": "n", "arguments": {"a": [1, {"b": 2}]}}],
        [{"type": "tool_call_delta", "index": 0, "id": "i", "name": "n", "arguments": '{"a": 1}'}],
        [{"type": "blob", "mime_type": "image/png", "content": "aGk=", "modality": "image", "name": None}],
        [{"type": "tool_call_response", "id": "i", "result": [{"type": "text", "content": "x"}], "error": False}],
        "text",
    ]


def deep(value: Any) -> Any:
    """`value` with marks replaced by what they stand for."""
    if isinstance(value, str) and value in RAW:
        nested: Any = 1
        for _ in range({"@@deep100@@": 100, "@@deep300@@": 300, "@@deep900@@": 900}.get(value, 0)):
            nested = [nested]
        return nested
    if isinstance(value, dict):
        return {str(key): deep(inner) for key, inner in value.items()}
    return [deep(inner) for inner in value] if isinstance(value, list) else value


@st.composite
def entries(draw: st.DrawFn) -> Any:
    now = time.time()
    entry = [now, now + 1000, draw(st.booleans()), pieces(), "stop", "m", "p", "r", 0.1, {"raw": [1]}]
    value = deep(draw(mutated(entry)))
    try:
        packed = FORM + msgspec.msgpack.encode(value)
    except (OverflowError, RecursionError):
        packed = FORM
    if draw(st.integers(0, 9)) == 0:
        packed = packed[: draw(st.integers(0, len(packed)))]
    return draw(st.sampled_from([packed] * 12 + [b"", FORM, FORM + b"\x91" * 100_000, "MR1", 5, *ODD[:5]]))


@pytest.mark.parametrize("face", FACES)
def test_an_entry_of_any_shape_is_an_answer_or_a_miss(face):
    store = Holding()
    router = Router([scripted_route("a", lambda _: Answer("fresh"))], cache=store, deadline=5)

    @settings(max_examples=examples(60), deadline=None, derandomize=True, database=None)
    @given(entries())
    def look(value: Any) -> None:
        store.value = value
        outcome = ask(face, router)
        assert outcome.error is None, outcome.error
        assert outcome.response.cached or outcome.text == "fresh"
        repr(outcome.response)
        outcome.response.summary()

    look()


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """A cache and a ledger in files, each in one piece."""
    folder = tmp_path_factory.mktemp("files")
    cache, ledger = folder / "cache.db", folder / "ledger.db"
    with opened(cache, ledger) as router:
        for number in range(40):
            router.generate(f"question {number} " + "x" * 400, tenant=f"t{number % 3}", labels={"a", "b"})
    router.ledger.close()
    for path in (cache, ledger):
        db = sqlite3.connect(path)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute("PRAGMA journal_mode = DELETE")
        db.close()
    return cache, ledger


def opened(cache: Path, ledger: Path) -> Router:
    route = scripted_route("a", lambda _: Answer("fresh"), prices={"input": 1, "output": 1})
    budget = Budget(usd=5, per="day")
    return Router([route], cache=f"sqlite:///{cache}", ledger=f"sqlite:///{ledger}", budget=budget, deadline=5)


def damage(data: bytes, chance: random.Random) -> bytes:
    """`data` as a crash, a bad disk or another program leaves it."""
    changed = bytearray(data)
    pages = len(data) // 4096
    match chance.randrange(6):
        case 0:
            return data[: chance.randrange(len(data))]
        case 1:
            for _ in range(chance.choice((1, 10, 300))):
                changed[chance.randrange(len(data))] = chance.randrange(256)
        case 2:
            start = chance.randrange(pages) * 4096
            changed[start : start + 4096] = bytes(4096)
        case 3:
            changed[chance.randrange(100)] = chance.randrange(256)
        case 4:
            start, other = chance.randrange(pages) * 4096, chance.randrange(pages) * 4096
            changed[start : start + 4096] = changed[other : other + 4096]
        case _:
            return chance.randbytes(chance.choice((0, 5, 5000)))
    return bytes(changed)


def rewrite(path: Path, table: str, chance: random.Random) -> None:
    """Give some rows another value, or the file other tables."""
    db = sqlite3.connect(path)
    columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})") if row[1] != "id"]
    column = chance.choice(columns)
    statements = [f"UPDATE {table} SET {column} = {chance.choice(VALUES)} WHERE id % 5 = {chance.randrange(5)}"]
    if chance.random() < 0.2:
        others = (f"DROP TABLE {table}", f"ALTER TABLE {table} RENAME COLUMN {column} TO zz", "CREATE TABLE other(x)")
        statements.append(chance.choice(others))
    for statement in statements:
        try:
            db.execute(statement)
        except sqlite3.Error:
            continue
    db.commit()
    db.close()


def use(cache: Path, ledger: Path) -> list[str]:
    """Do all that reads the files; what came of each step. Only typed errors are caught."""
    outcomes: list[str] = []

    def step(work: Any) -> Any:
        try:
            result = work()
        except MultiRouteError as error:
            outcomes.append(type(error).__name__)
            return None
        outcomes.append("done")
        return result

    router = step(lambda: opened(cache, ledger))
    if router is not None:
        for question in ("question 1 " + "x" * 400, "question 39 " + "x" * 400, "new"):
            assert step(lambda asked=question: router.generate(asked, tenant="t1")) is not None, "no answer"
        for work in (
            lambda: str(router.ledger.totals("tenant")),
            lambda: list(router.ledger.query()),
            lambda: router.ledger.spent(since=0.0),
            lambda: f"{router.report()}{router.report()._repr_html_()}",
            router.ledger.flush,
            router.close,
            router.ledger.close,
        ):
            step(work)
    step(lambda: read_report(ledger))
    return outcomes


def read_report(ledger: Path) -> str:
    with contextlib.closing(source(str(ledger))) as records:
        return str(report.of(records.read()))


@pytest.mark.parametrize("seed", range(30))
def test_a_damaged_file_is_a_typed_error_or_a_miss(originals, tmp_path, seed):
    chance = random.Random(seed)
    cache, ledger = tmp_path / "cache.db", tmp_path / "ledger.db"
    for original, path, table in zip(originals, (cache, ledger), ("entries", "records"), strict=True):
        if seed % 2:
            path.write_bytes(damage(original.read_bytes(), chance))
        else:
            shutil.copy(original, path)
            rewrite(path, table, chance)
    assert use(cache, ledger)


@pytest.mark.parametrize(
    "column", ["ended_at", "route", "seconds", "input_tokens", "cost", "labels", "tenant", "outcome"]
)
@pytest.mark.parametrize("value", VALUES)
def test_a_row_that_is_no_record_is_passed_over_and_the_others_count(originals, tmp_path, column, value):
    path = tmp_path / "ledger.db"
    shutil.copy(originals[1], path)
    db = sqlite3.connect(path)
    db.execute(f"UPDATE records SET {column} = {value} WHERE id <= 5")
    db.commit()
    db.close()
    ledger = Ledger(f"sqlite:///{path}")
    records = ledger.query()
    assert len(records) >= 35
    str(ledger.totals("label"))
    read_report(path)
    ledger.close()
