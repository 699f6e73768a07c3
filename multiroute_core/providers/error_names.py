"""Transport errors by class name: the last resort of the error classification.

Timeouts, dropped connections and missing credentials have neither a status nor a body, and come from httpx, httpx2,
aiohttp, requests, urllib3, botocore, google-auth or an SDK. None of these is imported here.
"""

from __future__ import annotations

import errno

from multiroute_core import errors
from multiroute_core.errors import RouteError
from multiroute_core.providers.error_chain import causes
from multiroute_core.providers.error_words import FILTERED, OVERFLOW, OVERLOADED, QUOTA, RATE_LIMITED

TIMEOUTS = {
    *("Timeout", "TimeoutException", "TimeoutError", "APITimeoutError", "ReadTimeout", "DeadlineExceeded"),
    *("ModelTimeoutError", "ReadTimeoutError", "ConnectTimeoutError"),
}
DROPS = {
    *("TransportError", "APIConnectionError", "ConnectionError", "RequestException", "OSError", "ModelConnectionError"),
    *("ClientConnectionError", "ClientPayloadError", "ServerDisconnectedError", "ClientOSError"),  # aiohttp
    *("HTTPClientError", "ProtocolError", "MaxRetryError", "IncompleteRead"),  # botocore, urllib3, http.client
}
"""Names of base classes: the errors of httpx, httpx2, aiohttp, requests, urllib3, botocore and the SDKs derive from one
of these. `ClientError` is not included: it is aiohttp's base, and also botocore's and google-genai's class for every
4xx.
"""
CREDENTIALS = {
    *("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "TokenRetrievalError", "SSOError"),
    *("GoogleAuthError", "ClientAuthenticationError", "CredentialUnavailableError", "NoAuthTokenError"),
    *("NoRegionError", "ProfileNotFound"),  # botocore: an incomplete setup
}
REFUSALS = {
    **dict.fromkeys(("BlockedPromptException", "ResponseBlockedError"), errors.ContentFilterError),  # Google's
    **dict.fromkeys(("ContentPolicyViolationError", "ContentFilterFinishReasonError"), errors.ContentFilterError),
    "ContextWindowExceededError": errors.ContextOverflowError,  # LiteLLM's
    "ParamValidationError": errors.BadRequestError,  # botocore's
}
"""Classes whose name says the cause, whatever their status and text."""
REFUSED = "NewConnectionError"
"""urllib3's error for a refused connection, which derives from a timeout (urllib3 2.8). It never occurs alone."""

SHORTAGES = {
    errno.EMFILE: "This process has as many files and sockets open as it may: raise its limit (`ulimit -n`)",
    errno.ENFILE: "This machine has as many files and sockets open as it may: raise its limit",
    errno.ENOBUFS: "This machine has no memory for another socket: free some",
    errno.ENOMEM: "This machine has no memory for another socket: free some",
}
"""What this machine lacks for a new connection, and what helps."""
POOL = "PoolTimeout"
"""The error of httpx, httpx2 and httpcore for a client whose connections are all in use."""


def explain_shortage(error: Exception) -> str | None:
    """Returns the sentence for a connection that this machine could not open; None if it is about something else.

    The provider was not asked, so the error says nothing about the health of the route.

    Args:
        error: An exception of a transport, without a reply.
    """
    remedy = ", or lower max_concurrency of the route."
    for cause in causes(error):
        if isinstance(cause, OSError) and cause.errno in SHORTAGES:
            return f"{SHORTAGES[cause.errno]}{remedy}"
        if type(cause).__name__ == POOL:
            return f"All connections of the HTTP client are in use: raise its max_connections{remedy}"
    return None


def class_of_refusal(error: Exception) -> type[RouteError] | None:
    """Returns the cause that an exception's class names; None if it names none.

    Args:
        error: An exception of an SDK or a framework.
    """
    return next((kind for cause in causes(error) if (kind := REFUSALS.get(type(cause).__name__)) is not None), None)


def class_by_name(error: Exception) -> type[RouteError]:
    """Returns the class of `error` according to its type and the names of its base classes.

    Args:
        error: An exception of a transport or a decoder, without a reply.
    """
    if isinstance(error, EOFError):
        return errors.StreamInterruptedError
    if isinstance(error, ValueError):  # JSONDecodeError, UnknownApiResponseError, msgspec's, protobuf's
        if OVERFLOW.search(str(error)):  # raised by a model that runs in this process
            return errors.ContextOverflowError
        if type(error) is ValueError and (kind := _by_text(str(error)[:500])) is not None:
            return kind
        return (
            errors.StreamInterruptedError if "unfinished stream" in str(error).lower() else errors.InvalidResponseError
        )
    chain = [cause for cause in causes(error) if type(cause).__name__ != REFUSED]
    names = {cls.__name__ for cause in chain for cls in type(cause).__mro__}
    if names & TIMEOUTS:
        return errors.AttemptTimeoutError
    if names & CREDENTIALS and "TransportError" not in names:
        return errors.AuthenticationError
    if names & DROPS:
        return errors.APIConnectionError
    return errors.ServerError if "APIError" in names else errors.InvalidResponseError


def _by_text(text: str) -> type[RouteError] | None:
    """Returns the class of an error of which a framework keeps only the text, as langchain-openai does in streams."""
    for pattern, kind in (
        (QUOTA, errors.QuotaExhaustedError),
        (FILTERED, errors.ContentFilterError),
        (RATE_LIMITED, errors.RateLimitError),
        (OVERLOADED, errors.OverloadedError),
    ):
        if pattern.search(text):
            return kind
    return None
