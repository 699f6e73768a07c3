"""Telemetry: hooks and exporters that send events and records to other systems.

Hooks: `OpenTelemetry`, Python's logging (`LogEvents`), and a `Webhook` for budget alerts. Exporters of ledger records:
`BigQuery` and `JSONLines`.

Example:
    >>> ledger = Ledger("sqlite:///ledger.db", export=[JSONLines("calls.jsonl")])  # doctest: +SKIP
    >>> router = Router(routes, ledger=ledger, on_event=[LogEvents(), OpenTelemetry()])  # doctest: +SKIP
"""

from multiroute_core.telemetry.bigquery import BigQuery
from multiroute_core.telemetry.jsonl import JSONLines
from multiroute_core.telemetry.log import LogEvents
from multiroute_core.telemetry.otel import OpenTelemetry
from multiroute_core.telemetry.webhook import Webhook

__all__ = ["BigQuery", "JSONLines", "LogEvents", "OpenTelemetry", "Webhook"]
