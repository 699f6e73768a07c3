"""Schemas in strict mode."""

import copy

import pytest

from multiroute_core.providers.openai.schema import strict


def closed(**properties):
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


STRING, NUMBER = {"type": "string"}, {"type": "number"}


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({"type": "object", "properties": {"a": STRING}}, closed(a=STRING)),
        ({"type": "object", "properties": {"a": {**STRING, "default": "x"}}}, closed(a=STRING)),
        ({"type": "object"}, closed()),  # a tool without arguments
        ({}, closed()),
        ({"type": "object", "properties": {"a": STRING}, "additionalProperties": True}, closed(a=STRING)),
        (
            {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "object", "properties": {}}}}},
            closed(a={"type": "array", "items": closed()}),
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"oneOf": [{"type": "object", "properties": {"b": STRING}}, NUMBER]}},
            },
            closed(a={"anyOf": [closed(b=STRING), NUMBER]}),
        ),
        (
            {"type": "object", "properties": {"a": {"allOf": [STRING], "title": "A"}}},
            closed(a={**STRING, "title": "A"}),
        ),
        (
            {"type": "object", "properties": {"a": {"type": ["object", "null"], "properties": {"b": NUMBER}}}},
            closed(a=closed(b=NUMBER) | {"type": ["object", "null"]}),
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"$ref": "#/$defs/A"}},
                "$defs": {"A": {"type": "object", "properties": {"b": NUMBER}}},
            },
            closed(a={"$ref": "#/$defs/A"}) | {"$defs": {"A": closed(b=NUMBER)}},
        ),
        (  # nothing may stand beside a reference
            {
                "type": "object",
                "properties": {"a": {"$ref": "#/$defs/A", "description": "D"}},
                "$defs": {"A": {"type": "object", "properties": {"b": NUMBER}}},
            },
            closed(a=closed(b=NUMBER) | {"description": "D"}),
        ),
        (  # a tree
            {
                "$ref": "#/$defs/T",
                "$defs": {
                    "T": {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/T"}}}}
                },
            },
            closed(kids={"type": "array", "items": {"$ref": "#/$defs/T"}})
            | {"$defs": {"T": closed(kids={"type": "array", "items": {"$ref": "#/$defs/T"}})}},
        ),
    ],
)
def test_objects_are_closed_and_need_all_they_have(given, made):
    before = copy.deepcopy(given)
    assert strict(given) == made
    assert given == before


def test_a_tree_whose_branches_have_descriptions_comes_to_an_end():
    branches = {"type": "array", "items": {"$ref": "#/$defs/T", "description": "D"}}
    tree = {"type": "object", "properties": {"left": branches}}
    made = strict(tree | {"$defs": {"T": tree}})
    assert made is not None
    assert made["properties"]["left"]["items"]["properties"]["left"]["items"] == {"$ref": "#/$defs/T"}


def test_a_tree_without_leaves_is_not_for_strict_mode():
    """Every property would be required, so that no answer could end."""
    tree = {"type": "object", "properties": {"left": {"$ref": "#/$defs/T"}}}
    assert strict(tree | {"$defs": {"T": tree}}) is None


@pytest.mark.parametrize(
    "inner",
    [
        {},
        True,
        {"type": "object"},
        {"type": "object", "additionalProperties": True},
        {"type": "object", "properties": {"a": STRING}, "additionalProperties": {"type": "string"}},
        {"type": "object", "additionalProperties": {}},
        {"type": "array", "prefixItems": [STRING, NUMBER]},
        {"enum": [["a"]]},
        {"type": "array", "items": {}},
    ],
)
def test_what_may_be_anything_is_not_for_strict_mode(inner):
    assert strict({"type": "object", "properties": {"a": inner}}) is None
