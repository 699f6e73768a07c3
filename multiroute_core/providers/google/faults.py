"""Telling an SDK's stumbling over a body from a mistake in our own code."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator

from multiroute_core.providers.google.sse_normalizer import error_of
from multiroute_core.providers.provider import WireError


@contextlib.contextmanager
def reading(package: str, status: Callable[[], int | None] = lambda: None) -> Generator[None, None, None]:
    """While this runs, what `package` stumbles over is the provider's fault.

    Google's SDKs take every error for one of Google's shape. A gateway's `{"error": "overloaded"}` makes them raise
    TypeErrors and AttributeErrors, which the flow would take for bugs and let through.

    Args:
        package: The import name of the SDK, or the one that it shares with what it is built on.
        status: Says the HTTP status of the reply, where it is known.
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
            raise inside from None  # it would be classified by the SDK's class
        raise
