"""Refusals as vendors, servers and gateways write them, with the class that each comes to: support for tests, no test.

The shapes and the words that matter are from the vendors' pages on errors, from quoted bodies in public threads
(claude-code#58367, #55789, #72457; openrag#257; LibreChat#6926; litellm#4207, #5225; earendil-works/pi#129, #4943, #5677,
#5929; inference-atlas#186) and from the servers' sources; numbers and names are invented.
"""

from __future__ import annotations

from dataclasses import dataclass
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
from multiroute_core.errors import APIConnectionError, UnsupportedError
from tests.providers.quoted import GOOGLE_RPC, anthropic, google, openai


@dataclass(frozen=True, slots=True)
class Case:
    """One refusal.

    Attributes:
        status: The HTTP status.
        body: The body.
        kind: The class that it comes to.
        ability: What the route lacks, of an `UnsupportedError`.
        streamed: Whether the body alone, inside a stream under HTTP 200, comes to the same.
    """

    status: int
    body: Any
    kind: type[RouteError]
    ability: str | None = None
    streamed: bool = True


def vllm(message: str, code: int = 400, kind: str = "BadRequestError") -> dict[str, Any]:
    return {"object": "error", "message": message, "type": kind, "param": None, "code": code}


def fastapi(*loc: Any, kind: str, msg: str, value: Any = None) -> dict[str, Any]:
    return {"detail": [{"type": kind, "loc": ["body", *loc], "msg": msg, "input": value}]}


def openrouter(message: str, code: int, **metadata: Any) -> dict[str, Any]:
    return {"error": {"message": message, "code": code, "metadata": metadata}, "user_id": "user_1"}


def aws(message: str, code: str) -> dict[str, Any]:
    return {"message": message, "__type": f"com.amazon.coral.service#{code}"}


def denied(reason: str, message: str) -> dict[str, Any]:
    return google(403, "PERMISSION_DENIED", message, {"@type": f"{GOOGLE_RPC}.ErrorInfo", "reason": reason})


BAD_INPUT = "invalid_request_error"

ACCOUNT: dict[str, Case] = {
    "litellm: budget": Case(
        400,
        openai("Budget has been exceeded! Current cost: 1.2, Max budget: 1.0", "budget_exceeded", code="400"),
        QuotaExhaustedError,
    ),
    "payment": Case(400, openai("You must provide a valid payment method first."), QuotaExhaustedError),
    "groq: terms": Case(
        400,
        openai("The model `m` requires terms acceptance.", code="model_terms_required"),
        AuthenticationError,
    ),
    "terms": Case(400, openai("You need to accept the terms of service first."), AuthenticationError),
    "litellm: key": Case(400, openai("key not allowed to access model. It can access ['x']"), AuthenticationError),
    "plan": Case(400, openai("This model is not available on your plan."), AuthenticationError),
    "project": Case(400, openai("This model is not enabled for your project."), AuthenticationError),
    "anthropic: disabled": Case(400, anthropic(BAD_INPUT, "This organization has been disabled."), AuthenticationError),
    "anthropic: 403": Case(
        403,
        anthropic("permission_error", "Your account has been suspended for violating our usage policy."),
        AuthenticationError,
    ),
    "anthropic: credential": Case(
        400, anthropic(BAD_INPUT, "This credential is only authorized for use with Claude Code."), AuthenticationError
    ),
    "openai: stream": Case(
        400,
        openai("Your organization must be verified to stream this model.", code="unsupported_value", param="stream"),
        AuthenticationError,
    ),
    "openai: summaries": Case(
        400,
        openai("Your organization must be verified to generate reasoning summaries.", code="unsupported_value"),
        AuthenticationError,
    ),
    "openai: model": Case(
        404,
        openai("Your organization must be verified to use the model `m`.", code="model_not_found"),
        NotFoundError,
    ),
    "openai: deactivated": Case(
        403, openai("The account has been deactivated.", code="account_deactivated"), AuthenticationError
    ),
    "openai: country": Case(
        403,
        openai(
            "Country, region, or territory not supported", "request_forbidden", "unsupported_country_region_territory"
        ),
        AuthenticationError,
    ),
    "openai: not verified": Case(400, openai("Your organization has not been verified."), AuthenticationError),
    "openai: project": Case(400, openai("Project `p` has been archived and is not active."), AuthenticationError),
    "openai: inactive billing": Case(
        429,
        openai("Your account is not active, please check your billing details.", "billing_not_active"),
        QuotaExhaustedError,
    ),
    "openai: hard limit": Case(
        400, openai("Billing hard limit has been reached", code="billing_hard_limit_reached"), QuotaExhaustedError
    ),
    "gemini: location": Case(
        400, google(400, "FAILED_PRECONDITION", "User location is not supported for the API use."), AuthenticationError
    ),
    "gemini: disabled": Case(
        403,
        denied("SERVICE_DISABLED", "Gemini API has not been used in project 12 before or it is disabled."),
        AuthenticationError,
    ),
    "gemini: suspended": Case(
        403, denied("CONSUMER_SUSPENDED", "Consumer 'projects/12' has been suspended."), AuthenticationError
    ),
    "gemini: leaked": Case(
        403, google(403, "PERMISSION_DENIED", "Your API key was reported as leaked."), AuthenticationError
    ),
    "gemini: billing": Case(
        403, denied("BILLING_DISABLED", "This API method requires billing to be enabled."), QuotaExhaustedError
    ),
    "bedrock: not allowed": Case(400, aws("Operation not allowed", "ValidationException"), AuthenticationError),
    "bedrock: token": Case(
        400,
        aws("The security token included in the request is invalid.", "UnrecognizedClientException"),
        AuthenticationError,
    ),
    "bedrock: access": Case(
        403,
        aws("You don't have access to the model with the specified model ID.", "AccessDeniedException"),
        AuthenticationError,
    ),
    "openrouter: 402 under 200": Case(402, openrouter("Insufficient credits. Add more.", 402), QuotaExhaustedError),
    "openrouter: as a string": Case(402, {"error": {"message": "Pay.", "code": "402"}}, QuotaExhaustedError),
    "deepseek: balance": Case(402, openai("Insufficient Balance", "unknown_error", BAD_INPUT), QuotaExhaustedError),
    "anthropic: billing": Case(
        402, anthropic("billing_error", "There is an issue with your payment."), QuotaExhaustedError
    ),
    "fastapi: payment": Case(402, {"detail": "Payment Required"}, QuotaExhaustedError),
    "moonshot: balance": Case(
        429,
        openai("Your account org-1 <ak-1> is suspended, please check your plan", "exceeded_current_quota_error"),
        QuotaExhaustedError,
    ),
    "dashscope: arrears": Case(
        400,
        openai("Access denied, please make sure your account is in good standing.", "Arrearage", "Arrearage"),
        QuotaExhaustedError,
    ),
    "dashscope: free tier": Case(
        403,
        openai("The free tier of the model has been exhausted.", None, "AllocationQuota.FreeTierOnly"),
        QuotaExhaustedError,
    ),
    "zhipu: 1113": Case(
        429, {"error": {"code": "1113", "message": "您的账户已欠费，请充值后重试"}}, QuotaExhaustedError
    ),
    "zhipu: 1113 in english": Case(
        429, {"error": {"code": "1113", "message": "Please recharge."}}, QuotaExhaustedError
    ),
    "zhipu: 1112": Case(429, {"error": {"code": "1112", "message": "您的账户已被锁定"}}, AuthenticationError),
    "minimax: 1008": Case(
        200, {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, QuotaExhaustedError
    ),
    "minimax: 1004": Case(200, {"base_resp": {"status_code": 1004, "status_msg": "login fail"}}, AuthenticationError),
}

MODELS: dict[str, Case] = {
    "lm studio: none": Case(400, openai("No models loaded. Please load a model in the developer page."), NotFoundError),
    "lm studio: unloaded": Case(400, openai("Model unloaded."), NotFoundError),
    "openai": Case(
        400, openai("The requested model 'm' does not exist.", code="model_not_found", param="model"), NotFoundError
    ),
    "openai: by words": Case(
        400, openai("The model `m` does not exist or you do not have access to it."), NotFoundError
    ),
    "openai: deprecated": Case(400, openai("The model `m` has been deprecated, learn more here."), NotFoundError),
    "groq": Case(
        400,
        openai("The model `m` has been decommissioned and is no longer supported.", code="model_decommissioned"),
        NotFoundError,
    ),
    "deepseek": Case(400, openai("Model Not Exist"), NotFoundError),
    "mistral": Case(
        400, {"object": "error", "message": "Invalid model: m", "type": "invalid_model", "code": "1500"}, NotFoundError
    ),
    "openrouter": Case(400, openrouter("acme/m is not a valid model ID", 400), NotFoundError),
    "litellm": Case(400, {"error": {"message": "Invalid model name passed in model=m", "code": "400"}}, NotFoundError),
    "vllm": Case(404, vllm("The model `m` does not exist.", 404, "NotFoundError"), NotFoundError),
    "azure": Case(
        404,
        {"error": {"code": "DeploymentNotFound", "message": "The API deployment for this resource does not exist."}},
        NotFoundError,
    ),
    "azure: 400": Case(400, {"error": {"code": "DeploymentNotFound", "message": "No."}}, NotFoundError),
    "bedrock: on demand": Case(
        400,
        aws("Invocation of model ID a.b-v1:0 with on-demand throughput isn’t supported.", "ValidationException"),
        NotFoundError,
    ),
    "bedrock: identifier": Case(
        400, aws("The provided model identifier is invalid.", "ValidationException"), NotFoundError
    ),
    "bedrock: end of life": Case(
        404, aws("This model version has reached the end of its life.", "ResourceNotFoundException"), NotFoundError
    ),
    "gemini": Case(
        404,
        google(404, "NOT_FOUND", "models/m is not found for API version v1beta, or is not supported for it."),
        NotFoundError,
    ),
    "gemini: retired": Case(
        404, google(404, "NOT_FOUND", "This model models/m is no longer available to new users."), NotFoundError
    ),
    "vertex": Case(
        400, google(400, "FAILED_PRECONDITION", "Publisher Model `projects/p/m` was not found."), NotFoundError
    ),
    "copilot": Case(400, openai("The requested model is not supported.", code="model_not_supported"), NotFoundError),
    "dashscope": Case(400, openai("model 'm-1' is not supported."), NotFoundError),
    "minimax": Case(400, anthropic("bad_request_error", "invalid params, unknown model 'm' (2013)"), NotFoundError),
    "zhipu": Case(400, {"error": {"code": "1211", "message": "模型不存在，请检查模型代码。"}}, NotFoundError),
    "new-api": Case(503, openai("No available channel for model m", "new_api_error", "model_not_found"), NotFoundError),
    "ollama": Case(404, {"error": "model 'm' not found"}, NotFoundError),
    "lm studio": Case(400, {"error": "Model not found: m"}, NotFoundError),
    "gone": Case(410, {"title": "Gone", "detail": "The model 'm' has reached its end of life."}, NotFoundError),
    "named for its tools": Case(400, openai("The model `vision-tools` does not exist"), NotFoundError),
}

FILTERED: dict[str, Case] = {
    "anthropic": Case(400, anthropic(BAD_INPUT, "Output blocked by content filtering policy"), ContentFilterError),
    "anthropic: prohibited": Case(
        400, anthropic(BAD_INPUT, "Your request contains prohibited content."), ContentFilterError
    ),
    "anthropic: usage": Case(
        400, anthropic(BAD_INPUT, "This request appears to violate our Usage Policy."), ContentFilterError
    ),
    "openai: cyber": Case(
        400,
        openai("This request was flagged for possible cybersecurity risk.", code="cyber_policy"),
        ContentFilterError,
    ),
    "openai: content": Case(
        400, openai("Your request was rejected.", code="content_policy_violation"), ContentFilterError
    ),
    "openai: prompt": Case(
        400,
        openai(
            "Invalid prompt: your prompt was flagged as potentially violating our usage policy.", code="invalid_prompt"
        ),
        ContentFilterError,
    ),
    "azure": Case(
        400,
        openai("The response was filtered due to the prompt triggering Azure's policy.", None, "content_filter"),
        ContentFilterError,
    ),
    "azure: inner": Case(
        400,
        openai("It was refused.", None, "400", innererror={"code": "ResponsibleAIPolicyViolation"}),
        ContentFilterError,
    ),
    "gemini": Case(400, google(400, "INVALID_ARGUMENT", "Blocked by Model Armor: MODEL_ARMOR"), ContentFilterError),
    "gemini: safety": Case(400, google(400, "INVALID_ARGUMENT", "The prompt was blocked: SAFETY"), ContentFilterError),
    "gemini: prohibited": Case(400, google(400, "INVALID_ARGUMENT", "PROHIBITED_CONTENT"), ContentFilterError),
    "bedrock: guardrail": Case(
        400, aws("The input was blocked by guardrail g.", "ValidationException"), ContentFilterError
    ),
    "bedrock: policy": Case(
        400, aws("This request has been blocked by our content filters.", "ValidationException"), ContentFilterError
    ),
    "dashscope": Case(
        400,
        openai("Input data may contain inappropriate content.", "data_inspection_failed", "data_inspection_failed"),
        ContentFilterError,
    ),
    "dashscope: own": Case(
        400, {"code": "DataInspectionFailed", "message": "Output data may be bad."}, ContentFilterError
    ),
    "deepseek": Case(400, openai("Content Exists Risk", code=BAD_INPUT), ContentFilterError),
    "zhipu": Case(
        400,
        {
            "contentFilter": [{"level": 1}],
            "error": {"code": "1301", "message": "系统检测到输入可能包含不安全或敏感内容"},
        },
        ContentFilterError,
    ),
    "zhipu: english": Case(400, {"error": {"code": "1301", "message": "It was detected."}}, ContentFilterError),
    "minimax": Case(400, anthropic("bad_request_error", "output new_sensitive (1027)"), ContentFilterError),
    "minimax: 200": Case(200, {"base_resp": {"status_code": 1026, "status_msg": "input new"}}, ContentFilterError),
    "moonshot": Case(
        400,
        openai("The request was rejected because it was considered high risk", "content_filter"),
        ContentFilterError,
    ),
    "openrouter": Case(
        403,
        openrouter('m requires moderation. Your input was flagged for "hate".', 403, reasons=["hate"]),
        ContentFilterError,
    ),
    "openrouter: raw": Case(
        400,
        openrouter("Provider returned error", 400, raw='{"error":{"message":"Content Exists Risk"}}'),
        ContentFilterError,
    ),
    "xai": Case(
        403,
        {"code": "no", "error": "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_X"},
        ContentFilterError,
    ),
    "volcengine": Case(
        400,
        {"error": {"code": "InputTextSensitiveContentDetected", "message": "The input may be sensitive."}},
        ContentFilterError,
    ),
    "stepfun": Case(451, openai("The content you provided is blocked.", "censorship_blocked"), ContentFilterError),
    "new-api": Case(
        400, openai("sensitive words detected", "new_api_error", "sensitive_words_detected"), ContentFilterError
    ),
}


def lacks(status: int, body: Any, ability: str) -> Case:
    return Case(status, body, UnsupportedError, ability)


NOT_PERMITTED = "Extra inputs are not permitted"
UNSUPPORTED: dict[str, Case] = {
    "ollama: tools": lacks(400, openai("registry.ollama.ai/library/m:4b does not support tools", "api_error"), "tools"),
    "ollama: a model named vision": lacks(400, {"error": '"llava-vision:7b" does not support tools'}, "tools"),
    "ollama: thinking": lacks(400, {"error": '"m" does not support thinking'}, "reasoning"),
    "ollama: images": lacks(500, {"error": "this model is missing data required for image input"}, "image"),
    "llama.cpp: tools": lacks(500, openai("tools param requires --jinja flag", "server_error"), "tools"),
    "llama.cpp: images": lacks(
        500, openai("image input is not supported - hint: you may need to provide the mmproj", "server_error"), "image"
    ),
    "llama.cpp: audio": lacks(
        500, openai("audio input is not supported - hint: you may need to provide the mmproj", "server_error"), "audio"
    ),
    "vllm: tools": lacks(
        400, vllm('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'), "tools"
    ),
    "vllm: choice": lacks(400, vllm('tool_choice = "required" is not supported!'), "tool_choice"),
    "vllm: images": lacks(400, vllm("At most 0 image(s) may be provided in one prompt."), "image"),
    "vllm: not multimodal": lacks(400, vllm("acme/m is not a multimodal model"), "image"),
    "openrouter: tools": lacks(
        404, openrouter("No endpoints found that support tool use. See https://o.ai/docs", 404), "tools"
    ),
    "openrouter: images": lacks(404, openrouter("No endpoints found that support image input", 404), "image"),
    "openrouter: audio": lacks(404, openrouter("No endpoints found that support input audio", 404), "audio"),
    "openrouter: choice": lacks(
        404, openrouter("No endpoints found that support the provided 'tool_choice' value.", 404), "tool_choice"
    ),
    "openrouter: parameters": lacks(
        404, openrouter("No endpoints found that can handle the requested parameters.", 404), ""
    ),
    "deepseek: form": lacks(
        400, openai("This response_format type is unavailable now", code=BAD_INPUT), "output_schema"
    ),
    "deepseek: images": lacks(
        400,
        openai("Failed to deserialize the JSON body: messages[0]: unknown variant `image_url`, expected `text` at 1"),
        "image",
    ),
    "openai: images": lacks(
        400,
        openai("Invalid content type. image_url is only supported by certain models.", param="messages.[0].content"),
        "image",
    ),
    "openai: image in a part": lacks(
        400, openai("Invalid value: 'image_url'. Supported values are: 'text'.", code="invalid_value"), "image"
    ),
    "openai: form": lacks(
        400,
        openai("Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model."),
        "output_schema",
    ),
    "openai: text.format": lacks(
        400, openai("Unsupported parameter.", code="unsupported_parameter", param="text.format"), "output_schema"
    ),
    "openai: temperature": lacks(
        400,
        openai(
            "Unsupported parameter: 'temperature' is not supported with this model.",
            code="unsupported_parameter",
            param="temperature",
        ),
        "temperature",
    ),
    "openai: temperature by words": lacks(
        400, openai("Unsupported parameter: 'temperature' is not supported with this model."), "temperature"
    ),
    "openai: its value": lacks(
        400,
        openai(
            "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.",
            code="unsupported_value",
            param="temperature",
        ),
        "temperature",
    ),
    "openai: effort": lacks(
        400,
        openai(
            "Unsupported value: 'reasoning.effort' does not support 'minimal'.",
            code="unsupported_value",
            param="reasoning.effort",
        ),
        "reasoning",
    ),
    "openai: max_tokens": lacks(
        400,
        openai(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        ),
        "max_tokens",
    ),
    "openai: unknown stream_options": lacks(
        400,
        openai("Unknown parameter: 'stream_options'.", code="unknown_parameter", param="stream_options"),
        "stream_options",
    ),
    "azure: stream_options": lacks(
        400, openai("Unrecognized request argument supplied: stream_options"), "stream_options"
    ),
    "azure: parallel": lacks(
        400, openai("Unrecognized request argument supplied: parallel_tool_calls"), "parallel_tool_calls"
    ),
    "mistral: stream_options": lacks(
        422, fastapi("stream_options", kind="extra_forbidden", msg=NOT_PERMITTED), "stream_options"
    ),
    "mistral: nested": lacks(
        422,
        {"object": "error", "message": fastapi("seed", kind="extra_forbidden", msg=NOT_PERMITTED), "type": BAD_INPUT},
        "seed",
    ),
    "mistral: reasoning in history": lacks(
        422,
        fastapi("messages", 1, "assistant", "reasoning_content", kind="extra_forbidden", msg=NOT_PERMITTED),
        "reasoning_history",
    ),
    "pydantic 1": lacks(422, fastapi("tools", kind="value_error.extra", msg="extra fields not permitted"), "tools"),
    "anthropic: form": lacks(400, anthropic(BAD_INPUT, f"output_config.format: {NOT_PERMITTED}"), "output_schema"),
    "anthropic: strict": lacks(400, anthropic(BAD_INPUT, f"tools.0.custom.strict: {NOT_PERMITTED}"), "tools.strict"),
    "anthropic: thinking": lacks(
        400, anthropic(BAD_INPUT, "adaptive thinking is not supported on this model"), "reasoning"
    ),
    "anthropic: effort": lacks(
        400, anthropic(BAD_INPUT, "This model does not support the effort parameter."), "reasoning"
    ),
    "anthropic: temperature": lacks(
        400, anthropic(BAD_INPUT, "`temperature` is deprecated for this model."), "temperature"
    ),
    "anthropic: prefill": lacks(
        400, anthropic(BAD_INPUT, "This model does not support assistant message prefill."), "prefill"
    ),
    "gemini: tools": lacks(
        400, google(400, "INVALID_ARGUMENT", "Function calling is not enabled for models/m-vision-1"), "tools"
    ),
    "gemini: images": lacks(
        400, google(400, "INVALID_ARGUMENT", "Image input modality is not enabled for models/m"), "image"
    ),
    "gemini: audio": lacks(
        400, google(400, "INVALID_ARGUMENT", "Audio input modality is not enabled for models/m"), "audio"
    ),
    "gemini: form": lacks(
        400, google(400, "INVALID_ARGUMENT", "JSON mode is not enabled for models/m"), "output_schema"
    ),
    "gemini: both": lacks(
        400,
        google(
            400, "INVALID_ARGUMENT", "Function calling with a response mime type: 'application/json' is unsupported"
        ),
        "output_schema",
    ),
    "gemini: thinking": lacks(
        400, google(400, "INVALID_ARGUMENT", "Thinking level is not supported for this model."), "reasoning"
    ),
    "gemini: system": lacks(
        400, google(400, "INVALID_ARGUMENT", "Developer instruction is not enabled for models/m"), "system"
    ),
    "gemini: field": lacks(
        400,
        google(
            400,
            "INVALID_ARGUMENT",
            "Invalid JSON payload received. Unknown name \"thinkingConfig\" at 'generation_config': Cannot find field.",
        ),
        "reasoning",
    ),
    "bedrock: tools": lacks(400, aws("This model doesn't support tool use.", "ValidationException"), "tools"),
    "bedrock: documents": lacks(400, aws("This model doesn't support documents.", "ValidationException"), "document"),
    "bedrock: choice": lacks(
        400,
        aws("This model doesn't support the toolConfig.toolChoice.any field.", "ValidationException"),
        "tool_choice",
    ),
    "bedrock: images": lacks(
        400,
        aws("This model doesn't support the image content block that you provided.", "ValidationException"),
        "image",
    ),
    "groq: tools": lacks(400, openai("`tool calling` is not supported with this model"), "tools"),
    "groq: form": lacks(
        400, openai("This model does not support response format `json_schema`. See our docs."), "output_schema"
    ),
    "groq: reasoning in history": lacks(
        400,
        openai("'messages.1' : for 'role:assistant' property 'messages.1.reasoning_content' is unsupported"),
        "reasoning_history",
    ),
    "xai: parameter": lacks(400, {"code": "x", "error": "Argument not supported on this model: stop"}, "stop"),
    "xai: penalty": lacks(
        400, {"error": "Model grok-x does not support parameter presencePenalty."}, "presencePenalty"
    ),
    "moonshot: choice": lacks(
        400, openai("tool_choice 'required' is incompatible with thinking enabled"), "tool_choice"
    ),
    "dashscope: choice": lacks(
        400, openai("The tool_choice parameter does not support being set to required in thinking mode"), "tool_choice"
    ),
    "siliconflow": lacks(
        400,
        {"code": 20041, "message": "The model is not a VLM (Vision Language Model). Please use text-only prompts."},
        "image",
    ),
    "lm studio": lacks(400, {"error": "Model does not support images. Please use a model that does."}, "image"),
    "plain 501": lacks(
        501, {"error": {"code": 501, "message": "tools are not supported", "type": "not_supported_error"}}, "tools"
    ),
    "cloudflare": lacks(
        400, {"errors": [{"code": 5006, "message": "Error: json_schema is not supported"}]}, "output_schema"
    ),
    "fastapi: sentence": lacks(400, {"detail": "image_url is not supported, only text is"}, "image"),
    "raw": lacks(400, openrouter("Provider returned error", 400, raw='{"detail":"tools are not supported"}'), "tools"),
    "a list": lacks(400, [google(400, "INVALID_ARGUMENT", "Function calling is not enabled for models/m")], "tools"),
    "text only": lacks(400, {"error": "This model only supports text input."}, "image"),
    "text only, named": lacks(400, {"error": "Only text content is supported, no audio."}, "audio"),
    "a bare parameter": lacks(400, {"detail": "parameter logprobs is not supported"}, "logprobs"),
    "chinese": lacks(400, {"error": {"code": "1210", "message": "当前模型不支持图片输入"}}, "image"),
}

REASONING: dict[str, Case] = {
    name: lacks(400, body, "reasoning_history")
    for name, body in {
        "openai": openai("The encrypted content gAAA could not be verified.", code="invalid_encrypted_content"),
        "openai: by words": openai("Encrypted content could not be decrypted or parsed."),
        "openai: item": openai("Item 'rs_1' of type 'reasoning' was provided without its required following item."),
        "openai: kept elsewhere": openai("Item with id 'rs_1' not found. Items are not persisted."),
        "anthropic": anthropic(BAD_INPUT, "messages.1.content.0: Invalid `signature` in `thinking` block"),
        "anthropic: changed": anthropic(
            BAD_INPUT,
            "messages.1.content.0: `thinking` or `redacted_thinking` blocks in the latest message cannot be modified.",
        ),
        "anthropic: first": anthropic(BAD_INPUT, "messages.1.content.0.type: Expected `thinking`, but found `text`."),
        "gemini": google(400, "INVALID_ARGUMENT", "Unable to submit request because Thought signature is not valid"),
        "gemini: missing": google(400, "INVALID_ARGUMENT", "Function call is missing a thought_signature in parts."),
        "deepseek": openai("The `reasoning_content` in the thinking mode must be passed back to the API."),
        "openrouter": openrouter(
            "Provider returned error", 400, raw='{"error":{"message":"Invalid thought signature."}}'
        ),
    }.items()
}

FILES: dict[str, Case] = {
    "a file of another account": Case(
        404,
        anthropic("not_found_error", "File: file_011CNha8iCJcU1wXNR6q4V8w not found"),
        UnsupportedError,
        "file",
        False,
    ),
    "a file that expired": Case(
        400, openai("The requested file 'file-abc123' does not exist", code=BAD_INPUT), UnsupportedError, "file", False
    ),
    "a stored answer": Case(
        400,
        openai("Previous response with id 'resp_1' not found.", code="previous_response_not_found"),
        UnsupportedError,
        "file",
        False,
    ),
}
"""What an account keeps, and another one does not have."""

CALLERS: dict[str, Case] = {
    name: Case(400, body, BadRequestError)
    for name, body in {
        **{
            f"quoted {place}": openai(message)
            for place, message in enumerate(
                (
                    "Invalid value 'does not support images' for field x",
                    "Invalid value for 'metadata.topic': 'your organization has been disabled'.",
                    "Invalid 'messages[0].name': 'maximum context length' does not match the pattern.",
                    "Invalid 'tools[0].function.name': \"get content policy\" does not match '^[a-z]+$'.",
                    "Invalid 'stop': 'insufficient_quota' is not an array.",
                    "Invalid tool name `model_not_found`",
                    "The input 'my account has been suspended, what now' is not valid JSON",
                    "Could not parse the JSON body near 'the model gpt-4 does not exist'",
                    "Invalid type for 'messages[0].content': expected a string, got 'too many tokens' instead",
                    "Function name 'content policy' not found in tools",
                )
            )
        },
        "function": openai(
            "Invalid schema for function 'f': 'oneOf' is not permitted.", code="invalid_function_parameters"
        ),
        "form": openai(
            "Invalid schema for response_format 'x': 'minLength' is not supported.", param="response_format"
        ),
        "anthropic form": anthropic(BAD_INPUT, "output_config.format.schema: invalid schema: 'oneOf' is not supported"),
        "type": openai("Invalid type for 'temperature': expected a decimal, but got a string.", code="invalid_type"),
        "range": openai("'temperature' must be less than or equal to 2"),
        "tool id": openai("Invalid parameter: messages with role 'tool' must be a response to 'tool_calls'."),
        "anthropic tool id": anthropic(BAD_INPUT, "messages.2.content.0: unexpected `tool_use_id` found in blocks: t1"),
        "unknown": openai("Unrecognized request argument supplied: frobnicate"),
        "unknown code": openai("Unknown parameter: 'frobnicate'.", code="unknown_parameter", param="frobnicate"),
        "anthropic unknown": anthropic(BAD_INPUT, "frobnicate: Extra inputs are not permitted"),
        "gemini unknown": google(
            400, "INVALID_ARGUMENT", 'Invalid JSON payload received. Unknown name "frobnicate": Cannot find field.'
        ),
        "gemini schema": google(
            400,
            "INVALID_ARGUMENT",
            "Invalid JSON payload received. Unknown name \"strict\" at 'tools[0].function_declarations[0].parameters': Cannot find field.",
        ),
        "image format": openai("You uploaded an unsupported image. Please use png.", code="invalid_image_format"),
        "media": google(400, "INVALID_ARGUMENT", "Unsupported MIME type: image/heic"),
        "role": openai("unknown variant `boss`, expected one of `system`, `user`, `assistant`, `tool`"),
        "surrogate": anthropic(
            BAD_INPUT, "The request body is not valid JSON: no low surrogate in string: line 1 column 9"
        ),
        "completion": openai("max_tokens is too large: 9. This model supports at most 8 completion tokens."),
        "long name": openai(
            "Invalid 'tools[0].name': string too long. Expected maximum length 64.",
            code="string_above_max_length",
            param="tools[0].name",
        ),
        "zhipu": {"error": {"code": "1214", "message": "messages 参数非法。请检查文档。"}},
        "nothing": {},
    }.items()
} | {
    "fastapi unknown": Case(422, fastapi("frobnicate", kind="extra_forbidden", msg=NOT_PERMITTED), BadRequestError),
    "fastapi type": Case(
        422, fastapi("temperature", kind="float_parsing", msg="Input should be a valid number"), BadRequestError
    ),
    "fastapi echo": Case(
        422,
        fastapi(
            "top_p",
            kind="float_type",
            msg="Input should be a number",
            value="context length exceeded; tools are not supported",
        ),
        BadRequestError,
    ),
}

OTHERS: dict[str, Case] = {
    "zhipu: 1305": Case(
        429, {"error": {"code": "1305", "message": "The model is experiencing high traffic"}}, OverloadedError
    ),
    "zhipu: 1302": Case(429, {"error": {"code": "1302", "message": "您的账户已达到速率限制"}}, RateLimitError),
    "zhipu: number": Case(429, {"error": {"code": 1302, "message": "Slower."}}, RateLimitError),
    "mistral: 3505": Case(
        429,
        {
            "object": "error",
            "message": "Service tier capacity exceeded for this model.",
            "type": "service_tier_capacity_exceeded",
            "code": "3505",
        },
        RateLimitError,
    ),
    "mistral: 1300": Case(
        429,
        {"object": "error", "message": "Rate limit exceeded", "type": "rate_limited", "code": "1300"},
        RateLimitError,
    ),
    "openrouter: 429": Case(
        429, openrouter("Provider returned error", 429, raw="m is rate-limited upstream"), RateLimitError
    ),
    "string 429": Case(429, {"error": {"message": "Slower", "code": "429"}}, RateLimitError),
    "string": Case(503, {"error": "model is overloaded, try again later"}, OverloadedError),
    "vllm died": Case(500, vllm("EngineCore died", 500, "InternalServerError"), ServerError),
    "fastapi 500": Case(500, {"detail": "Internal Server Error"}, ServerError),
    "bedrock throttled by 400": Case(400, aws("Rate exceeded", "ThrottlingException"), RateLimitError),
    "bedrock throttled": Case(
        429, aws("Too many tokens, please wait before trying again.", "ThrottlingException"), RateLimitError
    ),
    "bedrock per day": Case(
        429,
        aws("Too many tokens per day, please wait before trying again.", "ThrottlingException"),
        QuotaExhaustedError,
    ),
    "bedrock not ready": Case(429, aws("The model is not ready.", "ModelNotReadyException"), OverloadedError),
    "bedrock model error": Case(424, aws("The model failed.", "ModelErrorException"), ServerError),
    "bedrock late": Case(408, aws("It took too long.", "ModelTimeoutException"), AttemptTimeoutError),
    "minimax: rate": Case(200, {"base_resp": {"status_code": 1002, "status_msg": "slow down"}}, RateLimitError),
    "minimax: late": Case(200, {"base_resp": {"status_code": 1001, "status_msg": "no"}}, AttemptTimeoutError),
    "anthropic: 401": Case(401, anthropic("authentication_error", "invalid x-api-key"), AuthenticationError),
    "anthropic: 404": Case(404, anthropic("not_found_error", "model: m"), NotFoundError),
    "a waf's words in JSON": Case(403, {"error": "Forbidden"}, AuthenticationError, streamed=False),
}
STATUSES: dict[int, type[RouteError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    402: QuotaExhaustedError,
    403: AuthenticationError,
    404: NotFoundError,
    405: NotFoundError,
    407: APIConnectionError,
    408: AttemptTimeoutError,
    409: ServerError,
    410: NotFoundError,
    413: ContextOverflowError,
    415: UnsupportedError,
    420: RateLimitError,
    422: BadRequestError,
    424: ServerError,
    425: ServerError,
    429: RateLimitError,
    430: RateLimitError,
    451: AuthenticationError,
    498: OverloadedError,
    499: ServerError,
    500: ServerError,
    501: ServerError,
    502: ServerError,
    503: OverloadedError,
    504: AttemptTimeoutError,
    520: ServerError,
    521: ServerError,
    522: AttemptTimeoutError,
    523: ServerError,
    524: AttemptTimeoutError,
    525: ServerError,
    526: ServerError,
    529: OverloadedError,
    530: ServerError,
}
