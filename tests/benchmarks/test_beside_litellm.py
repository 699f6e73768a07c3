"""A short run of the comparison under load, without LiteLLM. What it measures in seconds and bytes is not tested."""

import sys
from pathlib import Path

import pytest

from benchmarks import beside_litellm, load

pytestmark = pytest.mark.slow

OWN = dict.fromkeys(beside_litellm.OWN, Path(sys.executable))


@pytest.mark.notebook
def test_calls_are_made_through_every_client(monkeypatch):
    monkeypatch.setattr(beside_litellm, "IN_FLIGHT", 4)
    with load.server() as url, beside_litellm.callers(OWN, url) as processes:
        seconds = beside_litellm.measure_load(processes, 1, 1)
    assert set(seconds) == set(OWN)
    assert min(seconds.values()) > 0


@pytest.mark.notebook
def test_streams_are_held_open_and_measured_in_processes_that_end():
    sizes = beside_litellm.measure_streams(OWN, 1, 5)
    assert set(sizes) == set(OWN)


def test_the_table_marks_what_misses_its_target(capsys):
    flows = [{"sync": 1e-4, "async": 1e-4}, {"sync": 4e-3, "async": 1e-3}]
    speeds = {"Router": 1e-3, "ChatMultiRoute": 1e-3, "ChatOpenAI": 9e-3, "LiteLLM": 2e-3}
    beside_litellm.show(speeds, flows, dict.fromkeys(speeds, (1024.0, 2.0**20)))
    lines = [line for line in capsys.readouterr().out.splitlines() if "short" in line or "ok" in line]
    verdicts = {" ".join(line.split("│")[1].split()): "short" in line for line in lines}
    assert sum("short" in line for line in lines) == 6, lines
    assert verdicts["the router's own cost, sync: Router / LiteLLM's"] is False
    assert verdicts["the router's own cost, async: Router / LiteLLM's"] is True


def test_the_own_cost_of_the_router_is_measured():
    assert set(beside_litellm.measure_own_flow(2)) == {"sync", "async"}


def test_a_client_that_ends_is_named():
    caller = beside_litellm.Caller("Router", Path(sys.executable))
    try:
        with pytest.raises(RuntimeError, match="process of Router has ended"):
            caller.ask("dance")
    finally:
        caller.close()
