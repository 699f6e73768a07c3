"""One try on one route: a permit in, exactly one outcome out."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from multiroute_core._util.redaction import SHORTEST_SECRET, without_secret
from multiroute_core.budgets import charges
from multiroute_core.budgets.charges import Charge
from multiroute_core.errors import (
    AttemptTimeoutError,
    QuotaExhaustedError,
    RateLimitError,
    RouteError,
    StreamInterruptedError,
)
from multiroute_core.messages import Part, assemble, join
from multiroute_core.parsing import token_count
from multiroute_core.pricing import Pricing
from multiroute_core.providers.error_code import failure_of
from multiroute_core.providers.headroom import headroom
from multiroute_core.providers.provider import Decoder, Provider, UnreadableReply, WireError
from multiroute_core.providers.restoring import Restorer
from multiroute_core.providers.whole import BUGS, is_control_flow, read_event
from multiroute_core.resilience.admission import Outcome, Permit, Verdict
from multiroute_core.resilience.provider_limits import RateLimitHeaders
from multiroute_core.route import Route
from multiroute_core.routing.learned import AdaptedRequest
from multiroute_core.runtime.deadline import MAX_RESPONSE_BYTES, Cancelled, Deadline, Expired
from multiroute_core.runtime.io import END, IO
from multiroute_core.state.state import State
from multiroute_core.types import Attempt, Delta, FinishReason, Response, Usage

logger = logging.getLogger("multiroute_core")

DOOR_SECONDS = 1.0
"""How long a rate limit closes a route whose provider did not say when to come back."""

GOODBYE_SECONDS = 2.0
"""How long the end of a stream may take when its answer is whole: the usage comes then, and the body's last bytes."""

DEADLINE = "the deadline"


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long things may take, in seconds, and how large a reply may be; None means without limit.

    Attributes:
        attempt: One try, until there is an answer, or a stream's first token.
        first_token: A stream's first token; or a plain answer's, once the provider has begun to reply.
        stall: The silence between two chunks.
        total: A whole stream.
        response_bytes: The size of a reply's body, decompressed, in bytes.
    """

    attempt: float | None = 120.0
    first_token: float | None = 30.0
    stall: float | None = 30.0
    total: float | None = None
    response_bytes: int | None = MAX_RESPONSE_BYTES


class AttemptRunner:
    """One try on one route.

    Read it with `next` until that gives None, and `close` it, whatever happened: that closes the stream, gives the
    permit back with its verdict, and makes the `record`.
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
        max_tokens: int | None = None,
        pay: Callable[[Attempt | None], None] | None = None,
    ) -> None:
        self.route = route
        self.adapted = adapted
        self.encoded = adapted.encoded
        self.stream = stream
        self._pay = pay
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
        self._restorer = None if self.encoded.restoration is None else Restorer(self.encoded.restoration)
        self._source: Any = None
        self._decoder: Decoder | None = None
        self._done = False

    @property
    def committed(self) -> bool:
        """Whether something meaningful has come."""
        return self.first_token_seconds is not None

    async def close(self, error: BaseException | None) -> None:
        """The try is over: with `error`, or with None where its answer was read to the end."""
        # In variables, not in the try: an error and its frames hold the try in a circle, and there an interrupt would
        # leave them to the collector.
        permit = self._permit
        self._permit = Permit()
        pay = self._pay
        self._pay = None
        self.failure = error
        try:
            if self._source is not None:
                await self._io.close(self._source)
        except Exception as failure:  # the answer is here, or its error: a clumsy goodbye changes nothing
            if error is not None:
                error.add_note(f"Closing the stream failed as well: {failure!r}")
        finally:
            await self._settle(error, permit, pay)

    async def _settle(
        self, error: BaseException | None, permit: Permit, pay: Callable[[Attempt | None], None] | None
    ) -> None:
        """Make the record, and give back the reservation and the permit, whatever breaks on the way."""
        outcome = Outcome(Verdict.NONE)
        try:
            self.record = self._build_attempt(error)
            outcome = self._outcome(error)
        finally:
            try:
                if pay is not None:
                    pay(self.record)
            finally:
                await self._state.settle(self._io, self.route, self._io.now(), permit, outcome)

    def leave(self) -> None:
        """Make the record of a try that was called off and does not come back by itself."""
        if self.record is None:
            self.record = self._build_attempt(None if self._done else Cancelled())

    async def next(self) -> tuple[Part, ...] | None:
        """The next meaningful parts; None at the end of the answer.

        Raises:
            RouteError: the try failed. After something meaningful came it is a `BrokenStreamError` with the partial
                answer.
        """
        if self._done:
            return None
        try:
            parts = await (self._read() if self.stream else self._call_provider())
        except Exception as error:
            if is_control_flow(error):  # a wrapped model, or a tool in it, suspends the graph that it runs in
                raise
            if isinstance(error, BUGS):
                if not self.limit.replied:
                    raise
                unreadable = UnreadableReply(f"The reply cannot be read ({type(error).__name__}: {error}).")
                unreadable.__cause__ = error
                error = unreadable
            if isinstance(error, WireError):  # a failed answer is billed as well
                self.usage = error.usage or self.usage
                self.model = error.model or self.model
            raise self._to_route_error(error) from (error.__cause__ if isinstance(error, RouteError) else error)
        if parts:
            if self.first_token_seconds is None:
                await self._first_token()
            self.parts.extend(parts)
        return parts

    def response(self, attempts: tuple[Attempt, ...]) -> Response:
        """What has come, as a response; priced when the try is over."""
        model = self.model or self.route.model
        return Response(
            parts=assemble(self.parts) if self.stream else tuple(self.parts),
            finish_reason=self.finish_reason if self._done else None,  # Anthropic says why before it says that it ended
            usage=self.usage,
            model=model,
            provider=self.route.provider,
            route=self.route.name,
            cost=self.record.cost if self.record is not None else None,
            attempts=attempts,
            raw=self.raw,
        )

    async def _first_token(self) -> None:
        now = self._io.now()
        self.first_token_seconds = now - self._began
        if self._permit.probe:  # others need not wait for the end of this answer to know that the route is well
            self._permit = await self._state.confirm(self._io, self.route, now, self._permit)

    def _learn(self, headers: Mapping[str, str] | None) -> None:
        """What the provider says that it would still take, as of now."""
        if headers:
            self._headroom = headroom(headers, self._io.now(), time.time())

    async def _call_provider(self) -> tuple[Part, ...] | None:
        self.limit.body_within = self._limits.first_token
        self._allow(("the answer", self._limits.attempt, self._began))
        reply = await self._provider.call(self._io, self.limit, self.encoded)
        self._done = True
        self._learn(reply.headers)
        try:
            return self._take(self._provider.decode(reply, self.encoded)) or None
        except BUGS as error:
            raise WireError("The answer has a shape that no answer has.") from error

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
                if isinstance(error, WireError):  # the answer is whole: a bad event after its end harms nothing
                    continue
                event = END  # what was cut is the goodbye
            if event is END:
                if decoder.complete:
                    self._done = True
                    return None if self._restorer is None else self._restorer.flush() or None
                raise EOFError("The stream ended without its end: the answer is not complete.")
            delta = read_event(self._provider, decoder, self.encoded, event)
            if delta is not None and (parts := self._take(delta)):
                return parts

    def _take(self, delta: Delta) -> tuple[Part, ...]:
        self.finish_reason = delta.finish_reason or self.finish_reason
        self.usage = delta.usage or self.usage
        self.model = delta.model or self.model
        self.raw = delta.raw or self.raw
        if self._restorer is not None:
            return self._restorer.restore(delta.parts, stream=self.stream)
        return delta.parts

    def _watch(self) -> None:
        """Set the limit of a stream's next step."""
        limits = self._limits
        start = self._began
        if self.first_token_seconds is None:
            first = ("the first token", limits.first_token, start)
            attempt = ("the answer", limits.attempt, start)
            self._allow(first, attempt, ("the whole stream", limits.total, start))
        elif limits.total is None and limits.stall is not None:  # once a chunk: nothing is built for it
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
        """The class of `error`, with the route's name and what had come."""
        if isinstance(error, Expired):
            phase = self.limit.phase
            allowed = self.limit.allowed
            message = f"{phase[:1].upper()}{phase[1:]} did not come within {allowed:g} s."
            if phase == DEADLINE:
                message = f"Nothing came before {phase}, {allowed:.3g} s after the attempt began."
            route_error: RouteError = AttemptTimeoutError(message)
        else:
            route_error = self._provider.classify(error)
        key = self.route.api_key or getattr(self._provider, "api_key", None)
        if isinstance(key, str) and len(key) >= SHORTEST_SECRET:  # some servers repeat what they were sent
            route_error.message = without_secret(route_error.message, key)
            route_error.args = (route_error.message,)
            route_error.body = without_secret(route_error.body, key)
        if self.committed and not isinstance(route_error, StreamInterruptedError):
            route_error = StreamInterruptedError(
                f"The stream broke after {len(join(self.parts))} characters: {route_error.message}",
                status=route_error.status,
                retry_after=route_error.retry_after,
                request_id=route_error.request_id,
                body=route_error.body,
            )
        route_error.route = self.route.name
        route_error.provider = self.route.provider
        return route_error

    def _build_attempt(self, error: BaseException | None) -> Attempt:
        model = self.model or self.route.model
        outcome = "success" if error is None else error.code if isinstance(error, RouteError) else "cancelled"
        try:
            charge = self._charge(model, is_answered=error is None)
        except Exception:  # prices and counts come from outside
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
        )

    def _charge(self, model: str, *, is_answered: bool) -> Charge:
        """What the attempt costs, or likely costs where nobody says."""
        cut = self.committed and not self._done
        usage = self.usage
        output_tokens = None
        is_complete = is_answered or (
            self.committed and self._done
        )  # it may be whole, and called off in the same moment
        if cut or (is_complete and token_count.lacks_counts(usage, self.parts)):
            output_tokens = token_count.of_parts(assemble(self.parts))
            if self._max_tokens is not None:  # no answer is longer, whatever its characters suggest
                output_tokens = min(output_tokens, self._max_tokens)
        return charges.charge(
            self._pricing, self.route, model, usage, prompt=self._tokens, output_tokens=output_tokens, cut=cut
        )

    def _outcome(self, error: BaseException | None) -> Outcome:
        """What the state learns from the end of the try."""
        limited = isinstance(error, RateLimitError)
        door = error.retry_after if isinstance(error, RouteError) else None
        used = None if self.usage is None else self.usage.total_tokens or None
        if used is None and isinstance(error, RouteError) and error.status is not None and not self.committed:
            used = 0  # it was refused
        now = self._io.now()
        # Who was too slow is as slow as it was seen to be: without that, only the quick ones would be remembered.
        slow = now - self._began if self.overtaken and not self.committed else None
        duration = now - self._began if error is None else slow
        failure = (
            failure_of(error) if isinstance(error, RouteError) and (error.counts_against_breaker or limited) else None
        )
        return Outcome(
            _verdict(error),
            door=DOOR_SECONDS if limited and door is None else door,
            limited=limited,
            shared=isinstance(error, QuotaExhaustedError),
            used=used,
            headroom=self._headroom,
            first_token=(self.first_token_seconds or slow) if self.stream else None,
            seconds=None if self.stream else duration,
            failure=failure,
        )


def _verdict(error: BaseException | None) -> Verdict:
    """What the end of a try says about the health of its route."""
    if error is None:
        return Verdict.SUCCESS
    if not isinstance(error, RouteError) or not error.counts_against_breaker:
        return Verdict.NONE
    return Verdict.LASTING if error.permanent else Verdict.FAILURE
