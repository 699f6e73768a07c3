"""Real incidents over real arrivals, for `benchmarks.outages`: what is read, and what a provider does at any moment.

Both come from `$MULTIROUTE_SHARED` (by default `../shared` from the repository's root), and are never copied:

* `data/outages/incident_stages.csv`: 542 incidents that OpenAI, Anthropic and Character.AI told of on their status
  pages from 2021 to 2024, with begin, end, title and level (atlarge-research/llm-service-analysis, ICPE 2025).
* `data/load/azure2023_conv.csv`: the arrivals of one hour at a real service, with the tokens of each request
  (Azure/AzurePublicDataset, CC-BY-4.0). The hour is repeated.
"""

from __future__ import annotations

import bisect
import csv
import os
import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from multiroute_core import APIConnectionError, OverloadedError, ServerError, Usage
from multiroute_core.testing import Answer, Behaviour, Fail, FaultPeriod, Hang, IncomingCall, Schedule, Step

ROUTES = {
    "openai": "openai:gpt-6.1-sol",
    "anthropic": "anthropic:claude-sonnet-5-5",
    "character": "google:gemini-3.8-flash",
}
"""Who stands for whom. Google's incidents are not in the data; its route lives by those of the third service."""

SHARES = (0.05, 0.3, 0.8, 1.0, 1.0)
"""The share of calls that an incident hits, by its level: none, minor, major, critical, maintenance."""

DOWN = 2
"""From this level on a provider does not count as up."""

LATE_SECONDS = 15.0

SLOW = re.compile(r"latenc|slow|degrad|performance|delay|timeout|timing out|queue|longer", re.IGNORECASE)
GONE = re.compile(r"outage|unavailable|\bdown\b|inaccessible|not operational|disruption|maintenance", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request of the trace.

    Attributes:
        at: Its second within the hour.
        input_tokens: The tokens of its prompt.
        output_tokens: Those of its answer.
    """

    at: float
    input_tokens: int
    output_tokens: int

    @property
    def first_token(self) -> float:
        """Seconds until a healthy provider begins to answer."""
        return 0.4 + 0.0002 * self.input_tokens

    @property
    def writing(self) -> float:
        """Seconds from there to the answer's end."""
        return 0.015 * self.output_tokens

    @property
    def usage(self) -> Usage:
        """Its tokens."""
        return Usage(input_tokens=self.input_tokens, output_tokens=self.output_tokens)


@dataclass(frozen=True, slots=True)
class Incident:
    """What a status page told. Times are in seconds since 1970."""

    route: str
    since: float
    until: float
    level: int
    title: str

    def periods(self) -> Iterator[FaultPeriod]:
        """What its calls meet: of two periods at a time the first one counts, so the shares add up."""
        share = 0.0
        for part, behaviour in self._mix():
            share += part * SHARES[self.level]
            yield FaultPeriod(self.since, self.until, behaviour, share)

    def _mix(self) -> tuple[tuple[float, Behaviour], ...]:
        if SLOW.search(self.title):
            return (0.5, Hang()), (0.5, Served(LATE_SECONDS))
        if GONE.search(self.title):
            return (0.2, Hang()), (0.4, Fail(APIConnectionError, 0.1)), (0.4, Fail(ServerError, 0.5))
        return (0.05, Hang()), (0.35, Fail(OverloadedError, 0.3)), (0.6, Fail(ServerError, 1.0))


@dataclass(frozen=True, slots=True)
class Served:
    """Answer the arrival whose number is asked.

    Attributes:
        late: Seconds by which its first token is late.
    """

    late: float = 0.0

    def steps(self, incoming: IncomingCall) -> Iterator[Step]:
        """The answer, all of it behind its first token: nobody looks at its pieces."""
        one = arrivals()[int(incoming.text)]
        wait = one.first_token + self.late
        return Answer(first_token=wait, per_chunk=one.writing, usage=one.usage).steps(incoming)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which the same incidents go on, as far as it is simulated.

    Attributes:
        since: Its first moment.
        until: The first moment after it.
        weight: How much time a second of it stands for.
        up: Whether one provider at least is up.
        troubled: Whether the first provider has an incident.
    """

    since: float
    until: float
    weight: float
    up: bool
    troubled: bool

    def asked(self) -> Iterator[tuple[float, int]]:
        """The moments at which requests come, each with the number of its arrival."""
        moments = [one.at for one in arrivals()]
        hour = moments[-1] + 0.1
        number = bisect.bisect_left(moments, self.since % hour)
        base = self.since - self.since % hour
        while True:
            if number == len(moments):
                number, base = 0, base + hour
            if base + moments[number] >= self.until:
                return
            yield base + moments[number], number
            number += 1


class History:
    """All that happened.

    Args:
        incidents: Of all routes.
        seed: Of the choice which calls an incident hits.
    """

    def __init__(self, incidents: Sequence[Incident], seed: int = 0) -> None:
        self.incidents = sorted(incidents, key=lambda one: one.since)
        self.changes = sorted({moment for one in incidents for moment in (one.since, one.until)})
        self._active = [self._during(since) for since in self.changes]
        self._schedules = [self._schedule(active, seed) for active in self._active]

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.changes[-1] - self.changes[0]

    def script(self, asked: IncomingCall) -> Behaviour:
        """What a provider does with a call."""
        place = bisect.bisect_right(self.changes, asked.at) - 1
        return self._schedules[place].behaviour(asked.route, asked.at, asked.number)

    def stretches(self, requests: int) -> list[Stretch]:
        """The times around each change, as much of them as about so many requests need.

        Between two changes the beginning is simulated, where breakers learn what has happened, and the end, which
        stands for the middle too. Time passes in between, only nobody asks.
        """
        rate = len(arrivals()) / arrivals()[-1].at
        edge = max(2.0, requests / rate / (2 * len(self.changes)))
        found: list[Stretch] = []
        for active, since, until in zip(self._active, self.changes, self.changes[1:], strict=False):
            up = len({one.route for one in active if one.level >= DOWN}) < len(ROUTES)
            troubled = any(one.route == next(iter(ROUTES.values())) for one in active)
            if until - since <= 2 * edge:
                found.append(Stretch(since, until, 1.0, up, troubled))
            else:
                weight = (until - since - edge) / edge
                found.append(Stretch(since, since + edge, 1.0, up, troubled))
                found.append(Stretch(until - edge, until, weight, up, troubled))
        return found

    def _during(self, moment: float) -> list[Incident]:
        return [one for one in self.incidents if one.since <= moment < one.until]

    @staticmethod
    def _schedule(active: Sequence[Incident], seed: int) -> Schedule:
        worst_first = sorted(active, key=lambda one: -one.level)
        periods = {
            route: [s for one in worst_first if one.route == route for s in one.periods()] for route in ROUTES.values()
        }
        return Schedule(periods, ((1.0, Served()),), seed=seed)


def shared() -> Path | None:
    """The folder with the data; None where there is none."""
    root = (
        Path(os.environ.get("MULTIROUTE_SHARED") or Path(__file__).resolve().parent.parent.parent / "shared") / "data"
    )
    return root if (root / "outages").is_dir() and (root / "load").is_dir() else None


def incidents(folder: Path, since: datetime | None = None) -> list[Incident]:
    """All incidents that began after `since`.

    One that the page told of only afterwards ends when it begins; it is given the median length of its provider's
    others of its level.
    """
    with (folder / "outages/incident_stages.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    lengths: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if length := _moment(row["close_timestamp"]) - _moment(row["start_timestamp"]):
            lengths.setdefault((row["provider"], row["incident_impact_level"]), []).append(length)
    found: list[Incident] = []
    for row in rows:
        begun, level = _moment(row["start_timestamp"]), row["incident_impact_level"]
        length = _moment(row["close_timestamp"]) - begun or statistics.median(lengths[row["provider"], level])
        if since is None or begun >= since.replace(tzinfo=UTC).timestamp():
            found.append(Incident(ROUTES[row["provider"]], begun, begun + length, int(level), row["Incident_Title"]))
    return found


_arrivals: list[Arrival] = []


def arrivals() -> list[Arrival]:
    """The hour's requests, in order."""
    if not _arrivals:
        folder = shared()
        assert folder is not None
        with (folder / "load/azure2023_conv.csv").open(encoding="utf-8", newline="") as file:
            rows = [
                (_moment(r["TIMESTAMP"][:26]), int(r["ContextTokens"]), int(r["GeneratedTokens"]))
                for r in csv.DictReader(file)
            ]
        rows.sort()
        _arrivals.extend(Arrival(at - rows[0][0], read, written) for at, read, written in rows)
    return _arrivals


def _moment(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
