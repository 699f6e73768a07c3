"""Anthropic's Messages API, as strict as the vendor's: POST /v1/messages."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Mapping
from typing import Any

from tests.vendors import checks
from tests.vendors.asked import Asked, Call, Offered, Refused, Result, Turn
from tests.vendors.issued import Issued

_TOP = frozenset(
    "model messages max_tokens system metadata stop_sequences stream temperature top_k top_p tools tool_choice thinking "
    "output_config service_tier container inference_geo speed cache_control thread".split()
)
_BLOCKS = {
    "text": {"text", "citations", "cache_control"},
    "image": {"source", "cache_control"},
    "document": {"source", "title", "context", "citations", "cache_control"},
    "search_result": {"source", "title", "content", "citations", "cache_control"},
    "thinking": {"thinking", "signature"},
    "redacted_thinking": {"data"},
    "tool_use": {"id", "name", "input", "cache_control", "caller"},
    "tool_result": {"tool_use_id", "content", "is_error", "cache_control"},
    "server_tool_use": {"id", "name", "input", "cache_control", "caller"},
    "web_search_tool_result": {"tool_use_id", "content", "cache_control", "caller"},
    "web_fetch_tool_result": {"tool_use_id", "content", "cache_control", "caller"},
    "code_execution_tool_result": {"tool_use_id", "content", "cache_control"},
    "bash_code_execution_tool_result": {"tool_use_id", "content", "cache_control"},
    "text_editor_code_execution_tool_result": {"tool_use_id", "content", "cache_control"},
}
_OF_USER = {"text", "image", "document", "search_result", "tool_result"}
_OF_ASSISTANT = set(_BLOCKS) - {"image", "document", "search_result", "tool_result"}
_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_NEWEST = ("claude-[a-z]*[a-z]-5*", "claude-opus-4-[78]*")  # they refuse sampling parameters, whatever the version
_UNFORCED = ("claude-sonnet-5-5*", "claude-opus-5-5*")
_BY_BUDGET = ("claude-*-4-[0-6]*", "claude-*-4-2*", "claude-3-7*", "claude-haiku-4-5*")


def _like(model: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(model, pattern) for pattern in patterns)


def read(body: dict[str, Any], headers: Mapping[str, str], issued: Issued) -> Asked:
    """The request, or the vendor's refusal."""
    checks.known(body, _TOP, "{key}: Extra inputs are not permitted")
    if body.get("thread") is not None:  # as for an organization without threads
        raise Refused("thread: not available for this request", code="thread_unsupported_request")
    for name in ("model", "messages", "max_tokens"):
        if name not in body:
            raise Refused(f"{name}: Field required")
    model, most = body["model"], body["max_tokens"]
    if not isinstance(most, int) or most < 1:
        raise Refused("max_tokens: Input should be greater than or equal to 1")
    _sampling(body, model, headers.get("anthropic-version", ""))
    asked = Asked(
        model, [], max_tokens=most, stop=list(body.get("stop_sequences") or ()), stream=bool(body.get("stream"))
    )
    if any(not stop.strip() for stop in asked.stop):
        raise Refused("stop_sequences: each stop sequence must contain non-whitespace")
    _tools(body, asked)
    _thinking(body, asked)
    _form(body, asked)
    system = body.get("system", "")
    if isinstance(system, list):
        for i, block in enumerate(system):
            _block(block, f"system.{i}", {"text"}, model, issued)
        system = "\n".join(block["text"] for block in system)
    asked.system = system
    _messages(checks.a_list(body["messages"], "messages: at least one message is required"), asked, issued)
    if asked.thinking and body["thinking"]["type"] == "enabled":
        _begins_with_thinking(body["messages"])
    marks = json.dumps(body).count('"cache_control": {')
    if marks > 4:
        raise Refused(f"A maximum of 4 blocks with cache_control may be provided. Found {marks}.")
    asked.marked = marks > 0
    return asked


def _sampling(body: dict[str, Any], model: str, version: str) -> None:
    given = [name for name in ("temperature", "top_p", "top_k") if name in body]
    if not version:
        raise Refused("anthropic-version: header is required")
    if given and (version >= "2026-10-21" or _like(model, _NEWEST)):
        raise Refused(f"{given[0]}: Extra inputs are not permitted")
    if {"temperature", "top_p"} <= set(given) and not _like(model, ("claude-3*",)):
        raise Refused("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
    if not 0 <= body.get("temperature", 0) <= 1:
        raise Refused("temperature: range: 0..1")
    if body.get("temperature", 1) != 1 and (body.get("thinking") or {}).get("type") in ("enabled", "adaptive"):
        raise Refused("`temperature` may only be set to 1 when thinking is enabled.")


def _tools(body: dict[str, Any], asked: Asked) -> None:
    for i, tool in enumerate(body.get("tools") or ()):
        if tool.get("type", "custom") != "custom":
            continue  # the vendor runs it
        checks.known(
            tool,
            (
                "type",
                "name",
                "description",
                "input_schema",
                "cache_control",
                "strict",
                "eager_input_streaming",
                "defer_loading",
                "allowed_callers",
                "input_examples",
            ),
            f"tools.{i}.custom.{{key}}: Extra inputs are not permitted",
        )
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", str(tool.get("name", ""))):
            raise Refused(f"tools.{i}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        schema = checks.an_object(tool.get("input_schema"), f"tools.{i}.custom.input_schema: Field required")
        if schema.get("type") != "object":
            raise Refused(f"tools.{i}.custom.input_schema.type: Input should be 'object'")
        if tool.get("strict"):
            _strict(schema, f"tools.{i}.custom")
        asked.tools.append(Offered(tool["name"], tool.get("description", ""), schema))
    if len({tool.name for tool in asked.tools}) < len(asked.tools):
        raise Refused("tools: Tool names must be unique.")
    choice = body.get("tool_choice")
    if choice is None:
        return
    checks.known(
        choice, ("type", "name", "disable_parallel_tool_use"), "tool_choice.{key}: Extra inputs are not permitted"
    )
    kind = choice.get("type")
    if kind not in ("auto", "any", "tool", "none"):
        raise Refused("tool_choice.type: Input tag must be one of 'auto', 'any', 'none', 'tool'")
    if not body.get("tools") and kind != "none":
        raise Refused("tool_choice may only be specified while providing tools.")
    if kind in ("any", "tool"):
        if _like(asked.model, _UNFORCED):
            raise Refused(f"tool_choice: type '{kind}' is not supported on this model.")
        if (body.get("thinking") or {}).get("type") in ("enabled", "adaptive"):
            raise Refused("Thinking may not be enabled when tool_choice forces tool use.")
    if kind == "tool" and choice.get("name") not in [tool.name for tool in asked.tools]:
        raise Refused(f"Tool '{choice.get('name')}' not found in provided tools")
    asked.choice = {"any": "required", "tool": f"={choice.get('name')}"}.get(kind, kind)
    asked.parallel = not choice.get("disable_parallel_tool_use", False)


def _strict(schema: dict[str, Any], where: str) -> None:
    checks.strict(schema, f"{where}: For 'object' type:", everything=False)
    checks.plain(
        schema,
        (
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "multipleOf",
            "minLength",
            "maxLength",
            "maxItems",
        ),
        f"{where}: property '{{key}}' is not supported",
    )


def _thinking(body: dict[str, Any], asked: Asked) -> None:
    thinking = body.get("thinking")
    if thinking is None:
        asked.thinking = _like(asked.model, ("claude-opus-5-5*",))
        return
    kind = thinking.get("type")
    checks.known(thinking, ("type", "budget_tokens", "display"), "thinking.{key}: Extra inputs are not permitted")
    if kind == "enabled":
        if not _like(asked.model, _BY_BUDGET):
            raise Refused("thinking.type: 'enabled' is not supported on this model. Use 'adaptive'.")
        budget = thinking.get("budget_tokens")
        if not isinstance(budget, int) or budget < 1024:
            raise Refused("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        if budget >= body["max_tokens"]:
            raise Refused("`max_tokens` must be greater than `thinking.budget_tokens`.")
    elif kind == "adaptive" and _like(asked.model, ("claude-*-4-[0-5]*", "claude-*-4-2*", "claude-3*")):
        raise Refused("adaptive thinking is not supported on this model")
    elif kind not in ("adaptive", "disabled", "between_tools"):
        raise Refused("thinking.type: Input tag must be one of 'adaptive', 'disabled', 'enabled'")
    asked.thinking = kind in ("enabled", "adaptive")
    asked.shown = thinking.get("display", "summarized" if kind == "enabled" else "omitted") == "summarized"


def _form(body: dict[str, Any], asked: Asked) -> None:
    config = body.get("output_config") or {}
    checks.known(config, ("effort", "format"), "output_config.{key}: Extra inputs are not permitted")
    if config.get("effort", "low") not in ("low", "medium", "high", "xhigh", "max"):
        raise Refused("output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'")
    if (form := config.get("format")) is not None:
        checks.known(form, ("type", "schema"), "output_config.format.{key}: Extra inputs are not permitted")
        if form.get("type") != "json_schema":
            raise Refused("output_config.format.type: Input should be 'json_schema'")
        asked.schema = checks.an_object(form.get("schema"), "output_config.format.schema: Field required")
        _strict(asked.schema, "output_config.format.schema")


def _messages(messages: list[Any], asked: Asked, issued: Issued) -> None:
    open_calls: dict[str, str] = {}
    used: set[str] = set()
    for i, message in enumerate(messages):
        where = f"messages.{i}"
        checks.known(message, ("role", "content"), f"{where}.{{key}}: Extra inputs are not permitted")
        role = message.get("role")
        content: Any = message.get("content")
        if role not in ("user", "assistant"):
            raise Refused(
                f'{where}: Unexpected role "{role}". The Messages API accepts a top-level `system` parameter.'
            )
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        if not isinstance(content, list) or (not content and (role == "user" or i < len(messages) - 1)):
            raise Refused(
                f"{where}: all messages must have non-empty content except for the optional final assistant message"
            )
        turn = Turn(role)
        if asked.turns and asked.turns[-1].role == role and not open_calls:
            turn = asked.turns[-1]  # the vendor merges neighbours
        else:
            asked.turns.append(turn)
        answered, others = set(), False
        for j, block in enumerate(content):
            _block(block, f"{where}.content.{j}", _OF_USER if role == "user" else _OF_ASSISTANT, asked.model, issued)
            match block["type"]:
                case "text":
                    turn.texts.append(block["text"])
                    others = True
                case "image" | "document" as kind:
                    turn.seen.append("an image" if kind == "image" else "a document")
                    others = True
                case "tool_use":
                    if block["id"] in used:
                        raise Refused(f"{where}.content.{j}: `tool_use` ids must be unique")
                    used.add(block["id"])
                    turn.calls.append(Call(block["name"], block["input"], block["id"]))
                case "tool_result":
                    name = open_calls.get(block["tool_use_id"])
                    if name is None or block["tool_use_id"] in answered:
                        raise Refused(
                            f"{where}.content.{j}: unexpected `tool_use_id` found in `tool_result` blocks: {block['tool_use_id']}. "
                            "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
                        )
                    if others:
                        raise Refused(f"{where}: `tool_result` blocks must come first in the content")
                    answered.add(block["tool_use_id"])
                    inner = block.get("content", "")
                    parts = [{"type": "text", "text": inner}] if isinstance(inner, str) else inner
                    text = "".join(part["text"] for part in parts if part["type"] == "text")
                    turn.results.append(Result(name, text, bool(block.get("is_error"))))
                    turn.seen += [
                        "an image" if p["type"] == "image" else "a document"
                        for p in parts
                        if p["type"] in ("image", "document")
                    ]
                case _:
                    pass
        if missing := set(open_calls) - answered:
            raise Refused(
                f"{where}: `tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(sorted(missing))}. "
                "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
            )
        open_calls = {b["id"]: b["name"] for b in content if b["type"] == "tool_use"}
    if open_calls:
        raise Refused(
            f"messages: `tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(open_calls)}."
        )
    if messages[-1]["role"] == "assistant":
        if _like(asked.model, _NEWEST) or asked.thinking:
            raise Refused(
                "This model does not support assistant message prefill. The conversation must end with a user message."
            )
        if asked.turns[-1].texts and asked.turns[-1].texts[-1] != asked.turns[-1].texts[-1].rstrip():
            raise Refused("messages: final assistant content cannot end with trailing whitespace")


def _block(block: Any, where: str, allowed: set[str], model: str, issued: Issued) -> None:
    kind = checks.an_object(block, f"{where}: Input should be an object").get("type")
    if kind not in allowed:
        raise Refused(
            f"{where}: Input tag '{kind}' found using 'type' does not match any of the expected tags: {', '.join(map(repr, sorted(allowed)))}"
        )
    checks.known(block, _BLOCKS[kind] | {"type"}, f"{where}.{kind}.{{key}}: Extra inputs are not permitted")
    match kind:
        case "text":
            if not isinstance(block.get("text"), str) or not block["text"]:
                raise Refused(f"{where}: text content blocks must be non-empty")
            if not block["text"].strip():
                raise Refused(f"{where}: text content blocks must contain non-whitespace text")
        case "image" | "document":
            _source(
                checks.an_object(block.get("source"), f"{where}.{kind}.source: Field required"),
                f"{where}.{kind}.source",
                kind,
            )
        case "thinking":
            if not isinstance(block.get("thinking"), str):
                raise Refused(f"{where}.thinking.thinking: Field required")
            issued.check(
                block.get("signature"), "anthropic", model, f"{where}: Invalid `signature` in `thinking` block"
            )
        case "tool_use" | "server_tool_use":
            pattern = r"[a-zA-Z0-9_-]+" if kind == "tool_use" else r"srvtoolu_[a-zA-Z0-9_]+"
            if not re.fullmatch(pattern, str(block.get("id", ""))):
                raise Refused(f"{where}.{kind}.id: String should match pattern '^{pattern}$'")
            checks.an_object(block.get("input"), f"{where}.{kind}.input: Input should be a valid dictionary")
        case "tool_result":
            inner = block.get("content", "")
            for j, part in enumerate(inner if isinstance(inner, list) else ()):
                _block(
                    part,
                    f"{where}.tool_result.content.{j}",
                    {"text", "image", "document", "search_result"},
                    model,
                    issued,
                )
        case _:
            pass
    if mark := block.get("cache_control"):
        if mark.get("type") != "ephemeral" or mark.get("ttl", "5m") not in ("5m", "1h") or set(mark) - {"type", "ttl"}:
            raise Refused(f"{where}.cache_control: Input should be ephemeral")


def _source(source: dict[str, Any], where: str, kind: str) -> None:
    match source:
        case {"type": "base64", "media_type": media, "data": data, **rest} if not rest:
            if media not in (_IMAGES if kind == "image" else ("application/pdf",)):
                raise Refused(f"{where}.base64.media_type: Input should be one of {_IMAGES}, not {media}")
            if not checks.bytes_in(data, f"{where}.base64.data: invalid base64"):
                raise Refused(f"{where}.base64.data: image cannot be empty")
        case {"type": "url", "url": str(url), **rest} if not rest and url.startswith(("http://", "https://")):
            pass
        case {"type": "file", "file_id": str(), **rest} if not rest:
            pass
        case {"type": "text", "media_type": "text/plain", "data": str(), **rest} if not rest and kind == "document":
            pass
        case {"type": "content", "content": _, **rest} if not rest and kind == "document":
            pass
        case _:
            raise Refused(f"{where}: Input does not match any of the expected sources")


def _begins_with_thinking(messages: list[Any]) -> None:
    """In an open tool loop, the turn that asked for the tools must begin with what was thought."""
    last = messages[-1]["content"]
    if not isinstance(last, list) or not any(block["type"] == "tool_result" for block in last):
        return
    place = max(i for i, message in enumerate(messages) if message["role"] == "assistant")
    first = messages[place]["content"][0]["type"]
    if first not in ("thinking", "redacted_thinking"):
        raise Refused(
            f"messages.{place}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first}`. When `thinking` is "
            "enabled, a final `assistant` message must start with a thinking block (preceding the lastmost set of `tool_use` and "
            "`tool_result` blocks)."
        )
