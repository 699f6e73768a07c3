"""What 542 real incidents would have cost: one provider alone, fallbacks without a memory, and MultiRoute.

    python -m benchmarks.outages                       # from the repository's root; about three minutes
    python -m benchmarks.outages --requests 20000      # less of each incident
    python -m benchmarks.outages --plot outages.png    # a picture as well
    python -m benchmarks.outages --since 2023-10-24    # only while all three services kept books

Three routes, one for each vendor, in this order: `openai:gpt-6.1-sol`, `anthropic:claude-sonnet-5-5`,
`google:gemini-3.8-flash`, at their real prices. They fail when OpenAI, Anthropic and Character.AI really did (see
`benchmarks.incidents` for the data), and everybody is asked for streams at the moments of a real service's arrivals.
It all happens on virtual time: the years pass in minutes, and a run with the same numbers ends the same.

What is real: when an incident began and ended, how grave the status page called it, what its title says; when requests
come, and their tokens. What is modelled:

* *How an incident shows itself.* Of the calls, 5 % are hit at level "none", 30 % at "minor" (the weight that status
  pages give to a partial outage), 80 % at "major", all at "critical" and in maintenance. That is more than the pages'
  own accounts of outage minutes say (next to none, 2 %, 22 % and 43 % of such incidents' time). What hits a call
  follows from the title: where it speaks of latency or of degraded performance, half of the calls hang and half begin
  15 s late; where it speaks of an outage, 20 % hang, 40 % cannot connect, 40 % get a 500; else 5 % hang, 35 % get
  "overloaded" and 60 % a 500.
* *Which incidents count.* All, also those of a provider's web site: the API is taken to fail with it. Google's are not
  in the data; Character.AI's stand for them. Of the early years only OpenAI's are known, so `--since`.
* *Health.* A healthy provider begins to answer in 0.4 s and 0.2 ms for each token of the prompt, and writes a token in
  15 ms; all three alike. Nobody has rate limits.
* *What is left out.* Of the time between two changes of the incidents, the beginning and the end are simulated at the
  full rate of arrivals, and the end stands for the middle. In the middle nobody asks, but time passes: breaks end.

Everybody gives a call 30 s to begin and a request 300 s in all, which is MultiRoute's default and a favour to the
others: the SDKs' own is 600 s a call. The SDKs' retries wait as they do (0.5 s, doubling, up to 8 s). A provider is up
unless it has an incident of level "major" or above. Added latency is that of first tokens, against the same requests
without outages, over those that were answered. Nothing fails here: what misses its target says `short`.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import drill, incidents
from benchmarks.drill import CONTESTANTS, OURS, Outcome
from benchmarks.incidents import ROUTES, History, Stretch, arrivals
from multiroute_core import Route
from multiroute_core.pricing.prices import Prices

ANSWERED, EXTRA = 0.9999, 0.02
"""The targets."""

SECONDS_OF_A_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Account:
    """Some outcomes, each counted as often as it stands for.

    Attributes:
        answered: The share of requests that was answered.
        while_up: The same of those that came while a provider was up.
        mean: Added seconds to the first token.
        high: Its 99th percentile less that of the same requests without outages.
        extra: Calls over one for each request.
        cost: USD for a thousand answers.
    """

    answered: float
    while_up: float
    mean: float
    high: float
    extra: float
    cost: float

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> Self:
        """Add up."""
        asked = list(outcomes)
        answered = [one for one in asked if one.answered]
        up = [one for one in asked if one.stretch.up]
        return cls(
            _mean(asked, lambda one: one.answered),
            _mean(up, lambda one: one.answered),
            _mean(answered, lambda one: one.added),
            _high(answered, lambda one: one.healthy + one.added) - _high(answered, lambda one: one.healthy),
            _mean(asked, lambda one: one.attempts) - 1,
            _mean(answered, lambda one: one.cost) * 1000,
        )

    def cells(self) -> list[str]:
        """As a row of the table."""
        shares = [_share(self.answered), _share(self.while_up)]
        return [*shares, f"+{self.mean:.2f} s", f"+{self.high:.2f} s", f"{self.extra:+.2%}", f"${self.cost:.3f}"]

    @property
    def met(self) -> bool:
        """Whether it is what is wanted."""
        return self.while_up >= ANSWERED and self.extra <= EXTRA


def _mean(outcomes: Sequence[Outcome], value: Callable[[Outcome], float]) -> float:
    whole = sum(one.stretch.weight for one in outcomes)
    return sum(one.stretch.weight * value(one) for one in outcomes) / whole if whole else math.nan


def _high(outcomes: Sequence[Outcome], value: Callable[[Outcome], float], share: float = 0.99) -> float:
    left = share * sum(one.stretch.weight for one in outcomes)
    for one in (ordered := sorted(outcomes, key=value)):
        left -= one.stretch.weight
        if left <= 0:
            return value(one)
    return value(ordered[-1]) if ordered else math.nan


def _share(share: float) -> str:
    return "100 %" if share == 1 else f"{min(share, 0.9999999):.5%}"


def measure(history: History, stretches: Sequence[Stretch], names: Sequence[str]) -> dict[str, list[Outcome]]:
    """Everybody through everything."""
    parts = (SpinnerColumn(), BarColumn(30), TextColumn("{task.percentage:.0f} %"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*parts, TextColumn("{task.description}"), console=console, transient=True) as progress:
        task = progress.add_task("", total=len(names) * len(stretches))
        outcomes: dict[str, list[Outcome]] = {}
        for name in names:
            progress.update(task, description=name)
            outcomes[name] = drill.live(CONTESTANTS[name], history, stretches, lambda: progress.advance(task))
        return outcomes


def show(history: History, outcomes: dict[str, list[Outcome]], seconds: float) -> None:
    """The table, and how it is to be read."""
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores"
    first = next(iter(ROUTES.values()))
    asked = next(iter(outcomes.values()))
    days = history.seconds / SECONDS_OF_A_DAY
    title = f"{len(history.incidents)} incidents in {days:.0f} days; {machine}; {seconds:.0f} s"
    table = Table("", title=title, title_justify="left")
    heads = ("success", "while one was up", "first token, mean", "p99", "extra calls", "1000 answers")
    for head in heads:
        table.add_column(head, justify="right")
    for name, found in outcomes.items():
        table.add_row(name, *Account.of(found).cells())
    table.add_section()
    table.add_row(
        f"[dim]while {first} has an incident ({_mean(asked, lambda one: one.stretch.troubled):.1%} of the time)[/]"
    )
    for name, found in outcomes.items():
        table.add_row(name, *Account.of(one for one in found if one.stretch.troubled).cells())
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    prices = Prices()
    alone = 1000 * _mean(
        asked, lambda one: prices.cost_on(Route(first, api_key="none"), arrivals()[one.number].usage) or 0.0
    )
    unanswered = ", ".join(str(sum(not one.answered for one in found)) for found in outcomes.values())
    down = 1 - _mean(asked, lambda one: one.stretch.up)
    console.print(
        f"{len(asked)} requests were simulated for everybody; unanswered, in the order of the rows: {unanswered}. No "
        f"provider was up for {down:.3%} of the time. Without outages a thousand answers cost ${alone:.3f}.",
        style="dim",
    )
    if OURS in outcomes:
        verdict = "[green]met[/]" if Account.of(outcomes[OURS]).met else "[red]short[/]"
        console.print(
            f"Target: {ANSWERED:.2%} answered while one was up, at no more than {EXTRA:.0%} extra calls: {verdict}."
        )


def draw(outcomes: dict[str, list[Outcome]], path: Path) -> None:
    """The picture: who answered when, and who waited how long."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 5), layout="constrained")
    when, late = figure.subplots(1, 2)
    for number, (name, found) in enumerate(outcomes.items()):
        style = {"label": name, "color": f"C{number}", "linewidth": 2.5 if name == OURS else 1.5}
        months: defaultdict[datetime, list[Outcome]] = defaultdict(list)
        for one in found:
            moment = datetime.fromtimestamp(one.stretch.since, UTC)
            months[datetime(moment.year, moment.month, 1, tzinfo=UTC)].append(one)
        when.plot(list(months), [100 * _mean(month, lambda one: one.answered) for month in months.values()], **style)
        added = sorted((one.added if one.answered else math.inf, one.stretch.weight) for one in found)
        whole = left = sum(weight for _, weight in added)
        steps: list[tuple[float, float]] = []
        for seconds, weight in added:
            left -= weight
            if 0.05 < seconds < math.inf:
                steps.append((seconds, 100 * left / whole))
        late.plot([x for x, _ in steps], [y for _, y in steps], drawstyle="steps-post", **style)
    when.set(title="Answered, by month", ylabel="% of requests")
    late.set(
        title="First token late by more than …", xlabel="seconds", ylabel="% of requests (unanswered ones included)"
    )
    late.set(xscale="log", yscale="log", ylim=(1e-3, 10))
    for axes in (when, late):
        axes.grid(alpha=0.3)
    when.legend(loc="lower left", fontsize="small")
    figure.savefig(path, dpi=130)


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate, and show."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=60_000, help="about how many are simulated for each contestant")
    parser.add_argument("--since", type=datetime.fromisoformat, help="only incidents from this day on, as 2023-10-24")
    parser.add_argument("--seed", type=int, default=0, help="of the choice which calls an incident hits")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write a picture, as PNG, SVG or PDF")
    parser.add_argument("--only", action="append", choices=[*CONTESTANTS], help="only this contestant; may be repeated")
    chosen = parser.parse_args(arguments)
    folder = incidents.shared()
    if folder is None:
        sys.exit("The data is not there: set MULTIROUTE_SHARED to the folder that holds data/outages and data/load.")
    began = time.perf_counter()
    history = History(incidents.incidents(folder, chosen.since), chosen.seed)
    names = [name for name in CONTESTANTS if not chosen.only or name in chosen.only]
    outcomes = measure(history, history.stretches(chosen.requests), names)
    show(history, outcomes, time.perf_counter() - began)
    if chosen.plot is not None:
        draw(outcomes, chosen.plot)


if __name__ == "__main__":
    main()
