"""Drill: requests through a router's own settings while a vendor is down, on simulated vendors and in virtual time.

How this works: each route of the configuration becomes a scripted one with the same name, limits, tags and price list.
A third of the requests comes before the outage, a third during it and a third after it, evenly spaced. What a router
keeps elsewhere (Redis, the ledger, the cache, hooks) is left out: a drill opens nothing and changes nothing.
"""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from multiroute_core.cli.arguments import advising_arguments, find_file
from multiroute_core.configuration.inspection import inspect_file
from multiroute_core.display import numbers, plain
from multiroute_core.display.text import printable
from multiroute_core.errors import ConfigurationError, MultiRouteError
from multiroute_core.pricing.prices import Prices
from multiroute_core.pricing.sellers import address_of
from multiroute_core.provider_table import PROVIDERS, canonical_name, price_list_of
from multiroute_core.providers import registry
from multiroute_core.route import Route
from multiroute_core.router import Router
from multiroute_core.testing.behaviours import Answer, Behaviour, Fail, Hang, rate_limited
from multiroute_core.testing.faults import FaultPeriod, Schedule
from multiroute_core.testing.scripted import ScriptedProvider, provider_of
from multiroute_core.testing.virtual import VirtualLoop, run_in_virtual_time
from multiroute_core.types import Usage

USAGE = Usage(input_tokens=1_000, output_tokens=300)
"""The tokens of each answer."""

SLOWDOWN = 10.0
"""How many times slower a vendor answers with `--kind slow`."""

KEPT = (
    *("strategy", "deadline", "attempt_timeout", "first_token_timeout", "stall_timeout", "total_timeout"),
    *("max_retries", "fallback", "hedge_budget", "on_stream_error", "budget", "limit"),
)
"""The settings that a drill keeps."""

Kind = Literal["errors", "hang", "slow", "rate_limit"]


@dataclass(frozen=True, slots=True)
class DrillPlan:
    """What happens in a drill.

    Attributes:
        outage: The providers and routes that are down.
        kind: How they are down.
        requests: The number of requests.
        rate: Requests per second.
        latency: Seconds of a healthy answer.
    """

    outage: tuple[str, ...]
    kind: Kind = "errors"
    requests: int = 1000
    rate: float = 2.0
    latency: float = 1.0


@dataclass(slots=True)
class Phase:
    """One third of a drill.

    Attributes:
        name: `"before"`, `"during"` or `"after"` the outage.
        requests: The number of requests.
        routes: How many requests each route has answered.
        latencies: Seconds until the answer, of those that were answered.
        attempts: The number of attempts.
        cost: What the answers cost, in USD.
        unpriced: The number of answers without a known price.
        errors: How many requests failed, by the class of the error.
    """

    name: str
    requests: int = 0
    routes: Counter[str] = field(default_factory=Counter[str])
    latencies: list[float] = field(default_factory=list[float])
    attempts: int = 0
    cost: float = 0.0
    unpriced: int = 0
    errors: Counter[str] = field(default_factory=Counter[str])

    @property
    def answered(self) -> int:
        """The number of requests that were answered."""
        return len(self.latencies)

    def quantile(self, share: float) -> float | None:
        """Return a quantile of the latencies, in seconds; None without answers."""
        if len(self.latencies) < 2:
            return self.latencies[0] if self.latencies else None
        return statistics.quantiles(self.latencies, n=100, method="inclusive")[round(share * 100) - 1]


@dataclass(frozen=True, slots=True)
class DrillResult:
    """The result of a drill.

    Attributes:
        plan: The plan.
        down: The names of the routes that were down.
        routes: The names of all routes.
        phases: Before, during and after the outage.
    """

    plan: DrillPlan
    down: tuple[str, ...]
    routes: tuple[str, ...]
    phases: tuple[Phase, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain data."""
        phases = [
            {
                "phase": one.name,
                "requests": one.requests,
                "answered": one.answered,
                "routes": dict(one.routes),
                "median_seconds": one.quantile(0.5),
                "p95_seconds": one.quantile(0.95),
                "attempts": one.attempts,
                "cost": None if one.unpriced else one.cost,
                "errors": dict(one.errors),
            }
            for one in self.phases
        ]
        return {"down": list(self.down), "kind": self.plan.kind, "phases": phases}


def read_arguments(words: Sequence[str]) -> dict[str, Any]:
    """Return the router's arguments that a drill uses, from a configuration file or names of routes.

    Raises:
        ConfigurationError: As of `Route`, or something is wrong with the file.
    """
    path = find_file(words)
    if path is None:
        with advising_arguments():
            return {"routes": [Route(word) for word in words] or list(registry.routes_of_environment())}
    inspection = inspect_file(path, Router, Router._check_arguments)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    inspection.problems.raise_all()
    routes = [one.route for one in inspection.routes if one.route is not None] or registry.routes_of_environment()
    kept = {name: value for name, value in inspection.arguments.items() if name in KEPT}
    return {**kept, "routes": list(routes)}


def run_drill(arguments: Mapping[str, Any], plan: DrillPlan) -> DrillResult:
    """Run a drill.

    Args:
        arguments: The router's arguments; see `read_arguments`.
        plan: What happens.

    Raises:
        ConfigurationError: A name of the outage is neither a provider nor a route.
    """
    originals: list[Route] = list(arguments["routes"])
    down = _find_down(originals, plan.outage)
    seconds = plan.requests / plan.rate
    healthy = _build_answer(plan.latency)
    behaviour = _build_fault(plan)
    period = FaultPeriod(seconds / 3, 2 * seconds / 3, behaviour)
    schedule = Schedule({name: [period] for name in down}, ((1.0, healthy),))
    prices = Prices()
    prices.load()
    routes = [_simulate(route, schedule, prices) for route in originals]
    phases = tuple(Phase(name) for name in ("before", "during", "after"))
    loop = VirtualLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(_send({**arguments, "routes": routes}, routes, plan, phases, loop))
    return DrillResult(plan, down, tuple(route.name for route in routes), phases)


async def _send(
    arguments: Mapping[str, Any], routes: Sequence[Route], plan: DrillPlan, phases: Sequence[Phase], loop: VirtualLoop
) -> None:
    router = Router(**arguments)
    run_in_virtual_time(router, loop)
    tasks: list[asyncio.Task[None]] = []
    for number in range(plan.requests):
        await asyncio.sleep(number / plan.rate - loop.time())
        phase = phases[min(3 * number // plan.requests, 2)]
        tasks.append(loop.create_task(_ask(router, phase, loop)))
        for route in routes:
            provider_of(route).takes.clear()  # a long drill would keep every call
    await asyncio.gather(*tasks)


async def _ask(router: Router, phase: Phase, loop: VirtualLoop) -> None:
    began = loop.time()
    phase.requests += 1
    try:
        response = await router.agenerate("A request of a drill.")
    except MultiRouteError as error:
        phase.attempts += len(error.attempts)
        phase.errors[type(error).__name__] += 1
        return
    phase.attempts += len(response.attempts)
    phase.latencies.append(loop.time() - began)
    phase.routes[response.route or "?"] += 1
    if response.cost is None:
        phase.unpriced += 1
    else:
        phase.cost += response.cost


def _find_down(routes: Sequence[Route], names: Collection[str]) -> tuple[str, ...]:
    down: list[str] = []
    for name in names:
        chosen = [route.name for route in routes if name == route.name or canonical_name(name) == route.provider]
        if not chosen:
            choices = sorted({route.provider for route in routes} | {route.name for route in routes})
            raise ConfigurationError(
                f"--outage={name!r} is not valid; expected a provider or a route: {', '.join(choices)}."
            )
        down += chosen
    return tuple(dict.fromkeys(down))


def _build_answer(latency: float) -> Answer:
    return Answer("ok", headers=latency / 2, first_token=latency / 2, usage=USAGE)


def _build_fault(plan: DrillPlan) -> Behaviour:
    if plan.kind == "hang":
        return Hang()
    if plan.kind == "slow":
        return _build_answer(SLOWDOWN * plan.latency)
    return rate_limited(after=0.2) if plan.kind == "rate_limit" else Fail(after=0.2)


def _simulate(route: Route, schedule: Schedule, prices: Prices) -> Route:
    """Return a scripted route with the settings of another one."""
    names = [one.name for one in fields(Route) if one.name not in ("provider", "model", "api_key", "base_url", "llm")]
    settings = {name: getattr(route, name) for name in names}
    settings |= {"api": None, "sdk": None}
    if PROVIDERS[route.provider].is_local:
        settings["prices"] = {"input": 0, "output": 0}
    elif route.prices is None and address_of(route) is None and prices.cost_on(route, USAGE) is not None:
        settings["prices"] = price_list_of(route.provider)
    return Route(f"{route.provider}:{route.model}", llm=ScriptedProvider(schedule.script), **settings)


def render(result: DrillResult, width: int) -> str:
    """Return a drill as text: a table of the three phases, and one of the routes' shares, with whole names."""
    heads = ("", "requests", "answered", "attempts each", "median", "p95", "cost")
    rows = [
        (
            phase.name,
            f"{phase.requests:,}",
            numbers.share(phase.answered, phase.requests),
            f"{phase.attempts / max(phase.requests, 1):.2f}",
            numbers.seconds(phase.quantile(0.5)),
            numbers.seconds(phase.quantile(0.95)),
            "?" if phase.unpriced else numbers.usd(phase.cost),
        )
        for phase in result.phases
    ]
    shares = [
        (
            printable(name) + (" (down)" if name in result.down else ""),
            *(numbers.share(phase.routes[name], phase.requests) for phase in result.phases),
        )
        for name in result.routes
    ]
    lost: Counter[str] = sum((phase.errors for phase in result.phases), Counter[str]())
    plan = result.plan
    title = (
        f"{plan.requests:,} requests, {plan.rate:g} per second; {', '.join(map(printable, result.down))} down "
        f"({plan.kind}) for a third of the time. Simulated: nothing was sent."
    )
    parts = [title, plain.table(heads, rows, (0,)), _render_shares(shares, width)]
    parts += [f"Failed: {', '.join(f'{count:,} {name}' for name, count in lost.items())}."] if lost else []
    return "\n\n".join(parts)


def _render_shares(shares: Sequence[tuple[str, ...]], width: int) -> str:
    text = plain.table(("answered by", "before", "during", "after"), shares, (0,))
    if max(map(len, text.splitlines())) <= width:
        return text
    return "\n".join(f"{name}\n  before {a}, during {b}, after {c}" for name, a, b, c in shares)
