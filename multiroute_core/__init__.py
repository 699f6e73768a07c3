"""MultiRoute: one fallback router over the official Anthropic, Google and OpenAI SDKs.

`Router` asks routes until one answers. `ChatMultiRoute` (package `langchain_multiroute`) and `MultiRoute` (package
`llamaindex_multiroute`) show it to LangChain and LlamaIndex as a chat model and an LLM of their own.
"""

from multiroute_core.errors import (
    AllRoutesFailedError,
    AttemptTimeoutError,
    AuthenticationError,
    BadReplyError,
    BadRequestError,
    BrokenStreamError,
    ConfigurationError,
    ConnectionFailedError,
    ContentFilterError,
    ContextOverflowError,
    DeadlineExceededError,
    MultiRouteError,
    NotFoundError,
    OverloadedError,
    QuotaExhaustedError,
    RateLimitError,
    RouteError,
    ServerError,
)
from multiroute_core.options import Options, options
from multiroute_core.route import Route
from multiroute_core.router import Router
from multiroute_core.types import Attempt, Chunk, Message, Request, Response, Text, Usage

__all__ = [
    "AllRoutesFailedError",
    "Attempt",
    "AttemptTimeoutError",
    "AuthenticationError",
    "BadReplyError",
    "BadRequestError",
    "BrokenStreamError",
    "Chunk",
    "ConfigurationError",
    "ConnectionFailedError",
    "ContentFilterError",
    "ContextOverflowError",
    "DeadlineExceededError",
    "Message",
    "MultiRouteError",
    "NotFoundError",
    "Options",
    "OverloadedError",
    "QuotaExhaustedError",
    "RateLimitError",
    "Request",
    "Response",
    "Route",
    "RouteError",
    "Router",
    "ServerError",
    "Text",
    "Usage",
    "options",
]
