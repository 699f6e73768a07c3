"""MultiRoute: a fallback router for LLMs over the official Anthropic, Google and OpenAI SDKs.

`Router` tries routes until one succeeds. `ChatMultiRoute` (package `langchain_multiroute`) and `MultiRoute` (package
`llamaindex_multiroute`) expose it as a LangChain chat model and a LlamaIndex LLM.
"""

from typing import TYPE_CHECKING

from multiroute_core._util.lazy import attach
from multiroute_core.options import Options, options

if TYPE_CHECKING:
    from multiroute_core.batch.progress import BatchProgress
    from multiroute_core.batch.results import BatchInterrupted, BatchResults
    from multiroute_core.budgets.budget import Budget
    from multiroute_core.budgets.status import BudgetStatus, BudgetStatuses
    from multiroute_core.cache.caching import CacheConfig
    from multiroute_core.cache.memory import MemoryCache
    from multiroute_core.cache.semantic.settings import SemanticCache
    from multiroute_core.cache.store import Cache
    from multiroute_core.configuration.reloading import RouterReloader
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
        GuardBlockedError,
        InvalidResponseError,
        LimitExceededError,
        MultiRouteError,
        NotFoundError,
        OverloadedError,
        PromptTooLongError,
        QuotaExhaustedError,
        RateLimitError,
        RefusalError,
        RejectedAnswerError,
        RouteError,
        ServerError,
        StreamInterruptedError,
        UnsupportedError,
    )
    from multiroute_core.events import (
        About,
        AttemptEnded,
        AttemptStarted,
        BudgetAlert,
        Event,
        FirstToken,
        GuardTriggered,
        Hook,
        PromptOptimized,
        RequestEnded,
        RequestStarted,
        RouteSkipped,
    )
    from multiroute_core.ledger.ledger import Ledger
    from multiroute_core.ledger.record import Record
    from multiroute_core.limits.limit import Limit
    from multiroute_core.limits.status import LimitStatus, LimitStatuses
    from multiroute_core.messages import (
        Api,
        Blob,
        CachePoint,
        Extras,
        File,
        InvalidToolCall,
        Message,
        Modality,
        Part,
        Raw,
        Reasoning,
        Role,
        Text,
        ToolCall,
        ToolCallDelta,
        ToolCallResponse,
        Uri,
        VendorPart,
    )
    from multiroute_core.options import OrderFunction
    from multiroute_core.parsing.arguments import CallOptions, MessageLike, Messages
    from multiroute_core.prompts.counting import TokenCount
    from multiroute_core.prompts.optimizer import PromptOptimizer
    from multiroute_core.request_log.log import RequestLog
    from multiroute_core.request_log.record import RequestRecord
    from multiroute_core.request_log.view import RecentRequests
    from multiroute_core.route import Route, TokenPrices
    from multiroute_core.router import Router
    from multiroute_core.routing.estimate import Estimate
    from multiroute_core.routing.explain import Explanation
    from multiroute_core.routing.health import Health
    from multiroute_core.routing.route_health import RouteHealth
    from multiroute_core.state.state import State
    from multiroute_core.tools import (
        Effort,
        FallbackCredit,
        OutputSchema,
        PromptCaching,
        ReasoningOptions,
        ServerTool,
        Tool,
        ToolChoice,
    )
    from multiroute_core.types import Attempt, Chunk, Delta, FinishReason, Request, Response, Usage
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "batch.progress": "BatchProgress",
            "batch.results": "BatchInterrupted BatchResults",
            "budgets.budget": "Budget",
            "budgets.status": "BudgetStatus BudgetStatuses",
            "cache.caching": "CacheConfig",
            "cache.memory": "MemoryCache",
            "cache.semantic.settings": "SemanticCache",
            "cache.store": "Cache",
            "configuration.reloading": "RouterReloader",
            "errors": (
                "AllRoutesFailedError APIConnectionError AttemptTimeoutError AuthenticationError BadRequestError "
                "BudgetExceededError ConfigurationError ContentFilterError ContextOverflowError "
                "DeadlineExceededError GuardBlockedError InvalidResponseError LimitExceededError MultiRouteError "
                "NotFoundError OverloadedError PromptTooLongError QuotaExhaustedError RateLimitError RefusalError "
                "RejectedAnswerError RouteError ServerError StreamInterruptedError UnsupportedError"
            ),
            "events": (
                "About AttemptEnded AttemptStarted BudgetAlert Event FirstToken GuardTriggered Hook PromptOptimized "
                "RequestEnded RequestStarted RouteSkipped"
            ),
            "ledger.ledger": "Ledger",
            "ledger.record": "Record",
            "limits.limit": "Limit",
            "limits.status": "LimitStatus LimitStatuses",
            "messages": (
                "Api Blob CachePoint Extras File InvalidToolCall Message Modality Part Raw Reasoning Role Text "
                "ToolCall ToolCallDelta ToolCallResponse Uri VendorPart"
            ),
            "options": "OrderFunction",
            "parsing.arguments": "CallOptions MessageLike Messages",
            "prompts.counting": "TokenCount",
            "prompts.optimizer": "PromptOptimizer",
            "request_log.log": "RequestLog",
            "request_log.record": "RequestRecord",
            "request_log.view": "RecentRequests",
            "route": "Route TokenPrices",
            "router": "Router",
            "routing.estimate": "Estimate",
            "routing.explain": "Explanation",
            "routing.health": "Health",
            "routing.route_health": "RouteHealth",
            "state.state": "State",
            "tools": "Effort FallbackCredit OutputSchema PromptCaching ReasoningOptions ServerTool Tool ToolChoice",
            "types": "Attempt Chunk Delta FinishReason Request Response Usage",
        },
    )

__version__ = "0.1.0"

__all__ = [
    "APIConnectionError",
    "About",
    "AllRoutesFailedError",
    "Api",
    "Attempt",
    "AttemptEnded",
    "AttemptStarted",
    "AttemptTimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "BatchInterrupted",
    "BatchProgress",
    "BatchResults",
    "Blob",
    "Budget",
    "BudgetAlert",
    "BudgetExceededError",
    "BudgetStatus",
    "BudgetStatuses",
    "Cache",
    "CacheConfig",
    "CachePoint",
    "CallOptions",
    "Chunk",
    "ConfigurationError",
    "ContentFilterError",
    "ContextOverflowError",
    "DeadlineExceededError",
    "Delta",
    "Effort",
    "Estimate",
    "Event",
    "Explanation",
    "Extras",
    "FallbackCredit",
    "File",
    "FinishReason",
    "FirstToken",
    "GuardBlockedError",
    "GuardTriggered",
    "Health",
    "Hook",
    "InvalidResponseError",
    "InvalidToolCall",
    "Ledger",
    "Limit",
    "LimitExceededError",
    "LimitStatus",
    "LimitStatuses",
    "MemoryCache",
    "Message",
    "MessageLike",
    "Messages",
    "Modality",
    "MultiRouteError",
    "NotFoundError",
    "Options",
    "OrderFunction",
    "OutputSchema",
    "OverloadedError",
    "Part",
    "PromptCaching",
    "PromptOptimized",
    "PromptOptimizer",
    "PromptTooLongError",
    "QuotaExhaustedError",
    "RateLimitError",
    "Raw",
    "Reasoning",
    "ReasoningOptions",
    "RecentRequests",
    "Record",
    "RefusalError",
    "RejectedAnswerError",
    "Request",
    "RequestEnded",
    "RequestLog",
    "RequestRecord",
    "RequestStarted",
    "Response",
    "Role",
    "Route",
    "RouteError",
    "RouteHealth",
    "RouteSkipped",
    "Router",
    "RouterReloader",
    "SemanticCache",
    "ServerError",
    "ServerTool",
    "State",
    "StreamInterruptedError",
    "Text",
    "TokenCount",
    "TokenPrices",
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
