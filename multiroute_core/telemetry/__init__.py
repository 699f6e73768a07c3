"""Telemetry: hooks and exporters that send events and records to other systems.

Hooks: `OpenTelemetry`, `PrometheusMetrics`, Python's logging (`LogEvents`), and a `Webhook` for budget alerts.
Exporters of ledger records: `BigQuery` and `JSONLines`.

Example:
    >>> ledger = Ledger("sqlite:///ledger.db", export=[JSONLines("calls.jsonl")])  # doctest: +SKIP
    >>> router = Router(routes, ledger=ledger, on_event=[LogEvents(), OpenTelemetry()])  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

from multiroute_core._util.lazy import attach

if TYPE_CHECKING:
    from multiroute_core.telemetry.bigquery import BigQuery
    from multiroute_core.telemetry.gauges import MeteredRouter
    from multiroute_core.telemetry.jsonl import JSONLines
    from multiroute_core.telemetry.log import LogEvents
    from multiroute_core.telemetry.otel import OpenTelemetry
    from multiroute_core.telemetry.outbox import DeliveryResult, Outbox, Timing
    from multiroute_core.telemetry.prometheus import PrometheusMetrics
    from multiroute_core.telemetry.signature import SignatureError, verify_signature
    from multiroute_core.telemetry.webhook import Webhook
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "bigquery": "BigQuery",
            "gauges": "MeteredRouter",
            "jsonl": "JSONLines",
            "log": "LogEvents",
            "otel": "OpenTelemetry",
            "outbox": "DeliveryResult Outbox Timing",
            "prometheus": "PrometheusMetrics",
            "signature": "SignatureError verify_signature",
            "webhook": "Webhook",
        },
    )

__all__ = [
    "BigQuery",
    "DeliveryResult",
    "JSONLines",
    "LogEvents",
    "MeteredRouter",
    "OpenTelemetry",
    "Outbox",
    "PrometheusMetrics",
    "SignatureError",
    "Timing",
    "Webhook",
    "verify_signature",
]
