"""What a call took, in LangChain's traces: while it happens, each try as a run, and each after the first as a retry.

The run of a try is a chain below the model's run. It has no messages and no usage, so that whatever adds up tokens
counts the model's run only. Handlers that keep no tree of runs hear nothing of them: they would print and count chains
that nobody has built.

LangChain hands its run to `_stream` only where it reads events of its newer protocols. Otherwise what a stream took
stands in its last chunk alone.
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
"""The releases of LangChain that know it take it out of the public metadata again."""


class traced:  # noqa: N801  (it is used as `contextlib` names such things)
    """Calls of the router that the block is given are told to a run of LangChain's.

    Args:
        router: The router.
        run: LangChain's run; None where it gives none. Where none of its handlers wants to know, it is let be.

    Example:
        >>> with traced(router, run_manager) as router:
        ...     router.generate("Hello")  # doctest: +SKIP
    """

    __slots__ = ("_router", "_tries")

    def __init__(self, router: Router, run: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None) -> None:
        self._tries = AttemptRuns(run) if run is not None and any(map(_hears, run.handlers)) else None
        self._router = router if self._tries is None else router.with_hooks(self._tries)

    def __enter__(self) -> Router:
        return self._router

    def __exit__(self, *_: object) -> None:
        pass

    async def __aenter__(self) -> Router:
        return self._router

    async def __aexit__(self, *_: object) -> None:
        if self._tries is not None:
            await self._tries.wait_for_handlers()


class AttemptRuns:
    """A hook that tells a run of LangChain's what is tried in it.

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
        """Hear an event."""
        if isinstance(event, AttemptStarted):
            self._begin(event)
        elif isinstance(event, AttemptEnded):
            self._end(event)

    async def wait_for_handlers(self) -> None:
        """Wait until every handler has heard."""
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
    """Tells LangChain's tracers who answered: the name that a run began with is its first route's."""
    if GATEWAY is None:
        return None
    return {GATEWAY: {"provider": about["model_provider"], "model": response.model, "route": response.route}}


def _hears(handler: BaseCallbackHandler) -> bool:
    """Whether tries are anything to a handler; a tracer hears of retries too."""
    return type(handler).on_retry not in (BaseCallbackHandler.on_retry, AsyncCallbackHandler.on_retry)


def _retry(done: int, slept: float, failure: RouteError | None, about: dict[str, Any]) -> RetryCallState:
    """What has been done, as LangChain's handlers want to hear it: in the words of `tenacity`.

    Args:
        done: How many tries there were.
        slept: Seconds between them.
        failure: Why the last one was not enough; None where it still goes on.
        about: What is tried next.
    """
    from tenacity import RetryCallState, Retrying

    state = RetryCallState(Retrying(), None, (), about)
    state.attempt_number = done
    state.idle_for = slept
    if failure is not None:
        state.set_exception((type(failure), failure, failure.__traceback__))
    return state


async def _after(earlier: asyncio.Task[None] | None, telling: Coroutine[Any, Any, None]) -> None:
    """Handlers hear one thing after the other."""
    if earlier is not None:
        await asyncio.wait([earlier])
    await telling
