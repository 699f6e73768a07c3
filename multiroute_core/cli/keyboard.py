"""Keyboard: single keys without Enter, on terminals that can; elsewhere it only waits."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections.abc import Callable, Generator


@contextlib.contextmanager
def reading_keys(stop: str) -> Generator[Callable[[float], bool], None, None]:
    """Yield a function that waits for seconds, and returns True at once when a key is pressed.

    Args:
        stop: The keys, such as `"qQ"`.
    """
    try:
        import termios
        import tty

        terminal = sys.stdin.fileno()
        settings = termios.tcgetattr(terminal)
        is_ours = _is_in_foreground(terminal)
    except (AttributeError, ImportError, OSError, ValueError):  # no stdin, Windows, or a pipe
        yield _wait
        return
    except Exception as error:
        if type(error).__module__ != "termios":
            raise
        yield _wait
        return
    if not is_ours:
        yield _wait
        return
    try:
        tty.setcbreak(terminal)  # Ctrl-C still interrupts

        def wait(seconds: float) -> bool:
            until = time.monotonic() + seconds
            while (left := until - time.monotonic()) > 0:
                if not select.select([terminal], [], [], left)[0]:
                    return False
                keys = os.read(terminal, 64)
                if not keys:  # the terminal is gone
                    return True
                if any(key in stop for key in keys.decode("utf-8", "replace")):
                    return True
            return False

        yield wait
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, settings)


def _is_in_foreground(terminal: int) -> bool:
    """Return whether the terminal's keys are for this process; it would be stopped if it changed settings otherwise."""
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:  # it is not the controlling terminal, so no one stops this process
        return True


def _wait(seconds: float) -> bool:
    time.sleep(seconds)
    return False
