"""A scripted provider does what its script says, in both worlds, within the limits that it is given."""

import asyncio
import inspect
import time

import pytest

import multiroute_core.errors as tree
from multiroute_core import AllRoutesFailedError, Route, Router, StreamInterruptedError, ToolCall, Usage
from multiroute_core.errors import AttemptTimeoutError, RouteError
from multiroute_core.testing import (
    Answer,
    DropConnection,
    EnforceContextWindow,
    Fail,
    Hang,
    SlowAnswer,
    SlowStream,
    provider_of,
    rate_limited,
    run,
    run_in_virtual_time,
    scripted_route,
)

QUICK = {"max_retries": 0, "attempt_timeout": 0.2, "first_token_timeout": 0.1, "stall_timeout": 0.1}
WAYS = ("generate", "agenerate", "stream", "astream")
ERRORS = [kind for _, kind in inspect.getmembers(tree, inspect.isclass) if issubclass(kind, RouteError)]


def ask(router, way, text="Hi", **options):
    """The response and the chunks' texts, by one of the four faces."""
    if way == "generate":
        return router.generate(text, **options), []
    if way == "stream":
        chunks = list(router.stream(text, **options))
        return chunks[-1].response, [c.text for c in chunks if c.parts]

    async def main():
        run_in_virtual_time(router, asyncio.get_running_loop())
        if way == "agenerate":
            return await router.agenerate(text, **options), []
        chunks = [chunk async for chunk in router.astream(text, **options)]
        return chunks[-1].response, [c.text for c in chunks if c.parts]

    return run(main())


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_with_all_that_belongs_to_it(way):
    call = ToolCall("t{number}", "look", {"where": "{route}"})
    usage = Usage(input_tokens=7, output_tokens=3)
    route = scripted_route("a", Answer(("{route} ", "{number} ", "{asked}"), tool_calls=[call], usage=usage, pings=2))
    response, heard = ask(Router([route]), way, "what?")
    assert response.text == "a 0 what?"
    assert [(c.id, c.name, c.arguments) for c in response.tool_calls] == [("t0", "look", {"where": "a"})]
    assert (response.finish_reason, response.usage, response.route) == ("tool_call", usage, "a")
    assert heard[:3] == ([] if "generate" in way else ["a ", "0 ", "what?"])
    (take,) = provider_of(route).takes
    assert (take.finish_reason, take.usage, take.error, take.asked.text) == ("tool_call", usage, None, "what?")
    assert take.ended is not None
    assert provider_of(route).in_flight == 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("opened", [False, True])
def test_every_error_of_the_tree(way, kind, opened):
    router = Router([scripted_route("a", Fail(kind, opened=opened))], max_retries=0)
    with pytest.raises(kind) as caught:
        ask(router, way)
    assert caught.value.route == "a"
    assert [attempt.outcome for attempt in caught.value.attempts] == [kind.code]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("behaviour", [Hang(), Hang(opened=True), SlowStream(0.02), SlowAnswer(60.0)], ids=repr)
def test_whatever_keeps_silent_is_left_in_time(way, behaviour):
    routes = [scripted_route("a", behaviour), scripted_route("b", Answer("here"))]
    began = time.monotonic()
    response, _ = ask(Router(routes, **QUICK), way)
    assert time.monotonic() - began < 30
    assert [attempt.outcome for attempt in response.attempts] == ["timeout", "success"]
    assert provider_of(routes[0]).in_flight == provider_of(routes[1]).in_flight == 0


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize(
    "cut",
    [
        DropConnection(2),
        DropConnection(2, error=lambda: ConnectionResetError("gone")),
        DropConnection(2, stall=True),
        DropConnection(2, usage=Usage(7, 2)),
    ],
    ids=["cut", "error", "stall", "usage"],
)
def test_a_stream_that_is_cut(way, cut):
    router = Router([scripted_route("a", cut), scripted_route("b", Answer("other"))], **QUICK)
    with pytest.raises(StreamInterruptedError) as caught:
        ask(router, way)
    assert caught.value.partial is not None
    assert (caught.value.partial.text, caught.value.partial.usage) == ("one two ", cut.usage)
    (take,) = provider_of(router.routes[0]).takes
    assert (take.finish_reason, take.cut) == (None, cut.error is None and not cut.stall)


@pytest.mark.parametrize("way", ["generate", "agenerate"])
def test_an_answer_that_is_cut_is_none(way):
    router = Router([scripted_route("a", DropConnection(2)), scripted_route("b", Answer("other"))], **QUICK)
    assert ask(router, way)[0].text == "other"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reason", ["refusal", "content_filter", "length"])
def test_an_end_of_another_kind(way, reason):
    assert ask(Router([scripted_route("a", Answer("No.", finish_reason=reason))]), way)[0].finish_reason == reason


@pytest.mark.parametrize("way", WAYS)
def test_a_window_that_is_too_small(way):
    routes = [
        scripted_route("small", EnforceContextWindow(100, Answer("small"))),
        scripted_route("large", Answer("large")),
    ]
    router = Router(routes)
    assert ask(router, way, "x" * 300)[0].text == "small"
    response, _ = ask(router, way, "x" * 4000)
    assert response.text == "large"
    assert [attempt.outcome for attempt in response.attempts] in (["context_overflow", "success"], ["success"])


@pytest.mark.parametrize("way", WAYS)
def test_one_behaviour_a_call(way):
    route = scripted_route("a", [Fail(), Answer("second"), Answer("third")])
    router = Router([route, scripted_route("b", Answer("other"))])
    assert [ask(router, way)[0].text for _ in range(4)] == ["other", "second", "third", "third"]


def test_a_function_of_the_call_and_the_time_to_come_back():
    route = scripted_route("a", lambda asked: rate_limited(7.0) if asked.at >= 1.0 else Answer("early"))

    async def main():
        router = Router([route], max_retries=0)
        run_in_virtual_time(router, asyncio.get_running_loop())
        assert (await router.agenerate("Hi")).text == "early"
        await asyncio.sleep(1.0)
        with pytest.raises(RouteError) as caught:
            await router.agenerate("Hi")
        assert caught.value.retry_after == 7.0
        with pytest.raises(AllRoutesFailedError) as later:
            await router.agenerate("Hi", deadline=1.0)
        assert later.value.retry_after == pytest.approx(7.0)

    run(main())
    assert len(provider_of(route).takes) == 2


def test_a_caller_that_walks_away_leaves_nothing_open():
    route = scripted_route("a", Answer(["word "] * 100, per_chunk=1.0))

    async def main():
        router = Router([route])
        run_in_virtual_time(router, asyncio.get_running_loop())
        stream = router.astream("Hi")
        await anext(stream)
        await stream.aclose()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await router.agenerate("Hi")
        assert provider_of(route).in_flight == 0

    run(main())
    stream = Router([scripted_route("b", Answer(["word "] * 100))]).stream("Hi")
    next(stream)
    stream.close()


def test_a_wait_in_sync_code_can_be_called_off():
    """By another thread, as it is done with whoever loses a race."""
    route = scripted_route("a", [Answer("usual", first_token=0.01)] * 20 + [Hang()])
    router = Router([route, scripted_route("b", Answer("soon"))], hedge_budget=0.05)
    for _ in range(20):
        router.generate("Hi")
    assert [attempt.outcome for attempt in router.generate("Hi").attempts] == ["cancelled", "success"]
    assert provider_of(route).in_flight == 0
    assert provider_of(route).takes[-1].ended is not None


def test_limits_hold_in_real_time_too():
    route = scripted_route("a", Hang())

    async def main():
        began = time.monotonic()
        with pytest.raises(AttemptTimeoutError):
            await Router([route], **QUICK).agenerate("Hi")
        return time.monotonic() - began

    assert 0.15 < asyncio.run(main()) < 1


def test_only_a_scripted_route_knows_the_truth():
    with pytest.raises(TypeError, match="not scripted"):
        provider_of(Route("openai:gpt-6-luna"))


def test_a_tool_call_counts_as_output():
    call = ToolCall("c", "weather", {"city": "Oslo " * 100})
    response = Router([scripted_route("a", Answer("", tool_calls=[call]))]).generate("Hi")
    assert response.usage is not None
    assert (response.usage.output_tokens or 0) > 100
