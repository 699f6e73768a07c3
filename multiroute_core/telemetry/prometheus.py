"""Prometheus exporter: metrics in the text format, version 0.0.4, for one process or for all workers of a host.

Names follow the semantic conventions for generative AI where these have one, in Prometheus's spelling: dots become
underscores, the unit ends the name (https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/,
read 2026-11-30).
"""

from __future__ import annotations

import bisect
import contextlib
import functools
import math
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from multiroute_core.errors import ConfigurationError
from multiroute_core.events import AttemptEnded, Event, FirstToken, RequestEnded, RequestStarted
from multiroute_core.runtime import forks
from multiroute_core.runtime.thread_start import is_started, start
from multiroute_core.telemetry import spans
from multiroute_core.telemetry.exposition import BUCKETS, GAUGE_KINDS, combine, render_text
from multiroute_core.telemetry.gauges import MeteredRouter, read_gauges
from multiroute_core.telemetry.metric_files import MetricFile, SeriesKey, StoredSeries, read_series

GAUGE_SECONDS = 1.0
"""How often a process writes its gauges for the other workers, in seconds."""

MAX_OPEN = 10_000
"""Maximum number of streams whose first token is awaited; beyond it, the oldest is forgotten."""


class PrometheusMetrics:
    """A hook that counts requests, attempts, tokens and cost for Prometheus: `Router(on_event=[PrometheusMetrics()])`.

    `render` returns the text that a `/metrics` endpoint answers. The router adds itself for the gauges of its routes,
    budgets and limits. No label contains a tenant, a prompt or an id.

    Args:
        directory: A directory that all workers of a host share: each writes its own file there, and whichever worker is
            scraped returns the sum. Empty it before the service starts. None, the default, counts this process alone.

    Raises:
        ConfigurationError: The directory cannot be written.

    Example:
        >>> metrics = PrometheusMetrics()
        >>> metrics.render().splitlines()[0]
        '# HELP gen_ai_client_operation_duration_seconds GenAI operation duration.'
    """

    event_types = RequestStarted, FirstToken, AttemptEnded, RequestEnded

    CONTENT_TYPE: ClassVar[str] = "text/plain; version=0.0.4; charset=utf-8"
    """The value of the header `Content-Type`."""

    def __init__(self, directory: str | os.PathLike[str] | None = None) -> None:
        self._directory = None if directory is None else Path(directory)
        self._values: dict[SeriesKey, float] = {}
        self._started: dict[str, float] = {}
        # A finalizer may send an event at any step, in the thread that holds the lock: so amounts go into a queue, and
        # the next owner of the lock adds them.
        self._amounts: deque[tuple[SeriesKey, float]] = deque()
        self._lock = threading.Lock()
        self._starting = threading.Lock()
        self._publisher: threading.Thread | None = None
        self._routers: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()
        self._gauge_keys: set[SeriesKey] = set()
        self._file: MetricFile | None = None
        forks.renew(
            self,
            _lock=threading.Lock,
            _starting=threading.Lock,
            _amounts=deque,
            _values=dict,
            _started=dict,
            _gauge_keys=set,
        )
        if self._directory is not None:
            try:
                self._file = MetricFile(self._directory)
            except OSError as error:
                reason = os.strerror(error.errno or 0)
                raise ConfigurationError(
                    f"directory={str(directory)!r} cannot be written: {reason}; expected a directory of this service."
                ) from error

    @property
    def directory(self) -> Path | None:
        """The directory that the workers share; None if this process counts alone."""
        return self._directory

    def forked(self) -> None:
        """Count from zero in a file of its own: what the parent has counted is the parent's."""
        self._file = None
        self._publisher = None

    def attach_router(self, router: MeteredRouter, *, is_shared: bool = False) -> None:
        """Add a router whose gauges are shown; it is not kept alive. A router calls this for its own hooks.

        Args:
            router: The router.
            is_shared: Whether its state is on Redis, so that each worker sees the calls of all.
        """
        self._routers[router] = is_shared

    def __call__(self, event: Event) -> None:
        """Handle an event."""
        if isinstance(event, AttemptEnded):
            self._count_attempt(event)
        elif isinstance(event, RequestEnded):
            self._count_request(event)
        elif isinstance(event, RequestStarted):
            if event.stream:
                if len(self._started) >= MAX_OPEN:
                    self._started.pop(next(iter(tuple(self._started)), ""), None)
                self._started[event.request_id] = time.monotonic()
            if self._directory is not None and self._publisher is None:
                self._start_publisher()
            return
        elif isinstance(event, FirstToken) and (start := self._started.pop(event.request_id, None)) is not None:
            labels = (("multiroute_route", event.route),)
            self._observe("gen_ai_client_operation_time_to_first_chunk_seconds", labels, time.monotonic() - start)
        if not self._lock.locked():
            with self._lock:
                self._work_off()

    def render(self) -> str:
        """Return all metrics in Prometheus's text format.

        With a state on Redis this asks Redis for the gauges.
        """
        routers = list(self._routers.items())
        own = _read(router for router, is_shared in routers if not is_shared)
        shared = _read(router for router, is_shared in routers if is_shared)
        with self._lock:
            self._work_off()
            if self._directory is not None:
                self._write_gauges(own)
            series = [StoredSeries(key, value, is_alive=True) for key, value in self._values.items()]
        if self._directory is not None:
            series = list(read_series(self._directory))
        else:
            series += [StoredSeries(key, value, is_alive=True) for key, value in own]
        return render_text(combine(series) | dict(shared))

    def __reduce__(self) -> tuple[Any, ...]:
        return PrometheusMetrics, (None if self._directory is None else str(self._directory),)

    def __repr__(self) -> str:
        return f"PrometheusMetrics({'' if self._directory is None else repr(str(self._directory))})"

    def _count_attempt(self, event: AttemptEnded) -> None:
        attempt = event.attempt
        provider = spans.target(attempt.provider, None)["gen_ai.provider.name"]
        route = (("gen_ai_provider_name", provider), ("multiroute_route", attempt.route))
        labels = (*route, ("multiroute_outcome", attempt.outcome))
        self._add("multiroute_attempts_total", labels, 1.0)
        self._observe("multiroute_attempt_duration_seconds", labels, attempt.seconds)
        if (usage := attempt.usage or attempt.estimated_usage) is not None:
            for kind, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
                if tokens:
                    self._add("multiroute_tokens_total", (("gen_ai_token_type", kind), *route), tokens)
        if attempt.charged:
            is_estimated = str(attempt.cost is None).lower()
            self._add("multiroute_cost_usd_total", (*route, ("multiroute_estimated", is_estimated)), attempt.charged)

    def _count_request(self, event: RequestEnded) -> None:
        self._started.pop(event.request_id, None)
        labels = (("multiroute_outcome", spans.outcome(event)),)
        self._add("multiroute_requests_total", labels, 1.0)
        self._observe("gen_ai_client_operation_duration_seconds", labels, event.seconds)

    def _add(self, name: str, labels: tuple[tuple[str, str], ...], amount: float) -> None:
        self._amounts.append(((name, labels), amount))

    def _observe(self, name: str, labels: tuple[tuple[str, str], ...], seconds: float) -> None:
        bucket = bisect.bisect_left(BUCKETS, seconds)
        edge = f"{BUCKETS[bucket]:g}" if bucket < len(BUCKETS) else "+Inf"
        self._add(f"{name}_bucket", (*labels, ("le", edge)), 1.0)
        self._add(f"{name}_sum", labels, seconds)

    def _start_publisher(self) -> None:
        """Start the thread that writes the gauges for the other workers: they change without an event, too."""
        if self._starting.locked():  # another thread does
            return
        with self._starting:
            if self._publisher is None:
                work = functools.partial(self._publish_regularly, weakref.ref(self))
                thread = threading.Thread(target=work, name="multiroute-gauges", daemon=True)
                try:
                    with contextlib.suppress(RuntimeError):  # the interpreter shuts down
                        start(thread)
                finally:
                    self._publisher = thread if is_started(thread) else None

    @staticmethod
    def _publish_regularly(reference: weakref.ref[PrometheusMetrics]) -> None:
        """Write the gauges until the metrics are gone."""
        while True:
            time.sleep(GAUGE_SECONDS)
            if (metrics := reference()) is None:
                return
            with contextlib.suppress(Exception):  # such as a full disk: the next second is another try
                metrics._publish_gauges()  # noqa: SLF001
            del metrics

    def _publish_gauges(self) -> None:
        """Write the gauges for the other workers; those of a state on Redis are the same for all of them."""
        gauges = _read(router for router, is_shared in list(self._routers.items()) if not is_shared)
        with self._lock:
            self._work_off()
            self._write_gauges(gauges)

    def _work_off(self) -> None:
        """Add the queued amounts; the lock is held."""
        if self._directory is not None and self._file is None:
            self._file = MetricFile(self._directory)
        changed: dict[SeriesKey, float] = {}
        while self._amounts:
            key, amount = self._amounts.popleft()
            self._values[key] = changed[key] = self._values.get(key, 0.0) + amount
        if self._file is not None:
            for key, value in changed.items():
                self._file.write(key, value)

    def _write_gauges(self, gauges: Iterable[tuple[SeriesKey, float]]) -> None:
        if self._file is None:
            return
        current = dict(gauges)
        for key in self._gauge_keys - current.keys():
            self._file.write(key, math.nan)  # its route or limit is not there any more
        self._gauge_keys |= current.keys()
        for key, value in current.items():
            self._file.write(key, value)


def _read(routers: Iterable[MeteredRouter]) -> list[tuple[SeriesKey, float]]:
    """Return the gauges of routers; where two of them share a route's name, the values are combined."""
    gauges = (gauge for router in routers for gauge in read_gauges(router))
    keys = (((GAUGE_KINDS[gauge.kind], _to_labels(gauge.labels)), gauge.value) for gauge in gauges)
    return list(combine(StoredSeries(key, value, is_alive=True) for key, value in keys).items())


def _to_labels(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name.replace(".", "_"), value) for name, value in labels.items())
