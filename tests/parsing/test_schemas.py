"""The form of an answer, how long to think, and what one vendor takes besides, in every spelling."""

import copy
import dataclasses
import json
from typing import TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core import ConfigurationError
from multiroute_core.parsing.arguments import build
from multiroute_core.parsing.schemas import output_schema, reasoning, vendor_options
from multiroute_core.tools import EFFORTS, OutputSchema, ReasoningOptions

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TITLED = {"title": "Place", "description": "A place.", **SCHEMA}
PLACE = OutputSchema(TITLED, "Place", "A place.")
STRICT = OutputSchema(SCHEMA, "place", "", strict=True)
ANY = OutputSchema(None)


@pytest.mark.parametrize(
    ("spelling", "made"),
    [
        (None, None),
        (PLACE, PLACE),
        (SCHEMA, OutputSchema(SCHEMA)),
        (TITLED, PLACE),
        ("json", ANY),
        ("json_mode", ANY),
        ({"type": "json_object"}, ANY),
        ({"type": "text"}, None),
        ({"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": True}}, STRICT),
        ({"type": "json_schema", "json_schema": {"schema": TITLED}}, PLACE),
        ({"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True}, STRICT),
        ({"format": {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True}}, STRICT),
        ({"text": {"format": {"type": "json_object"}}}, ANY),
        ({"format": {"type": "text"}}, None),
        ({"type": "json_schema", "schema": TITLED}, PLACE),
        ({"name": "place", "schema": SCHEMA, "strict": True}, STRICT),
        ({"name": "place", "description": "D", "schema": TITLED}, OutputSchema(TITLED, "place", "D")),
        ({"responseMimeType": "application/json", "responseJsonSchema": TITLED}, PLACE),
        ({"response_mime_type": "application/json", "response_json_schema": SCHEMA}, OutputSchema(SCHEMA)),
        ({"responseMimeType": "application/json"}, ANY),
        ({"responseMimeType": "text/plain"}, None),
        (
            {"responseSchema": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]}},
            OutputSchema(SCHEMA),
        ),
        (
            {"type": "ARRAY", "items": {"type": "NUMBER", "nullable": True, "any_of": [{"type": "INTEGER"}]}},
            OutputSchema({"type": "array", "items": {"type": ["number", "null"], "anyOf": [{"type": "integer"}]}}),
        ),
        (
            {"$ref": "#/$defs/Place", "$defs": {"Place": TITLED, "Other": {}}},
            OutputSchema({**TITLED, "$defs": {"Other": {}}}),
        ),
        ({"title": "Where to? (short)", **SCHEMA}, "Where_to_short"),
        ({"title": "Wörter", **SCHEMA}, "W_rter"),
        ({"title": "!!!", **SCHEMA}, "answer"),
        ({"title": "x" * 80, **SCHEMA}, "x" * 64),
    ],
)
def test_every_spelling_of_a_form(spelling, made):
    before = copy.deepcopy(spelling)
    found = output_schema(spelling)
    assert (found.name if isinstance(made, str) else found) == made
    assert spelling == before
    assert output_schema(found) == found, "what is neutral stays as it is"


class Place(pydantic.BaseModel):
    """A place."""

    city: str


@dataclasses.dataclass
class Spot:
    """A spot."""

    city: str


class Town(TypedDict):
    city: str


class Village(msgspec.Struct):
    """A village."""

    city: str


@pytest.mark.parametrize(
    ("kind", "description"), [(Place, "A place."), (Spot, "A spot."), (Town, ""), (Village, "A village.")]
)
def test_classes_tell_their_form(kind, description):
    found = output_schema(kind)
    assert (found.name, found.description, found.strict) == (kind.__name__, description, None)
    assert list(found.schema["properties"]) == ["city"]
    assert found.schema["type"] == "object"
    json.dumps(found.schema)


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        (
            "yaml",
            "output_schema='yaml' is not a valid schema; expected a JSON schema, a pydantic model, a dataclass, or 'json'",
        ),
        (5, "output_schema=5 is not a valid schema"),
        ({}, "output_schema={} is not a valid schema"),
        ([], "output_schema=[] is not a valid schema"),
        (object, "The class object has no JSON schema"),
        ({"type": "json_schema", "json_schema": {"name": "x"}}, "output_schema contains no schema"),
        ({"type": "json_schema", "schema": None}, "output_schema contains no schema"),
        ({"type": "objekt"}, "The output schema is not a valid JSON schema: the type is 'objekt'"),
        ({"type": "object", "properties": 5}, "the properties are a int, not a mapping"),
        ({"type": "object", "properties": {"a": {}}, "required": ["b"]}, "required names 'b'"),
        ({"type": "object", "default": {1}}, "The output schema cannot be written as JSON"),
        (OutputSchema("x"), "The output schema is a str"),  # pyright: ignore[reportArgumentType]
        (OutputSchema(SCHEMA, name=5), "The output schema's name is 5"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_what_is_no_form(given_, sentence):
    with pytest.raises(ConfigurationError) as caught:
        output_schema(given_)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spelling", "made"),
    [
        (None, None),
        ("low", ReasoningOptions("low")),
        (0, ReasoningOptions("none")),
        (1024, ReasoningOptions(budget_tokens=1024)),
        (True, ReasoningOptions("medium")),
        (False, ReasoningOptions("none")),
        (ReasoningOptions("max", 5), ReasoningOptions("max", 5)),
        ({"effort": "high"}, ReasoningOptions("high")),
        ({"effort": "high", "summary": "auto"}, ReasoningOptions("high", summary=True)),
        ({"effort": None, "summary": None}, ReasoningOptions()),
        ({"reasoning_effort": "minimal"}, ReasoningOptions("minimal")),
        ({"type": "enabled", "budget_tokens": 2000}, ReasoningOptions(budget_tokens=2000)),
        ({"type": "disabled"}, ReasoningOptions("none")),
        ({"type": "between_tools"}, ReasoningOptions("none")),
        ({"type": "adaptive"}, ReasoningOptions("medium")),
        ({"type": "adaptive", "display": "summarized"}, ReasoningOptions("medium", summary=True)),
        ({"type": "adaptive", "display": "omitted"}, ReasoningOptions("medium")),
        ({"thinkingBudget": 0}, ReasoningOptions("none")),
        ({"thinking_budget": 512, "include_thoughts": True}, ReasoningOptions(budget_tokens=512, summary=True)),
        ({"thinkingBudget": -1}, ReasoningOptions()),
        ({"thinkingLevel": "HIGH", "includeThoughts": True}, ReasoningOptions("high", summary=True)),
        ({"thinking_level": "low", "includeThoughts": False}, ReasoningOptions("low")),
        ({"includeThoughts": True}, ReasoningOptions(summary=True)),
    ],
)
def test_every_spelling_of_reasoning(spelling, made):
    before = copy.deepcopy(spelling)
    assert reasoning(spelling) == made
    assert spelling == before


def test_the_sdks_own_words_of_levels():
    from google.genai.types import ThinkingConfig, ThinkingLevel

    config = ThinkingConfig(thinking_level=ThinkingLevel.LOW, include_thoughts=True)
    for told in (config.model_dump(), config.model_dump(by_alias=True), {"thinkingLevel": ThinkingLevel.LOW}):
        assert reasoning(told).effort == "low"


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        ("hihg", "Unknown reasoning effort 'hihg': did you mean 'high'?"),
        (-5, "reasoning=-5 is not valid; expected a number of tokens of at least 0"),
        (1.5, "reasoning=1.5 is not valid; expected an effort (none, minimal"),
        ({}, "reasoning={} is not valid"),
        ({"efort": "low"}, "Unknown word in reasoning 'efort': did you mean 'effort'?"),
        ({"effort": "hihg"}, "did you mean 'high'"),
        ({"effort": 5}, "Unknown reasoning effort 5"),
        ({"effort": ["low"]}, "Unknown reasoning effort ['low']"),
        ({"type": "enbled"}, "Unknown type of reasoning 'enbled': did you mean 'enabled'?"),
        ({"type": "enabled", "budget_tokens": "many"}, "reasoning='many' is not valid; expected a number"),
        ({"thinkingBudget": True}, "reasoning=True is not valid; expected a number"),
        ({"thinkingBudget": -5}, "reasoning=-5 is not valid"),
        (ReasoningOptions("hihg"), "did you mean 'high'"),  # pyright: ignore[reportArgumentType]
        (ReasoningOptions(budget_tokens=-1), "reasoning=-1 is not valid"),
    ],
)
def test_what_is_no_reasoning(given_, sentence):
    with pytest.raises(ConfigurationError) as caught:
        reasoning(given_)
    assert sentence in str(caught.value)


def test_vendor_options_go_by_the_provider():
    spelling = {"openai": {"service_tier": "flex"}, "gemini": {"safetySettings": []}, "google_genai": {"labels": {}}}
    before = copy.deepcopy(spelling)
    made = vendor_options(spelling)
    assert made == {"openai": {"service_tier": "flex"}, "google": {"safetySettings": [], "labels": {}}}
    assert spelling == before
    assert build("Hi", {"extra": spelling})[0].extra == made


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        (5, "extra=5 is not valid; expected a mapping, such as {'openai': {'service_tier': 'flex'}}"),
        ({"opnai": {}}, "Unknown provider in extra 'opnai': did you mean 'openai'?"),
        ({"service_tier": "flex"}, "Unknown provider in extra 'service_tier'"),
        ({5: {}}, "Unknown provider in extra 5"),
        ({"openai": "flex"}, "extra['openai'] is a str; expected a mapping"),
        ({"openai": {"x": {1}}}, "extra['openai'] cannot be written as JSON"),
        ({"openai": {"model": "x"}}, "extra['openai'] sets 'model', which the router sets itself; leave it out"),
        ({"anthropic": {"messages": []}}, "sets 'messages'"),
        ({"gemini": {"contents": []}}, "extra['gemini'] sets 'contents'"),
        ({"openai": {"stream": True}}, "sets 'stream'"),
        ({"openai": {"input": []}}, "sets 'input'"),
    ],
)
def test_what_are_no_vendor_options(given_, sentence):
    with pytest.raises(ConfigurationError) as caught:
        vendor_options(given_)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


WORDS = st.sampled_from(
    ["type", "effort", "summary", "thinkingBudget", "budget_tokens", "include_thoughts", "name", "schema"]
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 9), st.sampled_from([*EFFORTS, "enabled", "json_schema", "x"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=4)),
    max_leaves=6,
)


@given(VALUES)
def test_anything_is_read_or_refused_in_one_sentence_and_never_changed(value):
    before = copy.deepcopy(value)
    for read in (output_schema, reasoning, vendor_options):
        try:
            read(value)
        except ConfigurationError as error:
            assert str(error).endswith((".", "?"))
            assert "\n" not in str(error)
    assert value == before
