"""The engine of a router: its components, built from its settings, and the path of a call through them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.budgets.tracker import BudgetTracker
from multiroute_core.engine.caching import CacheStage
from multiroute_core.engine.execution import RequestExecution
from multiroute_core.engine.limiting import LimitStage
from multiroute_core.engine.renewal import SharedParts, renew_state
from multiroute_core.engine.settings import Settings
from multiroute_core.engine.stage import CallContext, Stage, chain
from multiroute_core.engine.stages import StageInputs, build_stages
from multiroute_core.events import Hook, Listeners, listeners
from multiroute_core.ledger.ledger import Ledger
from multiroute_core.limits.limiter import Limiter
from multiroute_core.options import Options, current
from multiroute_core.parsing.arguments import CallOptions, Messages, build
from multiroute_core.pricing.prices import Prices
from multiroute_core.providers import registry
from multiroute_core.providers.capabilities import RouteCapabilities
from multiroute_core.providers.provider import Provider
from multiroute_core.route import Route
from multiroute_core.routing.call import Call
from multiroute_core.routing.candidates import Candidates, Drops, candidates
from multiroute_core.routing.learned import LearnedCapabilities
from multiroute_core.runtime.clock import Clock
from multiroute_core.runtime.io import IO
from multiroute_core.state.state import State
from multiroute_core.tools import PromptCaching
from multiroute_core.types import Chunk, Request, Response


@dataclass(frozen=True, slots=True)
class Engine:
    """The components of a router.

    Attributes:
        settings: The router's settings.
        world: Clock and randomness.
        ledger: Stores a record of every attempt; None for none.
        hooks: The hooks; the ledger is one of them.
        listeners: The hooks by event type.
        state: The health and limits of the routes.
        prices: The token prices.
        providers: The providers by route name.
        facts: The capabilities of the routes by route name.
        spending: The budgets; None for none.
        learned_capabilities: What the routes have rejected as unsupported.
        stages: The stages that a call passes before it is routed, outermost first.
        provider_identities: The providers by what identifies them: vendor, address and key.
    """

    settings: Settings
    world: Clock
    ledger: Ledger | None
    hooks: tuple[Hook, ...]
    listeners: Listeners
    state: State
    prices: Prices
    providers: Mapping[str, Provider]
    facts: Mapping[str, RouteCapabilities]
    spending: BudgetTracker | None
    learned_capabilities: LearnedCapabilities
    stages: tuple[Stage, ...]
    provider_identities: Mapping[tuple[Any, ...], Provider] = field(repr=False)

    @classmethod
    def of(cls, settings: Settings, world: Clock, previous: Engine | None = None) -> Engine:
        """Build the components for `settings`.

        Args:
            settings: The settings.
            world: Clock and randomness.
            previous: The components of a router whose settings change. What holds state is used again: the state,
                budgets, limits, the cache and the ledger where their place is the same, and providers with their
                connections where model, address and key are.

        Raises:
            ConfigurationError: a key or a package is missing, a store or an address cannot be used, or a price that a
                budget needs is unknown.
        """
        with contextlib.ExitStack() as opened:
            engine = cls._build(settings, world, previous, opened)
            opened.pop_all()
        return engine

    @classmethod
    def _build(cls, settings: Settings, world: Clock, previous: Engine | None, opened: contextlib.ExitStack) -> Engine:
        """Build the components; `opened` closes those that have been opened if a later one fails."""
        routes = settings.routes
        shared = SharedParts.of(previous, settings)
        providers = registry.build_all(routes, {} if previous is None else previous.provider_identities)
        facts = {route.name: registry.facts(route, providers[route.name]) for route in routes}
        ledger = shared.ledger
        if ledger is None:
            if isinstance(settings.ledger, str):
                ledger = Ledger(settings.ledger)
                opened.callback(ledger.close)
            else:
                ledger = settings.ledger
        hooks = settings.on_event if ledger is None else (*settings.on_event, ledger)
        state = shared.state or settings.opened_state(world.draw, world.read_wall)
        if shared.state is None:
            opened.callback(_close_own_state, settings, state)
        prices = shared.prices or Prices()
        prices.load()
        spending = None
        if settings.budgets:
            spending = BudgetTracker(
                settings.budgets,
                routes,
                shared.accounts or settings.opened_accounts(state, world.steady),
                facts=facts,
                pricing=prices,
                ledger=ledger,
                hooks=hooks,
                wall=world.steady,
                previous=shared.spending,
            )
        stages = build_stages(StageInputs(settings, world, spending, state, facts, shared.stages))
        learned_capabilities = shared.learned_capabilities or LearnedCapabilities(strict=settings.strict_params)
        # Last: from here on nothing fails, and the previous components see the new limits.
        if previous is not None and shared.state is not None:
            renew_state(state, settings, previous.settings)
        else:
            state.know(routes)
        return cls(
            settings,
            world,
            ledger,
            hooks,
            listeners(hooks),
            state,
            prices,
            providers,
            facts,
            spending,
            learned_capabilities,
            stages,
            registry.identify_all(routes, providers),
        )

    @property
    def cache(self) -> CacheStage | None:
        """The cache; None for none."""
        return next((stage for stage in self.stages if isinstance(stage, CacheStage)), None)

    @property
    def limiter(self) -> Limiter | None:
        """The limits of tenants and labels; None for none."""
        return next((stage.limiter for stage in self.stages if isinstance(stage, LimitStage)), None)

    @property
    def integrations(self) -> frozenset[str]:
        """The names of the framework integrations of wrapped models, as keys of `extra`."""
        return frozenset(name for provider in self.providers.values() for name in getattr(provider, "integrations", ()))

    def with_hooks(self, hooks: Sequence[Hook]) -> Engine:
        """Return the same components with additional hooks."""
        all_hooks = (*self.hooks, *hooks)
        return replace(self, hooks=all_hooks, listeners=listeners(all_hooks))

    def prepare(
        self, messages: Messages, call_options: CallOptions, *, stream: bool
    ) -> tuple[Request, Options, Candidates]:
        """Build the request, its options and its candidates.

        Raises:
            ConfigurationError: bad input.
        """
        settings = self.settings
        request, request_options = build(messages, call_options, self.integrations if "extra" in call_options else ())
        options = request_options.over(current()).over(settings.options)
        if options.prompt_cache is not None:
            request = replace(request, prompt_cache=PromptCaching(options.prompt_cache, options.tenant))
        drops: Drops | None = None
        if settings.strict_params:

            def dropped_parameters(route: Route) -> tuple[str, ...]:
                encoded = self.providers[route.name].encode(request, route, stream=stream)
                return tuple(entry for entry in encoded.dropped if not entry.startswith(("content.", "tools.")))

            drops = dropped_parameters
        facts = self.facts
        if settings.prompt_optimizer is not None:  # its stage compares the windows with the shorter prompt
            facts = {name: replace(fact, window=None) for name, fact in facts.items()}
        return request, options, candidates(request, settings.routes, options, facts, drops)

    async def answer(self, io: IO, call: Call) -> Response:
        """Return the whole response to a call."""
        response: Response | None = None
        async for chunk in self.chunks(io, call):
            response = chunk.response
        return cast("Response", response)

    def chunks(self, io: IO, call: Call) -> AsyncGenerator[Chunk, None]:
        """Yield the response to a call as stream chunks."""
        return chain(self.stages, self._route)(CallContext(io, call, self.listeners, io.now()))

    def close(self) -> None:
        """Close the sync resources that the router owns."""
        for provider in set(self.providers.values()):
            provider.close()
        if self.cache is not None:
            self.cache.close()
        self._let_go()

    async def aclose(self) -> None:
        """Close the resources that the router owns, on the running event loop and in sync code."""
        for provider in set(self.providers.values()):
            await provider.aclose()
        if self.cache is not None:
            await self.cache.aclose()
        self._let_go()

    def _route(self, context: CallContext) -> AsyncGenerator[Chunk, None]:
        """Route the call: the last stage, which makes the attempts."""
        execution = RequestExecution(
            context,
            providers=self.providers,
            facts=self.facts,
            pricing=self.prices,
            limits=self.settings.limits,
            state=self.state,
            hedge_budget=self.settings.hedge_budget,
            random=self.world.random,
            learned_capabilities=self.learned_capabilities,
        )
        return execution.run()

    def _let_go(self) -> None:
        if self.ledger is not None and isinstance(self.settings.ledger, str):
            self.ledger.close()  # its store opens again when it is read or written
        elif self.ledger is not None:
            self.ledger.flush()
        _close_own_state(self.settings, self.state)


def _close_own_state(settings: Settings, state: State) -> None:
    """Close a state that the router has opened itself, and not been given."""
    if state is not settings.state and (close := getattr(state, "close", None)) is not None:
        close()
