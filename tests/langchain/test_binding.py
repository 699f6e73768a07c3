"""What is bound and what a call says: tools, forms, vendors' own words; and what the model advertises."""

import copy
from typing import Any, TypedDict

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.runnables import ConfigurableField, RunnableBinding
from langchain_core.tools import tool
from pydantic import BaseModel, Field, model_validator

from langchain_multiroute import ChatMultiRoute
from multiroute_core import ConfigurationError, Route
from tests.vendors.server import WIRES


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return city


class Weather(BaseModel):
    """A report of the weather."""

    city: str = Field(description="Where it is.")
    sunny: bool


class Picky(Weather):
    """A report that is never right."""

    @model_validator(mode="after")
    def never(self):
        raise ValueError("never")


class WeatherDict(TypedDict):
    """A report of the weather."""

    city: str
    sunny: bool


@pytest.fixture
def llm(server):
    return ChatMultiRoute(routes=[server.route("chat"), server.route("anthropic")])


class TestTools:
    def test_openai_s_dicts_are_bound(self, llm):
        bound = llm.bind_tools([get_weather, Weather], tool_choice="any", parallel_tool_calls=False)
        assert isinstance(bound, RunnableBinding)
        assert [one["function"]["name"] for one in bound.kwargs["tools"]] == ["get_weather", "Weather"]
        assert bound.kwargs["tool_choice"] == "any"

    @pytest.mark.parametrize(
        "choice", ["any", "required", True, "get_weather", {"type": "tool", "name": "get_weather"}]
    )
    @pytest.mark.parametrize("wire", WIRES)
    def test_every_spelling_of_a_choice_on_every_wire(self, server, wire, choice):
        bound = ChatMultiRoute(routes=[server.route(wire)]).bind_tools([get_weather], tool_choice=choice)
        assert [call["name"] for call in bound.invoke("Hi, what is your name?").tool_calls] == ["get_weather"]

    def test_no_tools_say_nothing(self, llm, server):
        llm.bind_tools([], tool_choice=None).invoke("Hi")
        assert "tools" not in server.seen[-1].body

    def test_what_a_vendor_takes_besides_stays_beside(self, llm, server):
        cached = get_weather.model_copy(update={"extras": {"cache_control": {"type": "ephemeral"}, "other": 1}})
        bound = llm.bind_tools([cached])
        bound.invoke("Get the weather in Paris.")
        assert "cache_control" not in str(server.seen[-1].body)
        bound.invoke("Get the weather in Paris.", model="claude-sonnet-4-5")
        assert server.seen[-1].body["tools"][-1]["cache_control"] == {"type": "ephemeral"}

    def test_a_vendor_s_own_tool_goes_to_that_vendor(self, llm, server):
        own = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
        before = copy.deepcopy(own)
        bound = llm.bind_tools([own])
        bound.invoke("Hi")
        assert own == before
        assert server.seen[-1].wire == "anthropic"
        assert server.seen[-1].body["tools"] == [own]

    @pytest.mark.parametrize(
        ("tools", "choice", "sentence"),
        [
            ([get_weather], "get_wether", "did you mean 'get_weather'"),
            ([], "any", "there are no tools"),
            ([3], None, "is not a valid tool"),
        ],
    )
    def test_what_is_wrong_is_told_when_it_is_bound(self, llm, tools, choice, sentence):
        with pytest.raises(ConfigurationError, match=sentence):
            llm.bind_tools(tools, tool_choice=choice)


@pytest.mark.parametrize("wire", WIRES)
class TestForms:
    @pytest.mark.parametrize("method", ["json_schema", "function_calling"])
    @pytest.mark.parametrize("schema", [Weather, WeatherDict, Weather.model_json_schema()])
    @pytest.mark.parametrize("strict", [None, True, False])
    def test_methods_and_schemas(self, server, wire, method, schema, strict):
        llm = ChatMultiRoute(routes=[server.route(wire)])
        found = llm.with_structured_output(schema, method=method, strict=strict).invoke("The weather in Paris.")
        assert isinstance(found, Weather) if schema is Weather else set(found) == {"city", "sunny"}

    def test_with_the_raw_message(self, server, wire):
        llm = ChatMultiRoute(routes=[server.route(wire)])
        found = llm.with_structured_output(Weather, include_raw=True).invoke("The weather in Paris.")
        assert isinstance(found["parsed"], Weather)
        assert found["parsing_error"] is None
        assert found["raw"].usage_metadata
        picky = llm.with_structured_output(Picky, include_raw=True).invoke("The weather in Paris.")
        assert picky["parsed"] is None
        assert "never" in str(picky["parsing_error"])


def test_wrong_forms(llm):
    for arguments, sentence in (
        ({"schema": Weather, "method": "json"}, "Unknown method 'json'"),
        ({"schema": None}, "needs a schema"),
        ({"schema": {}}, "is not a valid schema"),
    ):
        with pytest.raises(ConfigurationError, match=sentence):
            llm.with_structured_output(**arguments)


class TestCalls:
    @pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
    def test_vendors_names(self, llm, server, name):
        llm.invoke("Hi", **{name: 9})
        assert server.seen[-1].body["max_completion_tokens"] == 9
        llm.invoke("Hi", stop_sequences=["x"])
        assert server.seen[-1].body["stop"] == ["x"]

    @pytest.mark.parametrize(
        "said",
        [
            {"reasoning_effort": "low"},
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            {"reasoning": {"effort": "low"}},
        ],
    )
    def test_how_long_to_think(self, server, said):
        llm = ChatMultiRoute(routes=[server.route("responses")])
        usage: Any = llm.invoke("Why?", **said).usage_metadata
        assert usage["output_token_details"]["reasoning"] > 0

    def test_unknown_and_double_names(self, llm):
        with pytest.raises(ConfigurationError, match="did you mean 'temperature'"):
            llm.invoke("Hi", temprature=1)
        with pytest.raises(ConfigurationError, match="mean the same"):
            llm.invoke("Hi", max_tokens=1, max_output_tokens=2)

    def test_a_model_for_one_call(self, llm):
        for wanted in ("claude-sonnet-4-5", "anthropic:claude-sonnet-4-5"):
            message = llm.invoke("Hi", model=wanted)
            assert message.response_metadata["model_provider"] == "anthropic"
            assert llm._get_ls_params(model=wanted)["ls_provider"] == "anthropic"
        assert llm._get_ls_params()["ls_provider"] == "openai"

    def test_langchain_s_own_cache(self, server):
        llm = ChatMultiRoute(routes=[server.route("chat")], cache=InMemoryCache())
        bound = llm.bind_tools([get_weather])
        first, second = bound.invoke("Get the weather in Paris."), bound.invoke("Get the weather in Paris.")
        assert first.tool_calls == second.tool_calls
        assert len(server.seen) == 1
        bound.invoke("Get the weather in Rome.")
        llm.invoke("Get the weather in Paris.")
        assert len(server.seen) == 3

    def test_fields_chosen_at_the_call(self, llm, server):
        chosen = llm.configurable_fields(
            temperature=ConfigurableField(id="heat"), model=ConfigurableField(id="model")
        ).with_config(configurable={"heat": 0.25, "model": "claude-sonnet-4-5"})
        chosen.invoke("Hi")
        assert (server.seen[-1].wire, server.seen[-1].body["temperature"]) == ("anthropic", 0.25)


class TestAdvertised:
    def test_what_every_route_can_and_the_smallest_limits(self):
        routes = [Route("openai:gpt-4o", api_key="k"), Route("google:gemini-3.8-flash", api_key="k")]
        spare = Route("openai:gpt-3.5-turbo", api_key="k", backup=True)
        profile: Any = ChatMultiRoute(routes=[*routes, spare]).profile
        assert (profile["max_input_tokens"], profile["max_output_tokens"]) == (128_000, 16_384)
        assert profile["tool_calling"]
        assert profile["structured_output"]
        assert profile["image_inputs"]
        assert not profile["audio_inputs"]
        profile = ChatMultiRoute(routes=[routes[0], Route("openai:gpt-4", api_key="k")]).profile
        assert not profile["structured_output"]

    def test_a_profile_of_one_s_own_stays(self):
        llm = ChatMultiRoute(routes=[Route("openai:gpt-4o", api_key="k")], profile={"max_input_tokens": 7})
        assert llm.profile == {"max_input_tokens": 7}

    def test_tokens_are_estimated_offline(self, llm, server):
        assert llm.get_num_tokens("12345") == 2
        few = llm.get_num_tokens_from_messages([("user", "Hi")])
        assert 0 < few < llm.get_num_tokens_from_messages([("user", "Hi")], tools=[get_weather])
        assert server.seen == []
        own = llm.model_copy(update={"custom_get_token_ids": lambda text: list(range(len(text)))})
        assert own.get_num_tokens("12345") == 5
