"""Guard stage: asks the guards about every text of a request and of its answer.

How this works:

* The stage is the outermost one. What a guard rewrites on the way in is what the cache, the budgets, the hooks and the
  providers see; what it restores on the way out nobody but the caller sees. So answers that errors hold are guarded in
  copies of the errors.
* On the way in each text passes the guards in order, each seeing what the one before has made of it. A part that was
  rewritten loses its raw form, unless that holds nothing to rewrite.
* On the way out the text of a stream passes one filter per guard, in the opposite order. A filter holds back as many
  characters as its guard's window, and a part's end ends its filters.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.engine.attempt_log import AttemptLog
from multiroute_core.engine.guarded_answer import AnswerFilters
from multiroute_core.engine.guarded_call import GuardedCall
from multiroute_core.engine.stage import CallContext, RunRest
from multiroute_core.errors import MultiRouteError
from multiroute_core.events import RequestEnded, RequestStarted
from multiroute_core.guards.guard import Guard
from multiroute_core.types import Chunk


class GuardStage:
    """The guards of one router.

    Args:
        guards: In order.
    """

    def __init__(self, guards: Sequence[Guard]) -> None:
        self._guards = tuple(guards)

    def run(self, context: CallContext, run_rest: RunRest) -> AsyncGenerator[Chunk, None]:
        """Yield the chunks of the answer to the guarded request, guarded as well."""
        return self._run(GuardedCall(context, self._guards), context, run_rest)

    async def _run(self, guarded: GuardedCall, context: CallContext, run_rest: RunRest) -> AsyncGenerator[Chunk, None]:
        call = context.call
        try:
            request = replace(call.request, messages=await guarded.guard_messages(call.request.messages))
            context.call = replace(call, request=request, routes=guarded.restrict(call.routes))
        except MultiRouteError as error:
            notify_blocked(context, error)
            raise
        chunks = run_rest(context)
        filters = AnswerFilters(guarded, stream=call.stream) if guarded.sees_answers else None
        try:
            async for chunk in chunks:
                yield chunk if filters is None else await filters.apply(chunk)
        except MultiRouteError as error:
            if filters is None or (guarded_error := await filters.apply_error(error)) is error:
                raise
            raise guarded_error.with_traceback(error.__traceback__) from guarded_error.__cause__
        finally:
            await chunks.aclose()


def notify_blocked(context: CallContext, error: MultiRouteError) -> None:
    """Send the events of a call that a stage ends before it is routed."""
    listeners = context.listeners
    if listeners[RequestStarted] or listeners[RequestEnded]:
        log = AttemptLog(listeners, context.call)
        log.request_started(context.call.routes)
        log.request_ended(context.io.now() - context.start_time, None, error)
