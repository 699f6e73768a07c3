"""Tools, the form of the answer, and how long to think, as Anthropic's models take them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from multiroute_core.messages import CachePoint, Message, Raw, Reasoning, Text, ToolCall, ToolCallResponse
from multiroute_core.providers import models
from multiroute_core.providers.anthropic.encode import JSON_MODE, encode
from multiroute_core.providers.anthropic.schema import STRICT
from multiroute_core.providers.provider import Encoded
from multiroute_core.providers.schema_closing import close
from multiroute_core.tools import Effort, OutputSchema, ReasoningOptions, ServerTool, Tool, ToolChoice
from multiroute_core.types import Request

NEW, STERN, BUDGET, OLD = "claude-sonnet-4-6", "claude-opus-5-5", "claude-sonnet-4-5", "claude-3-5-haiku-latest"
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool("weather", "Tells the weather.", CITY)


def encoded(model: str, *messages: Message, stream: bool = False, **given: Any) -> Encoded:
    request = Request(messages or (Message("user", "Hi"),), **given)
    return encode(request, model, models.lookup("anthropic", model), stream=stream)


def dropped(made: Encoded) -> list[str]:
    return [told.partition(":")[0] for told in made.dropped]


def test_tools():
    given = (
        WEATHER,
        Tool("now", extras={"anthropic": {"defer_loading": True}, "openai": {"x": 1}}),
        ServerTool("anthropic", {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}),
    )
    kept = copy.deepcopy(given)
    made = encoded(NEW, tools=given)
    assert made.body["tools"] == [
        {"name": "weather", "description": "Tells the weather.", "input_schema": CITY},
        {"name": "now", "input_schema": {"type": "object", "properties": {}}, "defer_loading": True},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
    ]
    assert "tool_choice" not in made.body
    lost = ("tools.x: only openai supports it on a tool",)
    assert (made.dropped, made.model, given) == (lost, NEW, kept)


@pytest.mark.parametrize(("model", "strict", "missing"), [(NEW, True, []), (OLD, None, ["strict"])])
def test_strict(model: str, strict: bool | None, missing: list[str]):
    made = encoded(model, tools=(Tool("a", parameters=CITY, strict=True), Tool("b", parameters=CITY, strict=True)))
    assert [tool.get("strict") for tool in made.body["tools"]] == [strict] * 2
    assert made.body["tools"][0]["input_schema"] == (CITY | {"additionalProperties": False} if strict else CITY)
    assert dropped(made) == missing


def optional(number: int) -> dict[str, Any]:
    return {"type": "object", "properties": {f"p{index}": {"type": "string"} for index in range(number)}}


def choices(number: int) -> dict[str, Any]:
    names = [f"p{index}" for index in range(number)]
    return {"type": "object", "properties": {name: {"type": ["string", "null"]} for name in names}, "required": names}


@pytest.mark.parametrize(
    ("form", "schemas", "strict"),
    [
        (None, [CITY] * 20, 20 * [True]),
        (CITY, [CITY] * 21, [*20 * [True], None]),
        (None, [optional(12), optional(12)], [True, True]),
        (None, [optional(12), optional(13), optional(12), optional(1)], [True, None, True, None]),
        (optional(20), [optional(5), optional(4)], [None, True]),
        (None, [choices(16), choices(1), CITY], [True, None, True]),
        (choices(10), [choices(7), choices(6)], [None, True]),
    ],
)
def test_the_limits_of_strict_schemas_hold_for_the_whole_request(
    form: dict[str, Any] | None, schemas: list[dict[str, Any]], strict: list[bool | None]
):
    tools = tuple(Tool(f"t{index}", parameters=schema, strict=True) for index, schema in enumerate(schemas))
    made = encoded(NEW, tools=tools, output_schema=form and OutputSchema(form, "answer"))
    assert [tool.get("strict") for tool in made.body["tools"]] == strict
    assert dropped(made) == [f"strict of tool t{index}" for index, kept in enumerate(strict) if not kept]
    assert all("in one request" in told for told in made.dropped)
    assert ("output_config" in made.body) is (form is not None)


SERIAL = {"disable_parallel_tool_use": True}


@pytest.mark.parametrize(
    ("choice", "parallel", "body"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", **SERIAL}),
        (ToolChoice("auto"), None, {"type": "auto"}),
        (ToolChoice("none"), False, {"type": "none"}),
        (ToolChoice("required"), False, {"type": "any", **SERIAL}),
        (ToolChoice("tool", "weather"), None, {"type": "tool", "name": "weather"}),
    ],
)
def test_tool_choice(choice: ToolChoice | None, parallel: bool | None, body: Any):
    made = encoded(NEW, tools=(WEATHER,), tool_choice=choice, parallel_tool_calls=parallel)
    assert made.body.get("tool_choice") == body
    assert made.dropped == ()


def test_without_tools_there_is_no_choice():
    assert "tool_choice" not in encoded(NEW, tool_choice=ToolChoice("none"), parallel_tool_calls=False).body


@pytest.mark.parametrize("model", [STERN, "claude-sonnet-5-5", "claude-fable-5-1"])
@pytest.mark.parametrize("choice", [ToolChoice("required"), ToolChoice("tool", "weather")])
def test_models_that_cannot_be_made_to_use_a_tool(model: str, choice: ToolChoice):
    made = encoded(model, tools=(WEATHER,), tool_choice=choice)
    assert made.body["tool_choice"] == {"type": "auto"}
    assert dropped(made) == ["tool_choice"]


@pytest.mark.parametrize("model", [NEW, BUDGET])
def test_who_thinks_cannot_be_made_to_use_a_tool_and_takes_no_sampling(model: str):
    made = encoded(
        model,
        tools=(WEATHER,),
        tool_choice=ToolChoice("required"),
        reasoning=ReasoningOptions("high"),
        temperature=0.5,
    )
    assert made.body["tool_choice"] == {"type": "auto"}
    assert "temperature" not in made.body
    assert "anthropic-version" not in made.headers
    assert sorted(dropped(made)) == ["temperature", "tool_choice"]


ADAPTIVE = {"type": "adaptive"}


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "told", "missing"),
    [
        (NEW, "low", ADAPTIVE, "low", []),
        (NEW, "minimal", ADAPTIVE, "low", []),
        (NEW, "xhigh", ADAPTIVE, "high", []),
        (NEW, "max", ADAPTIVE, "max", []),
        (NEW, "none", {"type": "disabled"}, None, []),
        ("claude-opus-4-8", "xhigh", ADAPTIVE, "xhigh", []),
        ("claude-sonnet-5", "none", {"type": "disabled"}, None, []),
        ("claude-haiku-5-5", "none", {"type": "disabled"}, None, []),
        ("claude-sonnet-5-5", "none", {"type": "between_tools"}, None, []),
        ("claude-sonnet-5-5", "medium", ADAPTIVE, "medium", []),
        (STERN, "none", ADAPTIVE, "low", ["reasoning"]),
        (STERN, "max", ADAPTIVE, "max", []),
        (BUDGET, "none", None, None, []),
        (BUDGET, "minimal", {"type": "enabled", "budget_tokens": 1_024}, None, []),
        (BUDGET, "high", {"type": "enabled", "budget_tokens": 16_384}, None, []),
        (BUDGET, "max", {"type": "enabled", "budget_tokens": 32_000}, None, []),
        ("claude-3-7-sonnet-latest", "low", {"type": "enabled", "budget_tokens": 2_048}, None, []),
        (OLD, "low", None, None, ["reasoning"]),
    ],
)
def test_effort(model: str, effort: Effort, thinking: Any, told: str | None, missing: list[str]):
    made = encoded(model, reasoning=ReasoningOptions(effort))
    assert made.body.get("thinking") == thinking
    assert made.body.get("output_config") == ({"effort": told} if told else None)
    assert dropped(made) == missing


@pytest.mark.parametrize(
    ("model", "budget", "max_tokens", "thinking", "told"),
    [
        (BUDGET, 5_000, 10_000, {"type": "enabled", "budget_tokens": 5_000}, None),
        (BUDGET, 10, 10_000, {"type": "enabled", "budget_tokens": 1_024}, None),
        (BUDGET, 10_000, 5_000, {"type": "enabled", "budget_tokens": 4_999}, None),
        (BUDGET, 5_000, 1_024, None, None),
        (NEW, 1_500, None, ADAPTIVE, "low"),
        (NEW, 10_000, None, ADAPTIVE, "high"),
        (STERN, 1_000_000, None, ADAPTIVE, "max"),
    ],
)
def test_budget(model: str, budget: int, max_tokens: int | None, thinking: Any, told: str | None):
    made = encoded(model, reasoning=ReasoningOptions(budget_tokens=budget), max_tokens=max_tokens)
    assert made.body.get("thinking") == thinking
    assert made.body.get("output_config") == ({"effort": told} if told else None)
    assert dropped(made) == ([] if thinking else ["reasoning"])


def test_thoughts_to_read():
    made = encoded(STERN, reasoning=ReasoningOptions(summary=True))
    assert made.body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert "output_config" not in made.body
    assert "thinking" not in encoded(BUDGET, reasoning=ReasoningOptions(summary=True)).body


@pytest.mark.parametrize("own", [True, False])
def test_with_a_budget_the_open_loop_must_have_begun_with_thoughts(own: bool):
    thought = Reasoning("Hm.", Raw("anthropic", {"type": "thinking", "thinking": "Hm.", "signature": "s"}, BUDGET))
    made = encoded(
        BUDGET,
        Message("user", "Hi"),
        Message("assistant", [*([thought] if own else []), ToolCall("t", "weather", {})]),
        Message("tool", [ToolCallResponse("t", "rain")]),
        tools=(WEATHER,),
        reasoning=ReasoningOptions("low"),
    )
    assert ("thinking" in made.body) == own
    assert dropped(made) == ([] if own else ["reasoning"])


FORM = OutputSchema(CITY, name="place", description="A place.")


def test_the_form_of_the_answer():
    made = encoded(NEW, output_schema=FORM, reasoning=ReasoningOptions("low"))
    assert made.body["output_config"] == {
        "effort": "low",
        "format": {"type": "json_schema", "schema": CITY | {"additionalProperties": False}},
    }
    assert made.output_tool is None
    assert "tools" not in made.body


@pytest.mark.parametrize(
    ("tools", "choice", "name", "made_choice"),
    [
        ((), None, "place", {"type": "tool", "name": "place"}),
        ((WEATHER,), None, "place", {"type": "any"}),
        ((WEATHER,), ToolChoice("none"), "place", {"type": "tool", "name": "place"}),
        ((WEATHER,), ToolChoice("tool", "weather"), "place", {"type": "tool", "name": "weather"}),
        ((Tool("place"),), None, "place_", {"type": "any"}),
    ],
)
def test_the_form_of_the_answer_where_only_a_tool_can_have_it(tools: Any, choice: Any, name: str, made_choice: Any):
    made = encoded(BUDGET.replace("-5", "-0"), output_schema=FORM, tools=tools, tool_choice=choice)
    assert made.output_tool == name
    assert made.body["tools"][-1] == {"name": name, "description": "A place.", "input_schema": CITY}
    assert made.body["tool_choice"] == made_choice
    assert "output_config" not in made.body


def test_such_a_form_is_not_thought_about():
    made = encoded("claude-opus-4-1", output_schema=FORM, reasoning=ReasoningOptions("low"))
    assert "thinking" not in made.body
    assert dropped(made) == ["reasoning"]


@pytest.mark.parametrize("system", [None, "Be brief."])
def test_json_mode(system: str | None):
    messages = [Message("system", system)] if system else []
    made = encoded(NEW, *messages, Message("user", "Hi"), output_schema=OutputSchema(None))
    assert made.body["system"] == (f"{system}\n\n{JSON_MODE}" if system else JSON_MODE)
    assert "output_config" not in made.body


def test_a_closed_schema():
    inner = {"type": "object", "properties": {"minimum": {"type": "integer", "minimum": 1, "description": "How many."}}}
    given = {
        "type": "object",
        "title": "Answer",
        "properties": {
            "one": {"$ref": "#/$defs/Inner"},
            "many": {"type": "array", "items": inner, "minItems": 2},
            "either": {"oneOf": [inner, {"type": "null"}], "discriminator": {"propertyName": "kind"}},
            "map": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
            "word": {"enum": ["a", 1], "default": "a"},
        },
        "$defs": {"Inner": inner},
    }
    kept = copy.deepcopy(given)
    shut = {
        "type": "object",
        "properties": {"minimum": {"type": "integer", "description": "How many. (minimum: 1)"}},
        "additionalProperties": False,
    }
    entry = {
        "type": "object",
        "properties": {"key": {"type": "string"}, "value": {"type": "string"}},
        "required": ["key", "value"],
        "additionalProperties": False,
    }
    schema, shape = close(given, STRICT)
    assert schema == {
        "type": "object",
        "title": "Answer",
        "properties": {
            "one": {"$ref": "#/$defs/Inner"},
            "many": {"type": "array", "items": shut, "description": "(minItems: 2)"},
            "either": {"anyOf": [shut, {"type": "null"}]},
            "map": {"anyOf": [{"$ref": "#/$defs/map_1"}, {"type": "null"}]},
            "word": {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "integer", "enum": [1]}]},
        },
        "$defs": {
            "Inner": shut,
            "map_1": {
                "type": "object",
                "properties": {"map_entries": {"type": "array", "items": entry}},
                "required": ["map_entries"],
                "additionalProperties": False,
            },
        },
        "additionalProperties": False,
    }
    assert (shape.wrapper, shape.maps, given) == (None, True, kept)


def test_what_one_vendor_takes_besides():
    extra = {
        "anthropic": {"metadata": {"user_id": "u"}, "output_config": {"effort": "max"}, "betas": ["a-1", "b-2"]},
        "openai": {"service_tier": "flex"},
    }
    kept = copy.deepcopy(extra)
    made = encoded(NEW, output_schema=FORM, extra=extra)
    assert made.body["metadata"] == {"user_id": "u"}
    assert made.body["output_config"].keys() == {"effort", "format"}
    assert made.headers == {"anthropic-beta": "a-1,b-2"}
    assert not {"betas", "service_tier"} & made.body.keys()
    assert extra == kept


def test_sampling_that_a_caller_lays_over_needs_the_older_version_as_well():
    assert encoded(NEW, extra={"anthropic": {"top_k": 5}}).headers == {"anthropic-version": "2023-06-01"}


def test_marks_on_tools_count_as_the_callers():
    tool = Tool("t", "x" * 5_000, extras={"anthropic": {"cache_control": {"type": "ephemeral"}}})
    made = encoded(NEW, Message("user", [part for _ in range(4) for part in (Text("Hi"), CachePoint())]), tools=(tool,))
    assert "cache_control" not in made.body["tools"][0], "the first of five marks is the one to go"
    assert sum("cache_control" in block for block in made.body["messages"][0]["content"]) == 4
    assert tool.extras["anthropic"]


@pytest.mark.parametrize(("description", "marked"), [("x" * 5_000, True), ("x", False)])
def test_long_tools_are_marked_unasked(description: str, marked: bool):
    made = encoded(NEW, tools=(Tool("a"), Tool("b", description)))
    assert ["cache_control" in tool for tool in made.body["tools"]] == [False, marked]
    assert isinstance(made.body["messages"][-1]["content"], list) == marked


def test_a_vendors_own_automatic_marks_are_enough():
    extra = {"anthropic": {"cache_control": {"type": "ephemeral"}}}
    made = encoded(NEW, tools=(Tool("b", "x" * 5_000),), extra=extra)
    assert "cache_control" not in made.body["tools"][0]
    assert made.body["cache_control"] == {"type": "ephemeral"}
