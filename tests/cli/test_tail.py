"""`multiroute tail`: one line for each request, each once, whatever the order in which records come."""

import contextlib
import json
import subprocess
import sys

import hypothesis.strategies as st
from hypothesis import given, settings

from multiroute_core.cli.tail import follow
from multiroute_core.report.following import Follower, find_start
from multiroute_core.report.source import source
from tests.cli.runs import run
from tests.report.conftest import NOON, failure, record

ATTEMPTS = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["success", "timeout", "cached", "cancelled"]), st.floats(0, 50)),
    max_size=20,
)


@settings(max_examples=60)
@given(ATTEMPTS, st.lists(st.floats(0.1, 20), max_size=6))
def test_each_request_is_reported_once_or_again_with_a_late_answer(attempts, beats):
    records = [
        record(n, ended_at=NOON + at, request_id=f"r{of}", outcome=outcome)
        for n, (of, outcome, at) in enumerate(attempts)
    ]
    follower = Follower()
    reported = []
    now = NOON
    for beat in [*beats, 60.0, 40.0]:
        now += beat
        reported += follower.collect([one for one in records if find_start(now) <= one.ended_at <= now], now)
    answered = {one.request_id for one in records if one.outcome in ("success", "cached")}
    names = [one.last.request_id for one in reported]
    assert set(names) == {one.request_id for one in records}
    for name in names:
        assert names.count(name) <= (2 if name in answered else 1)
        last = next(one.last for one in reversed(reported) if one.last.request_id == name)
        assert (last.outcome in ("success", "cached")) == (name in answered)
    assert len([one for one in reported if one.last.outcome in ("success", "cached")]) == len(answered)


def test_the_last_requests_with_their_attempts(ledger):
    path = ledger(
        failure(1, request_id="a", route="anthropic:claude", outcome="overloaded"),
        record(2, request_id="a", route="openai:gpt", tenant="shop", cost=0.5),
        record(3, request_id="b", route="openai:gpt"),
        failure(4, request_id="c", route="\x1b[2Jodd"),
    )
    done = run("tail", path, "--once")
    first, second, third = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert first == "12:00:02  openai:gpt  success  1.00 s  $0.500  tenant=shop  after anthropic:claude overloaded"
    assert second.startswith("12:00:03  openai:gpt  success")
    assert "timeout" in third
    assert "\x1b" not in third
    assert run("tail", path, "--once", "-n", "1").stdout == f"{third}\n"
    assert run("tail", path, "--once", "-n", "0").stdout == ""
    lines = [json.loads(line) for line in run("tail", path, "--once", "--json").stdout.splitlines()]
    assert [(one["request_id"], len(one["attempts"])) for one in lines] == [("a", 2), ("b", 1), ("c", 1)]


def test_it_follows_what_others_write(ledger):
    path = ledger(record(1, request_id="a"))
    lines, clock = [], [NOON + 2]

    class Stop(Exception):
        pass

    def pause(seconds):
        clock[0] += seconds
        if len(lines) < 4:
            n = len(lines)
            ledger(record(n, ended_at=clock[0], request_id=f"later-{n}"))
        else:
            raise Stop

    ledger_source = source(str(path))
    try:
        follow(ledger_source, lambda one: lines.append(one.last.request_id), lines=10, is_endless=True,
               now=lambda: clock[0], pause=pause)  # fmt: skip
    except Stop:
        pass
    finally:
        ledger_source.close()
    assert lines == ["a", "later-1", "later-2", "later-3"]


def test_an_answer_after_a_long_silence_gets_a_line_of_its_own():
    follower = Follower()
    failed, answered = failure(1, request_id="a"), record(50, request_id="a")
    assert follower.collect([failed], NOON + 5) == []
    assert [one.last.outcome for one in follower.collect([failed], NOON + 40)] == ["timeout"]
    assert follower.collect([failed], NOON + 45) == []
    assert [one.attempts for one in follower.collect([failed, answered], NOON + 51)] == [(failed, answered)]
    assert follower.collect([failed, answered], NOON + 52) == []


def test_a_ledger_that_is_replaced_is_followed_by_its_name(ledger, tmp_path, capsys):
    path = tmp_path / "now.db"
    ledger(record(1, request_id="a")).rename(path)
    written = []

    def pause(_):
        if len(beats) == 4:
            path.rename(tmp_path / "yesterday.db")
        elif len(beats) == 2:
            ledger(record(100, request_id="b")).rename(path)
        beats.pop() if beats else stop()

    def stop():
        raise KeyboardInterrupt

    beats = [None] * 4
    with contextlib.closing(source(str(path))) as one, contextlib.suppress(KeyboardInterrupt):
        follow(one, written.append, lines=5, is_endless=True, now=lambda: NOON + 101, pause=pause)
    assert [request.last.request_id for request in written] == ["a", "b"]
    assert "now.db' does not exist" in capsys.readouterr().err


class CountedSource:
    """A source that counts the records that are read."""

    def __init__(self, path):
        self.source = source(str(path))
        self.counts = []

    def read(self, since=None, until=None):
        records = list(self.source.read(since, until))
        self.counts.append(len(records))
        return iter(records)

    def summarize(self, since=None, until=None):
        return self.source.summarize(since, until)

    def close(self):
        self.source.close()


def test_only_the_end_of_a_large_ledger_is_read(ledger):
    # One request a minute: an overloaded route, 400 s later the answer of the next one.
    minutes = [60 * number for number in range(600)]
    first = [failure(at, request_id=f"r{at}", outcome="overloaded") for at in minutes]
    path = ledger(*first, *(record(at + 400, request_id=f"r{at}") for at in minutes))
    now = NOON + minutes[-1] + 401
    for lines in (0, 1, 7, 60, 600, 10_000):
        with contextlib.closing(CountedSource(path)) as counted:
            shown = []
            follow(counted, shown.append, lines=lines, is_endless=False, now=lambda: now)
        assert [one.last.request_id for one in shown] == [f"r{at}" for at in minutes][600 - min(lines, 600) :]
        assert all(len(one.attempts) == 2 for one in shown)  # an attempt before the period is there too
        if lines <= 7:
            assert max(counted.counts) < 100
    with contextlib.closing(CountedSource(path)) as counted:  # nothing was written for ten years
        shown = []
        follow(counted, shown.append, lines=3, is_endless=False, now=lambda: now + 3.2e8)
        assert len(shown) == 3


def test_a_reader_that_closes_the_pipe_ends_it(ledger):
    path = ledger(record(1))
    command = [sys.executable, "-m", "multiroute_core.cli", "tail", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as tail:
        assert tail.stdout.readline().startswith("12:00:01")
        tail.stdout.close()  # nothing more is written to the ledger
        assert tail.wait(timeout=60) == 0
        assert tail.stderr.read() == ""
