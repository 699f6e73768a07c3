"""The breaker against a log of all that happened: whatever the order of asks, answers, cancellations and time, its law holds.

The model keeps every verdict with its time and counts them anew at each step; it knows nothing of generations or halves.
"""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from multiroute_core.resilience.admission import Permit, Rejection, Verdict
from multiroute_core.resilience.circuit_breaker import Breaker, BreakerSettings, admit, settle
from tests.examples import examples

JITTERS = st.sampled_from([0.0, 0.5, 1.0])
VERDICTS = st.sampled_from([Verdict.SUCCESS, Verdict.FAILURE, Verdict.NONE, Verdict.PERMANENT])
SHORT = BreakerSettings(failures=3, calls=6, seconds=4, longest=40, permanent=100, forget=50, probe=20, window=60)
LONG_RUN = BreakerSettings(
    failures=50, ratio=0.5, calls=6, seconds=8, longest=16, permanent=64, forget=20, probe=10, window=40
)
STRICT = BreakerSettings(failures=1, calls=100, seconds=1, longest=512, permanent=4, forget=1000, probe=2, window=10)


@dataclass
class Out:
    permit: Permit
    era: int
    probe: bool


def ratios(log: list[tuple[float, bool]], rules: BreakerSettings, now: float) -> list[bool]:
    """Whether the ratio opens, for each way in which a window that moves by halves may be cut."""
    found: list[bool] = []
    for start in range(len(log) + 1):
        before, within = log[:start], log[start:]
        if all(now - at >= rules.window / 2 for at, _ in before) and all(
            now - at < 1.5 * rules.window for at, _ in within
        ):
            failed = sum(f for _, f in within)
            found.append(len(within) >= rules.calls and failed >= rules.ratio * len(within))
    return found


class BreakerMachine(RuleBasedStateMachine):
    @initialize(rules=st.sampled_from([SHORT, LONG_RUN, STRICT]), now=st.sampled_from([0.0, 1000.0]))
    def begin(self, rules: BreakerSettings, now: float):
        self.breaker_settings = rules
        self.now = now
        self.breaker = Breaker()
        self.out: list[Out] = []
        self.era = 0
        self.log: list[tuple[float, bool]] = []  # the verdicts of this era
        self.until: float | None = None  # the end of the break
        self.lease: float | None = None
        self.breaks = 0
        self.closed_since = 0.0

    @rule(seconds=st.sampled_from([0.0, 1.0, 3.0, 4.0, 8.0, 19.0, 20.0, 30.0, 60.0, 400.0]))
    def time_passes(self, seconds):
        self.now += seconds

    @precondition(lambda self: self.until is not None)
    @rule(early=st.sampled_from([0.0, 0.5]))
    def the_break_ends(self, early):
        self.now = max(self.now, self.until - early)

    @rule(early=st.booleans())
    def ask(self, early):
        before = self.breaker
        self.breaker, answer = admit(before, self.breaker_settings, self.now, early=early)
        if self.until is None:
            assert isinstance(answer, Permit)
            assert not answer.probe
        elif self.lease is not None and self.now < self.lease:
            assert answer == Rejection("probing", self.lease - self.now)
        elif self.now < self.until and not early:
            assert answer == Rejection("open", self.until - self.now)
        else:
            assert isinstance(answer, Permit)
            assert answer.probe
            self.lease = self.now + self.breaker_settings.probe
            self.era += 1
        if isinstance(answer, Rejection):
            assert self.breaker == before, "a refusal changes nothing"
        else:
            self.out.append(Out(answer, self.era, answer.probe))

    @precondition(lambda self: self.out)
    @rule(data=st.data(), verdict=VERDICTS, random=JITTERS)
    def answer(self, data, verdict, random):
        self.back(self.out.pop(data.draw(st.integers(0, len(self.out) - 1))), verdict, random)

    @rule(
        verdicts=st.lists(st.sampled_from([Verdict.SUCCESS, Verdict.FAILURE, Verdict.FAILURE]), min_size=1, max_size=8),
        apart=st.sampled_from([0.0, 1.0, 7.0]),
        random=JITTERS,
    )
    def calls(self, verdicts, apart, random):
        """Some calls, each over before the next."""
        for verdict in verdicts:
            count = len(self.out)
            self.ask(False)
            if len(self.out) > count:
                self.back(self.out.pop(), verdict, random)
            self.now += apart

    @precondition(lambda self: any(out.era != self.era for out in self.out))
    @rule(verdict=VERDICTS, random=JITTERS)
    def late_answer(self, verdict, random):
        out = next(out for out in self.out if out.era != self.era)
        self.out.remove(out)
        self.back(out, verdict, random)

    def back(self, out: Out, verdict: Verdict, random: float):
        before = self.breaker
        self.breaker = after = settle(before, self.breaker_settings, self.now, out.permit, verdict, random)
        if out.era != self.era:
            assert after == before, "a late answer moves nothing"
            return
        if verdict is Verdict.NONE:
            if out.probe:
                self.lease = None
            else:
                assert after == before, "no verdict, no change"
            return
        if out.probe and verdict is Verdict.SUCCESS:
            self.until = self.lease = None
            self.closed_since, self.log, self.era = self.now, [], self.era + 1
            return
        if not out.probe:
            self.log.append((self.now, verdict is not Verdict.SUCCESS))
        last = [failed for _, failed in self.log[-self.breaker_settings.failures :]]
        run = len(last) == self.breaker_settings.failures and all(last)
        often = ratios(self.log, self.breaker_settings, self.now)
        failed = verdict is not Verdict.SUCCESS
        must = failed and (out.probe or run or verdict is Verdict.PERMANENT or all(often))
        may = failed and (must or any(often))
        opened = after.condition(self.now) != "closed"
        assert opened or not must, "it had to open"
        assert may or not opened, "it had no reason to open"
        if opened:
            if self.until is None and self.now - self.closed_since >= self.breaker_settings.forget:
                self.breaks = 0
            base = min(self.breaker_settings.longest, self.breaker_settings.seconds * 2**self.breaks)
            seconds = self.breaker_settings.permanent if verdict is Verdict.PERMANENT else base
            self.until = self.now + seconds * {0.0: 0.75, 0.5: 1.0, 1.0: 1.25}[random]
            self.lease, self.log, self.era = None, [], self.era + 1
            self.breaks += 1

    @invariant()
    def it_is_what_the_log_says(self):
        if self.until is None:
            assert self.breaker.condition(self.now) == "closed"
        else:
            assert self.breaker.condition(self.now) == ("open" if self.now < self.until else "half_open")

    @invariant()
    def it_always_recovers(self):
        breaker, now = self.breaker, self.now
        for _ in range(3):  # another's probe, the rest of the break, and in
            breaker, answer = admit(breaker, self.breaker_settings, now)
            if isinstance(answer, Permit):
                return
            assert answer.seconds > 0
            now += answer.seconds
        raise AssertionError("shut for ever")


TestBreaker = pytest.mark.slow(BreakerMachine.TestCase)
TestBreaker.settings = settings(max_examples=examples(120), stateful_step_count=40, deadline=None)


def opened(breaker: Breaker, rules: BreakerSettings, now: float, random: float) -> Breaker:
    """Let it fail until it is open."""
    while breaker.condition(now) != "open":
        breaker, permit = admit(breaker, rules, now)
        assert isinstance(permit, Permit)
        breaker = settle(breaker, rules, now, permit, Verdict.FAILURE, random)
    return breaker


def rest(breaker: Breaker, rules: BreakerSettings, now: float) -> float:
    _, answer = admit(breaker, rules, now)
    assert isinstance(answer, Rejection)
    return answer.seconds


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_breaks_double_up_to_the_longest_each_within_a_quarter(randoms):
    rules, breaker, now = BreakerSettings(), Breaker(), 100.0
    for count, random in enumerate(randoms):
        breaker = opened(breaker, rules, now, random)
        seconds = rest(breaker, rules, now)
        middle = min(300.0, 5.0 * 2**count)
        assert 0.75 * middle - 1e-6 <= seconds <= 1.25 * middle + 1e-6
        assert abs(seconds - middle * (1 + (random - 0.5) / 2)) < 1e-6, "spread evenly"
        now += seconds


def test_a_route_that_is_dead_for_weeks_is_still_probed():
    rules, breaker, now = BreakerSettings(), Breaker(), 0.0
    for _ in range(1500):
        breaker = opened(breaker, rules, now, 0.5)
        now += rest(breaker, rules, now)
    assert now > 1500 * 200


def test_who_was_well_for_a_while_begins_with_a_short_break_again():
    rules = BreakerSettings()
    for well, expected in ((59.0, 20.0), (60.0, 5.0)):
        breaker, now = Breaker(), 0.0
        for _ in range(2):
            breaker = opened(breaker, rules, now, 0.5)
            now += rest(breaker, rules, now)
        breaker, permit = admit(breaker, rules, now)
        assert isinstance(permit, Permit)
        breaker = settle(breaker, rules, now, permit, Verdict.SUCCESS, 0.5)
        breaker = opened(breaker, rules, now + well, 0.5)
        assert rest(breaker, rules, now + well) == expected


def test_half_of_all_calls_open_it_though_no_three_in_a_row_fail():
    breaker, rules = Breaker(), BreakerSettings()
    for count in range(12):
        breaker, permit = admit(breaker, rules, float(count))
        if isinstance(permit, Rejection):
            break
        verdict = Verdict.FAILURE if count % 2 else Verdict.SUCCESS
        breaker = settle(breaker, rules, float(count), permit, verdict, 0.5)
    assert count == 10, "after ten calls, five of which failed"


def test_an_abandoned_probe_is_replaced_and_speaks_no_more():
    rules = BreakerSettings()
    breaker, now = opened(Breaker(), rules, 0.0, 0.5), 5.0
    breaker, first = admit(breaker, rules, now)
    breaker, answer = admit(breaker, rules, now + 119)
    assert answer == Rejection("probing", 1.0)
    breaker, second = admit(breaker, rules, now + 120)
    assert isinstance(first, Permit)
    assert isinstance(second, Permit)
    for verdict in Verdict:
        assert settle(breaker, rules, now + 121, first, verdict, 0.5) == breaker
    assert settle(breaker, rules, now + 121, second, Verdict.SUCCESS, 0.5).condition(now + 121) == "closed"


# The same on every run, whatever Hypothesis draws


@pytest.mark.parametrize(
    ("verdict", "condition"), [(Verdict.SUCCESS, "closed"), (Verdict.FAILURE, "open"), (Verdict.NONE, "half_open")]
)
def test_what_a_probe_teaches(verdict, condition):
    breaker = opened(Breaker(), SHORT, 0.0, 0.5)
    breaker, permit = admit(breaker, SHORT, 4.0)
    assert isinstance(permit, Permit)
    assert permit.probe
    breaker = settle(breaker, SHORT, 5.0, permit, verdict, 0.5)
    assert breaker.condition(5.0) == condition
    _, answer = admit(breaker, SHORT, 5.0)
    assert answer == Rejection("open", 2 * SHORT.seconds) if condition == "open" else isinstance(answer, Permit)


@pytest.mark.parametrize(("random", "seconds"), [(0.0, 3.0), (0.5, 4.0), (1.0, 5.0)])
def test_breaks_are_spread_by_a_quarter(random, seconds):
    assert rest(opened(Breaker(), SHORT, 0.0, random), SHORT, 0.0) == seconds
