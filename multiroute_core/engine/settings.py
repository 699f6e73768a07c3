"""Router settings, validated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.budgets.accounts import Accounts, MemoryAccounts
from multiroute_core.budgets.budget import Budget
from multiroute_core.cache.caching import CacheConfig
from multiroute_core.display.text import describe_value
from multiroute_core.engine.attempt import TimeLimits
from multiroute_core.errors import ConfigurationError
from multiroute_core.events import Hook
from multiroute_core.guards.guard import Guard
from multiroute_core.ledger.ledger import Ledger
from multiroute_core.limits.accounts import LimitAccounts, MemoryLimitAccounts
from multiroute_core.limits.limit import Limit
from multiroute_core.options import Options, invalid, parse, seconds, share, to_be_kept, truth
from multiroute_core.prompts.optimizer import PromptOptimizer
from multiroute_core.providers import registry
from multiroute_core.route import Route, check_quotas
from multiroute_core.state.memory import MemoryState
from multiroute_core.state.state import State

_OF_CALLS = (
    *("strategy", "deadline", "max_retries", "fallback", "fallback_on", "on_stream_error", "accept", "repairs"),
    "prompt_cache",
)
"""The options that a call can override."""

_LIMITS = {
    "attempt_timeout": "attempt",
    "first_token_timeout": "first_token",
    "stall_timeout": "stall",
    "total_timeout": "total",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a router; `Router` documents them.

    Attributes:
        routes: In the given order.
        options: The defaults of every call.
        limits: Timeouts and the maximum size of a response.
        hedge_budget: The share of extra load that hedging may cost; None for none.
        caching: The cache configuration; None for none.
        state: Where the shared routing state is kept: `"memory"`, an address, or a `State`.
        skip_missing_keys: Whether routes without an API key were left out.
        strict_params: Whether a route that would drop a parameter is excluded.
        budgets: The budgets.
        ledger: Stores a record of every attempt: an address or a `Ledger`; None for none.
        on_event: The hooks.
        guards: The guards, in order.
        call_limits: The limits of tenants and labels.
        prompt_optimizer: What shortens prompts; None for nothing.
    """

    routes: tuple[Route, ...]
    options: Options
    limits: TimeLimits
    hedge_budget: float | None
    caching: CacheConfig | None
    state: str | State = field(repr=False)  # its URL may contain a password
    strict_params: bool
    skip_missing_keys: bool
    budgets: tuple[Budget, ...]
    ledger: str | Ledger | None = field(repr=False)  # likewise
    on_event: tuple[Hook, ...]
    guards: tuple[Guard, ...] = ()
    call_limits: tuple[Limit, ...] = ()
    prompt_optimizer: PromptOptimizer | None = None

    @classmethod
    def of(
        cls, routes: Route | str | Iterable[Route | str] | None, arguments: Mapping[str, Any], on_event: Sequence[Hook]
    ) -> Settings:
        """Build the settings from a router's arguments.

        Args:
            routes: As of the router.
            arguments: Its other arguments by name.
            on_event: As of the router.

        Raises:
            ConfigurationError: a value is out of range, there are no routes, or two of them share a name.
        """
        hedge_budget = arguments["hedge_budget"]
        cache = arguments["cache"]
        limits = {
            short: None if (value := arguments[name]) is None else seconds(name, value)
            for name, short in _LIMITS.items()
        }
        return cls(
            routes=_routes(routes, skip_missing_keys=truth("skip_missing_keys", arguments["skip_missing_keys"])),
            options=parse({name: arguments[name] for name in _OF_CALLS}),
            limits=TimeLimits(**limits, response_bytes=_max_response_bytes(arguments["max_response_bytes"])),
            hedge_budget=None if hedge_budget is None else share("hedge_budget", hedge_budget),
            caching=None if cache is None else CacheConfig.of(cache),
            state=_state(arguments["state"]),
            strict_params=truth("strict_params", arguments["strict_params"]),
            skip_missing_keys=arguments["skip_missing_keys"],
            budgets=_budgets(arguments["budget"]),
            ledger=_ledger(arguments["ledger"]),
            on_event=_hooks(on_event),
            guards=_guards(arguments["guards"]),
            call_limits=_call_limits(arguments["limit"]),
            prompt_optimizer=PromptOptimizer.of(arguments["prompt_optimizer"]),
        )

    def opened_state(self, random: Callable[[], float], wall: Callable[[], float]) -> State:
        """Open the state.

        Args:
            random: Random numbers from 0 to 1.
            wall: The time in seconds since 1970.

        Raises:
            ConfigurationError: a package for it is missing, or the server rejects the password.
        """
        if not isinstance(self.state, str):
            return self.state
        if self.state == "memory":
            return MemoryState(hedge_budget=self.hedge_budget, random=random, wall=wall)
        from multiroute_core.state.redis import RedisState

        return RedisState(self.state, hedge_budget=self.hedge_budget, random=random, wall=wall)

    def opened_accounts(self, state: State, wall: Callable[[], float]) -> Accounts:
        """Open the budget accounts: on the Redis of `state` if it has one, otherwise in this process."""
        if (link := getattr(state, "link", None)) is None:
            return MemoryAccounts(wall)
        from multiroute_core.budgets.redis import RedisAccounts

        return RedisAccounts(link, wall)

    def opened_limit_accounts(self, state: State) -> LimitAccounts:
        """Open the accounts of the limits: on the Redis of `state` if it has one, otherwise in this process."""
        if (link := getattr(state, "link", None)) is None:
            return MemoryLimitAccounts()
        from multiroute_core.limits.redis import RedisLimitAccounts

        return RedisLimitAccounts(link)

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that rebuild a router with these settings, used for pickling.

        Raises:
            ConfigurationError: a URL contains a password.
        """
        return {
            "routes": self.routes,
            **{name: getattr(self.options, name) for name in _OF_CALLS},
            **{name: getattr(self.limits, short) for name, short in _LIMITS.items()},
            "max_response_bytes": self.limits.response_bytes,
            "hedge_budget": self.hedge_budget,
            "cache": self.caching,
            "state": to_be_kept("state", self.state) if isinstance(self.state, str) else self.state,
            "strict_params": self.strict_params,
            "skip_missing_keys": self.skip_missing_keys,
            "budget": self.budgets,
            "ledger": to_be_kept("ledger", self.ledger) if isinstance(self.ledger, str) else self.ledger,
            "on_event": self.on_event,
            "guards": self.guards,
            "limit": self.call_limits,
            "prompt_optimizer": self.prompt_optimizer,
        }


def _routes(route_specs: Route | str | Iterable[Route | str] | None, *, skip_missing_keys: bool) -> tuple[Route, ...]:
    if route_specs is None:
        routes = registry.routes_of_environment()
    elif isinstance(route_specs, str | Route | Mapping | type) or not _is_collection(route_specs):
        routes = (Route.of(cast("Any", route_specs)),)
    else:
        routes = tuple(Route.of(route) for route in route_specs)
    if not routes:
        raise ConfigurationError("routes=[] is empty; expected at least one route, such as 'openai:gpt-6.1-sol'.")
    names = [route.name for route in routes]
    check_quotas(routes)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(f"Two routes are named {twice[0]!r}; give one of them another name=...")
    return registry.with_keys(routes) if skip_missing_keys else routes


def _is_collection(routes: object) -> bool:
    """Whether `routes` are several; pydantic's models, such as a framework's LLM, are iterable too."""
    return not hasattr(type(routes), "model_fields") and isinstance(routes, Iterable)


def _hooks(setting: object) -> tuple[Hook, ...]:
    if callable(setting) or not isinstance(setting, Iterable):
        raise invalid("on_event", setting, f"a list of hooks, such as on_event=[{describe_value(setting)}]")
    hooks: tuple[Any, ...] = tuple(cast("Iterable[Any]", setting))
    if not all(map(callable, hooks)):
        raise invalid("on_event", list(hooks), "a list of callables that take an event, such as on_event=[print]")
    return hooks


def _guards(setting: object) -> tuple[Guard, ...]:
    if isinstance(setting, Guard) or callable(setting):
        return (Guard.of(cast("Any", setting)),)
    if isinstance(setting, str) or not isinstance(setting, Iterable):
        raise invalid("guards", setting, "a list of guards, such as guards=[strip_hidden_text()]")
    return tuple(Guard.of(guard) for guard in cast("Iterable[Any]", setting))


def _max_response_bytes(value: Any) -> int | None:
    """Return `value` as a size in bytes; None means no limit."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise invalid("max_response_bytes", value, "a number of bytes of at least 1, or None")
    return value


def _ledger(ledger: Any) -> str | Ledger | None:
    if ledger is None or isinstance(ledger, str | Ledger):
        return ledger
    raise invalid("ledger", ledger, "'memory', 'sqlite:///path', 'redis://host:6379/0', or a Ledger")


def _budgets(setting: Any) -> tuple[Budget, ...]:
    if setting is None:
        return ()
    is_several = isinstance(setting, Iterable) and not isinstance(setting, str)
    budgets = tuple(cast("Iterable[Any]", setting) if is_several else [cast("Any", setting)])
    for budget in budgets:
        if not isinstance(budget, Budget):
            raise invalid("budget", budget, "a Budget, such as Budget(usd=20), or several")
    names = [budget.name for budget in budgets]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigurationError(f"Two budgets are named {twice!r}; give one of them another name=...")
    return budgets


def _call_limits(setting: Any) -> tuple[Limit, ...]:
    if setting is None:
        return ()
    is_several = isinstance(setting, Iterable) and not isinstance(setting, str)
    limits = tuple(cast("Iterable[Any]", setting) if is_several else [cast("Any", setting)])
    for limit in limits:
        if not isinstance(limit, Limit):
            raise invalid("limit", limit, "a Limit, such as Limit(rpm=60), or several")
    names = [limit.name for limit in limits]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigurationError(f"Two limits are named {twice!r}; give one of them another name=...")
    return limits


def _state(state: Any) -> str | State:
    if isinstance(state, str):
        scheme = state.partition(":")[0]
        if state != "memory" and scheme not in ("redis", "rediss", "unix"):
            raise ConfigurationError(
                f"state={scheme!r} is not a valid state; expected 'memory', 'redis://host:6379/0', or a State."
            )
        return state
    if not all(callable(getattr(state, name, None)) for name in ("know", "admit", "settle", "standing")):
        raise invalid("state", state, "'memory', 'redis://host:6379/0', or a State")
    return state
