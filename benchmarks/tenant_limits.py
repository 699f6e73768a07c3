"""Limits per tenant in a fleet: how many calls four processes admit, and whether one tenant's flood costs the others.

    python -m benchmarks.tenant_limits            # from the repository's root; about a minute
    python -m benchmarks.tenant_limits --quick    # fewer and shorter rounds

Four processes share one Valkey on this machine. The provider is in each process and answers at once, so that what is
measured is the router and its limits. The latencies with and without the flood come from turns of the same run: compare
the ratios, not the milliseconds. The exit code is 1 if a tenant was admitted more often than its limit allows, which
does not depend on the machine; a latency that misses its target says `short`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from multiroute_core import Limit, LimitExceededError, Router
from multiroute_core.state.redis import RedisState
from multiroute_core.testing import Answer, scripted_route
from tests.redis_servers import running

FORK = multiprocessing.get_context("fork")
PROCESSES = 4
THREADS = 3
TENANTS = ("first", "second", "third")
RPM = 300
"""The limit of each tenant while they are counted."""
FLOOD_RPM = 1_200
FLOOD = 20
"""How many times its limit the flooding tenant calls."""
CALLS_PER_SECOND = 25.0
"""How often each process calls for each of the other tenants."""
RATIO = 1.2
TOLERANCE = 0.1
"""Calls in the worst span: the clock of Redis is adjusted to the world's, and that of the processes is not."""

Span = tuple[float, float]


def build_router(url: str, prefix: str, *limits: Limit) -> Router:
    """A router of one process of the fleet. A busy machine is not taken for a Redis that is away."""
    state = RedisState(url, prefix=prefix, timeout=10.0)
    return Router([scripted_route("provider", Answer("ok"))], state=state, limit=limits)


def call_without_pause(url: str, seconds: float, barrier: Any, results: Any) -> None:
    """One process: calls for all tenants as often as it can; sends the span of each admitted call, and the attempts."""
    router = build_router(url, "count", Limit(rpm=RPM, concurrency=1_000))
    admitted: dict[str, list[Span]] = {tenant: [] for tenant in TENANTS}
    attempts = [0] * THREADS * len(TENANTS)
    barrier.wait(60)
    until = time.monotonic() + seconds

    def work(number: int) -> None:
        tenant = TENANTS[number % len(TENANTS)]
        while (start := time.monotonic()) < until:
            attempts[number] += 1
            try:
                router.generate("Hi", tenant=tenant)
            except LimitExceededError:
                continue
            admitted[tenant].append((start, time.monotonic()))

    run_threads([threading.Thread(target=work, args=(number,)) for number in range(len(attempts))])
    results.put((sum(attempts), admitted))
    router.close()


def run_threads(threads: Sequence[threading.Thread]) -> None:
    """Start threads and wait for them."""
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def run_processes(target: Any, *arguments: Any) -> list[Any]:
    """Run a function in each process of the fleet, from a common start; what each has sent."""
    barrier, results = FORK.Barrier(PROCESSES), FORK.SimpleQueue()
    workers = [FORK.Process(target=target, args=(*arguments, barrier, results)) for _ in range(PROCESSES)]
    for worker in workers:
        worker.start()
    sent = [results.get() for _ in workers]
    for worker in workers:
        worker.join(60)
    return sent


def largest_excess(spans: list[Span], rpm: float) -> float:
    """By how many calls the admitted ones exceed the burst and the rate, in the worst span of time; 0 or less is right.

    A call was admitted somewhere between its start and its end, so a span of time reaches from the earliest start of
    its calls to their latest end.
    """
    spans = sorted(spans)
    excess = -rpm
    for first, (begin, _) in enumerate(spans):
        latest = begin
        for last in range(first, len(spans)):
            latest = max(latest, spans[last][1])
            excess = max(excess, last - first + 1 - rpm - rpm / 60.0 * (latest - begin))
    return excess


def count(url: str, seconds: float) -> tuple[list[tuple[str, ...]], bool]:
    """The rows of the count, and whether no tenant was admitted too often."""
    sent = run_processes(call_without_pause, url, seconds)
    rows: list[tuple[str, ...]] = []
    is_right = True
    for tenant in TENANTS:
        spans = [span for _, admitted in sent for span in admitted[tenant]]
        elapsed = max(end for _, end in spans) - min(start for start, _ in spans)
        allowed = RPM + RPM / 60.0 * elapsed
        excess = largest_excess(spans, RPM)
        is_tenant_right = excess <= TOLERANCE and len(spans) <= allowed
        is_right &= is_tenant_right
        rows.append(
            (tenant, f"{len(spans):,}", f"{allowed:,.1f}", f"{excess:,.1f}", "" if is_tenant_right else "too many")
        )
    rows.append(("calls in all", f"{sum(attempts for attempts, _ in sent):,}", "", "", ""))
    return rows, is_right


def call_beside_a_flood(url: str, rounds: int, seconds: float, barrier: Any, results: Any) -> None:
    """One process: calls for two tenants at a steady pace; in every second round a third one floods."""
    router = build_router(
        url,
        "flood",
        Limit(rpm=FLOOD_RPM, concurrency=1_000, scope_values=["flood"], name="flood"),
        Limit(rpm=60_000, concurrency=1_000, scope_values=["calm", "other"], name="others"),
    )
    latencies: tuple[list[float], list[float]] = ([], [])
    flood_counts = [0, 0]
    dice = random.Random()

    def due_times(per_second: float, until: float) -> Iterator[float]:
        """Wait for each random arrival, so that the callers do not march in step; what is late comes at once."""
        due = time.monotonic()
        while (due := due + dice.expovariate(per_second)) < until:
            time.sleep(max(0.0, due - time.monotonic()))
            yield due

    def pace(tenant: str, until: float, into: list[float]) -> None:
        for _ in due_times(CALLS_PER_SECOND, until):
            start = time.perf_counter()
            router.generate("Hi", tenant=tenant)
            into.append(time.perf_counter() - start)

    def flood(until: float) -> None:
        for _ in due_times(FLOOD * FLOOD_RPM / 60.0 / PROCESSES, until):
            flood_counts[0] += 1
            try:
                router.generate("Hi", tenant="flood")
                flood_counts[1] += 1
            except LimitExceededError:
                pass

    for tenant in ("calm", "other"):
        router.generate("Hi", tenant=tenant)
    # The flood has used up its burst before the first round: from then on most of its calls are refused.
    for _ in range(FLOOD_RPM):
        try:
            router.generate("Hi", tenant="flood")
        except LimitExceededError:
            break
    for number in range(rounds):
        barrier.wait(60)
        until = time.monotonic() + seconds
        threads = [
            threading.Thread(target=pace, args=(tenant, until, latencies[number % 2])) for tenant in ("calm", "other")
        ]
        if number % 2:
            threads.append(threading.Thread(target=flood, args=(until,)))
        run_threads(threads)
    results.put((latencies, flood_counts))
    router.close()


def flood(url: str, rounds: int, seconds: float) -> list[tuple[str, ...]]:
    """The rows of the latencies of other tenants with and without a flood."""
    sent = run_processes(call_beside_a_flood, url, rounds, seconds)
    alone, beside = ([value for latencies, _ in sent for value in latencies[which]] for which in (0, 1))
    rows: list[tuple[str, ...]] = []
    for name, place in (("p50", 49), ("p95", 94)):
        before, after = (statistics.quantiles(values, n=100)[place] * 1000.0 for values in (alone, beside))
        ratio = after / before
        verdict = "" if ratio <= RATIO else "short"
        rows.append((name, f"{before:.2f} ms", f"{after:.2f} ms", f"{ratio:.2f}", verdict))
    total, admitted = (sum(counts[which] for _, counts in sent) for which in (0, 1))
    rows.append(("calls", f"{len(alone):,}", f"{len(beside):,}", "", f"flood: {total:,} calls, {admitted:,} admitted"))
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Print both tables; 1 if a tenant was admitted too often."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    is_quick = parser.parse_args(arguments).quick
    console = Console()
    with running("valkey") as server:
        counts, is_right = count(server.unix_url, 2.0 if is_quick else 10.0)
        title = f"{PROCESSES} processes, {RPM} requests per minute for each tenant"
        print_table(console, title, ("tenant", "admitted", "allowed", "excess in the worst span", ""), counts)
        latencies = flood(server.unix_url, 4 if is_quick else 20, 1.0 if is_quick else 2.0)
        title = f"calls of other tenants beside a flood of {FLOOD} times its limit (at most {RATIO} times as long)"
        print_table(console, title, ("", "without", "with the flood", "ratio", ""), latencies)
    return 0 if is_right else 1


def print_table(console: Console, title: str, heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print a table."""
    table = Table(*heads, title=title, title_justify="left", box=None)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print()


if __name__ == "__main__":
    sys.exit(main())
