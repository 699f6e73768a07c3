"""Content of a report as text and table rows, independent of the output format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from multiroute_core.display.numbers import NOTHING, decimal_places, format_count, seconds, share, short, usd
from multiroute_core.report.figures import ReportData, Slice
from multiroute_core.report.formats import cost, moment, name, period

MOST_ROWS = 12
"""Maximum groups per section; the others are merged into one row."""


@dataclass(frozen=True, slots=True)
class Headline:
    """A key figure at the top: its title, the figure, and a comment."""

    title: str
    figure: str
    detail: str


@dataclass(frozen=True, slots=True)
class Section:
    """One table.

    Attributes:
        title: The table's title.
        heads: The column headers.
        rows: The cells.
        words: The columns with text; the others contain numbers.
        bars: The start and end of each row's bar, from 0 to 1; empty for no bars.
        mark: What the bars show: an amount, a range of times, or a count of errors.
        least: The number of columns that stay on the narrowest terminal.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[int, ...] = (0,)
    bars: tuple[tuple[float, float], ...] = ()
    mark: Literal["bar", "range", "bad"] = "bar"
    least: int = 1


def title(report: ReportData) -> str:
    """Returns the period of the report."""
    if report.first is None or report.last is None:
        return "No records" + _describe_period(report)
    return period(report.first, report.last)


def _describe_period(report: ReportData) -> str:
    since = "" if report.since is None else f" from {moment(report.since)}"
    until = "" if report.until is None else f" until {moment(report.until)}"
    return f"{since}{until} UTC" if since or until else ""


def headlines(report: ReportData) -> tuple[Headline, ...]:
    """Returns the key figures; empty if no records exist."""
    total = report.total
    requests = report.requests
    if report.first is None:
        return ()
    paid_answers = total.answers - total.cached
    if total.unknown:
        each = "some prices are unknown" if total.cost else "no price is known"
    else:
        each = f"{usd(total.cost / paid_answers)} per paid answer" if total.cost and paid_answers else "no charges"
    return (
        Headline("Spent", cost(total), each),
        Headline(
            "Saved by the cache",
            usd(total.saved_cost),
            f"{share(total.cached, total.answers)} of answers" if total.cached else "no answers from the cache",
        ),
        *_prompt_cache(total),
        Headline("Requests", f"{requests.count:,}", f"{share(requests.answered, requests.count)} answered"),
        Headline(
            "Rescued by another attempt",
            f"{requests.rescued:,}",
            f"{requests.tried_again:,} needed more than one attempt"
            if requests.tried_again
            else "no request needed a second attempt",
        ),
        Headline(
            "Unanswered",
            f"{requests.failed + requests.cancelled:,}",
            f"{requests.failed:,} failed, {requests.cancelled:,} cancelled by the caller",
        ),
        Headline(
            "Tokens", short(total.tokens), f"{short(total.input_tokens)} input, {short(total.output_tokens)} output"
        ),
    )


def _prompt_cache(total: Slice) -> tuple[Headline, ...]:
    """Returns the figure of the providers' prompt caches; none if they changed no cost."""
    saving = total.prompt_cache_saving
    if not saving:
        return ()
    reads = f"{share(total.cache_read_tokens, total.input_tokens)} of input tokens were cache reads"
    if saving < 0:
        return (Headline("Added by prompt caching", usd(-saving), reads),)
    return (Headline("Saved by prompt caching", usd(saving), reads),)


def notes(report: ReportData) -> tuple[str, ...]:
    """Returns sentences that qualify the figures."""
    total = report.total
    sentences = list[str]()
    if report.first is None:
        sentences.append("The ledger has no records of this period.")
    if total.unknown:
        unpriced = [name(group.name) for group in report.models if group.unknown]
        listed = ", ".join(unpriced[:5]) + (f" and {len(unpriced) - 5} more" if len(unpriced) > 5 else "")
        sentences.append(
            f"{format_count(total.unknown, 'attempt has', 'attempts have')} an unknown cost, so actual "
            "spending is higher than shown. "
            f"Models: {listed}."
        )
    if total.estimated:
        cost_note = f", {usd(total.estimated_cost)} of the spending" if total.estimated_cost else ""
        sentences.append(
            f"{format_count(total.estimated, 'attempt was', 'attempts were')} interrupted, so tokens and cost are "
            f"estimates{cost_note}."
        )
    if total.wasted:
        sentences.append(f"{usd(total.wasted)} was spent on failed or cancelled attempts.")
    if report.dropped:
        sentences.append(
            f"The ledger dropped {format_count(report.dropped, 'record')}, which these figures do not include."
        )
    return tuple(sentences)


def sections(report: ReportData) -> tuple[Section, ...]:
    """Returns all non-empty tables."""
    tables: list[Section] = []
    for what, groups in (
        ("model", report.models),
        ("provider", report.providers),
        ("route", report.routes),
        ("tenant", report.tenants),
        ("label", report.labels),
        ("task", report.tasks),
    ):
        if any(group.name is not None for group in groups):
            several = what == "label" and sum(group.attempts for group in groups) > report.total.attempts
            head = "By label (an attempt with several labels counts for each)" if several else f"By {what}"
            tables.append(_costs(head, groups, report.total))
    if report.latencies:
        tables.append(_latency(report))
    if report.failures:
        tables.append(_failures(report))
    return tuple(tables)


def _costs(head: str, groups: Sequence[Slice], total: Slice) -> Section:
    slices = list(groups)
    if len(groups) > MOST_ROWS + 1:
        slices = [*groups[:MOST_ROWS], _together(groups[MOST_ROWS:])]
    places = decimal_places(group.cost for group in slices)
    most = max(group.cost for group in slices)
    return Section(
        title=head,
        heads=("", "cost", "share", "answers", "failed", "tokens"),
        rows=tuple(
            (
                name(group.name),
                cost(group, places),
                share(group.cost, total.cost) if group.cost or not group.unknown else NOTHING,
                f"{group.answers:,}",
                f"{group.failed:,}",
                short(group.tokens),
            )
            for group in slices
        ),
        bars=tuple((0.0, group.cost / most) for group in slices) if most > 0 else (),
    )


def _together(groups: Sequence[Slice]) -> Slice:
    names = [field.name for field in fields(Slice) if field.name != "name"]
    sums = {each: sum(getattr(group, each) for group in groups) for each in names}
    return Slice(f"{len(groups):,} others", **sums)


def _latency(report: ReportData) -> Section:
    latencies = report.latencies[:MOST_ROWS]
    longest = max(latency.p95 for latency in latencies) or 1.0
    return Section(
        title="Latency by route",
        heads=("", "answers", "median", "p95", "first token", "p95"),
        rows=tuple(
            (
                name(latency.route),
                f"{latency.answers:,}",
                seconds(latency.median),
                seconds(latency.p95),
                seconds(latency.first_token_median),
                seconds(latency.first_token_p95),
            )
            for latency in latencies
        ),
        bars=tuple((latency.median / longest, latency.p95 / longest) for latency in latencies),
        mark="range",
    )


def _failures(report: ReportData) -> Section:
    failures = report.failures[:MOST_ROWS]
    others = report.failures[MOST_ROWS:]
    tries = {group.name: group.attempts for group in report.routes}
    rows = [
        (
            name(failure.route),
            name(failure.kind).replace("_", " "),
            f"{failure.count:,}",
            share(failure.count, tries.get(failure.route, 0)),
        )
        for failure in failures
    ]
    if others:
        rows.append((f"{len(others):,} others", NOTHING, f"{sum(failure.count for failure in others):,}", NOTHING))
    most = max(failure.count for failure in report.failures)
    return Section(
        title="Errors",
        heads=("", "error", "attempts", "share of route"),
        rows=tuple(rows),
        words=(0, 1),
        bars=(*((0.0, failure.count / most) for failure in failures), *([(0.0, 0.0)] if others else [])),
        mark="bad",
    )
