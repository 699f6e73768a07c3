"""The router: its settings and its public methods. `multiroute_core.engine` executes the requests."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Sequence
from datetime import datetime
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from multiroute_core._util.redaction import conceal
from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.budgets.budget import Budget
from multiroute_core.budgets.status import BudgetStatuses
from multiroute_core.cache.caching import CacheConfig
from multiroute_core.cache.store import Cache
from multiroute_core.configuration.router_file import RouterFile
from multiroute_core.display.blocks import Table
from multiroute_core.display.displayable import Displayable
from multiroute_core.engine.attempt import TimeLimits
from multiroute_core.engine.calls import RouterCalls
from multiroute_core.engine.foreign_arguments import accept_foreign_names
from multiroute_core.engine.overview import overview
from multiroute_core.engine.parts import Engine
from multiroute_core.engine.settings import Settings
from multiroute_core.engine.token_counting import COUNT_SECONDS, count_call
from multiroute_core.errors import ConfigurationError
from multiroute_core.events import Hook
from multiroute_core.guards.acceptance import Acceptance, AnswerFunction
from multiroute_core.guards.guard import Check, Guard
from multiroute_core.ledger.ledger import Ledger
from multiroute_core.limits.limit import Limit
from multiroute_core.limits.status import LimitStatuses
from multiroute_core.options import OrderFunction, seconds
from multiroute_core.parsing.arguments import CallOptions, Messages, show_call_options
from multiroute_core.prompts.counting import TokenCount
from multiroute_core.prompts.optimizer import PromptOptimizer
from multiroute_core.route import Route
from multiroute_core.routing.estimate import Estimate, estimate
from multiroute_core.routing.explain import Explanation, explain
from multiroute_core.routing.health import Health
from multiroute_core.routing.route_health import RouteHealth
from multiroute_core.routing.strategies import LiveStats
from multiroute_core.runtime.async_io import AsyncIO
from multiroute_core.runtime.clock import Clock
from multiroute_core.runtime.io import IO
from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO
from multiroute_core.state.state import State
from multiroute_core.types import Response

if TYPE_CHECKING:
    from multiroute_core.batch.progress import BatchProgress
    from multiroute_core.batch.reporter import Reporter
    from multiroute_core.batch.results import BatchResults
    from multiroute_core.report import Report
    from multiroute_core.request_log.view import RecentRequests

_DEFAULT_LIMITS = TimeLimits()


@show_call_options
class Router(Displayable, RouterFile, RouterCalls):
    """A fallback router: sends each request to one route after another until one succeeds.

    A router, and what its methods return, shows itself as tables in notebooks and when printed.
    Thread-safe. It can be used from sync code and from any number of event loops at the same time. `copy` and
    `deepcopy` return the same router. It pickles as its configuration without API keys, which are read again from the
    environment.

    Args:
        routes: The routes in order of preference, or one: `Route`s or `"provider:model"` strings. None: one route for
            each provider whose key is in the environment.
        strategy: How candidates are ranked. `"priority"` keeps the order of `routes`; also `"weighted"`,
            `"least_busy"`, `"fastest"`, `"cheapest"`, or a function of your own; see `multiroute_core.routing`.
        deadline: Seconds until the caller has a result: the complete response, or the first chunk of a stream. It
            covers retries, waits and fallbacks.
        attempt_timeout: Seconds for one attempt, until the response is complete or a stream's first token arrives.
        first_token_timeout: Seconds until a stream's first token; without streaming, it applies once the provider has
            begun to reply.
        stall_timeout: Seconds of silence between two chunks of a stream. Heartbeats count as silence.
        total_timeout: Seconds for a whole stream; None means no limit.
        max_response_bytes: Maximum size of one response body in bytes, decompressed, with or without streaming. A
            larger one raises `InvalidResponseError` on that attempt, and the next route is tried. 64 MiB by default;
            None means no limit. It does not apply to framework models used as routes.
        max_retries: How many more rounds over the routes follow after all have failed, where waiting may help.
        fallback: False uses only the first candidate.
        fallback_on: Responses that count as failures and trigger a fallback: `"content_filter"`, `"refusal"`,
            `"empty"`, `"length"`, `"schema"`, and functions; see `multiroute_core.Options`.
        hedge_budget: Share of extra load (0 to 1) that hedging may cost: when a route takes longer to its first token
            than in all but that share of its responses, the next route is started as well, and the first one to produce
            output wins. 0.05 is usual; None disables hedging. It takes effect once a route has given 20 responses.
        on_stream_error: What happens when a stream breaks after its first text: `"raise"`, `"continue"` or `"restart"`;
            see `multiroute_core.Options`.
        accept: Checks of complete responses: functions that return True, or False or a reason; JSON schemas; pydantic
            models. A response that one rejects is a failure of its route, and the next route is asked.
        repairs: How many more times the route of the last rejected response is asked to correct it; 0 by default.
        prompt_cache: The providers' prompt caches: True always marks prompts for Anthropic and sends OpenAI a key per
            conversation, `"1h"` with a longer expiry, False sets no marks, None only marks long prompts for Anthropic;
            see `multiroute_core.Options`.
        cache: Response cache for identical requests: `"memory"`, `"sqlite:///path"`, `"redis://host:6379/0"`, a
            `Cache`, or a `CacheConfig` for more settings; None disables caching.
        state: Where circuit breakers, rate limits and in-flight counts are kept: `"memory"` (this process),
            `"redis://host:6379/0"` for a fleet that shares them, or a `State`.
        strict_params: True excludes routes that do not support every parameter given; False drops unsupported
            parameters and records them on the attempt.
        skip_missing_keys: True leaves out, and logs, routes without an API key; False raises an error that names them.
        budget: A spending limit per scope and period: a `Budget`, or several. They are kept where `state` is.
        ledger: Where a record of every attempt is kept, with its tokens and cost: `"memory"`, `"sqlite:///path"`,
            `"redis://host:6379/0"`, or a `Ledger`, which several routers may share; None keeps no records.
        on_event: Hooks that receive events; see `multiroute_core.events`.
        guards: Guards that check what goes to the models and what comes back, in order: `multiroute_core.guards`, or
            functions that take a `GuardedText`.
        limit: Requests and tokens per minute and calls at once for each tenant or label: a `Limit`, or several. They
            are counted where `state` is.
        prompt_optimizer: Shortens prompts without changing their meaning, after the guards: True, or a
            `PromptOptimizer` with a token budget and other settings; None changes nothing.

    Raises:
        ConfigurationError: A setting is invalid, there are no routes, two routes share a name, or a key or a package is
            missing.

    Example:
        >>> router = Router(["anthropic:claude-sonnet-5-5", "openai:gpt-6.1-sol"])  # doctest: +SKIP
        >>> router.generate("Hello").text  # doctest: +SKIP
        'Hello! How can I help?'
    """

    @accept_foreign_names
    def __init__(
        self,
        routes: Route | str | Iterable[Route | str] | None = None,
        *,
        strategy: str | OrderFunction = "priority",
        deadline: float = 300.0,
        attempt_timeout: float | None = _DEFAULT_LIMITS.attempt,
        first_token_timeout: float | None = _DEFAULT_LIMITS.first_token,
        stall_timeout: float | None = _DEFAULT_LIMITS.stall,
        total_timeout: float | None = _DEFAULT_LIMITS.total,
        max_response_bytes: int | None = _DEFAULT_LIMITS.response_bytes,
        max_retries: int = 2,
        fallback: bool = True,
        fallback_on: Iterable[str | AnswerFunction] = (),
        hedge_budget: float | None = None,
        on_stream_error: Literal["raise", "restart", "continue"] = "raise",
        accept: Acceptance | Iterable[Acceptance] | None = None,
        repairs: int = 0,
        prompt_cache: bool | Literal["1h"] | None = None,
        cache: str | Cache | CacheConfig | None = None,
        state: str | State = "memory",
        strict_params: bool = False,
        skip_missing_keys: bool = False,
        budget: Budget | Sequence[Budget] | None = None,
        ledger: str | Ledger | None = None,
        on_event: Sequence[Hook] = (),
        guards: Iterable[Guard | Check] = (),
        limit: Limit | Sequence[Limit] | None = None,
        prompt_optimizer: bool | PromptOptimizer | None = None,
    ) -> None:
        cache = conceal(cache)  # a traceback may show local variables
        state = conceal(state)
        ledger = conceal(ledger)
        arguments = {name: value for name, value in locals().items() if name not in ("self", "routes", "on_event")}
        self._world = Clock()
        self._replace_settings(Settings.of(routes, arguments, on_event))
        self._closed = False

    def map(
        self,
        prompts: Iterable[Messages],
        *,
        concurrency: int = 16,
        progress: bool | Callable[[BatchProgress], object] = True,
        **options: Unpack[CallOptions],
    ) -> BatchResults:
        """Send many prompts, several at once, and return their results in order; an error takes its prompt's place.

        It works in a running event loop too, as in Jupyter. With a `cache`, a batch that was interrupted or killed can
        be run again: what is answered comes from the cache.

        Args:
            prompts: What `generate` takes as `messages`, for each request. An iterator may be of any length: the next
                prompt is taken when a call has ended.
            concurrency: The maximum number of calls in flight, 1 or more.
            progress: True shows a bar in terminals and notebooks, and log lines elsewhere; False shows nothing; a
                function receives a `BatchProgress` after each prompt.
            **options: As in `generate`, for every prompt. `priority` is `"batch"` unless given.

        Raises:
            ConfigurationError: An option is invalid, or no route supports them; nothing was sent.
            BatchInterrupted: Ctrl-C; its `results` holds what was done.

        Example:
            >>> results = router.map(["Red?", "Blue?"], max_tokens=10)  # doctest: +SKIP
            >>> results.texts, results.cost, results.errors  # doctest: +SKIP
        """
        from multiroute_core.batch.threads import CancellableIO, map_in_threads

        reporter, options = self._prepare_batch(prompts, concurrency, progress, options)
        world = self._world
        return map_in_threads(
            prompts,
            lambda io, prompt: self._answer(io, prompt, options),
            lambda: CancellableIO(world.now, world.sleep),
            concurrency,
            reporter,
        )

    async def amap(
        self,
        prompts: Iterable[Messages] | AsyncIterable[Messages],
        *,
        concurrency: int = 16,
        progress: bool | Callable[[BatchProgress], object] = True,
        **options: Unpack[CallOptions],
    ) -> BatchResults:
        """Async variant of `map`, on the running event loop. Cancelling it cancels the calls in flight."""
        from multiroute_core.batch.tasks import map_in_tasks

        reporter, options = self._prepare_batch(prompts, concurrency, progress, options)
        return await map_in_tasks(prompts, lambda prompt: self.agenerate(prompt, **options), concurrency, reporter)

    def explain(self, messages: Messages, *, stream: bool = False, **options: Unpack[CallOptions]) -> Explanation:
        """Explain where a call with these arguments would be routed now, and why. No provider is called.

        Args:
            messages: As in `generate`.
            stream: Whether to explain a `stream` call instead of a `generate` call.
            **options: As in `generate`.

        Raises:
            ConfigurationError: Invalid input. A request without an eligible route is reported in the result, not
                raised.

        Example:
            >>> print(router.explain("Hello", strategy="cheapest"))  # doctest: +SKIP
        """
        parts = self._parts
        request, call_options, candidates = parts.prepare(messages, options, stream=stream)
        standings = self._read_health(parts).routes
        live = LiveStats(parts.facts, standings, parts.prices.cost_on, self._world.random, candidates.tokens, stream)
        return explain(request, parts.settings.routes, candidates, call_options, live)

    def estimate(self, messages: Messages, **options: Unpack[CallOptions]) -> Estimate:
        """Estimate the expected and the maximum cost of a call with these arguments on each route.

        No provider is called.

        Args:
            messages: As in `generate`.
            **options: As in `generate`.

        Raises:
            ConfigurationError: Invalid input.

        Example:
            >>> print(router.estimate("Hello", max_tokens=200))  # doctest: +SKIP
        """
        parts = self._parts
        request, _, candidates = parts.prepare(messages, options, stream=False)
        return estimate(request, candidates, parts.facts, parts.prices.cost_on)

    def count_tokens(
        self, messages: Messages, *, timeout: float = COUNT_SECONDS, **options: Unpack[CallOptions]
    ) -> TokenCount:
        """Count the tokens of a prompt as the provider of the first candidate counts them.

        Anthropic, Google and OpenAI count through endpoints of their own, which generate nothing. For other routes, and
        if the count fails, it is an estimate; the result says which, and why. The guards and the prompt optimizer see
        the prompt first.

        Args:
            messages: As in `generate`.
            timeout: Seconds until the provider must have answered; 10 by default.
            **options: As in `generate`, such as `tools`; `model` chooses the route.

        Raises:
            ConfigurationError: Invalid input; nothing was sent.
            GuardBlockedError: A guard blocks the prompt.

        Example:
            >>> router.count_tokens("Hello").tokens  # doctest: +SKIP
            8
        """
        io = SyncIO(self._world.now, self._world.sleep)
        parts = self._parts
        call = self._call(messages, options, stream=False, parts=parts)
        return run(count_call(parts, io, call, seconds("timeout", timeout)))

    async def acount_tokens(
        self,
        messages: Messages,
        *,
        timeout: float = COUNT_SECONDS,  # noqa: ASYNC109
        **options: Unpack[CallOptions],
    ) -> TokenCount:
        """Async variant of `count_tokens`, on the running event loop."""
        parts = self._parts
        call = self._call(messages, options, stream=False, parts=parts)
        return await count_call(parts, AsyncIO(self._world.now), call, seconds("timeout", timeout))

    def health(self) -> Health:
        """Return the current health of all routes as a table: circuit breakers, limits, latencies.

        Example:
            >>> print(router.health())  # doctest: +SKIP
        """
        return self._read_health(self._parts)

    def budgets(self) -> BudgetStatuses:
        """Return the spending and the remaining amount of each budget in this period.

        Prints as a table, also in notebooks. With a state on Redis, these are the last values received from it.

        Example:
            >>> print(router.budgets())  # doctest: +SKIP
        """
        spending = self._parts.spending
        return BudgetStatuses() if spending is None else spending.standings()

    def limit_statuses(self) -> LimitStatuses:
        """Return what is left of the limits of the tenants and labels that have called recently.

        Prints as a table, also in notebooks. With a state on Redis, it shows the fleet's counts for the callers that
        this process has seen.

        Example:
            >>> print(router.limit_statuses())  # doctest: +SKIP
        """
        limiter = self._parts.limiter
        if limiter is None:
            return LimitStatuses()
        return run(limiter.read_status(SyncIO(self._world.now, self._world.sleep)))

    @property
    def ledger(self) -> Ledger:
        """The ledger: its records, totals and exports.

        Raises:
            ConfigurationError: The router has no ledger.

        Example:
            >>> router.ledger.totals("model")  # doctest: +SKIP
        """
        if (ledger := self._parts.ledger) is None:
            raise ConfigurationError("This Router has no ledger; build it with Router(ledger='sqlite:///ledger.db').")
        return ledger

    def report(
        self, since: float | str | datetime | None = None, until: float | str | datetime | None = None
    ) -> Report:
        """Summarize the ledger: spending, latencies, failures, savings; as an HTML page in notebooks.

        Args:
            since: Start of the period, inclusive: `"7d"` ago, a date such as `"2026-11-01"`, or seconds since 1970;
                None starts at the first record.
            until: End of the period, exclusive; None means now.

        Raises:
            ConfigurationError: The router has no ledger, or `since` or `until` is not a valid time.

        Example:
            >>> router.report("7d").save("report.html")  # doctest: +SKIP
        """
        from multiroute_core.report import of

        return of(self.ledger, since=since, until=until)

    def requests(self, last: int = 20) -> RecentRequests:
        """Return the last requests, the latest first, with their attempts and timings.

        Prints as a table; `.watch()` keeps it up to date in a notebook, and `[0]` opens the latest request. With a
        `RequestLog` among the hooks, running requests are included, and prompts and answers if it captures content;
        otherwise they are read from the ledger.

        Args:
            last: The maximum number of requests.

        Raises:
            ConfigurationError: The router has neither, or `last` is not a positive number.

        Example:
            >>> router = Router(routes, on_event=[RequestLog()])  # doctest: +SKIP
            >>> router.requests()  # doctest: +SKIP
        """
        from multiroute_core.request_log.source import read_last

        return read_last(self._parts.hooks, self._parts.ledger, last)

    @property
    def hooks(self) -> tuple[Hook, ...]:
        """The hooks that receive events; a ledger is one of them."""
        return self._parts.hooks

    def with_hooks(self, *hooks: Hook) -> Router:
        """Return this router with additional hooks; it shares the state and the connections.

        Calls made through it also send their events to `hooks`.

        Example:
            >>> router.with_hooks(print).generate("Hello")  # doctest: +SKIP
        """
        same = object.__new__(type(self))
        same.__dict__.update(self.__dict__ | {"_parts": self._parts.with_hooks(hooks)})
        return same

    def close(self) -> None:
        """Close the sync connections. Async connections close with their event loop, or through `aclose` on it."""
        self._closed = True
        self._parts.close()

    async def aclose(self) -> None:
        """Close the running loop's connections and the sync ones."""
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
            return "Router()"  # partially initialized, in a traceback that shows local variables
        return f"Router([{', '.join(repr(route.name) for route in self.routes)}], strategy={self.options.strategy!r})"

    def _answer(self, io: IO, prompt: Messages, options: CallOptions) -> Coroutine[Any, Any, Response]:
        parts = self._parts
        return parts.answer(io, self._call(prompt, options, stream=False, parts=parts))

    @staticmethod
    def _check_arguments(routes: Any = None, on_event: Sequence[Hook] = (), **arguments: Any) -> Settings:
        return Settings.of(routes, _DEFAULTS | arguments, on_event)

    def _replace_settings(self, settings: Settings) -> None:
        self._parts = Engine.of(settings, self._world, self.__dict__.get("_parts"))
        self._settings = settings
        self.routes = settings.routes
        self.options = settings.options
        self.limits = settings.limits
        is_shared = getattr(self._parts.state, "link", None) is not None
        for hook in settings.on_event:
            if (attach := getattr(hook, "attach_router", None)) is not None:
                attach(self, is_shared=is_shared)

    def _read_health(self, parts: Engine) -> Health:
        async def standings() -> dict[str, RouteHealth]:
            io = SyncIO(self._world.now, self._world.sleep)
            return {route.name: await parts.state.standing(io, route, io.now()) for route in parts.settings.routes}

        return Health(run(standings()))

    def _prepare_batch(
        self, prompts: object, concurrency: int, progress: Any, options: CallOptions
    ) -> tuple[Reporter, CallOptions]:
        """Validate the arguments of a batch before anything is sent."""
        from multiroute_core.batch.reporter import prepare

        options = options.copy()
        options.setdefault("priority", "batch")
        self._call(
            "Hello", options, stream=False, parts=self._parts
        )  # in place of the first prompt, which may not exist yet
        return prepare(prompts, concurrency, progress), options

    def _display(self) -> list[Table]:
        return overview(self._settings, self.health)


def _rebuild(settings: dict[str, Any]) -> Router:
    return Router(**settings)


_DEFAULTS = {
    name: parameter.default
    for name, parameter in signature(Router).parameters.items()
    if name not in ("routes", "on_event")
}
