"""Support for tests, drills and benchmarks.

To test a fallback chain: scripted routes (`scripted_route`, with `behaviours`), routes and servers that speak the
`dialects` of real providers, including their failures, schedules of `faults`, and `virtual` time, in which hours pass
in a second. Also: `recorded` provider traffic, and a `server` that replays it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiroute_core.testing.behaviours import (
        Answer,
        Behaviour,
        DropConnection,
        EnforceContextWindow,
        Fail,
        Hang,
        IncomingCall,
        SlowAnswer,
        SlowStream,
        Step,
        rate_limited,
    )
    from multiroute_core.testing.dialects import DIALECTS, DialectServer, Failure, dialect_route
    from multiroute_core.testing.faults import QUANTUM, Schedule, Spell, outage, random_schedule
    from multiroute_core.testing.scripted import RecordedCall, ScriptedProvider, provider_of, scripted_route
    from multiroute_core.testing.virtual import Deadlock, VirtualClock, VirtualLoop, run, run_in_virtual_time

__all__ = [
    "DIALECTS",
    "QUANTUM",
    "Answer",
    "Behaviour",
    "Deadlock",
    "DialectServer",
    "DropConnection",
    "EnforceContextWindow",
    "Fail",
    "Failure",
    "Hang",
    "IncomingCall",
    "RecordedCall",
    "Schedule",
    "ScriptedProvider",
    "SlowAnswer",
    "SlowStream",
    "Spell",
    "Step",
    "VirtualClock",
    "VirtualLoop",
    "dialect_route",
    "outage",
    "provider_of",
    "random_schedule",
    "rate_limited",
    "run",
    "run_in_virtual_time",
    "scripted_route",
]

_ROOMS = ("behaviours", "dialects", "faults", "scripted", "virtual")


def __getattr__(name: str) -> Any:
    """Imports public names on first access."""
    for room in _ROOMS if name in __all__ else ():
        if hasattr(module := importlib.import_module(f"{__name__}.{room}"), name):
            return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
