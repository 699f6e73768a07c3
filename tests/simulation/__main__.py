"""Runs worlds until there were enough requests, or tells the story of one. See scripts/simulate."""

import argparse
import itertools
import logging
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from tests.simulation.laws import judged, told
from tests.simulation.world import World

BATCH = 20
"""Worlds that a process runs before it reports."""


@dataclass
class Tally:
    """What came of some worlds."""

    ends: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    virtual_seconds: float = 0.0
    wrongs: dict[int, list[str]] = field(default_factory=dict)

    def add(self, other: "Tally") -> None:
        self.ends += other.ends
        self.outcomes += other.outcomes
        self.attempts += other.attempts
        self.virtual_seconds += other.virtual_seconds
        self.wrongs |= other.wrongs


def run(seeds: range, users: int) -> Tally:
    """Run some worlds."""
    tally = Tally()
    for seed in seeds:
        world = World(seed, users)
        wrongs = judged(world)
        tally.ends.update(caller.end or "called off before it began" for caller in world.callers)
        tally.outcomes.update(attempt.outcome for caller in world.callers for attempt in caller.attempts)
        tally.attempts += len(world.takes)
        tally.virtual_seconds += world.loop.time()
        if wrongs:
            tally.wrongs[seed] = wrongs
    return tally


def replay(seed: int, users: int, console: Console) -> int:
    """Tell the story of one world."""
    world = World(seed, users)
    console.print(
        f"[bold]World {seed}[/]: {world.settings}; personal data: {world.privacy}; sound: {', '.join(world.sound) or 'none'}"
    )
    for route in world.routes:
        limits = (
            f"rpm {route.rpm}, tpm {route.tpm}, max_concurrency {route.max_concurrency}, quota {route.rate_limit_group}"
        )
        console.print(f"  {route.name}: {limits}, weight {route.weight:g}{', a backup' if route.backup else ''}")
    for route, periods in world.schedule.periods.items():
        for period in periods:
            console.print(
                f"  {route} from {period.since:g} to {period.until:g} s, {period.share:.0%}: {period.behaviour}",
                soft_wrap=True,
            )
        usual = world.schedule.usual
        for weight, behaviour in usual[route] if isinstance(usual, Mapping) else usual:
            console.print(f"  {route} otherwise {weight:.0%}: {behaviour}", soft_wrap=True)
    wrongs = judged(world)
    for caller in sorted(world.by_name.values(), key=lambda c: c.began):
        console.print(told(caller), highlight=False, markup=False, soft_wrap=True)
    for wrong in wrongs:
        console.print(wrong, style="red", markup=False, soft_wrap=True)
    console.print(f"Trace {world.trace()}. {len(wrongs) or 'No'} broken laws.")
    return 1 if wrongs else 0


def simulate(requests: int, first: int, users: int, jobs: int, console: Console) -> int:
    """Run worlds until there were `requests`, in several processes."""
    began, whole = time.perf_counter(), Tally()
    worlds = -(-requests // users)
    batches: Iterator[range] = (
        range(start, min(start + BATCH, first + worlds)) for start in range(first, first + worlds, BATCH)
    )
    columns = (
        TextColumn("requests"),
        BarColumn(None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with ProcessPoolExecutor(jobs) as pool, Progress(*columns, console=console) as progress:
        bar = progress.add_task("requests", total=worlds * users)
        waiting: dict[Future[Tally], int] = {}
        while True:
            for seeds in itertools.islice(batches, 2 * jobs - len(waiting)):
                waiting[pool.submit(run, seeds, users)] = len(seeds)
            if not waiting:
                break
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                whole.add(future.result())
                progress.advance(bar, waiting.pop(future) * users)
    show(whole, time.perf_counter() - began, console)
    for seed, wrongs in sorted(whole.wrongs.items())[:10]:
        console.print(
            f"[red]World {seed}[/]: {len(wrongs)} broken laws, the first: {wrongs[0]}", highlight=False, soft_wrap=True
        )
        console.print(f"  Replay it: scripts/simulate --seed {seed}" + (f" --users {users}" if users != 200 else ""))
    console.print(f"{len(whole.wrongs) or 'No'} worlds broke a law.", style="red" if whole.wrongs else "green")
    return 1 if whole.wrongs else 0


def show(tally: Tally, seconds: float, console: Console) -> None:
    """The table of outcomes."""
    table = Table("request ended", "how often", "share")
    requests = tally.ends.total()
    for end, count in tally.ends.most_common():
        table.add_row(end, f"{count:,}", f"{count / requests:.2%}")
    table.add_row("[bold]all", f"[bold]{requests:,}", "", end_section=True)
    for outcome, count in tally.outcomes.most_common():
        table.add_row(f"attempt: {outcome}", f"{count:,}", f"{count / max(1, tally.outcomes.total()):.2%}")
    console.print(table)
    console.print(
        f"{requests:,} requests, {tally.attempts:,} calls to providers, {tally.virtual_seconds / 3600:,.0f} hours of "
        f"virtual time in {seconds:.0f} s: {requests / seconds:,.0f} requests a second."
    )


def simulate_money(given: argparse.Namespace, console: Console) -> int:
    """Run worlds of money, in several processes."""
    from tests.simulation.money import run as run_money

    worlds = range(given.seed, given.seed + 1) if given.seed is not None else range(-(-given.requests // given.users))
    batches = [worlds[start : start + BATCH] for start in range(0, len(worlds), BATCH)]
    counts, broken = Counter[str](), dict[int, list[str]]()
    began = time.perf_counter()
    quiet = {"initializer": logging.disable, "initargs": (logging.WARNING,)}  # each world warns of its budget
    with ProcessPoolExecutor(given.jobs, **quiet) as pool, Progress(console=console) as progress:
        bar = progress.add_task("worlds", total=len(worlds))
        for seeds, (more, wrongs) in zip(
            batches, pool.map(run_money, batches, itertools.repeat(given.users)), strict=True
        ):
            counts += more
            broken |= wrongs
            progress.advance(bar, len(seeds))
    table = Table("what", "how often")
    for name, count in sorted(counts.items()):
        table.add_row(name, f"{count:,}")
    console.print(table)
    requests = len(worlds) * given.users
    console.print(f"{requests:,} requests in {len(worlds):,} worlds, {time.perf_counter() - began:.0f} s.")
    for seed, wrongs in sorted(broken.items())[:10]:
        console.print(f"[red]World {seed}[/]: {wrongs[0]}", highlight=False, soft_wrap=True)
        console.print(f"  Replay it: scripts/simulate --money --seed {seed} --users {given.users}")
    console.print(f"{len(broken) or 'No'} worlds broke a law.", style="red" if broken else "green")
    return 1 if broken else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000, help="how many requests (100000)")
    parser.add_argument("--first", type=int, default=0, help="the first world's seed (0)")
    parser.add_argument("--users", type=int, default=200, help="requests in a world (200)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    parser.add_argument("--seed", type=int, help="tell the story of this one world")
    parser.add_argument("--hedging", action="store_true", help="what hedging does to a heavy tail")
    parser.add_argument("--money", action="store_true", help="budgets, charges and the ledger, in dialects")
    given = parser.parse_args()
    console = Console()
    if given.money:
        return simulate_money(given, console)
    if given.hedging:
        from tests.simulation.hedging import show as show_hedging

        return show_hedging(console)
    if given.seed is not None:
        return replay(given.seed, given.users, console)
    return simulate(given.requests, given.first, given.users, given.jobs, console)


if __name__ == "__main__":
    sys.exit(main())
