"""A short run of the reports' benchmark measures what it names. The seconds and bytes themselves are not tested."""

import contextlib
import io

import pytest
from rich.console import Console
from rich.progress import Progress

from benchmarks import reports
from multiroute_core import Ledger, report

COUNT = 400


def test_the_records_look_like_traffic():
    summary = report.of(reports.make_records(COUNT))
    assert summary.total.attempts + summary.total.cached == COUNT
    assert 0 < summary.total.failed < COUNT / 4
    assert summary.total.cached > 0
    assert summary.total.unknown > 0
    assert summary.total.estimated > 0
    assert summary.requests.rescued > 0
    assert len(summary.routes) == len(reports.ROUTES)
    assert len(summary.tenants) > 10
    assert len(summary.buckets) > 10
    assert list(reports.make_records(COUNT)) == list(reports.make_records(COUNT))


@pytest.mark.slow
def test_every_question_is_measured_and_shown(tmp_path):
    calls = iter(range(10_000))
    path = tmp_path / "ledger.db"
    progress = Progress(disable=True)
    assert min(reports.write_ledger(path, COUNT, progress)) > 0
    with contextlib.closing(Ledger(f"sqlite:///{path}")) as ledger:
        assert len(ledger.query()) == COUNT
    times = reports.measure(path, lambda: float(next(calls)), progress)
    assert {seconds for _, seconds in times.values()} == {1.0}
    before, after = reports.peak_memory(path)
    assert 2**20 < before <= after
    out = io.StringIO()
    times["totals(slow)"] = (1.0, 1.5)
    memory = {1: (100, 200), 10: (100, 300)}
    short = reports.show(times, memory, Console(file=out, width=200))
    assert short == ["totals(slow) (1.50 s)", "memory (grows by 50%)"]
    assert "report, saved as a page" in out.getvalue()
