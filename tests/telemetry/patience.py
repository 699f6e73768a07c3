"""Clocks for what is sent later: one that the test turns, and waiting for what other threads do."""

import threading
import time

from multiroute_core.telemetry.outbox import Timing


class Clock:
    """A clock that goes on only while an outbox sleeps, and notes for how long it slept."""

    def __init__(self):
        self.now, self.slept = 1000.0, []

    def __call__(self):
        return self.now

    def sleep(self, condition, seconds):
        self.slept.append(seconds)
        self.now += seconds
        condition.wait(0.002)  # which lets go of the lock, as a real sleep does

    @property
    def timing(self):
        return Timing(clock=self, random=lambda: 1.0, sleep=self.sleep)


def eventually(true, seconds=20.0):
    """Wait until something is true; it is asserted."""
    until = time.monotonic() + seconds
    while not true() and time.monotonic() < until:
        time.sleep(0.01)
    assert true()


def outboxes():
    """The threads that send."""
    return {thread for thread in threading.enumerate() if thread.name == "multiroute-outbox"}
