"""The long form of the fuzz test: rounds of mutated replies by their seeds, until the time is over."""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import time
import warnings
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, seed, settings

from tests.hostile.mutations import Plan, plans
from tests.hostile.probe import Probe
from tests.hostile.wire_server import WireServer

EVERY_CHECK: Any = list(HealthCheck)  # as it iterates, its members seem to be its metaclass's

EXAMPLES = 200
"""Replies in one round, which one seed decides."""


def run_round(server: WireServer, number: int, outcomes: Counter[str]) -> int:
    """Ask for the replies of one seed, with guards for even ones; how many calls were made."""
    with Probe(server, frameworks=True, guarded=number % 2 == 0) as probe:

        @seed(number)
        @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=EVERY_CHECK)
        @given(plans())
        def ask(plan: Plan) -> None:
            server.reply(*plan.pieces)
            outcomes.update(probe.ask(plan.wire))

        ask()
        probe.check_growth()
        return probe.calls


def work(first: int, step: int, seconds: float, rounds: int | None) -> None:
    """Rounds `first`, `first + step`, … until `seconds` are over, or so many rounds are done."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    until, number, calls = time.monotonic() + seconds, first, 0
    outcomes: Counter[str] = Counter()
    with WireServer() as server:
        while time.monotonic() < until and (rounds is None or number < first + step * rounds):
            try:
                calls += run_round(server, number, outcomes)
            except BaseException:
                print(f"seed {number} failed; replay it with: scripts/fuzz --seed {number}", flush=True)
                raise
            print(f"seed {number} passed; {calls} calls so far: {dict(outcomes.most_common(6))}", flush=True)
            number += step


def main() -> int:
    """Parse the arguments and run; 1 where a round failed."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long to run (600)")
    parser.add_argument("--processes", type=int, default=2, help="how many processes (2)")
    parser.add_argument("--seed", type=int, help="replay the round of one seed")
    parser.add_argument("--first", type=int, default=1, help="the first seed (1)")
    parser.add_argument("--step", type=int, help=argparse.SUPPRESS)
    given_ = parser.parse_args()
    if given_.seed is not None:
        work(given_.seed, 1, float("inf"), 1)
        return 0
    if given_.step is not None:
        work(given_.first, given_.step, given_.seconds, None)
        return 0
    command = [sys.executable, "-m", "tests.hostile", "--seconds", str(given_.seconds), "--step", str(given_.processes)]
    running = [subprocess.Popen([*command, "--first", str(given_.first + n)]) for n in range(given_.processes)]
    return int(max(process.wait() for process in running))


if __name__ == "__main__":
    sys.exit(main())
