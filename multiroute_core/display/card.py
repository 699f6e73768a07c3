"""Cards: one response or one attempt, with its figures and a timeline of the attempts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from multiroute_core.display.blocks import Bar, Cell, Mark, Paragraph, Table
from multiroute_core.display.numbers import NOTHING, UNKNOWN, seconds, usd
from multiroute_core.display.text import shorten

MOST_LINES = 40
"""Lines of an answer that a card shows."""

MOST_CHARACTERS = 3_000
"""Characters of an answer that a card shows."""

LONGEST_ERROR = 160
"""Characters of an attempt's error that a card shows."""


class ShownAttempt(Protocol):
    """What a card needs to know of an attempt: the fields of `multiroute_core.Attempt`."""

    @property
    def route(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def first_token_seconds(self) -> float | None: ...
    @property
    def started_after(self) -> float | None: ...
    @property
    def cost(self) -> float | None: ...
    @property
    def charged(self) -> float | None: ...
    @property
    def dropped(self) -> tuple[str, ...]: ...
    @property
    def error(self) -> str | None: ...


def excerpt(text: str) -> Paragraph:
    """Return the text of an answer, shortened if it is long; a line at its end then says by how much."""
    text = text.strip("\n")
    shown = "\n".join(text[:MOST_CHARACTERS].split("\n")[:MOST_LINES])
    if len(shown) == len(text):
        return Paragraph(text)
    return Paragraph(f"{shown} …\n[{len(text) - len(shown):,} more characters in .text]")


def facts(*entries: tuple[str, Cell]) -> Table:
    """Return a table of one row: titles with their values; empty values are left out."""
    shown = [(title, value) for title, value in entries if value]
    return Table([title for title, _ in shown], [[value for _, value in shown]], range(len(shown)))


def tokens(
    input_tokens: int | None, output_tokens: int | None, cache_read: int | None = None, reasoning: int | None = None
) -> str:
    """Format token counts: `1,200 in (800 from the provider's cache), 85 out (60 reasoning)`."""
    if input_tokens is None and output_tokens is None:
        return UNKNOWN
    read = f" ({cache_read:,} from the provider's cache)" if cache_read else ""
    thought = f" ({reasoning:,} reasoning)" if reasoning else ""
    return f"{_count(input_tokens)} in{read}, {_count(output_tokens)} out{thought}"


def prompt_cache_saving(saving: float | None) -> str:
    """Format what a provider's prompt cache saved: `saved $0.02`, or `cost $0.01 more`; empty for nothing."""
    if not saving:
        return ""
    return f"saved {usd(saving)}" if saving > 0 else f"cost {usd(-saving)} more"


def mark_outcome(outcome: str) -> Mark:
    """Return an attempt's outcome for a table."""
    words = outcome.replace("_", " ")
    if outcome == "success":
        return Mark("✓", words, "good")
    if outcome == "cached":
        return Mark("✓", words, "accent")
    return Mark("–", words, "soft") if outcome == "cancelled" else Mark("✗", words, "bad")


def timeline(attempts: Sequence[ShownAttempt]) -> Table:
    """Return the attempts of one request as a table with one bar each, all on the same scale.

    The light part of a bar is the time until the first token of a stream. Without a known start, an attempt is drawn
    where the one before it ended.
    """
    starts: list[float] = []
    end = 0.0
    for attempt in attempts:
        start = end if attempt.started_after is None else attempt.started_after
        starts.append(start)
        end = max(end, start + attempt.seconds)
    rows = [_attempt_row(attempt, start, end or 1.0) for attempt, start in zip(attempts, starts, strict=True)]
    titles = ("attempt", "outcome", f"0 to {seconds(end)}", "time", "cost", "")
    return Table(titles, rows, (0, 1, 2, 5), optional=("",))


def _attempt_row(attempt: ShownAttempt, start: float, end: float) -> tuple[Cell, ...]:
    outcome = mark_outcome(attempt.outcome)
    first = attempt.first_token_seconds
    begin = start if first is None else start + min(first, attempt.seconds)
    bar = Bar(begin / end, (start + attempt.seconds) / end, outcome.tone, None if first is None else start / end)
    remarks = [shorten(attempt.error, LONGEST_ERROR)] if attempt.error else []
    if attempt.dropped:
        remarks.append(f"dropped: {', '.join(attempt.dropped)}")
    return attempt.route, outcome, bar, seconds(attempt.seconds), _attempt_cost(attempt), "; ".join(remarks)


def _attempt_cost(attempt: ShownAttempt) -> str:
    if attempt.cost is not None:
        return usd(attempt.cost)
    if attempt.charged is not None:
        return f"about {usd(attempt.charged)}"
    return UNKNOWN if attempt.outcome == "success" else NOTHING


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"
