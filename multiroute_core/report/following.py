"""Following a ledger: the requests that have ended since the last look, each once, with all of its attempts. Pure.

A ledger holds attempts. A request has ended when one of them has an answer, or when no further attempt has come for a
while. Routers write in batches, so records come late and out of order: each look goes back a little, and what was
reported before is skipped.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from multiroute_core.ledger.record import Record
from multiroute_core.report.tally import RecordRow

OVERLAP_SECONDS = 60.0
"""How far each look goes back, in seconds: writers queue records for less than this."""

QUIET_SECONDS = 30.0
"""After this many seconds without a further attempt, a request without an answer has failed."""

_ANSWERED = frozenset({"success", "cached"})


@dataclass(frozen=True, slots=True)
class FinishedRequest:
    """A request that has ended.

    Attributes:
        last: Its last attempt: the one with the answer, if there is one.
        attempts: All of its attempts, in the order of their ends.
    """

    last: Record | RecordRow
    attempts: tuple[Record | RecordRow, ...]

    @property
    def cost(self) -> float | None:
        """What all attempts cost, in USD; None if none is known."""
        costs = [
            cost for one in self.attempts if (cost := one.cost if one.charged is None else one.charged) is not None
        ]
        return sum(costs) if costs else None


@dataclass(slots=True)
class Follower:
    """Collects the attempts of a ledger into requests.

    Attributes:
        answered: The ids of the requests with an answer that were returned, with the time of it.
        failed: Likewise of those without one.
    """

    answered: dict[str, float] = field(default_factory=dict[str, float])
    failed: dict[str, float] = field(default_factory=dict[str, float])

    def collect(self, records: Iterable[Record | RecordRow], now: float) -> list[FinishedRequest]:
        """Return the requests that have ended, in the order of their ends.

        Each is returned once, unless an answer comes after it seemed to have failed.

        Args:
            records: The attempts since `find_start(now)`, or more.
            now: The time in seconds since 1970.
        """
        attempts: dict[str, list[Record | RecordRow]] = {}
        for record in records:
            if record.request_id not in self.answered:
                attempts.setdefault(record.request_id, []).append(record)
        finished: list[FinishedRequest] = []
        for request_id, of_request in attempts.items():
            of_request.sort(key=lambda one: one.ended_at)
            answer = next((one for one in of_request if one.outcome in _ANSWERED), None)
            last = answer or of_request[-1]
            if answer is not None:
                self.answered[request_id] = last.ended_at
            elif request_id not in self.failed and now - last.ended_at >= QUIET_SECONDS:
                self.failed[request_id] = last.ended_at
            else:
                continue
            finished.append(FinishedRequest(last, tuple(of_request)))
        for reported in (self.answered, self.failed):  # what the next look does not read again
            for name in [name for name, ended_at in reported.items() if ended_at < find_start(find_start(now))]:
                del reported[name]
        return sorted(finished, key=lambda one: one.last.ended_at)


def find_start(now: float) -> float:
    """Return from when on the attempts are needed, in seconds since 1970."""
    return now - OVERLAP_SECONDS - QUIET_SECONDS
