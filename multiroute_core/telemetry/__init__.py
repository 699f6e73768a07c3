"""Hooks that tell other systems what happens: OpenTelemetry, and Python's own logging.

Example:
    >>> router = Router(routes, on_event=[LogEvents(), OpenTelemetry()])  # doctest: +SKIP
"""

from multiroute_core.telemetry.log import LogEvents
from multiroute_core.telemetry.otel import OpenTelemetry

__all__ = ["LogEvents", "OpenTelemetry"]
