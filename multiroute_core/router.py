"""The router: its settings, and its four faces. The way of a request is `flow`."""

from __future__ import annotations

import contextvars
import itertools
import os
from collections.abc import AsyncGenerator, Generator, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from multiroute_core._util.redaction import conceal
from multiroute_core.budgets.budget import Budget
from multiroute_core.budgets.status import BudgetStatuses
from multiroute_core.cache.caching import CacheConfig
from multiroute_core.cache.store import Cache
from multiroute_core.engine.parts import Engine
from multiroute_core.engine.settings import Settings
from multiroute_core.errors import ConfigurationError
from multiroute_core.events import Hook
from multiroute_core.ledger.ledger import Ledger
from multiroute_core.options import OrderFunction
from multiroute_core.parsing.arguments import CallOptions, Messages
from multiroute_core.route import Route
from multiroute_core.routing.call import Call
from multiroute_core.routing.estimate import Estimate, estimate
from multiroute_core.routing.explain import Explanation, explain
from multiroute_core.routing.health import Health
from multiroute_core.routing.route_health import RouteHealth
from multiroute_core.routing.strategies import LiveStats
from multiroute_core.runtime.async_io import AsyncIO
from multiroute_core.runtime.clock import Clock
from multiroute_core.runtime.deadline import MAX_RESPONSE_BYTES
from multiroute_core.runtime.run_sync import iterate, run
from multiroute_core.runtime.sync_io import SyncIO
from multiroute_core.state.state import State
from multiroute_core.types import Chunk, Response

if TYPE_CHECKING:
    from multiroute_core.report import Report

_process = os.urandom(4).hex()
_numbers = itertools.count(1)


class Router:
    """Asks routes until one answers.

    Thread-safe, and usable from sync code, from any number of event loops and from both at once. It is shared by `copy`
    and `deepcopy`, and pickles as its configuration without keys: they are read again from the environment.

    Args:
        routes: What to ask, the best first: `Route`s or `"provider:model"` strings. None: one for each provider whose
            key is in the environment.
        strategy: `"priority"` asks in the routes' order; `"weighted"`, `"least_busy"`, `"fastest"`, `"cheapest"`, or a
            function of your own: see `multiroute_core.routing`.
        deadline: Seconds until the caller has something: the whole answer, or a stream's first chunk. One clock over
            retries, waits and fallbacks.
        attempt_timeout: Seconds for one try, until there is an answer or a stream's first token.
        first_token_timeout: Seconds for a stream's first token; for a plain answer, once the provider has begun to
            reply.
        stall_timeout: Seconds of silence between two chunks of a stream. Heartbeats are silence.
        total_timeout: Seconds for a whole stream; None is without limit.
        max_response_bytes: The size of one reply's body in bytes, decompressed, plain or streamed; a larger one is a
            `BadReplyError`, and the next route is asked. 64 MiB by default; None is without limit. It does not bind
            models of a framework that stand where a route stands.
        max_retries: How often the routes are asked again after all have failed, where waiting may help.
        fallback: False stays with the first candidate.
        fallback_on: Answers that are none to the caller: `"content_filter"`, `"refusal"`, `"empty"`; the next route is
            asked then.
        hedge_budget: The share of extra load (0 to 1) that hedging may cost: when a route takes longer to its first
            token than in all but that share of its answers, the next route is asked as well, and the first one to
            begin answers. 0.05
            is usual; None does without. It takes effect when a route has given 20 answers.
        on_stream_error: What happens when a stream breaks after its first text: `"raise"`, `"continue"` or
            `"restart"`; see `multiroute_core.Options`.
        cache: Where answers are kept, to be given again to equal requests: `"memory"`, `"sqlite:///path"`,
            `"redis://host:6379/0"`, a `Cache`, or `Caching(...)` with more to say; None keeps none.
        state: Where breakers, limits and places in flight are: `"memory"` (this process), or `"redis://host:6379/0"`
            for a fleet that shares them; or a `State`.
        strict_params: True asks only routes that take every parameter given; False drops what a route cannot take and
            records the drop on its attempt.
        budget: What may be spent, by whom and in which time: a `Budget`, or several. They are kept where `state` is.
        ledger: Where a record of every try is kept, with its tokens and its cost: `"memory"`, `"sqlite:///path"`,
            `"redis://host:6379/0"`, or a `Ledger`, which several routers may share; None keeps none.
        on_event: Hooks that hear what happens; see `multiroute_core.events`.

    Raises:
        ConfigurationError: a setting is wrong, there are no routes, two share a name, a key or a package is missing.

    Example:
        >>> router = Router(["anthropic:claude-sonnet-5-5", "openai:gpt-6.1-sol"])  # doctest: +SKIP
        >>> router.generate("Hello").text  # doctest: +SKIP
        'Hello! How can I help?'
    """

    def __init__(
        self,
        routes: Iterable[Route | str] | None = None,
        *,
        strategy: str | OrderFunction = "priority",
        deadline: float = 300.0,
        attempt_timeout: float | None = 120.0,
        first_token_timeout: float | None = 30.0,
        stall_timeout: float | None = 30.0,
        total_timeout: float | None = None,
        max_response_bytes: int | None = MAX_RESPONSE_BYTES,
        max_retries: int = 2,
        fallback: bool = True,
        fallback_on: Iterable[str] = (),
        hedge_budget: float | None = None,
        on_stream_error: Literal["raise", "restart", "continue"] = "raise",
        cache: str | Cache | CacheConfig | None = None,
        state: str | State = "memory",
        strict_params: bool = False,
        budget: Budget | Sequence[Budget] | None = None,
        ledger: str | Ledger | None = None,
        on_event: Sequence[Hook] = (),
    ) -> None:
        cache = conceal(cache)  # a traceback may show local variables
        state = conceal(state)
        ledger = conceal(ledger)
        arguments = {name: value for name, value in locals().items() if name not in ("self", "routes", "on_event")}
        self._settings = settings = Settings.of(routes, arguments, on_event)
        self.routes = settings.routes
        self.options = settings.options
        self.limits = settings.limits
        self._world = Clock()
        self._parts = parts = Engine.of(settings, self._world)
        self.ledger = parts.ledger
        self._closed = False

    def generate(self, messages: Messages, **options: Unpack[CallOptions]) -> Response:
        """Ask, and wait for the whole answer.

        Args:
            messages: A string (the user's turn), or messages: `Message`s, `{"role": …, "content": …}` or
                `(role, content)` pairs.
            **options: What the model gets: `system`, `temperature` (0 to 2), `max_tokens`, `top_p` (above 0 to 1),
                `stop` (strings that end the answer), `seed`. And how the call is routed, as in
                `multiroute_core.Options`: `task`, `order`, `route_tags`, `region`, `deadline` (seconds),
                `max_retries`, `fallback`, `fallback_on`, `on_stream_error`, `model`, `cache`, `tenant`, `labels`.

        Raises:
            ConfigurationError: bad input; nothing was sent.
            RouteError: the request is at fault, or the only candidate failed.
            AllRoutesFailedError: no route answered; `attempts` and `errors` tell every try.

        Example:
            >>> router.generate("Name a colour.", temperature=0).text  # doctest: +SKIP
            'Blue.'
        """
        io = SyncIO(self._world.now, self._world.sleep)
        call = self._call(messages, options, stream=False)
        del messages, options  # a traceback may show local variables
        answer = self._parts.answer(io, call)
        try:
            return run(answer)
        except BaseException:
            answer.close()  # an interrupt may have come before its first step, and Python would warn of that
            raise

    async def agenerate(self, messages: Messages, **options: Unpack[CallOptions]) -> Response:
        """`generate`, on the running event loop."""
        call = self._call(messages, options, stream=False)
        del messages, options  # a traceback may show local variables
        return await self._parts.answer(AsyncIO(self._world.now), call)

    def stream(self, messages: Messages, **options: Unpack[CallOptions]) -> Generator[Chunk, None, None]:
        """Ask, and get the answer in chunks as it comes; the last one carries usage, cost and attempts.

        The input is checked at once, the first route is asked at the first `next`. Arguments and errors are those of
        `generate`; besides, a stream that breaks raises `BrokenStreamError` with the `partial` answer.
        """
        io = SyncIO(self._world.now, self._world.sleep)
        chunks = self._parts.chunks(io, self._call(messages, options, stream=True))
        return iterate(chunks, contextvars.copy_context())

    def astream(self, messages: Messages, **options: Unpack[CallOptions]) -> AsyncGenerator[Chunk, None]:
        """`stream`, on the running event loop."""
        return self._parts.chunks(AsyncIO(self._world.now), self._call(messages, options, stream=True))

    def explain(self, messages: Messages, *, stream: bool = False, **options: Unpack[CallOptions]) -> Explanation:
        """Where a call with these arguments would go now, and why; nothing is asked.

        Args:
            messages: As of `generate`.
            stream: Whether it would be `stream`, and not `generate`.
            **options: As of `generate`.

        Raises:
            ConfigurationError: bad input. That no route may answer is no error here, but told.

        Example:
            >>> print(router.explain("Hello", strategy="cheapest"))  # doctest: +SKIP
        """
        request, call_options, candidates = self._parts.prepare(messages, options, stream=stream)
        parts = self._parts
        standings = self.health().routes
        live = LiveStats(parts.facts, standings, parts.prices.cost_on, self._world.random, candidates.tokens, stream)
        return explain(request, self.routes, candidates, call_options, live)

    def estimate(self, messages: Messages, **options: Unpack[CallOptions]) -> Estimate:
        """What a call with these arguments will likely cost, and what it may cost, on each route; nothing is asked.

        Args:
            messages: As of `generate`.
            **options: As of `generate`.

        Raises:
            ConfigurationError: bad input.

        Example:
            >>> print(router.estimate("Hello", max_tokens=200))  # doctest: +SKIP
        """
        request, _, candidates = self._parts.prepare(messages, options, stream=False)
        return estimate(request, candidates, self._parts.facts, self._parts.prices.cost_on)

    def health(self) -> Health:
        """How the routes are doing now: breakers, limits, latencies. It prints as a table, in notebooks too.

        Example:
            >>> print(router.health())  # doctest: +SKIP
        """

        async def standings() -> dict[str, RouteHealth]:
            io = SyncIO(self._world.now, self._world.sleep)
            return {route.name: await self._parts.state.standing(io, route, io.now()) for route in self.routes}

        return Health(run(standings()))

    def budgets(self) -> BudgetStatuses:
        """What was spent of the budgets in this period, and what is left. It prints as a table, in notebooks too.

        With a state on Redis it is what this process has heard last.

        Example:
            >>> print(router.budgets())  # doctest: +SKIP
        """
        spending = self._parts.spending
        return BudgetStatuses() if spending is None else spending.standings()

    def report(
        self, since: float | str | datetime | None = None, until: float | str | datetime | None = None
    ) -> Report:
        """What the ledger says: spending, latencies, failures, savings. It prints as tables, in notebooks as a page.

        Args:
            since: From this moment on: `"7d"` ago, a date such as `"2026-11-01"`, or seconds since 1970; None from the
                first.
            until: Before this moment; None to now.

        Raises:
            ConfigurationError: the router keeps no ledger, or a moment is none.

        Example:
            >>> router.report("7d").save("report.html")  # doctest: +SKIP
        """
        from multiroute_core.report import of

        if self.ledger is None:
            raise ConfigurationError("A report needs a ledger; give Router(ledger='sqlite:///ledger.db'), say.")
        return of(self.ledger, since=since, until=until)

    def with_hooks(self, *hooks: Hook) -> Router:
        """The same router, its state and connections too: calls that are made by this one tell these hooks as well.

        Example:
            >>> router.hearing(print).generate("Hello")  # doctest: +SKIP
        """
        same = object.__new__(type(self))
        same.__dict__.update(self.__dict__ | {"_parts": self._parts.with_hooks(hooks)})
        return same

    def close(self) -> None:
        """Close the sync connections. Async ones close with their event loop, or by `aclose` on it."""
        self._closed = True
        self._parts.close()

    async def aclose(self) -> None:
        """Close the running loop's connections, and the sync ones."""
        self._closed = True
        await self._parts.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __copy__(self) -> Router:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Router:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._settings.arguments(),)

    def __repr__(self) -> str:
        if "_closed" not in self.__dict__:
            return "Router()"  # half built, in a traceback that shows local variables
        return f"Router([{', '.join(repr(route.name) for route in self.routes)}], strategy={self.options.strategy!r})"

    def _call(self, messages: Messages, arguments: CallOptions, *, stream: bool) -> Call:
        """What one call asks for, checked; nothing is sent before this has returned."""
        if self._closed:
            raise ConfigurationError("This Router is closed; build a new one.")
        request, options, candidates = self._parts.prepare(messages, arguments, stream=stream)
        if candidates.problem is not None:
            raise ConfigurationError(candidates.problem)
        return Call(f"{_process}-{next(_numbers)}", request, options, candidates.routes, candidates.tokens, stream)


def _rebuild(settings: dict[str, Any]) -> Router:
    return Router(**settings)
