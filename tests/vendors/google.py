"""Gemini's generateContent and streamGenerateContent, as strict as the vendor's: POST /v1beta/models/{model}:…"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Mapping
from typing import Any

from tests.vendors import checks
from tests.vendors.asked import Asked, Call, Offered, Refused, Result, Turn
from tests.vendors.issued import Issued

_UNKNOWN = 'Invalid JSON payload received. Unknown name "{{key}}"{where}: Cannot find field.'
_TOP = frozenset(
    "contents tools toolConfig safetySettings systemInstruction generationConfig cachedContent labels serviceTier store".split()
)
_CONFIG = frozenset(
    "stopSequences responseMimeType responseSchema responseJsonSchema responseModalities candidateCount maxOutputTokens "
    "temperature topP topK seed presencePenalty frequencyPenalty responseLogprobs logprobs enableEnhancedCivicAnswers "
    "speechConfig thinkingConfig imageConfig mediaResolution audioTimestamp".split()
)
_DATA = frozenset(
    "text inlineData fileData functionCall functionResponse executableCode codeExecutionResult toolCall toolResponse".split()
)
_BESIDE = frozenset("thought thoughtSignature videoMetadata partMetadata mediaResolution".split())
_SCHEMA = frozenset(
    "max_items min_items min_properties max_properties min_length max_length any_of property_ordering additional_properties type format title description nullable enum maxItems minItems properties required minProperties maxProperties minLength "
    "maxLength pattern example anyOf propertyOrdering default items minimum maximum additionalProperties $defs $ref defs ref".split()
)
_FREE = frozenset("args response parameters parametersJsonSchema responseSchema responseJsonSchema labels".split())
_TOOLS = frozenset(
    "functionDeclarations googleSearch googleSearchRetrieval codeExecution urlContext googleMaps computerUse fileSearch mcpServers".split()
)
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")
_MEDIA = re.compile(
    r"(image/(png|jpeg|webp|heic|heif|gif))|(audio/[\w.+-]+)|(video/[\w.+-]+)|(application/pdf)|(text/[\w.+-]+)|application/json"
)


def signs(model: str) -> bool:
    """Whether the model signs its calls and wants them back signed."""
    return fnmatch.fnmatchcase(model, "gemini-[3-9]*")


def read(body: dict[str, Any], headers: Mapping[str, str], issued: Issued, *, model: str, stream: bool) -> Asked:
    """The request, or the vendor's refusal."""
    body = _camel(body)
    _fields(body, _TOP, "")
    asked = Asked(model, [], stream=stream)
    _configure(body.get("generationConfig") or {}, asked)
    _tools(body, asked)
    if "systemInstruction" in body:
        system = _content(body["systemInstruction"], "system_instruction", asked, issued)
        asked.system = "\n".join(system.texts)
    contents = checks.a_list(body.get("contents"), "* GenerateContentRequest.contents: contents is not specified")
    for i, content in enumerate(contents):
        asked.turns.append(_content(content, f"contents[{i}]", asked, issued))
    _loop(contents, asked)
    return asked


def _camel(value: Any) -> Any:
    """The API takes its fields' names in both spellings; what the caller names himself stays as it is."""
    if isinstance(value, list):
        return [_camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    made: dict[str, Any] = {}
    for key, inner in value.items():
        name = re.sub(r"(?<=[a-z])_([a-z])", lambda found: found.group(1).upper(), key)
        made[name] = inner if name in _FREE else _camel(inner)
    return made


def _fields(value: Any, names: frozenset[str] | set[str], where: str) -> dict[str, Any]:
    found = checks.an_object(value, f"Invalid value at '{where}': Starting an object on a scalar field")
    checks.known(found, names, _UNKNOWN.format(where=f" at '{where}'" if where else ""))
    return found


def _configure(config: dict[str, Any], asked: Asked) -> None:
    _fields(config, _CONFIG, "generation_config")
    asked.stop = config.get("stopSequences") or []
    if len(asked.stop) > 5:
        raise Refused("The number of stop sequences must not exceed 5.")
    asked.max_tokens = config.get("maxOutputTokens")
    if asked.max_tokens is not None and asked.max_tokens < 1:
        raise Refused("max_output_tokens must be positive.")
    if not 0 <= config.get("temperature", 1) <= 2:
        raise Refused("Unable to submit request because it has a temperature value out of range: 0.0 to 2.0.")
    thinking = config.get("thinkingConfig") or {}
    _fields(thinking, {"includeThoughts", "thinkingBudget", "thinkingLevel"}, "generation_config.thinking_config")
    if "thinkingBudget" in thinking and "thinkingLevel" in thinking:
        raise Refused("You can only set only one of thinking budget and thinking level.")
    if "thinkingLevel" in thinking:
        if not signs(asked.model):
            raise Refused("Thinking level is not supported for this model.")
        level = str(thinking["thinkingLevel"]).upper()
        known = (
            ("LOW", "MEDIUM", "HIGH")
            if asked.model.startswith("gemini-3.8")
            else ("MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH")
        )
        if level not in known:
            raise Refused(f"Thinking level {level} is not supported for this model.")
    budget = thinking.get("thinkingBudget")
    if thinking and not fnmatch.fnmatchcase(asked.model, "gemini-2.5*") and not signs(asked.model):
        raise Refused("Thinking is not supported by this model.")
    asked.thinking = (signs(asked.model) or "2.5" in asked.model) and budget != 0
    asked.shown = bool(thinking.get("includeThoughts"))
    media = config.get("responseMimeType", "text/plain")
    if media not in ("text/plain", "application/json", "text/x.enum"):
        raise Refused(
            f"Invalid value at 'generation_config.response_mime_type': allowed mimetypes are `text/plain`, `application/json`, got {media}."
        )
    given = [name for name in ("responseSchema", "responseJsonSchema") if name in config]
    if len(given) > 1:
        raise Refused("Only one of response_schema and response_json_schema can be set.")
    if given and media == "text/plain":
        raise Refused("Response schema requires response_mime_type application/json.")
    if given == ["responseSchema"]:
        _openapi(config["responseSchema"], "generation_config.response_schema")
    if media == "application/json":
        asked.schema = config[given[0]] if given else {}


def _openapi(schema: Any, where: str) -> None:
    """A schema in the vendor's own form, which knows fewer words than JSON Schema."""
    _fields(schema, _SCHEMA, where)
    if isinstance(schema.get("type"), list):
        raise Refused(f"Invalid value at '{where}.type': Proto field is not repeating, cannot start list.")
    for name, part in (schema.get("properties") or {}).items():
        _openapi(part, f"{where}.properties[{name}]")
    if "items" in schema:
        _openapi(schema["items"], f"{where}.items")
    for i, part in enumerate(schema.get("anyOf") or ()):
        _openapi(part, f"{where}.any_of[{i}]")


def _tools(body: dict[str, Any], asked: Asked) -> None:
    for i, tool in enumerate(body.get("tools") or ()):
        _fields(tool, _TOOLS, f"tools[{i}]")
        for j, function in enumerate(tool.get("functionDeclarations") or ()):
            where = f"tools[{i}].function_declarations[{j}]"
            _fields(
                function,
                {
                    "name",
                    "description",
                    "parameters",
                    "parametersJsonSchema",
                    "response",
                    "responseJsonSchema",
                    "behavior",
                },
                where,
            )
            if not _NAME.fullmatch(str(function.get("name", ""))):
                raise Refused(
                    f"Invalid value at '{where}.name': Invalid function name. Must start with a letter or an underscore."
                )
            if "parameters" in function and "parametersJsonSchema" in function:
                raise Refused(f"{where}: only one of parameters and parameters_json_schema can be set.")
            if "parameters" in function:
                _openapi(function["parameters"], f"{where}.parameters")
                if function["parameters"].get("type", "").upper() == "OBJECT" and not function["parameters"].get(
                    "properties"
                ):
                    raise Refused(
                        f"* GenerateContentRequest.{where}.parameters.properties: should be non-empty for OBJECT type"
                    )
            schema = (
                function.get("parameters")
                or function.get("parametersJsonSchema")
                or {"type": "object", "properties": {}}
            )
            asked.tools.append(Offered(function["name"], function.get("description", ""), schema))
    names = [tool.name for tool in asked.tools]
    if len(set(names)) < len(names):
        raise Refused("Duplicate function declaration found.")
    if asked.schema is not None and names and not signs(asked.model):
        raise Refused("Function calling with a response mime type: 'application/json' is unsupported")
    config = _fields(
        body.get("toolConfig") or {},
        {"functionCallingConfig", "retrievalConfig", "includeServerSideToolInvocations"},
        "tool_config",
    )
    calling = _fields(
        config.get("functionCallingConfig") or {},
        {"mode", "allowedFunctionNames", "streamFunctionCallArguments"},
        "tool_config.function_calling_config",
    )
    mode, allowed = calling.get("mode", "AUTO"), calling.get("allowedFunctionNames")
    if mode not in ("AUTO", "ANY", "NONE", "VALIDATED"):
        raise Refused(f"Invalid value at 'tool_config.function_calling_config.mode': \"{mode}\"")
    if allowed and mode not in ("ANY", "VALIDATED"):
        raise Refused(
            "Function calling config: allowed_function_names should only be set when mode is ANY or VALIDATED."
        )
    if mode == "ANY" and not names:
        raise Refused("Function calling mode is ANY but no function declarations are provided.")
    if unknown := set(allowed or ()) - set(names):
        raise Refused(f"allowed_function_names contains names that are not declared: {', '.join(sorted(unknown))}")
    asked.choice = {"ANY": "required", "NONE": "none"}.get(mode, "auto")
    if allowed and len(allowed) == 1 and mode == "ANY":
        asked.choice = f"={allowed[0]}"
    elif allowed:
        asked.tools = [tool for tool in asked.tools if tool.name in allowed]


def _content(content: Any, where: str, asked: Asked, issued: Issued) -> Turn:
    _fields(content, {"role", "parts"}, where)
    role = content.get("role", "user")
    if role not in ("user", "model", "function") and not (where == "system_instruction" and role == "system"):
        raise Refused("Please use a valid role: user, model.")
    turn = Turn("assistant" if role == "model" else "user")
    parts = content.get("parts")
    if not isinstance(parts, list) or not parts:
        raise Refused(f"* GenerateContentRequest.{where}.parts: contents.parts must not be empty.")
    for j, part in enumerate(parts):
        _part(part, f"{where}.parts[{j}]", turn, asked, issued, system=where == "system_instruction")
    if role != "model" and turn.calls:
        raise Refused("Function call parts are only allowed in a turn of role model.")
    if role == "model" and turn.results:
        raise Refused("Function response parts are not allowed in a turn of role model.")
    return turn


def _part(part: Any, where: str, turn: Turn, asked: Asked, issued: Issued, *, system: bool) -> None:
    _fields(part, _DATA | _BESIDE, where)
    data = [name for name in part if name in _DATA]
    if len(data) != 1:
        raise Refused(
            f"* GenerateContentRequest.{where}.data: required oneof field 'data' must have one initialized field"
        )
    if system and data != ["text"]:
        raise Refused("System instruction must be text.")
    if "thoughtSignature" in part:
        issued.check_google(part["thoughtSignature"], asked.model)
    inner = part[data[0]]
    match data[0]:
        case "text":
            if not isinstance(inner, str):
                raise Refused(f"Invalid value at '{where}.text' (TYPE_STRING)")
            if inner and not part.get("thought"):
                turn.texts.append(inner)
        case "inlineData":
            _fields(inner, {"mimeType", "data", "displayName"}, f"{where}.inline_data")
            turn.seen.append(_seen(inner.get("mimeType")))
            if not checks.bytes_in(
                inner.get("data"), f"Invalid value at '{where}.inline_data.data' (TYPE_BYTES), Base64 decoding failed"
            ):
                raise Refused("Unable to process input image: it is empty.")
        case "fileData":
            _fields(inner, {"mimeType", "fileUri", "displayName"}, f"{where}.file_data")
            if not str(inner.get("fileUri", "")).startswith(("http://", "https://", "gs://")):
                raise Refused("Invalid or unsupported file uri")
            turn.seen.append(_seen(inner["mimeType"]) if "mimeType" in inner else "a file")
        case "functionCall":
            _fields(inner, {"id", "name", "args", "partialArgs", "willContinue"}, f"{where}.function_call")
            if not _NAME.fullmatch(str(inner.get("name", ""))):
                raise Refused(f"* GenerateContentRequest.{where}.function_call.name: Name cannot be empty.")
            turn.calls.append(
                Call(
                    inner["name"],
                    checks.an_object(inner.get("args", {}), f"Invalid value at '{where}.function_call.args'"),
                    inner.get("id") or "",
                )
            )
        case "functionResponse":
            _fields(
                inner, {"id", "name", "response", "parts", "willContinue", "scheduling"}, f"{where}.function_response"
            )
            if not inner.get("name"):
                raise Refused(f"* GenerateContentRequest.{where}.function_response.name: Name cannot be empty.")
            response = checks.an_object(
                inner.get("response"),
                f"Invalid value at '{where}.function_response.response' (type.googleapis.com/google.protobuf.Struct)",
            )
            failed = "error" in response
            told = response.get("error", response.get("output", response.get("result", response)))
            turn.results.append(Result(inner["name"], told if isinstance(told, str) else json.dumps(told), failed))
            for piece in inner.get("parts") or ():
                _fields(piece, {"inlineData", "fileData"}, f"{where}.function_response.parts")
                if not signs(asked.model):
                    raise Refused("Multimodal function responses are not supported for this model.")
                turn.seen.append(_seen((piece.get("inlineData") or piece.get("fileData") or {}).get("mimeType")))
        case _:
            pass


def _seen(media: Any) -> str:
    if not isinstance(media, str) or not _MEDIA.fullmatch(media):
        raise Refused(f"Unsupported MIME type: {media}")
    kind = media.partition("/")[0]
    return {"image": "an image", "audio": "audio", "video": "a video"}.get(kind, "a document")


def _loop(contents: list[Any], asked: Asked) -> None:
    """Calls and their answers stand in pairs of turns, and the calls of the current turn are signed."""
    turns = asked.turns
    for i, turn in enumerate(turns):
        if turn.calls:
            if i == 0 or turns[i - 1].role != "user":
                raise Refused(
                    "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
                )
            answers = turns[i + 1].results if i + 1 < len(turns) else []
            if len(answers) != len(turn.calls):
                raise Refused(
                    "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn."
                )
            if sorted(a.name for a in answers) != sorted(c.name for c in turn.calls):
                raise Refused("Please ensure that function responses have the names of their function calls.")
            ids = [p["functionResponse"].get("id", "") for p in contents[i + 1]["parts"] if "functionResponse" in p]
            if sorted(ids) != sorted(call.id for call in turn.calls):
                raise Refused("Please ensure that the ids of function responses match those of their function calls.")
        elif turn.results and (i == 0 or not turns[i - 1].calls):
            raise Refused("Please ensure that function response turn comes immediately after a function call turn.")
    if not signs(asked.model):
        return
    begins = max(
        (i for i, turn in enumerate(turns) if turn.role == "user" and turn.texts and not turn.results), default=0
    )
    for i in range(begins, len(contents)):
        calls = [part for part in contents[i].get("parts") or () if "functionCall" in part]
        if calls and "thoughtSignature" not in calls[0]:
            raise Refused(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and "
                "missing thought_signature may lead to degraded model performance. Additional data, function call "
                f"`default_api:{calls[0]['functionCall']['name']}` , position {i + 1}."
            )
