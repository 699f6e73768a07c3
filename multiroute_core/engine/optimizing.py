"""Optimizer stage: shortens the prompt of each call, after the guards and before the cache."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from typing import Any

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.engine.guarding import notify_blocked
from multiroute_core.engine.stage import CallContext, RunRest
from multiroute_core.engine.user_code import call_function
from multiroute_core.errors import MultiRouteError
from multiroute_core.events import PromptOptimized, tell
from multiroute_core.guards.identity import is_async_function
from multiroute_core.messages import Message
from multiroute_core.prompts.optimizer import PromptOptimizer, optimize_request
from multiroute_core.prompts.result import OptimizedPrompt
from multiroute_core.prompts.summary import SummaryMemory
from multiroute_core.providers.capabilities import RouteCapabilities
from multiroute_core.routing.candidates import candidates
from multiroute_core.types import Chunk


class OptimizerStage:
    """The prompt optimizer of one router.

    Args:
        optimizer: Its settings.
        facts: The capabilities of the routes by name: their context windows are compared with the shorter prompt.
    """

    def __init__(self, optimizer: PromptOptimizer, facts: Mapping[str, RouteCapabilities]) -> None:
        self._optimizer = optimizer
        self._facts = facts
        self._summaries = SummaryMemory()

    def run(self, context: CallContext, run_rest: RunRest) -> AsyncGenerator[Chunk, None]:
        """Hand over with the shorter prompt."""
        return self._run(context, run_rest)

    async def _run(self, context: CallContext, run_rest: RunRest) -> AsyncGenerator[Chunk, None]:
        try:
            await self._optimize(context)
        except MultiRouteError as error:
            notify_blocked(context, error)
            raise
        chunks = run_rest(context)
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            await chunks.aclose()

    async def _optimize(self, context: CallContext) -> None:
        call = context.call

        async def ask(removed: tuple[Message, ...]) -> Any:
            summarize = self._optimizer.summarize
            io = context.io
            deadline = context.start_time + (call.options.deadline or float("inf"))
            until = min(io.now() + self._optimizer.summary_timeout, deadline)
            return await call_function(
                io, summarize, removed, "the summary", until, is_async=is_async_function(summarize)
            )

        optimized = await optimize_request(self._optimizer, call.request, ask, self._summaries)
        request = replace(call.request, messages=optimized.messages)
        eligible = candidates(request, call.routes, call.options, self._facts)
        context.call = replace(call, request=request, routes=eligible.routes or call.routes, tokens=eligible.tokens)
        if optimized.messages != call.request.messages and (hooks := context.listeners[PromptOptimized]):
            tell(hooks, _to_event(context, optimized))


def _to_event(context: CallContext, optimized: OptimizedPrompt) -> PromptOptimized:
    call = context.call
    return PromptOptimized(
        call.request_id,
        optimized.tokens_before,
        optimized.tokens_after,
        optimized.saved_by_rule,
        optimized.removed,
        bool(optimized.summary),
        call.options.tenant,
    )
