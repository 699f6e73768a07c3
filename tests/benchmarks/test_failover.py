"""The probes of the failover benchmark find what they look for, in MultiRoute. What they measure in seconds is not tested."""

import re
import sys
from pathlib import Path

import pytest

from benchmarks import failover, providers
from benchmarks.failover import OURS, Scale
from benchmarks.providers import Providers

pytestmark = [pytest.mark.slow, pytest.mark.notebook]

SCALE = Scale(calls=4, crowd=5)


@pytest.fixture(scope="module")
def who():
    """MultiRoute in its process, which knows how long the healthy take."""
    with failover.caller(OURS, Path(sys.executable)) as asks:
        cell = failover.healthy(asks, SCALE)
        assert cell.met, cell.text
        yield asks


def test_a_dead_provider_is_left_alone(who):
    with Providers.of(providers.dead) as found:
        who.open(found)
        done = who.do("ask", count=8)
        assert done["ends"] == [""] * 8
        assert 1 <= found.hits <= 4


def test_the_table_counts_hits_and_failures(who):
    assert re.search(r"\b[1-4] hits?$", failover.dead(who, SCALE).text)


@pytest.mark.parametrize("behaviour", [providers.limited_once(), providers.limited])
def test_a_rate_limit_is_one_hit(who, behaviour):
    with Providers.of(behaviour) as found:
        who.open(found)
        assert who.do("crowd", count=1)["ends"] == [""]
        assert who.do("ask", count=2)["ends"] == ["", ""]
        assert found.hits == 1


@pytest.mark.parametrize("behaviour", [providers.silent, providers.dripping])
def test_patience_ends(who, behaviour):
    with Providers.of(behaviour, behaviour) as found:
        who.open(found, patience=0.3)
        assert who.do("ask", count=1)["ends"] == ["DeadlineExceededError"]


@pytest.mark.parametrize("behaviour", [providers.cut, providers.ends_early])
@pytest.mark.parametrize(("mode", "cell"), [("continue", "completed"), (None, "partial kept (StreamInterruptedError)")])
def test_a_broken_stream_goes_on_or_is_kept(who, behaviour, mode, cell):
    found = failover._broken(behaviour, mode)(who, SCALE)
    assert found.text == cell
    assert found.met


def test_every_probe_has_its_row():
    rows = failover.probes(SCALE)
    assert len({row.name for row in rows}) == len(rows)
