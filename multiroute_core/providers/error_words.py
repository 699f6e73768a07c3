"""Error codes and wordings of the providers by meaning: the vocabulary of the error classification.

Sources, all read in November 2026: the providers' error documentation (https://docs.bigmodel.cn/cn/faq/api-code,
https://platform.minimax.io/docs/api-reference/errorcode, https://help.aliyun.com/en/model-studio/error-code,
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html), threads that quote bodies
(earendil-works/pi#129, #4943, #5677, #5929; jin-bo/agentao#88; BerriAI/litellm#4207, #5225), and the bodies in the
tests. Added on 2026-11-30: anthropics/claude-code#45069 and earendil-works/pi#2943 (extra usage, 2026-04),
QuantumNous/new-api#1737 (2025-09), songquanpeng/one-api#1270 (2024-04), run-llama/llama_index#16503 (Azure's
operations, 2024-10), mnfst/llm-gateway#1849 (Copilot, 2026-05), XiaomiMiMo/MiMo-Code#2417 and antirez/ds4#150
(overflow, 2026), BerriAI/litellm#21647 (2026-02), https://platform.kimi.com/docs/api/errors and
https://www.volcengine.com/docs/82379/1299023.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

Meaning = Literal[
    "overflow",
    "quota",
    "filter",
    "account",
    "not_found",
    "rate_limit",
    "overloaded",
    "timeout",
    "server",
    "bad_request",
    "reasoning_history",
]


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE | re.MULTILINE)


OVERFLOW = _any(
    r"context[_ ](?:length|window|size|limit)[_ ](?:has been |is |was )?exceed",
    r"exceed\w*[_ ](?:\S+ ){0,6}?(?:context|n_ctx|max_seq_len|max_model_len|model token limit|token limit)",
    r"max_?(?:context|prompt)_?(?:window_?)?tokens?(?:_?exceeded|\b.{0,20}\d+ ?> ?\d)|exceed\w* max_?context",
    r"\bprompt (?:\S+ ){0,2}exceed|\b(?:message|prompt|input|total) tokens? (?:length |count )?exceed",
    r"total tokens (?:\S+ ){0,5}exceed|sequence length \S* ?exceeds|max(?:imum)? (?:input characters|length of prompt)",
    r"input characters limit|input tokens? \S+ (?:is|are) greater than|payload size exceeds|prompt has [\d,]+ tokens",
    r"cannot be greater than `?max_(?:model_len|total_tokens)|cannot truncate prompt|n_keep\b.{0,20}n_ctx",
    r"required for long context|(?:context|prompt)_(?:window_)?exceeded",
    r"exceed\w* (?:\S+ ){0,4}?max(?:imum)? (?:\S+ ){0,3}?(?:length|number of (?:input )?tokens)",
    r"token (?:count|limit) (?:\S+ ){0,3}?(?:exceeds?|exceeded)\b",
    r"input token count is \S+ but (?:the )?model only supports",
    r"maximum (?:\w+ ){0,2}?(?:context|prompt|model|input|sequence) length",
    r"maximum allowed number of input tokens",
    r"(?:longer|greater|larger|more) than (?:the )?(?:model'?s |maximum |available |configured )*"
    r"(?:context|model length|input length|number of input tokens)",
    r"\b(?:prompt|inputs?|request|conversation|messages?)['\"`]? (?:tokens? )?(?:length )?(?:\([^)]{0,60}\) )?"
    r"(?:is |are )?too (?:long|large)\b",
    r"(?:input|messages|prompt|contents?)[^:\n]{0,20}: (?:string|array) too long",
    r"(?:input|prompt) tokens? exceeds? (?:the )?(?:\w+ )?limit",
    r"\brequest (?:body |entity )?(?:is )?too[_ ]large|request_too_large",
    r"too many (?:input |prompt |total )?(?:tokens|text bytes)",
    r"too many total text bytes",
    r"reduce (?:the |your )?(?:length|prompt|input|context|number of (?:input )?tokens|message size|input token count)",
    r"range of input length should be",
    r"tokens?_limit_reached|(?:string|array)_above_max_length|content_length_exceeds_threshold",
    r"`?inputs`? (?:tokens \+ `?max_new_tokens`? must be|must have less than)",
    r"prompt contains [\d,]+ tokens",
    r"context length (?:is|of) only|context the overflows|context overflow",
    r"expected max_?length",
    r"long context beta is not",
    r"prompt ?超长|(?:输入|上下文|长度).{0,12}(?:超长|超过|超出|超限)|(?:超过|超出).{0,12}(?:最大长度|上下文)",
    r"(?:输入|提示|上下文|消息|对话).{0,8}(?:过长|太长)|tokens? ?(?:总数|数量|数|长度).{0,4}(?:超|过长|过多)",
    r"(?:컨텍스트|토큰).{0,30}초과|(?:コンテキスト|トークン).{0,30}超え",
    r"(?:excede|supera|dépasse|überschreitet)\b.{0,60}(?:contexto|contexte|Kontext)",
)
"""The prompt exceeds the model's context window."""

PER_SPAN = _any(
    r"\bper[ _-]?(?:min|day|hour|sec)",
    r"\bTP[MD]\b",
    r"rate[ _]limit",
    r"throttl",
    r"too many requests",
    r"please wait",
    r"(?:try again|retry) (?:in|after) [\d.]",
    r"\bquota\b",
    r"每(?:分钟|天|日|小时)|速率|频率",
)
"""A limit per unit of time; an error with it is not about a context window."""

TOO_LARGE = re.compile(r"request too large|required for long context", re.IGNORECASE)
LIMIT_AND_REQUESTED = re.compile(r"limit:? (\d+).{0,40}?requested:? (\d+)", re.IGNORECASE)

QUOTA = _any(
    r"insufficient[_ ](?:(?:user|token)[_ ])?(?:quota|balance|credits?|funds|account balance)",
    r"credit balance|billing_(?:hard_limit|not_active|error)|billing hard limit|spend(?:ing)?[_ ]limit|usage[_ ]limit",
    r"_balance_exhausted|limit: 0\b|PerDay|per day, please wait",
    r"payment[_ ]required|exceeded_current_quota_error|arrearage|account overdue|account is in good standing",
    r"(?:out of|no|used all available|requires more|need more) credits|credits? (?:are |is )?(?:exhausted|depleted)",
    r"billing (?:is )?(?:not active|not enabled|disabled)|requires billing|BILLING_DISABLED|check your billing details",
    r"balance is (?:not enough|insufficient|too low|used up)|quota (?:is |has been )?(?:exhausted|not enough)",
    r"FreeTierOnly|free tier of the model has been exhausted|(?:key|prompt tokens) limit exceeded",
    r"\bbudget[_ ](?:has been )?exceeded|provide a valid payment method",
    r"(?:out of|draw from your) extra usage|out of call volume quota|daily free allocation|payment[_ ]instrument",
    r"(?:n[o'’]t|not) have any credits|pre_?consume_token_quota|quota is not enough|TokenStatusExhausted",
    r"余额(?:不足|已?用[尽完])|欠费|额度(?:不足|失败|已?用[尽完])",
)
"""Credit or a long-term quota is exhausted."""

FILTERED = _any(
    r"content[_ -]?filter|content[_ ](?:policy|moderation)|content management policy|ResponsibleAIPolicy|MODEL_ARMOR",
    r"(?:cyber|bio|misalignment|usage|safety|acceptable use)[_ ]polic(?:y|ies)|usage guidelines",
    r"(?:cyber|bio)_policy|data_?inspection_?failed|inappropriate content|content exists risk",
    r"sensitive[_ ]words?[_ ]detected|new_sensitive|SensitiveContentDetected|SAFETY_CHECK",
    r"content (?:\S+ )?violat|violat\w+ (?:\S+ ){0,5}(?:polic(?:y|ies)|guidelines|terms of service)",
    r"\b(?:was|been|is|prompt|input) flagged\b|flagged_input|prohibited[_ ]content|considered high risk",
    r"censorship_blocked|guardrail[_ ]?(?:intervened|violat|block)|requires moderation|moderation_blocked",
    r"\b(?:prompt|response|request|input|output|content) (?:was|is|has been) (?:blocked|filtered)",
    r"blocked by (?:\S+ ){0,4}?(?:guardrails?|content|safety|moderation|polic)|safety[_ ](?:system|filter|violation)",
    r"(?:prompt|response|request|message) (?:was )?(?:blocked|rejected) (?:due to|because)|hooks_failed",
    r"guardrail checks? (?:\S+ ){0,5}failed|prompt[- ]injection|jailbreak|(?:text|image)(?:sensitive|risk)\w*detect",
    r"不安全或敏感|敏感内容|违规",
)
"""A provider's filter or policy refuses the prompt or the answer."""

_WHO = r"(?:organi[sz]ation|account|project|workspace|team|user|api[_ ]?key|key|token|tenant|consumer|subscription)"
_SHUT = (
    r"(?:disabled|suspended|deactivated|terminated|banned|locked|blocked|restricted|revoked|deleted|expired|"
    r"archived|inactive|not active|not verified|not allowed|denied access)"
)
ACCOUNT = _any(
    rf"\b{_WHO} (?:\S+ )?(?:has been|have been|is|was|are) (?:\w+ )?{_SHUT}",
    rf"{_WHO}[_ -](?:disabled|suspended|deactivated|inactive|banned)|access_terminated",
    rf"{_WHO} (?:must be|has not been|is not|not) verified",
    rf"{_WHO} (?:\S+ )?requires? verification|verify (?:your )?organi[sz]ation",
    r"api[_ ]?key (?:was )?(?:reported as )?(?:leaked|expired)",
    r"api[_ ]key[_ ](?:not[_ ]valid|invalid|expired|not found)",
    r"(?:invalid|incorrect)[_ ](?:x-)?api[_ -]?key|invalid[_ ]token\b|invalid_grant",
    r"location is not supported|country, region,? or territory not supported|unsupported_country",
    r"not (?:available|supported) in your (?:country|region|location)",
    r"SERVICE_DISABLED|has not been used in project|CONSUMER_SUSPENDED|CONSUMER_INVALID",
    r"security token (?:included in the request )?is (?:invalid|expired)|credential is only authorized",
    r"(?:don'?t|do not|does not) have (?:access to|permission)|not authorized to|operation not allowed\b",
    rf"\bnot (?:be )?(?:enabled|available|used|allowed) (?:for|on) (?:this|your) (?:{_WHO}|plan|tier)",
    rf"\b{_WHO} not allowed to access model|{_WHO}_model_access_denied|model_terms_required|requires terms acceptance",
    r"\baccept (?:the |this |its )?(?:[\w']+ ){0,2}terms\b|(?:has|have) not (?:been )?activated the model",
    r"\baccess (?:was|has been|is) (?:\w+ )?(?:terminated|revoked|suspended|disabled)",
    r"access to (?:this |the )?model (?:\S+ )?(?:is |has been )?(?:denied|not available)",
    r"matching your (?:\S+ ){0,4}(?:data policy|guardrail restrictions|privacy settings)",
    r"无权(?:访问|使用)|无效的令牌|令牌已(?:过期|禁用|失效)|令牌状态不可用|(?:认证|鉴权)失败",
)
"""The account, its key or its region lacks permission; the request itself is not at fault."""

_MODEL = r"['\"`]?[\w./:@+-]+['\"`]?"
NOT_FOUND = _any(
    rf"\bmodel:? (?:{_MODEL} )?(?:does )?not[ _](?:exist|found)|model_not_(?:found|available|supported)",
    r"not found the model",
    rf"\bmodel:? (?:{_MODEL} )?(?:does not exist|was not found|is not found|could not be found|doesn'?t exist)",
    rf"\bmodels?[:/ ]+{_MODEL} (?:has been|is|was) (?:not found|retired|decommissioned|removed|shut ?down|unknown)",
    r"has been (?:decommissioned|deprecated|retired|removed)|model_(?:decommissioned|deprecated|retired)",
    r"reached (?:its|the) end of life|no longer available|(?:model|version) is (?:deprecated|retired|decommissioned)",
    r"is not a valid model|(?:invalid|unknown|unsupported|incorrect) model\b(?! (?:output|response))|unknown_model",
    r"model identifier is invalid|requested model (?:is )?(?:not|un)[ -]?(?:supported|available|valid)",
    r"no such model|on-demand throughput (?:isn[’']t|is not)|support on-demand throughput",
    rf"(?:^|[.:>] )(?:the |this )?model:? {_MODEL} is not (?:supported|available|a chat model)",
    r"does not support (?:the )?chat completions|no available channels? for model|publisher model",
    r"deployment (?:\S+ )?(?:does not exist|not found|was not found|could not be found)|deployment_?not_?found",
    r"deployment for this resource does not exist|模型不存在|无可用渠道",
    r"not work with the specified model|support the model that you provided",
    r"not (?:accessible|supported) (?:via|in) the \S+ endpoint|only supported in v1/|unsupported_api_for_model",
    r"chat template is no longer allowed|must provide a chat template",
    r"\b(?:endpoint|deployment) (?:\S+ )?(?:is|has been) (?:currently )?(?:disabled|stopped|paused|closed)",
    r"is currently not in use|\bno models loaded|\bmodel (?:is )?(?:not loaded|unloaded)\b",
)
"""The model or deployment is unknown here or retired."""

NO_CHANNEL = re.compile(r"no available channels? for model|无可用渠道", re.IGNORECASE)
"""one-api and new-api, which say it with 503."""

REASONING_HISTORY = _any(
    r"invalid_encrypted_content|encrypted[_ ]content .{0,80}(?:verified|decrypted|parsed|invalid)",
    r"invalid `?signature`? in `?thinking|signature.{0,40}thinking.{0,40}(?:invalid|required)",
    r"thought[_ ]?signature.{0,60}(?:not valid|invalid|missing|decod|corrupt)",
    r"(?:missing a|invalid) thought[_ ]?signature",
    r"thinking.{0,40}blocks? .{0,60}(?:cannot be modified|must remain|were modified)",
    r"expected `?(?:thinking|redacted_thinking)`?",
    r"reasoning_content.{0,60}(?:must be passed back|is missing|is required)|missing `?reasoning_content",
    r"\bitem (?:with id )?['\"`]?rs_\w+.{0,120}(?:not found|without its required)",
    r"reasoningContent\.reasoningText",
)
"""The conversation holds reasoning of another account or model, which this one cannot read."""

ACCOUNT_FILE = _any(
    r"\bfiles?(?: id)?[-:_ /'\"`]+[\w-]+['\"`]?,? (?:was |does )?not (?:found|exist)|no such file object|"
    r"previous_response_not_found"
)
"""A file or response that is stored in an account, and that this account does not have."""

OVERLOADED = _any(r"overload|at capacity|no capacity|unavailable|high (?:traffic|demand)|too busy|负载|访问量过大")
RATE_LIMITED = _any(
    r"rate[_ -]?limit",
    r"resource[_ ](?:has been )?exhausted",
    r"too[_ ]many[_ ]requests",
    r"quota exceeded",
    r"throttl",
)
SERVER = _any(r"api_error|server[_ ]error|internal|upstream|\bserver_is|provider returned error|disconnected")

_CODES: Mapping[Meaning, tuple[str, ...]] = {
    "overflow": (
        *("context_length_exceeded", "exceed_context_size_error", "tokens_limit_reached", "context_window_exceeded"),
        *("context_exceeded", "token_limit_exceeded", "model_max_prompt_tokens_exceeded"),
    ),
    "quota": (
        *("insufficient_user_quota", "pre_consume_token_quota_failed", "accountoverdueerror", "arrearage"),
        *("insufficient_quota", "payment_required", "billing_error", "servicequotaexceededexception"),
    ),
    "filter": (
        "content_filter",
        "content_policy_violation",
        "cyber_policy",
        "bio_policy",
        "data_inspection_failed",
        "hooks_failed",
    ),
    "account": (
        *("authentication_error", "permission_error", "permission_denied", "unauthenticated", "unauthorized"),
        *("invalid_api_key", "access_denied", "accessdenied", "accessdeniedexception", "forbidden"),
        *("access_terminated_error", "invalidapikey", "model.accessdenied", "modelnotopen"),
        *("invalid_authentication_error", "unrecognizedclientexception", "expiredtokenexception"),
        *("expiredtoken", "invalidsignatureexception", "incompletesignature", "invalidclienttokenid"),
        *(
            "missingauthenticationtoken",
            "missingauthenticationtokenexception",
            "optinrequired",
            "signaturedoesnotmatch",
        ),
    ),
    "not_found": (
        "cross_origin_redirect",
        *("not_found_error", "model_not_found", "modelnotfound", "not_found", "deploymentnotfound"),
        *("operationnotsupported", "unsupported_api_for_model", "model_not_available"),
        *("model_decommissioned", "resourcenotfoundexception", "notfounderror", "invalid_model", "unknown_model"),
    ),
    "rate_limit": (
        *("rate_limit_error", "rate_limit_exceeded", "rate_limited", "too_many_requests", "resource_exhausted"),
        *("throttlingexception", "throttling", "throttling.ratequota", "toomanyrequestsexception", "ratelimiterror"),
        *("service_tier_capacity_exceeded", "limit_requests", "ratelimitexceeded"),
    ),
    "overloaded": (
        *("overloaded_error", "overloaded", "server_is_overloaded", "unavailable", "engine_overloaded_error"),
        *("serviceunavailableexception", "modelnotreadyexception", "service_unavailable", "slow_down"),
    ),
    "timeout": ("deadline_exceeded", "modeltimeoutexception", "timeout_error", "request_timeout"),
    "server": (
        *("api_error", "server_error", "internal", "internal_error", "internal_server_error"),
        *("internalservererror", "internalserverexception", "modelerrorexception", "modelstreamerrorexception"),
        *("upstream_error", "bad_gateway", "internalfailure"),
    ),
    "bad_request": (
        *("invalid_request_error", "invalid_argument", "badrequesterror", "bad_request_error", "validationexception"),
        *("invalid_parameter_error", "invalidparameter", "failed_precondition", "out_of_range", "validation"),
    ),
}
CODE_MEANINGS: Mapping[str, Meaning] = {code: meaning for meaning, codes in _CODES.items() for code in codes}
"""Meanings of the providers' type and code strings; used if the HTTP status is missing or less specific."""


def _numbers(codes: Mapping[Meaning, tuple[int, ...]]) -> Mapping[int, Meaning]:
    return {number: meaning for meaning, numbers in codes.items() for number in numbers}


ZHIPU = _numbers(
    {
        "account": (1000, 1001, 1002, 1003, 1004, 1005, 1110, 1111, 1112, 1120, 1121, 1220, 1311),
        "quota": (1113, 1304, 1308, 1309, 1310),
        "not_found": (1211, 1221, 1222),
        "overflow": (1261,),
        "filter": (1300, 1301),
        "rate_limit": (1302, 1303, 1313),
        "overloaded": (1305, 1312),
        "server": (1200, 1230, 1234),
        "bad_request": (1210, 1213, 1214, 1215),
    }
)
MINIMAX = _numbers(
    {
        "account": (1004, 2049, 2061),
        "quota": (1008, 2056),
        "filter": (1026, 1027),
        "rate_limit": (1002, 1039, 1041, 2045),
        "timeout": (1001,),
        "server": (1000, 1013, 1024, 1033),
        "bad_request": (1042, 2013),
    }
)
"""Codes in its `base_resp`; the numbers differ in meaning from Zhipu's."""
MISTRAL = _numbers({"rate_limit": (1300, 3505), "not_found": (1500,), "overflow": (3051,)})
"""Codes in bodies with `"object": "error"`."""

GRPC_SENTENCES: Mapping[str, str] = {
    "the operation was cancelled": "cancelled",
    "client specified an invalid argument": "invalid_argument",
    "deadline expired before operation could complete": "deadline_exceeded",
    "some requested entity was not found": "not_found",
    "the caller does not have permission to execute the specified operation": "permission_denied",
    "some resource has been exhausted": "resource_exhausted",
    "the system is not in a state required for the operation's execution": "failed_precondition",
    "operation is not implemented or not supported": "unimplemented",
    "internal error": "internal",
    "the service is currently unavailable": "unavailable",
    "the request does not have valid authentication credentials": "unauthenticated",
}
"""xAI's codes are gRPC's descriptions of a status, the same for every cause: a policy refusal has that of a missing
permission (https://docs.rs/tonic/latest/tonic/enum.Code.html, 2026-11-30).
"""
