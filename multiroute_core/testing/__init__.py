"""Support for tests, drills and benchmarks.

To drill a chain: routes that do what a script says (`scripted_route`, with `behaviours`), routes and servers that speak
the `dialects` of real providers, failures included, schedules of `faults`, and `virtual` time in which hours pass in a
second. Besides: `recorded` provider traffic, and a `server` that replays it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiroute_core.testing.behaviours import (
        Answer,
        Asked,
        Behaviour,
        Cut,
        Drip,
        Fail,
        Hang,
        Step,
        Window,
        rate_limited,
        slow,
    )
    from multiroute_core.testing.dialects import DIALECTS, DialectServer, Failure, dialect_route
    from multiroute_core.testing.faults import QUANTUM, Schedule, Spell, outage, random_schedule
    from multiroute_core.testing.scripted import ScriptedProvider, Take, scripted_route, truth
    from multiroute_core.testing.virtual import Deadlock, VirtualClock, VirtualLoop, rehearse, run

__all__ = [
    "DIALECTS",
    "QUANTUM",
    "Answer",
    "Asked",
    "Behaviour",
    "Cut",
    "Deadlock",
    "DialectServer",
    "Drip",
    "Fail",
    "Failure",
    "Hang",
    "Schedule",
    "ScriptedProvider",
    "Spell",
    "Step",
    "Take",
    "VirtualClock",
    "VirtualLoop",
    "Window",
    "dialect_route",
    "outage",
    "random_schedule",
    "rate_limited",
    "rehearse",
    "run",
    "scripted_route",
    "slow",
    "truth",
]

_ROOMS = ("behaviours", "dialects", "faults", "scripted", "virtual")


def __getattr__(name: str) -> Any:
    """The public names, each loaded when it is first asked for."""
    for room in _ROOMS if name in __all__ else ():
        if hasattr(module := importlib.import_module(f"{__name__}.{room}"), name):
            return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
