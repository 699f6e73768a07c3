"""Exposition: series as text in Prometheus's format, version 0.0.4.

Rules: https://prometheus.io/docs/instrumenting/exposition_formats/ (read 2026-11-30).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from multiroute_core.telemetry.gauges import GAUGES, GaugeKind
from multiroute_core.telemetry.metric_files import SeriesKey, StoredSeries

BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""The upper edges of the histograms in seconds: those that the semantic conventions recommend."""

HISTOGRAMS = {
    "gen_ai_client_operation_duration_seconds": "GenAI operation duration.",
    "gen_ai_client_operation_time_to_first_chunk_seconds": "Time from the request to the first chunk of a stream.",
    "multiroute_attempt_duration_seconds": "Duration of one attempt on one route.",
}

COUNTERS = {
    "multiroute_requests_total": "Requests by outcome.",
    "multiroute_attempts_total": "Attempts by route and outcome.",
    "multiroute_tokens_total": "Tokens that providers reported, or estimates where an answer was cut off.",
    "multiroute_cost_usd_total": "Cost in USD; estimates are marked.",
}

GAUGE_KINDS: Mapping[GaugeKind, str] = {kind: kind.name.replace(".", "_") for kind in GAUGES}
"""The names of the gauges in Prometheus."""

_COMBINE = {GAUGE_KINDS[kind]: kind.combine for kind in GAUGES}

_CLOSED = ("multiroute_breaker_state", "closed")


def combine(series: Iterable[StoredSeries]) -> dict[SeriesKey, float]:
    """Combine the series of several processes: counters and histograms are added, gauges of processes that run.

    A breaker that is open in one of them is shown as open, and as closed only if it is closed in all of them.
    """
    values: dict[SeriesKey, float] = {}
    for one in series:
        name, labels = one.key
        how = _COMBINE.get(name, "sum")
        if name in _COMBINE and (not one.is_alive or math.isnan(one.value)):
            continue
        if _CLOSED in labels:
            how = "min"
        if one.key not in values:
            values[one.key] = one.value
        elif how == "sum":
            values[one.key] += one.value
        else:
            values[one.key] = (max if how == "max" else min)(values[one.key], one.value)
    return values


def render_text(values: Mapping[SeriesKey, float]) -> str:
    """Return series in the text format; every family is there, also one without values yet."""
    by_name: dict[str, list[tuple[tuple[tuple[str, str], ...], float]]] = {}
    for (name, labels), value in values.items():
        by_name.setdefault(name, []).append((labels, value))
    lines: list[str] = []
    for name, text in HISTOGRAMS.items():
        lines += (f"# HELP {name} {text}", f"# TYPE {name} histogram")
        lines += _render_histogram(name, by_name.get(f"{name}_bucket", ()), by_name.get(f"{name}_sum", ()))
    families = [(name, text, "counter") for name, text in COUNTERS.items()]
    families += [(GAUGE_KINDS[kind], kind.help, "gauge") for kind in GAUGES]
    for name, text, kind in families:
        lines += (f"# HELP {name} {text}", f"# TYPE {name} {kind}")
        lines += [_render(name, labels, value) for labels, value in sorted(by_name.get(name, ()))]
    return "\n".join(lines) + "\n"


def _render_histogram(
    name: str,
    buckets: Iterable[tuple[tuple[tuple[str, str], ...], float]],
    sums: Iterable[tuple[tuple[tuple[str, str], ...], float]],
) -> Iterator[str]:
    """Render a histogram: its buckets are stored each for itself, and cumulative in the format."""
    counts: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
    for labels, value in buckets:
        counts.setdefault(labels[:-1], {})[labels[-1][1]] = value
    totals = dict(sums)
    for labels in sorted(counts):
        total = 0.0
        for edge in (*(f"{edge:g}" for edge in BUCKETS), "+Inf"):
            total += counts[labels].get(edge, 0.0)
            yield _render(f"{name}_bucket", (*labels, ("le", edge)), total)
        yield _render(f"{name}_sum", labels, totals.get(labels, 0.0))
        yield _render(f"{name}_count", labels, total)


def _render(name: str, labels: tuple[tuple[str, str], ...], value: float) -> str:
    inner = ",".join(f'{label}="{_escape(text)}"' for label, text in labels)
    number = f"{int(value)}" if value == int(value) and abs(value) < 2**53 else repr(float(value))
    return f"{name}{{{inner}}} {number}" if inner else f"{name} {number}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
