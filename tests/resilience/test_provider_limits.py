"""What headers tell, against a provider that counts by itself: truthful ones avoid every refusal, wrong ones pass."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core.resilience import provider_limits
from multiroute_core.resilience.provider_limits import Level, RateLimitHeaders

NAMES = ("requests", "tokens", "input_tokens", "output_tokens")
SLACK = 1e-6


@dataclass
class Meter:
    """One limit inside the provider: what went, and when. It holds a minute's worth."""

    limit: float
    log: list[tuple[float, float]] = field(default_factory=list)

    def holds(self, now):
        lacking = (
            sum(n for at, n in self.log if at >= start) - self.limit / 60 * (now - start) for start, _ in self.log
        )
        return self.limit - max(0.0, *lacking) if self.log else self.limit

    def level(self, now):
        holds = min(self.limit, self.holds(now))
        return Level(holds, self.limit, now + max(0.001, (self.limit - holds) * 60 / self.limit), now)


@dataclass
class Provider:
    requests: Meter
    tokens: Meter
    refused: int = 0

    def ask(self, now, tokens):
        """Its headers, and whether it answers."""
        enough = (
            self.requests.holds(now) >= 1 - SLACK and self.tokens.holds(now) >= min(tokens, self.tokens.limit) - SLACK
        )
        if enough:
            self.requests.log.append((now, 1.0))
            self.tokens.log.append((now, min(tokens, self.tokens.limit)))  # more counts as all of it
        else:
            self.refused += 1
        return RateLimitHeaders(self.requests.level(now), self.tokens.level(now)), enough


CALLS = st.lists(st.tuples(st.sampled_from([0.0, 0.0, 0.5, 5.0, 70.0]), st.integers(1, 60)), max_size=40)


@settings(deadline=None)
@given(st.sampled_from([1.0, 3.0, 20.0]), st.sampled_from([30.0, 60.0, 100.0, 600.0]), CALLS)
def test_truthful_headers_avoid_every_refusal_and_no_call_waits_too_long(rpm, tpm, calls):
    provider, known, now = Provider(Meter(rpm), Meter(tpm)), None, 1000.0
    for seconds, tokens in calls:
        now += seconds
        if known is not None:
            known, wait = provider_limits.take(known, now, tokens)
            if wait:
                assert wait <= 60.0
                if wait > 0.1:
                    _, early = Provider(provider.requests, Meter(tpm, list(provider.tokens.log))).ask(
                        now + wait - 0.1, tokens
                    )
                    if early:  # it was only told about one of both: asking earlier would have been in vain
                        provider.requests.log.pop()
                    assert not early
                now += wait
                known, wait = provider_limits.take(known, now, tokens)
                assert wait == 0.0, "it is there when it was said to be"
        told, answered = provider.ask(now, tokens)
        assert answered
        known = told if known is None else provider_limits.learn(known, told, now)
    assert provider.refused == 0


@st.composite
def levels(draw, at=1000.0, most=1e9):
    limit = draw(st.floats(1, most))
    return Level(limit * draw(st.floats(0, 1)), limit, at + draw(st.floats(0.001, 1e6)), at)


ROOMS = st.builds(RateLimitHeaders, *(st.none() | levels() for _ in NAMES))


@given(ROOMS, st.floats(0, 100), st.lists(st.floats(0, 1e9), min_size=1, max_size=20))
def test_whatever_is_told_nobody_is_stopped_for_longer_than_a_minute(room, after, asks):
    now = 1000.0 + after
    for tokens in asks:
        now_or_later = now
        for _ in range(3):
            lowered, wait = provider_limits.take(room, now_or_later, tokens)
            if not wait:
                room = lowered
                break
            assert 0 < wait
            assert now_or_later + wait <= 1060.0 + SLACK
            now_or_later += wait
        else:
            raise AssertionError("asking when it was said to be there is in vain again and again")
    for name in NAMES:
        level = getattr(room, name)
        if level is not None:
            _, wait = provider_limits.take(RateLimitHeaders(**{name: level}), level.reset, 1e9)
            assert wait == 0.0, "a level is over with its own reset"


ASKS = st.lists(st.tuples(st.sampled_from([0.0, 0.0, 0.1, 1.0, 9.0]), st.integers(1, 400)), max_size=20)


@given(levels(most=10), levels(most=1000), ASKS)
def test_between_two_answers_no_more_goes_out_than_was_left_and_what_came_in(requests, tokens, asks):
    room, now, gone, sent = RateLimitHeaders(requests, None, tokens), 1000.0, 0.0, 0
    for seconds, amount in asks:
        now += seconds
        room, wait = provider_limits.take(room, now, amount)
        if wait or now >= min(requests.reset, tokens.reset, 1060.0):
            continue
        gone, sent = gone + min(amount, tokens.limit), sent + 1
        for level, total in ((requests, sent), (tokens, gone)):
            came = (level.limit - level.remaining) / (level.reset - level.at) * (now - level.at)
            assert total <= level.remaining + came + SLACK * level.limit


def test_a_provider_that_told_nothing_stops_nobody():
    assert provider_limits.take(RateLimitHeaders(), 0.0, 1e9) == (RateLimitHeaders(), 0.0)
    assert provider_limits.requests_left(RateLimitHeaders(), 0.0) is None
    assert provider_limits.tokens_left(RateLimitHeaders(), 0.0) is None


@given(ROOMS, st.floats(0, 70), st.integers(1, 10**6))
def test_what_is_left_is_what_goes(room, after, tokens):
    now = 1000.0 + after
    _, wait = provider_limits.take(room, now, tokens)

    def goes(now):
        requests_left, tokens_left = provider_limits.requests_left(room, now), provider_limits.tokens_left(room, now)
        return (requests_left is None or requests_left >= 1.0) and (tokens_left is None or tokens_left >= tokens)

    if goes(now):
        assert wait == 0.0
    elif (
        wait == 0.0
    ):  # it is there within the rounding of a clock; and what is more than all of it goes when all is there
        more = any(level is not None and level.limit < tokens for level in (room.tokens, room.input_tokens))
        assert more or goes(now + 2 * provider_limits.GRACE)


@given(st.integers(0, 60), st.integers(0, 60), st.lists(st.integers(1, 50), max_size=10))
def test_of_two_answers_the_younger_one_counts(first, second, spent):
    level = Level(500.0, 1000.0, 1100.0, 1000.0 + first)
    told = Level(700.0, 1000.0, 1100.0, 1000.0 + second)
    room = RateLimitHeaders(tokens=level)
    for tokens in spent:
        room = provider_limits.spend(room, 1.0, tokens)
    now = 1000.0 + max(first, second)
    learned = provider_limits.learn(room, RateLimitHeaders(tokens=told), now).tokens
    assert learned is not None
    if second < first:
        assert learned == room.tokens
    else:
        assert (learned.remaining, learned.at) == (700.0, told.at)
        assert learned.spent == 0.0, "it counts what went out before it came"


@given(st.floats(1, 30), st.floats(0, 30))
def test_of_what_went_out_beside_an_answer_the_part_after_it_counts(took, late):
    """The answer came `took` seconds after the one before, and is learned from `late` seconds later."""
    known = RateLimitHeaders(tokens=Level(500.0, 1000.0, 2000.0, 1000.0, spent=100.0))
    told = RateLimitHeaders(tokens=Level(400.0, 1000.0, 2000.0, 1000.0 + took))
    learned = provider_limits.learn(known, told, 1000.0 + took + late).tokens
    assert learned is not None
    assert learned.spent == pytest.approx(100.0 * late / (took + late), abs=SLACK)


@given(ROOMS, ROOMS)
def test_a_level_that_is_not_told_again_stays(known, told):
    learned = provider_limits.learn(known, told, 1000.0)
    for name in NAMES:
        before, news, after = getattr(known, name), getattr(told, name), getattr(learned, name)
        assert after == (news or before)


@given(st.floats(1, 1000), st.floats(1, 5000), st.floats(0.001, 1e6))
def test_of_a_full_level_all_of_it_goes_to_one_call(limit, tokens, reset):
    room = RateLimitHeaders(tokens=Level(limit, limit, 1000.0 + reset, 1000.0))
    _, wait = provider_limits.take(room, 1000.0, max(tokens, limit))
    assert wait == 0.0


def test_an_empty_output_level_stops_and_a_small_one_does_not():
    for remaining, stops in ((0.0, True), (1.0, False)):
        room = RateLimitHeaders(output_tokens=Level(remaining, 1000.0, 1060.0, 1000.0))
        _, wait = provider_limits.take(room, 1000.0, 500.0)
        assert bool(wait) is stops
        assert provider_limits.tokens_left(room, 1000.0) == (0.0 if stops else None)
