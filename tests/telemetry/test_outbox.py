"""The outbox: nobody waits, nothing is lost while there is room, order stays, and it ends when it should."""

import gc
import logging
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from multiroute_core.telemetry import outbox as outbox_module
from multiroute_core.telemetry.outbox import CAP_SECONDS, PATIENCE, QUIET, DeliveryResult, Outbox, Timing
from tests.telemetry.patience import Clock, eventually, outboxes


class Other:
    """The other end: takes what comes, unless it is told what to say."""

    def __init__(self, *answers: Any):
        self.answers = list(answers)
        self.taken = []
        self.calls = []

    def __call__(self, batch) -> DeliveryResult[Any]:
        self.calls.append(list(batch))
        answer: Any = self.answers.pop(0) if self.answers else DeliveryResult()
        if not isinstance(answer, DeliveryResult):
            answer = answer(batch)
        if not answer.unsent and not answer.rejected:
            self.taken += batch
        return answer


def down(batch):
    return DeliveryResult(unsent=batch, reason="it is down")


class TestSending:
    def test_all_arrives_in_order_in_batches(self):
        other = Other()
        outbox = Outbox(other, "The list", batch=10)
        for first in range(0, 100, 4):
            outbox.put(range(first, first + 4))
        assert outbox.flush(20.0)
        assert other.taken == list(range(100))
        assert max(map(len, other.calls)) <= 10
        assert (outbox.dropped, outbox.pending) == (0, 0)
        outbox.close()

    def test_threads_lose_nothing(self):
        other = Other()
        outbox = Outbox(other, "The list", batch=100)
        threads = [threading.Thread(target=lambda n=n: [outbox.put([(n, i)]) for i in range(500)]) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert outbox.flush(20.0)
        assert sorted(other.taken) == [(n, i) for n in range(8) for i in range(500)]
        for n in range(8):
            assert [i for who, i in other.taken if who == n] == list(range(500))
        outbox.close()

    def test_who_puts_in_does_not_wait_for_who_sends(self):
        gate = threading.Event()

        def accept_later(batch) -> DeliveryResult[int]:
            assert gate.wait(60)
            return DeliveryResult()

        outbox = Outbox(accept_later, "The list")
        began = time.monotonic()
        for number in range(5000):
            outbox.put([number])
        took = time.monotonic() - began
        assert not outbox.flush(0.05)
        gate.set()
        assert outbox.flush(30.0)
        assert took < 10.0
        outbox.close()

    def test_flush_of_nothing_is_done_at_once_and_starts_no_thread(self):
        before = outboxes()
        outbox = Outbox(Other(), "The list")
        assert outbox.flush(0.0)
        assert not outboxes() - before
        outbox.close()


class TestTrouble:
    def test_while_it_is_down_things_wait_longer_and_longer_and_then_go_in_order(self):
        clock, other = Clock(), Other(*[down] * 10)
        outbox = Outbox(other, "The list", batch=2, timing=clock.timing)
        outbox.put([1, 2, 3])
        eventually(lambda: other.taken == [1, 2, 3])
        assert clock.slept[:10] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, CAP_SECONDS, CAP_SECONDS, CAP_SECONDS]
        assert other.calls[:11] == [[1, 2]] * 11
        assert outbox.dropped == 0
        outbox.close()

    def test_pauses_are_spread(self):
        clock, other = Clock(), Other(*[down] * 3)
        chances = iter([0.0, 0.5, 1.0])
        outbox = Outbox(other, "The list", timing=Timing(clock, lambda: next(chances), clock.sleep))
        outbox.put([1])
        eventually(lambda: other.taken == [1])
        assert clock.slept == [0.25, 0.75, 2.0]
        outbox.close()

    def test_the_other_end_may_say_when_to_come_back(self):
        clock, other = Clock(), Other(lambda batch: DeliveryResult(unsent=batch, reason="not now", seconds=30.0))
        outbox = Outbox(other, "The list", timing=clock.timing)
        outbox.put([1])
        eventually(lambda: other.taken == [1])
        assert sum(clock.slept) == pytest.approx(30.0)
        outbox.close()

    def test_flush_skips_a_pause_but_not_what_the_other_end_has_said(self):
        timing = Timing(random=lambda: 1.0)
        impatient, patient = (
            Other(*[down] * 5),
            Other(lambda batch: DeliveryResult(unsent=batch, reason="no", seconds=3600.0)),
        )
        one, two = Outbox(impatient, "One", timing=timing), Outbox(patient, "Two", timing=timing)
        one.put([1])
        two.put([1])
        eventually(lambda: impatient.calls and patient.calls)
        for _ in range(6):
            one.flush(0.2)
        assert impatient.taken == [1]
        assert not two.flush(0.2)
        assert len(patient.calls) == 1
        one.close()
        two.close(0.0)
        assert two.dropped == 1

    def test_a_part_that_is_left_comes_before_what_came_later(self):
        other = Other(lambda batch: DeliveryResult(unsent=batch[2:], reason="half"))
        outbox = Outbox(other, "The list", batch=4, timing=Clock().timing)
        outbox.put(range(6))
        eventually(lambda: other.taken == [2, 3, 4, 5])
        assert other.calls == [[0, 1, 2, 3], [2, 3, 4, 5]]
        outbox.close()

    def test_trouble_is_logged_once_until_it_works_again(self, caplog):
        caplog.set_level(logging.INFO, "multiroute_core")
        clock, other = Clock(), Other(*[down] * 5)
        outbox = Outbox(other, "The list", timing=clock.timing)
        outbox.put([1])
        eventually(lambda: other.taken == [1] and len(caplog.records) == 2)
        assert caplog.messages == [
            "The list is unavailable; items are queued: it is down.",
            "The list is available again.",
        ]
        other.answers = [down] * 3  # a new trouble, but the log has just heard of one
        outbox.put([2])
        eventually(lambda: other.taken == [1, 2])
        assert outbox.flush(5.0)
        assert len(caplog.records) == 2
        clock.now += QUIET
        other.answers = [down] * 3
        outbox.put([3])
        eventually(lambda: other.taken == [1, 2, 3] and len(caplog.records) == 4)
        outbox.close()

    def test_what_is_refused_is_counted_and_holds_up_nothing(self, caplog):
        refuse = [DeliveryResult(rejected=1, reason="the answer was HTTP 400")] * 3
        other = Other(*refuse)
        outbox = Outbox(other, "The list")
        outbox.put([1, 2, 3, 4])
        assert outbox.flush(20.0)
        assert (other.taken, outbox.dropped) == ([4], 3)
        assert caplog.messages == ["The list: 1 dropped (1 in total): the answer was HTTP 400."]
        outbox.close()

    def test_a_bug_holds_up_nothing_and_tells_no_text(self, caplog):
        def broken(batch):
            raise ValueError("whsec_hush")

        other = Other(broken)
        outbox = Outbox(other, "The list", batch=2)
        outbox.put([1, 2, 3])
        assert outbox.flush(20.0)
        assert (other.taken, outbox.dropped) == ([3], 2)
        assert "ValueError" in caplog.text
        assert "hush" not in caplog.text
        outbox.close()

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_a_thread_that_is_ended_is_followed_by_another(self):
        def leave(batch):
            raise SystemExit

        before, other = outboxes(), Other(leave)
        outbox = Outbox(other, "The list", batch=2)
        outbox.put([1, 2])
        for thread in outboxes() - before:
            thread.join(20)
        assert outbox.dropped == 2
        outbox.put([3])
        assert outbox.flush(20.0)
        assert other.taken == [3]
        outbox.close()

    def test_where_no_thread_can_be_started_flush_sends(self, monkeypatch):
        def full(thread):
            raise RuntimeError("can't start new thread")

        other = Other(DeliveryResult(), down)
        outbox = Outbox(other, "The list", batch=2)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", full)
            outbox.put([1, 2, 3])
            assert other.calls == []
            assert not outbox.flush(20.0)  # the second batch fails, and there is nobody to wait
            assert other.taken == [1, 2]
            assert outbox.flush(20.0)
        assert other.taken == [1, 2, 3]
        outbox.close()

    def test_there_is_only_so_much_room_and_the_oldest_go(self, caplog):
        gate, taken = threading.Event(), []

        def slow(batch) -> DeliveryResult[int]:
            gate.wait(60)
            taken.extend(batch)
            return DeliveryResult()

        outbox = Outbox(slow, "The list", batch=1, max_pending=10)
        outbox.put([0])
        eventually(lambda: outbox.pending == 1 and not outbox._queue.pending)  # in hand
        for number in range(1, 31):
            outbox.put([number])
        assert (outbox.pending, outbox.dropped) == (10, 21)
        gate.set()
        assert outbox.flush(20.0)
        assert taken == [0, *range(22, 31)]
        assert caplog.messages == ["The list: 1 dropped (1 in total): more than 10 are queued."]
        outbox.close()

    def test_what_comes_back_finds_no_more_room_than_there_is(self):
        gate = threading.Event()
        other = Other(lambda batch: gate.wait(60) and DeliveryResult(unsent=batch, reason="down"))
        outbox = Outbox(other, "The list", batch=5, max_pending=5, timing=Clock().timing)
        outbox.put(range(5))
        eventually(lambda: other.calls)
        outbox.put([5, 6, 7])  # there is no room for them beside what is in hand
        gate.set()
        assert outbox.flush(20.0)
        assert outbox.dropped == 3
        assert other.taken == [0, 1, 2, 3, 4]
        outbox.close()


class TestEnd:
    def test_closed_it_takes_nothing_more_and_counts_it(self, caplog):
        before, other = outboxes(), Other()
        outbox = Outbox(other, "The list")
        outbox.put([1])
        outbox.close()
        assert other.taken == [1]
        eventually(lambda: not outboxes() - before)
        outbox.put([2, 3])
        assert (other.taken, outbox.dropped) == ([1], 2)
        assert "it is closed" in caplog.text

    def test_closing_waits_only_so_long(self, caplog):
        other = Other(*[down] * 1000)
        outbox = Outbox(other, "The list")
        outbox.put([1, 2])
        began = time.monotonic()
        outbox.close(0.3)
        assert time.monotonic() - began < 30.0
        eventually(lambda: outbox.dropped == 2)
        eventually(lambda: "closed before" in caplog.text)

    def test_let_go_it_sends_what_waits_and_ends_its_thread(self, monkeypatch):
        monkeypatch.setattr(outbox_module, "PATIENCE", 60.0)  # a busy machine takes its time to collect
        before, gate, taken = outboxes(), threading.Event(), []

        def slow(batch) -> DeliveryResult[int]:
            gate.wait(60)
            taken.extend(batch)
            return DeliveryResult()

        outbox = Outbox(slow, "The list")
        outbox.put(range(20))
        assert len(outboxes() - before) == 1
        del outbox
        gc.collect()
        gate.set()
        eventually(lambda: taken == list(range(20)))
        eventually(lambda: not outboxes() - before)

    def test_let_go_while_the_other_end_is_down_it_ends_before_long(self, caplog):
        before = outboxes()
        outbox = Outbox(Other(*[down] * 1000), "The list")
        outbox.put(range(20))
        del outbox
        gc.collect()
        eventually(lambda: not outboxes() - before, PATIENCE + 20.0)
        eventually(lambda: "20 dropped" in caplog.text)

    def test_the_end_of_the_program_sends_what_waits(self):
        code = """
import time
from multiroute_core.telemetry.outbox import Outbox, DeliveryResult
def slow(batch):
    time.sleep(0.01)
    print(*batch, flush=True)
    return DeliveryResult()
outbox = Outbox(slow, "The list", batch=3)
outbox.put(range(20))
"""
        assert program(code)[0].split() == list(map(str, range(20)))

    def test_what_is_put_in_at_the_very_end_is_sent_too(self):
        code = """
import atexit
@atexit.register  # before the outbox's own, so it is called after it: as a ledger's may be
def last():
    outbox.put(["last"])
    again.put(["of all"])
from multiroute_core.telemetry.outbox import Outbox, DeliveryResult
deliver = lambda batch: print(*batch, flush=True) or DeliveryResult()
outbox, again = Outbox(deliver, "The list"), Outbox(deliver, "Another")
outbox.put(["first"])
"""
        assert program(code)[0].split("\n") == ["first", "last", "of all", ""]

    def test_a_program_ends_though_the_other_end_is_down_and_says_what_is_lost(self):
        code = """
import logging
from multiroute_core.telemetry.outbox import Outbox, DeliveryResult
logging.basicConfig(level="WARNING")
outboxes = [Outbox(lambda batch: DeliveryResult(unsent=batch, reason="down"), f"List {n}") for n in "ab"]
for outbox in outboxes: outbox.put(range(20))
"""
        began = time.monotonic()
        log = program(code)[1]
        assert time.monotonic() - began < PATIENCE + 30.0
        for n in "ab":
            assert f"List {n}: 20 dropped (20 in total): the program ended first." in log

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
    def test_a_fork_begins_with_nothing_and_has_its_own_thread(self):
        code = """
import os, threading, time
from multiroute_core.telemetry.outbox import Outbox, DeliveryResult
gate = threading.Event()
def deliver(batch):
    gate.wait(60)
    print(*batch, flush=True)
    return DeliveryResult()
outbox = Outbox(deliver, "The list", batch=10)
outbox.put(["parent"] * 2)
child = os.fork()
if child == 0:
    gate.set()
    assert outbox.pending == 0
    outbox.put(["child"])
    os._exit(0 if outbox.flush(30) else 1)
assert os.waitpid(child, 0)[1] == 0
gate.set()
assert outbox.flush(30)
"""
        out, log = program(code)
        assert out.split() == ["child", "parent", "parent"]
        assert log == ""

    @pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="there is no fork here")
    @pytest.mark.parametrize("how", ["fork", "forkserver", "spawn"])
    def test_the_end_of_a_process_of_a_pool_sends_what_waits(self, how, tmp_path):
        script = tmp_path / "program.py"
        script.write_text("""
import multiprocessing, sys, time
from multiroute_core.telemetry.outbox import Outbox, DeliveryResult
def slow(batch):
    time.sleep(0.1)
    print(*batch, flush=True)
    return DeliveryResult()
outbox = Outbox(slow, "The list", batch=10)
def work():
    outbox.put(range(20))
if __name__ == "__main__":
    outbox.put(["parent"])
    assert outbox.flush(30)
    child = multiprocessing.get_context(sys.argv[1]).Process(target=work)
    child.start()
    child.join(60)
    assert child.exitcode == 0
""")
        done = subprocess.run(
            [sys.executable, "-W", "ignore", script, how], capture_output=True, text=True, timeout=120
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.split() == ["parent", *map(str, range(20))]


def program(code):
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr
