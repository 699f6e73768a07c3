"""Encoder for requests to Gemini's `generateContent`, in the format of the REST API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from multiroute_core.providers import body as bodies
from multiroute_core.providers.dropped_content import list_dropped
from multiroute_core.providers.extra import split
from multiroute_core.providers.google import json_schema
from multiroute_core.providers.google.contents import contents
from multiroute_core.providers.models import Model
from multiroute_core.providers.provider import Encoded
from multiroute_core.providers.restoring import restoration_of
from multiroute_core.providers.sampling import sampling
from multiroute_core.providers.schema_nodes import InexpressibleError, flatten
from multiroute_core.providers.tool_names import with_wire_names
from multiroute_core.tools import EFFORTS, OutputSchema, ReasoningOptions, ServerTool, Tool
from multiroute_core.types import Request

MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "tool": "ANY"}
BUDGETS = {"none": 0, "minimal": 512, "low": 1024, "medium": 8192, "high": 24_576, "xhigh": 32_768, "max": 32_768}
"""Token budget of each effort, for models with budgets; it is clamped to the model's own range."""


def encode(request: Request, model: str, traits: Model, *, stream: bool, account: str | None = None) -> Encoded:
    """Return the body of `POST /v1beta/models/{model}:generateContent`, or of its streaming variant."""
    dropped: list[str] = []
    request, names = with_wire_names(request, "google")
    temperature, top_p = sampling(request, traits, dropped)
    stop = list(request.stop) or None
    if stop and not traits.stop:
        dropped.append("stop: the model does not support stop sequences")
        stop = None
    tools = _tools(request, dropped)
    form, instruction = _form(request.output_schema, traits, dropped, tools=bool(tools))
    generation_config = {
        "temperature": temperature,
        "topP": top_p,
        "maxOutputTokens": request.max_tokens,
        "stopSequences": stop,
        "seed": request.seed,
        **form,
        "thinkingConfig": _thinking(request.reasoning, traits, dropped) or None,
    }
    system = "\n\n".join(filter(None, (request.instructions, instruction)))
    body = {
        "contents": contents(request.turns, model, traits),
        "systemInstruction": {"parts": [{"text": system}]} if system else None,
        "tools": tools or None,
        "toolConfig": _tool_config(request),
        "generationConfig": {name: value for name, value in generation_config.items() if value is not None} or None,
    }
    body = {name: value for name, value in body.items() if value is not None}
    dropped += list_dropped(request, "google", model)
    more = split(request.extra.get("google"))
    name = model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
    return Encoded(
        f"{name}:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}",
        bodies.overlay(body, more.body),
        tuple(dropped),
        more.headers,
        model,
        account=account,
        query=more.query,
        restoration=restoration_of(names, {}, None),
    )


def _tools(request: Request, dropped: list[str]) -> list[dict[str, Any]]:
    """Return the caller's functions as one entry, followed by Google's server tools."""
    functions = [tool for tool in request.tools if isinstance(tool, Tool)]
    if any(tool.strict for tool in functions):
        dropped.append("strict: Gemini does not support strict tools")
    if functions and request.parallel_tool_calls is False:
        dropped.append("parallel_tool_calls: Gemini may always call several tools at once")
    entries: list[dict[str, Any]] = []
    if functions:
        entries.append({"functionDeclarations": [_declaration(tool) for tool in functions]})
    return entries + [
        dict(tool.body) for tool in request.tools if isinstance(tool, ServerTool) and tool.api == "google"
    ]


def _declaration(tool: Tool) -> dict[str, Any]:
    declaration = {
        "name": tool.name,
        "description": tool.description,
        "parametersJsonSchema": _parameters(tool.parameters),
    }
    return bodies.overlay({name: value for name, value in declaration.items() if value}, tool.extras.get("google"))


def _parameters(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tool's schema in Gemini's dialect; flattened only if it is inexpressible, as calls need not conform."""
    try:
        return json_schema.adapt(schema)
    except InexpressibleError:
        return flatten(schema)


def _tool_config(request: Request) -> dict[str, Any] | None:
    choice = request.tool_choice
    if choice is None or not any(isinstance(tool, Tool) for tool in request.tools):
        return None
    config: dict[str, Any] = {"mode": MODES[choice.mode]}
    if choice.name is not None:
        config["allowedFunctionNames"] = [choice.name]
    return {"functionCallingConfig": config}


def _form(
    schema: OutputSchema | None, traits: Model, dropped: list[str], *, tools: bool
) -> tuple[Mapping[str, Any], str | None]:
    """Return structured output parameters, or an instruction if the model would reject them."""
    if schema is None:
        return {}, None
    if traits.json_schema and (traits.schema_with_tools or not tools):
        config: dict[str, Any] = {"responseMimeType": "application/json"}
        if schema.schema is not None:
            try:
                config["responseJsonSchema"] = json_schema.adapt(schema.schema)
            except InexpressibleError as error:
                dropped.append(f"output_schema: Gemini does not support {error}; an instruction replaces it")
                return config, in_words(schema.schema)
        return config, None
    why = "together with tools" if traits.json_schema else "on its own"
    dropped.append(f"output_schema: the model does not support one {why}; an instruction replaces it")
    if schema.schema is None:
        return {}, "Answer with one JSON object and nothing else."
    return {}, in_words(schema.schema)


def in_words(schema: Mapping[str, Any]) -> str:
    """Return an instruction to respond in the form of a schema."""
    schema_json = msgspec.json.encode(schema).decode()
    return f"Answer with JSON and nothing else. It must keep to this JSON schema:\n{schema_json}"


def _thinking(reasoning: ReasoningOptions | None, traits: Model, dropped: list[str]) -> dict[str, Any]:
    """Return the thinking config in the model's own unit: a level or a budget."""
    if reasoning is None:
        return {}
    if traits.reasoning == "none":
        if reasoning.effort != "none":
            dropped.append("reasoning: the model does not support an effort")
        return {}
    config: dict[str, Any] = {}
    if reasoning.effort is not None or reasoning.budget_tokens is not None:
        if traits.reasoning == "effort":
            config["thinkingLevel"] = _level(reasoning, traits, dropped)
        else:
            config["thinkingBudget"] = _budget(reasoning, traits, dropped)
    if reasoning.summary:
        config["includeThoughts"] = True
    return config


def _level(reasoning: ReasoningOptions, traits: Model, dropped: list[str]) -> str:
    """Return the supported effort nearest to the requested one; the lower one on a tie."""
    effort = reasoning.effort
    if effort is None:
        tokens = reasoning.budget_tokens or 0
        effort = min(EFFORTS, key=lambda effort: abs(BUDGETS[effort] - tokens))
    if effort == "none":
        dropped.append(f"reasoning: the model always reasons; its minimum is used, {traits.efforts[0]}")
    return min(traits.efforts, key=lambda level: abs(EFFORTS.index(level) - EFFORTS.index(effort))).upper()


def _budget(reasoning: ReasoningOptions, traits: Model, dropped: list[str]) -> int:
    """Return the requested token budget, clamped to the model's range."""
    tokens = reasoning.budget_tokens if reasoning.budget_tokens is not None else BUDGETS[reasoning.effort or "none"]
    least, most = traits.budgets
    if tokens < least:
        dropped.append(f"reasoning: the model always reasons; its minimum is used, {least} tokens")
    return min(max(tokens, least), most)
