"""One request of the request log: its attempts and timings, and its prompt and answer where content is captured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from multiroute_core.display import card
from multiroute_core.display.blocks import Bar, Block, Cell, Paragraph, Table
from multiroute_core.display.displayable import Displayable
from multiroute_core.display.numbers import NOTHING, seconds, usd
from multiroute_core.report import formats
from multiroute_core.types import Attempt

_TITLES = ("route", "outcome", "starts", "takes", "first token", "tokens", "cost", "time line")


@dataclass(frozen=True, slots=True)
class RequestRecord(Displayable):
    """One request. It prints as a table of its attempts, with a time line.

    Attributes:
        request_id: The request's id, as in events and in the ledger.
        started_at: When it started, in seconds since 1970.
        state: `"running"`, `"success"`, `"cached"`, `"failed"`, or `"cancelled"`: the caller left, or a stream was not
            read to its end.
        seconds: Its duration; None while it runs.
        route: The route that answered, or was tried last; empty if there was none.
        model: The model of that route.
        attempts: Its attempts, in the order in which they ended.
        offsets: For each attempt, the seconds from the start of the request to its own.
        cost: The known cost of all attempts, in USD; None if none is known.
        error: The error in one sentence; None for none.
        stream: Whether the response is streamed.
        tenant: Its tenant.
        task: Its task.
        labels: Its labels, sorted.
        prompt: The messages as `(role, text)`; None unless content is captured.
        answer: The text of the response; None without one, or unless content is captured.
    """

    request_id: str
    started_at: float
    state: Literal["running", "success", "cached", "failed", "cancelled"]
    seconds: float | None = None
    route: str = ""
    model: str = ""
    attempts: tuple[Attempt, ...] = ()
    offsets: tuple[float, ...] = ()
    cost: float | None = None
    error: str | None = None
    stream: bool = False
    tenant: str | None = None
    task: str | None = None
    labels: tuple[str, ...] = ()
    prompt: tuple[tuple[str, str], ...] | None = field(default=None, repr=False)
    answer: str | None = field(default=None, repr=False)

    def _display(self) -> list[Block]:
        heading = self._heading()
        table = Table(_TITLES, self._rows(), (0, 1, 7), title=heading) if self.attempts else Paragraph(heading)
        content = [
            paragraph
            for role, text in self._content()
            for paragraph in (Paragraph(f"{role}:", strong=True), Paragraph(text))
        ]
        return [table, *content]

    def _heading(self) -> str:
        parts = [f"Request {formats.name(self.request_id)}: {self.state} at {formats.clock(self.started_at)} UTC"]
        if self.seconds is not None:
            parts.append(f"after {seconds(self.seconds)}")
        if self.cost is not None:
            parts.append(usd(self.cost))
        about = {"tenant": self.tenant, "task": self.task, "labels": ", ".join(self.labels)}
        parts += [f"{name} {formats.name(value)}" for name, value in about.items() if value]
        if self.error:
            parts.append(" ".join(self.error.split()))
        return "; ".join(parts)

    def _rows(self) -> list[tuple[Cell, ...]]:
        ends = [offset + attempt.seconds for offset, attempt in zip(self.offsets, self.attempts, strict=True)]
        whole = max([*ends, self.seconds or 0.0, 1e-9])
        rows: list[tuple[Cell, ...]] = []
        for attempt, offset in zip(self.attempts, self.offsets, strict=True):
            usage = attempt.usage
            outcome = card.mark_outcome(attempt.outcome)
            rows.append(
                (
                    formats.name(attempt.route),
                    outcome,
                    seconds(offset),
                    seconds(attempt.seconds),
                    seconds(attempt.first_token_seconds),
                    NOTHING if usage is None else f"{usage.input_tokens or 0:,} + {usage.output_tokens or 0:,}",
                    NOTHING if attempt.cost is None else usd(attempt.cost),
                    Bar(offset / whole, (offset + attempt.seconds) / whole, outcome.tone),
                )
            )
        return rows

    def _content(self) -> list[tuple[str, str]]:
        """Return titles and texts: the errors of attempts, and what was captured."""
        errors = [(f"error of {attempt.route}", attempt.error) for attempt in self.attempts if attempt.error]
        answer = [] if self.answer is None else [("answer", self.answer)]
        return [*errors, *(self.prompt or ()), *answer]


def sum_cost(attempts: Sequence[Attempt]) -> float | None:
    """Return the known cost of attempts in USD; None if none is known."""
    costs = [attempt.cost for attempt in attempts if attempt.cost is not None]
    return sum(costs) if costs else None
