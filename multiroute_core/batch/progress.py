"""Progress of a batch: its counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from multiroute_core.display import numbers


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How far a batch is.

    Attributes:
        done: Prompts that have a response or an error.
        total: All prompts; None if their number is unknown, as that of a generator.
        failed: Prompts that have an error.
        cached: Prompts answered from the router's cache.
        cost: Known cost of the responses, in USD.
        unknown_costs: Responses whose cost is unknown.
        seconds: Since the batch started.

    Example:
        >>> BatchProgress(done=50, total=200, seconds=10.0).remaining_seconds
        30.0
    """

    done: int = 0
    total: int | None = None
    failed: int = 0
    cached: int = 0
    cost: float = 0.0
    unknown_costs: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Prompts per second so far; 0.0 before the first one is done."""
        return self.done / self.seconds if self.done and self.seconds > 0 else 0.0

    @property
    def remaining_seconds(self) -> float | None:
        """Estimated seconds until the last prompt is done; None if unknown."""
        if self.total is None or not self.done:
            return None
        return max(0, self.total - self.done) * self.seconds / self.done

    def details(self) -> str:
        """Describe failures, cache hits and cost, such as `3 failed, 12 cached, $0.42`."""
        parts = [f"{self.failed:,} failed"] if self.failed else []
        if self.cached:
            parts.append(f"{self.cached:,} cached")
        if self.done > self.failed:
            parts.append(describe_cost(self.cost, self.unknown_costs))
        return ", ".join(parts)

    def __str__(self) -> str:
        total = "" if self.total is None else f" of {self.total:,}"
        parts = [f"{self.done:,}{total} done", f"{self.rate:,.1f}/s"]
        if details := self.details():
            parts.append(details)
        if (left := self.remaining_seconds) is not None and self.done != self.total:
            parts.append(f"{duration(left)} left")
        return ", ".join(parts)


def describe_cost(known: float, unknown_costs: int) -> str:
    """Describe a sum in USD of which `unknown_costs` parts are unknown: `$0.42`, `$0.42 + ?`, `cost unknown`."""
    if not unknown_costs:
        return numbers.usd(known)
    return f"{numbers.usd(known)} + ?" if known else "cost unknown"


def duration(seconds: float) -> str:
    """Format a duration as `12.3 s`, `3:07` or `1:02:45`."""
    if seconds < 60:
        return numbers.seconds(seconds)
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


class Display(Protocol):
    """Shows progress. Methods are called on the caller's thread or event loop."""

    def show(self, progress: BatchProgress, *, final: bool) -> None:
        """Show the progress; `final` if the batch is over."""
        ...
