"""A start of a thread is interrupted at each of its steps; tests/interrupts does so at random, with signals."""

import dis
import sys
import threading
import time
from types import FrameType

import pytest

from multiroute_core.runtime.thread_start import is_started, start

SECONDS = 30.0


class Interrupt:
    """Interrupts this thread in the module `threading`, at the `number`th place where CPython would handle a signal.

    These are the beginnings of functions, and the end of each call; elsewhere a lock of a `with` statement could stay
    locked, which no signal can cause.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.has_happened = False
        self.previous: dict[FrameType, str] = {}

    def __enter__(self) -> None:
        sys.settrace(self.trace)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def trace(self, frame: FrameType, event: str, _: object):
        if frame.f_globals.get("__name__") != "threading" or self.has_happened:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            previous = self.previous.get(frame, "RESUME")
            self.previous[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            if previous.startswith(("CALL", "RESUME")):
                self.number -= 1
                if self.number < 0:
                    self.has_happened = True
                    raise KeyboardInterrupt
        return self.trace


def interrupt_start(number: int) -> tuple[threading.Thread, bool, bool]:
    """Return the thread, whether it did its work, and whether the start was interrupted."""
    runs: list[None] = []
    thread = threading.Thread(target=lambda: runs.append(None), daemon=True)
    interrupt = Interrupt(number)
    try:
        with interrupt:
            start(thread)
    except KeyboardInterrupt:
        pass
    if is_started(thread):
        end = time.monotonic() + SECONDS
        while thread in threading.enumerate() and time.monotonic() < end:
            time.sleep(0.001)
    return thread, bool(runs), interrupt.has_happened


def test_an_interrupted_start_leaves_a_thread_that_ends_or_none():
    outcomes = set()
    for number in range(200):
        thread, has_run, was_interrupted = interrupt_start(number)
        assert thread not in threading.enumerate(), number
        assert has_run is is_started(thread), number
        outcomes.add((was_interrupted, has_run))
        if not was_interrupted:
            break
    assert outcomes == {(True, False), (True, True), (False, True)}  # no run, a run all the same, not interrupted


@pytest.mark.parametrize("place", ["listed", "created"])
def test_a_wrapped_start_is_read_too(monkeypatch: pytest.MonkeyPatch, place: str):
    """Tracers replace `Thread.start` by their own."""
    original = threading.Thread.start

    def traced(thread: threading.Thread) -> None:
        if place == "listed":
            raise KeyboardInterrupt
        original(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", traced)
    thread = threading.Thread(target=lambda: None, daemon=True)
    with pytest.raises(KeyboardInterrupt):
        start(thread)
    assert is_started(thread) is (place == "created")
    if is_started(thread):
        thread.join(SECONDS)
    assert thread not in threading.enumerate()
