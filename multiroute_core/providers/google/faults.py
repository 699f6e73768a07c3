"""Distinguishes an SDK's failure to parse a response from a bug in our own code."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator

from multiroute_core.providers.google.sse_normalizer import error_of
from multiroute_core.providers.provider import WireError


@contextlib.contextmanager
def reading(package: str, status: Callable[[], int | None] = lambda: None) -> Generator[None, None, None]:
    """Context manager that converts exceptions raised inside `package` to provider errors.

    Google's SDKs assume that every error has Google's format. A gateway's `{"error": "overloaded"}` makes them raise
    TypeErrors and AttributeErrors, which would otherwise count as bugs and propagate.

    Args:
        package: The import name of the SDK, or the package it shares with its dependencies.
        status: Returns the HTTP status of the response, if known.
    """
    try:
        yield
    except (TypeError, AttributeError) as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        if trace is None or not trace.tb_frame.f_globals.get("__name__", "").startswith(f"{package}."):
            raise
        raise WireError(f"The provider's error could not be read by its SDK ({error}).", status=status()) from error
    except Exception as error:
        if (inside := error_of(error)) is not None:
            raise inside from None  # otherwise classified by the SDK's exception type
        raise
