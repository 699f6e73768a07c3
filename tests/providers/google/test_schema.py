"""JSON schemas in the older SDK's dialect."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core.providers.google.schema import older
from tests.examples import examples

CITY = {"title": "City", "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
OLDER_CITY = {"type": "OBJECT", "properties": {"name": {"type": "STRING"}}, "required": ["name"]}


@pytest.mark.parametrize(
    ("newer", "expected"),
    [
        ({"type": "string"}, {"type": "STRING"}),
        ({"type": "STRING"}, {"type": "STRING"}),
        ({"type": "string", "title": "X", "default": "a", "pattern": "a+", "minLength": 1}, {"type": "STRING"}),
        ({"type": "string", "description": "It."}, {"type": "STRING", "description": "It."}),
        ({"type": ["string", "null"]}, {"type": "STRING", "nullable": True}),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, {"type": "INTEGER", "nullable": True}),
        ({"oneOf": [{"type": "null"}, {"type": "number"}]}, {"type": "NUMBER", "nullable": True}),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}], "description": "It."},
         {"type": "INTEGER", "description": "It."}),
        ({"anyOf": [{"const": "a"}, {"const": "b"}]}, {"type": "STRING", "enum": ["a", "b"]}),
        ({"enum": ["a", "b"]}, {"type": "STRING", "enum": ["a", "b"]}),
        ({"type": "string", "enum": ["a", None]}, {"type": "STRING", "enum": ["a"]}),
        ({"enum": ["a", None]}, {"type": "STRING", "nullable": True, "enum": ["a"]}),
        ({"type": "integer", "enum": [1, 2]}, {"type": "INTEGER"}),
        ({"const": 1}, {"type": "INTEGER"}),
        ({"const": True}, {"type": "BOOLEAN"}),
        ({"type": "string", "format": "date-time"}, {"type": "STRING", "format": "date-time"}),
        ({"type": "string", "format": "uuid"}, {"type": "STRING"}),
        ({"type": "integer", "format": "int64", "minimum": 0}, {"type": "INTEGER", "format": "int64"}),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True},
         {"type": "ARRAY", "items": {"type": "STRING"}, "minItems": 1}),
        ({"type": "array"}, {"type": "ARRAY", "items": {"type": "STRING"}}),
        ({"prefixItems": [{"type": "integer"}, {"type": "string"}]}, {"type": "ARRAY", "items": {"type": "INTEGER"}}),
        ({"type": "object", "additionalProperties": {"type": "string"}}, {"type": "OBJECT"}),
        ({**CITY, "additionalProperties": False, "$schema": "x"}, OLDER_CITY),
        ({**CITY, "required": ["name", "gone"]}, OLDER_CITY),
        ({**CITY, "required": ["name", [], {}, 1]}, OLDER_CITY),
        ({"properties": CITY["properties"], "required": []}, {"type": "OBJECT", "properties": OLDER_CITY["properties"]}),
        ({"$defs": {"City": CITY}, "$ref": "#/$defs/City"}, OLDER_CITY),
        ({"definitions": {"a/b": CITY}, "type": "array", "items": {"$ref": "#/definitions/a~1b"}},
         {"type": "ARRAY", "items": OLDER_CITY}),
        ({"$defs": {"City": CITY}, "allOf": [{"$ref": "#/$defs/City"}], "description": "Where."},
         {**OLDER_CITY, "description": "Where."}),
        ({"allOf": [CITY, {"properties": {"size": {"type": "number"}}, "required": ["size"]}]},
         {"type": "OBJECT", "properties": {"name": {"type": "STRING"}, "size": {"type": "NUMBER"}},
          "required": ["name", "size"]}),
        ({"$ref": "#/$defs/gone"}, {"type": "STRING"}),
        ({}, {"type": "STRING"}),
        ({"type": "null"}, {"type": "STRING", "nullable": True}),
    ],
)  # fmt: skip
def test_what_becomes_of_a_schema(newer, expected):
    before = json.dumps(newer)
    assert older(newer) == expected
    assert json.dumps(newer) == before


def test_what_holds_itself_ends_there():
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}, "name": {"type": "string"}}}
    made = older({"$defs": {"Node": node}, "$ref": "#/$defs/Node"})
    assert made["properties"] == {"next": {"type": "OBJECT"}, "name": {"type": "STRING"}}


odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
schemas = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["string", "integer", "object", "array", "null", ["number", "null"]]) | odd,
            "enum": st.lists(st.text(max_size=2), max_size=2) | odd,
            "const": odd,
            "$ref": st.sampled_from(["#", "#/$defs/A", "#/items", "A"]) | odd,
            "required": st.lists(st.sampled_from("ab"), max_size=2) | odd,
            "minItems": st.integers(-1, 3) | odd,
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "anyOf": st.lists(inner, max_size=3) | odd,
            "allOf": st.lists(inner, max_size=3) | odd,
            "items": inner | odd,
            "properties": st.dictionaries(st.sampled_from("ab"), inner, max_size=2) | odd,
            "$defs": st.fixed_dictionaries({"A": inner}),
            "$ref": st.sampled_from(["#", "#/$defs/A"]),
        },
    ),
    max_leaves=8,
)


@pytest.mark.slow
@settings(max_examples=examples(300), deadline=None)
@given(schemas)
def test_whatever_is_given_the_older_sdk_takes_what_is_made(schema):
    pytest.importorskip("google.generativeai")
    from google.ai.generativelanguage import Schema
    from google.protobuf.json_format import ParseDict

    ParseDict(older(schema), Schema.pb(Schema()))  # refuses every word that it does not know
