"""Execution of one request: ranking, retries, fallback, hedging and stream recovery.

How this works:

* `run` ranks the routes, builds a `RetryPlan` and loops until there is a response.
* For each step of the plan: wait, or pay for a retry from the retry budget, reserve the call's budget, ask the `State`
  for admission (circuit breaker, rate limits), and start an attempt; a slow attempt may be hedged (`race`).
* The first non-empty part commits the attempt: from then on its chunks go to the caller.
* An attempt that fails before that is reported to the plan, which falls back to the next route, retries or gives up.
* A stream that breaks after it raises, is continued or is restarted by another route, as `on_stream_error` says.
* A paused turn is resumed on the same route; a refusal or an empty response may fall back, as `fallback_on` says.
* If all routes fail: a paused turn, a refusal, a stale cache entry, or the error that lists all attempts.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from multiroute_core.budgets.reservation import SettleBudget
from multiroute_core.engine.attempt import AttemptRunner, TimeLimits
from multiroute_core.engine.attempt_log import ASKED, AttemptLog
from multiroute_core.engine.continuation import Continuation, PausedTurn, continuable
from multiroute_core.engine.hedging import StartedAttempt, race
from multiroute_core.engine.retry_plan import GiveUp, RetryPlan, Wait
from multiroute_core.engine.stage import CallContext
from multiroute_core.errors import MultiRouteError, RefusalError, RouteError, StreamInterruptedError, UnsupportedError
from multiroute_core.messages import Part, Reasoning, Text
from multiroute_core.pricing import Pricing
from multiroute_core.providers.capabilities import RouteCapabilities
from multiroute_core.providers.provider import Provider
from multiroute_core.resilience.admission import Permit, Rejection
from multiroute_core.route import Route
from multiroute_core.routing.expected_usage import answer
from multiroute_core.routing.learned import LearnedCapabilities
from multiroute_core.routing.strategies import LiveStats, needs_live_stats, rank_routes
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
        self._purse = context.reservation
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
        self._hedge = hedge_budget
        self._random = random
        self._trail = AttemptLog(context.listeners, call)
        self._began = context.start_time
        self._deadline = self._began + (call.options.deadline or float("inf"))
        self._tokens = call.tokens + answer(call.request)
        self._said: Continuation | None = None
        self._broken: StreamInterruptedError | None = None
        self._refused: Response | None = None
        self._paused: PausedTurn | None = None
        self._unsaid: Iterable[tuple[Part, ...]] = ()

    async def run(self) -> AsyncGenerator[Chunk, None]:
        """Yield the chunks of the response. Without streaming it is a single chunk."""
        call = self._call
        trail = self._trail
        response: Response | None = None
        failure: MultiRouteError | None = None
        try:
            routes = await self._ordered()
            unable = self._learned.unable(routes, call.request, self._began, stream=call.stream)
            if unable:
                routes = [route for route in routes if route.name not in unable]
            trail.request_started(routes)
            await self._state.begin_request(self._io, self._began)
            self._plan: RetryPlan = self._build_plan(routes)
            for route in call.routes if unable else ():
                if (shut := unable.get(route.name)) is not None:
                    self._plan.shut(route, shut)
                    trail.skipped(route, shut)
            while response is None:
                if (voice := await self._voice()) is None:
                    response = self._best()
                    break
                attempt = voice.attempt
                parts = voice.first
                error = None
                try:
                    if call.stream:
                        trail.first_token(attempt)
                    while parts is not None:
                        if call.stream and (parts := parts if self._said is None else self._said.add_parts(parts)):
                            yield Chunk(parts)
                        parts = await voice.next()
                    if self._said is not None and (parts := self._said.flush()):
                        yield Chunk(parts)
                except BaseException as caught:
                    error = caught
                try:
                    await voice.close(error)
                finally:
                    trail.attempt_ended(attempt, error)
                if error is not None:
                    begins_anew = self._recover_stream(attempt, error)
                elif attempt.finish_reason == "pause" and self._continue_paused(attempt):
                    begins_anew = False
                elif (begins_anew := self._handle_refusal(attempt)) is None:
                    response = self._build_response(attempt)
                if begins_anew and call.stream:
                    yield Chunk(restarted=True)
            if call.stream:
                for parts in self._unsaid:
                    yield Chunk(parts)
            yield Chunk(() if call.stream else response.parts, response)
        except MultiRouteError as error:
            failure = error
            error.attempts = trail.attempts
            raise
        finally:
            trail.request_ended(self._io.now() - self._began, response, failure)

    def _build_plan(self, routes: Sequence[Route]) -> RetryPlan:
        windows = {route.name: self._facts[route.name].window for route in routes}
        return RetryPlan(routes, self._call.options.max_retries or 0, windows, self._call.tokens)

    async def _ordered(self) -> list[Route]:
        """Return the candidates in ranked order."""
        call = self._call
        options = self._call.options
        if self._purse is not None and self._purse.over_soft_budget:
            options = replace(options, strategy="cheapest")
        standings = {}
        if needs_live_stats(options):
            standings = {r.name: await self._state.standing(self._io, r, self._began) for r in call.routes}
        live = LiveStats(self._facts, standings, self._pricing.cost_on, self._random, call.tokens, call.stream)
        return rank_routes(call.request, call.routes, options, live)

    async def _voice(self) -> StartedAttempt | None:
        """Return the first attempt that begins to respond; None if the plan gives up."""
        io = self._io
        plan = self._plan
        while True:
            now = io.now()
            step = plan.next(self._deadline - now, self._random())
            if isinstance(step, Wait):
                await io.sleep(step.seconds)
                continue
            if isinstance(step, GiveUp):
                self._stop: GiveUp = step
                return None
            if step.again and not await self._state.afford(io, now):
                plan.retry_denied()
                continue
            delay = None
            if self._hedge is not None and plan.next_hedge_candidate() is not None:
                delay = await self._state.hedge_after(io, step.route, self._hedge, stream=self._call.stream)
            attempt = await self._admitted(step.route, early=step.early)
            if attempt is None:
                continue
            if delay is not None:
                voice = await race(io, attempt, delay, self._rival, self._ended)
                if voice is None:
                    continue
                return voice
            try:
                return StartedAttempt(attempt, await attempt.next(), attempt)
            except BaseException as error:
                await attempt.close(error)
                self._ended(attempt, error)
                if not isinstance(error, RouteError):
                    raise

    async def _admitted(self, route: Route, *, early: bool = False) -> AttemptRunner | None:
        """Start an attempt on `route`; None if the route rejects it."""
        io = self._io
        stream = self._call.stream
        provider = self._providers[route.name]
        # Encode first: if it fails, no permit is held yet.
        adapted = self._learned.encode(provider, self._request, route, io.now(), stream=stream)
        leave, pay = await self._leave(route, early=early)
        if isinstance(leave, Rejection):
            self._plan.shut(route, leave)
            self._trail.skipped(route, leave)
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
            permit=leave,
            pricing=self._pricing,
            tokens=self._call.tokens,
            max_tokens=self._request.max_tokens,
            pay=pay,
        )
        try:
            self._trail.attempt_started(route)
        except BaseException as error:  # a hook was interrupted: Ctrl-C
            await attempt.close(error)
            raise
        return attempt

    async def _leave(self, route: Route, *, early: bool) -> tuple[Permit | Rejection, SettleBudget | None]:
        """Return a permit for `route` or the reason of its rejection, and the function that settles the budget."""
        io = self._io
        pay = None
        if self._purse is not None:
            pay = await self._purse.reserve(io, route)
            if isinstance(pay, Rejection):
                return pay, None
        try:
            leave = await self._state.admit(io, route, io.now(), tokens=self._tokens, early=early)
        except BaseException:
            if pay is not None:
                pay(None)
            raise
        if pay is not None and isinstance(leave, Rejection):
            pay(None)
        return leave, pay

    async def _rival(self) -> AttemptRunner | None:
        """Start a hedged attempt beside a slow one, if the hedge budget allows it."""
        plan = self._plan
        if plan.next_hedge_candidate() is None or not await self._state.afford(self._io, self._io.now(), hedge=True):
            return None
        while (route := plan.next_hedge_candidate()) is not None:
            plan.take(route)
            if (attempt := await self._admitted(route)) is not None:
                return attempt
        return None

    def _ended(self, attempt: AttemptRunner, error: BaseException | None) -> None:
        """Handle the end of an attempt that was never committed; `error` is None if it was cancelled.

        An error of the request itself, which forbids a fallback, ends the request, unless a route has begun to respond
        to it.
        """
        failure = attempt.failure if error is None else error  # it may have failed before it was cancelled
        self._trail.attempt_ended(attempt, failure)
        if not isinstance(failure, RouteError):
            if error is None:
                self._plan.lost_race(attempt.route)
            return
        fatal = not failure.fallback_allowed and failure.code not in (self._call.options.fallback_on or ())
        pending = self._refused or self._broken or self._paused  # a response or a partial response exists
        if fatal and error is not None and pending is None:
            raise failure
        if isinstance(failure, UnsupportedError) and self._learned.learn(
            failure, self._request, attempt.route, self._io.now(), attempt.adapted
        ):
            self._plan.again(attempt.route)
        else:
            self._plan.failed(attempt.route, failure)

    def _recover_stream(self, attempt: AttemptRunner, error: BaseException) -> bool:
        """Prepare another route after a broken stream; return whether the response restarts.

        Raises `error` if it cannot recover.
        """
        if not isinstance(error, StreamInterruptedError):
            raise error
        continuation = self._said
        how = self._call.options.on_stream_error
        partial = attempt.response(self._trail.attempts)
        parts = attempt.parts
        if self._paused is not None:
            partial = self._paused.merge_response(partial)
            parts = [*self._paused.paused.parts, *parts]
        if continuation is not None:
            partial = continuation.response(partial)
            parts = continuation.parts
        error.partial = partial
        if how == "continue" and continuable(parts, self._call.request):
            self._said = continuation = continuation or Continuation()
            continuation.broke(parts, self._trail.attempts[-1])
            self._request = continuation.request(self._call.request)
        elif how != "restart":
            raise error
        if self._paused is not None:  # another route restarts, or continues from the text so far
            self._plan = self._build_plan(self._call.routes)
            self._paused = None
        self._broken = error
        self._deadline = self._io.now() + (self._call.options.deadline or float("inf"))
        self._plan.failed(attempt.route, error)
        return how == "restart"

    def _continue_paused(self, attempt: AttemptRunner) -> bool:
        """Prepare the resumption of a paused turn on the same route; False after too many pauses."""
        paused = self._paused
        response = attempt.response(self._trail.attempts)
        if paused is None:
            self._paused = paused = PausedTurn(response)
        elif paused.count >= MOST_PAUSES:
            return False
        else:
            paused.pause(paused.merge_response(response))
        self._request = paused.request(self._call.request)
        self._plan = self._build_plan([attempt.route])
        if self._call.stream:
            self._deadline = self._io.now() + (self._call.options.deadline or float("inf"))
        return True

    def _handle_refusal(self, attempt: AttemptRunner) -> bool | None:
        """Return None for an accepted response; after a refusal that falls back, whether the response restarts."""
        reason = attempt.finish_reason
        options = self._call.options
        if options.fallback_on and "empty" in options.fallback_on and self._paused is None and self._is_empty(attempt):
            reason = "empty"
        if reason not in (options.fallback_on or ()):
            return None
        if self._call.stream and attempt.committed and options.on_stream_error != "restart":
            return None
        response = attempt.response(())
        self._refused = self._refused or response
        refusal = RefusalError(
            "The answer is empty." if reason == "empty" else f"The model declined to answer ({reason}).",
            route=attempt.route.name,
        )
        self._plan.failed(attempt.route, refusal)
        return attempt.committed

    def _is_empty(self, attempt: AttemptRunner) -> bool:
        """Whether a response is empty. After tool results a model may validly say nothing."""
        if attempt.finish_reason not in ("stop", "other") or self._call.request.messages[-1].role == "tool":
            return False
        return not any(
            not isinstance(part, Text | Reasoning) or (part.text.strip() and type(part) is Text)
            for part in attempt.parts
        )

    def _build_response(self, attempt: AttemptRunner) -> Response:
        response = attempt.response(self._trail.attempts)
        if self._paused is not None:
            response = self._paused.merge_response(response)
        return response if self._said is None else self._said.response(response)

    def _best(self) -> Response:
        """Return a paused turn, a refusal or a stale entry if all routes failed; raise the error otherwise."""
        attempts = self._trail.attempts
        if self._paused is not None:
            return replace(self._paused.paused, attempts=attempts)
        if self._refused is not None:
            self._unsaid = (self._refused.parts,)
            return replace(self._refused, attempts=attempts)
        error = self._trail.exhausted(self._plan, self._stop)
        stale_entry = self._stale_entry
        if stale_entry is None or self._broken is not None or getattr(error, "code", None) in ASKED:
            raise self._over(error)
        self._unsaid = stale_entry.chunks
        return replace(stale_entry.response, stale=True, attempts=attempts)

    def _over(self, error: MultiRouteError) -> MultiRouteError:
        """Return the error that ends the request: the stream interruption, with the partial response, if any."""
        interruption = self._broken
        if interruption is None:
            return error
        if interruption.partial is not None:
            interruption.partial = replace(interruption.partial, attempts=self._trail.attempts)
        interruption.add_note(f"No other route could take over: {error}")
        return interruption
