"""MultiRoute's errors as LangChain errors, so that handlers for either library keep working.

An error that leaves the chat model is an instance of both its class in `multiroute_core.errors` and the matching class
of LangChain's `ModelError` tree, whose `is_retryable` is read by middleware. Older LangChain cores lack that tree;
there `LangChainException` is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langchain_core import exceptions

from multiroute_core import errors
from multiroute_core.errors import MultiRouteError, RouteError

KINDS: tuple[tuple[type[MultiRouteError], str], ...] = (
    (errors.ConfigurationError, "ModelInvalidRequestError"),
    (errors.ContextOverflowError, "ContextOverflowError"),
    (errors.UnsupportedError, "ModelInvalidRequestError"),
    (errors.BadRequestError, "ModelInvalidRequestError"),
    (errors.ContentFilterError, "ModelInvalidRequestError"),
    (errors.RefusalError, "ModelRefusalError"),
    (errors.AuthenticationError, "ModelAuthenticationError"),
    (errors.AuthenticationError, "ModelPermissionDeniedError"),
    (errors.NotFoundError, "ModelNotFoundError"),
    (errors.QuotaExhaustedError, "ModelRateLimitError"),
    (errors.RateLimitError, "ModelRateLimitError"),
    (errors.AttemptTimeoutError, "ModelTimeoutError"),
    (errors.APIConnectionError, "ModelConnectionError"),
    (errors.StreamInterruptedError, "ModelConnectionError"),
    (errors.OverloadedError, "ModelAPIError"),
    (errors.ServerError, "ModelAPIError"),
    (errors.InvalidResponseError, "ModelAPIError"),
    (errors.BudgetExceededError, "ModelRateLimitError"),
    (errors.LimitExceededError, "ModelRateLimitError"),
    (errors.DeadlineExceededError, "ModelTimeoutError"),
    (errors.AllRoutesFailedError, "ModelAPIError"),
    (errors.AllRoutesFailedError, "ModelAuthenticationError"),
    (errors.AllRoutesFailedError, "ModelConnectionError"),
    (errors.AllRoutesFailedError, "ModelInvalidRequestError"),
    (errors.AllRoutesFailedError, "ModelNotFoundError"),
    (errors.AllRoutesFailedError, "ModelPermissionDeniedError"),
    (errors.AllRoutesFailedError, "ModelRateLimitError"),
    (errors.AllRoutesFailedError, "ModelRefusalError"),
    (errors.AllRoutesFailedError, "ModelTimeoutError"),
)
"""MultiRoute's error classes with the matching LangChain classes; the first match is the default."""

OURS: dict[str, type[RouteError]] = {
    "ContextOverflowError": errors.ContextOverflowError,
    "ModelInvalidRequestError": errors.BadRequestError,
    "ModelAuthenticationError": errors.AuthenticationError,
    "ModelPermissionDeniedError": errors.AuthenticationError,
    "ModelNotFoundError": errors.NotFoundError,
    "ModelRateLimitError": errors.RateLimitError,
    "ModelTimeoutError": errors.AttemptTimeoutError,
    "ModelConnectionError": errors.APIConnectionError,
    "ModelRefusalError": errors.RefusalError,
    "ModelAPIError": errors.ServerError,
}
"""LangChain's error classes, and the corresponding route errors."""


def _both(ours: type[MultiRouteError], name: str) -> type[MultiRouteError]:
    theirs: type[Exception] = getattr(exceptions, name, exceptions.LangChainException)
    members = {"__doc__": ours.__doc__, "__reduce__": _reduce, "_pair": (ours, name)}
    # The names of our class: they are what tracebacks and logs show.
    return type(ours.__name__, (ours, theirs), {**members, "__module__": ours.__module__})


def _reduce(error: Any) -> tuple[Any, ...]:
    """The `__reduce__` of a class of both libraries, which no module has under its name."""
    _, args, state = MultiRouteError.__reduce__(error)
    return _rebuild, (*error._pair, args), state  # noqa: SLF001


def _rebuild(ours: type[MultiRouteError], name: str, args: tuple[Any, ...]) -> MultiRouteError:
    error_class = _MADE[ours, name]
    return error_class(*args)


_REFUSAL: type[Exception] | tuple[()] = getattr(exceptions, "ModelRefusalError", ())

_MADE: dict[tuple[type[MultiRouteError], str], type[MultiRouteError]] = {
    (ours, name): _both(ours, name) for ours, name in KINDS
}


class translated:  # noqa: N801  (a context manager, named as in `contextlib`)
    """Context manager that makes the router's errors LangChain errors too."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, MultiRouteError):
            as_langchain(error)


def as_langchain(error: MultiRouteError) -> None:
    """Make `error` an instance of the matching LangChain class too; it stays the same object.

    Also sets the attributes that LangChain's tracing reads: the provider's `response` and `request_id`.
    """
    error_class = _MADE.get((type(error), _name(error)))
    if error_class is None:
        return  # already converted
    error.__class__ = error_class
    target: Any = error
    target.is_retryable = _retryable(error)
    if not hasattr(error, "raw_message") and isinstance(error, _REFUSAL):
        target.raw_message = None  # set by LangChain's constructor, which was not called
    last = error.errors[-1] if isinstance(error, errors.AllRoutesFailedError) and error.errors else error
    if (response := next(_responses(last), None)) is not None:
        target.response = response
    if isinstance(last, RouteError):
        target.request_id = last.request_id


def as_multiroute(error: Exception) -> RouteError:
    """Convert an error of a LangChain chat model to a route error.

    The provider's error in the exception chain takes precedence. LangChain's class decides if there is none, or if it
    identifies a context overflow where the provider only reports status 400.
    """
    from multiroute_core.providers.classify import classify

    result = classify(error)
    names = [kind.__name__ for kind in type(error).__mro__]
    ours = next((OURS[name] for name in names if name in OURS), None)
    silent = result.status is None and result.body is None and type(result) in _GUESSES
    if ours is None or not (silent or (ours is errors.ContextOverflowError and type(result) is errors.BadRequestError)):
        return result
    route_error = ours(
        result.message,
        status=result.status,
        retry_after=result.retry_after,
        request_id=result.request_id,
        body=result.body,
    )
    route_error.__cause__ = error
    return route_error


_GUESSES = (errors.InvalidResponseError, errors.AttemptTimeoutError, errors.APIConnectionError, errors.ServerError)
"""Classes that `classify` returns when it knows only the name of an error's class."""


def _name(error: MultiRouteError) -> str:
    if isinstance(error, errors.DeadlineExceededError):
        return "ModelTimeoutError"
    if isinstance(error, errors.AllRoutesFailedError):
        names = {_name(one) for one in error.errors}
        return names.pop() if len(names) == 1 else "ModelAPIError"
    if isinstance(error, errors.AuthenticationError) and error.status == 403:
        return "ModelPermissionDeniedError"
    return next((name for ours, name in KINDS if isinstance(error, ours)), "")


def _retryable(error: MultiRouteError) -> bool:
    """Whether the same call may succeed if it is retried."""
    if isinstance(error, errors.DeadlineExceededError | errors.LimitExceededError):
        return True
    if isinstance(error, errors.AllRoutesFailedError):
        return bool(error.skipped) or any(one.retryable for one in error.errors)
    return isinstance(error, RouteError) and error.retryable


def _responses(error: BaseException) -> Iterator[Any]:
    """The provider's HTTP responses in the exception chain of `error`, the nearest first."""
    cause: BaseException | None = error
    while cause is not None:
        if (response := getattr(cause, "response", None)) is not None:
            yield response
        cause = cause.__cause__
