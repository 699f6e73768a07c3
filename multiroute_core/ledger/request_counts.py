"""Distinct counts of requests: internal; by their outcome, and by the groups that their records belong to."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias

from multiroute_core.ledger.record import CACHED, CANCELLED
from multiroute_core.ledger.sums import ANSWERED

NONE = "–"
"""The group name of records without a value for the key."""

HAS_ANSWER = 1
HAS_ERROR = 2
ATTEMPT = 4
"""The bits of a request's state: whether it has a response, whether an attempt failed; and no, one or more attempts."""

DIMENSIONS = ("model", "provider", "route", "outcome", "tenant", "task", "label", "day", "month")


StoredRequests: TypeAlias = tuple[list[tuple[int, int]], list[list[tuple[str, int]]]]
"""The numbers of requests per state, and the surplus per dimension and group."""


class Kind(NamedTuple):
    """The values of a record that decide where its request counts."""

    route: str
    provider: str
    model: str
    outcome: str
    tenant: str | None
    task: str | None
    labels: tuple[str, ...]
    day: int


class RequestCounts:
    """Numbers of requests; those of different requests can be added.

    Most requests have one record. So the requests of a group are its records less the surplus: the records of the same
    request beyond the first.

    Attributes:
        states: The number of requests per state.
        surplus: The surplus per dimension and group.
    """

    def __init__(self) -> None:
        self.states: Counter[int] = Counter()
        self.surplus: dict[str, Counter[str]] = {name: Counter() for name in DIMENSIONS}

    def merge(self, stored: StoredRequests, sign: int = 1) -> None:
        """Adds counts in their stored form, or subtracts them."""
        states, surplus = stored
        for state, count in states:
            self.states[state] += sign * count
        for own, counts in zip(self.surplus.values(), surplus, strict=True):
            for name, count in counts:
                own[name] += sign * count

    def to_stored(self) -> StoredRequests:
        """Returns plain values; the groups are in the order of `DIMENSIONS`."""
        return list(self.states.items()), [list(counts.items()) for counts in self.surplus.values()]

    def count_states(self, mask: int, bits: int) -> int:
        """Returns the number of requests whose state has these bits under the mask."""
        return sum(count for state, count in self.states.items() if state & mask == bits)


class RequestCounter:
    """Counts the requests of records, which may come in any order.

    It keeps about 150 bytes per request: which kinds of records it has, as the index of one of few distinct
    combinations. Of these, it counts how often a record of a kind was added to each.
    """

    def __init__(self) -> None:
        self._kinds: dict[tuple[Any, ...], int] = {}
        self._steps: dict[tuple[int, int], list[int]] = {}  # combination and kind: the next combination, how often
        self._combinations: list[_Combination] = [_Combination(frozenset(), 0)]
        self._indexes: dict[_Combination, int] = {self._combinations[0]: 0}
        self._requests: dict[str, int] = {}

    def add(self, request_ids: Iterable[str], kinds: Iterable[tuple[Any, ...]]) -> None:
        """Adds records: their requests, and the fields of `Kind`."""
        numbers = self._kinds
        steps = self._steps
        requests = self._requests
        for request_id, kind in zip(request_ids, kinds, strict=True):
            if (number := numbers.get(kind)) is None:
                number = numbers[kind] = len(numbers)
            index = requests.get(request_id, 0)
            if (step := steps.get((index, number))) is None:
                step = steps[index, number] = [self._index_of(index, number, Kind(*kind)), 0]
            step[1] += 1
            requests[request_id] = step[0]

    def _index_of(self, index: int, number: int, kind: Kind) -> int:
        """Returns the index of a combination with one more record."""
        before = self._combinations[index]
        attempts = min(2, before.attempts + (kind.outcome != CACHED))
        combination = _Combination(before.kinds | {number}, attempts)
        if combination not in self._indexes:
            self._indexes[combination] = len(self._combinations)
            self._combinations.append(combination)
        return self._indexes[combination]

    def counts(self) -> RequestCounts:
        """Returns the counts of all requests."""
        result = RequestCounts()
        kinds = [Kind(*kind) for kind in self._kinds]
        for index, count in Counter(self._requests.values()).items():
            members, attempts = self._combinations[index]
            result.states[_state({kinds[number].outcome for number in members}, attempts)] += count
        names = [_name_groups(kind) for kind in kinds]
        for (index, number), (_, count) in self._steps.items():
            members = self._combinations[index].kinds
            for place, counter in enumerate(result.surplus.values() if members else ()):
                for name in names[number][place]:
                    if any(name in names[member][place] for member in members):
                        counter[name] += count
        return result


class _Combination(NamedTuple):
    """The kinds of a request's records, and the number of attempts, up to two."""

    kinds: frozenset[int]
    attempts: int


def count_requests(request_ids: Sequence[str], kinds: Sequence[Sequence[Any]]) -> RequestCounts:
    """Returns the counts of records at once, in a fraction of the time of a `RequestCounter`.

    Args:
        request_ids: The requests.
        kinds: The fields of `Kind`, as columns.
    """
    outcomes = kinds[Kind._fields.index("outcome")]
    alone = Counter(outcomes)
    counter = RequestCounter()
    records = Counter(request_ids)
    if len(records) < len(request_ids):
        repeated = {request_id for request_id, count in records.items() if count > 1}
        places = [place for place, request_id in enumerate(request_ids) if request_id in repeated]
        alone.subtract([outcomes[place] for place in places])
        counter.add(
            [request_ids[place] for place in places],
            zip(*([column[place] for place in places] for column in kinds), strict=True),
        )
    counts = counter.counts()
    for outcome, number in alone.items():
        if number:
            counts.states[_state([outcome], int(outcome != CACHED))] += number
    return counts


def _state(outcomes: Iterable[str], attempts: int) -> int:
    state = ATTEMPT * attempts
    for outcome in outcomes:
        if outcome in (ANSWERED, CACHED):
            state |= HAS_ANSWER
        elif outcome != CANCELLED:
            state |= HAS_ERROR
    return state


def _name_groups(kind: Kind) -> tuple[Sequence[str], ...]:
    """Returns the names of a record's groups, in the order of `DIMENSIONS`."""
    day = name_day(kind.day)
    return (
        (kind.model or NONE,),
        (kind.provider or NONE,),
        (kind.route or NONE,),
        (kind.outcome or NONE,),
        (kind.tenant or NONE,),
        (kind.task or NONE,),
        tuple(set(kind.labels)) or (NONE,),
        (day,),
        (day[:-3],),
    )


@functools.lru_cache(1024)
def name_day(day: int) -> str:
    """Returns the date of a day, such as `2026-11-28`, by its number since 1970."""
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")
