"""The plan under every story that routes can tell."""

from hypothesis import given
from hypothesis import strategies as st

from multiroute_core import AuthenticationError, ContextOverflowError, RateLimitError, Route, ServerError
from multiroute_core.engine.retry_plan import POLL_SECONDS, GiveUp, RetryPlan, StartAttempt, Wait
from multiroute_core.resilience.admission import Rejection

ROUTES = [Route("openai:m", name=name) for name in "abc"]


def while_shut(plan, **shuts):
    """The first step that is more than a look at a route that is shut."""
    while isinstance(step := plan.next(100, 0), StartAttempt) and step.route.name in shuts and not step.early:
        plan.reject(step.route, shuts[step.route.name])
    return step


def route_of(step) -> Route:
    assert isinstance(step, StartAttempt)
    return step.route


def test_every_candidate_is_asked_before_any_is_asked_again():
    plan = RetryPlan(ROUTES, max_retries=1)
    for name in "abc":
        step = plan.next(100, 0.5)
        assert step == StartAttempt(route := next(r for r in ROUTES if r.name == name))
        plan.failed(route, ServerError("down"))
    assert plan.next(100, 0.5) == Wait(0.25)
    assert [route_of(plan.next(100, 0.5)).name for _ in "abc"] == ["a", "b", "c"]


def test_what_will_last_is_not_asked_again():
    plan = RetryPlan(ROUTES[:2], max_retries=2)
    plan.next(100, 0)
    plan.failed(ROUTES[0], AuthenticationError("bad key"))
    plan.next(100, 0)
    plan.failed(ROUTES[1], ServerError("down"))
    assert isinstance(plan.next(100, 0), Wait)
    assert plan.next(100, 0) == StartAttempt(ROUTES[1], is_retry=True)


def test_retry_after_is_a_floor_and_the_deadline_is_not_waited_out():
    plan = RetryPlan(ROUTES[:1], max_retries=2)
    plan.next(100, 0)
    plan.failed(ROUTES[0], ServerError("down", retry_after=5))
    assert plan.next(100, 0) == Wait(5)
    plan = RetryPlan(ROUTES[:1], max_retries=2)
    plan.next(3, 0)
    plan.failed(ROUTES[0], ServerError("down", retry_after=5))
    assert plan.next(3, 0) == GiveUp(late=True, seconds=5)


def test_a_timer_that_fires_a_tick_early_has_reached_the_deadline():
    plan = RetryPlan(ROUTES[:1], max_retries=0)
    plan.next(100, 0)
    plan.failed(ROUTES[0], ServerError("down"))
    assert plan.next(1e-9, 0) == GiveUp(late=True)


def test_when_all_are_open_the_one_that_recovers_soonest_is_probed_early():
    plan = RetryPlan(ROUTES, max_retries=0)
    for seconds, route in zip((30, 10, 20), ROUTES, strict=True):
        assert plan.next(100, 0) == StartAttempt(route)
        plan.reject(route, Rejection("open", seconds))
    assert plan.next(100, 0) == StartAttempt(ROUTES[1], early=True)
    plan.failed(ROUTES[1], ServerError("still down"))
    assert while_shut(plan, a=Rejection("open", 30), c=Rejection("open", 20)) == GiveUp(seconds=20)


def test_who_finds_a_probe_out_waits_for_its_result_and_does_not_probe_after_it_failed():
    plan = RetryPlan(ROUTES[:1], max_retries=2)
    plan.next(100, 0)
    plan.reject(ROUTES[0], Rejection("probing", 90))
    assert plan.next(100, 0) == Wait(0.05, for_permit=True)
    assert plan.next(100, 0) == StartAttempt(ROUTES[0])
    plan.reject(ROUTES[0], Rejection("open", 60))
    assert plan.next(100, 0) == GiveUp(seconds=60)


def test_a_door_is_waited_for_if_the_deadline_allows():
    for left, expected in ((10, Wait(5, for_permit=True)), (3, GiveUp(seconds=5))):
        plan = RetryPlan(ROUTES[:1], max_retries=2)
        plan.next(left, 0)
        plan.reject(ROUTES[0], Rejection("rate_limit", 5))
        assert plan.next(left, 0) == expected


def test_a_failed_early_probe_is_the_only_one():
    plan = RetryPlan(ROUTES[:2], max_retries=2)
    for route in ROUTES[:2]:
        plan.next(100, 0)
        plan.reject(route, Rejection("open", 30))
    assert plan.next(100, 0) == StartAttempt(ROUTES[0], early=True)
    plan.failed(ROUTES[0], ServerError("still down"))
    assert isinstance(while_shut(plan, b=Rejection("open", 60)), Wait)
    assert while_shut(plan, a=Rejection("open", 60), b=Rejection("open", 60)) == GiveUp(seconds=60)


def test_a_door_is_waited_for_when_all_others_cannot_help():
    plan = RetryPlan(ROUTES[:2], max_retries=2)
    plan.next(100, 0)
    plan.failed(ROUTES[0], AuthenticationError("bad key"))
    assert while_shut(plan, b=Rejection("rate_limit", 5)) == Wait(5, for_permit=True)
    assert plan.next(95, 0) == StartAttempt(ROUTES[1])


def test_who_finds_no_place_looks_again_soon():
    plan = RetryPlan(ROUTES[:1], max_retries=0)
    for pause in (*POLL_SECONDS, POLL_SECONDS[-1]):
        assert plan.next(100, 0) == StartAttempt(ROUTES[0])
        plan.reject(ROUTES[0], Rejection("busy", 0.05))
        assert plan.next(100, 0) == Wait(pause, for_permit=True)


def test_what_is_too_long_for_one_window_goes_to_larger_and_unknown_ones_only():
    plan = RetryPlan(ROUTES, 2, {"a": 8_000, "b": 8_000, "c": None}, 9_000)
    assert plan.next(100, 0) == StartAttempt(ROUTES[0])
    plan.failed(ROUTES[0], ContextOverflowError("too long"))
    assert plan.next(100, 0) == StartAttempt(ROUTES[2])
    plan.failed(ROUTES[2], ContextOverflowError("too long"))
    assert isinstance(plan.next(100, 0), GiveUp)


def test_a_short_request_that_overflows_rules_nobody_out():
    plan = RetryPlan(ROUTES[:2], 2, {"a": 8_000, "b": 8_000}, 100)
    plan.next(100, 0)
    plan.failed(ROUTES[0], ContextOverflowError("too long"))
    assert plan.next(100, 0) == StartAttempt(ROUTES[1])


def test_without_means_nobody_is_asked_again():
    plan = RetryPlan(ROUTES, max_retries=2)
    for route in ROUTES[:2]:
        plan.next(100, 0)
        plan.failed(route, ServerError("down"))
    plan.next(100, 0)
    plan.reject(ROUTES[2], Rejection("rate_limit", 5))
    assert isinstance(plan.next(100, 0), Wait)
    assert plan.next(100, 0) == StartAttempt(ROUTES[0], is_retry=True)
    plan.retry_denied()
    assert while_shut(plan, c=Rejection("rate_limit", 4)) == Wait(4, for_permit=True)


def test_a_spare_is_asked_once_and_a_backup_is_none():
    plan = RetryPlan([*ROUTES[:2], Route("openai:m", name="last", backup=True)], max_retries=0)
    plan.next(100, 0)
    assert plan.next_hedge_candidate() == ROUTES[1]
    plan.take(ROUTES[1])
    assert plan.next_hedge_candidate() is None
    plan.failed(ROUTES[1], ServerError("down"))
    plan.failed(ROUTES[0], ServerError("down"))
    assert route_of(plan.next(100, 0)).name == "last"


shuts = st.builds(
    Rejection,
    st.sampled_from(["open", "probing", "rate_limit", "limit", "busy"]),
    st.sampled_from([0.05, 0.1, 1.0, 10.0, 60.0]),
)
errors = st.sampled_from(
    [
        ServerError("down"),
        ServerError("down", retry_after=2),
        RateLimitError("slow down", retry_after=40),
        AuthenticationError("bad"),
        ContextOverflowError("too long"),
    ]
)


@given(
    count=st.integers(1, 3),
    retries=st.integers(0, 3),
    story=st.lists(st.one_of(shuts, errors, st.just("unpaid")), min_size=1, max_size=12),
    random=st.floats(0, 1),
    windows=st.lists(st.sampled_from([None, 8, 16]), min_size=3, max_size=3),
)
def test_whatever_happens(count, retries, story, random, windows):
    """It ends by the deadline, asks nobody too often, pays for what it repeats, and waits for none while one is left."""
    routes = ROUTES[:count]
    plan, left, turns = RetryPlan(routes, retries, dict(zip("abc", windows, strict=True)), 12), 30.0, 0
    failed, looked, early = [], set(), 0
    while True:
        turns += 1
        assert turns < 2000
        step = plan.next(left, random)
        if isinstance(step, GiveUp):
            assert step.late or step.seconds is None or step.seconds > 0
            break
        if isinstance(step, Wait):
            assert 0 <= step.seconds <= left
            ruled_out = {name for name, error in failed if isinstance(error, ContextOverflowError)}
            assert ruled_out or looked == {route.name for route in routes}, "somebody has not been looked at"
            left -= step.seconds
            continue
        name = step.route.name
        looked.add(name)
        early += step.early
        assert step.is_retry == (name in dict(failed))
        if step.is_retry:
            assert dict(failed)[name].retryable
        told = story[turns % len(story)]
        if isinstance(told, Rejection):
            plan.reject(step.route, told)
        elif told == "unpaid":
            if step.is_retry:
                plan.retry_denied()
            else:
                plan.reject(step.route, Rejection("open", 5.0))
        else:
            failed.append((name, told))
            plan.failed(step.route, told)
        left -= 0.01
    assert early <= 1
    for route in routes:
        assert [name for name, _ in failed].count(route.name) <= retries + 1
