"""The official SDKs, LangChain, LlamaIndex and curl, over real sockets; and the same SDK in the same process."""

import asyncio
import base64
import json
import shutil
import subprocess
from typing import Any

import anthropic
import openai
import pytest
from pydantic import BaseModel

from multiroute_core import Route, Router, ToolCall, Usage
from multiroute_core.errors import BadRequestError, ContextOverflowError, OverloadedError
from multiroute_core.serving import build_app, create_key, hash_key
from multiroute_core.testing import Answer, DropConnection, Fail, ReplayServer, Reply, provider_of, scripted_route
from tests.providers.wires import WIRES
from tests.serving.servers import eventually, in_flight, running

pytestmark = pytest.mark.slow

KEY = create_key()
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 20).decode()
CALLS = [ToolCall("call_1", "weather", {"city": "Rome"}), ToolCall("call_2", "weather", {"city": "Oslo"})]
USAGE = Usage(20, 7, cache_read_tokens=4, reasoning_tokens=3)
WEATHER: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CHAT_TOOLS: Any = [{"type": "function", "function": {"name": "weather", "description": "Now.", "parameters": WEATHER}}]
QUESTION: Any = [{"role": "user", "content": "Hi"}]


class City(BaseModel):
    name: str


def script(incoming):
    """Answers by what the request has: JSON for a schema, the calls for tools, text after results."""
    request = incoming.request
    if request.output_schema is not None:
        return Answer('{"name": "Rome"}', usage=USAGE)
    if request.tools and request.messages[-1].role != "tool":
        return Answer("Well, ", tool_calls=CALLS, usage=USAGE)
    return Answer(("Hel", "lo"), usage=USAGE, finish_reason="length" if request.max_tokens == 1 else None)


def build_router():
    return Router(
        [
            scripted_route("main", script),
            scripted_route("small", Fail(ContextOverflowError)),
            scripted_route("strict", Fail(BadRequestError)),
        ],
        max_retries=0,
    )


ROUTER = build_router()


@pytest.fixture(scope="module")
def server():
    with running(build_app(ROUTER, keys={hash_key(KEY): "shop"})) as running_server:
        yield running_server


@pytest.fixture(params=["socket", "process"])
def client(request) -> Any:
    """OpenAI's SDK, over a socket or in the process."""
    if request.param == "process":
        with ROUTER.as_openai() as client:
            yield client
        return
    server = request.getfixturevalue("server")
    with openai.OpenAI(api_key=KEY, base_url=f"{server.url}/v1", max_retries=0) as client:
        yield client


def sent() -> Any:
    """The request that the model got last."""
    return provider_of(ROUTER.routes[0]).takes[-1].asked.request


def test_chat(client):
    raw = client.chat.completions.with_raw_response.create(model="auto", messages=QUESTION)
    answer = raw.parse()
    assert answer.choices[0].message.content == "Hello"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens_details.cached_tokens == 4
    assert answer.usage.completion_tokens_details.reasoning_tokens == 3
    assert raw.headers["x-multiroute-route"] == "main"
    assert (
        client.chat.completions.create(model="main", messages=QUESTION, max_tokens=1).choices[0].finish_reason
        == "length"
    )


def test_chat_streams(client):
    options: Any = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="auto", messages=QUESTION, stream=True, stream_options=options))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello"
    assert chunks[-1].usage.total_tokens == 27
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_chat_with_tools_and_their_results(client):
    options: Any = {"model": "auto", "tools": CHAT_TOOLS, "tool_choice": "required", "parallel_tool_calls": True}
    message = client.chat.completions.create(messages=QUESTION, **options).choices[0].message
    assert [json.loads(call.function.arguments) for call in message.tool_calls] == [{"city": "Rome"}, {"city": "Oslo"}]
    assert sent().tools[0].name == "weather"
    assert sent().tool_choice.mode == "required"
    with client.chat.completions.stream(messages=QUESTION, **options) as stream:
        streamed = stream.get_final_completion().choices[0].message
    assert [call.id for call in streamed.tool_calls] == ["call_1", "call_2"]
    results: Any = [{"role": "tool", "tool_call_id": call.id, "content": "mild"} for call in message.tool_calls]
    history: Any = [*QUESTION, message.model_dump(exclude_none=True), *results]
    assert (
        client.chat.completions.create(messages=history, model="auto", tools=CHAT_TOOLS).choices[0].message.content
        == "Hello"
    )


def test_chat_with_a_schema_and_an_image(client):
    image: Any = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}}
    messages: Any = [
        {"role": "system", "content": "Look."},
        {"role": "user", "content": [{"type": "text", "text": "?"}, image]},
    ]
    answer = client.chat.completions.parse(
        model="auto", messages=messages, response_format=City, reasoning_effort="low"
    )
    assert answer.choices[0].message.parsed == City(name="Rome")
    assert sent().messages[1].parts[1].mime_type == "image/png"
    assert sent().reasoning.effort == "low"


def test_responses(client):
    answer = client.responses.create(model="auto", input="Hi", instructions="Be kind.", store=False)
    assert answer.output_text == "Hello"
    assert answer.usage.input_tokens_details.cached_tokens == 4
    assert answer.instructions == "Be kind."
    assert sent().messages[0].text == "Be kind."
    assert client.responses.parse(model="auto", input="Hi", text_format=City).output_parsed == City(name="Rome")
    short = client.responses.create(model="auto", input="Hi", max_output_tokens=1)
    assert (short.status, short.incomplete_details.reason) == ("incomplete", "max_output_tokens")


def test_responses_with_tools_and_their_results(client):
    tools: Any = [{"type": "function", "name": "weather", "parameters": WEATHER, "strict": True}]
    with client.responses.stream(model="auto", input="Hi", tools=tools) as stream:
        numbers = [event.sequence_number for event in stream]
        answer = stream.get_final_response()
    assert numbers == list(range(len(numbers)))
    calls = [item for item in answer.output if item.type == "function_call"]
    assert [call.call_id for call in calls] == ["call_1", "call_2"]
    output = [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in answer.output]
    results: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "mild"} for call in calls]
    history: Any = [{"role": "user", "content": "Hi"}, *output, *results]
    assert client.responses.create(model="auto", input=history, tools=tools).output_text == "Hello"
    assert [message.role for message in sent().messages] == ["user", "assistant", "tool"]


def test_errors_have_the_classes_of_the_sdk(client):
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gpt-9", messages=QUESTION)
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as error:
            client.chat.completions.create(model="small", messages=QUESTION, stream=stream)
        assert error.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError, match="previous_response_id"):
        client.responses.create(model="auto", input="Hi", previous_response_id="resp_1")


def test_an_error_in_a_stream_is_raised_by_the_sdk_and_heartbeats_are_skipped():
    answer = Answer(("a", "b"), first_token=0.1, per_chunk=0.1)
    routes = [scripted_route("slow", answer), scripted_route("broken", DropConnection(1, answer))]
    with running(build_app(Router(routes, max_retries=0), heartbeat=0.02)) as server:
        chat = openai.OpenAI(api_key="x", base_url=f"{server.url}/v1", max_retries=0)
        claude = anthropic.Anthropic(api_key="x", base_url=server.url, max_retries=0)
        with chat, claude:
            chunks = chat.chat.completions.create(model="slow", messages=QUESTION, stream=True)
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "ab"
            with claude.messages.stream(model="slow", max_tokens=9, messages=QUESTION) as stream:
                assert stream.get_final_text() == "ab"
            with pytest.raises(openai.APIError, match="stream broke"):
                list(chat.chat.completions.create(model="broken", messages=QUESTION, stream=True))
            with pytest.raises(openai.APIError, match="stream broke"):
                list(chat.responses.create(model="broken", input="Hi", stream=True))
            with pytest.raises(anthropic.APIStatusError, match="stream broke"):
                with claude.messages.stream(model="broken", max_tokens=9, messages=QUESTION) as stream:
                    stream.get_final_text()


def test_models_are_listed(client):
    assert [model.id for model in client.models.list()] == ["auto", "main", "small", "strict"]
    assert client.models.retrieve("main").owned_by == "scripted"


def test_messages(server):
    tools: Any = [{"name": "weather", "input_schema": WEATHER}]
    with anthropic.Anthropic(api_key=KEY, base_url=server.url, max_retries=0) as client:
        options: Any = {"model": "auto", "max_tokens": 50, "messages": QUESTION}
        answer = client.messages.create(
            **options, system="Be kind.", thinking={"type": "enabled", "budget_tokens": 1024}
        )
        assert (answer.content[0].text, answer.stop_reason) == ("Hello", "end_turn")
        assert (answer.usage.input_tokens, answer.usage.cache_read_input_tokens) == (16, 4)
        assert answer._request_id.startswith("req_")
        assert sent().reasoning.budget_tokens == 1024
        with client.messages.stream(**options, tools=tools) as stream:
            final = stream.get_final_message()
        calls = [block for block in final.content if block.type == "tool_use"]
        assert [(call.id, call.input) for call in calls] == [("call_1", {"city": "Rome"}), ("call_2", {"city": "Oslo"})]
        assert final.stop_reason == "tool_use"
        results: Any = [{"type": "tool_result", "tool_use_id": call.id, "content": "mild"} for call in calls]
        content = [block.model_dump(exclude_none=True) for block in final.content]
        history: Any = [*QUESTION, {"role": "assistant", "content": content}, {"role": "user", "content": results}]
        assert client.messages.create(**options | {"messages": history}, tools=tools).content[0].text == "Hello"
        if hasattr(client.messages, "parse"):  # the oldest SDK that is admitted has it not yet
            parsed = client.messages.parse(**options, output_format=City)
            assert parsed.parsed_output == City(name="Rome")
        assert client.messages.count_tokens(model="auto", messages=QUESTION, tools=tools).input_tokens > 0
        with pytest.raises(anthropic.BadRequestError):
            client.messages.create(**options | {"model": "small"})
        assert [model.id for model in client.models.list()][:2] == ["auto", "main"]
    with anthropic.Anthropic(api_key="mr-wrong", base_url=server.url, max_retries=0) as client:
        with pytest.raises(anthropic.AuthenticationError):
            client.messages.create(model="auto", max_tokens=5, messages=QUESTION)


async def test_async_clients(server):
    over_socket = openai.AsyncOpenAI(api_key=KEY, base_url=f"{server.url}/v1", max_retries=0)
    for client in (over_socket, ROUTER.as_async_openai()):
        async with client:
            options: Any = {"model": "auto", "messages": QUESTION}
            assert (await client.chat.completions.create(**options)).choices[0].message.content == "Hello"
            stream = await client.chat.completions.create(**options, stream=True)
            chunks = [chunk async for chunk in stream]
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello"
            assert (await client.responses.create(model="auto", input="Hi")).output_text == "Hello"
            with pytest.raises(openai.BadRequestError):
                await client.chat.completions.create(**options | {"model": "small"}, stream=True)
    async with anthropic.AsyncAnthropic(api_key=KEY, base_url=server.url, max_retries=0) as client:
        async with client.messages.stream(model="auto", max_tokens=5, messages=QUESTION) as stream:
            assert await stream.get_final_text() == "Hello"


def test_langchain(server):
    ChatOpenAI = pytest.importorskip("langchain_openai").ChatOpenAI

    for settings in ({}, {"use_responses_api": True, "store": False}):
        with httpx_clients() as http:
            make: Any = ChatOpenAI
            llm = make(
                model="auto", api_key=KEY, base_url=f"{server.url}/v1", max_retries=0, http_client=http, **settings
            )
            assert llm.invoke("Hi").text == "Hello"
            message = llm.bind_tools([City]).invoke("Hi")
            assert [call["args"] for call in message.tool_calls] == [{"city": "Rome"}, {"city": "Oslo"}]
            assert "".join(chunk.text for chunk in llm.stream("Hi")) == "Hello"
            assert llm.with_structured_output(City, method="json_schema").invoke("Hi") == City(name="Rome")


def httpx_clients():
    import httpx

    return httpx.Client()


def test_llamaindex(server):
    pytest.importorskip("llama_index.llms.openai_like")
    from llama_index.core.llms import ChatMessage
    from llama_index.core.tools import FunctionTool
    from llama_index.llms.openai_like import OpenAILike

    def city(city: str) -> str:
        """Looks a city up."""
        return city

    with httpx_clients() as http:
        make: Any = OpenAILike
        llm = make(
            model="main",
            api_key=KEY,
            api_base=f"{server.url}/v1",
            max_retries=0,
            http_client=http,
            is_chat_model=True,
            is_function_calling_model=True,
        )
        question = [ChatMessage("Hi")]
        assert llm.chat(question).message.content == "Hello"
        assert llm.complete("Hi").text == "Hello"
        assert "".join(chunk.delta or "" for chunk in llm.stream_chat(question)) == "Hello"
        answer = llm.chat_with_tools([FunctionTool.from_defaults(city)], "Hi", allow_parallel_tool_calls=True)
        assert [call.tool_kwargs for call in llm.get_tool_calls_from_response(answer)] == [
            {"city": "Rome"},
            {"city": "Oslo"},
        ]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(server):
    body = json.dumps({"model": "auto", "stream": True, "messages": QUESTION})
    command = ["curl", "-sN", f"{server.url}/v1/chat/completions", "-H", f"authorization: Bearer {KEY}"]
    command += ["-H", "content-type: application/json", "-d", body]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.splitlines()
    assert lines[-2] == "data: [DONE]"
    assert json.loads(lines[2].removeprefix("data: "))["choices"][0]["delta"]["content"] == "Hel"


def test_a_client_that_leaves_cancels_the_call_over_each_api():
    router = Router([scripted_route("slow", Answer(["w "] * 5000, per_chunk=0.01))], max_retries=0)
    bodies = {
        "/v1/chat/completions": {"model": "auto", "messages": QUESTION},
        "/v1/responses": {"model": "auto", "input": "Hi"},
        "/v1/messages": {"model": "auto", "max_tokens": 9, "messages": QUESTION},
    }
    app = build_app(router)
    with running(app) as server:
        for path, body in bodies.items():
            for stream in (True, False):
                connection = server.open(path, body | {"stream": stream})
                eventually(lambda: in_flight(router) == 1)
                connection.close()
                eventually(lambda: in_flight(router) == 0, seconds=2.0)
        eventually(lambda: app.state.serving.in_flight == 0)
        client = router.as_openai()
        stream = client.chat.completions.create(model="auto", messages=QUESTION, stream=True)
        next(iter(stream))
        assert in_flight(router) == 1
        stream.close()
        assert in_flight(router) == 0


def test_a_real_provider_behind_it_gets_what_the_client_sent():
    answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "up", "usage": None}
    answer |= {"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "up"}}]}
    with ReplayServer(Reply(200, {"content-type": "application/json"}, json.dumps(answer).encode())) as upstream:
        route = Route("openai:gpt-4.1", api_key="sk-upstream", base_url=upstream.url, api="chat", name="up")
        with Router([route]) as router, running(build_app(router)) as server:
            body = {
                "model": "gpt-4.1",
                "messages": QUESTION,
                "temperature": 0.5,
                "service_tier": "flex",
                "tools": CHAT_TOOLS,
            }
            status, headers, content = server.request("POST", "/v1/chat/completions", body)
            assert (status, json.loads(content)["choices"][0]["message"]["content"]) == (200, "up")
            received = json.loads(upstream.requests[-1].body)
            assert received["messages"] == QUESTION
            assert (received["temperature"], received["service_tier"]) == (0.5, "flex")
            assert received["tools"][0]["function"]["name"] == "weather"
            upstream.serve(
                Reply(401, {}, b'{"error": {"message": "Incorrect key sk-upstream", "code": "invalid_api_key"}}')
            )
            status, _, content = server.request("POST", "/v1/chat/completions", body)
            assert status == 502
            assert b"sk-upstream" not in content
            assert upstream.url.encode() not in content


async def test_a_sync_client_works_in_a_running_loop():
    assert ROUTER.as_openai().responses.create(model="auto", input="Hi").output_text == "Hello"
    await asyncio.sleep(0)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_the_stop_sequence_of_a_provider_reaches_anthropics_client(streamed):
    """Agents that stop at a word ask which one it was."""
    wire = WIRES["anthropic"]
    ending = b'"stop_reason": "stop_sequence", "stop_sequence": "\\n\\nObservation:"'

    def answer(received):
        if wire.streamed(received):
            body = wire.stream.replace(b'"stop_reason": "end_turn"', ending)
            return Reply(headers={"content-type": "text/event-stream"}, body=body, stream=True)
        message = {key: value for key, value in json.loads(wire.plain).items() if key != "stop_sequence"}
        body = json.dumps(message).replace('"stop_reason": "end_turn"', ending.decode()).encode()
        return Reply(headers={"content-type": "application/json"}, body=body)

    with ReplayServer(answer) as vendor, Router([Route("anthropic:m", api_key="k", base_url=vendor.url)]) as router:
        with running(build_app(router)) as server, anthropic.Anthropic(api_key="k", base_url=server.url) as client:
            create: Any = {
                "model": "auto",
                "max_tokens": 9,
                "messages": QUESTION,
                "stop_sequences": ["\n\nObservation:"],
            }
            if streamed:
                with client.messages.stream(**create) as stream:
                    message = stream.get_final_message()
            else:
                message = client.messages.create(**create)
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "\n\nObservation:")


def test_the_stop_sequence_that_vllm_reports_reaches_anthropics_client():
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "Hi"},
        "finish_reason": "stop",
        "stop_reason": "END",
    }
    reply = Reply(
        headers={"content-type": "application/json"}, body=json.dumps({"model": "m", "choices": [choice]}).encode()
    )
    with ReplayServer(reply) as vendor, Router([Route("openai:m", api_key="k", base_url=f"{vendor.url}/v1")]) as router:
        with running(build_app(router)) as server, anthropic.Anthropic(api_key="k", base_url=server.url) as client:
            message = client.messages.create(model="auto", max_tokens=9, messages=QUESTION, stop_sequences=["END"])
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")


def test_a_model_without_capacity_is_an_overload_in_the_apis_own_words():
    with Router([scripted_route("busy", Fail(OverloadedError))], max_retries=0) as router:
        with running(build_app(router)) as server:
            with anthropic.Anthropic(api_key="k", base_url=server.url, max_retries=0) as client:
                with pytest.raises(anthropic.APIStatusError) as caught:
                    client.messages.create(model="auto", max_tokens=9, messages=QUESTION)
            with openai.OpenAI(api_key="k", base_url=f"{server.url}/v1", max_retries=0) as client:
                with pytest.raises(openai.InternalServerError) as caught_by_openai:
                    client.chat.completions.create(model="auto", messages=QUESTION)
    assert caught.value.status_code == 529
    body: Any = caught.value.body
    assert body["error"]["type"] == "overloaded_error"
    assert caught_by_openai.value.status_code == 503
