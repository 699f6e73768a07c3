"""The plan under every story that routes can tell."""

from hypothesis import given
from hypothesis import strategies as st

from multiroute_core import AuthenticationError, Route, ServerError
from multiroute_core.plan import Ask, Pause, Plan, Stop
from multiroute_core.rules.breaker import Shut

ROUTES = [Route("openai:m", name=name) for name in "abc"]


def test_every_candidate_is_asked_before_any_is_asked_again():
    plan = Plan(ROUTES, max_retries=1)
    for name in "abc":
        step = plan.next(100, 0.5)
        assert step == Ask(next(r for r in ROUTES if r.name == name))
        plan.failed(step.route, ServerError("down"))
    assert plan.next(100, 0.5) == Pause(0.25)
    assert [plan.next(100, 0.5).route.name for _ in "abc"] == ["a", "b", "c"]


def test_what_will_last_is_not_asked_again():
    plan = Plan(ROUTES[:2], max_retries=2)
    plan.next(100, 0)
    plan.failed(ROUTES[0], AuthenticationError("bad key"))
    plan.next(100, 0)
    plan.failed(ROUTES[1], ServerError("down"))
    assert isinstance(plan.next(100, 0), Pause)
    assert plan.next(100, 0) == Ask(ROUTES[1])


def test_retry_after_is_a_floor_and_the_deadline_is_not_waited_out():
    plan = Plan(ROUTES[:1], max_retries=2)
    plan.next(100, 0)
    plan.failed(ROUTES[0], ServerError("down", retry_after=5))
    assert plan.next(100, 0) == Pause(5)
    plan = Plan(ROUTES[:1], max_retries=2)
    plan.next(3, 0)
    plan.failed(ROUTES[0], ServerError("down", retry_after=5))
    assert plan.next(3, 0) == Stop(late=True, seconds=5)


def test_when_all_are_open_the_one_that_recovers_soonest_is_probed_early():
    plan = Plan(ROUTES, max_retries=0)
    for seconds, route in zip((30, 10, 20), ROUTES, strict=True):
        assert plan.next(100, 0) == Ask(route)
        plan.shut(route, Shut("open", seconds))
    assert plan.next(100, 0) == Ask(ROUTES[1], early=True)
    plan.failed(ROUTES[1], ServerError("still down"))
    assert plan.next(100, 0) == Stop(seconds=20)


def test_who_finds_a_probe_out_waits_for_its_result_and_does_not_probe_after_it_failed():
    plan = Plan(ROUTES[:1], max_retries=2)
    plan.next(100, 0)
    plan.shut(ROUTES[0], Shut("probing", 90))
    assert plan.next(100, 0) == Pause(0.05)
    assert plan.next(100, 0) == Ask(ROUTES[0])
    plan.shut(ROUTES[0], Shut("open", 60))
    assert plan.next(100, 0) == Stop(seconds=60)


def test_a_door_is_waited_for_if_the_deadline_allows():
    for left, expected in ((10, Pause(5)), (3, Stop(seconds=5))):
        plan = Plan(ROUTES[:1], max_retries=2)
        plan.next(left, 0)
        plan.shut(ROUTES[0], Shut("rate_limit", 5))
        assert plan.next(left, 0) == expected


stories = st.one_of(
    st.builds(Shut, st.sampled_from(["open", "probing", "rate_limit"]), st.sampled_from([0.1, 1.0, 10.0, 60.0])),
    st.sampled_from([ServerError("down"), ServerError("down", retry_after=2), AuthenticationError("bad")]),
)


@given(
    count=st.integers(1, 3),
    retries=st.integers(0, 3),
    story=st.lists(stories, min_size=1, max_size=12),
    random=st.floats(0, 1),
)
def test_it_always_ends_by_the_deadline_and_never_asks_too_often(count, retries, story, random):
    plan, left, asked, turns = Plan(ROUTES[:count], retries), 30.0, [], 0
    while True:
        turns += 1
        assert turns < 1000
        step = plan.next(left, random)
        if isinstance(step, Stop):
            break
        if isinstance(step, Pause):
            assert 0 <= step.seconds <= left
            left -= step.seconds
            continue
        told = story[turns % len(story)]
        if isinstance(told, Shut):
            plan.shut(step.route, told)
        else:
            asked.append(step.route.name)
            plan.failed(step.route, told)
        left -= 0.01
    for route in ROUTES[:count]:
        assert asked.count(route.name) <= retries + 1
