"""OpenAI's Responses, as strict as the vendor's: POST /v1/responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.vendors import chat, checks
from tests.vendors.asked import Asked, Call, Refused, Result, Turn
from tests.vendors.issued import Issued

_TOP = frozenset(
    "model input background context_management conversation include instructions max_output_tokens max_tool_calls metadata "
    "parallel_tool_calls previous_response_id prompt prompt_cache_key prompt_cache_retention reasoning safety_identifier "
    "service_tier store stream stream_options temperature text tool_choice tools top_logprobs top_p truncation user".split()
)
_ITEMS = {
    "message": {"role", "content", "id", "status", "phase"},
    "function_call": {"call_id", "name", "arguments", "id", "status"},
    "function_call_output": {"call_id", "output", "id", "status"},
    "reasoning": {"id", "summary", "content", "encrypted_content", "status"},
    "item_reference": {"id"},
    "web_search_call": {"id", "action", "status"},
    "file_search_call": {"id", "queries", "status", "results"},
    "code_interpreter_call": {"id", "code", "container_id", "outputs", "status"},
    "image_generation_call": {"id", "result", "status"},
    "mcp_call": {"id", "arguments", "name", "server_label", "approval_request_id", "error", "output", "status"},
}
_PREFIXES = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fc",
    "reasoning": "rs",
    "web_search_call": "ws",
}
_PARTS = {
    "input_text": {"text"},
    "input_image": {"image_url", "file_id", "detail"},
    "input_file": {"file_data", "file_id", "file_url", "filename", "detail"},
    "output_text": {"text", "annotations", "logprobs"},
    "refusal": {"refusal"},
}


def read(body: dict[str, Any], headers: Mapping[str, str], issued: Issued) -> Asked:
    """The request, or the vendor's refusal."""
    checks.known(body, _TOP, "Unknown parameter: '{key}'.")
    if not isinstance(body.get("model"), str):
        raise Refused("Missing required parameter: 'model'.", "model", "missing_required_parameter")
    asked = Asked(body["model"], [], stream=bool(body.get("stream")), max_tokens=body.get("max_output_tokens"))
    if asked.max_tokens is not None and asked.max_tokens < 16:
        raise Refused(
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16.",
            "max_output_tokens",
            "integer_below_min_value",
        )
    _reasoning(body, asked)
    chat.sampling({**body, "reasoning_effort": (body.get("reasoning") or {}).get("effort")}, asked.model)
    _tools(body, asked)
    _form(body, asked)
    asked.system = body.get("instructions") or ""
    given = body.get("input")
    if isinstance(given, str):
        asked.turns.append(Turn("user", [given]))
    else:
        _items(
            checks.a_list(given, "Missing required parameter: 'input'."),
            asked,
            issued,
            stored=body.get("store") is not False,
        )
    return asked


def _reasoning(body: dict[str, Any], asked: Asked) -> None:
    given = body.get("reasoning")
    asked.thinking = chat.reasons(asked.model)
    if given is None:
        return
    checks.known(
        given, ("effort", "summary", "generate_summary", "context", "mode"), "Unknown parameter: 'reasoning.{key}'."
    )
    if not asked.thinking:
        raise Refused(
            "Unsupported parameter: 'reasoning.effort' is not supported with this model.",
            "reasoning.effort",
            "unsupported_parameter",
        )
    if given.get("effort") not in (None, *chat.EFFORTS):
        raise Refused(f"Invalid value: '{given['effort']}'.", "reasoning.effort", "invalid_value")
    if given.get("effort") == "none" and asked.model.startswith(("gpt-6-astra", "gpt-6.1-sol")):
        raise Refused(
            "Unsupported value: 'none' is not supported with this model.", "reasoning.effort", "unsupported_value"
        )
    if given.get("summary") not in (None, "auto", "concise", "detailed"):
        raise Refused(f"Invalid value: '{given['summary']}'.", "reasoning.summary", "invalid_value")
    asked.thinking = given.get("effort") != "none"
    asked.shown = given.get("summary") is not None


def _tools(body: dict[str, Any], asked: Asked) -> None:
    for i, tool in enumerate(body.get("tools") or []):
        if tool.get("type") == "function":
            rest = {key: value for key, value in tool.items() if key != "type"}
            asked.tools.append(chat.function(rest, f"tools[{i}]", ("defer_loading",)))
        elif not isinstance(tool.get("type"), str) or "function" in tool:
            raise Refused(
                f"Missing required parameter: 'tools[{i}].type'.", f"tools[{i}].type", "missing_required_parameter"
            )
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") not in ("function", None):
        return  # a tool that the vendor runs
    chat.choose(body, asked, lambda choice: choice.get("name"), {"type", "name"})


def _form(body: dict[str, Any], asked: Asked) -> None:
    text = body.get("text") or {}
    checks.known(text, ("format", "verbosity"), "Unknown parameter: 'text.{key}'.")
    form = text.get("format")
    if form is None or form == {"type": "text"}:
        return
    if form.get("type") == "json_object":
        chat.json_word(body.get("input"), "input")
        asked.schema = {}
    elif form.get("type") == "json_schema":
        asked.schema = chat.named_schema(form, "response_format", "text.format", ("type",))
    else:
        raise Refused(
            f"Invalid value: '{form.get('type')}'. Supported values are: 'json_object', 'json_schema', and 'text'.",
            "text.format.type",
            "invalid_value",
        )


def _items(items: list[Any], asked: Asked, issued: Issued, *, stored: bool) -> None:
    open_calls: dict[str, str] = {}
    calls: dict[str, str] = {}
    before: dict[str, Any] = {}
    for i, item in enumerate(items):
        where, kind = f"input[{i}]", item.get("type", "message" if "role" in item else None)
        if kind not in _ITEMS:
            raise Refused(
                f"Invalid value: '{kind}'. Supported values are: {', '.join(map(repr, _ITEMS))}.",
                where,
                "invalid_value",
            )
        checks.known(item, _ITEMS[kind] | {"type"}, f"Unknown parameter: '{where}.{{key}}'.")
        _ids(item, kind, where, before, issued, stored=stored)
        match kind:
            case "message":
                _message(item, where, asked)
            case "function_call":
                if not isinstance(item.get("arguments"), str) or not 0 < len(str(item.get("call_id", ""))) <= 64:
                    raise Refused(
                        f"Invalid '{where}.call_id': string too long. Expected a string with maximum length 64.",
                        f"{where}.call_id",
                    )
                if not chat.NAME.fullmatch(str(item.get("name", ""))):
                    raise Refused(f"Invalid '{where}.name': string does not match pattern.", f"{where}.name")
                calls[item["call_id"]] = open_calls[item["call_id"]] = item["name"]
                _turn(asked, "assistant").calls.append(
                    Call(item["name"], chat.arguments(item["arguments"]), item["call_id"])
                )
            case "function_call_output":
                if item.get("call_id") not in open_calls:
                    raise Refused(
                        f"No tool call found for function call output with call_id {item.get('call_id')}.", "input"
                    )
                turn = Turn("user")
                output = item.get("output")
                if isinstance(output, list):
                    _content(output, f"{where}.output", turn, ("input_text", "input_image", "input_file"))
                elif isinstance(output, str):
                    turn.texts.append(output)
                else:
                    raise Refused(
                        f"Missing required parameter: '{where}.output'.",
                        f"{where}.output",
                        "missing_required_parameter",
                    )
                said = "".join(turn.texts)
                turn.results, turn.texts = (
                    [Result(open_calls.pop(item["call_id"]), said, "error" in said[:20].lower())],
                    [],
                )
                asked.turns.append(turn)
            case _:
                pass
        before = item
    if open_calls:
        raise Refused(f"No tool output found for function call {', '.join(open_calls)}.", "input")
    if before.get("type") == "reasoning":
        raise Refused(
            f"Item '{before['id']}' of type 'reasoning' was provided without its required following item.", "input"
        )


def _ids(item: dict[str, Any], kind: str, where: str, before: dict[str, Any], issued: Issued, *, stored: bool) -> None:
    """Ids of items are OpenAI's own, and what was written after reasoning goes with it."""
    given = item.get("id")
    if given is not None and not str(given).startswith(_PREFIXES.get(kind, "")):
        prefix = _PREFIXES[kind]
        raise Refused(
            f"Invalid '{where}.id': '{given}'. Expected an ID that begins with '{prefix}'.",
            f"{where}.id",
            "invalid_value",
        )
    if kind == "reasoning":
        if not isinstance(item.get("summary"), list) or not isinstance(given, str):
            raise Refused(
                f"Missing required parameter: '{where}.summary'.", f"{where}.summary", "missing_required_parameter"
            )
        if not item.get("encrypted_content"):
            if not stored or given not in issued.items:
                raise Refused(
                    f"Item with id '{given}' not found. Items are not persisted when `store` is set to false.", "input"
                )
        else:
            issued.check_owner(
                item["encrypted_content"],
                "openai.responses",
                f"The encrypted content {str(item['encrypted_content'])[:8]}... could not be verified.",
                "invalid_encrypted_content",
            )
    elif kind == "item_reference":
        raise Refused(f"Item with id '{given}' not found.", "input")
    elif (
        kind in ("function_call", "message")
        and (needs := issued.items.get(str(given)))
        and issued.items.get(needs) == given
    ):
        if before.get("type") != "reasoning" or before.get("id") != needs:
            raise Refused(
                f"Item '{given}' of type '{kind}' was provided without its required 'reasoning' item: '{needs}'.",
                "input",
            )
    if before.get("type") == "reasoning" and kind == "reasoning":
        raise Refused(
            f"Item '{before['id']}' of type 'reasoning' was provided without its required following item.", "input"
        )
    if (
        before.get("type") == "reasoning"
        and kind not in ("reasoning", "function_call", "web_search_call")
        and item.get("role") != "assistant"
    ):
        raise Refused(
            f"Item '{before['id']}' of type 'reasoning' was provided without its required following item.", "input"
        )


def _turn(asked: Asked, role: Any) -> Turn:
    """The last turn, if it is of this role; or a new one."""
    if not asked.turns or asked.turns[-1].role != role:
        asked.turns.append(Turn(role))
    return asked.turns[-1]


def _message(item: dict[str, Any], where: str, asked: Asked) -> None:
    role, content = item.get("role"), item.get("content")
    if role not in ("user", "assistant", "system", "developer"):
        raise Refused(
            f"Invalid value: '{role}'. Supported values are: 'assistant', 'system', 'developer', and 'user'.",
            f"{where}.role",
            "invalid_value",
        )
    turn = Turn("assistant" if role == "assistant" else "user")
    if isinstance(content, str):
        turn.texts.append(content)
    else:
        allowed = ("output_text", "refusal") if role == "assistant" else ("input_text", "input_image", "input_file")
        _content(checks.a_list(content, f"Missing required parameter: '{where}.content'."), where, turn, allowed)
    if role in ("system", "developer"):
        asked.system += "\n".join(turn.texts)
    else:
        asked.turns.append(turn)


def _content(content: list[Any], where: str, turn: Turn, allowed: tuple[str, ...]) -> None:
    for j, part in enumerate(content):
        here, kind = f"{where}.content[{j}]", part.get("type")
        if kind not in allowed:
            raise Refused(
                f"Invalid value: '{kind}'. Supported values are: {', '.join(map(repr, allowed))}.",
                here,
                "invalid_value",
            )
        checks.known(part, _PARTS[kind] | {"type", "prompt_cache_breakpoint"}, f"Unknown parameter: '{here}.{{key}}'.")
        match kind:
            case "input_image":
                if "file_id" not in part:
                    media = checks.data_url(
                        part.get("image_url"),
                        f"Invalid '{here}.image_url'. Expected a valid URL, but got a value with an invalid format.",
                    )
                    if media and media not in ("image/png", "image/jpeg", "image/gif", "image/webp"):
                        raise Refused(
                            f"The image data you provided does not represent a valid image. Unsupported: {media}.",
                            here,
                            "invalid_image_format",
                        )
                turn.seen.append("an image")
            case "input_file":
                if "file_data" in part:
                    if not part.get("filename"):
                        raise Refused(
                            f"Missing required parameter: '{here}.filename'.", here, "missing_required_parameter"
                        )
                    checks.data_url(
                        part["file_data"], f"Invalid '{here}.file_data'. Expected a base64-encoded data URL."
                    )
                elif not part.get("file_url") and not part.get("file_id"):
                    raise Refused(f"Missing required parameter: '{here}.file_id'.", here, "missing_required_parameter")
                turn.seen.append("a document")
            case _:
                text = part.get("text", part.get("refusal"))
                if not isinstance(text, str):
                    raise Refused(f"Missing required parameter: '{here}.text'.", here, "missing_required_parameter")
                turn.texts.append(text)
