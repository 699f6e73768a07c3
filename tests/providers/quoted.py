"""Error bodies that the vendors are known to send and that nobody recorded whole: support for tests, no test.

Their shapes and the words that matter are from public threads (anthropics/claude-code#35792, OpenHands#9259,
BuilderIO/micro-agent#86, openai/codex#797, gpt_academic#1105, DrShushen/climb#13, crewAI-examples#121,
github-mcp-server#1548, TinyTroupe#85, Roo-Code#3883, python-genai#2044, continue#12643, gemini-cli#5191, #4231, #1614)
and from the vendors' pages on errors; the rest of the sentences is not theirs.
"""

from __future__ import annotations

from typing import Any

from multiroute_core import (
    AttemptTimeoutError,
    AuthenticationError,
    BadRequestError,
    ContentFilterError,
    ContextOverflowError,
    NotFoundError,
    OverloadedError,
    QuotaExhaustedError,
    RateLimitError,
    RouteError,
    ServerError,
)

GOOGLE_RPC = "type.googleapis.com/google.rpc"
LEARN_MORE = "You can increase your limit by adding a payment method at https://platform.openai.com/account/billing."


def anthropic(kind: str, message: str, **more: Any) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message, **more}, "request_id": "req_1"}


def openai(message: str, kind: str | None = "invalid_request_error", code: Any = None, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code, **more}}


def google(code: int, status: str, message: str, *details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def quota(name: str) -> dict[str, Any]:
    return {"@type": f"{GOOGLE_RPC}.QuotaFailure", "violations": [{"quotaId": name, "quotaMetric": "requests"}]}


def retry_in(delay: str) -> dict[str, Any]:
    return {"@type": f"{GOOGLE_RPC}.RetryInfo", "retryDelay": delay}


PLAN_AND_BILLING = "You exceeded your current quota, please check your plan and billing details."
FILTERED = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True}}}

# Name: provider, status, headers, body, the class, and the seconds after which to come back.
QUOTED: dict[str, tuple[str, int, dict[str, str], Any, type[RouteError], float | None]] = {
    "anthropic-529": (
        *("anthropic", 529, {"x-should-retry": "true"}),
        *(anthropic("overloaded_error", "Overloaded"), OverloadedError, None),
    ),
    "anthropic-500": ("anthropic", 500, {}, anthropic("api_error", "Internal server error"), ServerError, None),
    "anthropic-429": (
        *("anthropic", 429, {"retry-after": "41", "anthropic-ratelimit-tokens-remaining": "0"}),
        anthropic("rate_limit_error", "This exceeds your organization's limit of 40,000 input tokens per minute."),
        *(RateLimitError, 41.0),
    ),
    "anthropic-429-spend": (
        *("anthropic", 429, {}),
        anthropic("rate_limit_error", "Over the limit.", details={"error_code": "enforced_spend_limit_reached"}),
        *(QuotaExhaustedError, None),
    ),
    "anthropic-400-credit": (
        *("anthropic", 400, {}),
        anthropic("invalid_request_error", "Your credit balance is too low; see Plans & Billing."),
        *(QuotaExhaustedError, None),
    ),
    "anthropic-400-usage-limit": (
        *("anthropic", 400, {}),
        anthropic("invalid_request_error", "You have reached your specified API usage limits until 2026-12-01."),
        *(QuotaExhaustedError, None),
    ),
    "anthropic-400-overflow": (
        *("anthropic", 400, {}),
        anthropic("invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum"),
        *(ContextOverflowError, None),
    ),
    "anthropic-403": ("anthropic", 403, {}, anthropic("permission_error", "Not for you"), AuthenticationError, None),
    "openai-429-tokens": (
        *("openai", 429, {}),
        openai(
            "Rate limit reached on tokens per min (TPM): Limit 10000, Used 9000. Please try again in 26.604s.",
            *("tokens", "rate_limit_exceeded"),
        ),
        *(RateLimitError, 26.604),
    ),
    "openai-429-soon": (
        *("openai", 429, {}),
        openai("Rate limit reached. Please try again in 644ms. Visit us.", "tokens", "rate_limit_exceeded"),
        *(RateLimitError, 0.644),
    ),
    "openai-429-free-tier": (  # it speaks of billing, and passes in 20 seconds
        *("openai", 429, {}),
        openai(
            f"Rate limit reached: Limit 3. Please try again in 20s. {LEARN_MORE}", "requests", "rate_limit_exceeded"
        ),
        *(RateLimitError, 20.0),
    ),
    "openai-429-per-day": (
        *("openai", 429, {}),
        openai(
            f"Rate limit reached on requests per day (RPD): Limit 200. Please try again in 7m12s. {LEARN_MORE}",
            *("requests", "rate_limit_exceeded"),
        ),
        *(RateLimitError, 432.0),
    ),
    "openai-429-too-large": (  # as it is, it never fits; another model's limit may be larger
        *("openai", 429, {}),
        openai(
            "Request too large on tokens per min (TPM): Limit 30000, Requested 30601. It must be reduced to run.",
            *("tokens", "rate_limit_exceeded"),
        ),
        *(ContextOverflowError, None),
    ),
    "openai-429-quota": (
        *("openai", 429, {"retry-after": "3"}),
        openai(PLAN_AND_BILLING, "insufficient_quota", "insufficient_quota"),
        *(QuotaExhaustedError, None),
    ),
    "openai-429-spend": (
        *("openai", 429, {}),
        openai("The project is over its limit.", "insufficient_quota", "project_spend_limit_exceeded"),
        *(QuotaExhaustedError, None),
    ),
    "openai-400-overflow": (
        *("openai", 400, {}),
        openai("This model's maximum context length is 8192 tokens.", code="context_length_exceeded", param="messages"),
        *(ContextOverflowError, None),
    ),
    "openai-400-schema": (
        *("openai", 400, {}),
        openai("Invalid schema for function 'f'.", code="invalid_function_parameters", param="tools[0].function"),
        *(BadRequestError, None),
    ),
    "openai-500": ("openai", 500, {}, openai("The server had an error.", "server_error"), ServerError, None),
    "openai-503": (
        *("openai", 503, {"retry-after": "2"}),
        *(openai("The engine is currently overloaded.", "server_error"), OverloadedError, 2.0),
    ),
    "azure-400-filter": (
        *("openai", 400, {}),
        openai("The response was filtered.", None, "content_filter", innererror=FILTERED, status=400),
        *(ContentFilterError, None),
    ),
    "deepseek-402": ("openai", 402, {}, openai("Insufficient Balance", "unknown_error"), QuotaExhaustedError, None),
    "vllm-400": (  # without an envelope
        *("openai", 400, {}),
        {"object": "error", "message": "maximum context length is 4096 tokens", "type": "BadRequestError", "code": 400},
        *(ContextOverflowError, None),
    ),
    "llama-cpp-400": (
        *("openai", 400, {}),
        {"error": {"code": 400, "message": "too many tokens", "type": "exceed_context_size_error", "n_ctx": 2048}},
        *(ContextOverflowError, None),
    ),
    "gemini-429-per-minute": (
        *("google", 429, {}),
        google(
            *(429, "RESOURCE_EXHAUSTED", PLAN_AND_BILLING),
            quota("GenerateContentInputTokensPerModelPerMinute-FreeTier"),
            retry_in("26s"),
        ),
        *(RateLimitError, 26.0),
    ),
    "gemini-429-message": (
        *("google", 429, {}),
        google(429, "RESOURCE_EXHAUSTED", f"{PLAN_AND_BILLING}\n* Quota exceeded, limit: 15\nPlease retry in 45.57s."),
        *(RateLimitError, 45.57),
    ),
    "gemini-429-zero": (
        *("google", 429, {}),
        google(429, "RESOURCE_EXHAUSTED", "* Quota exceeded, limit: 0, model: m\nPlease retry in 20.04s."),
        *(QuotaExhaustedError, None),
    ),
    "gemini-429-per-day": (
        *("google", 429, {}),
        google(
            *(429, "RESOURCE_EXHAUSTED", PLAN_AND_BILLING),
            quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
            retry_in("41s"),
        ),
        *(QuotaExhaustedError, None),
    ),
    "gemini-503": (
        *("google", 503, {}),
        *(google(503, "UNAVAILABLE", "The model is overloaded. Please try again later."), OverloadedError, None),
    ),
    "gemini-400-overflow": (
        *("google", 400, {}),
        google(
            400, "INVALID_ARGUMENT", "The input token count (1200000) exceeds the maximum number of tokens allowed."
        ),
        *(ContextOverflowError, None),
    ),
    "gemini-400-expired-key": (
        *("google", 400, {}),
        google(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key."),
        *(AuthenticationError, None),
    ),
    "gemini-400-location": (  # nothing is wrong with the request: another route may answer
        *("google", 400, {}),
        google(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
        *(AuthenticationError, None),
    ),
    "gemini-403": ("google", 403, {}, google(403, "PERMISSION_DENIED", "No."), AuthenticationError, None),
    "gemini-500": ("google", 500, {}, google(500, "INTERNAL", "An internal error occurred."), ServerError, None),
    "gemini-504": ("google", 504, {}, google(504, "DEADLINE_EXCEEDED", "Too late."), AttemptTimeoutError, None),
    **{
        f"{provider}-{status}-html": (provider, status, {"content-type": "text/html"}, page, kind, None)
        for provider in ("anthropic", "openai", "google")
        for status, page, kind in (
            (502, "<html><h1>502 Bad Gateway</h1></html>", ServerError),
            (504, "<html>Gateway Time-out</html>", AttemptTimeoutError),
            (404, "<html>Not Found</html>", NotFoundError),
            (520, "", ServerError),
        )
    },
}
# An error inside a stream, under HTTP 200: provider, the event, its class before anything was said, the seconds.
IN_STREAM: dict[str, tuple[str, Any, type[RouteError], float | None]] = {
    "anthropic-overloaded": ("anthropic", anthropic("overloaded_error", "Overloaded"), OverloadedError, None),
    "anthropic-api": ("anthropic", anthropic("api_error", "Internal server error"), ServerError, None),
    "anthropic-rate": ("anthropic", anthropic("rate_limit_error", "Too fast"), RateLimitError, None),
    "anthropic-bad": ("anthropic", anthropic("invalid_request_error", "No"), BadRequestError, None),
    "openai-server": ("openai", openai("The server had an error.", "server_error"), ServerError, None),
    "openai-rate": (
        "openai",
        openai("Please try again in 1m30s.", "tokens", "rate_limit_exceeded"),
        *(RateLimitError, 90.0),
    ),
    "openrouter-502": (
        "openai",
        {"error": {"code": 502, "message": "Provider disconnected"}, "choices": [{"finish_reason": "error"}]},
        *(ServerError, None),
    ),
    "gemini-503": ("google", google(503, "UNAVAILABLE", "The model is overloaded."), OverloadedError, None),
    "gemini-429": (
        "google",
        google(429, "RESOURCE_EXHAUSTED", "Resource exhausted.", retry_in("7s")),
        *(RateLimitError, 7.0),
    ),
    "gemini-500": ("google", google(500, "INTERNAL", "An internal error occurred."), ServerError, None),
}
