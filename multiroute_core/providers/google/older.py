"""Encoder for the older SDK: rewrites what its types cannot express, as they predate thinking and JSON schemas.

The SDK silently drops unknown fields, so anything not rewritten here would be lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import msgspec

from multiroute_core.providers.body import array, mapping, word
from multiroute_core.providers.google import encode as newer
from multiroute_core.providers.google.schema import to_older
from multiroute_core.providers.models import Model
from multiroute_core.providers.provider import Encoded
from multiroute_core.types import Request

PARTS = frozenset(
    {"text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode", "codeExecutionResult"}
)
TOOLS = frozenset({"functionDeclarations", "codeExecution", "googleSearch", "googleSearchRetrieval"})
"""Fields of a part and of a tool that the SDK's types support."""


def encode(request: Request, model: str, traits: Model, *, stream: bool) -> Encoded:
    """Encode the body of `generateContent` for the older SDK's types."""
    traits = replace(traits, reasoning="none", signed_calls=False, media_in_answers=False)
    encoding = newer.encode(replace(request, reasoning=None), model, traits, stream=stream)
    dropped = list(encoding.dropped)
    if request.reasoning is not None:
        dropped.append("reasoning: google-generativeai does not support it")
    if encoding.query:
        dropped.append("extra_query: google-generativeai does not send query parameters")
    body = {**encoding.body, "contents": _turns(encoding.body["contents"])}
    if tools := [
        _tool(tool, dropped) for tool in array(body.pop("tools", None)) if _is_supported(tool, TOOLS, dropped)
    ]:
        body["tools"] = tools
    config, words = _config(mapping(body.pop("generationConfig", None)), dropped)
    if config:
        body["generationConfig"] = config
    if words:
        system = mapping(body.get("systemInstruction"))
        body["systemInstruction"] = {"parts": [*array(system.get("parts")), {"text": words}]}
    return replace(encoding, body=body, dropped=tuple(dropped))


def reply(body: dict[str, Any]) -> dict[str, Any]:
    """Restore integers in the arguments of calls; the SDK's types turn all numbers into floats."""
    for candidate in array(body.get("candidates")):
        for part in array(mapping(mapping(candidate).get("content")).get("parts")):
            if call := mapping(mapping(part).get("functionCall")):
                cast("dict[str, Any]", call)["args"] = _to_integers(call.get("args", {}))
    return body


def _to_integers(value: Any) -> Any:
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {name: _to_integers(inner) for name, inner in cast("dict[str, Any]", value).items()}
        case list():
            return [_to_integers(inner) for inner in cast("list[Any]", value)]
        case _:
            return value


def _turns(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the turns without parts that would arrive empty, such as a signature on its own."""
    contents = [
        {**turn, "parts": [part for part in turn["parts"] if any(part.get(name) for name in PARTS)]} for turn in turns
    ]
    return [turn for turn in contents if turn["parts"]]


def _is_supported(tool: Mapping[str, Any], names: frozenset[str], dropped: list[str]) -> bool:
    if names.isdisjoint(tool):
        dropped.append(f"tools: google-generativeai does not support {', '.join(tool)}")
        return False
    return True


def _tool(tool: Mapping[str, Any], dropped: list[str]) -> dict[str, Any]:
    """Convert the function schemas of a tool to the older dialect. A function without arguments has no schema.

    If the dialect cannot express a schema, the full schema goes into the function's description.
    """
    if "functionDeclarations" not in tool:
        return dict(tool)
    functions: list[dict[str, Any]] = []
    for declaration in array(tool["functionDeclarations"]):
        function = dict(mapping(declaration))
        given_schema = mapping(function.pop("parametersJsonSchema", None))
        schema, exact = to_older(given_schema)
        if schema.get("properties"):
            function.setdefault("parameters", schema)
        if not exact and given_schema.get("properties"):
            schema_json = msgspec.json.encode(given_schema).decode()
            about = f"The arguments must keep to this JSON schema: {schema_json}"
            function["description"] = " ".join(filter(None, (word(function.get("description")), about)))
            dropped.append(
                f"tools: the API does not support all of the schema of {function.get('name')}; a description "
                "replaces it"
            )
        functions.append(function)
    return {**tool, "functionDeclarations": functions}


def _config(generation_config: Mapping[str, Any], dropped: list[str]) -> tuple[dict[str, Any], str | None]:
    """Return the parameters, and an output instruction if the dialect cannot express the output schema."""
    config = dict(generation_config)
    if config.pop("seed", None) is not None:
        dropped.append("seed: google-generativeai does not support it")
    if (schema := config.pop("responseJsonSchema", None)) is not None:
        converted, exact = to_older(mapping(schema))
        if not exact:
            dropped.append("output_schema: the API does not support all of the schema; an instruction replaces it")
            return config, newer.in_words(mapping(schema))
        config["responseSchema"] = converted
    return config, None
