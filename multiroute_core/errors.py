"""The error tree.

    MultiRouteError
    ├── ConfigurationError (also a ValueError)   a setting, option or input is wrong; nothing was sent
    ├── RouteError                               one try on one route failed
    │   ├── BadRequestError                      the caller's fault: no other route is asked
    │   │   ├── ContextOverflowError             the prompt is too long for this model: another may take it
    │   │   └── UnsupportedError                 this route lacks an ability that the request needs: another may have it
    │   ├── AuthenticationError                  the key is wrong, missing or not allowed
    │   ├── NotFoundError                        the provider does not know this model or address
    │   ├── QuotaExhaustedError                  money or quota is spent: waiting does not help soon
    │   ├── RateLimitError                       too much at once; `retry_after` says when to come back
    │   ├── ContentFilterError                   the prompt was blocked and there is no answer
    │   ├── RefusalError                         the model declined; only where `fallback_on` makes it a failure
    │   ├── OverloadedError                      the provider has no capacity now
    │   ├── ServerError                          the provider failed (5xx)
    │   ├── AttemptTimeoutError                  nothing in time (also a TimeoutError)
    │   ├── ConnectionFailedError                no connection, or it dropped before the answer (also a ConnectionError)
    │   ├── BrokenStreamError                    the stream ended before its end; `partial` holds what had arrived
    │   └── BadReplyError                        an answer that cannot be understood
    ├── BudgetExceededError                      a budget cannot pay for the call; `left` and `resets_at` say more
    └── AllRoutesFailedError                     no route answered; `attempts` and `errors` tell every try
        └── DeadlineExceededError                … because the deadline passed (also a TimeoutError)

A `RouteError` keeps the SDK's or the transport's own error as its `__cause__`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from multiroute_core._util.display import printable
from multiroute_core.types import Attempt, Response


class MultiRouteError(Exception):
    """Any error that MultiRoute raises.

    Attributes:
        attempts: Every try of the request that failed, in order; empty where nothing was sent.
    """

    attempts: tuple[Attempt, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        """Without the SDK's `response`, which the adapter for LangChain adds: it holds the request, and so the key."""
        state = {name: value for name, value in self.__dict__.items() if name != "response"}
        return type(self), self.args, state


class ConfigurationError(MultiRouteError, ValueError):
    """A setting, an option or an input is wrong. Raised before anything is sent."""


class RouteError(MultiRouteError):
    """One try on one route failed.

    Attributes:
        kind: The class in one word, as it stands in `Attempt.outcome`, events and logs.
        route: The route's name.
        provider: Its provider.
        status: The HTTP status, where there was one.
        retry_after: Seconds after which the provider wants to be asked again; None where it did not say.
        request_id: The provider's own id of the request, where it gave one.
        body: The provider's error body, where it could be read.
    """

    code: ClassVar[str] = "error"
    fallback_allowed: ClassVar[bool] = True
    """Whether another route may answer what this one could not."""
    retryable: ClassVar[bool] = False
    """Whether the same route may answer the same request a moment later."""
    counts_against_breaker: ClassVar[bool] = True
    """Whether the route's breaker counts it: faults of the caller do not."""
    permanent: ClassVar[bool] = False
    """Whether it will stay for long, so that the breaker opens at once."""

    def __init__(
        self,
        message: str,
        *,
        route: str = "",
        provider: str = "",
        status: int | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
        body: Any = None,
    ) -> None:
        message = printable(message)  # it holds what the provider said
        super().__init__(message)
        self.message = message
        self.route = route
        self.provider = provider
        self.status = status
        self.retry_after = retry_after
        self.request_id = request_id
        self.body = body

    def __str__(self) -> str:
        where = f"Route {self.route!r}: " if self.route else ""
        return f"{where}{self.message}"


class BadRequestError(RouteError):
    """The request itself is refused: another route would refuse it as well, so none is asked."""

    code = "bad_request"
    fallback_allowed = False
    counts_against_breaker = False


class ContextOverflowError(BadRequestError):
    """The prompt is longer than this model's window; a model with a larger one may take it."""

    code = "context_overflow"
    fallback_allowed = True


class UnsupportedError(BadRequestError):
    """The route lacks an ability that the request needs, such as tools; another route may have it.

    The next route is asked. The circuit breaker does not count it. The router remembers it for ten minutes, for this
    route and ability.

    Attributes:
        ability: What it lacks: `"tools"`, `"tool_choice"`, `"image"`, `"document"`, `"audio"`, `"video"`,
            `"output_schema"`, `"stream_options"`, `"reasoning"`, or the name of another parameter; `""` for unknown.
    """

    code = "unsupported"
    fallback_allowed = True

    def __init__(self, message: str, *, ability: str = "", **details: Any) -> None:
        super().__init__(message, **details)
        self.ability = ability


class AuthenticationError(RouteError):
    """The key is missing, wrong, or may not use this model."""

    code = "authentication"
    permanent = True


class NotFoundError(RouteError):
    """The provider knows no such model or address."""

    code = "not_found"
    permanent = True


class QuotaExhaustedError(RouteError):
    """Credit or quota is spent; waiting a little does not help."""

    code = "quota_exhausted"
    permanent = True


class RateLimitError(RouteError):
    """Too many requests or tokens; `retry_after` says when to come back, if the provider did."""

    code = "rate_limit"
    retryable = True
    counts_against_breaker = False


class ContentFilterError(RouteError):
    """The provider's filter or policy blocked the prompt, and there is no answer: another provider's may let it pass.

    A filtered *answer* is an answer, not an error; see `fallback_on`.
    """

    code = "content_filter"
    counts_against_breaker = False


class RefusalError(RouteError):
    """The model declined to answer, and the caller wants others to be asked then (`fallback_on`)."""

    code = "refusal"
    counts_against_breaker = False


class OverloadedError(RouteError):
    """The provider has no capacity at the moment."""

    code = "overloaded"
    retryable = True


class ServerError(RouteError):
    """The provider failed."""

    code = "server_error"
    retryable = True


class AttemptTimeoutError(RouteError, TimeoutError):
    """Nothing (more) came within the limit that the message names."""

    code = "timeout"
    retryable = True


class APIConnectionError(RouteError, ConnectionError):
    """No connection could be made, or it dropped before there was an answer."""

    code = "connection"
    retryable = True


class StreamInterruptedError(RouteError):
    """A stream ended before its end.

    Attributes:
        partial: What had arrived, with its usage as far as known; `finish_reason` is None. None where the stream
            broke before anything meaningful came.
    """

    code = "broken_stream"
    retryable = True
    partial: Response | None = None


class InvalidResponseError(RouteError):
    """The provider answered with something that is no answer."""

    code = "bad_reply"
    retryable = True


class BudgetExceededError(MultiRouteError):
    """A hard budget cannot pay for the call on any route; nothing was sent.

    Attributes:
        budget: The budget's name.
        scope_value: The tenant, label, route or task that spends; empty for all together.
        remaining: What is left of it, in USD or tokens; None where that cannot be read.
        resets_at: When it begins anew, in seconds since 1970; None where it does not.
        retry_after: Seconds until then.
    """

    def __init__(
        self,
        message: str,
        *,
        budget: str = "",
        scope_value: str = "",
        remaining: float | None = None,
        resets_at: float | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.budget = budget
        self.scope_value = scope_value
        self.remaining = remaining
        self.resets_at = resets_at
        self.retry_after = retry_after


class AllRoutesFailedError(MultiRouteError):
    """No route answered.

    Attributes:
        errors: The error of every attempt, in the same order as `attempts`.
        skipped: For every route that was not asked: its name, and why.
        retry_after: Seconds until the first shut route may be asked again; None if unknown.
    """

    def __init__(
        self,
        message: str,
        *,
        errors: Sequence[RouteError] = (),
        skipped: dict[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.errors = tuple(errors)
        self.skipped = dict(skipped or {})
        self.retry_after = retry_after
        lines = [message, *(f"  {error}" for error in self.errors)]
        lines += [f"  Route {name!r} was not asked: {printable(why)}" for name, why in self.skipped.items()]
        super().__init__("\n".join(lines))


class DeadlineExceededError(AllRoutesFailedError, TimeoutError):
    """The deadline passed before any route had something for the caller."""
