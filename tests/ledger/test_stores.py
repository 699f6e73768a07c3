"""Whatever is put into a store comes out again, and what it adds up to is what a plain sum says, in every store."""

import contextlib
import math
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core import Ledger
from multiroute_core.ledger.aggregate import GROUPS
from multiroute_core.ledger.record import MOST, Record
from multiroute_core.ledger.redis import RedisStore
from multiroute_core.ledger.sqlite import SQLiteStore
from multiroute_core.ledger.store import MemoryStore
from tests.examples import examples
from tests.redis_servers import running

STORES = ("memory", "sqlite", pytest.param("redis", marks=pytest.mark.redis))


@pytest.fixture(scope="module")
def server():
    with running("valkey") as found:
        yield found


@contextlib.contextmanager
def opened(kind, request):
    """An empty ledger."""
    with contextlib.ExitStack() as stack:
        if kind == "memory":
            ledger = Ledger(MemoryStore())
        elif kind == "sqlite":
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ledger"))
            ledger = Ledger(SQLiteStore(f"sqlite:///{folder}/l.db"))
        else:
            server = request.getfixturevalue("server")
            with server.client() as client:
                client.flushall()
            ledger = Ledger(RedisStore(server.url))
        stack.callback(ledger.close)
        yield ledger


# What is special in JSON, in SQL or in a list, often; whatever else there is, too.
odd = st.text(st.sampled_from("ab\",\\[]%_'\0\n\u2028é😀"), max_size=4)
texts = odd | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
words = texts.filter(bool)
few = st.sampled_from(["a", "b", ",", '"', "\\", '","'])
# No record ends in the future: entries on Redis are looked for by its clock.
moments = st.sampled_from([0.0, 86_399.5, 86_400.0, 1e9, 1.75e9]) | st.floats(0, 1.75e9)
counts = st.none() | st.integers(0, 5_000) | st.integers(0, MOST)
amounts = st.none() | st.just(0.0) | st.floats(0, 100)
spans = st.floats(0, 1e6)


def charge(record):
    return (record.cost if record.charged is None else record.charged) or 0.0


records = st.builds(
    Record,
    ended_at=moments,
    request_id=texts,
    route=few | texts,
    provider=texts,
    model=few | texts,
    outcome=st.sampled_from(["success", "cached", "cancelled", "timeout"]) | texts,
    seconds=spans,
    first_token_seconds=st.none() | spans,
    input_tokens=counts,
    output_tokens=counts,
    cache_read_tokens=counts,
    cache_write_tokens=counts,
    reasoning_tokens=counts,
    cost=amounts,
    estimated=st.booleans(),
    saved_cost=amounts,
    stream=st.booleans(),
    charged=amounts,
    tenant=st.none() | few | words,
    task=st.none() | few,
    labels=st.sets(few | words, max_size=3).map(lambda labels: tuple(sorted(labels))),
    price_source=st.none() | texts,
)
many = st.lists(records, max_size=8)
windows = st.fixed_dictionaries({}, optional={"since": moments, "until": moments})
scopes = st.fixed_dictionaries({}, optional={"tenant": few, "route": few, "task": few, "label": few})


def order(found):
    return sorted(found, key=lambda record: repr(record.to_dict()))


@pytest.mark.parametrize("kind", STORES)
@settings(max_examples=examples(60), deadline=None)
@given(kept=many)
def test_records_survive(kind, request, kept):
    with opened(kind, request) as ledger:
        ledger.store.append(kept, 0)
        assert order(ledger.query()) == order(kept)
        assert all(type(found.stream) is type(found.estimated) is bool for found in ledger.query())


@pytest.mark.parametrize("kind", STORES)
@settings(max_examples=examples(60), deadline=None)
@given(kept=many, window=windows, scope=scopes, data=st.data())
def test_what_is_asked_for_is_what_is_found(kind, request, kept, window, scope, data):
    equal = dict(scope)
    if kept:  # what one of them has, others may have, too
        one = data.draw(st.sampled_from(kept))
        names = ["model", "tenant", "cost", "input_tokens", "stream", "outcome", "day", "month", "ended_at"]
        names += ["labels"] if one.labels else []
        for name in data.draw(st.sets(st.sampled_from(names), max_size=2)):
            equal[name] = getattr(one, name)
    expected = [
        record
        for record in kept
        if window.get("since", -math.inf) <= record.ended_at < window.get("until", math.inf)
        and all(
            value in record.labels if name == "label" else getattr(record, name) == value
            for name, value in equal.items()
        )
    ]
    with opened(kind, request) as ledger:
        ledger.store.append(kept, 0)
        assert order(ledger.query(**window, **equal)) == order(expected)


@pytest.mark.parametrize("kind", STORES)
@settings(max_examples=examples(60), deadline=None)
@given(kept=many, window=windows, scope=scopes, by=st.sampled_from(GROUPS))
def test_what_it_comes_to_is_a_plain_sum(kind, request, kept, window, scope, by):
    window = {"since": 0.0, **window}
    chosen = [
        record
        for record in kept
        if window["since"] <= record.ended_at < window.get("until", math.inf)
        and all(
            value in record.labels if name == "label" else getattr(record, name) == value
            for name, value in scope.items()
        )
    ]
    usd = math.fsum(charge(record) for record in chosen)
    tokens = sum((record.input_tokens or 0) + (record.output_tokens or 0) for record in chosen)
    with opened(kind, request) as ledger:
        ledger.store.append(kept, 0)
        spent = ledger.spent(**window, **scope)
        assert (spent.usd, spent.tokens) == (pytest.approx(usd, abs=1e-9), tokens)
        assert (type(spent.usd), type(spent.tokens)) == (float, int)
        groups = ledger.totals(by, **window, **scope)
    assert [group.cost for group in groups] == sorted((group.cost for group in groups), reverse=True)
    for group in groups:
        own = [
            record
            for record in chosen
            if group.name in ((record.labels or ("–",)) if by == "label" else (getattr(record, by) or "–",))
        ]
        tries = [record for record in own if record.outcome != "cached"]
        assert group.requests == len({record.request_id for record in own}) > 0
        assert (group.attempts, group.cached) == (len(tries), len(own) - len(tries))
        assert group.failed == sum(record.outcome not in ("success", "cancelled") for record in tries)
        assert group.cancelled == sum(record.outcome == "cancelled" for record in tries)
        assert group.input_tokens == sum(record.input_tokens or 0 for record in own)
        assert group.cost == pytest.approx(math.fsum(charge(record) for record in own))
        assert group.estimated_cost == pytest.approx(math.fsum(charge(r) for r in own if r.estimated))
        assert group.saved_cost == pytest.approx(math.fsum(record.saved_cost or 0.0 for record in own))
    covered = {
        name
        for record in chosen
        for name in ((record.labels or ("–",)) if by == "label" else [getattr(record, by) or "–"])
    }
    assert {group.name for group in groups} == covered
