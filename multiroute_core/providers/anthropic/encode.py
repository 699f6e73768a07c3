"""Encoder for requests to Anthropic's `POST /v1/messages`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from multiroute_core.providers import body
from multiroute_core.providers.anthropic import credit, thinking
from multiroute_core.providers.anthropic.breakpoints import MARKS, set_breakpoints
from multiroute_core.providers.anthropic.schema import STRICT, StrictBudget, adapt_tool
from multiroute_core.providers.anthropic.turns import Block, Turns, plain
from multiroute_core.providers.dropped_content import list_dropped
from multiroute_core.providers.extra import merge_headers, split
from multiroute_core.providers.models import Model
from multiroute_core.providers.provider import Encoded
from multiroute_core.providers.restoring import Shape, restoration_of
from multiroute_core.providers.sampling import sampling
from multiroute_core.providers.schema_closing import close
from multiroute_core.providers.schema_nodes import InexpressibleError
from multiroute_core.providers.schema_roots import with_object_root
from multiroute_core.providers.tool_names import with_wire_names
from multiroute_core.tools import OutputSchema, ServerTool, Tool, ToolChoice
from multiroute_core.types import Request

SAMPLING_VERSION = "2023-06-01"
"""The API version that still accepts temperature and top_p. SDKs from 2.0 on send 2026-10-21, which rejects them."""
SAMPLING = ("temperature", "top_p", "top_k")

LEAST_OUTPUT = 4_096
"""Output tokens that every model supports."""

JSON_MODE = "Answer with one JSON object, and with nothing before or after it."
SCHEMA_MODE = "Answer with JSON that follows this JSON schema, and with nothing before or after it:"


def encode(
    request: Request, model: str, traits: Model, *, stream: bool, account: str | None = None, own_address: bool = False
) -> Encoded:
    """Encode a request: the body and its headers; `own_address` is whether it goes to Anthropic itself."""
    dropped = ["seed: the Messages API has no seed"] if request.seed is not None else []
    marks: list[Block] = []
    request, names = with_wire_names(request, "anthropic")
    shapes: dict[str, Shape] = {}
    form = request.output_schema
    more = split(request.extra.get("anthropic"))
    extra = dict(more.body)
    own_betas: Any = extra.pop("betas", None)  # the SDK's name for a header
    ask = _ask_form(form, request, traits, dropped) if form else _FormRequest()
    output_tool = ask.tool
    tools = _tools(request, traits, dropped, marks, shapes, None if output_tool else ask.schema)
    if form and output_tool:
        tools.append(_as_tool(form, output_tool, ask.schema or {}))
    builder = Turns(model, marks)
    # If all messages are system messages, they become the user turn.
    system = builder.system(request.messages) if any(m.role != "system" for m in request.messages) else []
    turns = builder.conversation(request.turns)
    if ask.words:
        system.append({"type": "text", "text": ask.words})
    caching = request.prompt_cache
    has_own_marks = set_breakpoints(tools, system, turns, extra, None if caching is None else caching.mode)
    # A mark moves with the conversation: what it leaves must keep its form.
    keeps_lists = has_own_marks or (caching is not None and bool(caching.mode))
    dropped += list_dropped(request, "anthropic", model)
    if marks[:-MARKS]:
        dropped.append(f"content.cache_control: the API takes {MARKS} marks; only the last ones are set")
    for block in marks[:-MARKS]:
        del block["cache_control"]

    max_tokens = request.max_tokens or traits.max_output or LEAST_OUTPUT
    thought = thinking.encode(request, traits, turns, max_tokens, dropped, tool_forced=output_tool is not None)
    sampled = dict(zip(SAMPLING, sampling(request, traits, dropped), strict=False))
    if thought.on:
        dropped += [
            f"{name}: not supported together with reasoning" for name, value in sampled.items() if value is not None
        ]
        sampled = {}
    config: dict[str, Any] = {"effort": thought.effort} if thought.effort else {}
    if ask.schema is not None and not output_tool:
        config["format"] = {"type": "json_schema", "schema": ask.schema}
    fields = {
        "model": model,
        "max_tokens": max_tokens,  # required by this API
        "system": (system or None) if keeps_lists else _system(system),
        "messages": turns if keeps_lists else [{**turn, "content": plain(turn["content"])} for turn in turns],
        "tools": tools or None,
        "tool_choice": _tool_choice(request, traits, dropped, output_tool, on=thought.on) if tools else None,
        "thinking": thought.thinking,
        "output_config": config or None,
        **sampled,
        "stop_sequences": list(request.stop) or None,
        "stream": stream or None,
    }
    payload = body.overlay({name: value for name, value in fields.items() if value is not None}, extra)
    headers = {"anthropic-version": SAMPLING_VERSION} if any(name in payload for name in SAMPLING) else {}
    betas: list[str] = list(own_betas or ())
    if credit.grants_credit(model, caching, own_address=own_address) and credit.BETA not in betas:
        betas.append(credit.BETA)
    if betas:
        headers["anthropic-beta"] = ",".join(betas)
    if more.headers:
        headers = _with_headers(headers, more.headers)
    if (token := credit.redeem_credit(model, account, caching, betas)) is not None:
        payload["fallback_credit_token"] = token
    return Encoded(
        "/v1/messages",
        payload,
        tuple(dropped),
        headers,
        model,
        output_tool,
        account=account,
        query=more.query,
        restoration=restoration_of(names, shapes, ask.shape),
    )


def _with_headers(own: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, str]:
    """Merge the caller's headers over our own; beta flags of both are combined."""
    merged = merge_headers(own, headers)
    if beta := own.get("anthropic-beta"):
        for name in headers:
            if name.lower() == "anthropic-beta":
                merged[name] = ",".join(dict.fromkeys(f"{beta},{headers[name]}".replace(" ", "").split(",")))
    return merged


def _system(blocks: list[Block]) -> str | list[Block] | None:
    """Join the system texts into one, unless one of them has a cache breakpoint."""
    if any("cache_control" in block for block in blocks):
        return blocks
    return "\n\n".join(block["text"] for block in blocks) or None


@dataclass(frozen=True, slots=True)
class _FormRequest:
    """How structured output is requested.

    Attributes:
        schema: The schema for structured outputs, or for the input of `tool`.
        tool: Name of a tool whose call is the response.
        words: An instruction for the prompt.
        shape: How the response is restored.
    """

    schema: Mapping[str, Any] | None = None
    tool: str | None = None
    words: str | None = None
    shape: Shape | None = None


def _ask_form(form: OutputSchema, request: Request, traits: Model, dropped: list[str]) -> _FormRequest:
    """Select structured outputs if they can express the schema, otherwise a tool, otherwise an instruction."""
    if form.schema is None:
        return _FormRequest(words=JSON_MODE)
    if traits.json_schema:
        try:
            schema, shape = close(form.schema, STRICT)
        except InexpressibleError as error:
            thinks = request.reasoning is not None and request.reasoning.effort != "none"
            by_tool = traits.forced_tool and not thinks
            instead = "a tool replaces it" if by_tool else "an instruction replaces it"
            dropped.append(f"output_schema: structured outputs cannot state {error}; {instead}")
            if not by_tool:
                schema_text = json.dumps(form.schema, ensure_ascii=False)
                return _FormRequest(words=f"{SCHEMA_MODE}\n{schema_text}")
        else:
            return _FormRequest(schema, shape=shape)
    schema, shape = with_object_root({"type": "object", **form.schema} if _is_object(form.schema) else form.schema)
    return _FormRequest(schema, _output_tool(form, request), shape=shape)


def _is_object(schema: Mapping[str, Any]) -> bool:
    """Return whether a schema without a type describes an object."""
    return "type" not in schema and "properties" in schema


def _output_tool(form: OutputSchema, request: Request) -> str:
    """Return a name, unused by other tools, for the tool that stands in for structured output."""
    name = form.name
    while any(isinstance(tool, Tool) and tool.name == name for tool in request.tools):
        name += "_"
    return name


def _as_tool(form: OutputSchema, name: str, schema: Mapping[str, Any]) -> Block:
    return {"name": name, "description": form.description or "Gives the answer.", "input_schema": schema}


def _tools(
    request: Request,
    traits: Model,
    dropped: list[str],
    marks: list[Block],
    shapes: dict[str, Shape],
    output_schema: Mapping[str, Any] | None,
) -> list[Block]:
    if not request.tools:
        return []
    if not traits.json_schema and any(isinstance(tool, Tool) and tool.strict for tool in request.tools):
        dropped.append("strict: the model does not support strict tools")
    budget = StrictBudget(output_schema)
    blocks = [
        dict(tool.body) if isinstance(tool, ServerTool) else _tool(tool, traits, dropped, shapes, budget)
        for tool in request.tools
    ]
    marks += [tool for tool in blocks if "cache_control" in tool]
    return blocks


def _tool(tool: Tool, traits: Model, dropped: list[str], shapes: dict[str, Shape], budget: StrictBudget) -> Block:
    schema, strict, shapes[tool.name] = adapt_tool(tool, dropped, budget, can_be_strict=traits.json_schema)
    block: Block = {"name": tool.name, "input_schema": schema}
    if tool.description:
        block["description"] = tool.description
    if strict:
        block["strict"] = True
    return {**block, **tool.extras.get("anthropic", {})}


def _tool_choice(
    request: Request, traits: Model, dropped: list[str], output_tool: str | None, *, on: bool
) -> Block | None:
    choice = request.tool_choice or (
        ToolChoice("auto") if output_tool or request.parallel_tool_calls is False else None
    )
    if choice is None:
        return None
    mode = choice.mode
    name = choice.name
    if output_tool and mode in ("auto", "none"):  # the response is a tool call in any case
        mode, name = ("required", None) if mode == "auto" and request.tools else ("tool", output_tool)
    if mode in ("required", "tool") and (on or not traits.forced_tool):
        dropped.append(f"tool_choice: the model cannot be forced to use a tool{' while it reasons' if on else ''}")
        mode = "auto"
    block: Block = {"type": {"required": "any"}.get(mode, mode)}
    if mode == "tool":
        block["name"] = name
    if request.parallel_tool_calls is False and mode != "none":
        block["disable_parallel_tool_use"] = True
    return block
