"""Support for tests, drills and benchmarks.

To test a fallback chain: scripted routes (`scripted_route`, with `behaviours`), routes and servers that speak the
`dialects` of real providers, including their failures, schedules of `faults`, and `virtual` time, in which hours pass
in a second. Also: `recorded` provider traffic, a `server` that replays it, and an emulator of Anthropic's
`prompt_cache`.
"""

from typing import TYPE_CHECKING

from multiroute_core._util.lazy import attach

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
    from multiroute_core.testing.faults import QUANTUM, FaultPeriod, Mix, Schedule, outage, random_schedule
    from multiroute_core.testing.prompt_cache import InvalidPromptError, PromptCacheEmulator
    from multiroute_core.testing.scripted import RecordedCall, Script, ScriptedProvider, provider_of, scripted_route
    from multiroute_core.testing.server import Drop, Received, ReplayServer, Reply, Serving
    from multiroute_core.testing.virtual import Deadlock, Timed, VirtualClock, VirtualLoop, run, run_in_virtual_time
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "behaviours": (
                "Answer Behaviour DropConnection EnforceContextWindow Fail Hang IncomingCall SlowAnswer "
                "SlowStream Step rate_limited"
            ),
            "dialects": "DIALECTS DialectServer Failure dialect_route",
            "faults": "QUANTUM FaultPeriod Mix Schedule outage random_schedule",
            "scripted": "RecordedCall Script ScriptedProvider provider_of scripted_route",
            "prompt_cache": "InvalidPromptError PromptCacheEmulator",
            "server": "Drop Received ReplayServer Reply Serving",
            "virtual": "Deadlock Timed VirtualClock VirtualLoop run run_in_virtual_time",
        },
    )

__all__ = [
    "DIALECTS",
    "QUANTUM",
    "Answer",
    "Behaviour",
    "Deadlock",
    "DialectServer",
    "Drop",
    "DropConnection",
    "EnforceContextWindow",
    "Fail",
    "Failure",
    "FaultPeriod",
    "Hang",
    "IncomingCall",
    "InvalidPromptError",
    "Mix",
    "PromptCacheEmulator",
    "Received",
    "RecordedCall",
    "ReplayServer",
    "Reply",
    "Schedule",
    "Script",
    "ScriptedProvider",
    "Serving",
    "SlowAnswer",
    "SlowStream",
    "Step",
    "Timed",
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
