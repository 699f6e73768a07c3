"""Unsupported capabilities: find the capability or parameter that a model or server lacks according to an error.

The rule: a sentence states "not supported", "unavailable", "not enabled", "unrecognized" or the like *about* a named
capability or parameter. A request that is wrong with every provider (an invalid schema, a value out of range, an image
in an unknown format, an unknown parameter) is the caller's error, and stays a `BadRequestError`.

Sources of the wordings: Ollama, llama.cpp, vLLM, SGLang, LM Studio and OpenRouter as quoted in public repositories
(November 2026), OpenAI's `unsupported_parameter` and `unsupported_value`, Anthropic's and Mistral's validators,
Bedrock's ValidationException, Gemini's "… is not enabled for models/…". Added on 2026-11-30: Moonshot's fixed
temperature (tinyhumansai/openhuman#2082, 2026-05), xAI's reasoningEffort (NousResearch/hermes-agent#23088, 2026-05),
content as text only (vercel/ai#2837, 2024-08), roles that a chat template lacks (0xku/kon#5, 2026-02,
mistralai/mistral-vibe#1006, 2026-08), tools that cannot be streamed (earendil-works/pi#3739, 2026-04).
"""

from __future__ import annotations

import re

from multiroute_core.providers.error_body import ErrorBody

_N = r"(?:not|n[o'’]t|never)"
ACTIVE = re.compile(
    rf"{_N} (?:currently |yet |be )?(?:support|accept|allow)(?:ing|s)?\b|"
    r"no endpoints found that (?:support|can handle)|"
    r"unsupported|unrecogni[sz]ed|unexpected keyword|unknown (?:\w+ )?(?:parameter|argument|field|name|type)|"
    r"\bonly supports?|only works|missing data required for|at most 0 |is not a (?=vlm|vision|multi)|不支持|"
    r"(?:argument|parameter)s? not supported",
    re.IGNORECASE,
)
"""Wordings that usually precede the missing capability."""
PASSIVE = re.compile(
    rf"{_N} (?:currently |yet |been |be )*(?:supported|available|enabled|permitted|allowed|implemented)|"
    r"cannot be (?:combined|used)(?: together)? with|"
    r"unsupported|unavailable|deprecated for this model|only (?:be )?supported (?:by|on|for|with|in)|"
    r"requires? --|incompatible with|不支持",
    re.IGNORECASE,
)
"""Wordings that follow the missing capability."""
STRONG = re.compile(
    rf"{_N} (?:currently |yet )?support|unsupported|requires? --|missing data required|no endpoints found that|"
    r"not enabled|not implemented|not_supported",
    re.IGNORECASE,
)
"""Wordings that also count under 5xx, where "unavailable" means a failure."""
ONLY_HERE = re.compile(r"no endpoints found that (?:support|can handle)", re.IGNORECASE)

CALLERS = re.compile(
    r"invalid[_ ](?:json )?schema|(?:schema|parameters) (?:is|are) (?:not valid|invalid)|invalid_function_parameters|"
    r"invalid_json_schema|tool_call_id|tool_use[`_ ]*ids?\b|must be followed by tool|invalid[_ ]type\b|"
    r"unsupported (?:image|file|audio|video|document)(?: (?:format|type|extension)s?|\.|$)|unsupported (?:mime|media)|"
    r"(?<!response )(?:image|file|audio|video|media|mime)[_ ](?:format|type|extension)s?\b.{0,60}"
    r"(?:not|n't|un)[ -]?support|"
    r"(?:out of range|must be between|greater than or equal|less than or equal)",
    re.IGNORECASE,
)
"""Errors that would occur with any provider."""
SCHEMA_PATH = re.compile(r"(?:schema|parameters|properties)\b", re.IGNORECASE)

NAMED = re.compile(
    r"(?:unsupported|unrecogni[sz]ed|unknown|unexpected)(?: request)?(?: keyword)?"
    r" (?:parameter|argument|field|key|name|option|property|variant|value)s?(?: supplied| provided)?(?:\(s\))?:? *"
    r"['\"`]?([A-Za-z_][\w.\[\]-]*)|"
    r"(?:argument|parameter)s? not supported (?:\w+ )*model: *([\w.]+)|"
    r"^['\"`]?([A-Za-z_][\w.\[\]]*)['\"`]?: extra (?:inputs?|fields?) (?:are )?not permitted|"
    r"(?:^|the )['\"`]?([\w.]+)['\"`]? (?:parameter|argument|field) (?:does not|is not|is un)|"
    r"(?:support|accept)s? (?:the )?(?:parameters?|argument):? \[?['\"`]?([\w.]+)|"
    r"extraneous key \[([\w.]+)\]|"
    r"(?:support|accept)s? the ['\"`]?([\w.]+)['\"`]? (?:parameter|field|argument)|"
    r"(?:parameter|argument|field|property):? ['\"`]([\w.\[\]]+)['\"`](?: of type ['\"`]\w+['\"`])? is (?:not |un)|"
    r"['\"`]([A-Za-z_][\w.\[\]]*)['\"`] (?:parameter )?(?:is|are) (?:not |un|deprecated for)|"
    r"(?:parameter|argument|property) ([A-Za-z_][\w.\[\]]*) is (?:not |un)|"
    r"['\"`]([A-Za-z_][\w.\[\]]*)['\"`] does not support",
    re.IGNORECASE | re.MULTILINE,
)
UNKNOWN_NAME = re.compile(
    r"unrecogni[sz]ed|unknown|unexpected keyword|extraneous key|extra (?:inputs?|fields?) (?:are )?not permitted",
    re.IGNORECASE,
)
UNWANTED_VALUE = re.compile(
    r"invalid value: ['\"`](\w+)['\"`]\. supported values are|unknown variant ['\"`](\w+)['\"`]", re.IGNORECASE
)
FIXED = re.compile(
    r"invalid ['\"`]?([a-z_]+)['\"`]?: only \S+ (?:is|are) allowed for this model|"
    r"['\"`]([a-z_]+)['\"`] does not support \S+ with this model|"
    r"['\"`]([a-z_]+)['\"`] (?:may only be set|and ['\"`][a-z_]+['\"`] cannot both be|(?:is|must be) fixed)|"
    r"['\"`]?([a-z_.]+)['\"`]? (?:parameter )?(?:must be set to \w+ for|is restricted to)|"
    r"['\"`]?(response_format)(?:\.type)?['\"`]? must be (?:one of|['\"`]text)",
    re.IGNORECASE,
)
"""A parameter that this model accepts with one value only, or not beside another."""
SYSTEM_ROLE = re.compile(
    r"(?:system|developer) role not supported|unexpected message role|"
    r"(?:unknown role|invalid role):? ['\"`]?(?:system|developer)|unknown variant ['\"`](?:system|developer)['\"`]|"
    r"['\"`]?developer['\"`]? is not one of \[",
    re.IGNORECASE,
)
ROLES = re.compile(
    r"jinja exception|conversation roles must alternate user/assistant|only user(?:, system)?,? and assistant roles|"
    r"(?:unknown role|invalid role):? ['\"`]?(?:tool|function)\b|"
    r"unknown variant ['\"`](?:tool|function)['\"`], expected one|"
    r"messages\.\d+\.role: input should be",
    re.IGNORECASE,
)
"""A role that the server or the model's chat template lacks; MultiRoute writes the roles."""
SOME = re.compile(
    r"at most [1-9]\d* (?:image|audio|video|document|file)|"
    r"tools(?:\.\d+|\[\d+\])(?:\.type)?: (?:input tag|unknown variant)|"
    r"schema contains (?:\S+ ){0,3}not supported",
    re.IGNORECASE,
)
"""A limit on number or kind: this route cannot take the request, but others of the same capability."""
STRINGS_ONLY = re.compile(
    r"messages?(?:\[\d+\]|\.\d+)(?:\.user)?\.content(?:\.str)?['\"`]? ?:? (?:value |input )?"
    r"(?:must|should) be a (?:valid )?string|"
    r"'array' not in 'string'",
    re.IGNORECASE,
)
"""Content as a list is how media are sent; a server that reads only strings reads only text."""
TOGETHER = re.compile(r"\b(?:with|when|while|in|beside|combined)\b", re.IGNORECASE)
"""Words of a sentence about two capabilities of which the model supports each alone."""
BESIDE = ("tool_choice", "tools", "output_schema", "reasoning", "stream")
PARAMETER = re.compile(r"parameter|argument|\bfield\b|property|deprecated for", re.IGNORECASE)
FLAGS = re.compile(r"--enable-auto-tool-choice|--tool-call-parser|--jinja")
"""Options of vLLM and llama.cpp, without which these servers support only forced tool calls."""
TEXT_ONLY = re.compile(
    r"\bonly (?:supports? |accepts? )?['\"`]?text['\"`]? (?:inputs?|content|messages|types?|is|are)\b", re.IGNORECASE
)
"""Wordings without a named capability; usually an image was sent."""
TEMPORARY = re.compile(r"temporar|overload|(?<!and )try again|\bservice\b", re.IGNORECASE)

_PARAMETERS = {
    "stream_options": ("stream_options", "streamoptions"),
    "parallel_tool_calls": ("parallel_tool_calls", "disable_parallel_tool_use"),
    "tool_choice": ("tool_choice", "toolchoice", "function_call", "function_calling_config", "functioncallingconfig"),
    "tools": ("tools", "functions", "functiondeclarations", "function_declarations", "toolconfig", "tool_config"),
    "output_schema": (
        *("response_format", "json_schema", "json_object", "responseschema", "response_schema", "responsejsonschema"),
        *("response_json_schema", "responsemimetype", "response_mime_type", "output_config", "output_format", "format"),
    ),
    "image": ("image", "images", "image_url", "input_image", "inline_data", "inlinedata"),
    "document": ("document", "documents", "file", "input_file", "pdf"),
    "audio": ("audio", "input_audio", "audio_url"),
    "video": ("video", "video_url", "input_video"),
    "reasoning": (
        *("reasoning", "reasoning_effort", "thinking", "thinking_config", "thinkingconfig", "effort", "thinkinglevel"),
        *(
            "reasoning_config",
            "thinking_level",
            "thinking_budget",
            "thinkingbudget",
            "enable_thinking",
            "reasoning_content",
            "summary",
        ),
    ),
}


def _squeeze(name: str) -> str:
    """Returns a parameter's name without the style in which it is written: `reasoning_effort`, `reasoningEffort`."""
    return name.replace("_", "").lower()


ABILITY_OF = {_squeeze(name): ability for ability, names in _PARAMETERS.items() for name in names}
SENT = frozenset(
    (
        *("max_tokens", "max_completion_tokens", "max_output_tokens", "temperature", "top_p", "top_k", "seed", "stop"),
        *("stop_sequences", "system", "instructions", "store", "include", "cache_control", "strict", "stream", "text"),
        *("developer", "systeminstruction", "stopsequences", "maxoutputtokens", "topp", "topk", "metadata", "user"),
        *("frequency_penalty", "presence_penalty", "verbosity", "service_tier", "prompt_cache_key", "generationconfig"),
        *("parametersjsonschema", "betas", "budget_tokens", "labels", "modalities", "logprobs", "n"),
    )
)
"""Further parameters that MultiRoute itself sends. Any other parameter that a server does not know comes from the
caller's `extra`.
"""

_SQUEEZED = frozenset(map(_squeeze, SENT))

_FORM = (
    r"response[_ ]?format|json[_ ](?:schema|object|mode|output)|structured[_ ]outputs?|"
    r"response[_ ]?(?:json[_ ]?)?schema|response ?mime ?type|output_(?:config|format)|"
    r"guided[_ ](?:decoding|json)|grammar|controlled generation"
)
_NOUNS = (
    ("stream_options", r"stream_options", ""),
    ("parallel_tool_calls", r"parallel[_ ](?:tool|function)[_ ](?:calls?|calling|use)", ""),
    ("tool_choice", r"tool[_ ]choice|toolChoice|forced (?:tool|function)", ""),
    ("output_schema", _FORM, ""),
    ("reasoning", r"reasoning(?:_effort)?|thinking(?:[_ ]?(?:budget|level|config|mode))?|enable_thinking", "思考"),
    ("image", r"images?(?:_url)?|input_image|vision|vlm|multi-?modal|pictures?", "图片|图像|视觉|多模态"),
    ("audio", r"(?:input_)?audio", "音频"),
    ("video", r"videos?(?:_url)?", "视频"),
    ("document", r"documents?|pdfs?|input_file|files?", "文档"),
    ("tools", r"tools?|functions?|tool[_-]calls?|function[_-]call(?:ing)?|toolConfig", "工具|函数"),
    ("system", r"system (?:prompts?|instructions?|messages?|role)|developer (?:instructions?|messages?|role)", ""),
    ("prefill", r"(?:assistant message )?prefill", ""),
    ("reasoning", r"effort", ""),
    ("cache_control", r"(?:prompt )?cach(?:e|ing)(?:[_ ]control)?", ""),
    ("stream", r"stream(?:ing)?(?: mode)?|SSE", "流式"),
    *((name, name, "") for name in ("logprobs", "temperature", "top_p", "top_k", "seed")),
    ("stop", r"stop[_ ]?sequences?", ""),
    ("n", r"multiple candidates|candidate_?count", ""),
    ("penalty", r"(?:frequency|presence)?[_ ]?penalty", ""),
)
"""Each capability with its English and Chinese names; the latter are not separated by spaces. A match inside a model's
name (`llava-vision:7b`) does not count.
"""
NOUNS = tuple(
    (
        ability,
        re.compile(rf"(?<![\w/:@.-])(?:{english})(?![\w/@-]|:\w)" + (f"|{chinese}" if chinese else ""), re.IGNORECASE),
    )
    for ability, english, chinese in _NOUNS
)


def read_ability(body: ErrorBody, *, failed: bool = False) -> str | None:
    """Returns the capability that is missing according to an error.

    Returns `""` if the capability is unnamed, and None if the error has another cause.

    Args:
        body: The parsed error body.
        failed: Whether the status is 5xx, so that only unambiguous wordings count.
    """
    if CALLERS.search(body.words) or (body.param and SCHEMA_PATH.search(body.param)):
        return None
    statements = "\n".join(body.statements)
    if SYSTEM_ROLE.search(statements):
        return "system"
    if ROLES.search(statements) or SOME.search(statements):
        return ""
    if STRINGS_ONLY.search(statements):
        return "image"
    if "unsupported_parameter" in body.codes or "unsupported_value" in body.codes:
        return ability_of(body.param) if body.param else _in_messages(body, failed=failed)
    if (body.extra or "unknown_parameter" in body.codes) and body.param:
        return _find_ability(body.param)
    return _in_messages(body, failed=failed)


def read_beside(body: ErrorBody, ability: str) -> str:
    """Returns the capability with which `ability` cannot be combined according to an error; empty if it names none.

    Args:
        body: The parsed error body.
        ability: The missing capability.
    """
    for message in body.statements:
        for sentence in _sentences(message):
            if TOGETHER.search(sentence) and ability and _in_sentence(sentence) == ability:
                nouns = {name for name, noun in NOUNS if noun.search(sentence)}
                return next((name for name in BESIDE if name in nouns and name != ability), "")
    return ""


def ability_of(path: str) -> str:
    """Returns the capability that a parameter belongs to, or the parameter's own name."""
    pieces = [piece for piece in re.split(r"[.\[\]]+", path) if piece and not piece.isdigit()]
    if not pieces:
        return ""
    if pieces[0] in ("messages", "input", "contents") and pieces[-1].lower().startswith(("reasoning", "thinking")):
        return "reasoning_history"
    key = next((piece for piece in reversed(pieces) if _squeeze(piece) in ABILITY_OF), None)
    if key == "tools" and pieces[-1] != key:
        return f"tools.{pieces[-1]}"  # a field of a tool: tools without it are still supported
    return pieces[-1] if key is None else ABILITY_OF[_squeeze(key)]


def _find_ability(path: str) -> str | None:
    """Returns the capability of a parameter unknown to the server, if MultiRoute itself may have sent it."""
    ability = ability_of(path)
    tail = _squeeze(ability.rpartition(".")[2])
    is_sendable = ability in _PARAMETERS or ability == "reasoning_history" or tail in _SQUEEZED
    return ability if is_sendable else None


def _in_messages(body: ErrorBody, *, failed: bool) -> str | None:
    for message in body.statements:
        if match := UNWANTED_VALUE.search(message):
            return ABILITY_OF.get(_squeeze(match[1] or match[2]))
        for sentence in _sentences(message):
            if failed and not STRONG.search(sentence):
                continue
            if (ability := _in_sentence(sentence)) is not None:
                return ability
    return None


def _sentences(message: str) -> list[str]:
    return re.split(r"(?<=[.;!?])\s+|\n", message)


def _in_sentence(sentence: str) -> str | None:
    if (fixed := FIXED.search(sentence)) is not None:
        return ability_of(next(group for group in fixed.groups() if group))
    active = ACTIVE.search(sentence)
    passive = PASSIVE.search(sentence)
    if (active is None and passive is None and not TEXT_ONLY.search(sentence)) or TEMPORARY.search(sentence):
        return None
    if FLAGS.search(sentence):
        return "tools"
    if TEXT_ONLY.search(sentence):
        return _noun(sentence) or "image"
    if (match := NAMED.search(sentence)) is not None:
        name = next(group for group in match.groups() if group)
        if UNKNOWN_NAME.search(sentence):
            return None if SCHEMA_PATH.search(sentence[match.end() :]) else _find_ability(name)
        if ability_of(name) != name or PARAMETER.search(sentence) or _squeeze(name) in _SQUEEZED:
            return ability_of(name)
    if active is not None:
        if ability := _noun(sentence[active.end() :]) or _noun(sentence[: active.start()]):
            return ability
        return "" if ONLY_HERE.search(sentence) else None
    if passive is None:
        return None
    return _subject(sentence[: passive.start()]) or _noun(sentence[passive.end() :])


def _noun(text: str) -> str | None:
    return next((ability for ability, noun in NOUNS if noun.search(text)), None)


def _subject(text: str) -> str | None:
    """Returns the capability that a text is about; among media, the last one ("image or audio file: audio input")."""
    ability = _noun(text)
    if ability not in _MEDIA:
        return ability
    ends = {ability: match.end() for ability, noun in NOUNS if ability in _MEDIA for match in noun.finditer(text)}
    return max(ends, key=lambda ability: ends[ability])


_MEDIA = ("image", "audio", "video")
