"""Names of token counts in the usage objects of compatible servers and gateways, in order of precedence."""

from __future__ import annotations

INPUT = (
    "prompt_tokens",
    "input_tokens",
    "promptTokens",
    "inputTokens",
    "prompt_token_count",
    "prompt_eval_count",
    "promptTokenCount",
    "inputTokenCount",  # Bedrock's invocation metrics
    "input_token_count",  # watsonx
)
OUTPUT = (
    "completion_tokens",
    "output_tokens",
    "completionTokens",
    "outputTokens",
    "candidates_token_count",
    "eval_count",
    "candidatesTokenCount",
    "outputTokenCount",
    "generated_token_count",
)
TOTAL = ("total_tokens", "totalTokens", "total_token_count", "totalTokenCount")
READ_DETAILS = (
    "prompt_tokens_details",
    "input_tokens_details",
    "input_token_details",
    "prompt_token_details",  # Mistral, Writer: vercel/ai#14382
    "promptTokensDetails",
    "inputTokensDetails",
    "inputTokenDetails",
)
WRITTEN_DETAILS = (
    "completion_tokens_details",
    "output_tokens_details",
    "output_token_details",
    "completion_token_details",
    "completionTokensDetails",
    "outputTokensDetails",
    "outputTokenDetails",
)
CACHE_READ = (
    "prompt_cache_hit_tokens",  # DeepSeek: https://api-docs.deepseek.com/api/create-chat-completion
    "cached_tokens",  # Moonshot, Together
    "cache_read_input_tokens",  # gateways before Anthropic's models, such as LiteLLM's
    "cacheReadInputTokens",  # Bedrock's Converse
    "cache_read_tokens",
    "cached_prompt_text_tokens",  # xAI's older form
    "cached_content_token_count",
    "cachedContentTokenCount",
    "num_cached_tokens",  # Mistral: vercel/ai#14382
    "cacheReadInputTokenCount",  # Bedrock's invocation metrics: BerriAI/litellm#34373
    "cachedInputTokens",
)
CACHE_WRITE = (
    "cache_creation_input_tokens",
    "cacheWriteInputTokens",
    "cache_write_tokens",
    "cache_creation_tokens",
    "cacheWriteInputTokenCount",
    "cache_write_input_tokens",  # ENTERPILOT/GoModel#726
)
READ_INSIDE = (
    "cached_tokens",
    "cache_read_input_tokens",
    "cache_read_tokens",
    "cache_read",  # LangChain, which puts OpenAI's service tier before the names
    "priority_cache_read",
    "flex_cache_read",
    "cachedTokens",
)
WRITE_INSIDE = (
    "cache_write_tokens",
    "cache_creation_tokens",
    "cache_creation_input_tokens",  # DashScope: https://help.aliyun.com/en/model-studio/context-cache (2026-11-30)
    "cached_creation_tokens",  # QuantumNous/new-api
    "cache_write_input_tokens",
    "cache_creation",  # LangChain
    "priority_cache_creation",
    "flex_cache_creation",
)
WRITES_BY_TTL = (
    ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"),
    ("claude_cache_creation_5_m_tokens", "claude_cache_creation_1_h_tokens"),  # QuantumNous/new-api
)
REASONING = (
    "reasoning_tokens",
    "reasoning",
    "thinking_tokens",
    "reasoningTokens",
    "priority_reasoning",
    "flex_reasoning",
)
REASONING_BESIDE = ("reasoning_tokens", "reasoningTokens", "thoughts_token_count", "thoughtsTokenCount")
USAGE = ("usage", "usage_metadata", "usageMetadata", "token_usage")
"""Fields of usage objects; all but the first are those of other APIs, which gateways leave as they are."""

ROOT_COUNTS = ("eval_count", "prompt_eval_count", "prompt_tokens", "completion_tokens")
"""Counts that some servers write into the body itself: Ollama's native API, older text-generation servers."""
