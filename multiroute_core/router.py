"""The router: the way of a request, and its four faces.

order the routes → for each step of the plan:
    wait → admit (breaker) → attempt (limits) → first meaningful chunk = committed
    or classify the error → go to the next route, ask again, or stop
→ the answer, its cost, and every attempt that led to it
"""

from __future__ import annotations

import contextvars
import itertools
import os
import random
from collections.abc import AsyncGenerator, Generator, Iterable, Sequence
from typing import Any, Self, Unpack, cast

from multiroute_core import order as ordering
from multiroute_core.attempt import Limits, Try
from multiroute_core.call import Call, Trail
from multiroute_core.drive.blocking import BlockingIO, iterate, run
from multiroute_core.drive.io import IO
from multiroute_core.drive.native import NativeIO
from multiroute_core.errors import BrokenStreamError, ConfigurationError, MultiRouteError, RouteError
from multiroute_core.events import Hook
from multiroute_core.options import current, parse, seconds
from multiroute_core.plan import Pause, Plan, Stop
from multiroute_core.providers import registry
from multiroute_core.providers.provider import Provider
from multiroute_core.request import CallOptions, Messages, build
from multiroute_core.route import Route
from multiroute_core.rules.breaker import Shut
from multiroute_core.state.memory import MemoryState
from multiroute_core.types import Chunk, Request, Response, Usage

_process = os.urandom(4).hex()
_numbers = itertools.count(1)


class Router:
    """Asks routes until one answers.

    Thread-safe, and usable from sync code, from any number of event loops and from both at once. It is shared by `copy`
    and `deepcopy`, and pickles as its configuration without keys: they are read again from the environment.

    Args:
        routes: What to ask, the best first: `Route`s or `"provider:model"` strings. None: one for each provider whose
            key is in the environment.
        order: `"priority"` asks in the routes' order, `"cheapest"` by the expected cost of each request.
        deadline: Seconds until the caller has something: the whole answer, or a stream's first chunk. One clock over
            retries, waits and fallbacks.
        attempt_timeout: Seconds for one try, until there is an answer or a stream's first token.
        first_token_timeout: Seconds for a stream's first token; for a plain answer, once the provider has begun to
            reply.
        stall_timeout: Seconds of silence between two chunks of a stream. Heartbeats are silence.
        total_timeout: Seconds for a whole stream; None is without limit.
        max_retries: How often the routes are asked again after all have failed, where waiting may help.
        fallback: False stays with the first candidate.
        strict_params: True asks only routes that take every parameter given; False drops what a route cannot take and
            records the drop on its attempt.
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
        order: str = "priority",
        deadline: float = 300.0,
        attempt_timeout: float | None = 120.0,
        first_token_timeout: float | None = 30.0,
        stall_timeout: float | None = 30.0,
        total_timeout: float | None = None,
        max_retries: int = 2,
        fallback: bool = True,
        strict_params: bool = False,
        on_event: Sequence[Hook] = (),
    ) -> None:
        if isinstance(routes, str | Route):
            routes = (routes,)
        self.routes = registry.routes_of_environment() if routes is None else tuple(Route.of(r) for r in routes)
        if not self.routes:
            raise ConfigurationError("No routes: routes=[] is empty; give at least one, such as 'openai:gpt-6.1-sol'.")
        names = [route.name for route in self.routes]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigurationError(f"Two routes are named {twice[0]!r}; give one of them another name=...")
        self.options = parse({"order": order, "deadline": deadline, "max_retries": max_retries, "fallback": fallback})
        self.limits = Limits(
            *(
                None if value is None else seconds(name, value)
                for name, value in (
                    ("attempt_timeout", attempt_timeout),
                    ("first_token_timeout", first_token_timeout),
                    ("stall_timeout", stall_timeout),
                    ("total_timeout", total_timeout),
                )
            )
        )
        self.strict_params, self.on_event = strict_params, tuple(on_event)
        self._closed = False
        self._state = MemoryState()
        from multiroute_core.cost.prices import Prices  # its tables take their time

        self._prices = Prices()
        self._prices.load()
        self._providers = self._build_providers()
        self._facts = {route.name: registry.facts(route, self._providers[route.name]) for route in self.routes}

    def generate(self, messages: Messages, **options: Unpack[CallOptions]) -> Response:
        """Ask, and wait for the whole answer.

        Args:
            messages: A string (the user's turn), or messages: `Message`s, `{"role": …, "content": …}` or
                `(role, content)` pairs.
            **options: What the model gets: `system`, `temperature` (0 to 2), `max_tokens`, `top_p` (above 0 to 1),
                `stop` (strings that end the answer), `seed`. And how the call is routed, as in
                `multiroute_core.Options`: `task`, `order`, `route_tags`, `deadline` (seconds), `max_retries`,
                `fallback`, `model`, `tenant`.

        Raises:
            ConfigurationError: bad input; nothing was sent.
            RouteError: the request is at fault, or the only candidate failed.
            AllRoutesFailedError: no route answered; `attempts` and `errors` tell every try.

        Example:
            >>> router.generate("Name a colour.", temperature=0).text  # doctest: +SKIP
            'Blue.'
        """
        return run(_last(self._flow(BlockingIO(), self._call(messages, options, stream=False))))

    async def agenerate(self, messages: Messages, **options: Unpack[CallOptions]) -> Response:
        """`generate`, on the running event loop."""
        return await _last(self._flow(NativeIO(), self._call(messages, options, stream=False)))

    def stream(self, messages: Messages, **options: Unpack[CallOptions]) -> Generator[Chunk, None, None]:
        """Ask, and get the answer in chunks as it comes; the last one carries usage, cost and attempts.

        The input is checked at once, the first route is asked at the first `next`. Arguments and errors are those of
        `generate`; besides, a stream that breaks raises `BrokenStreamError` with the `partial` answer.
        """
        flow = self._flow(BlockingIO(), self._call(messages, options, stream=True))
        return iterate(flow, contextvars.copy_context())

    def astream(self, messages: Messages, **options: Unpack[CallOptions]) -> AsyncGenerator[Chunk, None]:
        """`stream`, on the running event loop."""
        return self._flow(NativeIO(), self._call(messages, options, stream=True))

    def close(self) -> None:
        """Close the sync connections. Async ones close with their event loop, or by `aclose` on it."""
        self._closed = True
        for provider in set(self._providers.values()):
            provider.close()

    async def aclose(self) -> None:
        """Close the running loop's connections, and the sync ones."""
        self._closed = True
        for provider in set(self._providers.values()):
            await provider.aclose()

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
        return _rebuild, (self._settings(),)

    def __repr__(self) -> str:
        return f"Router([{', '.join(repr(route.name) for route in self.routes)}], order={self.options.order!r})"

    def _call(self, messages: Messages, given: CallOptions, *, stream: bool) -> Call:
        """What one call asks for, checked; nothing is sent before this has returned."""
        if self._closed:
            raise ConfigurationError("This Router is closed; build a new one.")
        request, said = build(messages, given)
        options = said.over(current()).over(self.options)
        routes = ordering.candidates(request, self.routes, options, self._facts, self._expected_cost)
        if self.strict_params:
            routes = self._taking_everything(request, routes, stream=stream)
        return Call(f"{_process}-{next(_numbers)}", request, options, tuple(routes), stream)

    async def _flow(self, io: IO, call: Call) -> AsyncGenerator[Chunk, None]:
        """The way of a request. A whole answer is a stream of one chunk."""
        began = io.now()
        deadline = began + (call.options.deadline or float("inf"))
        plan = Plan(call.routes, call.options.max_retries or 0)
        trail = Trail(self.on_event, call)
        trail.request_started()
        response: Response | None = None
        failure: MultiRouteError | None = None
        try:
            while response is None:
                step = plan.next(deadline - io.now(), random.random())  # noqa: S311  (jitter, no secret)
                if isinstance(step, Pause):
                    await io.sleep(step.seconds)
                    continue
                if isinstance(step, Stop):
                    raise trail.exhausted(plan, step)
                provider = self._providers[step.route.name]
                encoded = provider.encode(
                    call.request, step.route, stream=call.stream
                )  # before there is a permit to lose
                leave = await self._state.admit(step.route.name, io.now(), early=step.early)
                if isinstance(leave, Shut):
                    plan.shut(step.route, leave)
                    trail.skipped(step.route, leave)
                    continue
                trail.attempt_started(step.route)
                attempt = Try(
                    io,
                    provider,
                    step.route,
                    encoded,
                    stream=call.stream,
                    limits=self.limits,
                    deadline=deadline,
                    state=self._state,
                    permit=leave,
                    cost_of=self._prices.cost,
                )
                try:
                    async with attempt:
                        while (parts := await attempt.next()) is not None:
                            if call.stream:
                                trail.chunk(attempt)
                                yield Chunk(parts)
                except RouteError as error:
                    trail.attempt_ended(attempt, error)
                    if isinstance(error, BrokenStreamError) and attempt.committed:
                        error.partial = attempt.response(trail.attempts)
                        raise
                    if not error.moves_on:
                        raise
                    plan.failed(step.route, error)
                except BaseException:
                    trail.attempt_ended(attempt, None)
                    raise
                else:
                    trail.attempt_ended(attempt, None)
                    response = attempt.response(trail.attempts)
            yield Chunk(() if call.stream else response.parts, response)
        except MultiRouteError as error:
            failure = error
            error.attempts = trail.attempts
            raise
        finally:
            trail.request_ended(io.now() - began, response, failure)

    def _taking_everything(self, request: Request, routes: list[Route], *, stream: bool) -> list[Route]:
        """The routes that drop no parameter."""
        dropped = {r.name: self._providers[r.name].encode(request, r, stream=stream).dropped for r in routes}
        left = [route for route in routes if not dropped[route.name]]
        if not left:
            why = "; ".join(f"{name}: {', '.join(parameters)}" for name, parameters in dropped.items())
            raise ConfigurationError(f"With strict_params=True no route takes all the parameters given ({why}).")
        return left

    def _expected_cost(self, route: Route, usage: Usage) -> float | None:
        return self._prices.cost(route.provider, route.model, usage)

    def _build_providers(self) -> dict[str, Provider]:
        built: dict[tuple[str | int | None, ...], Provider] = {}
        for route in self.routes:
            key = registry.identity(route)
            if key not in built:
                built[key] = registry.build(route)
        return {route.name: built[registry.identity(route)] for route in self.routes}

    def _settings(self) -> dict[str, Any]:
        limits = self.limits
        return {
            "routes": self.routes,
            "order": self.options.order,
            "deadline": self.options.deadline,
            "attempt_timeout": limits.attempt,
            "first_token_timeout": limits.first_token,
            "stall_timeout": limits.stall,
            "total_timeout": limits.total,
            "max_retries": self.options.max_retries,
            "fallback": self.options.fallback,
            "strict_params": self.strict_params,
            "on_event": self.on_event,
        }


async def _last(flow: AsyncGenerator[Chunk, None]) -> Response:
    """The response at the end of a flow."""
    response: Response | None = None
    async for chunk in flow:
        response = chunk.response
    return cast("Response", response)


def _rebuild(settings: dict[str, Any]) -> Router:
    return Router(**settings)
