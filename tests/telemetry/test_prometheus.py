"""Prometheus metrics: the text format, what is counted, and workers that add up."""

import copy
import gc
import math
import os
import pickle
import re
import subprocess
import sys
import threading
import weakref
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from multiroute_core import Budget, ConfigurationError, Limit, MultiRouteError, Router, ServerError, Usage
from multiroute_core.telemetry import OpenTelemetry, PrometheusMetrics, prometheus
from multiroute_core.telemetry.exposition import combine, render_text
from multiroute_core.telemetry.metric_files import MetricFile, StoredSeries, read_series
from multiroute_core.testing import Answer, Fail, scripted_route
from tests.telemetry.patience import eventually

SEVEN = Usage(input_tokens=3, output_tokens=4)
ANSWER = Answer("Hello", usage=SEVEN)


def broken() -> ServerError:
    return ServerError("no", status=500)


LINE = re.compile(r'([a-zA-Z_:][\w:]*)(?:\{((?:[a-zA-Z_]\w*="(?:\\.|[^"\\\n])*"(?:,|(?=\})))*)\})? (\S+)')
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:\\.|[^"\\])*)"')


def parse(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Read the text format by its own rules."""
    assert text.endswith("\n")
    series: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    family = ""
    families: set[str] = set()
    for line in text.removesuffix("\n").split("\n"):
        if line.startswith("# HELP "):
            family = line.split()[2]
            assert family not in families
            families.add(family)
        elif line.startswith("# TYPE "):
            assert line.split()[2] == family
            assert line.split()[3] in ("counter", "gauge", "histogram")
        else:
            match = LINE.fullmatch(line)
            assert match is not None, line
            assert match[1].startswith(family)
            unescaped = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
            labels = [
                (name, re.sub(r'\\[\\"n]', lambda m: unescaped[m[0]], value))
                for name, value in LABEL.findall(match[2] or "")
            ]
            key = match[1], frozenset(labels)
            assert key not in series
            series[key] = float(match[3])
    return series


def value(metrics: PrometheusMetrics, name: str, **labels: str) -> float:
    """The sum of the series of a name with these labels."""
    wanted = {
        (f"multiroute_{key}" if key in ("route", "outcome", "limit", "budget") else key, one)
        for key, one in labels.items()
    }
    return math.fsum(one for (key, own), one in parse(metrics.render()).items() if key == name and wanted <= own)


def test_what_is_counted():
    metrics = PrometheusMetrics()
    prices = {"input": 1_000_000, "output": 0}
    router = Router(
        [scripted_route("a", Fail(broken)), scripted_route("b", ANSWER, prices=prices)],
        on_event=[metrics],
        cache="memory",
    )
    router.generate("?")
    router.generate("?")
    "".join(chunk.text for chunk in router.stream("another"))
    with pytest.raises(MultiRouteError):
        router.generate("third", model="a")
    assert value(metrics, "multiroute_requests_total", outcome="success") == 2
    assert value(metrics, "multiroute_requests_total", outcome="cached") == 1
    assert value(metrics, "multiroute_requests_total") == 4
    attempts = value(metrics, "multiroute_attempts_total", route="a", outcome="server_error")
    assert attempts == value(metrics, "multiroute_attempt_duration_seconds_count", route="a") >= 3
    assert value(metrics, "multiroute_attempts_total", route="b", outcome="success") == 2
    assert value(metrics, "multiroute_tokens_total", gen_ai_token_type="input") == 6
    assert value(metrics, "multiroute_tokens_total", gen_ai_token_type="output", route="b") == 8
    assert value(metrics, "multiroute_cost_usd_total", route="b") == 6
    assert value(metrics, "gen_ai_client_operation_duration_seconds_count") == 4
    assert value(metrics, "gen_ai_client_operation_duration_seconds_bucket", le="+Inf") == 4
    assert value(metrics, "gen_ai_client_operation_time_to_first_chunk_seconds_count", route="b") == 1
    router.close()


def test_gauges():
    metrics = PrometheusMetrics()
    router = Router(
        [scripted_route("a", Fail(broken)), scripted_route("b", ANSWER, rpm=1000)],
        on_event=[metrics],
        budget=Budget(tokens=100, scope="tenant"),
        limit=Limit(rpm=60, concurrency=2),
    )
    for tenant in ("secret-tenant", "other", "other"):
        router.generate("?", tenant=tenant)
    stream = router.stream("?", tenant="other")
    next(stream)
    text = metrics.render()
    assert "secret-tenant" not in text
    assert value(metrics, "multiroute_route_in_flight", route="b") == 1
    assert value(metrics, "multiroute_budget_remaining", budget="tokens/day/tenant") == 86
    assert value(metrics, "multiroute_limit_in_flight", limit="rpm/concurrency/tenant") == 1
    assert 56 < value(metrics, "multiroute_limit_requests_left") < 58
    assert value(metrics, "multiroute_route_requests_left", route="b") == pytest.approx(996, abs=3)
    stream.close()
    assert value(metrics, "multiroute_route_in_flight", route="b") == 0
    for _ in range(20):
        router.generate("?")
    states = {
        s: value(metrics, "multiroute_route_breaker", route="a", multiroute_breaker_state=s) for s in ("closed", "open")
    }
    assert states == {"closed": 0, "open": 1}
    gone = weakref.ref(router)
    router.close()
    del router, stream
    gc.collect()
    assert gone() is None
    assert value(metrics, "multiroute_route_breaker") == 0


def test_opentelemetry_exports_the_same_gauges():
    reader = InMemoryMetricReader()
    metrics = PrometheusMetrics()
    hook = OpenTelemetry(meter_provider=MeterProvider([reader], shutdown_on_exit=False))
    router = Router(
        [scripted_route("a", ANSWER, rpm=10)], on_event=[hook, metrics], budget=Budget(tokens=100), limit=Limit(rpm=60)
    )
    router.generate("?")
    data = reader.get_metrics_data()
    assert data is not None
    exported = {
        (
            metric.name.replace(".", "_"),
            frozenset((k.replace(".", "_"), v) for k, v in point.attributes.items()),
        ): point.value
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in cast("Any", metric.data.data_points)
        if hasattr(point, "value") and metric.name != "multiroute.cost"
    }
    shown = {key: one for key, one in parse(metrics.render()).items() if key in exported}
    assert len(shown) == len(exported) >= 8
    assert all(one == pytest.approx(exported[key], abs=0.5) for key, one in shown.items())
    hook.close()
    router.close()


@given(
    st.dictionaries(st.sampled_from(["a", "b"]), st.text(max_size=8)), st.floats(allow_nan=False, allow_infinity=False)
)
def test_every_label_and_number_can_be_read_back(labels, number):
    key = "multiroute_requests_total", tuple(labels.items())
    assert parse(render_text({key: number})) == {(key[0], frozenset(labels.items())): number}


WORKER = """
import os, sys
from multiroute_core import Router, Usage
from multiroute_core.telemetry import PrometheusMetrics
from multiroute_core.testing import Answer, scripted_route

metrics = PrometheusMetrics(sys.argv[1])
router = Router([scripted_route("a", Answer("x", usage=Usage(3, 4)))], on_event=[metrics])
for _ in range(5):
    router.generate("?")
if os.fork() == 0:
    for _ in range(3):
        router.generate("?")
    os.kill(os.getpid(), 9)
os.wait()
print("ready", flush=True)
sys.stdin.readline()
os.kill(os.getpid(), 9)
"""


@pytest.mark.slow
def test_workers_of_a_host_add_up_whoever_is_scraped(tmp_path):
    """Also those that were killed: counters must not fall. A fork counts from zero, in a file of its own."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    metrics = PrometheusMetrics(tmp_path)
    router = Router([scripted_route("a", ANSWER)], on_event=[metrics])
    router.generate("?")
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        assert value(metrics, "multiroute_requests_total") == 2 * (5 + 3) + 1
        assert value(metrics, "multiroute_route_breaker", multiroute_breaker_state="closed") == 1
    finally:
        for worker in workers:
            worker.communicate("\n")
    assert value(metrics, "multiroute_requests_total") == 17
    assert value(metrics, "multiroute_tokens_total") == 7 * 17
    assert value(PrometheusMetrics(tmp_path), "multiroute_requests_total") == 17
    router.close()


def test_gauges_of_an_idle_worker_are_those_of_now(tmp_path, monkeypatch):
    """A call that ends, and one that begins right after another, change them without a request that begins."""
    monkeypatch.setattr(prometheus, "GAUGE_SECONDS", 0.01)
    other = PrometheusMetrics(tmp_path)

    def shows(calls):
        return lambda: value(other, "multiroute_route_in_flight", route="a") == calls

    with Router(
        [scripted_route("a", Answer(["w "] * 50, per_chunk=0.01))], on_event=[PrometheusMetrics(tmp_path)]
    ) as router:
        streams = [router.stream("?") for _ in range(3)]
        for stream in streams:
            next(stream)
        eventually(shows(3))
        for stream in streams:
            stream.close()
        eventually(shows(0))


def test_the_thread_of_gauges_ends_with_the_metrics(tmp_path, monkeypatch):
    monkeypatch.setattr(prometheus, "GAUGE_SECONDS", 0.01)
    metrics = PrometheusMetrics(tmp_path)
    with Router([scripted_route("a", ANSWER)], on_event=[metrics]) as router:
        router.generate("?")
    thread = metrics._publisher
    assert thread is not None
    assert thread.is_alive()
    del metrics, router
    gc.collect()
    thread.join()


def test_workers_combine_their_gauges():
    def series(name: str, labels: dict[str, str], one: float, *, is_alive: bool = True) -> StoredSeries:
        return StoredSeries((name, tuple(labels.items())), one, is_alive)

    closed, opened = ({"multiroute_breaker_state": state} for state in ("closed", "open"))
    entries = [
        *(series("multiroute_route_breaker", closed, one) for one in (1, 0)),
        *(series("multiroute_route_breaker", opened, one) for one in (0, 1)),
        *(series("multiroute_route_in_flight", {}, one) for one in (2, 3)),
        *(series("multiroute_budget_remaining", {}, one) for one in (7, 5, math.nan)),
        series("multiroute_route_in_flight", {}, 100, is_alive=False),
        series("multiroute_requests_total", {}, 2, is_alive=False),
        series("multiroute_requests_total", {}, 1),
    ]
    assert list(combine(entries).values()) == [0, 1, 5, 5, 3]


def test_an_entry_that_is_being_written_is_left_out(tmp_path):
    file = MetricFile(tmp_path)
    file.write(("a", ()), 1.0)
    file.write(("b", (("x", "y"),)), 2.0)
    file.write(("a", ()), 3.0)
    content = file.path.read_bytes()
    file.close()
    for length in range(len(content) + 1):
        file.path.write_bytes(content[:length])
        found = {one.key: one.value for one in read_series(tmp_path)}
        assert found in ({}, {("a", ()): 3.0}, {("a", ()): 3.0, ("b", (("x", "y"),)): 2.0})


def test_foreign_files_and_what_a_crash_has_spoiled_are_left_out(tmp_path):
    file = MetricFile(tmp_path)
    file.write(("a_total", ()), 1.0)
    file.close()
    with file.path.open("ab") as stream:
        stream.write(bytes(64))
    for name in ("notes.metrics", "._1-00000000.metrics", "1-x.metrics"):
        (tmp_path / name).write_bytes(b"\x00\x05Mac OS X")
    assert [one.key for one in read_series(tmp_path)] == [("a_total", ())]


def test_a_route_that_is_gone_has_no_gauges(tmp_path):
    metrics = PrometheusMetrics(tmp_path)
    router = Router([scripted_route("a", ANSWER), scripted_route("b", ANSWER)], on_event=[metrics])
    assert value(metrics, "multiroute_route_breaker", route="b", multiroute_breaker_state="closed") == 1
    del router
    gc.collect()
    router = Router([scripted_route("a", ANSWER)], on_event=[metrics])
    assert ("multiroute_route", "b") not in {label for _, labels in parse(metrics.render()) for label in labels}
    router.close()


def test_threads_lose_nothing():
    metrics = PrometheusMetrics()
    router = Router([scripted_route("a", ANSWER)], on_event=[metrics])

    def call() -> None:
        for _ in range(50):
            router.generate("?")

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value(metrics, "multiroute_requests_total") == 200
    router.close()


def test_a_stream_that_is_collected_while_the_lock_is_held_is_counted_later():
    metrics = PrometheusMetrics()
    router = Router([scripted_route("a", Answer(["x"] * 5, usage=SEVEN))], on_event=[metrics])
    stream = router.stream("?")
    next(stream)
    with metrics._lock:
        del stream
        gc.collect()
    assert value(metrics, "multiroute_requests_total", outcome="cancelled") == 1
    router.close()


def test_pickles_copies_and_repr(tmp_path):
    metrics = PrometheusMetrics(tmp_path / "deep" / "er")
    assert repr(metrics) == f"PrometheusMetrics('{tmp_path}/deep/er')"
    assert repr(pickle.loads(pickle.dumps(metrics))) == repr(copy.copy(metrics)) == repr(metrics)
    assert repr(PrometheusMetrics()) == "PrometheusMetrics()"
    (tmp_path / "file").touch()
    with pytest.raises(
        ConfigurationError, match="cannot be written: (Not a directory|File exists); expected a directory"
    ):
        PrometheusMetrics(tmp_path / "file")
    assert os.stat(next((tmp_path / "deep" / "er").iterdir())).st_mode & 0o777 == 0o600
