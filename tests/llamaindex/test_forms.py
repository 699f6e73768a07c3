"""Forms, tools and media through LlamaIndex, before servers that refuse what the vendors refuse."""

import pytest
from llama_index.core.base.llms.types import AudioBlock, ChatMessage, DocumentBlock, ImageBlock, TextBlock
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool

from llamaindex_multiroute import MultiRoute
from tests.strict_vendors import OFFICE, WIRES, StrictVendor
from tests.test_forms_and_tools import Node, Page, Pair, Scores

WIRE = pytest.mark.parametrize("wire", WIRES)


def model(*vendors):
    routes = [
        vendor.route(model="anthropic:claude-sonnet-4-6") if vendor.wire == "anthropic" else vendor.route()
        for vendor in vendors
    ]
    return MultiRoute(routes=routes, max_retries=0)


@WIRE
@pytest.mark.parametrize("form", [Scores, Page[int], Page[Node], Pair], ids=lambda form: form.__name__)
def test_answers_are_objects_of_the_callers_class(wire, form):
    prompt = PromptTemplate("x")
    with StrictVendor(wire) as vendor:
        assert isinstance(model(vendor).structured_predict(form, prompt), form)
        *_, last = model(vendor).stream_structured_predict(form, prompt)
        assert isinstance(last, form)
    assert vendor.refused == []


@WIRE
def test_a_tool_whose_arguments_hold_themselves_keeps_its_schema(wire):
    """LlamaIndex's conversion leaves nothing of a root that is a reference."""
    tool = FunctionTool.from_defaults(lambda **_: "", name="grow a tree", description="d", fn_schema=Node)
    with StrictVendor(wire) as vendor:
        response = model(vendor).chat_with_tools([tool], "x", tool_required=True)
    assert vendor.refused == []
    [(_, schema, _)] = vendor.tools(vendor.bodies[0])
    assert set(schema["properties"]) == {"name", "children"}
    [call] = model(vendor).get_tool_calls_from_response(response)
    assert call.tool_name == "grow a tree"
    assert Node.model_validate(call.tool_kwargs)


BLOCKS = {
    "docx": (DocumentBlock(data=b"PK", document_mimetype=OFFICE, title="d"), {"openai.responses"}),
    "json": (DocumentBlock(data=b"{}", document_mimetype="application/json", title="d"), set(WIRES)),
    "svg": (ImageBlock(image=b"<svg/>", image_mimetype="image/svg+xml"), set(WIRES)),
    "jpg": (ImageBlock(image=b"\xff\xd8\xff", image_mimetype="image/jpg"), set(WIRES)),
    "heic": (ImageBlock(image=b"x", image_mimetype="image/heic"), {"google"}),
    "flac": (AudioBlock(audio=b"fLaC", format="flac"), {"google"}),
}


@WIRE
@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_goes_to_the_first_route_that_reads_it(wire, block):
    given, takers = BLOCKS[block]
    spare = "openai.responses" if "google" not in takers else "google"
    message = ChatMessage(role="user", blocks=[given, TextBlock(text="?")])
    with StrictVendor(wire) as first, StrictVendor(spare) as second:
        llm = MultiRoute(routes=[first.route(name="first"), second.route(name="second")], max_retries=0)
        assert llm.chat([message]).message.content == "A few words."
    assert (first.refused, second.refused) == ([], [])
    assert len(first.bodies) == (wire in takers)
