"""Jobs that run at once, each in a thread of its own; none of them keeps the program from ending."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence

from multiroute_core.runtime.thread_start import start_thread


def run_at_once(jobs: Sequence[Callable[[], object]], on_done: Callable[[int], object] = lambda _: None) -> None:
    """Run all jobs at once, and wait for all of them.

    Args:
        jobs: Functions that raise nothing.
        on_done: Called in this thread with the number of jobs that are done.
    """
    finished: queue.SimpleQueue[None] = queue.SimpleQueue()

    def start(job: Callable[[], object]) -> None:
        def work() -> None:
            try:
                job()
            finally:
                finished.put(None)

        start_thread(work)

    for job in jobs:
        start(job)
    for number in range(1, len(jobs) + 1):
        finished.get()
        on_done(number)
