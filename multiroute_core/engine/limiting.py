"""Limit stage: admits a call to the rate and concurrency limits of its tenant or labels.

How this works:

* A call is admitted once, whatever attempts follow, and its permit is settled when its response ends: read to the end,
  failed, closed, cancelled or dropped.
* What its attempts used is read from their events, as the ledger does; so failed attempts and hedges count as well.
* A refused call ends with an error. A call of priority `"batch"` waits, and its deadline moves by as much.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.engine.attempt_log import AttemptLog
from multiroute_core.engine.retry_plan import POLL_SECONDS, SHORTEST_SECONDS
from multiroute_core.engine.stage import CallContext, RunRest
from multiroute_core.errors import MultiRouteError
from multiroute_core.events import AttemptEnded, AttemptStarted, Event, RequestEnded, RequestStarted
from multiroute_core.limits.accounts import LimitClaim
from multiroute_core.limits.limiter import CallPermit, Limiter
from multiroute_core.resilience.admission import BATCH_RESERVE
from multiroute_core.routing.expected_usage import answer
from multiroute_core.types import Chunk


class UsageMeter:
    """Hook that sums up the tokens of one call's attempts.

    Args:
        reserved: What one attempt without any token count is charged, if it succeeded.
    """

    def __init__(self, reserved: int) -> None:
        self._reserved = reserved
        self._running = 0
        self.tokens = 0

    def __call__(self, event: Event) -> None:
        """Receive an event."""
        if isinstance(event, AttemptStarted):
            self._running += 1
        elif isinstance(event, AttemptEnded):
            attempt = event.attempt
            usage = attempt.estimated_usage or attempt.usage
            is_answer = attempt.outcome == "success"
            self.tokens += usage.total_tokens if usage is not None else self._reserved if is_answer else 0
            self._running -= 1

    @property
    def total(self) -> int | None:
        """The tokens used; None if an attempt was interrupted before its end, so that its usage is unknown."""
        return None if self._running else self.tokens


class LimitStage:
    """The limits of one router.

    Args:
        limiter: The limits and their accounts.
    """

    def __init__(self, limiter: Limiter) -> None:
        self.limiter = limiter

    def run(self, context: CallContext, run_rest: RunRest) -> AsyncGenerator[Chunk, None]:
        """Yield the chunks of the response to an admitted call; a call that no limit applies to passes through."""
        call = context.call
        claims = self.limiter.claims(call.options, call.tokens + answer(call.request))
        return self._run(context, run_rest, claims) if claims else run_rest(context)

    async def _run(
        self, context: CallContext, run_rest: RunRest, claims: Sequence[LimitClaim]
    ) -> AsyncGenerator[Chunk, None]:
        permit = await self._admit(context, claims)
        meter = None
        try:
            if self.limiter.counts_tokens:
                meter = UsageMeter(claims[0].tokens)
                listeners = dict(context.listeners)
                for kind in (AttemptStarted, AttemptEnded):
                    listeners[kind] = (meter, *listeners[kind])
                context.listeners = listeners
            chunks = run_rest(context)
            try:  # an interrupt on the exit of `aclosing` would warn of a coroutine that was never awaited
                async for chunk in chunks:
                    yield chunk
            finally:
                await chunks.aclose()
        finally:
            permit.settle(None if meter is None else meter.total)

    async def _admit(self, context: CallContext, claims: Sequence[LimitClaim]) -> CallPermit:
        """Admit a call; one of priority `"batch"` waits for its turn.

        Raises:
            LimitExceededError: A limit refuses the call.
        """
        io = context.io
        is_batch = context.call.options.priority == "batch"
        reserve = BATCH_RESERVE if is_batch else 0.0
        polls = 0
        while True:
            admission = await self.limiter.admit(io, claims, reserve)
            if isinstance(admission, CallPermit):
                return admission
            if not is_batch:
                _notify(context, admission)
                raise admission
            start = io.now()
            seconds = admission.retry_after
            if admission.kind == "concurrency":
                seconds = POLL_SECONDS[min(polls, len(POLL_SECONDS) - 1)]
                polls += 1
            await io.sleep(max(SHORTEST_SECONDS, seconds))
            context.waited += io.now() - start


def _notify(context: CallContext, error: MultiRouteError) -> None:
    """Send the events of a call that is refused before it is routed."""
    listeners = context.listeners
    if listeners[RequestStarted] or listeners[RequestEnded]:
        log = AttemptLog(listeners, context.call)
        log.request_started(context.call.routes)
        log.request_ended(context.io.now() - context.start_time, None, error)
