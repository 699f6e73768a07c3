"""OpenAI's Chat Completions, as strict as the vendor's: POST /v1/chat/completions."""

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
    "model messages audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens "
    "metadata modalities n parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_retention "
    "reasoning_effort response_format safety_identifier seed service_tier stop store stream stream_options temperature "
    "tool_choice tools top_logprobs top_p user verbosity web_search_options".split()
)
_MESSAGES = {
    "system": {"content", "name"},
    "developer": {"content", "name"},
    "user": {"content", "name"},
    "assistant": {"content", "name", "refusal", "tool_calls", "audio", "function_call"},
    "tool": {"content", "tool_call_id", "name"},  # LangChain's JavaScript client sends a name
}
_PARTS = {
    "system": {"text"},
    "developer": {"text"},
    "user": {"text", "image_url", "input_audio", "file"},
    "assistant": {"text", "refusal"},
    "tool": {"text"},
}
_SUPPORTED = {"text", "image_url", "input_audio", "refusal", "audio", "file"}
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def reasons(model: str) -> bool:
    """Whether the model thinks before it answers."""
    return any(fnmatch.fnmatchcase(model, p) for p in ("gpt-5*", "gpt-6*", "o[1-9]*")) and "-chat" not in model


def read(body: dict[str, Any], headers: Mapping[str, str], issued: Issued) -> Asked:
    """The request, or the vendor's refusal."""
    checks.known(body, _TOP, "Unrecognized request argument supplied: {key}")
    if not isinstance(body.get("model"), str):
        raise Refused("you must provide a model parameter", "model")
    asked = Asked(body["model"], [], stream=bool(body.get("stream")))
    _parameters(body, asked)
    _tools(body, asked)
    _form(body, asked)
    _messages(
        checks.a_list(
            body.get("messages"), "Invalid 'messages': empty array. Expected an array with minimum length 1."
        ),
        asked,
    )
    return asked


def sampling(body: dict[str, Any], model: str) -> None:
    """Refuse what a reasoning model does not take; and what is out of range."""
    if reasons(model):
        for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "stop"):
            if name in body and body.get("reasoning_effort") != "none":
                raise Refused(
                    f"Unsupported parameter: '{name}' is not supported with this model.", name, "unsupported_parameter"
                )
    if not 0 <= body.get("temperature", 0) <= 2:
        raise Refused("Invalid 'temperature': decimal out of range. Expected 0 to 2.", "temperature")


def _parameters(body: dict[str, Any], asked: Asked) -> None:
    sampling(body, asked.model)
    if reasons(asked.model) and "max_tokens" in body:
        raise Refused(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            "max_tokens",
            "unsupported_parameter",
        )
    if not reasons(asked.model) and "reasoning_effort" in body:
        raise Refused("Unrecognized request argument supplied: reasoning_effort", "reasoning_effort")
    if body.get("reasoning_effort", "low") not in EFFORTS:
        raise Refused(f"Invalid value: '{body['reasoning_effort']}'.", "reasoning_effort", "invalid_value")
    asked.thinking = reasons(asked.model) and body.get("reasoning_effort") != "none"
    asked.max_tokens = body.get("max_completion_tokens", body.get("max_tokens"))
    if asked.max_tokens is not None and (not isinstance(asked.max_tokens, int) or asked.max_tokens < 1):
        raise Refused("Invalid 'max_tokens': integer below minimum value. Expected a value >= 1.", "max_tokens")
    stop = body.get("stop") or []
    asked.stop = [stop] if isinstance(stop, str) else stop
    if len(asked.stop) > 4:
        raise Refused("Invalid 'stop': array too long. Expected an array with maximum length 4.", "stop")
    if "stream_options" in body and not asked.stream:
        raise Refused("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")


def _tools(body: dict[str, Any], asked: Asked) -> None:
    tools = body.get("tools")
    for i, tool in enumerate(checks.a_list(tools, "[] is too short - 'tools'") if tools is not None else ()):
        checks.known(tool, ("type", "function"), f"Unknown parameter: 'tools[{i}].{{key}}'.")
        if tool.get("type") != "function":
            raise Refused(
                f"Invalid value: '{tool.get('type')}'. Supported values are: 'function' and 'custom'.",
                f"tools[{i}].type",
            )
        asked.tools.append(function(tool.get("function") or {}, f"tools[{i}].function"))
    choose(body, asked, lambda choice: choice.get("function", {}).get("name"), {"type", "function"})


def function(tool: dict[str, Any], where: str, more: tuple[str, ...] = ()) -> Offered:
    """A function that is offered."""
    checks.known(tool, ("name", "description", "parameters", "strict", *more), f"Unknown parameter: '{where}.{{key}}'.")
    name = str(tool.get("name", ""))
    if not NAME.fullmatch(name):
        raise Refused(
            f"Invalid '{where}.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
            f"{where}.name",
            "invalid_value",
        )
    schema = tool.get("parameters") or {"type": "object", "properties": {}}
    message = f"Invalid schema for function '{name}': "
    if schema.get("type") != "object" or "properties" not in schema:
        raise Refused(
            message + "schema must be a JSON Schema of 'type: \"object\"'.",
            f"{where}.parameters",
            "invalid_function_parameters",
        )
    if tool.get("strict"):
        checks.strict(schema, message + "In context=(),", everything=True)
    return Offered(name, tool.get("description") or "", schema)


def choose(body: dict[str, Any], asked: Asked, name_of: Any, allowed: set[str]) -> None:
    """Whether a tool must be called."""
    choice = body.get("tool_choice")
    if "parallel_tool_calls" in body and not body.get("tools"):
        raise Refused(
            "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed when 'tools' are specified.",
            "parallel_tool_calls",
        )
    asked.parallel = body.get("parallel_tool_calls") is not False
    if choice is None:
        return
    if not body.get("tools"):
        raise Refused(
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.", "tool_choice"
        )
    if isinstance(choice, str):
        if choice not in ("none", "auto", "required"):
            raise Refused(
                f"Invalid value: '{choice}'. Supported values are: 'none', 'auto', and 'required'.",
                "tool_choice",
                "invalid_value",
            )
        asked.choice = choice
        return
    checks.known(choice, allowed, "Unknown parameter: 'tool_choice.{key}'.")
    if name_of(choice) not in [tool.name for tool in asked.tools]:
        raise Refused(f"Tool choice '{name_of(choice)}' not found in 'tools' parameter.", "tool_choice")
    asked.choice = f"={name_of(choice)}"


def _form(body: dict[str, Any], asked: Asked) -> None:
    form = body.get("response_format")
    if form is None or form == {"type": "text"}:
        return
    if form.get("type") == "json_object":
        json_word(body.get("messages"), "messages")
        asked.schema = {}
        return
    checks.known(form, ("type", "json_schema"), "Unknown parameter: 'response_format.{key}'.")
    if form.get("type") != "json_schema":
        raise Refused(
            f"Invalid value: '{form.get('type')}'. Supported values are: 'json_object', 'json_schema', and 'text'.",
            "response_format.type",
        )
    asked.schema = named_schema(form.get("json_schema") or {}, "response_format", "response_format.json_schema")


def named_schema(given: dict[str, Any], what: str, where: str, more: tuple[str, ...] = ()) -> dict[str, Any]:
    """A JSON schema that is demanded, by its name."""
    checks.known(given, ("name", "description", "schema", "strict", *more), f"Unknown parameter: '{where}.{{key}}'.")
    if not NAME.fullmatch(str(given.get("name", ""))):
        raise Refused(f"Invalid '{where}.name': string does not match pattern '^[a-zA-Z0-9_-]+$'.", f"{where}.name")
    schema = checks.an_object(given.get("schema"), f"Missing required parameter: '{where}.schema'.")
    message = f"Invalid schema for {what} '{given['name']}': In context=(),"
    if schema.get("type") != "object":
        raise Refused(f"{message} schema must be a JSON Schema of 'type: \"object\"'.", what)
    if given.get("strict"):
        checks.strict(schema, message, everything=True)
    return schema


def json_word(messages: Any, param: str) -> None:
    """JSON mode wants to be spoken of."""
    if "json" not in json.dumps(messages, ensure_ascii=False).lower():
        raise Refused(
            f"'{param}' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
            param,
        )


def _messages(messages: list[Any], asked: Asked) -> None:
    open_calls: dict[str, str] = {}
    for i, message in enumerate(messages):
        where, role = f"messages[{i}]", message.get("role")
        if role not in _MESSAGES:
            raise Refused(
                f"Invalid value: '{role}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.",
                f"{where}.role",
                "invalid_value",
            )
        checks.known(message, _MESSAGES[role] | {"role"}, f"Unknown parameter: '{where}.{{key}}'.")
        if open_calls and role != "tool":
            raise Refused(
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
                f"The following tool_call_ids did not have response messages: {', '.join(open_calls)}",
                f"{where}.role",
            )
        turn = Turn("assistant" if role == "assistant" else "user")
        if role != "assistant" or message.get("content") is not None or not message.get("tool_calls"):
            _content(message.get("content"), role, where, turn)
        match role:
            case "system" | "developer":
                asked.system += "\n".join(turn.texts)
                continue
            case "assistant":
                open_calls = _calls(message, where, turn)
            case "tool":
                name = open_calls.pop(str(message.get("tool_call_id")), None)
                if name is None:
                    raise Refused(
                        "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
                        f"{where}.role",
                    )
                turn.results.append(
                    Result(name, "".join(turn.texts), error="error" in "".join(turn.texts)[:20].lower())
                )
                turn.texts = []
            case _:
                pass
        asked.turns.append(turn)
    if open_calls:
        raise Refused(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
            f"The following tool_call_ids did not have response messages: {', '.join(open_calls)}",
            "messages",
        )


def _content(content: Any, role: str, where: str, turn: Turn) -> None:
    if isinstance(content, str):
        turn.texts += [content] if content else []
        return
    if not isinstance(content, list) or not content:
        raise Refused(
            f"Invalid value for 'content': expected a string, got {'null' if content is None else 'an empty array'}.",
            f"{where}.content",
        )
    for j, part in enumerate(content):
        kind, here = part.get("type"), f"{where}.content[{j}]"
        if kind not in _SUPPORTED:
            raise Refused(
                f"Invalid value: '{kind}'. Supported values are: {', '.join(map(repr, sorted(_SUPPORTED)))}.",
                f"{here}.type",
                "invalid_value",
            )
        if kind not in _PARTS[role]:
            raise Refused(f"Invalid content type. {kind} is not allowed in a message of role '{role}'.", here)
        checks.known(part, ("type", kind), f"Unknown parameter: '{here}.{{key}}'.")
        inner = part.get(kind)
        if kind in ("text", "refusal"):
            if not isinstance(inner, str):
                raise Refused(f"Invalid type for '{here}.{kind}': expected a string.", here)
            turn.texts.append(inner)
            continue
        turn.seen.append(_media(kind, checks.an_object(inner, f"Missing required parameter: '{here}.{kind}'."), here))


def _media(kind: str, inner: dict[str, Any], here: str) -> str:
    match kind:
        case "image_url":
            checks.known(inner, ("url", "detail"), f"Unknown parameter: '{here}.image_url.{{key}}'.")
            media = checks.data_url(inner.get("url"), f"Invalid '{here}.image_url.url'. Expected a valid URL.")
            if media and media not in ("image/png", "image/jpeg", "image/gif", "image/webp"):
                raise Refused(
                    "You uploaded an unsupported image. Please make sure your image has of one the following formats: ['png', 'jpeg', 'gif', 'webp'].",
                    here,
                    "image_parse_error",
                )
            return "an image"
        case "input_audio":
            checks.known(inner, ("data", "format"), f"Unknown parameter: '{here}.input_audio.{{key}}'.")
            if inner.get("format") not in ("wav", "mp3"):
                raise Refused(
                    f"Invalid value: '{inner.get('format')}'. Supported values are: 'wav' and 'mp3'.",
                    f"{here}.input_audio.format",
                )
            checks.bytes_in(inner.get("data"), "Invalid base64 audio data.")
            return "audio"
        case _:
            checks.known(inner, ("file_data", "file_id", "filename"), f"Unknown parameter: '{here}.file.{{key}}'.")
            if "file_id" not in inner:
                if not inner.get("filename"):
                    raise Refused(f"Missing required parameter: '{here}.file.filename'.", here)
                if checks.data_url(inner.get("file_data"), f"Invalid '{here}.file.file_data'.") != "application/pdf":
                    raise Refused("Invalid MIME type. Only PDF files are supported.", here, "invalid_value")
            return "a document"


def _calls(message: dict[str, Any], where: str, turn: Turn) -> dict[str, str]:
    calls = message.get("tool_calls")
    if calls is None:
        return {}
    for j, call in enumerate(
        checks.a_list(calls, f"Invalid '{where}.tool_calls': empty array. Expected an array with minimum length 1.")
    ):
        here = f"{where}.tool_calls[{j}]"
        checks.known(call, ("id", "type", "function"), f"Unknown parameter: '{here}.{{key}}'.")
        called = checks.an_object(call.get("function"), f"Missing required parameter: '{here}.function'.")
        checks.known(called, ("name", "arguments"), f"Unknown parameter: '{here}.function.{{key}}'.")
        if not isinstance(call.get("id"), str) or not 0 < len(call["id"]) <= 40 or call.get("type") != "function":
            raise Refused(
                f"Invalid '{here}.id': string too long. Expected a string with maximum length 40.",
                f"{here}.id",
                "string_above_max_length",
            )
        if not isinstance(called.get("arguments"), str):
            raise Refused(
                f"Invalid type for '{here}.function.arguments': expected a string.",
                f"{here}.function.arguments",
                "invalid_type",
            )
        if not NAME.fullmatch(str(called.get("name", ""))):
            raise Refused(f"Invalid '{here}.function.name': string does not match pattern.", f"{here}.function.name")
        turn.calls.append(Call(called["name"], arguments(called["arguments"]), call["id"]))
    return {call.id: call.name for call in turn.calls}


def arguments(text: str) -> dict[str, Any]:
    """Arguments as an object; OpenAI does not look into them."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
