"""MultiRoute: a fallback router for LLMs over the official Anthropic, Google and OpenAI SDKs.

`Router` tries routes until one succeeds. `ChatMultiRoute` (package `langchain_multiroute`) and `MultiRoute` (package
`llamaindex_multiroute`) expose it as a LangChain chat model and a LlamaIndex LLM.
"""

from multiroute_core.budgets.budget import Budget
from multiroute_core.cache.caching import CacheConfig
from multiroute_core.cache.memory import MemoryCache
from multiroute_core.cache.semantic.settings import SemanticCache
from multiroute_core.cache.store import Cache
from multiroute_core.errors import (
    AllRoutesFailedError,
    APIConnectionError,
    AttemptTimeoutError,
    AuthenticationError,
    BadRequestError,
    BudgetExceededError,
    ConfigurationError,
    ContentFilterError,
    ContextOverflowError,
    DeadlineExceededError,
    InvalidResponseError,
    MultiRouteError,
    NotFoundError,
    OverloadedError,
    QuotaExhaustedError,
    RateLimitError,
    RefusalError,
    RouteError,
    ServerError,
    StreamInterruptedError,
    UnsupportedError,
)
from multiroute_core.events import BudgetAlert
from multiroute_core.ledger.ledger import Ledger
from multiroute_core.ledger.record import Record
from multiroute_core.messages import (
    Blob,
    CachePoint,
    File,
    InvalidToolCall,
    Message,
    Raw,
    Reasoning,
    Text,
    ToolCall,
    ToolCallDelta,
    ToolCallResponse,
    Uri,
    VendorPart,
)
from multiroute_core.options import Options, options
from multiroute_core.route import Route
from multiroute_core.router import Router
from multiroute_core.routing.route_health import RouteHealth
from multiroute_core.tools import OutputSchema, ReasoningOptions, ServerTool, Tool, ToolChoice
from multiroute_core.types import Attempt, Chunk, Request, Response, Usage

__version__ = "0.1.0"

__all__ = [
    "APIConnectionError",
    "AllRoutesFailedError",
    "Attempt",
    "AttemptTimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "Blob",
    "Budget",
    "BudgetAlert",
    "BudgetExceededError",
    "Cache",
    "CacheConfig",
    "CachePoint",
    "Chunk",
    "ConfigurationError",
    "ContentFilterError",
    "ContextOverflowError",
    "DeadlineExceededError",
    "File",
    "InvalidResponseError",
    "InvalidToolCall",
    "Ledger",
    "MemoryCache",
    "Message",
    "MultiRouteError",
    "NotFoundError",
    "Options",
    "OutputSchema",
    "OverloadedError",
    "QuotaExhaustedError",
    "RateLimitError",
    "Raw",
    "Reasoning",
    "ReasoningOptions",
    "Record",
    "RefusalError",
    "Request",
    "Response",
    "Route",
    "RouteError",
    "RouteHealth",
    "Router",
    "SemanticCache",
    "ServerError",
    "ServerTool",
    "StreamInterruptedError",
    "Text",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolCallResponse",
    "ToolChoice",
    "UnsupportedError",
    "Uri",
    "Usage",
    "VendorPart",
    "options",
]
