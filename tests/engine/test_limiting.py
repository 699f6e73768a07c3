"""Limits of tenants and labels, through every face: what is refused, what is charged, and what frees a place."""

import asyncio
import contextlib
import copy
import gc
import pickle
import threading
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from llama_index.core.llms import ChatMessage

import multiroute_core
from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import ConfigurationError, Limit, LimitExceededError, MultiRouteError, Router, Usage
from multiroute_core.events import RequestEnded, RequestStarted
from multiroute_core.guards import Guard
from multiroute_core.testing import (
    Answer,
    DropConnection,
    Fail,
    VirtualClock,
    VirtualLoop,
    provider_of,
    run_in_virtual_time,
    scripted_route,
)
from multiroute_core.testing import run as run_virtually
from tests.chat_server import FACES, ask
from tests.interrupts.steps import Interrupt

EVERY = pytest.mark.parametrize("face", FACES)
TEN = Usage(input_tokens=4, output_tokens=6)
ANSWER = Answer(["one ", "two"], usage=TEN)


def build(limit: Any, script: Any = ANSWER, **options: Any) -> Router:
    return Router([scripted_route("a", script)], limit=limit, **options)


def status(router, scope_value=""):
    (found,) = [one for one in router.limit_statuses() if one.scope_value == scope_value]
    return found


def refused(router, face="generate", **options) -> LimitExceededError:
    with pytest.raises(LimitExceededError) as caught:
        ask(router, face, **options)
    return caught.value


@EVERY
class TestFaces:
    def test_a_call_beyond_the_rate_fails_before_anything_is_sent(self, face):
        events = []
        router = build(Limit(rpm=2), on_event=[events.append])
        for _ in range(2):
            assert ask(router, face, tenant="shop").text == "one two"
        events.clear()
        error = refused(router, face, tenant="shop")
        assert (error.limit, error.scope, error.scope_value, error.kind) == ("rpm/tenant", "tenant", "shop", "rpm")
        assert 29.0 < error.retry_after <= 30.0
        assert str(error).startswith(
            "The limit 'rpm/tenant' of tenant 'shop' is reached: 2 requests per minute; try again in "
        )
        assert len(provider_of(router.routes[0]).takes) == 2
        assert [type(event) for event in events] == [RequestStarted, RequestEnded]
        assert events[1].error is error
        assert events[1].about.tenant == "shop"
        assert ask(router, face, tenant="other").text
        assert ask(router, face).text, "calls without a tenant share a limit of their own"

    def test_it_is_charged_what_it_used(self, face):
        router = build(Limit(tpm=1000))
        ask(router, face, max_tokens=900)
        assert status(router).tokens_left == pytest.approx(990, abs=5)

    def test_it_is_refunded_if_nothing_was_sent(self, face):
        route = scripted_route("a", ANSWER, rpm=1)
        router = Router([route], limit=Limit(tpm=1000), max_retries=0, deadline=1)
        ask(router, face)
        with pytest.raises(MultiRouteError):
            ask(router, face, max_tokens=900)
        assert status(router).tokens_left == pytest.approx(990, abs=5)
        assert status(router).in_flight == 0

    def test_failed_attempts_that_are_billed_count_as_well(self, face):
        routes = [scripted_route("a", Answer((), finish_reason="refusal", usage=TEN)), scripted_route("b", ANSWER)]
        router = Router(routes, limit=Limit(tpm=1000), fallback_on="refusal")
        assert ask(router, face).route == "b"
        assert status(router).tokens_left == pytest.approx(980, abs=5)

    def test_retries_are_one_call(self, face):
        router = Router([scripted_route("a", Fail()), scripted_route("b", ANSWER)], limit=Limit(rpm=1, concurrency=1))
        assert [attempt.route for attempt in ask(router, face).attempts] == ["a", "b"]
        assert refused(router, face).kind == "rpm"

    def test_a_failed_call_frees_its_place(self, face):
        router = build(Limit(concurrency=1), Fail(), max_retries=0)
        for _ in range(3):
            with pytest.raises(MultiRouteError) as caught:
                ask(router, face)
            assert not isinstance(caught.value, LimitExceededError)

    def test_a_cached_answer_does_not_count(self, face):
        router = build(Limit(rpm=1), cache="memory")
        assert [ask(router, face).cached for _ in range(5)] == [False, *[True] * 4]
        assert refused(router, face, messages="Something else").kind == "rpm"

    def test_labels_and_scope_values(self, face):
        router = build([Limit(rpm=1, scope="label", scope_values=["x"]), Limit(rpm=2, scope_values=["t"])])
        for _ in range(3):
            assert ask(router, face, labels={"y"}).text
        assert ask(router, face, labels={"x", "y"}, tenant="t").text
        error = refused(router, face, labels={"x"}, tenant="t")
        assert (error.scope, error.scope_value) == ("label", "x")
        assert ask(router, face, tenant="t").text, "the refused call took nothing from the tenant"
        assert refused(router, face, tenant="t").scope == "tenant"


def test_large_calls_count_as_the_whole_limit():
    router = build(Limit(tpm=100))
    assert ask(router, "generate", max_tokens=5000).text


def test_a_batch_waits_and_that_does_not_count_toward_its_deadline():
    clock = VirtualClock()
    router = build(Limit(rpm=10), deadline=5.0)
    run_in_virtual_time(router, clock)
    results = router.map(["Hi"] * 12, concurrency=1, progress=False)
    assert not results.errors
    assert clock.time() > 5.0
    first_batch = 8
    clock = VirtualClock()
    router = build(Limit(rpm=10), deadline=5.0)
    run_in_virtual_time(router, clock)
    for _ in range(first_batch):
        router.generate("Hi", priority="batch")
    assert clock.time() == 0.0
    router.generate("Hi", priority="batch")
    assert clock.time() == pytest.approx(6.0)
    assert [router.generate("Hi").text for _ in range(1)] == ["one two"], "a fifth is left to interactive calls"


@pytest.mark.parametrize("settings", [{"limit": Limit(concurrency=1)}, {"limit": (), "max_concurrency": 1}])
def test_a_guard_checks_the_answer_of_a_call_that_waited_for_longer_than_its_deadline(settings):
    async def passes(_):
        await asyncio.sleep(0.01)

    async def work():
        route = scripted_route("a", Answer("ok", headers=3.0), max_concurrency=settings.get("max_concurrency"))
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        router = Router([route], limit=settings["limit"], deadline=4.0, guards=[Guard(passes, origins=["answer"])])
        run_in_virtual_time(router, loop)
        return (await router.amap(["Hi"] * 4, progress=False)).texts

    assert run_virtually(work()) == ["ok"] * 4


def test_a_batch_waits_for_a_place_on_an_event_loop():
    async def work():
        loop = asyncio.get_running_loop()
        router = build(Limit(concurrency=2), Answer("ok", headers=3.0))
        assert isinstance(loop, VirtualLoop)
        run_in_virtual_time(router, loop)
        results = await router.amap(["Hi"] * 6, progress=False)
        return results.texts, max(len(provider_of(router.routes[0]).takes), 0), loop.time()

    texts, count, seconds = run_virtually(work())
    assert (texts, count) == (["ok"] * 6, 6)
    assert seconds >= 9.0


@pytest.mark.parametrize("end", ["close", "delete", "throw", "exhaust", "break"])
def test_a_stream_holds_its_place_until_it_ends(end):
    gc.collect()
    gc.disable()
    try:
        router = build(Limit(concurrency=1))
        stream: Any = router.stream("Hi")
        assert router.generate("Hi").text, "a stream that was not read holds nothing"
        next(stream)
        assert refused(router).kind == "concurrency"
        assert refused(router).retry_after == pytest.approx(0.05)
        if end == "close":
            stream.close()
        elif end == "throw":
            with pytest.raises(ValueError, match="x"):
                stream.throw(ValueError("x"))
        elif end == "exhaust":
            list(stream)
        elif end == "break":
            for _ in stream:
                break
            del stream
        if end == "delete":
            del stream
        assert router.generate("Hi").text
        assert status(router).in_flight == 0
    finally:
        gc.enable()


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_cancelled_task_frees_its_place(is_stream):
    async def work():
        router = build(
            Limit(concurrency=1, tpm=1000), Answer(["a", "b"], headers=0.0 if is_stream else 60.0, per_chunk=60.0)
        )

        async def read():
            if not is_stream:
                await router.agenerate("Hi")
            async for _ in router.astream("Hi"):
                pass

        task = asyncio.create_task(read())
        while not status(router).in_flight if router.limit_statuses() else True:
            await asyncio.sleep(0.001)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert status(router).in_flight == 0

    asyncio.run(work())


def test_a_stream_that_breaks_is_charged_what_was_received():
    router = build(Limit(tpm=1000, concurrency=1), DropConnection())
    with pytest.raises(MultiRouteError):
        list(router.stream("Hi", max_retries=0))
    assert status(router).in_flight == 0
    assert 0 < 1000 - (status(router).tokens_left or 0.0) < 100


MODULES = (
    "multiroute_core.engine.limiting",
    "multiroute_core.limits.limiter",
    "multiroute_core.limits.accounts",
    "multiroute_core.resilience.call_limits",
)


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("is_stream", [False, True])
def test_an_interrupt_at_any_step_frees_the_place(is_stream):
    router = build([Limit(concurrency=1, tpm=10**6), Limit(concurrency=1, scope="label")])

    def call():
        if is_stream:
            list(router.stream("Hi"))
        else:
            router.generate("Hi")

    gc.collect()
    gc.disable()
    errors = []
    try:
        for number in range(2000):
            interrupt = Interrupt(number, *MODULES)
            try:
                with interrupt:
                    call()
            except KeyboardInterrupt as error:
                errors.append(error)  # a kept traceback, as IPython keeps it
            interrupt.previous.clear()  # its frames of functions that have returned still hold their arguments
            assert not any(one.in_flight for one in router.limit_statuses()), number
            assert not router._parts.limiter._watched
            if not interrupt.has_happened:
                break
            errors = errors[-1:]
        else:
            pytest.fail("the call never ended")
        assert number > 50
        call()
    finally:
        gc.enable()


def test_the_frameworks_pass_it_on():
    limit = Limit(rpm=1)
    model = ChatMultiRoute([scripted_route("a", ANSWER)], limit=limit, tenant="t")
    assert isinstance(model.invoke("Hi"), AIMessage)
    with pytest.raises(LimitExceededError, match="of tenant 't'") as caught:
        model.invoke("Hi")
    assert getattr(caught.value, "is_retryable", True)
    assert pickle.loads(pickle.dumps(caught.value)).retry_after == caught.value.retry_after
    with pytest.raises(LimitExceededError):
        list(model.stream("Hi"))
    llm = MultiRoute([scripted_route("a", ANSWER)], limit=[limit], tenant="t")
    assert llm.chat([ChatMessage("Hi")]).message.content
    with pytest.raises(LimitExceededError, match="of tenant 't'"):
        llm.complete("Hi")
    with pytest.raises(LimitExceededError):
        list(llm.stream_complete("Hi"))
    with multiroute_core.options(tenant="u"):
        assert MultiRoute(router=model.router).complete("Hi").text


def test_a_batch_that_fails_reports_it():
    router = build(Limit(rpm=1))
    results = router.map(["a", "b"], concurrency=1, progress=False, priority="interactive")
    assert results.texts[0] == "one two"
    assert isinstance(results[1], LimitExceededError)


def test_a_limit_is_a_value():
    limits = Limit(rpm=60, concurrency=8), Limit(tpm=40_000, scope="label", scope_values={"x"}, name="team")
    assert pickle.loads(pickle.dumps(limits)) == copy.deepcopy(limits) == limits
    assert str(limits[0]) == "60 rpm, 8 at once for each tenant"
    assert repr(limits[1]) == (
        "Limit(rpm=None, tpm=40000, concurrency=None, scope='label', scope_values=frozenset({'x'}), name='team')"
    )
    assert len({limits[0], Limit(rpm=60, concurrency=8)}) == 1


def test_a_router_pickles_with_its_limits(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    router = pickle.loads(pickle.dumps(Router(["openai:gpt-4.1"], limit=Limit(rpm=60))))
    assert router._settings.call_limits == (Limit(rpm=60),)
    assert "60 rpm for each tenant" in str(router)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Limit(), "A Limit takes rpm, tpm or concurrency; pass one of them, such as Limit(rpm=60)."),
        (lambda: Limit(rpm=0), "rpm=0 is not valid; expected a number per minute of at least 1, or None."),
        (lambda: Limit(rpm=0.5), "rpm=0.5 is not valid"),
        (lambda: Limit(rpm=True), "rpm=True is not valid"),
        (lambda: Limit(tpm=float("nan")), "tpm=nan is not valid"),
        (lambda: Limit(tpm=float("inf")), "tpm=inf is not valid"),
        (
            lambda: Limit(concurrency=0),
            "concurrency=0 is not valid; expected a number of calls of at least 1, or None.",
        ),
        (lambda: Limit(rpm=10**400), "is not valid; expected a number per minute of at most 1,000,000,000,000; None"),
        (lambda: Limit(concurrency=10**13), "expected a number of calls of at most 1,000,000,000,000; None is no"),
        (lambda: Limit(concurrency=1.5), "concurrency=1.5 is not valid"),  # pyright: ignore[reportArgumentType]
        (lambda: Limit(rpm=1, scope="tenants"), "Unknown scope 'tenants': did you mean 'tenant'?"),  # pyright: ignore[reportArgumentType]
        (lambda: Limit(rpm=1, scope_values=[]), None),
        (lambda: Limit(rpm=1, scope_values=[1]), "scope_values=[1] is not valid"),  # pyright: ignore[reportArgumentType]
        (lambda: Limit(rpm=1, name=""), "name='' is not valid; expected a non-empty string."),
        (lambda: Limit(rmp=1), "did you mean 'rpm'?"),  # pyright: ignore[reportCallIssue]
        (lambda: build(5), "limit=5 is not valid; expected a Limit, such as Limit(rpm=60), or several."),
        (lambda: build("60"), "limit='60' is not valid"),
        (
            lambda: build([Limit(rpm=1), Limit(rpm=2)]),
            "Two limits are named 'rpm/tenant'; give one of them another name",
        ),
    ],
)
def test_bad_input_fails_before_anything_is_sent(make, sentence):
    if sentence is None:
        make()
        return
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert sentence in str(caught.value)


def test_odd_tenants_do_not_spoil_the_text():
    router = build(Limit(rpm=1))
    tenant = "a\nb\x1b[2J" + "x" * 5000
    router.generate("Hi", tenant=tenant)
    text = str(refused(router, tenant=tenant))
    assert len(text) < 400
    assert text.isprintable()


def test_threads_never_have_too_many_calls_at_once():
    most, flying, lock = [0], [0], threading.Lock()

    def script(incoming):
        with lock:
            flying[0] += 1
            most[0] = max(most[0], flying[0])
        try:
            return Answer("ok")
        finally:
            with lock:
                flying[0] -= 1

    router = build(Limit(concurrency=3), script)

    def work():
        for _ in range(30):
            with contextlib.suppress(LimitExceededError):
                for _ in router.stream("Hi"):
                    in_flight = status(router).in_flight
                    assert in_flight <= 3

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= most[0] <= 3
    assert status(router).in_flight == 0


def test_without_limits_nothing_is_added():
    router = build(None)
    assert router._parts.stages == ()
    assert router.limit_statuses() == ()
    assert "No call has been counted." in str(router.limit_statuses())
