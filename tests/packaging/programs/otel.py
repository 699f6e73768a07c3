"""Spans and metrics go to the API of OpenTelemetry, which drops them without an SDK."""

from opentelemetry import trace

from multiroute_core import Router
from multiroute_core.telemetry import OpenTelemetry
from multiroute_core.testing import Answer, rate_limited, scripted_route

routes = [scripted_route("first", rate_limited(retry_after=5)), scripted_route("second", Answer("I am here."))]
with Router(routes, on_event=[OpenTelemetry()]) as router, trace.get_tracer("test").start_as_current_span("caller"):
    assert router.generate("Is anybody there?").route == "second"
