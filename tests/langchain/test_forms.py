"""Forms and tools through LangChain, before servers that refuse what the vendors refuse."""

import pytest
from langchain_core.tools import tool
from pydantic import BaseModel

from langchain_multiroute import ChatMultiRoute
from tests.strict_vendors import WIRES, StrictVendor
from tests.test_forms_and_tools import FORMS, Node, Page, Pet, Scores, Words

pytestmark = pytest.mark.wire

WIRE = pytest.mark.parametrize("wire", WIRES)
ROUTE = {"anthropic": {"model": "anthropic:claude-sonnet-4-6"}}


def model(vendor):
    return ChatMultiRoute(routes=[vendor.route(**ROUTE.get(vendor.wire, {}))], max_retries=0)


def invoke(runnable, face):
    """What a runnable gives at last."""
    if face == "invoke":
        return runnable.invoke("x")
    return list(runnable.stream("x"))[-1]


@pytest.mark.parametrize("face", ["invoke", "stream"])
@WIRE
@pytest.mark.parametrize(
    "form", [form for form in FORMS if form.__name__ not in ("Left", "Anything")], ids=lambda f: f.__name__
)
def test_answers_are_objects_of_the_callers_class(wire, form, face):
    with StrictVendor(wire) as vendor:
        found = invoke(model(vendor).with_structured_output(form), face)
    assert vendor.refused == []
    assert isinstance(found, form)


@WIRE
@pytest.mark.parametrize("form", [Scores, Page[int], Page[Node], Node], ids=lambda form: form.__name__)
def test_answers_by_a_tool(wire, form):
    with StrictVendor(wire) as vendor:
        found = model(vendor).with_structured_output(form, method="function_calling").invoke("x")
    assert vendor.refused == []
    assert isinstance(found, form)


@pytest.mark.parametrize("form", [Pet, Words, Node, Scores])
@pytest.mark.parametrize("wire", ["openai.chat", "openai.responses"])
@pytest.mark.parametrize("strict", [None, True, False])
def test_the_vendor_keeps_to_the_schema_unless_it_need_not(wire, form, strict):
    """As `ChatOpenAI` asks for it."""
    with StrictVendor(wire) as vendor:
        model(vendor).with_structured_output(form, strict=strict).invoke("x")
    assert vendor.form(vendor.bodies[0])[1] is (strict is not False)


@tool
def plant(tree: Node) -> str:
    """Plants a tree."""
    return tree.name


def bare(tree: Node) -> str:
    """Plants a tree."""
    return tree.name


class Plant(BaseModel):
    """Plants trees."""

    trees: dict[str, Node]


@WIRE
@pytest.mark.parametrize("given", [plant, bare, Plant, Node], ids=["tool", "function", "class", "recursive class"])
def test_a_tool_that_takes_what_holds_itself(wire, given):
    with StrictVendor(wire) as vendor:
        message = model(vendor).bind_tools([given]).invoke("x")
    [(_, schema, _)] = vendor.tools(vendor.bodies[0])
    assert "'items': {}" not in str(schema)
    assert "#/$defs/Node" in str(schema)
    assert message.tool_calls[0]["args"]
