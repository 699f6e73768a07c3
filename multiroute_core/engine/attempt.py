"""One attempt: a single call to one route, from admission permit to exactly one outcome.

How this works:

* `AttemptRunner` starts with an admission `Permit` and ends with exactly one `Outcome` given back to the `State`.
* `next` calls the provider (or opens its stream), sets the timeout of the current phase on the attempt's `Deadline`,
  decodes events, restores redacted text and returns the next non-empty parts. The first parts commit the attempt.
* An exception becomes a `RouteError` with the route's name; after the commit it becomes a `StreamInterruptedError`.
* `close` closes the stream, builds the `Attempt` record (usage, cost or estimates), settles the budget reservation and
  the permit (verdict, cooldown, tokens, limits, latency); each step runs even if one fails, so that nothing leaks.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from multiroute_core._util.redaction import SHORTEST_SECRET, without_secret
from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.engine.verdicts import is_counted, is_of, verdict_of
from multiroute_core.errors import (
    AttemptTimeoutError,
    QuotaExhaustedError,
    RateLimitError,
    RouteError,
    StreamInterruptedError,
)
from multiroute_core.messages import Part, assemble, join
from multiroute_core.parsing import token_count
from multiroute_core.pricing import Pricing, charges
from multiroute_core.pricing.charges import Charge
from multiroute_core.providers.error_code import failure_of
from multiroute_core.providers.headroom import headroom
from multiroute_core.providers.in_band import error_beside_nothing
from multiroute_core.providers.provider import Decoder, Provider, UnreadableReply, WireError
from multiroute_core.providers.restoring import Restorer
from multiroute_core.providers.whole import BUGS, is_control_flow, read_event, read_misread_reply, read_streamed_reply
from multiroute_core.resilience.admission import Outcome, Permit, Verdict
from multiroute_core.resilience.provider_limits import RateLimitHeaders
from multiroute_core.route import Route
from multiroute_core.routing.learned import AdaptedRequest
from multiroute_core.runtime.deadline import MAX_RESPONSE_BYTES, Cancelled, Deadline, Expired
from multiroute_core.runtime.io import END, IO
from multiroute_core.state.state import State
from multiroute_core.types import Attempt, Delta, FinishReason, Response, Usage

logger = logging.getLogger("multiroute_core")

DEFAULT_COOLDOWN = 1.0
"""Cooldown in seconds after a rate limit error without a retry-after."""

GOODBYE_SECONDS = 2.0
"""How long the end of a stream may take once the response is complete, in seconds: usage and the body's last bytes
arrive then.
"""

DEADLINE = "the deadline"


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Timeouts in seconds and the maximum size of a response; None means no limit.

    Attributes:
        attempt: One attempt, until the response, or until the first token of a stream.
        first_token: The first token of a stream; without streaming, the body once the provider has begun to respond.
        stall: The time between two stream chunks.
        total: A whole stream.
        response_bytes: The size of a response body, decompressed, in bytes.
    """

    attempt: float | None = 120.0
    first_token: float | None = 30.0
    stall: float | None = 30.0
    total: float | None = None
    response_bytes: int | None = MAX_RESPONSE_BYTES


class AttemptRunner:
    """One attempt on one route.

    Call `next` until it returns None, and always call `close` at the end: it closes the stream, settles the permit with
    its verdict, and builds the `record`.
    """

    def __init__(
        self,
        io: IO,
        provider: Provider,
        route: Route,
        adapted: AdaptedRequest,
        *,
        stream: bool,
        limits: TimeLimits,
        deadline: float,
        state: State,
        permit: Permit,
        pricing: Pricing,
        tokens: int,
        request_start: float | None = None,
        max_tokens: int | None = None,
        settle_budget: Callable[[Attempt | None], None] | None = None,
    ) -> None:
        self.route = route
        self.adapted = adapted
        self.encoded = adapted.encoded
        self.stream = stream
        self._settle_budget = settle_budget
        self.parts: list[Part] = []
        self.finish_reason: FinishReason | None = None
        self.usage: Usage | None = None
        self.model: str | None = None
        self.raw: Any = None
        self.first_token_seconds: float | None = None
        self.record: Attempt | None = None
        self.overtaken = False
        self.failure: BaseException | None = None
        self._headroom: RateLimitHeaders | None = None
        self.limit = Deadline(io.now)
        self._io = io
        self._provider = provider
        self._state = state
        self._permit = permit
        self._pricing = pricing
        if route.timeout is not None:
            limits = replace(limits, attempt=route.timeout)
        self.limit.max_bytes = limits.response_bytes
        self._limits = limits
        self._deadline = deadline
        self._tokens = tokens
        self._max_tokens = max_tokens
        self._began = io.now()
        self._request_start = request_start
        self._restorer = None if self.encoded.restoration is None else Restorer(self.encoded.restoration)
        self._source: Any = None
        self._decoder: Decoder | None = None
        self._done = False

    @property
    def committed(self) -> bool:
        """Whether a non-empty part was received."""
        return self.first_token_seconds is not None

    async def close(self, error: BaseException | None) -> None:
        """End the attempt with `error`, or with None if the response was read to the end."""
        # Local variables, because an error and its frames form a reference cycle with the attempt: after an interrupt
        # only the garbage collector would release the permit and the reservation.
        permit = self._permit
        self._permit = Permit()
        settle_budget = self._settle_budget
        self._settle_budget = None
        self.failure = error
        try:
            if self._source is not None:
                await self._io.close(self._source)
        except Exception as failure:  # the response or its error is already known: a failing close does not change it
            if error is not None:
                error.add_note(f"Closing the stream failed as well: {failure!r}")
        finally:
            await self._settle(error, permit, settle_budget)

    async def _settle(
        self, error: BaseException | None, permit: Permit, settle_budget: Callable[[Attempt | None], None] | None
    ) -> None:
        """Build the record, then settle the reservation and the permit, whatever fails in between."""
        outcome = Outcome(Verdict.NONE)
        try:
            self.record = self._build_attempt(error)
            outcome = self._outcome(error)
        finally:
            try:
                if settle_budget is not None:
                    settle_budget(self.record)
            finally:
                await self._state.settle(self._io, self.route, self._io.now(), permit, outcome)

    def leave(self) -> None:
        """Build the record of an attempt that was cancelled and may never close itself."""
        if self.record is None:
            self.record = self._build_attempt(None if self._done else Cancelled())

    async def next(self) -> tuple[Part, ...] | None:
        """Return the next non-empty parts; None at the end of the response.

        Raises:
            RouteError: the attempt failed. After the first part it is a `StreamInterruptedError`; `RequestExecution`
                adds the partial response to it.
        """
        if self._done:
            return None
        try:
            parts = await (self._read() if self.stream else self._call_provider())
        except Exception as error:
            if is_control_flow(error):  # a wrapped model, or a tool in it, suspends the graph it runs in
                raise
            if isinstance(error, BUGS):
                if (misread := read_misread_reply(error, replied=self.limit.replied)) is None:
                    raise
                misread.__cause__ = error
                error = misread
            if isinstance(error, WireError):  # a failed response is billed as well
                self.usage = error.usage or self.usage
                self.model = error.model or self.model
            raise self._to_route_error(error) from (error.__cause__ if isinstance(error, RouteError) else error)
        if parts:
            if self.first_token_seconds is None:
                await self._first_token()
            self.parts.extend(parts)
        return parts

    def response(self, attempts: tuple[Attempt, ...]) -> Response:
        """Return what was received so far as a response; the cost is known once the attempt is closed."""
        record = self.record
        return Response(
            parts=assemble(self.parts) if self.stream else tuple(self.parts),
            finish_reason=self.finish_reason if self._done else None,  # it may come before the end of the stream
            usage=self.usage,
            model=self.model or self.route.model,
            provider=self.route.provider,
            route=self.route.name,
            cost=None if record is None else record.cost,
            attempts=attempts,
            raw=self.raw,
            prompt_cache_saving=None if record is None else record.prompt_cache_saving,
        )

    async def _first_token(self) -> None:
        now = self._io.now()
        self.first_token_seconds = now - self._began
        if self._permit.probe:  # confirm the probe now: other requests need not wait for the end of this response
            self._permit = await self._state.confirm(self._io, self.route, now, self._permit)

    def _learn(self, headers: Mapping[str, str] | None) -> None:
        """Read the remaining rate limit from the response headers."""
        if headers:
            self._headroom = headroom(headers, self._io.now(), time.time())

    async def _call_provider(self) -> tuple[Part, ...] | None:
        self.limit.body_within = self._limits.first_token
        self._allow(("the answer", self._limits.attempt, self._began))
        reply = await self._provider.call(self._io, self.limit, self.encoded)
        self._done = True
        self._learn(reply.headers)
        try:
            return self._take(delta := self._provider.decode(reply, self.encoded)) or self._end_empty(delta.raw)
        except UnreadableReply as error:
            return self._take(read_streamed_reply(self._provider, reply, self.encoded, error)) or None
        except BUGS as error:
            raise WireError("The provider returned a malformed answer.") from error

    async def _read(self) -> tuple[Part, ...] | None:
        self._watch()
        if self._decoder is None:
            self._decoder = self._provider.decoder(self.encoded)
            self._source = await self._provider.open(self._io, self.limit, self.encoded)
            self._learn(getattr(self._source, "headers", None))
        decoder = self._decoder
        while True:
            if decoder.complete and self._io.now() + GOODBYE_SECONDS < self.limit.until:
                self.limit.set("the end of the stream", self._io.now() + GOODBYE_SECONDS, GOODBYE_SECONDS)
            try:
                event = await self._io.next(self.limit, self._source)
            except Exception as error:
                if not decoder.complete:
                    raise
                if isinstance(error, WireError):  # the response is complete: a bad event after its end is harmless
                    continue
                event = END  # only the end of the stream was cut off
            if event is END:
                if decoder.complete:
                    self._done = True
                    return None if self._restorer is None else self._restorer.flush() or None
                raise EOFError("The stream ended early: the answer is incomplete.")
            delta = read_event(self._provider, decoder, self.encoded, event)
            if delta is not None and (parts := self._take(delta)):
                return parts
            if not self.committed and decoder.complete:
                self._end_empty(event)

    def _end_empty(self, body: Any) -> None:
        """Raise the error that the body of an empty answer reports, if any."""
        if (error := error_beside_nothing(body, usage=self.usage, model=self.model)) is not None:
            raise error

    def _take(self, delta: Delta) -> tuple[Part, ...]:
        self.finish_reason = delta.finish_reason or self.finish_reason
        self.usage = delta.usage or self.usage
        self.model = delta.model or self.model
        self.raw = delta.raw or self.raw
        if self._restorer is not None:
            return self._restorer.restore(delta.parts, stream=self.stream)
        return delta.parts

    def _watch(self) -> None:
        """Set the timeout of the next read of a stream."""
        limits = self._limits
        start = self._began
        if self.first_token_seconds is None:
            first = ("the first token", limits.first_token, start)
            attempt = ("the answer", limits.attempt, start)
            self._allow(first, attempt, ("the whole stream", limits.total, start))
        elif limits.total is None and limits.stall is not None:  # hot path, once per chunk: allocates nothing
            self.limit.set("the next chunk", self._io.now() + limits.stall, limits.stall)
        else:
            self._allow(("the next chunk", limits.stall, self._io.now()), ("the whole stream", limits.total, start))

    def _allow(self, *spans: tuple[str, float | None, float]) -> None:
        phase = ""
        until = math.inf
        allowed = math.inf
        if not self.committed:
            phase = DEADLINE
            until = self._deadline
            allowed = self._deadline - self._began
        for what, seconds, since in spans:
            if seconds is not None and since + seconds < until:
                phase = what
                until = since + seconds
                allowed = seconds
        self.limit.set(phase, until, allowed)

    def _to_route_error(self, error: Exception) -> RouteError:
        """Convert `error` to a `RouteError`; after the commit to a `StreamInterruptedError`."""
        if isinstance(error, Expired):
            phase = self.limit.phase
            allowed = self.limit.allowed
            message = f"{phase[:1].upper()}{phase[1:]} did not arrive within {allowed:g} s."
            if phase == DEADLINE:
                message = f"Nothing arrived before {phase}, {allowed:.3g} s after the attempt began."
            route_error: RouteError = AttemptTimeoutError(message)
        else:
            route_error = self._provider.classify(error)
        key = self.route.api_key or getattr(self._provider, "api_key", None)
        if isinstance(key, str) and len(key) >= SHORTEST_SECRET:  # some servers echo the request's headers
            route_error.message = without_secret(route_error.message, key)
            route_error.args = (route_error.message,)
            route_error.body = without_secret(route_error.body, key)
        if self.committed and not isinstance(route_error, StreamInterruptedError):
            reported = type(route_error)
            route_error = StreamInterruptedError(
                f"The stream broke after {len(join(self.parts))} characters: {route_error.message}",
                status=route_error.status,
                retry_after=route_error.retry_after,
                request_id=route_error.request_id,
                body=route_error.body,
            )
            route_error.reported = reported
        route_error.route = self.route.name
        route_error.provider = self.route.provider
        return route_error

    def _build_attempt(self, error: BaseException | None) -> Attempt:
        model = self.model or self.route.model
        outcome = "success" if error is None else error.code if isinstance(error, RouteError) else "cancelled"
        try:
            charge = self._charge(model, is_answered=error is None)
        except Exception:  # prices and token counts come from outside
            logger.exception("The cost of an answer of route %r cannot be calculated.", self.route.name)
            charge = Charge()
        return Attempt(
            route=self.route.name,
            provider=self.route.provider,
            model=model,
            outcome=outcome,
            seconds=self._io.now() - self._began,
            first_token_seconds=self.first_token_seconds,
            usage=self.usage,
            cost=charge.cost,
            dropped=self.encoded.dropped,
            error=error.message if isinstance(error, RouteError) else None,
            estimated_usage=charge.estimate,
            estimated_cost=charge.estimated_cost,
            price_source=charge.source,
            started_after=None if self._request_start is None else self._began - self._request_start,
            prompt_cache_saving=charge.saving,
        )

    def _charge(self, model: str, *, is_answered: bool) -> Charge:
        """Return the cost of the attempt, or its estimate if the provider did not report usage."""
        cut = self.committed and not self._done
        usage = self.usage
        # It may be complete and cancelled in the same moment.
        is_complete = is_answered or (self.committed and self._done)
        is_partial = cut or (is_complete and token_count.is_placeholder(usage, self.parts))
        tokens = None
        if is_partial or (is_complete and token_count.lacks_counts(usage, self.parts)):
            tokens = token_count.of_parts(assemble(self.parts))
            if self._max_tokens is not None:  # a response cannot be longer, whatever its characters suggest
                tokens = min(tokens, self._max_tokens)
        expected = Usage(self._tokens, tokens)
        return charges.charge(self._pricing, self.route, model, usage, expected, cut=cut, is_partial=is_partial)

    def _outcome(self, error: BaseException | None) -> Outcome:
        """Return what the state learns from the end of the attempt."""
        limited = error is not None and is_of(error, RateLimitError)
        retry_after = error.retry_after if isinstance(error, RouteError) else None
        used = (self.usage and self.usage.total_tokens) or None
        if used is None and isinstance(error, RouteError) and error.status is not None and not self.committed:
            used = 0  # the provider rejected the request, so it used no tokens
        now = self._io.now()
        # An overtaken attempt counts with its elapsed time: otherwise only fast responses would be measured.
        slow = now - self._began if self.overtaken and not self.committed else None
        duration = now - self._began if error is None else slow
        failure = failure_of(error) if isinstance(error, RouteError) and (is_counted(error) or limited) else None
        return Outcome(
            verdict_of(error),
            retry_after=DEFAULT_COOLDOWN if limited and retry_after is None else retry_after,
            limited=limited,
            shared=isinstance(error, QuotaExhaustedError),
            used=used,
            headroom=self._headroom,
            first_token=(self.first_token_seconds or slow) if self.stream else None,
            seconds=None if self.stream else duration,
            failure=failure,
        )
