"""Batches in sync code: worker threads, fed from the caller's thread.

Only the caller's thread takes prompts, counts and shows progress, so that an iterator and a progress function of the
user run where the user called. The threads are daemons without a pool, which would join them at the interpreter's exit,
and communicate through queues implemented in C, as in `multiroute_core.runtime.threads`.
"""

from __future__ import annotations

import contextvars
import queue
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from multiroute_core.batch.reporter import REFRESH_SECONDS, Reporter
from multiroute_core.batch.results import BatchInterrupted, BatchResults
from multiroute_core.errors import MultiRouteError
from multiroute_core.runtime.deadline import Cancelled, Deadline
from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO
from multiroute_core.runtime.thread_start import start_thread
from multiroute_core.runtime.threads import PARTING_SECONDS, ThreadRunner
from multiroute_core.types import Response

_PENDING = MultiRouteError("Interrupted before this prompt had a response; send it again.")


class CancellableIO(SyncIO):
    """Sync I/O of one call that another thread can cancel.

    Attributes:
        cancelled: Whether it was cancelled.
    """

    def __init__(self, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        super().__init__(clock, self._wait if sleep is time.sleep else sleep)
        self.cancelled = False
        self._deadlines: list[Deadline] = []
        self._alarm: queue.SimpleQueue[None] = queue.SimpleQueue()

    def cancel(self) -> None:
        """Cancel the call: it ends with `Cancelled` as soon as it awaits anything, and what it awaits now ends."""
        self.cancelled = True
        self._alarm.put(None)
        for deadline in tuple(self._deadlines):
            deadline.cancel()

    async def wait(self, limit: Deadline, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self._enter(limit)
        return await super().wait(limit, call, *args, **kwargs)

    async def await_callback(
        self, limit: Deadline, begin: Callable[[Callable[[Any, BaseException | None], None]], None]
    ) -> Any:
        self._enter(limit)
        return await super().await_callback(limit, begin)

    def start(self, generator: Any, limit: Deadline) -> ThreadRunner:
        self._enter(limit)
        return super().start(generator, limit)

    def _enter(self, limit: Deadline) -> None:
        # First listed, then checked; `cancel` does it the other way round. So one of them sees the other.
        if not self._deadlines or self._deadlines[-1] is not limit:
            self._deadlines.append(limit)
        if self.cancelled:
            raise Cancelled

    def _wait(self, seconds: float) -> None:
        try:
            self._alarm.get(timeout=seconds)
        except queue.Empty:
            return
        raise Cancelled


class _Job(NamedTuple):
    """One prompt on its way to a worker."""

    number: int
    prompt: Any
    io: CancellableIO
    context: contextvars.Context


def map_in_threads(
    prompts: Iterable[Any],
    begin: Callable[[CancellableIO, Any], Coroutine[Any, Any, Response]],
    make_io: Callable[[], CancellableIO],
    concurrency: int,
    reporter: Reporter,
) -> BatchResults:
    """Send prompts in threads, and return the results in their order.

    Args:
        prompts: The prompts; the next one is taken when a worker is free.
        begin: Validates one prompt, and returns the call of it under an I/O, not yet begun.
        make_io: Makes the I/O of one call.
        concurrency: The maximum number of calls in flight.
        reporter: Receives the progress.

    Raises:
        BatchInterrupted: The caller's thread was interrupted. The calls in flight were cancelled.
    """
    workers = _Workers(begin, concurrency)
    entries: list[Response | Exception] = []
    try:
        try:
            for index, prompt in enumerate(prompts):
                if workers.is_full:
                    _collect(workers, entries, reporter)
                entries.append(_PENDING)
                workers.submit(_Job(index, prompt, make_io(), contextvars.copy_context()))
            while workers.jobs:
                _collect(workers, entries, reporter)
        finally:
            workers.stop()
    except KeyboardInterrupt as interrupt:
        workers.drain(entries, reporter)
        raise BatchInterrupted(BatchResults(entries, reporter.close())) from interrupt
    except BaseException:
        reporter.close()
        raise
    return BatchResults(entries, reporter.close())


def _collect(workers: _Workers, entries: list[Response | Exception], reporter: Reporter) -> None:
    """Wait until a call has ended, and record it."""
    while True:
        try:
            index, outcome = workers.ended.get(timeout=REFRESH_SECONDS)
        except queue.Empty:
            reporter.refresh()
            continue
        break
    job = workers.jobs.pop(index, None)
    if not isinstance(outcome, Response | Exception):
        raise outcome
    if job is not None:
        entries[index] = outcome
        reporter.record(outcome)


class _Workers:
    """The worker threads of one batch. They do not reference it, so that it can end without them.

    Attributes:
        jobs: The jobs in flight, by index.
        ended: What has ended: a job's number, and a response or an error.
    """

    def __init__(self, begin: Callable[[CancellableIO, Any], Coroutine[Any, Any, Response]], concurrency: int) -> None:
        self.jobs: dict[int, _Job] = {}
        self.ended: queue.SimpleQueue[tuple[int, Response | BaseException]] = queue.SimpleQueue()
        self._begin = begin
        self._concurrency = concurrency
        self._started = 0
        self._inbox: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._gone: queue.SimpleQueue[None] = queue.SimpleQueue()

    @property
    def is_full(self) -> bool:
        """Whether no more calls may start before one has ended."""
        return len(self.jobs) >= self._concurrency

    def submit(self, job: _Job) -> None:
        """Give a job to a worker; start one if all are busy."""
        self.jobs[job.number] = job
        if len(self.jobs) > self._started:
            self._started += 1
            start_thread(partial(_work, self._inbox, self.ended, self._gone, self._begin))
        self._inbox.put(job)

    def drain(self, entries: list[Response | Exception], reporter: Reporter) -> None:
        """Record what has ended meanwhile."""
        while not self.ended.empty():
            index, outcome = self.ended.get_nowait()
            if index in self.jobs and isinstance(outcome, Response | Exception):
                del self.jobs[index]
                entries[index] = outcome
                reporter.record(outcome)

    def stop(self) -> None:
        """End all workers; cancel the calls in flight, and wait for their end for a short time."""
        for _ in range(self._started):
            self._inbox.put(None)
        for job in tuple(self.jobs.values()):
            job.io.cancel()
        until = time.monotonic() + PARTING_SECONDS
        try:
            for _ in range(self._started):
                self._gone.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            pass  # a wrapped model or a hook is busy; its thread ends when it does


def _work(
    inbox: queue.SimpleQueue[_Job | None],
    ended: queue.SimpleQueue[tuple[int, Response | BaseException]],
    gone: queue.SimpleQueue[None],
    begin: Callable[[CancellableIO, Any], Coroutine[Any, Any, Response]],
) -> None:
    try:
        for job in _take(inbox):
            try:
                ended.put((job.number, job.context.run(_send, begin, job.io, job.prompt)))
            except Cancelled:
                pass
            except (
                BaseException
            ) as error:  # passed on to the caller: an error as a value, anything else is raised there
                ended.put((job.number, error))
            del job
    finally:
        gone.put(None)


def _send(
    begin: Callable[[CancellableIO, Any], Coroutine[Any, Any, Response]], io: CancellableIO, prompt: Any
) -> Response:
    call = begin(io, prompt)
    try:
        response = run(call)
    finally:
        call.close()
    if io.cancelled:  # hedged attempts that are cancelled end like empty responses
        raise Cancelled
    return response


def _take(inbox: queue.SimpleQueue[_Job | None]) -> Iterator[_Job]:
    """Yield the jobs until there are no more."""
    while (job := inbox.get()) is not None:
        yield job
