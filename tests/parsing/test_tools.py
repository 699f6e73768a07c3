"""Tools and `tool_choice` in every spelling."""

import copy
import dataclasses
import json
from typing import Annotated, Literal, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core import ConfigurationError, Message
from multiroute_core.messages import Api
from multiroute_core.parsing.arguments import build
from multiroute_core.parsing.tools import MODES, parallel, tool_choice, tools
from multiroute_core.tools import ServerTool, Tool, ToolChoice

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool("weather", "Tells the weather.", SCHEMA)
SAID = {"name": "weather", "description": "Tells the weather."}
GEMINI = {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]}


@pytest.mark.parametrize(
    "spelling",
    [
        WEATHER,
        {"type": "function", "function": {**SAID, "parameters": SCHEMA}},
        {"function": {**SAID, "parameters": SCHEMA}},
        {"type": "function", **SAID, "parameters": SCHEMA},
        {**SAID, "input_schema": SCHEMA},
        {"type": "custom", **SAID, "input_schema": SCHEMA},
        {**SAID, "parameters": SCHEMA},
        {**SAID, "parameters": GEMINI},
        {**SAID, "parametersJsonSchema": SCHEMA},
        {**SAID, "parameters_json_schema": SCHEMA},
        {"functionDeclarations": [{**SAID, "parameters": GEMINI}]},
        {"function_declarations": [{**SAID, "parameters": SCHEMA}]},
        {"title": "weather", "description": "Tells the weather.", **SCHEMA},
    ],
)
def test_every_spelling_of_a_tool_is_the_same(spelling):
    before = copy.deepcopy(spelling)
    assert tools([spelling]) == (WEATHER,)
    assert spelling == before


def caller_tools(given_) -> list[Tool]:
    """The tools that the caller runs; there are no others."""
    found = tools(given_)
    assert not [tool for tool in found if not isinstance(tool, Tool)]
    return [tool for tool in found if isinstance(tool, Tool)]


def test_what_one_vendor_takes_besides_goes_to_the_extras():
    mark = {"type": "ephemeral"}
    made = caller_tools(
        [
            {"name": "a", "input_schema": SCHEMA, "strict": True, "cache_control": mark, "input_examples": [{}]},
            {"type": "function", "function": {"name": "b", "strict": False}, "cache_control": mark},
            {"type": "function", "name": "c", "parameters": None, "strict": None, "defer_loading": True},
            {"name": "d", "behavior": "NON_BLOCKING"},
        ]
    )
    assert [tool.strict for tool in made] == [True, False, None, None]
    assert made[0].extras == {"anthropic": {"cache_control": mark, "input_examples": [{}]}}
    assert made[1].extras == {"anthropic": {"cache_control": mark}}
    assert made[3].extras == {"google": {"behavior": "NON_BLOCKING"}}
    assert made[3].parameters == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("spelling", "made"),
    [
        ({"type": "web_search_20250305", "name": "web_search"}, "anthropic"),
        ({"type": "bash_20250124", "name": "bash"}, "anthropic"),
        ({"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"}, "anthropic"),
        ({"type": "computer_20251124", "name": "computer"}, "anthropic"),
        ({"type": "code_execution_20250825", "name": "code_execution"}, "anthropic"),
        ({"type": "memory_20250818", "name": "memory"}, "anthropic"),
        ({"type": "mcp_toolset", "mcp_server_name": "x"}, "anthropic"),
        ({"type": "tool_search_tool_bm25", "name": "search"}, "anthropic"),
        ({"type": "web_search"}, "openai.responses"),
        ({"type": "web_search_2025_08_26"}, "openai.responses"),
        ({"type": "web_search_preview_2025_03_11"}, "openai.responses"),
        ({"type": "file_search", "vector_store_ids": ["v"]}, "openai.responses"),
        ({"type": "code_interpreter", "container": {"type": "auto"}}, "openai.responses"),
        ({"type": "image_generation"}, "openai.responses"),
        ({"type": "mcp", "server_label": "x", "server_url": "https://x"}, "openai.responses"),
        ({"type": "computer_use_preview"}, "openai.responses"),
        ({"type": "local_shell"}, "openai.responses"),
        ({"type": "custom", "name": "sql", "format": {"type": "text"}}, "openai.responses"),
        ({"type": "custom", "custom": {"name": "sql"}}, "openai.chat"),
        ({"google_search": {}}, ServerTool("google", {"googleSearch": {}})),
        ({"googleSearch": {}}, ServerTool("google", {"googleSearch": {}})),
        ({"url_context": {}}, ServerTool("google", {"urlContext": {}})),
        ({"code_execution": {}}, ServerTool("google", {"codeExecution": {}})),
        ({"google_maps": {"enable_widget": True}}, ServerTool("google", {"googleMaps": {"enable_widget": True}})),
    ],
)
def test_tools_that_a_vendor_runs(spelling, made):
    before = copy.deepcopy(spelling)
    expected = ServerTool(made, spelling) if isinstance(made, str) else made  # pyright: ignore[reportArgumentType]  # an API
    assert tools([spelling]) == (expected,)
    assert spelling == before


def test_the_sdks_tool_types_are_all_known():
    """Every tool that the installed SDKs have a type for is read, and as its own vendor's."""
    from typing import Any, get_args, get_type_hints

    from anthropic.types.beta.beta_tool_union_param import BetaToolUnionParam
    from google.genai.types import Tool as GeminiTool
    from openai.types.responses.tool_param import ToolParam

    def types(union):
        return {
            one for tool in get_args(union) for one in get_args(get_type_hints(tool)["type"]) if isinstance(one, str)
        }

    vendors: tuple[tuple[Any, Api], ...] = ((BetaToolUnionParam, "anthropic"), (ToolParam, "openai.responses"))
    for union, wire in vendors:
        found = types(union) - {"function", "custom"}
        assert len(found) > 10
        assert [kind for kind in found if tools([{"type": kind}]) != (ServerTool(wire, {"type": kind}),)] == []
    ran = set(GeminiTool.model_fields) - {"function_declarations"}
    assert [name for name in ran if getattr(tools([{name: {}}])[0], "api", None) != "google"] == []


def test_one_gemini_tool_may_be_several():
    made = tools([{"functionDeclarations": [{"name": "a"}, {"name": "b"}], "googleSearch": {}}])
    assert [tool.name if isinstance(tool, Tool) else dict(tool.body) for tool in made] == [
        "a",
        "b",
        {"googleSearch": {}},
    ]


class Node(pydantic.BaseModel):
    """A tree."""

    kids: list["Node"] = []


class Order(pydantic.BaseModel):
    """Orders a thing."""

    what: str = pydantic.Field(description="Which thing")
    node: Node


@dataclasses.dataclass
class Point:
    """A point."""

    x: int
    y: int = 0


class Film(TypedDict):
    title: str
    year: int


class Row(msgspec.Struct):
    """A row."""

    cells: list[str]


def book(
    what: Annotated[str, "Which one"], order: Order, count: int = 1, *args, how: Literal["air", "sea"] = "air", **kw
):
    """Books a thing.

    And more.
    """


@pytest.mark.parametrize(
    ("given_", "name", "description", "required"),
    [
        (Order, "Order", "Orders a thing.", ["what", "node"]),
        (Node, "Node", "A tree.", None),
        (Point, "Point", "A point.", ["x"]),
        (Film, "Film", "", ["title", "year"]),
        (Row, "Row", "A row.", ["cells"]),
        (book, "book", "Books a thing.\n\nAnd more.", ["what", "order"]),
    ],
)
def test_classes_and_functions(given_, name, description, required):
    (tool,) = caller_tools([given_])
    assert (tool.name, tool.description) == (name, description)
    assert tool.parameters["type"] == "object"
    assert tool.parameters.get("required") == required
    assert json.loads(json.dumps(tool.parameters)) == tool.parameters
    definitions = tool.parameters.get("$defs", {})
    references = {word.split('"')[0] for word in json.dumps(tool.parameters).split('"#/$defs/')[1:]}
    assert references == set(definitions), "every reference has its definition, and none is left over"


def test_a_functions_arguments_are_described():
    (tool,) = caller_tools([book])
    assert tool.parameters["properties"]["what"] == {"type": "string", "description": "Which one"}
    assert tool.parameters["properties"]["count"] == {"type": "integer", "default": 1}
    assert tool.parameters["properties"]["how"] == {"enum": ["air", "sea"], "default": "air"}
    assert set(tool.parameters["properties"]) == {"what", "order", "count", "how"}


def test_the_frameworks_own_dicts():
    from langchain_core.tools import tool as langchain_tool
    from langchain_core.utils.function_calling import convert_to_openai_tool
    from llama_index.core.tools import FunctionTool

    def weather(city: str) -> str:
        """Tells the weather."""
        return city

    for made in (
        convert_to_openai_tool(langchain_tool(weather)),
        FunctionTool.from_defaults(weather).metadata.to_openai_tool(),
    ):
        (tool,) = caller_tools([made])
        assert tool.name == "weather"
        assert "Tells the weather." in tool.description
        assert list(tool.parameters["properties"]) == ["city"]


def untyped(x):
    """No annotation."""


def odd(x: object()):  # pyright: ignore[reportInvalidTypeForm]
    """An annotation that is no type."""


def opaque(x: Message):
    """A type that has a schema."""


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        ("weather", "tools is a str; expected a list of tools"),
        (SAID, "tools is a dict"),
        (5, "tools is a int"),
        ([5], "A tool is a int; expected a Tool, a provider's dict, a pydantic model or a function."),
        ([{}], "A tool with no keys has an unknown format"),
        ([{"foo": 1}], "A tool with the keys 'foo' has an unknown format"),
        ([{"type": "telepathy"}], "has an unknown format; expected its name, description and parameters"),
        ([Tool("")], "Tool '': its name must be a non-empty string"),
        ([Tool(" \t")], "its name must be a non-empty string"),
        ([{"type": "function", "function": {}}], "Tool '': its name must"),
        ([{"type": "function", "name": 5}], "Tool 5: its name must"),
        ([Tool("a", description=5)], "Tool 'a': its description must be a string"),  # pyright: ignore[reportArgumentType]
        ([WEATHER, WEATHER], "Two tools are named 'weather'"),
        ([Tool("bash"), {"type": "bash_20250124", "name": "bash"}], "Two tools are named 'bash'"),
        ([Tool("a", parameters="x")], "The schema of tool 'a' is a str; expected a JSON schema as a mapping"),  # pyright: ignore[reportArgumentType]
        ([{"name": "a", "input_schema": []}], "The schema of tool 'a' is a list"),
        ([Tool("a", parameters={"type": "string"})], "its parameters are of type 'string'; they must be an 'object'"),
        ([Tool("a", parameters={"type": ["object", "null"]})], "they must be an 'object'"),
        ([Tool("a", parameters={"properties": ["x"]})], "the properties are a list, not a mapping"),
        ([Tool("a", parameters={"properties": {"x": "string"}})], "'x' is 'string', not a schema"),
        (
            [Tool("a", parameters={"properties": {"x": {"type": "str"}}})],
            "the type of 'x' is 'str'; expected one of array",
        ),
        (
            [Tool("a", parameters={"properties": {"x": {"type": "object", "properties": {"y": {"type": "int"}}}}})],
            "the type of 'x.y' is 'int'",
        ),
        (
            [Tool("a", parameters={"properties": {"x": {}}, "required": ["y"]})],
            "required names 'y', which is not one of",
        ),
        ([Tool("a", parameters={"required": "x"})], "required is 'x', not a list of names"),
        ([Tool("a", parameters={"properties": {"x": {"default": {1, 2}}}})], "cannot be written as JSON"),
        ([Tool("a", parameters={"properties": {"x": {"default": float("nan")}}})], "cannot be written as JSON"),
        (
            [{"type": "function", "name": "a", "strict": "yes"}],
            "Tool 'a': strict='yes' is not valid; expected True or False",
        ),
        ([{"functionDeclarations": [5]}], "A function declaration is a int; expected a dict"),
        ([{"functionDeclarations": 5}], "functionDeclarations is a int; expected a list of dicts"),
        ([untyped], "Tool 'untyped': its argument 'x' has no annotation"),
        ([odd], "Tool 'odd': its arguments have no JSON schema"),
        ([object], "The class object has no JSON schema"),
    ],
)
def test_what_is_no_tool(given_, sentence):
    with pytest.raises(ConfigurationError) as caught:
        tools(given_)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_schema_that_holds_itself_is_no_schema():
    schema = {"type": "object", "properties": {}}
    schema["properties"]["self"] = schema
    with pytest.raises(ConfigurationError, match="cannot be written as JSON"):
        tools([Tool("a", parameters=schema)])


KNOWN = tools([WEATHER, {"name": "news"}, {"type": "web_search_20250305", "name": "search"}, {"type": "file_search"}])
REQUIRED, AUTO, NONE = ToolChoice("required"), ToolChoice("auto"), ToolChoice("none")
THE_WEATHER = ToolChoice("tool", "weather")


@pytest.mark.parametrize(
    ("spelling", "made"),
    [
        (None, None),
        ("auto", AUTO),
        ("none", NONE),
        ("required", REQUIRED),
        ("any", REQUIRED),
        ("ANY", REQUIRED),
        ("AUTO", AUTO),
        ("VALIDATED", AUTO),
        (True, REQUIRED),
        (False, NONE),
        (THE_WEATHER, THE_WEATHER),
        ("weather", THE_WEATHER),
        ({"type": "function", "function": {"name": "weather"}}, THE_WEATHER),
        ({"function": {"name": "weather"}}, THE_WEATHER),
        ({"type": "function", "name": "weather"}, THE_WEATHER),
        ({"type": "tool", "name": "weather", "disable_parallel_tool_use": True}, THE_WEATHER),
        ({"type": "tool", "name": "search"}, ToolChoice("tool", "search")),
        ({"type": "file_search"}, ToolChoice("tool", "file_search")),
        ({"type": "auto"}, AUTO),
        ({"type": "any", "disable_parallel_tool_use": False}, REQUIRED),
        ({"type": "none"}, NONE),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "weather"}]},
            THE_WEATHER,
        ),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"name": "weather"}, {"name": "news"}]}, REQUIRED),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"name": "weather"}]}}, AUTO),
        ({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}}, THE_WEATHER),
        ({"function_calling_config": {"mode": "ANY", "allowed_function_names": ["weather", "news"]}}, REQUIRED),
        ({"functionCallingConfig": {"mode": "NONE"}}, NONE),
        ({"mode": "AUTO"}, AUTO),
    ],
)
def test_every_spelling_of_a_choice(spelling, made):
    before = copy.deepcopy(spelling)
    assert tool_choice(spelling, KNOWN) == made
    assert spelling == before


@pytest.mark.parametrize("word", sorted(MODES))
def test_a_tool_that_is_called_as_a_mode_can_be_named(word):
    known = tools([{"name": word}])
    assert tool_choice(word, known) == ToolChoice(MODES[word])  # pyright: ignore[reportArgumentType]  # a mode
    assert tool_choice({"type": "tool", "name": word}, known) == ToolChoice("tool", word)
    assert tool_choice({"type": "function", "function": {"name": word}}, known) == ToolChoice("tool", word)


@pytest.mark.parametrize(
    ("spelling", "known", "sentence"),
    [
        ("wether", KNOWN, "Unknown tool_choice 'wether': did you mean 'weather'?"),
        ("zzz", KNOWN, "Unknown tool_choice 'zzz': expected one of auto, file_search, news, none, required, search"),
        ({"type": "tool", "name": "wether"}, KNOWN, "Unknown tool in tool_choice 'wether': did you mean 'weather'?"),
        (ToolChoice("tool", "wether"), KNOWN, "did you mean 'weather'"),
        (ToolChoice("tool"), KNOWN, "Unknown tool in tool_choice None"),
        ({"functionCallingConfig": {"mode": "SOME"}}, KNOWN, "Unknown mode in tool_choice 'SOME'"),
        (
            {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["x"]}},
            KNOWN,
            "Unknown tool in tool_choice",
        ),
        (5, KNOWN, "tool_choice=5 is not valid; expected 'auto', 'none', 'required' or a tool's name"),
        ({}, KNOWN, "tool_choice={} is not valid"),
        ("required", (), "tool_choice='required' requires a tool, but there are no tools"),
        (True, (), "requires a tool, but there are no tools"),
        ("weather", (), "tool_choice='weather' names a tool, but there are no tools"),
        ({"type": "tool", "name": "weather"}, (), "requires a tool, but there are no tools"),
    ],
)
def test_what_is_no_choice(spelling, known, sentence):
    with pytest.raises(ConfigurationError) as caught:
        tool_choice(spelling, known)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_tools_a_choice_that_demands_none_says_nothing():
    for spelling in ("auto", "none", False, {"type": "auto"}):
        assert tool_choice(spelling, ()) is None


def test_anthropics_choice_says_whether_calls_may_be_parallel():
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    assert parallel(choice) is False
    assert parallel({"type": "auto"}) is parallel("auto") is None
    request, _ = build("Hi", {"tools": [WEATHER], "tool_choice": choice})
    assert (request.tool_choice, request.parallel_tool_calls) == (AUTO, False)
    request, _ = build("Hi", {"tools": [WEATHER], "tool_choice": choice, "parallel_tool_calls": True})
    assert request.parallel_tool_calls is True


LEAF = st.sampled_from([{"type": "string"}, {"type": "integer", "minimum": 0}, {"type": ["string", "null"]}, {}, True])
SCHEMAS = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.builds(lambda one: {"type": "array", "items": one}, inner),
        st.builds(lambda some: {"anyOf": some}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda named: {"type": "object", "properties": named}, st.dictionaries(st.text(max_size=5), inner)),
    ),
    max_leaves=8,
)
NAMES = st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True)


@st.composite
def spelled(draw):
    properties = draw(st.dictionaries(st.text(max_size=8), SCHEMAS, max_size=4))
    required = draw(st.lists(st.sampled_from(sorted(properties)), unique=True)) if properties else []
    schema = {"type": "object", "properties": properties, "required": required}
    said = {"name": draw(NAMES), "description": draw(st.text(max_size=20))}
    return draw(
        st.sampled_from(
            [
                Tool(**said, parameters=schema),
                {"type": "function", "function": {**said, "parameters": schema, "strict": True}},
                {"type": "function", **said, "parameters": schema},
                {**said, "input_schema": schema, "cache_control": {"type": "ephemeral"}},
                {**said, "parametersJsonSchema": schema},
                {"functionDeclarations": [{**said, "parameters": schema}]},
            ]
        )
    )


@pytest.mark.slow
@given(st.lists(spelled(), max_size=4))
def test_any_tools_are_read_or_refused_and_never_changed(some):
    before = copy.deepcopy(some)
    try:
        made = caller_tools(some)
    except ConfigurationError as error:
        assert "Two tools are named" in str(error)
    else:
        assert len(made) == len(some)
        for tool in made:
            assert json.loads(json.dumps(dataclasses.asdict(tool)))["name"] == tool.name
            assert tools([tool]) == (tool,), "what is neutral stays as it is"
    assert some == before


WORDS = st.sampled_from(
    ["type", "function", "name", "parameters", "input_schema", "title", "properties", "functionDeclarations", "mode"]
    + ["required", "$ref", "$defs", "google_search", "tools", "functionCallingConfig", "allowedFunctionNames", "strict"]
)
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(0, 1), st.sampled_from(["object", "function", "OBJECT", "auto", "#/x"])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(WORDS, inner, max_size=4)),
    max_leaves=8,
)


@given(VALUES)
def test_anything_is_read_or_refused_in_one_sentence_and_never_changed(value):
    before = copy.deepcopy(value)
    for read in (lambda: tools([value]), lambda: tool_choice(value, KNOWN)):
        try:
            read()
        except ConfigurationError as error:
            assert str(error).endswith((".", "?"))
            assert "\n" not in str(error)
    assert value == before
