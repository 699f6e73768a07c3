"""What a route refuses as unsupported moves on or is left out, is remembered for that route, and harms nothing else."""

import asyncio
import json

import pytest
from pydantic import BaseModel

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import Blob, Message, Route, Router, Text, UnsupportedError
from multiroute_core.routing.learned import REMEMBER_SECONDS
from multiroute_core.testing import Answer, Fail, VirtualClock, provider_of, run_in_virtual_time, scripted_route
from multiroute_core.testing.server import ReplayServer, Reply
from tests.chat_server import FACES, ask

EVERY = pytest.mark.parametrize("face", FACES)
TOOL = {"name": "look_up", "description": "Looks up.", "parameters": {"type": "object", "properties": {}}}


class City(BaseModel):
    name: str


PICTURE = [Message("user", [Text("What is it?"), Blob(b"\x89PNG", "image/png")])]

NEEDS = {
    "tools": ("Hi", {"tools": [TOOL]}),
    "tool_choice": ("Hi", {"tools": [TOOL], "tool_choice": "required"}),
    "image": (PICTURE, {}),
    "output_schema": ("Hi", {"output_schema": City}),
    "stop": ("Hi", {"stop": ["x"]}),
}
DROPS = {
    "temperature": {"temperature": 0.5},
    "top_p": {"top_p": 0.5},
    "seed": {"seed": 1},
    "parallel_tool_calls": {"tools": [TOOL], "parallel_tool_calls": False},
    "reasoning": {"reasoning": "low"},
}


def refusing(ability):
    return Fail(lambda: UnsupportedError("Not here.", ability=ability))


@EVERY
@pytest.mark.parametrize("ability", NEEDS)
def test_what_cannot_be_left_out_moves_on_and_is_remembered(ability, face):
    prompt, options = NEEDS[ability]

    def script(call):
        wants = (
            call.request.tools or call.request.output_schema or call.request.stop or call.request.messages[-1].parts[1:]
        )
        return refusing(ability) if wants else Answer("first")

    first, second = scripted_route("first", script), scripted_route("second", Answer("second"))
    router, clock = Router([first, second]), VirtualClock()
    if face in ("generate", "stream"):
        run_in_virtual_time(router, clock)
    assert ask(router, face, prompt, **options).text == "second"
    assert ask(router, face, prompt, **options).text == "second"
    assert len(provider_of(first).takes) == 1, "the second request did not ask it"
    assert ask(router, face, "Hello").text == "first"
    assert router.health()["first"].breaker == "closed"
    if face in ("generate", "stream"):
        clock.sleep(REMEMBER_SECONDS + 1)
        ask(router, face, prompt, **options)
        assert len(provider_of(first).takes) == 3, "after a while it is asked again"


@EVERY
@pytest.mark.parametrize("ability", DROPS)
def test_what_can_be_left_out_is_left_out_and_told(ability, face):
    def script(call):
        return refusing(ability) if getattr(call.request, ability) is not None else Answer("first")

    first, second = scripted_route("first", script), scripted_route("second", Answer("second"))
    router = Router([first, second], max_retries=0)
    for calls in (2, 3):
        response = ask(router, face, "Hi", **DROPS[ability])
        assert response.text == "first"
        assert [dropped.partition(":")[0] for dropped in response.attempts[-1].dropped] == [ability]
        assert len(provider_of(first).takes) == calls
    assert provider_of(second).takes == []


def test_strict_parameters_are_not_left_out():
    first, second = scripted_route("first", refusing("seed")), scripted_route("second", Answer("second"))
    response = Router([first, second], strict_params=True).generate("Hi", seed=1)
    assert response.text == "second" and len(provider_of(first).takes) == 1


def test_a_refusal_of_what_was_not_asked_for_is_not_remembered():
    first, second = scripted_route("first", refusing("tools")), scripted_route("second", Answer("second"))
    router = Router([first, second])
    assert [router.generate("Hi").text for _ in range(2)] == ["second"] * 2
    assert len(provider_of(first).takes) == 2


def test_the_only_route_is_asked_all_the_same():
    only = scripted_route("only", refusing("tools"))
    router = Router([only])
    for calls in (1, 2):
        with pytest.raises(UnsupportedError):
            router.generate("Hi", tools=[TOOL])
        assert len(provider_of(only).takes) == calls


def test_a_route_that_refuses_everything_in_turn_is_given_up():
    def script(call):
        names = [name for name in ("temperature", "top_p", "seed") if getattr(call.request, name) is not None]
        return refusing(names[0]) if names else refusing("mystery")

    first, second = scripted_route("first", script), scripted_route("second", Answer("second"))
    response = Router([first, second]).generate("Hi", temperature=0.1, top_p=0.2, seed=3)
    assert response.text == "second" and len(provider_of(first).takes) == 4


class TestOnTheWire:
    """`stream_options` and the name of the longest answer, as real servers refuse them."""

    @staticmethod
    def server(refused, body, status):
        def serve(request):
            asked = json.loads(request.body)
            if refused in asked:
                return Reply(status, {"content-type": "application/json"}, json.dumps(body).encode())
            base = {"id": "c", "model": "m", "created": 1}
            if not asked.get("stream"):
                whole = {**base, "choices": [{"index": 0, "message": {"content": "Well."}, "finish_reason": "stop"}]}
                return Reply(200, {"content-type": "application/json"}, json.dumps(whole).encode())
            events = [
                {**base, "choices": [{"index": 0, "delta": {"content": "Well."}, "finish_reason": None}]},
                {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            ]
            lines = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
            return Reply(200, {"content-type": "text/event-stream"}, [*lines, b"data: [DONE]\n\n"], stream=True)

        return ReplayServer(serve)

    STREAM_OPTIONS = [
        ({"error": {"message": "Unrecognized request argument supplied: stream_options", "code": None}}, 400),
        (
            {
                "detail": [
                    {
                        "type": "extra_forbidden",
                        "loc": ["body", "stream_options"],
                        "msg": "Extra inputs are not permitted",
                        "input": {"include_usage": True},
                    }
                ]
            },
            422,
        ),
    ]

    @pytest.mark.parametrize(("body", "status"), STREAM_OPTIONS)
    @pytest.mark.parametrize("face", ["stream", "astream", "langchain", "llamaindex"])
    def test_stream_options(self, body, status, face):
        with self.server("stream_options", body, status) as server:
            route = Route("openai:some-model", base_url=f"{server.url}/v1", api_key="k")
            router = Router([route], max_retries=0)
            for requests in (2, 3):
                assert text_of(router, face) == "Well."
                assert len(server.requests) == requests, "it is asked again without, and without from then on"
            assert router.health()[route.name].breaker == "closed"

    @pytest.mark.parametrize("refused", ["max_tokens", "max_completion_tokens"])
    def test_the_name_of_the_longest_answer(self, refused):
        other = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}[refused]
        message = f"Unsupported parameter: '{refused}' is not supported with this model. Use '{other}' instead."
        body = {"error": {"message": message, "param": refused, "code": "unsupported_parameter"}}
        model = {"max_tokens": "prod-gpt5", "max_completion_tokens": "gpt-4o"}[refused]
        with self.server(refused, body, 400) as server:
            route = Route(f"openai:{model}", base_url=f"{server.url}/v1", api_key="k", api="chat")
            assert Router([route], max_retries=0).generate("Hi", max_tokens=7).text == "Well."
            assert json.loads(server.requests[-1].body)[other] == 7


def text_of(router, face):
    if face == "langchain":
        return "".join(chunk.text for chunk in ChatMultiRoute(router=router).stream("Hi"))
    if face == "llamaindex":
        return list(MultiRoute(router=router).stream_complete("Hi"))[-1].text
    if face == "stream":
        return "".join(chunk.text for chunk in router.stream("Hi"))

    async def main():
        return "".join([chunk.text async for chunk in router.astream("Hi")])

    return asyncio.run(main())
