"""Convert LlamaIndex tools to OpenAI's format, with their original names and schemas."""

from __future__ import annotations

from typing import Any

from llama_index.core.tools.types import BaseTool

from multiroute_core import ConfigurationError
from multiroute_core.parsing import json_schema


def tool_dict(tool: BaseTool) -> dict[str, Any]:
    """A tool in OpenAI's format.

    The tool is sent under its own name, because LlamaIndex looks it up by that name; names that a provider rejects,
    such as `Page[int]`, are renamed for that provider. LlamaIndex's conversion keeps only five keywords of a schema and
    would lose a root that is a reference or a union (`ToolMetadata.get_parameters_dict`, llama-index-core 0.14.25).
    """
    metadata = tool.metadata
    definition = metadata.to_openai_tool(skip_length_check=True)
    function: dict[str, Any] = {**definition["function"], "name": metadata.name or definition["function"]["name"]}
    parameters: dict[str, Any] = function["parameters"]
    if metadata.fn_schema is not None and "properties" not in parameters:
        try:
            schema = json_schema.of_class(metadata.fn_schema)
        except ConfigurationError:
            schema = parameters
        function["parameters"] = {word: value for word, value in schema.items() if word not in ("title", "description")}
    return {**definition, "function": function}
