"""The breaker as a state machine: whatever the order of asks, answers, cancellations and time, its law holds."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from multiroute_core.rules.breaker import Breaker, BreakerSettings, Permit, Shut, Verdict, admit, settle

SETTINGS = BreakerSettings(failures=3, seconds=60, probe_seconds=20)


class BreakerMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.breaker = Breaker()
        self.now = 0.0
        self.out: list[tuple[Permit, float]] = []
        self.settled: list[Permit] = []

    def current(self, permit):
        return permit.generation == self.breaker.generation

    @rule(seconds=st.sampled_from([0.0, 1.0, 19.9, 20.0, 59.9, 60.0]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(early=st.booleans())
    def ask(self, early):
        before = self.breaker
        self.breaker, answer = admit(before, SETTINGS, self.now, early=early)
        if isinstance(answer, Shut):
            assert self.breaker == before, "a refusal changes nothing"
            assert answer.seconds > 0
            # Asking again when it said is not refused for the same reason.
            _, later = admit(before, SETTINGS, self.now + answer.seconds)
            assert not (isinstance(later, Shut) and later.why == answer.why)
            return
        assert self.now >= before.door_until, "nobody passes a closed door"
        if before.opened_until is not None:
            assert answer.probe
            assert early or self.now >= before.opened_until, "no ask on an open route before its time"
            assert before.probe_until is None or self.now >= before.probe_until, "one probe at a time"
        self.out.append((answer, self.now))

    @precondition(lambda self: self.out)
    @rule(data=st.data(), verdict=st.sampled_from(Verdict), door=st.sampled_from([None, None, None, 5.0]))
    def answer(self, data, verdict, door):
        permit, _ = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        self.back(permit, verdict, door)

    @precondition(lambda self: self.settled)
    @rule(data=st.data(), verdict=st.sampled_from(Verdict))
    def late_answer(self, data, verdict):
        """A permit settled twice, as after a crash: only the current generation may move anything."""
        permit = data.draw(st.sampled_from(self.settled))
        if not self.current(permit):
            self.back(permit, verdict, None)

    def back(self, permit, verdict, door):
        before, current = self.breaker, self.current(permit)
        self.breaker = settle(before, SETTINGS, self.now, permit, verdict, door)
        self.settled.append(permit)
        after = self.breaker
        if door is not None:
            assert after.door_until >= self.now + door
        if not current:
            assert (after.failures, after.opened_until, after.probe_until) == (
                before.failures,
                before.opened_until,
                before.probe_until,
            ), "a stale answer moves nothing"
            return
        if verdict is Verdict.NONE:
            assert (after.failures, after.opened_until) == (before.failures, before.opened_until)
            if permit.probe:
                assert after.probe_until is None, "a probe without a verdict is given back"
        elif verdict is Verdict.SUCCESS:
            assert after.opened_until is None
            assert after.failures == 0
        elif verdict is Verdict.LASTING or permit.probe or before.failures + 1 >= SETTINGS.failures:
            assert after.opened_until == self.now + SETTINGS.seconds
        else:
            assert after.opened_until is None
            assert after.failures == before.failures + 1

    @invariant()
    def closed_routes_have_no_probe(self):
        if self.breaker.opened_until is None:
            assert self.breaker.probe_until is None
            assert self.breaker.failures < SETTINGS.failures

    @invariant()
    def it_always_recovers(self):
        breaker, now = self.breaker, self.now
        for _ in range(4):  # a closed door, an open breaker, a probe, and in
            _, answer = admit(breaker, SETTINGS, now)
            if isinstance(answer, Permit):
                return
            now += answer.seconds
        raise AssertionError("shut for ever")


TestBreaker = BreakerMachine.TestCase
TestBreaker.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


def test_three_failures_in_a_row_open_it_and_a_success_between_does_not():
    breaker = Breaker()
    for verdict in (Verdict.FAILURE, Verdict.FAILURE, Verdict.SUCCESS, Verdict.FAILURE, Verdict.FAILURE):
        breaker, permit = admit(breaker, SETTINGS, 0.0)
        breaker = settle(breaker, SETTINGS, 0.0, permit, verdict)
    assert breaker.opened_until is None
    breaker, permit = admit(breaker, SETTINGS, 0.0)
    breaker = settle(breaker, SETTINGS, 0.0, permit, Verdict.FAILURE)
    _, answer = admit(breaker, SETTINGS, 30.0)
    assert answer == Shut("open", 30.0)


def test_an_abandoned_probe_is_replaced_and_speaks_no_more():
    opened = Breaker(failures=3, opened_until=60.0, generation=1)
    breaker, first = admit(opened, SETTINGS, 60.0)
    _, answer = admit(breaker, SETTINGS, 70.0)
    assert answer == Shut("probing", 10.0)
    breaker, second = admit(breaker, SETTINGS, 80.0)
    assert second.probe
    assert settle(breaker, SETTINGS, 81.0, first, Verdict.SUCCESS) == breaker
    assert settle(breaker, SETTINGS, 81.0, second, Verdict.SUCCESS).opened_until is None
