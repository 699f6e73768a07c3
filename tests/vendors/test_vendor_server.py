"""The vendors' server, asked by the vendors' own SDKs: nothing of MultiRoute stands between."""

import base64
import json
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types

from tests.vendors.server import VendorServer

pytestmark = pytest.mark.filterwarnings("ignore:The model 'claude:DeprecationWarning")

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(16)).decode()
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "mood": {"enum": ["good", "bad"]},
        "home": {"$ref": "#/$defs/Home"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name", "age", "mood", "home", "tags"],
    "additionalProperties": False,
    "$defs": {
        "Home": {
            "type": "object",
            "properties": {"zip": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
            "required": ["zip"],
            "additionalProperties": False,
        }
    },
}


@pytest.fixture(scope="module")
def server():
    with VendorServer() as server:
        yield server


@pytest.fixture
def claude(server):
    with anthropic.Anthropic(api_key="test", base_url=server.base_url("anthropic"), max_retries=0) as client:
        yield client


@pytest.fixture
def gpt(server):
    with openai.OpenAI(api_key="test", base_url=server.base_url("openai"), max_retries=0) as client:
        yield client


@pytest.fixture
def gemini(server):
    return genai.Client(
        api_key="test", vertexai=False, http_options={"base_url": server.base_url("google"), "api_version": "v1beta"}
    )


def person(text):
    found = json.loads(text)
    assert found["name"] == "Ann" and found["age"] == 31 and found["mood"] == "bad"
    assert set(found) == set(PERSON["properties"]) and set(found["home"]) == {"zip"}


class TestAnthropic:
    MODEL = "claude-sonnet-4-5"
    TOOLS = [{"name": "get_weather", "description": "The weather of a city.", "input_schema": WEATHER}]

    def ask(self, claude, content: Any = "Hello", **more: Any):
        return claude.messages.create(
            model=self.MODEL, max_tokens=2048, messages=[{"role": "user", "content": content}], **more
        )

    @pytest.mark.slow
    def test_plain(self, claude):
        answer = self.ask(claude, system="Be kind.")
        assert answer.content[0].text.startswith("Hello")
        assert answer.stop_reason == "end_turn" and answer.id.startswith("msg_")
        assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 3

    def test_stream(self, claude):
        with claude.messages.stream(
            model=self.MODEL, max_tokens=2048, messages=[{"role": "user", "content": "Hello"}]
        ) as stream:
            pieces = list(stream.text_stream)
            assert len(pieces) >= 3 and "".join(pieces) == stream.get_final_message().content[0].text
        assert stream.get_final_message().usage.output_tokens > 3

    def test_tool_loop(self, claude):
        history: list[Any] = [{"role": "user", "content": "What's the weather in Paris and London?"}]
        with claude.messages.stream(model=self.MODEL, max_tokens=2048, messages=history, tools=self.TOOLS) as stream:
            asked = stream.get_final_message()
        assert [call.input for call in asked.content] == [{"city": "Paris"}, {"city": "London"}]
        assert asked.stop_reason == "tool_use"
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": f"rain {i}"}
            for i, call in enumerate(asked.content)
        ]
        history += [{"role": "assistant", "content": asked.content}, {"role": "user", "content": results}]
        answer = claude.messages.create(model=self.MODEL, max_tokens=2048, messages=history, tools=self.TOOLS)
        assert "rain 0" in answer.content[0].text and "rain 1" in answer.content[0].text
        history[-1]["content"] = results[:1]
        with pytest.raises(anthropic.BadRequestError, match="without `tool_result` blocks"):
            claude.messages.create(model=self.MODEL, max_tokens=2048, messages=history, tools=self.TOOLS)

    def test_thinking(self, claude):
        thinking = {"type": "enabled", "budget_tokens": 1024}
        with claude.messages.stream(
            model=self.MODEL, max_tokens=2048, messages=[{"role": "user", "content": "Hello"}], thinking=thinking
        ) as stream:
            first = stream.get_final_message()
        assert [block.type for block in first.content] == ["thinking", "text"]
        assert first.content[0].thinking and first.usage.output_tokens_details.thinking_tokens > 0
        turns = [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": first.content},
            {"role": "user", "content": "And?"},
        ]
        claude.messages.create(model=self.MODEL, max_tokens=2048, messages=turns)
        with pytest.raises(anthropic.BadRequestError, match="Invalid `signature`"):
            claude.messages.create(model="claude-haiku-4-5", max_tokens=2048, messages=turns)

    def test_form(self, claude):
        form = {"format": {"type": "json_schema", "schema": PERSON}}
        person(self.ask(claude, "Ann is 31 and in a bad mood.", output_config=form).content[0].text)

    def test_image(self, claude):
        picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
        assert "an image" in self.ask(claude, [{"type": "text", "text": "What is it?"}, picture]).content[0].text

    def test_cache(self, claude):
        marked = [{"type": "text", "text": "A long story. " * 9, "cache_control": {"type": "ephemeral"}}]
        first, second = self.ask(claude, system=marked), self.ask(claude, system=marked)
        assert first.usage.cache_creation_input_tokens == second.usage.cache_read_input_tokens > 0

    def test_ends(self, claude):
        assert self.ask(claude, stop_sequences=["help"]).stop_sequence == "help"
        short = claude.messages.create(model=self.MODEL, max_tokens=2, messages=[{"role": "user", "content": "Hello"}])
        assert short.stop_reason == "max_tokens" and short.content[0].text == "Hello, how"

    @pytest.mark.parametrize(
        ("more", "message"),
        [
            ({"extra_body": {"temperature": 1}}, "temperature: Extra inputs"),
            ({"extra_body": {"seed": 1}}, "seed: Extra inputs"),
            ({"tools": TOOLS, "tool_choice": {"type": "tool", "name": "no"}}, "'no' not found"),
            ({"content": []}, "non-empty content"),
            ({"content": [{"type": "text", "text": ""}]}, "text content blocks must be non-empty"),
            ({"content": [{"type": "input_text", "text": "a"}]}, "does not match any of the expected tags"),
            ({"content": [{"type": "text", "text": "a", "id": "b"}]}, "id: Extra inputs"),
            ({"content": [{"type": "tool_result", "tool_use_id": "a", "content": "b"}]}, "unexpected `tool_use_id`"),
            ({"thinking": {"type": "adaptive"}}, "adaptive thinking is not supported"),
        ],
    )
    def test_refused(self, claude, more, message):
        with pytest.raises(anthropic.BadRequestError, match=message):
            self.ask(claude, **more)

    def test_ids(self, claude):
        call = {"type": "tool_use", "id": "call.1", "name": "get_weather", "input": {}}
        turns = [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call.1", "content": "b"}]},
        ]
        with pytest.raises(anthropic.BadRequestError, match="should match pattern"):
            claude.messages.create(model=self.MODEL, max_tokens=9, messages=turns)

    def test_dead(self, claude, server):
        server.dead.add("anthropic")
        with pytest.raises(anthropic.APIStatusError) as caught:
            self.ask(claude)
        server.dead.clear()
        assert caught.value.status_code == 529 and caught.value.type == "overloaded_error"


class TestChat:
    TOOLS = [
        {"type": "function", "function": {"name": "get_weather", "description": "The weather.", "parameters": WEATHER}}
    ]

    def ask(self, gpt, content: Any = "Hello", **more: Any):
        more = {"model": "gpt-4o", "messages": [{"role": "user", "content": content}], **more}
        return gpt.chat.completions.create(**more)

    def test_plain(self, gpt):
        answer = self.ask(gpt)
        assert answer.choices[0].message.content.startswith("Hello") and answer.choices[0].finish_reason == "stop"
        assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens

    @pytest.mark.parametrize("usage", [True, False])
    def test_stream(self, gpt, usage):
        more = {"stream_options": {"include_usage": True}} if usage else {}
        chunks = list(self.ask(gpt, stream=True, **more))
        texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
        assert len([text for text in texts if text]) >= 3
        assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [usage]
        assert (chunks[-1].choices == []) is usage

    def test_tool_loop(self, gpt):
        with gpt.chat.completions.stream(
            model="gpt-4o",
            messages=[{"role": "user", "content": "What's the weather in Paris and London?"}],
            tools=self.TOOLS,
        ) as stream:
            message = stream.get_final_completion().choices[0].message
        assert [json.loads(call.function.arguments) for call in message.tool_calls] == [
            {"city": "Paris"},
            {"city": "London"},
        ]
        calls = [
            {"id": c.id, "type": "function", "function": {"name": c.function.name, "arguments": c.function.arguments}}
            for c in message.tool_calls
        ]
        turns = [
            {"role": "user", "content": "What's the weather in Paris and London?"},
            {"role": "assistant", "content": None, "tool_calls": calls},
            *({"role": "tool", "tool_call_id": call["id"], "content": f"rain {i}"} for i, call in enumerate(calls)),
        ]
        assert "rain 1" in self.ask(gpt, messages=turns, tools=self.TOOLS).choices[0].message.content
        with pytest.raises(openai.BadRequestError, match="did not have response messages"):
            self.ask(gpt, messages=turns[:-1])
        one = self.ask(gpt, "What's the weather in Paris and London?", tools=self.TOOLS, parallel_tool_calls=False)
        assert len(one.choices[0].message.tool_calls) == 1

    def test_form(self, gpt):
        form = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
        person(self.ask(gpt, "Ann is 31 and in a bad mood.", response_format=form).choices[0].message.content)
        said = "Tell a joke as JSON with 'setup' and 'punchline' keys."
        joke = self.ask(gpt, said, response_format={"type": "json_object"}).choices[0].message.content
        assert set(json.loads(joke)) == {"setup", "punchline"}

    def test_content(self, gpt):
        picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
        sound = {"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}}
        paper = {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PNG}"}}
        text = (
            self.ask(gpt, [{"type": "text", "text": "What is it?"}, picture, sound, paper]).choices[0].message.content
        )
        assert "an image" in text and "audio" in text and "a document" in text

    def test_reasoning(self, gpt):
        answer = self.ask(gpt, model="gpt-5", reasoning_effort="low")
        assert answer.usage.completion_tokens_details.reasoning_tokens > 0

    @pytest.mark.parametrize(
        ("more", "message"),
        [
            ({"extra_body": {"top_k": 1}}, "Unrecognized request argument supplied: top_k"),
            ({"model": "gpt-5", "temperature": 0.5}, "'temperature' is not supported"),
            ({"model": "gpt-5", "max_tokens": 5}, "Use 'max_completion_tokens'"),
            ({"tool_choice": "auto"}, "only allowed when 'tools'"),
            ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "no"}}}, "'no' not found"),
            (
                {"messages": [{"role": "tool", "tool_call_id": "a", "content": "b"}]},
                "must be a response to a preceeding message",
            ),
            ({"messages": [{"role": "model", "content": "b"}]}, "Invalid value: 'model'"),
            ({"content": [{"type": "image", "source": {}}]}, "Invalid value: 'image'"),
            ({"response_format": {"type": "json_object"}}, "must contain the word 'json'"),
            (
                {
                    "response_format": {
                        "type": "json_schema",
                        "json_schema": {"name": "a", "schema": WEATHER, "strict": True},
                    }
                },
                "additionalProperties",
            ),
        ],
    )
    def test_refused(self, gpt, more, message):
        with pytest.raises(openai.BadRequestError, match=message):
            self.ask(gpt, **more)


class TestResponses:
    TOOLS = [
        {
            "type": "function",
            "name": "get_weather",
            "description": "The weather.",
            "parameters": WEATHER,
            "strict": False,
        }
    ]
    KEPT = {
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "low", "summary": "auto"},
    }

    def ask(self, gpt, given: Any = "Hello", **more: Any):
        return gpt.responses.create(**{"model": "gpt-6.1-sol", "input": given, **more})

    def test_plain(self, gpt):
        answer = self.ask(gpt)
        assert answer.output_text.startswith("Hello") and answer.status == "completed" and answer.id.startswith("resp_")
        assert answer.usage.output_tokens_details.reasoning_tokens > 0

    def test_stream(self, gpt):
        with gpt.responses.stream(model="gpt-6.1-sol", input="Hello") as stream:
            pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
            assert len(pieces) >= 3 and "".join(pieces) == stream.get_final_response().output_text

    def test_tool_loop(self, gpt):
        said = {"role": "user", "content": "What's the weather in Paris and London?"}
        with gpt.responses.stream(model="gpt-6.1-sol", input=[said], tools=self.TOOLS, **self.KEPT) as stream:
            asked = stream.get_final_response()
        assert [item.type for item in asked.output] == ["reasoning", "function_call", "function_call"]
        calls = asked.output[1:]
        assert [json.loads(call.arguments) for call in calls] == [{"city": "Paris"}, {"city": "London"}]
        results = [
            {"type": "function_call_output", "call_id": call.call_id, "output": f"rain {i}"}
            for i, call in enumerate(calls)
        ]
        back = [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in asked.output]
        assert "rain 1" in self.ask(gpt, [said, *back, *results], tools=self.TOOLS, **self.KEPT).output_text
        with pytest.raises(openai.BadRequestError, match="without its required 'reasoning' item"):
            self.ask(gpt, [said, *back[1:], *results], tools=self.TOOLS, **self.KEPT)
        with pytest.raises(openai.BadRequestError, match="No tool output found"):
            self.ask(gpt, [said, *back, results[0]], tools=self.TOOLS, **self.KEPT)
        back[0]["encrypted_content"] = "EqoB"
        with pytest.raises(openai.BadRequestError, match="could not be verified"):
            self.ask(gpt, [said, *back, *results], tools=self.TOOLS, **self.KEPT)

    def test_form(self, gpt):
        form = {"format": {"type": "json_schema", "name": "person", "schema": PERSON, "strict": True}}
        person(self.ask(gpt, "Ann is 31 and in a bad mood.", text=form).output_text)

    def test_content(self, gpt):
        parts = [
            {"type": "input_text", "text": "What is it?"},
            {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"},
            {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PNG}"},
        ]
        text = self.ask(gpt, [{"role": "user", "content": parts}]).output_text
        assert "an image" in text and "a document" in text

    def test_incomplete(self, gpt):
        answer = self.ask(gpt, model="gpt-4o", given="a " * 30, max_output_tokens=16)
        assert answer.status == "incomplete" and answer.incomplete_details.reason == "max_output_tokens"

    @pytest.mark.parametrize(
        ("more", "message"),
        [
            ({"extra_body": {"messages": []}}, "Unknown parameter: 'messages'"),
            ({"temperature": 0.5}, "'temperature' is not supported"),
            ({"given": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]}, "Invalid value: 'text'"),
            ({"given": [{"type": "function_call_output", "call_id": "a", "output": "b"}]}, "No tool call found"),
            (
                {"given": [{"type": "function_call", "id": "toolu_1", "call_id": "a", "name": "b", "arguments": "{}"}]},
                "begins with 'fc'",
            ),
            ({"given": [{"type": "reasoning", "id": "rs_1", "summary": []}], "store": False}, "not found"),
            ({"tools": TOOLS, "tool_choice": {"type": "function", "name": "no"}}, "'no' not found"),
        ],
    )
    def test_refused(self, gpt, more, message):
        with pytest.raises(openai.BadRequestError, match=message):
            self.ask(gpt, **more)


class TestGoogle:
    MODEL = "gemini-3.8-flash"
    TOOLS = [
        {
            "function_declarations": [
                {"name": "get_weather", "description": "The weather.", "parameters_json_schema": WEATHER}
            ]
        }
    ]

    def ask(self, gemini, contents: Any = "Hello", model=MODEL, **config):
        return gemini.models.generate_content(model=model, contents=contents, config=config)

    def test_plain(self, gemini):
        answer = self.ask(gemini, system_instruction="Be kind.")
        assert answer.text.startswith("Hello") and answer.candidates[0].finish_reason == "STOP" and answer.response_id
        assert answer.usage_metadata.thoughts_token_count > 0

    def test_stream(self, gemini):
        config = {"thinking_config": {"include_thoughts": True}}
        chunks = list(gemini.models.generate_content_stream(model=self.MODEL, contents="Hello", config=config))
        parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
        assert len([part for part in parts if part.text and not part.thought]) >= 3
        assert any(part.thought for part in parts) and parts[-1].thought_signature
        assert [chunk.candidates[0].finish_reason is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [
            True
        ]

    def test_tool_loop(self, gemini):
        said = types.Content(role="user", parts=[types.Part(text="What's the weather in Paris and London?")])
        asked = self.ask(gemini, [said], tools=self.TOOLS)
        calls = asked.function_calls
        assert [call.args for call in calls] == [{"city": "Paris"}, {"city": "London"}] and calls[0].id is None
        results = [
            types.Part.from_function_response(name=call.name, response={"result": f"rain {i}"})
            for i, call in enumerate(calls)
        ]
        turns = [said, asked.candidates[0].content, types.Content(role="user", parts=results)]
        assert "rain 1" in self.ask(gemini, turns, tools=self.TOOLS).text
        with pytest.raises(genai.errors.ClientError, match="number of function response parts"):
            self.ask(gemini, [*turns[:2], types.Content(role="user", parts=results[:1])], tools=self.TOOLS)
        signed = turns[1].parts[0]
        signed.thought_signature = None
        with pytest.raises(genai.errors.ClientError, match="missing a thought_signature"):
            self.ask(gemini, turns, tools=self.TOOLS)
        signed.thought_signature = b"foreign"
        with pytest.raises(genai.errors.ClientError, match="Thought signature is not valid"):
            self.ask(gemini, turns, tools=self.TOOLS)
        signed.thought_signature = b"skip_thought_signature_validator"
        assert self.ask(gemini, turns, tools=self.TOOLS).text

    def test_form(self, gemini):
        config = {"response_mime_type": "application/json", "response_json_schema": PERSON}
        person(self.ask(gemini, "Ann is 31 and in a bad mood.", **config).text)

    def test_content(self, gemini):
        parts = [types.Part(text="What is it?")]
        parts += [
            types.Part.from_bytes(data=b"abc", mime_type=mime) for mime in ("image/png", "audio/wav", "application/pdf")
        ]
        text = self.ask(gemini, types.Content(role="user", parts=parts)).text
        assert "an image" in text and "audio" in text and "a document" in text

    @pytest.mark.parametrize(
        ("more", "message"),
        [
            ({"thinking_config": {"thinking_budget": 5, "thinking_level": "LOW"}}, "only one of thinking budget"),
            ({"thinking_config": {"thinking_level": "MINIMAL"}}, "not supported for this model"),
            (
                {
                    "tools": TOOLS,
                    "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["no"]}},
                },
                "not declared: no",
            ),
            ({"contents": types.Content(role="assistant", parts=[types.Part(text="a")])}, "valid role"),
            (
                {
                    "contents": types.Content(
                        role="user", parts=[types.Part.from_bytes(data=b"a", mime_type="application/zip")]
                    )
                },
                "Unsupported MIME type",
            ),
            ({"http_options": {"extra_body": {"messages": []}}}, 'Unknown name "messages"'),
        ],
    )
    def test_refused(self, gemini, more, message):
        with pytest.raises(genai.errors.ClientError, match=message):
            self.ask(gemini, **more)

    def test_dead(self, gemini, server):
        server.dead.add(self.MODEL)
        with pytest.raises(genai.errors.ServerError, match="overloaded"):
            self.ask(gemini)
        server.dead.clear()

    def test_ids(self):
        with VendorServer(call_ids=True) as server:
            client = genai.Client(
                api_key="t", vertexai=False, http_options={"base_url": server.url, "api_version": "v1beta"}
            )
            assert self.ask(client, "What's the weather in Paris?", tools=self.TOOLS).function_calls[0].id


def test_nothing_of_it_was_meant_for_a_test():
    """The mind answers by the request: the same question with another tool's name calls that tool."""
    with VendorServer() as server, openai.OpenAI(api_key="test", base_url=server.base_url("openai")) as client:
        for name in ("first_tool", "second_tool"):
            tool: Any = {
                "type": "function",
                "function": {"name": name, "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}}},
            }
            asked = client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": f"Use {name}(7)."}], tools=[tool]
            )
            (chosen,) = asked.choices[0].message.tool_calls or []
            assert chosen.type == "function"
            call = chosen.function
            assert (call.name, json.loads(call.arguments)) == (name, {"n": 7})
