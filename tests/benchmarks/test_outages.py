"""The outages that the benchmark makes of incidents and arrivals: nothing is lost, and they befall everybody alike."""

import random

import pytest

from benchmarks import drill, incidents, outages
from benchmarks.drill import CONTESTANTS, OURS
from benchmarks.incidents import SHARES, History
from multiroute_core.testing.behaviours import IncomingCall
from multiroute_core.types import Message, Request

pytestmark = pytest.mark.slow

INCIDENTS = """\
incident_impact_level,provider,Incident_Title,start_timestamp,close_timestamp
3,openai,API is down,2024-03-01 10:00:00+00:00,2024-03-01 10:40:00+00:00
1,anthropic,Elevated errors,2024-03-01 10:20:00+00:00,2024-03-01 11:00:00+00:00
2,character,Degraded performance,2024-03-01 10:50:00+00:00,2024-03-01 11:30:00+00:00
1,openai,Elevated latency,2024-03-02 08:00:00+00:00,2024-03-02 08:30:00+00:00
1,openai,Elevated errors,2024-03-02 09:00:00+00:00,2024-03-02 09:00:00+00:00
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the data's shape, and little in it."""
    (tmp_path / "data/outages").mkdir(parents=True)
    (tmp_path / "data/load").mkdir()
    (tmp_path / "data/outages/incident_stages.csv").write_text(INCIDENTS)
    dice, at = random.Random(0), 0.0
    lines = ["TIMESTAMP,ContextTokens,GeneratedTokens"]
    for _ in range(600):
        at += dice.uniform(0.1, 1.0)
        lines.append(
            f"2023-11-16 18:{15 + int(at // 60):02}:{at % 60:010.7f},{dice.randint(10, 2000)},{dice.randint(1, 400)}"
        )
    (tmp_path / "data/load/azure2023_conv.csv").write_text("\n".join(lines) + "\n")
    monkeypatch.setenv("MULTIROUTE_SHARED", str(tmp_path))
    monkeypatch.setattr(incidents, "_arrivals", [])
    return incidents.shared()


def test_an_incident_told_of_afterwards_lasts_as_long_as_others_do(folder):
    found = incidents.incidents(folder)
    assert [round((one.until - one.since) / 60) for one in found] == [40, 40, 40, 30, 30]


@pytest.mark.parametrize("requests", [10, 300, 5_000])
def test_the_stretches_stand_for_all_the_time(folder, requests):
    history = History(incidents.incidents(folder))
    stretches = history.stretches(requests)
    assert sum((one.until - one.since) * one.weight for one in stretches) == pytest.approx(history.seconds)
    assert all(one.until <= other.since for one, other in zip(stretches, stretches[1:], strict=False))
    for one in stretches:
        moments = [at for at, _ in one.asked()]
        assert moments == sorted(moments)
        assert all(one.since <= at < one.until for at in moments)


@pytest.mark.parametrize("level", range(5))
@pytest.mark.parametrize("title", ["Elevated errors", "High latency", "Major outage"])
def test_an_incident_hits_the_share_of_its_level(folder, level, title):
    route = incidents.ROUTES["openai"]
    history = History([incidents.Incident(route, 0.0, 1e6, level, title)])
    request = Request((Message("user", "0"),))
    hit = sum(
        history.script(IncomingCall(route, number, float(number), request, stream=True)) != incidents.Served()
        for number in range(4_000)
    )
    assert hit / 4_000 == pytest.approx(SHARES[level], abs=0.04)


def test_nobody_fares_differently_where_nothing_happens_to_the_first(folder):
    history = History([one for one in incidents.incidents(folder) if one.route != incidents.ROUTES["openai"]])
    stretches = history.stretches(200)
    for name, contestant in CONTESTANTS.items():
        found = drill.live(contestant, history, stretches)
        assert all(one.answered and one.attempts == 1 for one in found), name
        assert max(abs(one.added) for one in found) < 1e-6, name


def test_memory_spares_calls_and_fallbacks_answer(folder):
    history = History(incidents.incidents(folder))
    stretches = history.stretches(1_500)
    alone, retried, once, ours = (outages.Account.of(drill.live(c, history, stretches)) for c in CONTESTANTS.values())
    assert alone.while_up < 0.9999
    assert retried.while_up >= alone.while_up
    assert ours.while_up == 1.0
    assert ours.extra < once.extra < retried.extra


def test_equal_numbers_make_equal_outcomes(folder):
    history = History(incidents.incidents(folder), seed=3)
    stretches = history.stretches(300)
    for contestant in CONTESTANTS.values():
        first, second = (drill.live(contestant, history, stretches) for _ in range(2))
        assert first == second


def test_it_shows_and_draws(folder, tmp_path, capsys):
    outages.main(["--requests", "50", "--plot", str(tmp_path / "outages.png")])
    shown = capsys.readouterr().out
    assert all(name in shown for name in CONTESTANTS)
    assert "5 incidents" in shown
    assert (tmp_path / "outages.png").read_bytes().startswith(b"\x89PNG")


def test_it_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("MULTIROUTE_SHARED", str(tmp_path))
    with pytest.raises(SystemExit, match="MULTIROUTE_SHARED"):
        outages.main(["--only", OURS])


def test_all_real_incidents_are_read():
    folder = incidents.shared()
    if folder is None:
        pytest.skip("no data: MULTIROUTE_SHARED does not name a folder with data/outages and data/load in it")
    found = incidents.incidents(folder)
    assert len(found) == 542
    assert all(one.until > one.since for one in found)
    assert {one.route for one in found} == set(incidents.ROUTES.values())
