"""The cache in the way of a request: what is given again, what is kept, and who waits for whom."""

import asyncio
import gc
import logging
import pickle
import threading
import time
from typing import Any

import pytest

from multiroute_core import (
    BadRequestError,
    CacheConfig,
    ConfigurationError,
    MemoryCache,
    MultiRouteError,
    Response,
    Router,
    SemanticCache,
    ServerError,
    StreamInterruptedError,
    ToolCall,
    Usage,
    options,
)
from multiroute_core.events import RequestEnded, RequestStarted
from multiroute_core.testing import (
    Answer,
    DropConnection,
    Fail,
    SlowAnswer,
    VirtualClock,
    VirtualLoop,
    provider_of,
    run_in_virtual_time,
    scripted_route,
)
from tests.chat_server import FACES, Fleet, answer, ask

PRICES = {"input": 1.0, "output": 2.0}
EVERY = pytest.mark.parametrize("face", FACES)


def calls(*routes):
    return sum(len(provider_of(route).takes) for route in routes)


@EVERY
@pytest.mark.parametrize("first", FACES)
class TestHit:
    """Whatever face asked first, every face gets the same again."""

    def test_it_is_the_answer_marked_and_free(self, face, first):
        usage = Usage(input_tokens=1000, output_tokens=500)
        route = scripted_route("m", Answer(("One ", "two."), usage=usage), prices=PRICES)
        heard = []
        router = Router([route], cache="memory", on_event=[heard.append])
        asked = ask(router, first)
        assert (asked.cached, asked.cost) == (False, pytest.approx(0.002))
        del heard[:]
        found = ask(router, face)
        assert found.text == "One two."
        assert (found.cached, found.stale, found.cost, found.saved_cost) == (True, False, 0.0, asked.cost)
        assert (found.usage.input_tokens, found.usage.output_tokens) == (0, 0)
        assert (found.model, found.provider, found.route) == (asked.model, asked.provider, asked.route)
        assert (found.finish_reason, found.attempts, calls(route)) == ("stop", (), 1)
        assert [type(event) for event in heard] == [RequestStarted, RequestEnded]
        assert heard[-1].response == found

    def test_tools_come_back_whole_and_nobody_can_spoil_them(self, face, first):
        call = ToolCall("c1", "weather", {"city": "Rome"})
        route = scripted_route("m", Answer("Well. ", tool_calls=[call]))
        router = Router([route], cache="memory")
        tools = [{"name": "weather", "description": "", "input_schema": {"type": "object", "properties": {}}}]
        ask(router, first, tools=tools)
        for _ in range(2):
            found = ask(router, face, tools=tools)
            assert [(c.id, c.name, c.arguments) for c in found.tool_calls] == [("c1", "weather", {"city": "Rome"})]
            assert (found.finish_reason, found.cached) == ("tool_call", True)
            arguments = found.tool_calls[0].arguments
            assert isinstance(arguments, dict)
            arguments["city"] = "Paris"
        assert calls(route) == 1


def test_a_stream_comes_again_in_the_pieces_in_which_it_came():
    route = scripted_route("m", Answer(("One ", "two ", "three.")))
    router = Router([route], cache="memory")
    first, again = ([chunk.text for chunk in router.stream("Hi")] for _ in range(2))
    assert first == again == ["One ", "two ", "three.", ""]


def test_on_a_real_wire():
    with Fleet(answer("One two three."), cache="memory") as fleet:
        asked = ask(fleet.router, "astream")
        for face in FACES:
            found = ask(fleet.router, face)
            assert (found.text, found.cached, found.model) == ("One two three.", True, asked.model)
        assert fleet.hits == [1]


@EVERY
class TestKept:
    """Whole, successful answers only."""

    def again(self, face, *behaviours, caching=None, **settings):
        """How many of two equal requests reach a provider."""
        routes = [scripted_route(name, behaviour) for name, behaviour in zip("ab", behaviours, strict=False)]
        router = Router(routes, cache=caching or "memory", max_retries=0, **settings)
        for _ in range(2):
            try:
                ask(router, face)
            except MultiRouteError:
                pass
        return calls(*routes)

    @pytest.mark.parametrize("reason", ["length", "content_filter", "refusal", "other"])
    def test_an_answer_that_ended_otherwise_is_kept_only_if_asked(self, face, reason):
        assert self.again(face, Answer("Half", finish_reason=reason)) == 2
        assert (
            self.again(
                face, Answer("Half", finish_reason=reason), caching=CacheConfig(cacheable_finish_reasons=[reason])
            )
            == 1
        )

    def test_failures_are_not_kept(self, face):
        assert self.again(face, Fail()) == 2

    def test_nothing_said_is_not_kept(self, face):
        assert self.again(face, Answer(())) == 2

    def test_who_stood_in_is_kept_but_not_a_backup(self, face):
        assert self.again(face, Fail(), Answer()) == 2  # the first route once, the second once
        routes = [scripted_route("a", [Fail(), Answer("Good.")]), scripted_route("b", Answer("Toy."), backup=True)]
        router = Router(routes, cache="memory", max_retries=0)
        assert [ask(router, face).text for _ in range(3)] == ["Toy.", "Good.", "Good."]


@pytest.mark.parametrize("face", ["stream", "astream"])
def test_half_a_stream_is_not_kept(face):
    route = scripted_route("m", [DropConnection(1), Answer("Whole.")])
    router = Router([route], cache="memory")
    with pytest.raises(StreamInterruptedError):
        ask(router, face)
    assert ask(router, face).text == "Whole."
    assert calls(route) == 2


@pytest.mark.parametrize("face", ["stream", "astream"])
@pytest.mark.parametrize(("how", "texts"), [("restart", 2), ("continue", 3)])
def test_a_stream_that_was_mended(face, how, texts):
    """One that began anew is whole; one that was pieced together from two routes is no answer to give again."""
    routes = [scripted_route("a", DropConnection(1)), scripted_route("b", Answer(("one ", "two ", "three")))]
    router = Router(routes, cache="memory", on_stream_error=how, max_retries=0)
    if face == "stream":
        rounds = [list(router.stream("Hi"))[-1].response for _ in range(2)]
    else:

        async def collect():
            return [chunk async for chunk in router.astream("Hi")][-1].response

        rounds = [asyncio.run(collect()) for _ in range(2)]
    assert rounds[-1].cached == (how == "restart")
    assert rounds[-1].text == rounds[0].text
    assert calls(routes[1]) == texts - 1


def test_an_abandoned_stream_is_not_kept():
    route = scripted_route("m", Answer(("one ", "two ", "three")))
    router = Router([route], cache="memory")
    stream = router.stream("Hi")
    next(stream)
    stream.close()
    assert not router.generate("Hi").cached
    assert calls(route) == 2


@EVERY
class TestAsked:
    def test_false_goes_past_it_and_refresh_asks_anew(self, face):
        route = scripted_route("m", [Answer("One."), Answer("Two."), Answer("Three."), Answer("Four.")])
        router = Router([route], cache="memory")
        said = [ask(router, face, **more).text for more in ({}, {}, {"cache": False}, {"cache": "refresh"}, {})]
        assert said == ["One.", "One.", "Two.", "Three.", "Three."]
        with options(cache=False):
            assert ask(router, face).text == "Four."

    def test_it_is_off_where_nobody_asked_for_it(self, face):
        route = scripted_route("m", Answer())
        router = Router([route])
        assert not any(ask(router, face, **more).cached for more in ({}, {}, {"cache": True}))

    def test_tenants_do_not_see_each_other(self, face):
        route = scripted_route("m", Answer())
        router = Router([route], cache="memory")
        found = [ask(router, face, tenant=tenant).cached for tenant in (None, "a", "b", "a", None)]
        assert found == [False, False, False, True, True]

    def test_other_candidates_are_another_question(self, face):
        routes = [scripted_route("a", Answer("A."), tags={"x"}), scripted_route("b", Answer("B."))]
        router = Router(routes, cache="memory")
        assert [ask(router, face, **more).text for more in ({}, {"model": "b"}, {"route_tags": "x"})] == [
            "A.",
            "B.",
            "A.",
        ]
        assert calls(*routes) == 3


def test_routers_share_a_store_if_the_same_models_or_an_alias_may_answer():
    store = MemoryCache()
    one, other = scripted_route("a", Answer("A.")), scripted_route("b", Answer("B."))
    same = scripted_route("a", Answer("C."))
    for caching, routes, text in [
        (store, [one], "A."),
        (store, [other], "B."),
        (store, [same], "A."),
        (CacheConfig(store, namespace="chat"), [one], "A."),
        (CacheConfig(store, namespace="chat"), [other], "A."),
    ]:
        assert Router(routes, cache=caching).generate("Hi").text == text


class TestAge:
    def router(self, behaviours, **caching):
        clock = VirtualClock()
        route = scripted_route("m", behaviours, sleep=clock.sleep)
        router = Router([route], cache=CacheConfig(**caching), max_retries=0)
        run_in_virtual_time(router, clock)
        return router, route, clock

    def test_an_answer_is_given_for_its_time_give_or_take_a_tenth(self):
        ends = []
        for seed in range(30):
            router, route, clock = self.router(Answer(), ttl=100.0)
            run_in_virtual_time(router, clock, seed)
            router.generate("Hi")
            while router.generate("Hi").cached:
                clock.sleep(1.0)
            ends.append(clock.time())
        assert 89.0 <= min(ends) < 95.0 < 105.0 < max(ends) <= 111.0

    @EVERY
    def test_an_old_one_is_given_for_want_of_a_better_one_and_marked(self, face):
        route = scripted_route("m", [Answer("Old."), Fail(), Answer("New.")])
        now = 1000.0
        router = Router([route], cache=CacheConfig(ttl=100.0, stale_if_error=1000.0), max_retries=0)
        router._world.wall = lambda: now
        ask(router, face)
        now += 200.0
        found = ask(router, face)
        assert (found.text, found.cached, found.stale) == ("Old.", True, True)
        assert [attempt.outcome for attempt in found.attempts] == ["server_error"]
        assert (ask(router, face).text, ask(router, face).cached) == ("New.", True)

    def test_one_that_is_too_old_even_for_that_is_not(self):
        router, _, clock = self.router([Answer("Old."), Fail()], ttl=100.0, stale_if_error=100.0)
        router.generate("Hi")
        clock.sleep(250.0)
        with pytest.raises(ServerError):
            router.generate("Hi")

    def test_nor_where_the_request_is_at_fault(self):
        router, _, clock = self.router([Answer("Old."), Fail(BadRequestError)], ttl=1.0, stale_if_error=1000.0)
        router.generate("Hi")
        clock.sleep(10.0)
        with pytest.raises(BadRequestError):
            router.generate("Hi")

    def test_nor_after_something_was_said(self):
        router, _, clock = self.router([Answer("Old."), DropConnection(1)], ttl=1.0, stale_if_error=1000.0)
        router.generate("Hi")
        clock.sleep(10.0)
        with pytest.raises(StreamInterruptedError):
            list(router.stream("Hi"))


class TestFlight:
    """Equal requests fly once."""

    def test_tasks(self):
        route = scripted_route("m", SlowAnswer(1.0))
        router = Router([route], cache="memory")
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            run_in_virtual_time(router, runner.get_loop())

            async def main():
                async def stream():
                    return [chunk async for chunk in router.astream("Hi")][-1].response

                return await asyncio.gather(*(router.agenerate("Hi") if n % 2 else stream() for n in range(50)))

            found = runner.run(main())
        assert calls(route) == 1
        assert sorted(response.cached for response in found) == [False] + [True] * 49
        assert len({response.text for response in found}) == 1

    def test_threads_and_loops(self):
        route = scripted_route("m", SlowAnswer(0.3))
        router = Router([route], cache="memory")
        found = []
        ready = threading.Barrier(20)

        def work(n):
            ready.wait()
            found.append(ask(router, FACES[n % 4]))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert calls(route) == 1
        assert sum(not response.cached for response in found) == 1

    def test_who_is_given_up_hands_over_to_one(self):
        route = scripted_route("m", SlowAnswer(1.0))
        router = Router([route], cache="memory")
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            run_in_virtual_time(router, runner.get_loop())

            async def main():
                leader, *others = (asyncio.create_task(router.agenerate("Hi")) for _ in range(10))
                await asyncio.sleep(0.5)
                leader.cancel()
                return await asyncio.gather(leader, *others, return_exceptions=True), runner.get_loop().time()

            found, now = runner.run(main())
        assert isinstance(found[0], asyncio.CancelledError)
        assert [response.text for response in found[1:] if isinstance(response, Response)] == ["ok"] * 9
        assert (calls(route), now) == (2, pytest.approx(1.5))

    def test_where_one_fails_the_others_do_not_wait_for_the_next_to_fail(self):
        route = scripted_route("m", Fail(after=1.0))
        router = Router([route], cache="memory", max_retries=0)
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            run_in_virtual_time(router, runner.get_loop())

            async def main():
                tasks = [router.agenerate("Hi") for _ in range(5)]
                return await asyncio.gather(*tasks, return_exceptions=True), runner.get_loop().time()

            found, now = runner.run(main())
        assert all(isinstance(one, MultiRouteError) for one in found)
        assert now == pytest.approx(2.0)

    def test_nobody_waits_longer_than_half_of_the_deadline(self):
        route = scripted_route("m", [Answer("Late.", first_token=20.0), Answer("Soon.", first_token=1.0)])
        router = Router([route], cache="memory")
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            run_in_virtual_time(router, runner.get_loop())

            async def main():
                first = asyncio.create_task(router.agenerate("Hi"))
                await asyncio.sleep(0.1)
                second = await router.agenerate("Hi", deadline=10.0)
                at = runner.get_loop().time()
                return (await first).text, second.text, at

            assert runner.run(main()) == ("Late.", "Soon.", pytest.approx(6.1))

    @pytest.mark.parametrize("face", ["generate", "stream"])
    def test_whoever_reads_a_stream_halfway_does_not_wait_for_himself(self, face):
        route = scripted_route("m", Answer(("one ", "two ", "three")))
        router = Router([route], cache="memory")
        stream = router.stream("Hi")
        next(stream)
        began = time.monotonic()
        assert ask(router, face).text == "one two three"
        assert time.monotonic() - began < 10
        assert "".join(chunk.text for chunk in stream) == "two three"

    def test_nor_in_a_task_nor_a_sync_call_on_a_loop_for_what_that_loop_does(self):
        route = scripted_route("m", Answer(("one ", "two ", "three"), first_token=0.1))
        router = Router([route], cache="memory")

        async def main():
            other = asyncio.create_task(router.agenerate("There"))
            await asyncio.sleep(0.01)
            began = time.monotonic()
            texts = [router.generate("There").text]
            stream = router.astream("Hi")
            await anext(stream)
            texts.append((await router.agenerate("Hi")).text)
            await stream.aclose()
            texts.append((await other).text)
            return texts, time.monotonic() - began

        texts, seconds = asyncio.run(main())
        assert texts == ["one two three"] * 3
        assert seconds < 10

    def test_a_stream_that_the_collector_ends_hands_over(self):
        route = scripted_route("m", Answer(("one ", "two ", "three")))
        router = Router([route], cache="memory")
        stream = router.stream("Hi")
        next(stream)
        del stream
        gc.collect()
        found = []
        thread = threading.Thread(target=lambda: found.append(router.generate("Hi")))
        thread.start()
        thread.join(10)
        assert [response.cached for response in found] == [False]
        assert router._parts.cache._flights._flights == {}

    def test_nothing_is_left_behind(self):
        route = scripted_route("m", [Fail(), Answer(), DropConnection(1), Answer()])
        router = Router([route], cache="memory", max_retries=0)
        for ask_for in ("a", "b", "c", "a"):
            try:
                list(router.stream(ask_for))
            except Exception:
                pass
        assert router._parts.cache._flights._flights == {}


class Broken:
    """A store in which everything fails."""

    shared = True

    def __init__(self):
        self.tried = 0

    async def get(self, *_: Any, **__: Any) -> Any:
        self.tried += 1
        raise OSError("The disk is on fire.")

    put = claim = release = get

    def close(self):
        pass

    async def aclose(self):
        pass

    def __repr__(self):
        return "Broken()"


class TestStore:
    @EVERY
    def test_one_that_fails_fails_no_request_and_says_so_once(self, face, caplog):
        route, store = scripted_route("m", Answer()), Broken()
        router = Router([route], cache=store)
        with caplog.at_level(logging.WARNING, "multiroute_core"):
            assert [ask(router, face).cached for _ in range(3)] == [False] * 3
        assert len(caplog.records) == 1
        assert "on fire" in caplog.text
        assert store.tried > 3

    @EVERY
    def test_what_cannot_be_read_is_a_miss(self, face, caplog):
        store = MemoryCache()
        route = scripted_route("m", [Answer("One."), Answer("Two.")])
        router = Router([route], cache=store)
        ask(router, face)
        for key, (_, until) in list(store._entries.items()):
            store._entries[key] = b"MR9 from the future", until
        assert ask(router, face).text == "Two."
        assert "is ignored" in caplog.text
        assert ask(router, face).cached

    def test_what_is_given_stays_the_users_and_what_is_named_the_routers(self):
        closed = []
        mine = MemoryCache()
        mine.close = lambda: closed.append("mine")
        with Router([scripted_route("m", Answer())], cache=mine):
            pass
        router = Router([scripted_route("m", Answer())], cache="memory")
        router._parts.cache.store.close = lambda: closed.append("named")
        router.close()
        assert closed == ["named"]

    def test_it_is_in_the_pickle_without_what_it_holds(self, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        with Fleet(answer("Hello.")) as fleet:
            with Router(fleet.routes, cache=CacheConfig(ttl=5.0, namespace="a")) as router:
                router.generate("Hi")
                value = pickle.dumps(router)
            assert b"Hello." not in value
            with pickle.loads(value) as again:
                assert (again._parts.cache.caching.ttl, again._parts.cache.caching.namespace) == (5.0, "a")
                assert not again.generate("Hi").cached


@pytest.mark.parametrize(
    ("cache", "sentence"),
    [
        ("memroy", "is not a valid cache"),
        ("mysql://x:pw@y", "is not a valid cache"),
        ("", "is not a valid cache"),
        ("sqlite:", "is not a valid cache"),
        (5, "expected"),
        (True, "expected"),
        (object(), "get, put, claim"),
    ],
)
def test_what_is_no_cache_is_refused(cache, sentence):
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        Router([scripted_route("m", Answer())], cache=cache)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {"ttl": 0},
        {"ttl": -1},
        {"ttl": "day"},
        {"stale_if_error": -1},
        {"cacheable_finish_reasons": ["lenght"]},
        {"namespace": ""},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(given):
    with pytest.raises(ConfigurationError):
        CacheConfig(**given)


@pytest.mark.parametrize("value", ["yes", "memory", 1, 0.0])
def test_a_call_says_whether_and_not_where(value):
    with pytest.raises(ConfigurationError, match="refresh"):
        Router([scripted_route("m", Answer())]).generate("Hi", cache=value)


def letters(texts):
    """A vector of how often each letter is in a text: near for texts of nearly the same letters."""
    return [[text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts]


@EVERY
class TestInOtherWords:
    def router(self, *behaviours, **settings):
        route = scripted_route("m", list(behaviours) or Answer("{asked}"))
        caching = CacheConfig(semantic=SemanticCache(letters, threshold=0.9), **settings)
        return route, Router([route], cache=caching)

    def test_it_is_found_and_says_how_near_it_is(self, face):
        route, router = self.router()
        ask(router, face, "How do I reset my password?")
        found = ask(router, face, "How can I reset my password?")
        assert (found.text, found.cached, calls(route)) == ("How do I reset my password?", True, 1)
        assert found.similarity is not None
        assert 0.9 <= found.similarity < 1.0
        assert found.summary()["similarity"] == found.similarity
        again = ask(router, face, "How do I reset my password?")
        assert (again.cached, again.similarity) == (True, None)

    def test_something_else_is_not(self, face):
        route, router = self.router()
        ask(router, face, "How do I reset my password?")
        assert not ask(router, face, "Where is the nearest zoo?").cached
        assert not ask(router, face, "How do I reset 2 passwords?").cached, "another number is another question"

    def test_nor_is_anything_under_another_system_prompt_tenant_or_setting(self, face):
        route, router = self.router()
        question = "How do I reset my password?"
        ask(router, face, question)
        for more in ({"system": "Be rude."}, {"tenant": "a"}, {"temperature": 1.0}, {"cache": False}):
            assert not ask(router, face, "How can I reset my password?", **more).cached
        assert calls(route) == 5

    def test_nor_when_its_time_is_over(self, face):
        route, router = self.router(ttl=100.0, stale_if_error=1000.0)
        ask(router, face, "How do I reset my password?")
        now = time.time() + 200.0
        router._world.wall = lambda: now
        assert not ask(router, face, "How can I reset my password?").cached

    def test_an_embedding_that_fails_fails_no_request(self, face, caplog):
        route = scripted_route("m", Answer("Well."))
        caching = CacheConfig(semantic=SemanticCache(lambda texts: [[1 / 0]], threshold=0.9))
        router = Router([route], cache=caching)
        assert [ask(router, face).cached for _ in range(2)] == [False, True]
        assert "division by zero" in caplog.text
