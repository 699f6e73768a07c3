"""Encoder for OpenAI's Responses API, always with `store=False`, so that OpenAI stores no conversation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from multiroute_core.providers.body import overlay
from multiroute_core.providers.dropped_content import list_dropped
from multiroute_core.providers.extra import split
from multiroute_core.providers.models import Model
from multiroute_core.providers.openai.custom import name_of, to_responses_tool
from multiroute_core.providers.openai.effort import effort
from multiroute_core.providers.openai.prompt_cache import build_cache_fields
from multiroute_core.providers.openai.responses_history import WIRE, history
from multiroute_core.providers.openai.schema import adapt_form, adapt_tool, in_words
from multiroute_core.providers.openai.verbosity import to_responses
from multiroute_core.providers.provider import Encoded
from multiroute_core.providers.restoring import Shape, restoration_of
from multiroute_core.providers.sampling import sampling
from multiroute_core.providers.tool_names import with_wire_names
from multiroute_core.tools import OutputSchema, ServerTool, Tool
from multiroute_core.types import Request


def encode(
    request: Request,
    model: str,
    traits: Model,
    *,
    stream: bool,
    account: str | None = None,
    has_cache_key: bool = False,
) -> Encoded:
    """Return the body of `POST /responses`; `has_cache_key`: whether the server takes the fields of `prompt_cache`."""
    dropped: list[str] = []
    request, names = with_wire_names(request, WIRE)
    shapes: dict[str, Shape] = {}
    form, answer = adapt_form(request.output_schema, traits, dropped)
    messages = in_words(request.messages, form, traits)
    body: dict[str, Any] = {"model": model, "input": history(messages, model, traits.provider), "store": False}
    temperature, top_p = sampling(request, traits, dropped)
    if request.stop:
        dropped.append("stop: the Responses API has no stop sequences")
    if request.seed is not None:
        dropped.append("seed: the Responses API has no seed")
    fields: dict[str, Any] = {
        "temperature": temperature,
        "top_p": top_p,
        "max_output_tokens": request.max_tokens,
        **_tools(request, traits, dropped, shapes),
        "text": None if form is None else {"format": _format(form, traits)},
        "reasoning": _reasoning(request, traits, dropped),
        # Nothing is stored, so the response must include the encrypted reasoning for the next request.
        "include": ["reasoning.encrypted_content"] if traits.reasoning == "effort" else None,
        "stream": stream or None,
    }
    body.update((name, value) for name, value in fields.items() if value is not None)
    dropped += list_dropped(request, WIRE, model)
    if has_cache_key:
        body |= build_cache_fields(request, model)
    more = split(request.extra.get(traits.provider))
    body = overlay(body, to_responses(more.body))
    return Encoded(
        "/responses",
        body,
        tuple(dropped),
        more.headers,
        model=model,
        account=account,
        query=more.query,
        restoration=restoration_of(names, shapes, answer),
    )


def _tools(request: Request, traits: Model, dropped: list[str], shapes: dict[str, Shape]) -> dict[str, Any]:
    """Return the tools and the tool choice; empty if there are no tools."""
    tools = [one for tool in request.tools if (one := _tool(tool, traits, dropped, shapes)) is not None]
    if not tools:
        return {}
    fields: dict[str, Any] = {"tools": tools, "parallel_tool_calls": request.parallel_tool_calls}
    if (choice := request.tool_choice) is not None:
        fields["tool_choice"] = _build_tool_choice(choice.name, request.tools) if choice.mode == "tool" else choice.mode
    return fields


def _build_tool_choice(name: str | None, tools: Sequence[Tool | ServerTool]) -> dict[str, Any]:
    """Return the choice of one mandatory tool; server tools are named by their type, name or label."""
    for tool in tools:
        if isinstance(tool, ServerTool) and tool.is_custom and name == name_of(tool.body):
            return {"type": "custom", "name": name}
        if isinstance(tool, ServerTool) and name in (own := [tool.body.get(key) for key in _NAMES]):
            names = {key: value for key, value in zip(_NAMES, own, strict=True) if value == name and key != "type"}
            return {"type": tool.body.get("type"), **names}
    return {"type": "function", "name": name}


_NAMES = ("type", "name", "server_label")


def _tool(
    tool: Tool | ServerTool, traits: Model, dropped: list[str], shapes: dict[str, Shape]
) -> dict[str, Any] | None:
    if isinstance(tool, ServerTool):
        if tool.is_custom:
            return to_responses_tool(tool.body)
        return dict(tool.body) if tool.api == WIRE else None
    parameters, strict, shapes[tool.name] = adapt_tool(tool, traits, dropped)
    definition: dict[str, Any] = {"type": "function", "name": tool.name, "parameters": parameters}
    if tool.description:
        definition["description"] = tool.description
    # By default this API makes every parameter required, unlike Chat Completions.
    definition["strict"] = bool(strict)
    return overlay(definition, tool.extras.get(traits.provider))


def _format(form: OutputSchema, traits: Model) -> dict[str, Any]:
    if form.schema is None or not traits.json_schema:
        return {"type": "json_object"}
    text_format: dict[str, Any] = {"type": "json_schema", "name": form.name, "schema": form.schema}
    if form.description:
        text_format["description"] = form.description
    if form.strict is not None:
        text_format["strict"] = form.strict
    return text_format


def _reasoning(request: Request, traits: Model, dropped: list[str]) -> dict[str, Any] | None:
    reasoning: dict[str, Any] = {}
    if (effort_level := effort(request.reasoning, traits, dropped)) is not None:
        reasoning["effort"] = effort_level
    if request.reasoning is not None and request.reasoning.summary and traits.reasoning == "effort":
        reasoning["summary"] = "auto"
    return reasoning or None
