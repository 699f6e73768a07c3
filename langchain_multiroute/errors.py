"""MultiRoute's errors as LangChain's too: what a caller of either catches goes on to work.

An error that leaves the chat model is both the class of `multiroute_core.errors` that it was and the class of
LangChain's `ModelError` tree that fits, whose `is_retryable` middleware asks. Older cores of LangChain have no such
tree; there its general exception stands in.
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
"""Each class of ours with LangChain's names for it; the first one is meant where nothing tells more."""

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
"""LangChain's errors, and what they are to a route."""


def _both(ours: type[MultiRouteError], name: str) -> type[MultiRouteError]:
    theirs: type[Exception] = getattr(exceptions, name, exceptions.LangChainException)
    both = f"{ours.__name__}As{name}"
    error_class = globals()[both] = type(both, (ours, theirs), {"__module__": __name__, "__doc__": ours.__doc__})
    return error_class  # in the module too, so that pickles find it


_REFUSAL: type[Exception] | tuple[()] = getattr(exceptions, "ModelRefusalError", ())

_MADE: dict[tuple[type[MultiRouteError], str], type[MultiRouteError]] = {
    (ours, name): _both(ours, name) for ours, name in KINDS
}


class translated:  # noqa: N801  (it is used as `contextlib` names such things)
    """Errors of the router that leave the block are LangChain's too."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, MultiRouteError):
            as_langchain(error)


def as_langchain(error: MultiRouteError) -> None:
    """Make `error` one of LangChain's as well; it stays the same object.

    Besides, it gets what LangChain's tracing reads of errors: the vendor's `response` and `request_id`.
    """
    error_class = _MADE.get((type(error), _name(error)))
    if error_class is None:
        return  # it has been through here
    error.__class__ = error_class
    target: Any = error
    target.is_retryable = _retryable(error)
    if not hasattr(error, "raw_message") and isinstance(error, _REFUSAL):
        target.raw_message = None  # LangChain's constructor sets it, and was not called
    last = error.errors[-1] if isinstance(error, errors.AllRoutesFailedError) and error.errors else error
    if (response := next(_responses(last), None)) is not None:
        target.response = response
    if isinstance(last, RouteError):
        target.request_id = last.request_id


def as_multiroute(error: Exception) -> RouteError:
    """What an error of a chat model of LangChain's is to a route.

    What the vendor said comes first. LangChain's own classes decide where nothing of that is in the chain of
    exceptions, and say more than a status of 400 where they tell a prompt that is too long.
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
"""What `classify` calls an error of which it knows no more than the class's name."""


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
    """Whether the same call may succeed a moment later."""
    if isinstance(error, errors.DeadlineExceededError):
        return True
    if isinstance(error, errors.AllRoutesFailedError):
        return bool(error.skipped) or any(one.retryable for one in error.errors)
    return isinstance(error, RouteError) and error.retryable


def _responses(error: BaseException) -> Iterator[Any]:
    """The vendor's replies behind `error`, the nearest first."""
    cause: BaseException | None = error
    while cause is not None:
        if (response := getattr(cause, "response", None)) is not None:
            yield response
        cause = cause.__cause__
