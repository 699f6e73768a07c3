"""Chat Completions: requests in OpenAI's format.

https://platform.openai.com/docs/api-reference/chat/create and `CompletionCreateParamsBase` of openai 2.54.0 (read
2026-11-30). Messages, tools and schemas are read by the router, which knows the format.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multiroute_core.serving.call import JSON, ServedCall
from multiroute_core.serving.decoding import fields
from multiroute_core.serving.errors import refuse

_OPTIONS = {
    "temperature": "temperature",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "top_p": "top_p",
    "stop": "stop",
    "seed": "seed",
    "tools": "tools",
    "tool_choice": "tool_choice",
    "parallel_tool_calls": "parallel_tool_calls",
    "response_format": "output_schema",
    "reasoning_effort": "reasoning",
}
_VENDOR = {
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "metadata",
    "moderation",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "user",
    "verbosity",
    "web_search_options",
}
_DEFAULTS: JSON = {"frequency_penalty": 0, "presence_penalty": 0, "logit_bias": {}}
"""Values that clients send by themselves, and that mean the same as none. Routes over Responses refuse the fields."""
_STORES = "This server stores nothing; leave 'store' out."
_REFUSED: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "n": ((1,), "n must be 1: this server returns one choice."),
    "store": ((False,), _STORES),
    "logprobs": ((False,), "This server returns no log probabilities; leave 'logprobs' out."),
    "top_logprobs": ((), "This server returns no log probabilities; leave 'top_logprobs' out."),
    "functions": (([],), "'functions' is deprecated; use 'tools'."),
    "function_call": (("auto", "none"), "'function_call' is deprecated; use 'tool_choice'."),
    "modalities": ((["text"],), "This server returns text; leave 'modalities' out."),
    "audio": ((), "This server returns no audio; leave 'audio' out."),
}
_KNOWN = {"model", "messages", "stream", "stream_options", *_OPTIONS, *_REFUSED}


def read(body: Mapping[str, Any]) -> ServedCall:
    """Read the body of a request.

    Raises:
        RefusedCall: The body is not valid.
    """
    model = fields.text(body, "model", required=True)
    passed = fields.vendor_fields(body, _KNOWN, _VENDOR)
    fields.refuse_values(body, _REFUSED)
    messages = fields.array(body, "messages")
    if not messages:
        raise refuse("messages is missing or empty; expected a list of messages.", param="messages")
    options: JSON = fields.copy_options(body, _OPTIONS)
    if "tools" in options:
        options["tools"] = fields.array(body, "tools")
    if isinstance(effort := options.get("reasoning"), str):
        # The API has no word for it, and clients of compatible servers expect to read the reasoning they ask for.
        options["reasoning"] = {"effort": effort, "summary": "auto"}
    passed = {name: value for name, value in passed.items() if value != _DEFAULTS.get(name)}
    if passed:
        options["extra"] = {"openai": passed}
    stream_options = fields.mapping(body, "stream_options")
    return ServedCall(
        messages,
        options,
        model,
        stream=fields.flag(body, "stream"),
        include_usage=fields.flag(stream_options, "include_usage"),
    )
