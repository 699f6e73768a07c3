"""Forms of answers, tools and their names, and media that a vendor has no words for: before servers that refuse what the
vendors refuse, plain and streamed, in both worlds."""

import json
from typing import Annotated, Generic, Literal, TypeVar

import jsonschema
import pytest
from pydantic import BaseModel, Field, RootModel

from multiroute_core import Blob, ConfigurationError, Message, Router, Text, Tool, ToolCall, ToolCallResponse, Uri
from multiroute_core.providers.restoring import MAP
from multiroute_core.tools import ToolChoice
from tests.chat_server import FACES, ask
from tests.strict_vendors import OFFICE, WIRES, StrictVendor

pytestmark = pytest.mark.wire

FACE = pytest.mark.parametrize("face", FACES)
WIRE = pytest.mark.parametrize("wire", WIRES)
T = TypeVar("T")


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(ge=0)


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str = Field(min_length=2, default="Rex")


class Pet(RootModel[Annotated[Cat | Dog, Field(discriminator="kind")]]):
    """One of two."""


class Either(RootModel[Cat | Dog]):
    """One of two, told by nothing."""


class Words(RootModel[list[str]]):
    """A root that is a list."""


class Number(RootModel[int]):
    """A root that is a number."""


class Scores(BaseModel):
    scores: dict[str, int]
    by_team: dict[str, dict[str, Cat]] = {}


class Table(RootModel[dict[str, int]]):
    """A root that is a map."""


class Page(BaseModel, Generic[T]):
    items: list[T]
    size: int | None = None


class Node(BaseModel):
    name: str
    children: list["Node"] = []


class Left(BaseModel):
    right: "Right | None"


class Right(BaseModel):
    left: Left | None


class Pair(BaseModel):
    both: tuple[int, str]


class Anything(BaseModel):
    what: dict[str, object]


FORMS = [Pet, Either, Words, Number, Scores, Table, Page[int], Page[Node], Node, Left, Pair, Anything]


@FACE
@WIRE
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_every_form_is_asked_for_and_read_back(wire, form, face):
    with StrictVendor(wire) as vendor:
        response = ask(Router([vendor.route()], max_retries=0), face, "x" if face else "x", output_schema=form)
    [body] = vendor.bodies
    asked, _, _ = vendor.form(body)
    by_words = asked is None and not body.get("tools")
    if by_words:  # nothing binds the model, so the server says a few words; but the schema is told, and it is recorded
        assert "JSON" in json.dumps(body)
        assert any(reason.startswith("output_schema") for reason in response.attempts[0].dropped)
        return
    assert form.model_validate_json(response.text)
    if asked is None:
        assert any(reason.startswith("output_schema") for reason in response.attempts[0].dropped)


@pytest.mark.parametrize("wire", ["openai.chat", "openai.responses"])
@pytest.mark.parametrize("form", [Pet, Words, Number, Scores, Table, Node, Left, Page[Node]], ids=lambda f: f.__name__)
def test_openai_is_bound_to_whatever_its_strict_mode_can_state(wire, form):
    with StrictVendor(wire) as vendor:
        response = Router([vendor.route()], max_retries=0).generate("x", output_schema=form)
    assert vendor.form(vendor.bodies[0])[1] is True
    assert response.attempts[0].dropped == ()


@pytest.mark.parametrize("wire", ["openai.chat", "openai.responses"])
@pytest.mark.parametrize("form", [Pair, Anything])
def test_what_strict_mode_cannot_state_is_recorded(wire, form):
    with StrictVendor(wire) as vendor:
        response = Router([vendor.route()], max_retries=0).generate("x", output_schema=form)
    assert "strict of the answer" in response.attempts[0].dropped[0]


@pytest.mark.parametrize("model", ["claude-sonnet-5-5", "claude-sonnet-4-6", "claude-3-5-haiku-latest"])
def test_a_form_that_anthropic_cannot_state(model):
    """Where a model can be made to use a tool, that stands for the form; where not, an instruction does."""
    with StrictVendor("anthropic") as vendor:
        route = vendor.route(model=f"anthropic:{model}")
        response = Router([route], max_retries=0).generate("x", output_schema=Node)
    [body] = vendor.bodies
    assert "output_config" not in body
    if model == "claude-sonnet-5-5":
        assert '"$ref"' in body["system"]
        assert "an instruction replaces it" in response.attempts[0].dropped[0]
    else:
        assert Node.model_validate_json(response.text)
        assert body["tool_choice"] == {"type": "tool", "name": "Node"}


EITHER = {
    "type": "object",
    "properties": {"project": {"type": "string"}, "paths": {"type": "array", "items": {"type": "string"}}},
    "required": ["project"],
    "anyOf": [{"required": ["paths"]}, {"not": {"required": ["paths"]}}],
}
A, B = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"$ref": "#/definitions/B~1C"}
ROOTS = {
    "conditions": EITHER,
    "anyOf": {"anyOf": [A, {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]}]},
    "oneOf": {
        "type": "object",
        "oneOf": [A, B],
        "definitions": {"B/C": {"type": "object", "required": ["c"], "properties": {"c": {}}}},
    },
    "allOf": {"allOf": [A, {"properties": {"d": {"type": "boolean"}}, "required": ["d"]}]},
    "if": {**A, "if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["a"]}},
    "not": {**A, "not": {"required": ["zzz"]}},
    "$ref": {"$ref": "#/$defs/A", "$defs": {"A": A}},
}


@FACE
@WIRE
@pytest.mark.parametrize("strict", [None, True])
@pytest.mark.parametrize("root", ROOTS)
def test_tools_with_any_root(wire, root, strict, face):
    with StrictVendor(wire) as vendor:
        tool = Tool("find", "Finds.", ROOTS[root], strict)
        response = ask(Router([vendor.route()], max_retries=0), face, "x", tools=[tool])
    assert vendor.refused == []
    [call] = response.tool_calls
    assert call.name == "find"
    jsonschema.validate(dict(call.arguments), ROOTS[root])


ODD_NAMES = ["21st_magic", "Page[int]", "a b", "wetter_für", "x" * 70, "x" * 130, "a.b", "a/b", "-x", "名前"]


@FACE
@WIRE
def test_a_map_in_the_arguments_of_a_strict_tool_comes_back_as_a_map(wire, face):
    parameters = Scores.model_json_schema() | {"required": ["scores", "by_team"]}
    tool = Tool("rate", parameters=parameters, strict=True)
    with StrictVendor(wire) as vendor:
        response = ask(Router([vendor.route()], max_retries=0), face, "x", tools=[tool])
    [call] = response.tool_calls
    assert Scores.model_validate(call.arguments)
    assert type(call.arguments["scores"]) is dict
    assert MAP not in call.arguments["scores"]


@FACE
@WIRE
@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_beyond_a_vendors_pattern(wire, name, face):
    """In the definitions, in the choice, in the history, in the answer."""
    talk = [
        Message("user", "x"),
        Message("assistant", [ToolCall("c1", name, {}), ToolCall("c2", "gone!", {})]),
        Message("tool", [ToolCallResponse("c1", "ok", name=name), ToolCallResponse("c2", "ok")]),
    ]
    tools = [Tool(name), Tool(name + "!"), Tool("plain")]
    with StrictVendor(wire) as vendor:
        choice = ToolChoice("tool", name)
        response = ask(Router([vendor.route()], max_retries=0), face, talk, tools=tools, tool_choice=choice)
    assert vendor.refused == []
    assert [call.name for call in response.tool_calls] == [name]
    sent = [sent for sent, _, _ in vendor.tools(vendor.bodies[0])]
    assert len(set(sent)) == 3 and "plain" in sent


@WIRE
def test_a_renamed_call_goes_back_as_it_came(wire):
    with StrictVendor(wire) as vendor:
        router = Router([vendor.route()], max_retries=0)
        first = router.generate("x", tools=[Tool("a b"), Tool("c")])
        [call] = first.tool_calls
        talk = [
            Message("user", "x"),
            Message("assistant", first.parts),
            Message("tool", [ToolCallResponse(call.id, "y")]),
        ]
        router.generate(talk, tools=[Tool("a b"), Tool("c")])
    assert vendor.refused == []
    sent = next(name for name, _, _ in vendor.tools(vendor.bodies[1]))
    assert json.dumps(vendor.bodies[1]).count(f'"{sent}"') >= 2


def test_a_name_is_changed_the_same_way_whatever_stands_beside_it():
    with StrictVendor("google") as vendor:
        router = Router([vendor.route()], max_retries=0)
        router.generate("x", tools=[Tool("1a")])
        router.generate("x", tools=[Tool("b"), Tool("1a"), Tool("1c")])
    first, second = ([name for name, _, _ in vendor.tools(body)] for body in vendor.bodies)
    assert first[0] == second[1]
    with StrictVendor("google") as vendor:  # and a tool may have that name already
        Router([vendor.route()], max_retries=0).generate("x", tools=[Tool("1a"), Tool(first[0])])
    assert len({name for name, _, _ in vendor.tools(vendor.bodies[0])}) == 2


PNG = b"\x89PNG"
MEDIA = {
    "png": (Blob(PNG, "IMAGE/PNG"), set(WIRES)),
    "jpg": (Blob(b"\xff\xd8", "image/jpg"), set(WIRES)),
    "gif": (Blob(b"GIF8", "image/gif"), set(WIRES) - {"google"}),
    "heic": (Blob(b"x", "image/heic"), {"google"}),
    "tiff": (Blob(b"x", "image/tiff"), set()),
    "svg": (Blob(b"<svg/>", "image/svg+xml", "a.svg"), set(WIRES)),
    "pdf": (Blob(b"%PDF", "application/pdf; version=1.7"), set(WIRES)),
    "docx": (Blob(b"PK", OFFICE, "a"), {"openai.responses"}),
    "zip": (Blob(b"PK", "application/zip"), set()),
    "text": (Blob("Grüße".encode("latin-1"), "text/plain; charset=latin-1"), set(WIRES)),
    "utf-16": (Blob("Grüße".encode("utf-16"), "text/csv"), set(WIRES)),
    "json": (Blob(b'{"a": 1}', "application/json", "a.json"), set(WIRES)),
    "problem": (Blob(b"{}", "application/problem+json"), set(WIRES)),
    "xml": (Blob(b"<a/>", "application/xml"), set(WIRES)),
    "yaml": (Blob(b"a: 1", "application/x-yaml"), set(WIRES)),
    "python": (Blob(b"pass", "text/x-python", "a.py"), set(WIRES)),
    "unnamed type": (Blob(b"let x: number", "application/octet-stream", "a.ts"), set(WIRES)),
    "unnamed picture": (Blob(PNG, "application/octet-stream", "a.png"), set(WIRES)),
    "flac": (Blob(b"fLaC", "audio/x-flac"), {"google"}),
    "wav": (Blob(b"RIFF", "audio/x-wav"), {"google", "audio"}),
    "mp3": (Blob(b"ID3", "audio/mp3"), {"google", "audio"}),
    "film": (Blob(b"x", "video/mp4"), {"google"}),
}


@WIRE
@pytest.mark.parametrize("where", ["user", "tool"])
@pytest.mark.parametrize("medium", MEDIA)
def test_a_medium_goes_where_it_is_read_and_is_refused_before_the_network_elsewhere(wire, medium, where):
    blob, takers = MEDIA[medium]
    talk = [Message("user", [blob, Text("What is it?")])]
    if where == "tool":
        calls = [Message("user", "x"), Message("assistant", [ToolCall("c", "look", {})])]
        talk = [*calls, Message("tool", [ToolCallResponse("c", [blob])])]
    with StrictVendor(wire) as vendor:
        router = Router([vendor.route()], max_retries=0)
        if wire in takers:
            assert router.generate(talk).text == "A few words."
            return
        with pytest.raises(ConfigurationError, match="it does not support"):
            router.generate(talk)
    assert vendor.bodies == []


@pytest.mark.parametrize("medium", ["wav", "mp3", "flac"])
def test_a_model_that_hears(medium):
    blob, takers = MEDIA[medium]
    with StrictVendor("openai.chat") as hearing, StrictVendor("google") as spare:
        routes = [hearing.route(model="openai:gpt-audio"), spare.route()]
        response = Router(routes, max_retries=0).generate([Message("user", [blob])])
    assert response.route == ("openai.chat" if "audio" in takers else "google")


@WIRE
@pytest.mark.parametrize("medium", ["utf-16", "text", "svg", "json", "unnamed type"])
def test_a_text_arrives_as_what_it_says(wire, medium):
    blob, _ = MEDIA[medium]
    expected = {
        "utf-16": "Grüße",
        "text": "Grüße",
        "svg": "<svg/>",
        "json": '{"a": 1}',
        "unnamed type": "let x: number",
    }
    with StrictVendor(wire) as vendor:
        Router([vendor.route()], max_retries=0).generate([Message("user", [blob, Text("?")])])
    sent = json.dumps(vendor.bodies[0], ensure_ascii=False)
    if "inlineData" in sent:
        import base64

        [part] = [part for part in vendor.bodies[0]["contents"][0]["parts"] if "inlineData" in part]
        sent = base64.b64decode(part["inlineData"]["data"]).decode()
    assert json.dumps(expected[medium], ensure_ascii=False)[1:-1] in sent or expected[medium] in sent
    if blob.name is not None:
        assert blob.name in sent


@pytest.mark.parametrize(
    ("uri", "takers"),
    [
        (Uri("https://x/a.png"), set(WIRES)),
        (Uri("https://x/a.heic"), {"google"}),
        (Uri("https://x/a"), set(WIRES)),
        (Uri("https://x/a.php"), set(WIRES)),
        (Uri("https://x/a.svg"), set()),
        (Uri("https://x/a", "image/tiff"), set()),
        (Uri("https://x/a.pdf", modality="document"), set(WIRES) - {"openai.chat"}),
        (Uri("https://x/a.csv", "text/csv", "document"), {"google", "openai.responses"}),
        (Uri("https://x/a", OFFICE, "document"), {"openai.responses"}),
    ],
)
@WIRE
def test_what_stands_at_an_address(wire, uri, takers):
    with StrictVendor(wire) as vendor:
        problem = Router([vendor.route()]).explain([Message("user", [uri])]).problem
    assert (problem is None) == (wire in takers)
