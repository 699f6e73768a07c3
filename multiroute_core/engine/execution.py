"""Execution of one request: ranking, retries, fallback, hedging and stream recovery.

How this works:

* `run` ranks the routes, builds a `RetryPlan` and loops until there is a response.
* For each step of the plan: wait, or pay for a retry from the retry budget, reserve the call's budget, ask the `State`
  for admission (circuit breaker, rate limits), and start an attempt; a slow attempt may be hedged (`race`).
* The first non-empty part commits the attempt: from then on its chunks go to the caller.
* An attempt that fails before that is reported to the plan, which falls back to the next route, retries or gives up.
* A stream that breaks after it raises, is continued or is restarted by another route, as `on_stream_error` says.
* A paused turn is resumed on the same route; a refusal or an empty response may fall back, as `fallback_on` says.
* A response that a check of `accept` rejects is a failure of its route; at the end its route may repair it.
* If all routes fail: a paused turn, a refusal, a stale cache entry, or the error that lists all attempts.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.engine.admission import admit
from multiroute_core.engine.answer_review import AnswerReview, to_declined, to_rejected, to_repair_request
from multiroute_core.engine.attempt import AttemptRunner, TimeLimits
from multiroute_core.engine.attempt_log import REQUEST_ERRORS, AttemptLog
from multiroute_core.engine.continuation import Continuation, PausedTurn, continuable, to_final_error
from multiroute_core.engine.fallback_credit import with_fallback_credit
from multiroute_core.engine.hedging import StartedAttempt, race
from multiroute_core.engine.ranking import rank_candidates
from multiroute_core.engine.retry_plan import GiveUp, RetryPlan, Wait
from multiroute_core.engine.stage import CallContext
from multiroute_core.errors import (
    MultiRouteError,
    RejectedAnswerError,
    RouteError,
    StreamInterruptedError,
    UnsupportedError,
)
from multiroute_core.messages import Part
from multiroute_core.pricing import Pricing
from multiroute_core.providers.capabilities import RouteCapabilities
from multiroute_core.providers.provider import Provider
from multiroute_core.resilience.admission import BATCH_RESERVE, Rejection
from multiroute_core.route import Route
from multiroute_core.routing.expected_usage import answer
from multiroute_core.routing.learned import LearnedCapabilities
from multiroute_core.state.state import State
from multiroute_core.types import Chunk, Response

MOST_PAUSES = 10
"""How often a paused turn is resumed at most; then it is returned as it is, with the finish reason `"pause"`."""


class RequestExecution:
    """One request in execution; `run` may be called once.

    Args:
        context: The call, its I/O, its hooks, and what earlier stages have added.
        providers: The providers by route name.
        facts: The capabilities of the routes by route name.
        pricing: The token prices of a route.
        limits: Timeouts and the maximum size of a response.
        state: The health and limits of the routes.
        hedge_budget: The share of extra load that hedging may cost; None disables hedging.
        random: Random numbers from 0 to 1.
        learned_capabilities: What the routes have rejected as unsupported.
    """

    def __init__(
        self,
        context: CallContext,
        *,
        providers: Mapping[str, Provider],
        facts: Mapping[str, RouteCapabilities],
        pricing: Pricing,
        limits: TimeLimits,
        state: State,
        hedge_budget: float | None,
        random: Callable[[], float],
        learned_capabilities: LearnedCapabilities,
    ) -> None:
        call = context.call
        self._context = context
        self._reservation = context.reservation
        self._stale_entry = context.stale_entry
        self._learned = learned_capabilities
        self._io = context.io
        self._call = call
        self._request = call.request
        self._providers = providers
        self._facts = facts
        self._pricing = pricing
        self._limits = limits
        self._state = state
        self._hedge_budget = hedge_budget
        self._random = random
        self._log = AttemptLog(context.listeners, call)
        self._began = context.start_time
        self._deadline = self._began + context.waited + (call.options.deadline or float("inf"))
        self._tokens = call.tokens + answer(call.request)
        self._reserve = BATCH_RESERVE if call.options.priority == "batch" else 0.0
        self._continuation: Continuation | None = None
        self._interruption: StreamInterruptedError | None = None
        self._refused_response: Response | None = None
        self._paused: PausedTurn | None = None
        self._unsent_parts: Iterable[tuple[Part, ...]] = ()
        self._review = AnswerReview(context.io, call)
        self._rejection: RejectedAnswerError | None = None
        self._repairs_left = call.options.repairs or 0

    async def run(self) -> AsyncGenerator[Chunk, None]:
        """Yield the chunks of the response. Without streaming it is a single chunk."""
        call = self._call
        log = self._log
        response: Response | None = None
        failure: MultiRouteError | None = None
        holds = self._review.holds_streams
        held: list[tuple[Part, ...]] = []
        try:
            routes = await rank_candidates(self._context, self._state, self._facts, self._pricing, self._random)
            rejections = self._learned.find_rejections(routes, call.request, self._began, stream=call.stream)
            if rejections:
                routes = [route for route in routes if route.name not in rejections]
            log.request_started(routes)
            await self._state.begin_request(self._io, self._began)
            self._plan: RetryPlan = self._build_plan(routes)
            for route in call.routes if rejections else ():
                if (rejection := rejections.get(route.name)) is not None:
                    self._plan.reject(route, rejection)
                    log.skipped(route, rejection)
            while response is None:
                if (active := await self._next_attempt()) is None:
                    if self._begin_repair():
                        continue
                    response = await self._conclude_failure()
                    break
                attempt = active.attempt
                parts = active.first
                error = rejection = refusal = None
                restarts = False
                try:
                    if call.stream:
                        log.first_token(attempt)
                    while parts is not None:
                        if call.stream and (
                            parts := parts if self._continuation is None else self._continuation.add_parts(parts)
                        ):
                            if holds:
                                held.append(parts)
                            else:
                                yield Chunk(parts, interim_usage=attempt.usage)
                        parts = await active.next()
                    if self._continuation is not None and (parts := self._continuation.flush()):
                        yield Chunk(parts)
                except BaseException as caught:
                    error = caught
                try:
                    await active.close(error)
                    if error is None and self._review.accept and not self._is_paused(attempt):
                        answer = self._build_response(attempt)
                        rejection = await self._review.find_rejection(answer, self._deadline)
                        attempt.record = to_rejected(attempt.record, rejection)
                    if error is None and rejection is None and call.options.fallback_on:
                        refusal = await self._find_refusal(attempt)
                finally:
                    log.attempt_ended(attempt, error or rejection)
                if error is not None:
                    restarts = self._recover_stream(attempt, error)
                elif rejection is not None:
                    restarts = True
                    self._rejection = rejection
                    self._fall_back(attempt.route, rejection)
                elif self._is_paused(attempt):
                    self._continue_paused(attempt)
                elif refusal is not None:
                    restarts = attempt.committed
                    self._refused_response = self._refused_response or self._build_response(attempt)
                    self._fall_back(attempt.route, refusal)
                    self._request = with_fallback_credit(self._request, attempt)
                else:
                    response = self._build_response(attempt)
                if restarts:
                    held.clear()
                    if call.stream and not holds:
                        yield Chunk(restarted=True)
            if call.stream:
                for parts in (*held, *self._unsent_parts):
                    yield Chunk(parts)
            yield Chunk(() if call.stream else response.parts, response)
        except MultiRouteError as error:
            failure = error
            error.attempts = log.attempts
            raise
        finally:
            log.request_ended(self._io.now() - self._began, response, failure)

    def _build_plan(self, routes: Sequence[Route]) -> RetryPlan:
        windows = {route.name: self._facts[route.name].window for route in routes}
        return RetryPlan(routes, self._call.options.max_retries or 0, windows, self._call.tokens)

    async def _next_attempt(self) -> StartedAttempt | None:
        """Return the first attempt that begins to respond; None if the plan gives up."""
        io = self._io
        plan = self._plan
        while True:
            now = io.now()
            step = plan.next(self._deadline - now, self._random())
            if isinstance(step, Wait):
                await io.sleep(step.seconds)
                if step.for_permit and self._reserve:  # a batch may wait in line for longer than one call may take
                    self._context.waited += (waited := io.now() - now)
                    self._deadline += waited
                continue
            if isinstance(step, GiveUp):
                self._stop: GiveUp = step
                return None
            if step.is_retry and not await self._state.afford(io, now):
                plan.retry_denied()
                continue
            delay = None
            if self._hedge_budget is not None and plan.next_hedge_candidate() is not None:
                delay = await self._state.hedge_after(io, step.route, self._hedge_budget, stream=self._call.stream)
            attempt = await self._launch(step.route, early=step.early)
            if attempt is None:
                continue
            if delay is not None:
                active = await race(io, attempt, delay, self._start_hedge, self._handle_failure)
                if active is None:
                    continue
                return active
            try:
                return StartedAttempt(attempt, await attempt.next(), attempt)
            except BaseException as error:
                await attempt.close(error)
                self._handle_failure(attempt, error)
                if not isinstance(error, RouteError):
                    raise

    async def _launch(self, route: Route, *, early: bool = False) -> AttemptRunner | None:
        """Start an attempt on `route`; None if the route rejects it."""
        io = self._io
        stream = self._call.stream
        provider = self._providers[route.name]
        # Encode first: if it fails, no permit is held yet.
        adapted = self._learned.encode(provider, self._request, route, io.now(), stream=stream)
        admission, settle_budget = await admit(
            io, self._state, route, self._reservation, tokens=self._tokens, early=early, reserve=self._reserve
        )
        if isinstance(admission, Rejection):
            self._plan.reject(route, admission)
            self._log.skipped(route, admission)
            return None
        attempt = AttemptRunner(
            io,
            provider,
            route,
            adapted,
            stream=stream,
            limits=self._limits,
            deadline=self._deadline,
            state=self._state,
            permit=admission,
            pricing=self._pricing,
            tokens=self._call.tokens,
            request_start=self._began,
            max_tokens=self._request.max_tokens,
            settle_budget=settle_budget,
        )
        try:
            self._log.attempt_started(route)
        except BaseException as error:  # a hook was interrupted: Ctrl-C
            await attempt.close(error)
            raise
        return attempt

    async def _start_hedge(self) -> AttemptRunner | None:
        """Start a hedged attempt beside a slow one, if the hedge budget allows it."""
        plan = self._plan
        if plan.next_hedge_candidate() is None or not await self._state.afford(self._io, self._io.now(), hedge=True):
            return None
        while (route := plan.next_hedge_candidate()) is not None:
            plan.take(route)
            if (attempt := await self._launch(route)) is not None:
                return attempt
        return None

    def _handle_failure(self, attempt: AttemptRunner, error: BaseException | None) -> None:
        """Handle the end of an attempt that was never committed; `error` is None if it was cancelled.

        An error of the request itself, which forbids a fallback, ends the request, unless a route has begun to respond
        to it.
        """
        failure = attempt.failure if error is None else error  # it may have failed before it was cancelled
        self._log.attempt_ended(attempt, failure)
        if not isinstance(failure, RouteError):
            if error is None:
                self._plan.lost_race(attempt.route)
            return
        fatal = not failure.fallback_allowed and failure.code not in (self._call.options.fallback_on or ())
        # a response or a partial response exists
        pending = self._refused_response or self._interruption or self._paused
        if fatal and error is not None and pending is None:
            raise failure
        if isinstance(failure, UnsupportedError) and self._learned.learn(
            failure, self._request, attempt.route, self._io.now(), attempt.adapted, stream=attempt.stream
        ):
            self._plan.retry_uncounted(attempt.route)
        else:
            self._plan.failed(attempt.route, failure)

    def _recover_stream(self, attempt: AttemptRunner, error: BaseException) -> bool:
        """Prepare another route after a broken stream; return whether the response restarts.

        Raises `error` if it cannot recover.
        """
        if not isinstance(error, StreamInterruptedError):
            raise error
        continuation = self._continuation
        # Nothing of a stream that is held back was given out: another route may start over.
        how = "restart" if self._review.holds_streams else self._call.options.on_stream_error
        partial = attempt.response(self._log.attempts)
        parts = attempt.parts
        if self._paused is not None:
            partial = self._paused.merge_response(partial)
            parts = [*self._paused.paused.parts, *parts]
        if continuation is not None:
            partial = continuation.response(partial)
            parts = continuation.parts
        error.partial = partial
        if how == "continue" and continuable(parts, self._call.request):
            self._continuation = continuation = continuation or Continuation()
            continuation.add_break(parts, self._log.attempts[-1])
            self._request = continuation.request(self._call.request)
        elif how != "restart":
            raise error
        if not self._review.holds_streams:
            self._interruption = error
        request = self._request
        self._fall_back(attempt.route, error)
        if how == "continue":
            self._request = request
        return how == "restart"

    def _fall_back(self, route: Route, error: RouteError) -> None:
        """Prepare the next route, which gets the request itself, after an answer that does not count."""
        if self._paused is not None:
            self._plan = self._plan_before_pause
            self._paused = None
        self._request = self._call.request
        self._extend_deadline()
        self._plan.failed(route, error)

    def _extend_deadline(self) -> None:
        """Let the deadline of a stream, which ends with its first chunk, start again for the next one."""
        if self._call.stream:
            self._deadline = self._io.now() + (self._call.options.deadline or float("inf"))

    def _is_paused(self, attempt: AttemptRunner) -> bool:
        """Whether a response is a paused turn that is resumed; after too many pauses it is returned as it is."""
        return attempt.finish_reason == "pause" and (self._paused is None or self._paused.count < MOST_PAUSES)

    def _continue_paused(self, attempt: AttemptRunner) -> None:
        """Prepare the resumption of a paused turn on the same route."""
        response = attempt.response(self._log.attempts)
        if self._paused is None:
            self._paused = PausedTurn(response)
            self._plan_before_pause: RetryPlan = self._plan
        else:
            self._paused.pause(self._paused.merge_response(response))
        self._request = self._paused.request(self._call.request)
        self._plan = self._build_plan([attempt.route])
        self._extend_deadline()

    async def _find_refusal(self, attempt: AttemptRunner) -> RouteError | None:
        """Return the error of a response that counts as a failure by `fallback_on` and can still be replaced."""
        is_given_out = self._call.stream and attempt.committed and self._call.options.on_stream_error != "restart"
        if (is_given_out and not self._review.accept) or self._is_paused(attempt):
            return None
        is_whole = self._paused is None
        refusal = await self._review.find_decline(attempt.response(()), self._deadline, may_be_empty=is_whole)
        attempt.record = to_declined(attempt.record, refusal)
        return refusal

    def _begin_repair(self) -> bool:
        """Prepare another turn on the route of the last rejected response, if one is left."""
        rejection = self._rejection
        if rejection is None or self._repairs_left <= 0 or self._io.now() >= self._deadline:
            return False
        if (request := to_repair_request(self._call.request, rejection)) is None:
            return False
        self._repairs_left -= 1
        self._rejection = None
        self._request = request
        self._plan = self._build_plan([route for route in self._call.routes if route.name == rejection.route])
        return True

    def _build_response(self, attempt: AttemptRunner) -> Response:
        response = attempt.response(self._log.attempts)
        if self._paused is not None:
            response = self._paused.merge_response(response)
        return response if self._continuation is None else self._continuation.response(response)

    async def _conclude_failure(self) -> Response:
        """Return a paused turn, a refusal or a stale entry if all routes failed; raise the error otherwise."""
        attempts = self._log.attempts
        if (paused := self._paused) is not None:
            if await self._review.find_rejection(paused.paused, self._deadline) is None:
                return replace(paused.paused, attempts=attempts)
        elif self._refused_response is not None:
            self._context.is_cacheable = False
            self._unsent_parts = (self._refused_response.parts,)
            return replace(self._refused_response, attempts=attempts)
        error = self._log.exhausted(self._plan, self._stop)
        stale_entry = self._stale_entry
        if stale_entry is None or self._interruption is not None or getattr(error, "code", None) in REQUEST_ERRORS:
            raise to_final_error(error, self._interruption, attempts)
        if await self._review.find_rejection(stale_entry.response, self._deadline) is not None:
            raise to_final_error(error, self._interruption, attempts)
        self._unsent_parts = stale_entry.chunks
        return replace(stale_entry.response, stale=True, attempts=attempts)
