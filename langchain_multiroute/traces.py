"""Tracing: attempts in LangChain's traces. Each attempt is a run, and each attempt after the first a retry event.

The run of an attempt is a chain run below the model's run. It has no messages and no usage, so token counters count
only the model's run. Handlers that do not build a run tree do not receive these runs: they would print and count chains
that the user did not build.

LangChain passes its run to `_stream` only for the events of its newer protocols. Otherwise only the last chunk of a
stream reports the attempts.
"""

from __future__ import annotations

import asyncio
import importlib.util
import time
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, cast

from langchain_core.callbacks import (
    AsyncCallbackHandler,
    AsyncCallbackManagerForLLMRun,
    BaseCallbackHandler,
    CallbackManager,
    CallbackManagerForLLMRun,
)
from langchain_core.callbacks.manager import CallbackManagerForChainRun
from langchain_core.tracers.base import BaseTracer

from multiroute_core import Response, Router
from multiroute_core.errors import RouteError
from multiroute_core.events import AttemptEnded, AttemptStarted, Event

if TYPE_CHECKING:
    from tenacity import RetryCallState

_PRIVATE = "langchain_core.utils._gateway"
GATEWAY: str | None = importlib.util.find_spec(_PRIVATE) and getattr(
    importlib.import_module(_PRIVATE), "GATEWAY_METADATA_RESPONSE_KEY", None
)
"""Private metadata key; the LangChain releases that define it remove it from the public metadata."""


class traced:  # noqa: N801  (a context manager, named as in `contextlib`)
    """Context manager that reports the attempts of a router's calls to a LangChain run.

    Args:
        router: The router.
        run: LangChain's run; None if LangChain passes none. Nothing is reported if no handler of the run supports it.

    Example:
        >>> with traced(router, run_manager) as router:
        ...     router.generate("Hello")  # doctest: +SKIP
    """

    __slots__ = ("_attempt_runs", "_router")

    def __init__(self, router: Router, run: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None) -> None:
        self._attempt_runs = AttemptRuns(run) if run is not None and any(map(_shows_retries, run.handlers)) else None
        self._router = router if self._attempt_runs is None else router.with_hooks(self._attempt_runs)

    def __enter__(self) -> Router:
        return self._router

    def __exit__(self, *_: object) -> None:
        pass

    async def __aenter__(self) -> Router:
        return self._router

    async def __aexit__(self, *_: object) -> None:
        if self._attempt_runs is not None:
            await self._attempt_runs.wait_for_handlers()


class AttemptRuns:
    """A hook that reports attempts to a LangChain run.

    Args:
        run: The model's run.
    """

    def __init__(self, run: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun) -> None:
        self._run = run
        tracers: list[BaseCallbackHandler] = [handler for handler in run.handlers if isinstance(handler, BaseTracer)]
        self._inside = CallbackManager(tracers, parent_run_id=run.run_id) if tracers else None
        self._open: list[tuple[str, CallbackManagerForChainRun | None]] = []
        self._routes: set[str] = set()
        self._failure: RouteError | None = None
        self._ended = 0.0
        self._slept = 0.0
        self._telling: asyncio.Task[None] | None = None

    event_types = AttemptStarted, AttemptEnded

    def __call__(self, event: Event) -> None:
        """Handle an event."""
        if isinstance(event, AttemptStarted):
            self._begin(event)
        elif isinstance(event, AttemptEnded):
            self._end(event)

    async def wait_for_handlers(self) -> None:
        """Wait until all handlers have finished."""
        if self._telling is not None:
            await asyncio.wait([self._telling])

    def _begin(self, event: AttemptStarted) -> None:
        route = event.route
        move = "first"
        if self._open:
            move = "hedge"
        elif self._routes:
            move = "retry" if route in self._routes else "fallback"
            self._slept += time.monotonic() - self._ended
        self._routes.add(route)
        about = {"route": route, "provider": event.provider, "model": event.model}
        about |= {"attempt": event.number, "kind": move}
        run = self._inside and self._inside.on_chain_start(None, about, name=f"attempt {route}")
        self._open.append((route, run))
        if move != "first":
            self._tell(_retry(event.number - 1, self._slept, None if move == "hedge" else self._failure, about))

    def _end(self, event: AttemptEnded) -> None:
        attempt = event.attempt
        error = event.error
        self._failure = error
        self._ended = time.monotonic()
        place = next((place for place, (route, _) in enumerate(self._open) if route == attempt.route), None)
        if place is None or (run := self._open.pop(place)[1]) is None:
            return
        if error is None:
            run.on_chain_end(attempt.summary())
        else:
            run.on_chain_error(error)

    def _tell(self, state: RetryCallState) -> None:
        telling = cast("Coroutine[Any, Any, None] | None", self._run.on_retry(state))
        if telling is not None:
            self._telling = asyncio.ensure_future(_after(self._telling, telling))


def answered_by(response: Response, about: Mapping[str, Any]) -> dict[str, Any] | None:
    """Generation info that names the actual model for LangChain's tracers; a run starts with the first route's name."""
    if GATEWAY is None:
        return None
    return {GATEWAY: {"provider": about["model_provider"], "model": response.model, "route": response.route}}


def _shows_retries(handler: BaseCallbackHandler) -> bool:
    """Whether a handler implements `on_retry`; tracers do."""
    return type(handler).on_retry not in (BaseCallbackHandler.on_retry, AsyncCallbackHandler.on_retry)


def _retry(done: int, slept: float, failure: RouteError | None, about: dict[str, Any]) -> RetryCallState:
    """The attempts so far as the `tenacity` state that LangChain's handlers expect.

    Args:
        done: Number of attempts so far.
        slept: Seconds between them.
        failure: The error of the last attempt; None if it is still running.
        about: The next attempt.
    """
    from tenacity import RetryCallState, Retrying

    state = RetryCallState(Retrying(), None, (), about)
    state.attempt_number = done
    state.idle_for = slept
    if failure is not None:
        state.set_exception((type(failure), failure, failure.__traceback__))
    return state


async def _after(earlier: asyncio.Task[None] | None, telling: Coroutine[Any, Any, None]) -> None:
    """Run handlers one after the other."""
    if earlier is not None:
        await asyncio.wait([earlier])
    await telling
