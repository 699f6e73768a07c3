#!/bin/sh
# llama-index-core 0.14.25 (PyPI, Python 3.11): a pydantic class that contains itself cannot be predicted by a function
# calling model, whatever the model answers. pydantic writes the schema of such a class as a reference
# ({"$defs": …, "$ref": "#/$defs/Tree"}); ToolMetadata.get_parameters_dict keeps neither `$ref` nor what it points to, so
# the model is shown a tool without type and properties, and call_tool then asks for ["properties"] and turns the KeyError
# into the tool's output. The user reads a ValueError that blames the model: "the LLM's tool call could not be parsed".
#
# Seen:
#   Leaf: schema has ['properties', 'required', 'type'] -> Leaf(name='root')
#   Tree: schema has ['$defs'] -> ValueError: Structured output extraction failed: the LLM's tool call could not be parsed
#     into Tree. Error: 'properties'
#
# Exits with 0 while that holds.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check llama-index-core==0.14.25
"$folder/venv/bin/python" - <<'PY'
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools.types import ToolMetadata
from pydantic import BaseModel


class Leaf(BaseModel):
    name: str


class Tree(BaseModel):
    name: str
    children: list["Tree"] = []


def predict(kind: type[BaseModel]) -> str:
    """What a model's call of the tool, whose arguments fit the class, becomes."""

    def answer(messages, **kwargs):
        call = ToolCallBlock(tool_call_id="call_1", tool_name=kind.__name__, tool_kwargs={"name": "root"})
        return ChatMessage(role="assistant", blocks=[call])

    llm = MockFunctionCallingLLM(response_generator=answer)
    try:
        return repr(llm.structured_predict(kind, PromptTemplate("Name the root.")))
    except ValueError as error:
        return f"ValueError: {error}"


assert Tree(name="root").children == []
for kind in (Leaf, Tree):
    schema = ToolMetadata(name=kind.__name__, description="", fn_schema=kind).get_parameters_dict()
    outcome = predict(kind)
    print(f"{kind.__name__}: schema has {sorted(schema)} -> {outcome}")
    if kind is Leaf:
        assert outcome == "Leaf(name='root')"
    else:
        assert sorted(schema) == ["$defs"]
        assert outcome.startswith("ValueError: Structured output extraction failed")
        assert outcome.endswith("Error: 'properties'")
PY
