"""Encoder for OpenAI's Chat Completions API, which most compatible servers implement as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from multiroute_core.providers.body import overlay
from multiroute_core.providers.dropped_content import RESPONSES_ONLY, list_dropped
from multiroute_core.providers.extra import split
from multiroute_core.providers.models import Model
from multiroute_core.providers.openai.chat_history import WIRE, history
from multiroute_core.providers.openai.custom import name_of, to_chat_tool
from multiroute_core.providers.openai.effort import effort
from multiroute_core.providers.openai.prompt_cache import build_cache_fields
from multiroute_core.providers.openai.schema import adapt_form, adapt_tool, in_words
from multiroute_core.providers.openai.verbosity import to_chat
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
    """Return a minimal body of `POST /chat/completions`, as compatible servers reject unknown fields.

    `has_cache_key` is whether the server takes the fields of `prompt_cache`.
    """
    dropped: list[str] = []
    request, names = with_wire_names(request, WIRE)
    shapes: dict[str, Shape] = {}
    form, answer = adapt_form(request.output_schema, traits, dropped)
    messages = in_words(request.messages, form, traits)
    body: dict[str, Any] = {"model": model, "messages": history(messages, model, traits.provider)}
    temperature, top_p = sampling(request, traits, dropped)
    stop = list(request.stop) or None
    if stop and not traits.stop:
        dropped.append("stop: the model does not support stop sequences")
        stop = None
    fields: dict[str, Any] = {
        "temperature": temperature,
        "top_p": top_p,
        traits.token_limit: request.max_tokens,
        "stop": stop,
        "seed": request.seed,
        **_tools(request, traits, dropped, shapes),
        "response_format": None if form is None else _format(form, traits),
        "reasoning_effort": _effort(request, traits, dropped),
    }
    body.update((name, value) for name, value in fields.items() if value is not None)
    dropped += list_dropped(request, WIRE, model, traits.provider)
    if stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    if has_cache_key:
        body |= build_cache_fields(request, model)
    more = split(request.extra.get(traits.provider))
    body = overlay(body, to_chat(more.body))
    return Encoded(
        "/chat/completions",
        body,
        tuple(dropped),
        more.headers,
        model=model,
        account=account,
        query=more.query,
        restoration=restoration_of(names, shapes, answer),
    )


def _effort(request: Request, traits: Model, dropped: list[str]) -> str | None:
    """Return the reasoning effort. Newer models accept the highest one, and any with tools, only in Responses."""
    reasoning = request.reasoning
    effort_level = effort(reasoning, traits, dropped, without="max")
    if reasoning is not None and reasoning.summary and traits.reasoning == "effort":
        dropped.append("reasoning.summary: Chat Completions do not support it")
    if request.tools and traits.api == "responses" and effort_level not in (None, "none"):
        dropped.append("reasoning: the model supports it together with tools only in the Responses API")
        return None
    return effort_level


def _tools(request: Request, traits: Model, dropped: list[str], shapes: dict[str, Shape]) -> dict[str, Any]:
    """Return the tools and the tool choice; empty if there are no tools, as servers require."""
    tools = [one for tool in request.tools if (one := _tool(tool, traits, dropped, shapes)) is not None]
    if not tools:
        return {}
    fields: dict[str, Any] = {"tools": tools}
    if (choice := request.tool_choice) is not None:
        fields["tool_choice"] = choice.mode
        if choice.mode == "tool":
            kind = "custom" if _is_custom(choice.name, request.tools) else "function"
            fields["tool_choice"] = {"type": kind, kind: {"name": choice.name}}
    if request.parallel_tool_calls is not None:
        if traits.parallel_tool_calls:
            fields["parallel_tool_calls"] = request.parallel_tool_calls
        else:
            dropped.append("parallel_tool_calls: the model does not support it")
    return fields


def _is_custom(name: str | None, tools: Sequence[Tool | ServerTool]) -> bool:
    return any(isinstance(tool, ServerTool) and tool.is_custom and name_of(tool.body) == name for tool in tools)


def _tool(
    tool: Tool | ServerTool, traits: Model, dropped: list[str], shapes: dict[str, Shape]
) -> dict[str, Any] | None:
    if isinstance(tool, ServerTool):
        if tool.is_custom:
            return to_chat_tool(tool.body)
        return dict(tool.body) if tool.api == WIRE else None
    parameters, strict, shapes[tool.name] = adapt_tool(tool, traits, dropped)
    function: dict[str, Any] = {"name": tool.name, "parameters": parameters}
    if tool.description:
        function["description"] = tool.description
    if strict is not None:
        function["strict"] = strict
    extras = tool.extras.get(traits.provider) or {}
    beside = {name: value for name, value in extras.items() if name not in RESPONSES_ONLY}
    return overlay({"type": "function", "function": function}, beside)


def _format(form: OutputSchema, traits: Model) -> dict[str, Any]:
    if form.schema is None or not traits.json_schema:
        return {"type": "json_object"}
    json_schema: dict[str, Any] = {"name": form.name, "schema": form.schema}
    if form.description:
        json_schema["description"] = form.description
    if form.strict is not None:
        json_schema["strict"] = form.strict
    return {"type": "json_schema", "json_schema": json_schema}
