"""One connection to Redis for a whole process: a thread sends what everybody asks for, and judges how Redis is.

Why not a pool, and one async client a loop? With 20 ms for an operation, a burst of a thousand tasks on redis-py's
async pool fails while Redis is well: the time that the loop needs itself is taken for Redis's. Here the time limit
stands on the socket of a thread that does nothing else, so that only a silent Redis is called silent. Addresses are
resolved and connections made where nobody waits for them. What comes while a batch is on its way leaves with the next
one; what nobody waits for waits a few milliseconds for company. And one connection keeps the order: who settles and
then asks is answered by what was settled.
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

from multiroute_core.runtime.run_sync import start
from multiroute_core.state.job import Down, Job, Refused
from multiroute_core.state.scripts import Script

BATCH = 64
"""How many commands are sent at once at most: a few milliseconds of Redis's time. It replies when it has done them."""

COMPANY_SECONDS = 0.003
"""How long what nobody waits for waits for company."""

KEPT = 10_000
"""How much is kept for later at most; what is older is given up, and lapses in Redis."""

BEAT_SECONDS = 5.0
"""After so long without a command Redis is asked whether it is there, while nobody waits for it."""

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 5.0
"""Seconds between two probes of a Redis that is away; each pause is twice as long as the one before."""

STEADY_SECONDS = 10.0
"""Who was there for so long is not fickle: the first probe follows at once."""

PARTING_SECONDS = 0.25
"""How long the end of the program waits for what is still to be sent."""

AWAY = ("MISCONF", "BUSY", "NOREPLICAS")
"""Error replies that have no class in redis-py, and tell that Redis cannot serve."""

_log = logging.getLogger("multiroute_core")


class Multiplexer:
    """The thread and its connection. It starts with the first job, if not before.

    Args:
        connect: Gives a connection of redis-py that is connected, or raises.
        where: What the log calls this Redis: no secrets.
        probe: Commands that show that Redis can serve.

    Attributes:
        pid: The process that it belongs to.
        state: `"starting"` until it is known how Redis is; then `"up"` or `"down"`, and `"closed"` in the end.
        attempts: How often a connection was tried.
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
        """Have it sent; safe in a finalizer."""
        self._inbox.put(job)
        if self.state == "starting":
            self.start()
        elif self.state != "up" and not job.keep:  # the thread may have looked into its inbox just before
            job.dropped = True
            job.tell(None, self._reason(is_sent=True))

    def down(self) -> Down | None:
        """Why nothing is to be waited for; None where there may be an answer."""
        return self._reason() if self.state in ("down", "closed") else None

    def late(self) -> None:
        """Somebody has waited in vain for the first connection: nobody else shall."""
        with self._changing:
            if self.state == "starting":
                self._mark_down(TimeoutError("no connection yet"))

    def stop(self, seconds: float) -> None:
        """Send what is there, and end. It is waited for, but for no longer than `seconds`."""
        self._inbox.put(None)
        if (thread := self._thread) is None:
            self.state = "closed"
        elif thread.is_alive() and thread is not threading.current_thread():
            thread.join(seconds)

    def start(self) -> None:
        """Begin to connect."""
        if self._starting.locked():  # somebody else does
            return
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="multiroute-redis", daemon=True)
                _living.add(self)
                with contextlib.suppress(RuntimeError):  # the interpreter ends: nothing can be sent any more
                    start(thread)
                self._thread = thread

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
        """A connection that Redis has answered on; None where there is none to be had."""
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
                _log.warning("Redis at %s is back after %.1f s.", self._where, time.monotonic() - self._since)
            self.state = "up"
        return connection

    def _mark_down(self, error: BaseException) -> None:
        is_auth_error = isinstance(error, self._errors.AuthenticationError)
        if self.state != "down" or (
            is_auth_error and not self._refused
        ):  # waiting does not mend that, so it is told as well
            level = logging.ERROR if is_auth_error else logging.WARNING
            _log.log(level, "Redis at %s is away (%s: %s): local rules.", self._where, type(error).__name__, error)
        if self.state != "down":
            self.state = "down"
            self._since = time.monotonic()
        self._refused = is_auth_error

    def _rested(self, seconds: float) -> bool:
        """Wait before the next probe; False where it is time to end."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                if (job := self._inbox.get(timeout=left)) is None:
                    return False
                self._put_off(job)
        return True

    def _turn_away(self) -> None:
        """Let nobody wait for what does not come."""
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
            job.again = job.again or is_sent
            self._kept.append(job)
        job.tell(None, self._reason(is_sent=is_sent))

    def _reason(self, *, is_sent: bool = False) -> Down:
        return Down(f"Redis at {self._where} is {'closed' if self.state == 'closed' else 'away'}.", was_sent=is_sent)

    def _served(self, connection: Any) -> bool:
        """Carry jobs until the connection fails; False where it is time to end."""
        go_on = True
        try:
            while go_on:
                batch, go_on = self._gathered()
                if not self._send_batch(connection, batch):
                    return go_on
            return False
        finally:
            _close(connection)

    def _gathered(self) -> tuple[list[Job], bool]:
        """The next jobs, and whether there will be more."""
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
        return batch or [Job(("PING",))], True

    def _send_batch(self, connection: Any, batch: list[Job]) -> bool:
        """Send a batch and tell the replies; False where Redis is away."""
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
        """A batch as bytes, and whose its commands are; scripts go before their first use."""
        text: list[bytes] = []
        senders: list[Job | None] = []
        for job in batch:
            try:
                command = job.command(job.again) if callable(job.command) else job.command
                script = command[0]
                if isinstance(script, Script):
                    run = ("EVAL", script.text) if job.whole else ("EVALSHA", script.sha)
                    command = (*run, len(command[1]), *command[1], *command[2:])
                packed = connection.pack_command(*command)
            except Exception as error:  # a bug of one caller, and no other's
                job.tell(None, Refused(f"{type(error).__name__}: {error}"))
                continue
            if isinstance(script, Script) and not job.whole and script.sha not in self._loaded:
                self._loaded.add(script.sha)
                text.extend(connection.pack_command("SCRIPT", "LOAD", script.text))
                senders.append(None)
            text.extend(packed)
            senders.append(job)
        return b"".join(text), senders

    def _reply(self, connection: Any) -> Any:
        try:
            return connection.read_response()
        except self._errors.ResponseError as error:  # of one command; the connection is well
            return error

    def _tells_away(self, reply: Any) -> bool:
        errors = self._errors
        if not isinstance(reply, errors.ResponseError):
            return False
        error_types = (errors.ReadOnlyError, errors.OutOfMemoryError, errors.NoPermissionError, errors.AskError)
        return isinstance(reply, (*error_types, errors.ClusterDownError)) or str(reply).startswith(AWAY)

    def _answer(self, job: Job, reply: Any) -> None:
        if isinstance(reply, self._errors.NoScriptError) and not job.whole:
            self._loaded.clear()
            job.whole = True
            self._kept.appendleft(job)  # it leaves with the next batch
        elif isinstance(reply, Exception):
            job.tell(None, Refused(f"{type(reply).__name__}: {reply}"))
        else:
            job.tell(reply, None)


def _close(connection: Any) -> None:
    if connection is not None:
        with contextlib.suppress(Exception):
            connection.disconnect()


_living: weakref.WeakSet[Multiplexer] = weakref.WeakSet()


@atexit.register
def _part() -> None:
    """The program ends: what is settled should still arrive."""
    until = time.monotonic() + PARTING_SECONDS
    for multiplexer in list(_living):
        if multiplexer.pid == os.getpid():
            multiplexer.stop(max(0.0, until - time.monotonic()))
