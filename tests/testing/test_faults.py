"""Schedules are pure: the same seed, route, moment and number give the same fault, and all times are quantised."""

import dataclasses
import math

from hypothesis import given
from hypothesis import strategies as st

from multiroute_core import Router
from multiroute_core.testing import QUANTUM, Answer, Fail, FaultPeriod, Hang, Schedule, outage, random_schedule

NAMES = ("a", "b", "c")


@given(st.integers(), st.sampled_from(NAMES), st.integers(0, 4000), st.integers(0, 1000))
def test_the_same_again(seed, route, ticks, number):
    at = ticks * QUANTUM
    one, two = (random_schedule(seed, NAMES) for _ in range(2))
    assert (
        repr(one.behaviour(route, at, number)).split(" at 0x")[0]
        == repr(two.behaviour(route, at, number)).split(" at 0x")[0]
    )


@given(st.integers())
def test_all_times_are_multiples_of_the_quantum(seed):
    def check(value):
        if isinstance(value, float) and math.isfinite(value):
            assert abs(value / QUANTUM - round(value / QUANTUM)) < 1e-6, value
        elif dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                if field.name != "share":
                    check(getattr(value, field.name))

    schedule = random_schedule(seed, NAMES, seconds=60.0)
    for periods in schedule.periods.values():
        for period in periods:
            check(period)
    assert isinstance(schedule.usual, dict)
    for mix in schedule.usual.values():
        for _, behaviour in mix:
            check(behaviour)


@given(st.integers(), st.integers(0, 1000), st.integers(0, 100))
def test_sound_routes_answer_and_so_does_everybody_afterwards(seed, ticks, number):
    schedule = random_schedule(seed, NAMES, seconds=20.0, trouble=0.9, sound=("b",))
    assert isinstance(schedule.behaviour("b", ticks * QUANTUM, number), Answer)
    for name in NAMES:
        assert isinstance(schedule.behaviour(name, 20.0 + ticks, number), Answer)


def test_spells_count_from_their_first_moment_to_their_last():
    schedule = Schedule({"a": [outage(10.0, 20.0), FaultPeriod(15.0, 30.0, Hang())]})
    behaviours = [schedule.behaviour("a", at, 0) for at in (9.95, 10.0, 19.95, 20.0, 29.95, 30.0)]
    assert behaviours == [Answer(), Fail(), Fail(), Hang(), Hang(), Answer()]
    assert schedule.behaviour("b", 15.0, 0) == Answer()


def test_shares_and_mixes_are_met_in_the_long_run():
    schedule = Schedule({"a": [FaultPeriod(0.0, 1.0, Hang(), 0.25)]}, ((3.0, Answer()), (1.0, Fail())), seed=5)
    often = [schedule.behaviour("a", 0.0, number) for number in range(4000)]
    assert 900 < often.count(Hang()) < 1100
    assert 600 < often.count(Fail()) < 900
    other = [schedule.behaviour("a", 2.0, number) for number in range(4000)]
    assert 900 < other.count(Fail()) < 1100


def test_a_route_lives_by_its_schedule():
    schedule = Schedule(usual={"a": ((1.0, Fail()),), "b": ((1.0, Answer("well")),)})
    response = Router([schedule.route("a"), schedule.route("b", tags={"x"})]).generate("Hi")
    assert response.text == "well"
    assert [attempt.route for attempt in response.attempts] == ["a", "b"]
