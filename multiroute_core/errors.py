"""The exception hierarchy.

    MultiRouteError
    ├── ConfigurationError (also a ValueError)   a setting, option or input is invalid; nothing was sent
    │   └── PromptTooLongError                   the prompt cannot be trimmed to its token budget; see `excess`
    ├── RouteError                               one attempt on one route failed
    │   ├── BadRequestError                      the request is invalid: no fallback
    │   │   ├── ContextOverflowError             the prompt exceeds this model's context window; fallback allowed
    │   │   └── UnsupportedError                 the route lacks a capability that the request needs; fallback allowed
    │   ├── AuthenticationError                  the API key is wrong, missing or not allowed
    │   ├── NotFoundError                        the provider does not know this model or address
    │   ├── QuotaExhaustedError                  credit or quota is used up: waiting does not help soon
    │   ├── RateLimitError                       too many requests or tokens; `retry_after` gives the wait
    │   ├── ContentFilterError                   the prompt was blocked and there is no response
    │   ├── RefusalError                         the model declined; only where `fallback_on` makes it a failure
    │   ├── RejectedAnswerError                  a check of `accept` rejected the answer; see `answer`
    │   ├── OverloadedError                      the provider has no capacity now
    │   ├── ServerError                          the provider failed (5xx)
    │   ├── AttemptTimeoutError                  a timeout expired (also a TimeoutError)
    │   ├── APIConnectionError                   no connection, or dropped before a response (also a ConnectionError)
    │   ├── StreamInterruptedError               the stream ended early; `partial` holds the output received so far
    │   └── InvalidResponseError                 a malformed response
    ├── BudgetExceededError                      a budget does not cover the call; see `remaining` and `resets_at`
    ├── LimitExceededError                       a limit of the tenant or label refuses the call; see `retry_after`
    ├── GuardBlockedError                        a guard blocks the request or the answer; see `guard` and `reason`
    └── AllRoutesFailedError                     all routes failed; `attempts` and `errors` list every attempt
        └── DeadlineExceededError                … because the deadline passed (also a TimeoutError)

A `RouteError` keeps the SDK's or the transport's own error as its `__cause__`.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from typing import Any, ClassVar, Literal

from multiroute_core._util.traceback import render_traceback
from multiroute_core.display.text import describe_value, printable
from multiroute_core.types import Attempt, Response


class MultiRouteError(Exception):
    """Base class of all errors that MultiRoute raises.

    Attributes:
        attempts: Every attempt of the failed request, in order; empty if nothing was sent.
    """

    attempts: tuple[Attempt, ...] = ()

    def _render_traceback_(self) -> list[str]:
        """The traceback in IPython and Jupyter: the user's lines; see `multiroute_core._util.traceback`."""
        return render_traceback(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Omit the SDK's `response`, which the LangChain adapter adds: it holds the request, and so the API key."""
        state = {name: value for name, value in self.__dict__.items() if name != "response"}
        return type(self), self.args, state


class ConfigurationError(MultiRouteError, ValueError):
    """A setting, an option or an input is invalid. Raised before anything is sent."""


class PromptTooLongError(ConfigurationError):
    """What has to stay of a prompt exceeds the token budget of the prompt optimizer. Nothing was sent.

    Attributes:
        tokens: The tokens of what has to stay: the system messages, the tools, and the latest turn with all after it.
        limit: The budget, in tokens.
    """

    def __init__(self, tokens: int, limit: int) -> None:
        super().__init__(tokens, limit)
        self.tokens = tokens
        self.limit = limit

    @property
    def excess(self) -> int:
        """By how many tokens the prompt is too long."""
        return self.tokens - self.limit

    def __str__(self) -> str:
        return (
            f"The prompt is {self.excess:,} tokens too long: its system messages, its tools and its latest turn have "
            f"{self.tokens:,} tokens, and max_tokens={self.limit:,} is the most; shorten them, or raise "
            "PromptOptimizer(max_tokens=...)."
        )


class RouteError(MultiRouteError):
    """One attempt on one route failed.

    Attributes:
        code: The error class as one word, as used in `Attempt.outcome`, events and logs.
        route: The route's name.
        provider: The route's provider.
        status: The HTTP status; None if there was none.
        retry_after: Seconds after which the provider accepts a retry; None if it did not say.
        request_id: The provider's id of the request; None if it sent none.
        body: The provider's error body, if it could be read.
    """

    code: ClassVar[str] = "error"
    fallback_allowed: ClassVar[bool] = True
    """Whether another route may succeed where this one failed."""
    retryable: ClassVar[bool] = False
    """Whether the same request may succeed on the same route a moment later."""
    counts_against_breaker: bool = True
    """Whether the route's circuit breaker counts the error; errors caused by the caller or by this machine do not."""
    permanent: ClassVar[bool] = False
    """Whether the error is likely to persist, so that the circuit breaker opens at once."""

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
        message = printable(message)  # it holds text from the provider
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
    """The request is invalid. Another route would reject it too, so there is no fallback."""

    code = "bad_request"
    fallback_allowed = False
    counts_against_breaker = False


class ContextOverflowError(BadRequestError):
    """The prompt exceeds this model's context window; a model with a larger one may accept it."""

    code = "context_overflow"
    fallback_allowed = True


class UnsupportedError(BadRequestError):
    """The route lacks a capability that the request needs, such as tools; another route may have it.

    The next route is tried. The circuit breaker does not count it. The router remembers it for ten minutes, for this
    route and capability.

    Attributes:
        ability: The missing capability: `"tools"`, `"tool_choice"`, `"image"`, `"document"`, `"audio"`, `"video"`,
            `"output_schema"`, `"stream_options"`, `"reasoning"`, or the name of another parameter; `""` if unknown.
        beside: The capability that it cannot be combined with, if the provider says so, such as `"stream"` for tools
            that cannot be streamed: either alone is supported. `""` if it is missing in any request.
    """

    code = "unsupported"
    fallback_allowed = True

    def __init__(self, message: str, *, ability: str = "", beside: str = "", **details: Any) -> None:
        super().__init__(message, **details)
        self.ability = ability
        self.beside = beside


class AuthenticationError(RouteError):
    """The API key is missing, wrong, or not allowed to use this model."""

    code = "authentication"
    permanent = True


class NotFoundError(RouteError):
    """The provider does not know this model or address."""

    code = "not_found"
    permanent = True


class QuotaExhaustedError(RouteError):
    """Credit or quota is used up; a short wait does not help."""

    code = "quota_exhausted"
    permanent = True


class RateLimitError(RouteError):
    """Too many requests or tokens; `retry_after` is the wait requested by the provider, if any."""

    code = "rate_limit"
    retryable = True
    counts_against_breaker = False


class ContentFilterError(RouteError):
    """The provider's filter or policy blocked the prompt and returned no response; another provider may accept it.

    A filtered *response* is a response, not an error; see `fallback_on`.
    """

    code = "content_filter"
    counts_against_breaker = False


class RefusalError(RouteError):
    """The model declined to answer, and the caller set `fallback_on` to treat that as a failure."""

    code = "refusal"
    counts_against_breaker = False


class RejectedAnswerError(RouteError):
    """A check of `accept` rejected the answer, and no other route gave one that passes.

    Attributes:
        answer: The answer that was rejected.
        reason: Why.
    """

    code = "rejected"
    counts_against_breaker = False
    answer: Response | None = None
    reason: str = ""


class OverloadedError(RouteError):
    """The provider has no capacity at the moment."""

    code = "overloaded"
    retryable = True


class ServerError(RouteError):
    """The provider failed (5xx)."""

    code = "server_error"
    retryable = True


class AttemptTimeoutError(RouteError, TimeoutError):
    """A timeout of the attempt expired; the message names it."""

    code = "timeout"
    retryable = True


class APIConnectionError(RouteError, ConnectionError):
    """No connection could be made, or it dropped before there was a response.

    The circuit breaker does not count it if this process has no free file descriptor, or its HTTP client no free
    connection: `message` says so.
    """

    code = "connection"
    retryable = True


class StreamInterruptedError(RouteError):
    """A stream ended before it was complete.

    Attributes:
        partial: The output received so far, with its usage as far as known; `finish_reason` is None. None if the stream
            broke before any meaningful output.
        reported: The class of the error that the provider reported inside the stream; None if the stream just broke.
    """

    code = "broken_stream"
    retryable = True
    partial: Response | None = None
    reported: type[RouteError] | None = None


class InvalidResponseError(RouteError):
    """The provider returned a malformed response."""

    code = "bad_reply"
    retryable = True


class BudgetExceededError(MultiRouteError):
    """A hard budget does not cover the call on any route; nothing was sent.

    Attributes:
        budget: The budget's name.
        scope_value: The tenant, label, route or task that spends; empty for a budget over all requests.
        remaining: The remaining amount, in USD or tokens; None if it cannot be read.
        resets_at: When the next period begins, in seconds since 1970; None if the budget does not reset.
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


class LimitExceededError(MultiRouteError):
    """A limit of the call's tenant or label refuses the call; nothing was sent.

    Attributes:
        limit: The limit's name.
        scope: `"tenant"` or `"label"`.
        scope_value: The tenant or label; empty for calls without one.
        kind: What is used up: `"rpm"`, `"tpm"` or `"concurrency"`.
        retry_after: Seconds until there is enough again, unless other calls take it first. At the concurrency limit it
            is 0.05, the interval at which to try again, as the end of the next call is unknown.
    """

    def __init__(
        self,
        message: str,
        *,
        limit: str = "",
        scope: Literal["tenant", "label"] = "tenant",
        scope_value: str = "",
        kind: Literal["rpm", "tpm", "concurrency"] = "rpm",
        retry_after: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.limit = limit
        self.scope: Literal["tenant", "label"] = scope
        self.scope_value = scope_value
        self.kind: Literal["rpm", "tpm", "concurrency"] = kind
        self.retry_after = retry_after


class GuardBlockedError(MultiRouteError):
    """A guard blocks the request, or the answer.

    A blocked request was not sent. A blocked answer was paid for; of a stream, the caller has what was given out.

    Attributes:
        guard: The guard's name.
        reason: Why, in a few words without the content.
        origin: Where the text comes from: `"system"`, `"user"`, `"assistant"`, `"tool_result"`, `"retrieved"` or
            `"answer"`; empty if the guard restricts the routes and none is left.
        partial_text: The text of a stream that was given out before; empty for any other call.
    """

    def __init__(self, message: str, *, guard: str = "", reason: str = "", origin: str = "") -> None:
        super().__init__(message)
        self.guard = guard
        self.reason = reason
        self.origin = origin
        self.partial_text = ""


class AllRoutesFailedError(MultiRouteError):
    """All routes failed.

    Attributes:
        errors: The error of every attempt, in the same order as `attempts`.
        skipped: The routes that were not tried: name to reason.
        retry_after: Seconds until the first unavailable route may be tried again; None if unknown.
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
        lines += [f"  Route {name!r} was skipped: {printable(why)}" for name, why in self.skipped.items()]
        super().__init__("\n".join(lines))


class DeadlineExceededError(AllRoutesFailedError, TimeoutError):
    """The deadline passed before any route produced output."""


def unknown(what: str, name: object, choices: Collection[str]) -> ConfigurationError:
    """Build the error for an unknown name, with the closest match among `choices`."""
    near = difflib.get_close_matches(str(name), choices, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(sorted(choices))}."
    return ConfigurationError(f"Unknown {what} {describe_value(name)}: {hint}")
