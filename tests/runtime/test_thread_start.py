"""A start of a thread is interrupted at each of its steps; tests/interrupts does so at random, with signals."""

import threading
import time

import pytest

from multiroute_core.runtime.thread_start import is_started, start
from tests.interrupts.steps import Interrupt

SECONDS = 30.0


def interrupt_start(number: int) -> tuple[threading.Thread, bool, bool]:
    """Return the thread, whether it did its work, and whether the start was interrupted."""
    runs: list[None] = []
    thread = threading.Thread(target=lambda: runs.append(None), daemon=True)
    interrupt = Interrupt(number, "threading")
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
