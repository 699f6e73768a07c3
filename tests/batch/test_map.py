"""`Router.map` and `amap`: the order, errors as values, prompts taken when needed, nothing left behind."""

import asyncio
import collections
import contextvars
import gc
import itertools
import os
import signal
import threading
import time
import weakref
from typing import Any

import pytest

from multiroute_core import (
    BatchInterrupted,
    BatchProgress,
    BatchResults,
    ConfigurationError,
    Message,
    Response,
    Router,
    ServerError,
    Text,
    options,
)
from multiroute_core.messages import Role
from multiroute_core.testing import Answer, Fail, Hang, provider_of, scripted_route
from multiroute_core.types import Usage

FACES = ("map", "amap")


def send(router, face, prompts, **more):
    """A batch through one of the two faces, in silence unless `progress` is given."""
    more = {"progress": False} | more
    return asyncio.run(router.amap(prompts, **more)) if face == "amap" else router.map(prompts, **more)


def echo(fails=(), **more):
    def behaviour(call):
        return Fail() if call.text in fails else Answer("{asked}!", **more)

    return behaviour


def threads():
    return {thread for thread in threading.enumerate() if thread.is_alive()}


@pytest.mark.parametrize("face", FACES)
def test_results_stand_in_the_order_of_the_prompts(face):
    """The later a prompt, the sooner it is answered."""
    router = Router([scripted_route("a", lambda call: Answer("{asked}!", headers=0.002 * (12 - int(call.text))))])
    results = send(router, face, [str(n) for n in range(12)], concurrency=12)
    assert results.texts == [f"{n}!" for n in range(12)]
    assert [response.text for response in results.responses] == results.texts
    assert len(results) == 12
    assert results.errors == {}


@pytest.mark.parametrize("face", FACES)
def test_an_error_takes_its_prompts_place(face):
    router = Router([scripted_route("a", echo(fails=("2",)))], max_retries=0)
    results = send(router, face, ["1", "2", "", "3"])
    assert results.texts == ["1!", None, None, "3!"]
    assert isinstance(results.errors[1], ServerError)
    assert isinstance(results.errors[2], ConfigurationError), "an empty prompt is an error of its own place"
    assert results[1] is results.errors[1]
    with pytest.raises(ServerError):
        results.raise_first()
    assert results[3:].raise_first().texts == ["3!"]


@pytest.mark.parametrize("face", FACES)
def test_prompts_may_be_whatever_generate_takes(face):
    router = Router([scripted_route("a", echo())])
    role: Role = "user"
    prompts = ["one", Message(role, (Text("two"),)), [{"role": "user", "content": "three"}], [("user", "four")]]
    assert send(router, face, prompts).texts == ["one!", "two!", "three!", "four!"]
    assert send(router, face, []).texts == []


@pytest.mark.parametrize("face", FACES)
def test_the_next_prompt_is_taken_when_a_call_has_ended(face):
    route = scripted_route("a", echo(headers=0.001))
    provider = provider_of(route)
    router = Router([route])
    ahead = []

    def prompts():
        for number in range(60):
            ahead.append(number - sum(take.ended is not None for take in provider.takes))
            yield str(number)

    results = send(router, face, prompts(), concurrency=4)
    assert results.texts == [f"{n}!" for n in range(60)]
    assert max(ahead) <= 5, "those in flight, and one in hand"
    assert max_in_flight(provider) <= 4


def max_in_flight(provider):
    moments = sorted([(take.asked.at, 1) for take in provider.takes] + [(take.ended, -1) for take in provider.takes])
    return max(itertools.accumulate(step for _, step in moments))


class Prompt(str):
    """A prompt that can be watched."""

    __slots__ = ("__weakref__",)


@pytest.mark.parametrize("face", FACES)
def test_prompts_that_are_answered_are_not_held(face):
    route = scripted_route("a", Answer("ok"))
    provider: Any = provider_of(route)
    provider.takes = collections.deque(maxlen=1)
    alive: weakref.WeakSet[Prompt] = weakref.WeakSet()
    counts = []

    def prompts():
        for number in range(1500):
            prompt = Prompt(f"prompt {number}")
            alive.add(prompt)
            counts.append(len(alive))
            yield prompt

    results = send(Router([route]), face, prompts(), concurrency=8)
    assert len(results) == 1500
    assert results.errors == {}
    gc.collect()
    assert max(counts) < 100, "the collector may come late, but not at the end"
    assert len(alive) <= 2


async def test_prompts_may_come_from_an_async_generator():
    router = Router([scripted_route("a", echo())])
    closed = []

    async def prompts():
        try:
            for number in range(30):
                await asyncio.sleep(0)
                yield str(number)
        finally:
            closed.append(True)

    results = await router.amap(prompts(), concurrency=7, progress=False)
    assert results.texts == [f"{n}!" for n in range(30)]
    assert closed == [True]


async def test_the_sync_face_works_inside_a_running_loop():
    router = Router([scripted_route("a", echo())])
    assert router.map(["1", "2"], progress=False).texts == ["1!", "2!"]


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"temprature": 1}, "did you mean 'temperature'"),
        ({"temperature": 3}, "temperature=3 is not valid"),
        ({"concurrency": 0}, "concurrency=0 is not valid; expected an integer of at least 1"),
        ({"progress": "yes"}, "progress='yes' is not valid; expected True, False, or a function"),
        ({"prompts": "one prompt"}, "expected an iterable of prompts"),
        ({"prompts": {"role": "user", "content": "x"}}, "expected an iterable of prompts"),
        ({"prompts": 7}, "expected an iterable of prompts"),
        ({"route_tags": {"eu"}}, "eu"),
        ({"priority": "low"}, "priority"),
    ],
)
def test_arguments_are_checked_before_anything_is_sent(face, arguments, sentence):
    route = scripted_route("a", Answer())
    arguments = dict(arguments)
    with pytest.raises(ConfigurationError, match=sentence.replace("(", r"\(")):
        send(Router([route]), face, arguments.pop("prompts", ["x"]), **arguments)
    assert provider_of(route).takes == []


@pytest.mark.parametrize("face", FACES)
def test_options_and_context_variables_reach_every_call(face):
    color = contextvars.ContextVar("color")
    heard = []
    router = Router([scripted_route("a", Answer("ok"))], on_event=[heard.append])
    color.set("blue")
    seen = []
    router = router.with_hooks(lambda _: seen.append(color.get(None)))
    with options(tenant="shop"):
        send(router, face, ["1", "2"], temperature=0.5)
    started = [event for event in heard if type(event).__name__ == "RequestStarted"]
    assert [(event.tenant, event.request.temperature) for event in started] == [("shop", 0.5)] * 2
    assert set(seen) == {"blue"}


@pytest.mark.parametrize("face", FACES)
def test_a_progress_function_hears_every_prompt(face):
    route = scripted_route(
        "a",
        lambda call: Fail() if call.text == "2" else Answer(usage=Usage(1_000_000, 1)),
        prices={"input": 2.0, "output": 4.0},
    )
    router = Router([route], max_retries=0, cache="memory")
    heard: list[BatchProgress] = []
    send(router, face, ["1"], progress=heard.append)
    send(router, face, ["1", "2", "3"], progress=heard.append, concurrency=1)
    assert [(p.done, p.total, p.failed, p.cached) for p in heard] == [
        (1, 1, 0, 0),
        (1, 3, 0, 1),
        (2, 3, 1, 1),
        (3, 3, 1, 1),
    ]
    assert heard[-1].cost == pytest.approx(2.0, rel=1e-3)
    assert heard[0].unknown_costs == 0
    assert heard[-1].remaining_seconds == 0
    assert heard[-1].rate > 0


@pytest.mark.parametrize("face", FACES)
def test_a_progress_function_that_fails_ends_nothing(face, caplog):
    router = Router([scripted_route("a", echo())])
    assert send(router, face, ["1", "2"], progress=lambda p: 1 / 0).texts == ["1!", "2!"]
    assert caplog.text.count("The progress function") == 1, "once, not for every prompt"


@pytest.mark.parametrize("face", FACES)
def test_what_is_in_the_cache_is_not_asked_again(face):
    route = scripted_route("a", echo())
    router = Router([route], cache="memory")
    send(router, face, ["1", "2", "1", "1"])
    assert len(provider_of(route).takes) == 2, "equal prompts in flight are one"
    results = send(router, face, ["1", "2", "3"])
    assert [response.cached for response in results.responses] == [True, True, False]
    assert len(provider_of(route).takes) == 3


@pytest.mark.parametrize("face", FACES)
def test_an_error_of_the_prompts_own_iterator_is_raised(face):
    before = threads()

    def prompts():
        yield "1"
        raise OSError("the file is gone")

    with pytest.raises(OSError, match="the file is gone"):
        send(Router([scripted_route("a", Hang())]), face, prompts())
    assert threads() <= before


def interrupt_soon(ready):
    """Press Ctrl-C once `ready` is true."""

    def press():
        until = time.monotonic() + 10.0  # then the test fails, instead of hanging
        while not ready() and time.monotonic() < until:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()


@pytest.mark.parametrize("waiting", ["a provider", "a place", "another's answer", "a retry"])
def test_an_interrupt_keeps_what_is_done_and_leaves_nothing_behind(waiting):
    def behaviour(call):
        if int(call.text) < 3:
            return Answer("{asked}!")
        return Fail(ServerError, retry_after=60.0) if waiting == "a retry" else Hang()

    more = {"max_concurrency": 2} if waiting == "a place" else {}
    route = scripted_route("a", behaviour, **more)
    provider = provider_of(route)
    router = Router([route], cache="memory" if waiting == "another's answer" else None)
    before = threads()
    progress = []
    prompts = [str(n) if waiting != "another's answer" or n < 3 else "3" for n in range(10)]
    interrupt_soon(lambda: len(progress) >= 3 and len(provider.takes) > 3)
    with pytest.raises(BatchInterrupted) as stop:
        router.map(iter(prompts), concurrency=4, progress=progress.append)
    assert isinstance(stop.value, KeyboardInterrupt)
    results = stop.value.results
    assert results.texts[:3] == ["0!", "1!", "2!"]
    assert all("send it again" in str(error) for error in results.errors.values())
    assert "Interrupted after 3 prompts" in str(stop.value)
    until = time.monotonic() + 5.0
    while threads() - before and time.monotonic() < until:
        time.sleep(0.01)
    assert threads() - before == set()
    del stop, results
    gc.collect()
    assert router.health()["a"].in_flight == 0


def test_an_interrupt_ends_hedged_calls_too():
    """Each call has two attempts in flight, in threads of their own."""
    hangs = threading.Event()

    def behaviour(call):
        return Hang() if hangs.is_set() else Answer("ok", headers=0.001)

    routes = [scripted_route(name, behaviour) for name in "ab"]
    router = Router(routes, hedge_budget=1.0)
    for _ in range(30):
        router.generate("warm up")
    router.generate("the second one too", model="b")
    hangs.set()
    before = threads()
    first, second = map(provider_of, routes)
    interrupt_soon(lambda: first.in_flight == 3 and second.in_flight > 0)
    with pytest.raises(BatchInterrupted) as stop:
        router.map((str(n) for n in range(9)), concurrency=3, progress=False)
    assert second.takes[-1].asked.text in ("0", "1", "2"), "a hedge was in flight"
    assert stop.value.results.responses == [], "what was cancelled is no answer"
    until = time.monotonic() + 5.0
    while threads() - before and time.monotonic() < until:
        time.sleep(0.01)
    assert threads() - before == set()
    del stop
    gc.collect()
    assert [router.health()[name].in_flight for name in "ab"] == [0, 0]


async def test_a_cancelled_batch_leaves_nothing_behind():
    route = scripted_route("a", lambda call: Answer("{asked}!") if int(call.text) < 3 else Hang(), max_concurrency=4)
    router = Router([route])
    progress = []
    task = asyncio.create_task(router.amap(map(str, range(10)), concurrency=6, progress=progress.append))
    while len(progress) < 3 or len(provider_of(route).takes) < 5:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(asyncio.all_tasks()) == 1
    assert router.health()["a"].in_flight == 0
    assert len(progress) == 3


@pytest.mark.parametrize("face", FACES)
def test_calls_wait_for_their_turn_longer_than_one_call_may_take(face):
    """Sixteen at once for one place: the last one waits longer than the deadline, and is answered all the same."""
    router = Router([scripted_route("a", echo(headers=0.02), max_concurrency=1)], deadline=0.1, max_retries=0)
    results = send(router, face, [str(n) for n in range(16)])
    assert results.errors == {}
    with pytest.raises(Exception, match="deadline|busy|concurrency"):
        send(router, face, [str(n) for n in range(16)], priority="interactive").raise_first()


def test_results_print_as_a_table():
    route = scripted_route(
        "a", lambda call: Fail() if call.text == "2" else Answer("<b>{asked}</b>\x1b[2J\nline", usage=Usage(10, 10))
    )
    results = Router([route], max_retries=0).map([str(n) for n in range(14)], progress=False)
    lines = str(results).split("\n")
    assert lines[0].startswith("14 prompts: 13 answered, 1 failed; cost unknown; the batch took ")
    assert lines[1].split() == ["prompt", "response", "route", "cost", "time"]
    assert "ServerError" in lines[4]
    assert "4 more: see .table() or .to_pandas()" in lines[-1]
    assert len(str(results.table()).split("\n")) == 16
    assert len(str(results[:3].table()).split("\n")) == 5
    assert "\x1b" not in str(results)
    assert "&lt;b&gt;" in results._repr_html_()
    assert repr(results) == f"<BatchResults: {str(results).splitlines()[0]}>"
    part = results[2:4]
    assert isinstance(part, BatchResults)
    assert list(part.errors) == [2], "a slice keeps the numbers of its prompts"
    with pytest.raises(ConfigurationError, match="step"):
        results[::2]


def test_results_as_a_data_frame():
    route = scripted_route(
        "a",
        lambda call: Fail() if call.text == "2" else Answer(usage=Usage(500_000, 1)),
        prices={"input": 2.0, "output": 4.0},
    )
    results = Router([route], max_retries=0).map(["1", "2"], progress=False)
    frame = results.to_pandas()
    assert list(frame["text"].isna()) == [False, True]
    assert frame["cost"][0] == pytest.approx(1.0, rel=1e-3)
    assert frame["input_tokens"][0] == 500_000
    assert frame["error"][1].startswith("ServerError: ")
    assert frame.index.name == "prompt"
    assert results.cost == pytest.approx(1.0, rel=1e-3)
    assert list(results[1:].to_pandas().index) == [1]


def test_an_unknown_cost_is_not_nothing():
    results = Router([scripted_route("a", Answer("x"))]).map(["1"], progress=False)
    assert results.cost is None
    assert "$0" not in str(results)


def test_one_router_serves_a_batch_and_interactive_calls_at_once():
    router = Router([scripted_route("a", echo(headers=0.001))])
    answers: list[Response] = []
    done = threading.Event()

    def ask():
        while not done.is_set():
            answers.append(router.generate("hello"))

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        results = router.map((str(n) for n in range(300)), progress=False)
    finally:
        done.set()
        asker.join()
    assert results.texts == [f"{n}!" for n in range(300)]
    assert {answer.text for answer in answers} == {"hello!"}
    assert router.health()["a"].in_flight == 0


def test_a_batch_leaves_a_place_to_interactive_calls():
    """Four places: a batch holds three at most, so an interactive call is admitted at once."""
    route = scripted_route("a", echo(headers=0.01), max_concurrency=4)
    skipped = []
    router = Router([route])
    watched = router.with_hooks(lambda event: skipped.append(event) if type(event).__name__ == "RouteSkipped" else None)
    started = threading.Event()
    batch = threading.Thread(
        target=lambda: router.map((str(n) for n in range(200)), progress=lambda p: started.set(), concurrency=16)
    )
    batch.start()
    started.wait()
    answers = [watched.generate(f"mine {n}").text for n in range(20)]
    batch.join()
    assert answers == [f"mine {n}!" for n in range(20)]
    assert skipped == [], "no interactive call had to wait for a place"
    taken = sorted(provider_of(route).takes, key=lambda take: take.asked.at)
    mine = [take for take in taken if take.asked.text.startswith("mine")]
    for take in mine:
        beside = [
            other
            for other in taken
            if other is not take and other.asked.at <= take.asked.at and (other.ended or 0) > take.asked.at
        ]
        assert len(beside) <= 3
