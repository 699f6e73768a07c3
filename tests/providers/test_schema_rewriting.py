"""Any schema, rewritten for each vendor: it obeys the vendor's rules, and what is valid for it maps back to what the
caller asked for."""

import copy
import json

import jsonschema
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from multiroute_core.providers.anthropic.schema import STRICT as ANTHROPIC
from multiroute_core.providers.google import json_schema as gemini
from multiroute_core.providers.openai.schema import STRICT as OPENAI
from multiroute_core.providers.restoring import JsonStream, restore_value
from multiroute_core.providers.schema_closing import close
from multiroute_core.providers.schema_nodes import InexpressibleError
from multiroute_core.providers.schema_roots import with_object_root
from tests.examples import examples
from tests.providers.schema_rules import function_faults, gemini_faults, strict_faults

NAMES = ["a", "b", "value", "key", "map"]
DIALECTS = {"openai": OPENAI, "anthropic": ANTHROPIC}


def objects(inner):
    @st.composite
    def build(draw):
        properties = draw(st.dictionaries(st.sampled_from(NAMES), inner, max_size=3))
        required = draw(st.lists(st.sampled_from(sorted(properties)), unique=True)) if properties else []
        made = {"type": "object", "properties": properties, "required": required}
        if draw(st.booleans()):
            made["additionalProperties"] = draw(st.booleans())
        return made

    return build()


def scalars():
    return st.one_of(
        st.just({"type": "string"}),
        st.just({"type": "integer", "minimum": 0, "title": "N"}),
        st.just({"type": ["number", "null"], "default": None}),
        st.just({"type": "boolean"}),
        st.just({"const": "fixed"}),
        st.just({"enum": ["x", "y", 3, None]}),
        st.just({"type": "string", "enum": ["x", "y"], "description": "Which."}),
        st.just({"$ref": "#/$defs/Plain thing"}),
        st.just({"$ref": "#/$defs/Tree", "description": "A tree."}),
        st.just({"type": "null"}),
    )


def deeper(inner):
    return st.one_of(
        objects(inner),
        inner.map(lambda one: {"type": "array", "items": one}),
        inner.map(lambda one: {"type": "object", "additionalProperties": one}),
        inner.map(lambda one: {"type": "object", "patternProperties": {"^x": one}, "additionalProperties": False}),
        st.lists(inner, min_size=1, max_size=3).map(lambda many: {"anyOf": many}),
        inner.map(lambda one: {"oneOf": [one, {"type": "null"}]} if "null" not in json.dumps(one) else one),
        st.tuples(objects(inner), objects(inner)).map(lambda two: {"allOf": list(two)}),
        objects(inner).map(lambda one: {**one, "anyOf": [{"required": [name]} for name in one["properties"]] or [{}]}),
    )


DEFS = {
    "Plain thing": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
    "Tree": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}},
        "required": ["name"],
    },
}
schemas = st.recursive(scalars(), deeper, max_leaves=6).map(lambda one: {**one, "$defs": copy.deepcopy(DEFS)})


def instances(schema, root, depth=0):
    """Instances of a closed schema."""
    if "$ref" in schema:
        target = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        return st.deferred(lambda: instances(target, root, depth + 1))
    if "anyOf" in schema:
        return st.one_of([instances(branch, root, depth) for branch in schema["anyOf"]])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return st.one_of([of_type(kind, schema, root, depth) for kind in kinds])


def of_type(kind, schema, root, depth):
    match kind:
        case "string" if "pattern" in schema:
            return st.sampled_from(["x", "xy", "x z"])
        case "string":
            return st.text(max_size=4) | st.sampled_from(['{"', "map_entries", "\\", '"', "value"])
        case "integer":
            return st.integers(schema.get("minimum", -5), 9)
        case "number":
            return st.integers(-3, 3) | st.just(0.5)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case "array":
            size = 0 if depth > 3 else 2
            return st.lists(instances(schema["items"], root, depth + 1), max_size=size)
        case _:
            required = {
                n: instances(s, root, depth) for n, s in schema["properties"].items() if n in schema["required"]
            }
            optional = {n: instances(s, root, depth) for n, s in schema["properties"].items() if n not in required}
            return st.fixed_dictionaries(required, optional=optional)


def pieces(data, text):
    """A text in pieces, cut anywhere."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize("vendor", sorted(DIALECTS))
@settings(
    max_examples=examples(120), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
@given(schema=schemas, data=st.data())
def test_a_strict_schema_obeys_its_vendor_and_its_instances_map_back(vendor, schema, data):
    before = json.dumps(schema)
    try:
        closed, shape = close(schema, DIALECTS[vendor])
    except InexpressibleError as error:
        assert str(error)
        assume(False)
    assert json.dumps(schema) == before
    assert strict_faults(closed, vendor) == []
    jsonschema.Draft202012Validator.check_schema(closed)
    value = data.draw(instances(closed, closed))
    jsonschema.validate(value, closed)
    found = restore_value(value, shape)
    if "Plain thing" in json.dumps({**schema, "$defs": {}}):  # RFC 6901 in a URI fragment: a validator wants it encoded
        schema = json.loads(json.dumps(schema).replace("$defs/Plain thing", "$defs/Plain%20thing"))
    if vendor == "anthropic":  # it is told of bounds in the description, as its own SDK tells it
        schema = json.loads(json.dumps(schema).replace('"minimum": 0, ', ""))
    jsonschema.validate(found, schema)
    stream = JsonStream(shape)
    text = json.dumps(value, ensure_ascii=data.draw(st.booleans()), indent=data.draw(st.sampled_from([None, 1])))
    assert json.loads("".join(map(stream.feed, pieces(data, text))) + stream.end()) == found


@settings(max_examples=examples(100), deadline=None)
@given(schema=schemas)
def test_the_schema_of_a_tool_has_an_object_at_its_root(schema):
    before = json.dumps(schema)
    made, shape = with_object_root(schema, "arguments")
    assert function_faults(dict(made)) == []
    assert json.dumps(schema) == before
    if shape.wrapper is not None:
        assert list(made["properties"]) == [shape.wrapper]


@settings(max_examples=examples(100), deadline=None)
@given(schema=schemas)
def test_a_schema_for_gemini_has_no_words_that_it_misreads(schema):
    before = json.dumps(schema)
    try:
        made = gemini.adapt(schema)
    except InexpressibleError:
        return
    assert gemini_faults(made) == []
    assert json.dumps(schema) == before


REQUIRED_CYCLE = {
    "type": "object",
    "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
    "required": ["next"],
}


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (REQUIRED_CYCLE, "itself in a required property"),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "no type in common"),
    ],
)
def test_what_gemini_cannot_be_bound_to(schema, why):
    with pytest.raises(InexpressibleError, match=why):
        gemini.adapt(schema)


def test_a_list_that_holds_itself_is_for_openai_and_not_for_anthropic():
    closed, _ = close(REQUIRED_CYCLE, OPENAI)
    assert strict_faults(closed, "openai") == []
    with pytest.raises(InexpressibleError, match="contains itself"):
        close(REQUIRED_CYCLE, ANTHROPIC)


def nested(depth):
    schema = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return {"type": "object", "properties": {"a": schema}}


@pytest.mark.parametrize("depth", [11, 5_000])
def test_what_is_too_deep_is_said_so(depth):
    with pytest.raises(InexpressibleError, match="levels|deep"):
        close(nested(depth), OPENAI)


def words(number, length):
    return [f"{index:0{length}}" for index in range(number)]


def holding(*enums):
    return {
        "type": "object",
        "properties": {f"p{index}": {"type": "string", "enum": enum} for index, enum in enumerate(enums)},
        "required": [f"p{index}" for index in range(len(enums))],
    }


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        (holding(words(250, 400)), None),
        (holding(words(251, 59)), None),
        (holding(words(251, 60)), "15000 characters"),
        (holding(words(251, 50), words(251, 50)), None),
        (holding(words(1_000, 15)), None),
        (holding(words(501, 4), words(500, 4)), "1000 constants"),
        (holding(words(250, 250), words(250, 250)), "120000 characters"),
    ],
)
def test_constants_beyond_what_openai_takes_are_not_strict(schema, fault):
    if fault is None:
        assert strict_faults(close(schema, OPENAI)[0], "openai") == []
    else:
        with pytest.raises(InexpressibleError, match=fault):
            close(schema, OPENAI)


@pytest.mark.parametrize(
    ("ref", "defs"),
    [
        ("#/$defs/a~1b", {"a/b": {"type": "integer"}}),
        ("#/$defs/Page%5Bint%5D", {"Page[int]": {"type": "integer"}}),
        ("#/$defs/Page[int]", {"Page[int]": {"type": "integer"}}),
        ("#/$defs/two words", {"two words": {"type": "integer"}}),
        ("#here", {"x": {"$anchor": "here", "type": "integer"}}),
        ("#/properties/b", {}),
    ],
)
@pytest.mark.parametrize("vendor", sorted(DIALECTS))
def test_references_of_every_kind_lead_to_plain_names(ref, defs, vendor):
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": ref}, "b": {"type": "integer"}},
        "required": ["a", "b"],
        "$defs": defs,
    }
    closed, shape = close(schema, DIALECTS[vendor])
    assert strict_faults(closed, vendor) == []
    assert not shape
    jsonschema.validate({"a": 1, "b": 2}, closed)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"a": "one", "b": 2}, closed)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"value": [1, {"value": 2}]}', '[1, {"value": 2}]'),
        ('{"value": "}"}', '"}"'),
        (' { "value" : 12 } ', "12"),
        ('{"other": 1}', '{"other": 1}'),
        ('{"\\u0076alue": true}', "true"),
        ("{}", "{}"),
        ("[1, 2]", "[1, 2]"),
        ('Here: {"value": 1}', 'Here: {"value": 1}'),
        ('{"value": [1, 2', "[1, 2"),
        ('{"val', '{"val'),
        ('{"value": {"map_entries": [{"key": "a", "value": {"map_entries": []}}]}}', '{"a": {}}'),
        ('{"map_entries": [1]}', '{"map_entries": [1]}'),
        ('{"a": {"map_entries": [{"key": "}", "value": "{"}]}, "b": "x"}', '{"a": {"}": "{"}, "b": "x"}'),
        ('{"a": {"map_entries": [{"ke', '{"a": {"map_entries": [{"ke'),
    ],
)
def test_a_stream_is_read_back_wherever_it_is_cut(text, expected):
    from multiroute_core.providers.restoring import Shape

    for size in (1, 2, 3, len(text)):
        stream = JsonStream(Shape("value", maps=True))
        found = "".join(stream.feed(text[start : start + size]) for start in range(0, len(text), size)) + stream.end()
        assert found.strip() == expected
