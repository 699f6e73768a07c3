"""Redis multiplexer: one connection for a whole process; a thread batches all commands and detects outages.

How this works:

* Callers put a `Job` into a queue. The thread collects a batch of at most `BATCH` jobs, sends it in one write, reads
  the replies and calls each job's listener. Jobs that arrive meanwhile go into the next batch.
* A lazy job, whose caller does not wait, is delayed by a few milliseconds so that more jobs join its batch.
* The connection keeps the order: a caller that settles and then asks sees the effect of its settlement.
* After a connection error the state is `"down"`: waiting callers get `Down`, later callers do not wait, and `keep` jobs
  are stored and sent when Redis is back. The thread probes Redis with increasing pauses.
* A script is loaded before its first use on a connection and called by its hash; after NOSCRIPT its text is sent.
* The thread ends when its link is closed or garbage-collected. So while it waits, it holds no job that is done: the
  command of a job may reference the link, which would then be collected only after the next job.

Why not a connection pool, and one async client per loop? With a timeout of 20 ms, a burst of a thousand tasks on
redis-py's async pool fails while Redis is healthy: the time that the loop itself needs counts as Redis's. Here the
timeout applies to the socket of a dedicated thread, so that only an unresponsive Redis times out, and DNS lookups and
connects block no caller.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import logging
import os
import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

from multiroute_core.runtime.thread_start import is_started, start
from multiroute_core.state.job import Down, Job, Refused
from multiroute_core.state.scripts import Script

BATCH = 64
"""Maximum number of commands per batch: a few milliseconds of Redis's time. It replies after all of them."""

COMPANY_SECONDS = 0.003
"""How long a lazy job waits to be batched, in seconds."""

KEPT = 10_000
"""Maximum number of jobs kept for later; older ones are dropped, and expire in Redis."""

BEAT_SECONDS = 5.0
"""The idle time in seconds after which Redis is pinged, while no caller waits for it."""

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 5.0
"""Seconds between two probes of an unavailable Redis; each pause is twice as long as the one before."""

STEADY_SECONDS = 10.0
"""After a connection that lasted this many seconds, the first reconnect follows at once."""

PARTING_SECONDS = 0.25
"""How long the exit of the program waits for pending jobs, in seconds."""

AWAY = ("MISCONF", "BUSY", "NOREPLICAS")
"""Error replies without a class in redis-py that mean that Redis cannot serve."""

_log = logging.getLogger("multiroute_core")


class Multiplexer:
    """The thread and its connection. It starts with the first job, if not before.

    Args:
        connect: Returns a connected redis-py connection, or raises.
        where: The name of this Redis in the log, without secrets.
        probe: Commands that show that Redis can serve.

    Attributes:
        pid: The process that it belongs to.
        state: `"starting"` until the first connection succeeds or fails; then `"up"` or `"down"`, and finally
            `"closed"`.
        attempts: The number of connection attempts.
    """

    def __init__(self, connect: Callable[[], Any], *, where: str, probe: tuple[tuple[Any, ...], ...]) -> None:
        self.pid = os.getpid()
        self.attempts = 0
        self.state: Literal["starting", "up", "down", "closed"] = "starting"
        self._connect = connect
        self._where = where
        self._probe = probe
        self._errors: Any = importlib.import_module("redis.exceptions")
        self._inbox: queue.SimpleQueue[Job | None] = queue.SimpleQueue()  # its `put` is safe in a finalizer
        self._kept: deque[Job] = deque(maxlen=KEPT)
        self._loaded: set[str] = set()
        self._since = 0.0
        self._refused = False
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._changing = threading.Lock()

    def put(self, job: Job) -> None:
        """Queue a job; safe in a finalizer."""
        self._inbox.put(job)
        if self.state == "starting":
            self.start()
        elif self.state != "up" and not job.keep:  # the thread may have checked its inbox just before
            job.dropped = True
            job.finish(None, self._reason(is_sent=True))

    def down(self) -> Down | None:
        """Return the error if a caller should not wait; None if Redis may answer."""
        return self._reason() if self.state in ("down", "closed") else None

    def late(self) -> None:
        """Record that a caller timed out on the first connection: no other caller should wait for it."""
        with self._changing:
            if self.state == "starting":
                self._mark_down(TimeoutError("no connection yet"))

    def stop(self, seconds: float) -> None:
        """Send pending jobs, and end. Waits for that, but no longer than `seconds`.

        After that the thread ends by itself, when Redis has answered the pending jobs or has let a timeout pass: a slow
        Redis still receives settlements.
        """
        self._inbox.put(None)
        if (thread := self._thread) is None or not is_started(thread):
            self.state = "closed"
        elif thread.is_alive() and thread is not threading.current_thread():
            thread.join(seconds)

    def start(self) -> None:
        """Start the thread, which connects."""
        if self._starting.locked():  # another thread does
            return
        with self._starting:
            if self._thread is None or not is_started(self._thread):
                # Set before the start: an interrupt must not leave a thread that a second start does not know.
                self._thread = threading.Thread(target=self._run, name="multiroute-redis", daemon=True)
                _living.add(self)
                with contextlib.suppress(RuntimeError):  # the interpreter shuts down: nothing can be sent any more
                    start(self._thread)

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self.state = "closed"
            self._turn_away()

    def _work(self) -> None:
        pause = 0.0
        while True:
            start_time = time.monotonic()
            connection = self._open_connection()
            if connection is not None and not self._served(connection):
                return
            steady = time.monotonic() - start_time >= STEADY_SECONDS and connection is not None
            pause = 0.0 if steady else min(max(FIRST_PAUSE, 2 * pause), LONGEST_PAUSE)
            if not self._rested(pause):
                return

    def _open_connection(self) -> Any:
        """Return a connection on which Redis has answered; None if it is unavailable."""
        self.attempts += 1
        connection: Any = None
        try:
            connection = self._connect()
            connection.send_packed_command(connection.pack_commands(self._probe))
            for _ in self._probe:
                connection.read_response()
        except Exception as error:
            _close(connection)
            self._mark_down(error)
            self._turn_away()
            return None
        self._loaded.clear()
        with self._changing:
            if self.state == "down":
                _log.warning(
                    "Redis at %s is available again after %.1f s.", self._where, time.monotonic() - self._since
                )
            self.state = "up"
        return connection

    def _mark_down(self, error: BaseException) -> None:
        is_auth_error = isinstance(error, self._errors.AuthenticationError)
        if self.state != "down" or (
            is_auth_error and not self._refused
        ):  # waiting does not resolve a rejected password, so it is logged as well
            level = logging.ERROR if is_auth_error else logging.WARNING
            _log.log(
                level,
                "Redis at %s is unavailable (%s: %s); local rules are used. Start it, or correct its address.",
                self._where,
                type(error).__name__,
                error,
            )
        if self.state != "down":
            self.state = "down"
            self._since = time.monotonic()
        self._refused = is_auth_error

    def _rested(self, seconds: float) -> bool:
        """Wait before the next probe; False if the thread should end."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                if (job := self._inbox.get(timeout=left)) is None:
                    return False
                self._put_off(job)
                del job
        return True

    def _turn_away(self) -> None:
        """Fail all queued jobs, so that no caller waits."""
        jobs: list[Job | None] = []
        with contextlib.suppress(queue.Empty):
            while True:
                jobs.append(self._inbox.get_nowait())
        for job in jobs:
            if job is None:
                self._inbox.put(None)
            else:
                self._put_off(job)

    def _put_off(self, job: Job, *, is_sent: bool = False) -> None:
        if job.keep:
            job.maybe_executed = job.maybe_executed or is_sent
            self._kept.append(job)
        job.finish(None, self._reason(is_sent=is_sent))

    def _reason(self, *, is_sent: bool = False) -> Down:
        return Down(
            f"Redis at {self._where} is {'closed' if self.state == 'closed' else 'unavailable'}.", was_sent=is_sent
        )

    def _served(self, connection: Any) -> bool:
        """Process jobs until the connection fails; False if the thread should end."""
        go_on = True
        try:
            while go_on:
                batch, go_on = self._gathered()
                is_up = self._send_batch(connection, batch)
                del batch
                if not is_up:
                    return go_on
            return False
        finally:
            _close(connection)

    def _gathered(self) -> tuple[list[Job], bool]:
        """Return the next batch, and whether more may follow."""
        batch = [self._kept.popleft() for _ in range(min(BATCH // 2, len(self._kept)))]
        until = time.monotonic() + (0.0 if batch else BEAT_SECONDS)
        while len(batch) < BATCH:
            left = until - time.monotonic()
            try:
                job = self._inbox.get(timeout=left) if left > 0 else self._inbox.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return batch, False
            if not job.dropped:
                batch.append(job)
                until = min(until, time.monotonic() + COMPANY_SECONDS) if job.lazy else 0.0
            del job
        return batch or [Job(("PING",))], True

    def _send_batch(self, connection: Any, batch: list[Job]) -> bool:
        """Send a batch and deliver the replies; False if Redis is unavailable."""
        text, senders = self._encode_batch(connection, batch)
        replies: list[Any] = []
        failure: BaseException | None = None
        try:
            connection.send_packed_command((text,))
            for _ in senders:
                replies.append(self._reply(connection))  # noqa: PERF401  (what came before an error counts)
        except Exception as error:
            failure = error
        away = [self._tells_away(reply) for reply in replies]
        if failure is not None or any(away):
            self._mark_down(failure or replies[away.index(True)])
        for number, sender in enumerate(senders):
            if sender is not None:
                if number >= len(replies) or away[number]:
                    self._put_off(sender, is_sent=number >= len(replies))
                else:
                    self._answer(sender, replies[number])
        if self.state == "down":
            self._turn_away()
        return self.state == "up"

    def _encode_batch(self, connection: Any, batch: list[Job]) -> tuple[bytes, list[Job | None]]:
        """Encode a batch; return the bytes and the job of each command. Scripts are loaded before their first use."""
        text: list[bytes] = []
        senders: list[Job | None] = []
        for job in batch:
            try:
                command = job.command(job.maybe_executed) if callable(job.command) else job.command
                script = command[0]
                if isinstance(script, Script):
                    run = ("EVAL", script.text) if job.sends_text else ("EVALSHA", script.sha)
                    command = (*run, len(command[1]), *command[1], *command[2:])
                packed = connection.pack_command(*command)
            except Exception as error:  # a bug of one caller must not affect the others
                job.finish(None, Refused(f"{type(error).__name__}: {error}"))
                continue
            if isinstance(script, Script) and not job.sends_text and script.sha not in self._loaded:
                self._loaded.add(script.sha)
                text.extend(connection.pack_command("SCRIPT", "LOAD", script.text))
                senders.append(None)
            text.extend(packed)
            senders.append(job)
        return b"".join(text), senders

    def _reply(self, connection: Any) -> Any:
        try:
            return connection.read_response()
        except self._errors.ResponseError as error:  # of one command; the connection is intact
            return error

    def _tells_away(self, reply: Any) -> bool:
        errors = self._errors
        if not isinstance(reply, errors.ResponseError):
            return False
        error_types = (errors.ReadOnlyError, errors.OutOfMemoryError, errors.NoPermissionError, errors.AskError)
        return isinstance(reply, (*error_types, errors.ClusterDownError)) or str(reply).startswith(AWAY)

    def _answer(self, job: Job, reply: Any) -> None:
        if isinstance(reply, self._errors.NoScriptError) and not job.sends_text:
            self._loaded.clear()
            job.sends_text = True
            self._kept.appendleft(job)  # sent with the next batch
        elif isinstance(reply, Exception):
            job.finish(None, Refused(f"{type(reply).__name__}: {reply}"))
        else:
            job.finish(reply, None)


def _close(connection: Any) -> None:
    if connection is not None:
        with contextlib.suppress(Exception):
            connection.disconnect()


_living: weakref.WeakSet[Multiplexer] = weakref.WeakSet()


@atexit.register
def _part() -> None:
    """Send pending jobs at the exit of the program, so that settlements still arrive."""
    until = time.monotonic() + PARTING_SECONDS
    for multiplexer in list(_living):
        if multiplexer.pid == os.getpid():
            multiplexer.stop(max(0.0, until - time.monotonic()))
