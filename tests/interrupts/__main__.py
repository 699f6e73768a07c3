"""Interrupts calls at random moments, and forks beside threads that call. See scripts/interrupts."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from tests.interrupts.upstream import upstream
from tests.interrupts.worker import MODES

ROOT = Path(__file__).parent.parent.parent
A_PROCESS = 125
"""Interrupts in one process."""


def run_worker(module: str, *arguments: object, seconds: float = 600.0) -> tuple[dict, str]:
    """What a process reports, and what it has written to its standard error."""
    command = [sys.executable, "-m", f"tests.interrupts.{module}", *map(str, arguments)]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        return {"wrongs": {"?": [f"it hangs for more than {seconds:g} s"]}}, str(error.stderr or "")
    try:
        report = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        report = {"wrongs": {"?": [f"it ended with {done.returncode}", done.stderr[-2000:]]}}
    return report, done.stderr


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/interrupts", description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="interrupts that reach a call (default: 2000)")
    parser.add_argument("--forks", type=int, default=200, help="forks (default: 200)")
    parser.add_argument("--seed", type=int, default=None, help="the first seed (default: by the clock)")
    parser.add_argument("--mode", choices=MODES, action="append", help="only these calls")
    parser.add_argument("--how", choices=("signal", "thread"), action="append", help="only these interrupts")
    parser.add_argument("--only", type=int, default=None, help="replay the interrupt or fork with this number")
    given = parser.parse_args()
    seed = int(time.time()) % 1_000_000 if given.seed is None else given.seed
    modes, hows = given.mode or MODES, given.how or ("signal", "signal", "signal", "thread")
    wrong, caught, done, turn, began = 0, 0, 0, 0, time.monotonic()
    with upstream() as server:
        while caught < given.count:
            mode, how = modes[turn % len(modes)], hows[(turn // len(modes)) % len(hows)]
            report, _ = run_worker("worker", mode, how, seed + turn, A_PROCESS, server.url, *_only(given.only))
            caught, done = caught + report.get("caught", 0), done + report.get("done", 0)
            for number, found in report["wrongs"].items():
                wrong += 1
                replay = f"--mode {mode} --how {how} --seed {seed + turn} --only {number} --count 1 --forks 0"
                print(f"{mode}, {how}: {'; '.join(found)}\n    scripts/interrupts {replay}")
            turn += 1
            if given.only is not None:
                break
        forks, calls = 0, 0
        while forks < given.forks:
            count = min(50, given.forks - forks)
            report, stacks = run_worker("forks", seed + forks, count, server.url, *_only(given.only))
            forks, calls = forks + count, calls + report.get("calls", 0)
            for number, found in report["wrongs"].items():
                wrong += 1
                print(f"fork {number} of seed {seed + forks - count}: {'; '.join(found)}")
            if report["wrongs"] and stacks:
                print(stacks, file=sys.stderr)
    print(
        f"{caught} interrupts in {caught + done} calls of {turn} processes, {forks} forks beside {calls} calls, "
        f"seed {seed}, {time.monotonic() - began:.0f} s: {wrong} left something behind."
    )
    return 1 if wrong else 0


def _only(number: int | None) -> list[int]:
    return [] if number is None else [number]


if __name__ == "__main__":
    sys.exit(main())
