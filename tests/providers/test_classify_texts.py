"""Errors of libraries that keep no status, or keep it elsewhere: read from their text, their response or their name.

The classes have the names and attributes of mistralai, cohere, ollama, botocore, azure-core, LiteLLM, huggingface_hub,
text-generation, google-generativeai, vertexai, langchain-google-genai and databricks-sdk (November 2026).
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from langchain_multiroute.errors import as_multiroute
from multiroute_core.providers.classify import classify


def made(name: str, text: str = "It failed.", *bases: type[Exception], **attributes: Any) -> Exception:
    error = type(name, bases or (Exception,), {})(text)
    for attribute, value in attributes.items():
        setattr(error, attribute, value)
    return error


def reply(status: int, body: Any, **headers: str) -> httpx.Response:
    request = httpx.Request("POST", "http://x")
    return httpx.Response(status, content=json.dumps(body), headers=headers, request=request)


def event(code: str, message: str) -> dict[str, Any]:
    """botocore's response of an error inside a stream, which has no status."""
    return {"Error": {"Code": code, "Message": message}}


BOTO = type("BotoCoreError", (Exception,), {})
UNUSED = '{"object":"error","message":"Model m is currently not in use.","type":"invalid_request_error","code":"3003"}'
GEMINI = "Error calling model 'm' (INVALID_ARGUMENT): 400 INVALID_ARGUMENT. {'error': {'message': 'The input token count (9) exceeds the maximum number of tokens allowed (8).'}}"
CASES: dict[str, tuple[Exception, str, float | None]] = {
    "mistral": (made("SDKError", status_code=400, body=UNUSED), "not_found", None),
    "mistral raw": (made("SDKError", raw_response=reply(401, {"detail": "Unauthorized"})), "authentication", None),
    "cohere": (made("TooManyRequestsError", status_code=429, headers={"retry-after": "4"}), "rate_limit", 4.0),
    "cohere old": (
        made("CohereAPIError", message="too many tokens in the prompt", http_status=400),
        *("context_overflow", None),
    ),
    "ollama in a stream": (
        made("ResponseError", "m does not support tools", error="m does not support tools", status_code=-1),
        *("unsupported", None),
    ),
    "bedrock stream": (made("EventStreamError", response=event("throttlingException", "Slow")), "rate_limit", None),
    "bedrock stream tools": (
        made("EventStreamError", response=event("validationException", "This model doesn't support tool use.")),
        *("unsupported", None),
    ),
    "botocore parameters": (made("ParamValidationError", "Parameter validation failed", BOTO), "bad_request", None),
    "botocore region": (made("NoRegionError", "You must specify a region.", BOTO), "authentication", None),
    "botocore profile": (made("ProfileNotFound", "The profile could not be found", BOTO), "authentication", None),
    "azure": (
        made("HttpResponseError", status_code=429, response=SimpleNamespace(headers={"x-ms-retry-after-ms": "1500"})),
        *("rate_limit", 1.5),
    ),
    "litellm window": (made("ContextWindowExceededError", "No.", status_code=400), "context_overflow", None),
    "litellm policy": (made("ContentPolicyViolationError", "No.", status_code=400), "content_filter", None),
    "tgi window": (
        made("ValidationError", "Input validation error: `inputs` must have less than 10 tokens."),
        *("context_overflow", None),
    ),
    "tgi overloaded": (made("OverloadedError", "Model is overloaded"), "overloaded", None),
    "gemini blocked": (made("BlockedPromptException", "block_reason: SAFETY"), "content_filter", None),
    "vertex blocked": (made("ResponseBlockedError", "The response was blocked."), "content_filter", None),
    "openai parsed": (made("ContentFilterFinishReasonError", "It was rejected."), "content_filter", None),
    "langchain gemini key": (
        made("ChatGoogleGenerativeAIError", "Invalid argument provided to Gemini: 400 API key not valid."),
        *("authentication", None),
    ),
    "langchain gemini window": (made("ChatGoogleGenerativeAIError", GEMINI), "context_overflow", None),
    "langchain openrouter": (
        ValueError("OpenRouter API returned an error: Rate limited (code: 429)"),
        "rate_limit",
        None,
    ),
    "langchain responses": (
        ValueError(SimpleNamespace(code="rate_limit_exceeded", message="Please try again in 7s")),
        *("rate_limit", 7.0),
    ),
    "databricks": (
        made("BadRequest", error_code="BAD_REQUEST", message="Input is too long for requested model"),
        *("context_overflow", None),
    ),
    "text alone": (
        made("ModelError", "Error code: 429 - {'error': {'code': 'insufficient_quota', 'message': 'No.'}}"),
        *("quota_exhausted", None),
    ),
    "requests": (
        made("HTTPError", "503 Server Error: Unavailable for url", type("RequestException", (OSError,), {})),
        *("overloaded", None),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_library_that_keeps_no_status(name: str) -> None:
    error, code, seconds = CASES[name]
    outer = type("FrameworkError", (Exception,), {})("Something went wrong.")
    outer.__cause__ = error
    for one in (error, outer):
        for read in (classify, as_multiroute):
            found = read(one)
            assert (found.code, found.retry_after) == (code, seconds)


@pytest.mark.parametrize(
    "error",
    [
        json.JSONDecodeError("Expecting value", "This model does not support tools; Error in 400 BAD_REQUEST", 0),
        ValueError("It says: your organization has been disabled, context length exceeded by content policy"),
        KeyError("rate limit"),
    ],
)
def test_a_decoders_text_quotes_the_reply_and_decides_nothing(error: Exception) -> None:
    assert classify(error).code in ("bad_reply", "context_overflow")
