"""Interrupts at a chosen step: where chance would need a million calls."""

import dis
import sys
from types import FrameType


class Interrupt:
    """Interrupts this thread in some modules, at the `number`th place where CPython would handle a signal.

    These are the beginnings of functions, and the end of each call; elsewhere a lock of a `with` statement could stay
    locked, which no signal can cause.
    """

    def __init__(self, number: int, *modules: str) -> None:
        self.number = number
        self.modules = modules
        self.has_happened = False
        self.previous: dict[FrameType, str] = {}

    def __enter__(self) -> None:
        sys.settrace(self.trace)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def trace(self, frame: FrameType, event: str, _: object):
        if frame.f_globals.get("__name__") not in self.modules or self.has_happened:
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
