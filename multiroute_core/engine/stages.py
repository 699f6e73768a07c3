"""The stages of a request: guards → optimizer → cache → limits → budget → routing, which makes the attempts.

A new stage is a file of its own and one entry in `STAGES`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field

from multiroute_core.budgets.reservation import BudgetReservation
from multiroute_core.budgets.tracker import BudgetTracker
from multiroute_core.engine.caching import CacheStage
from multiroute_core.engine.guarding import GuardStage
from multiroute_core.engine.limiting import LimitStage
from multiroute_core.engine.optimizing import OptimizerStage
from multiroute_core.engine.settings import Settings
from multiroute_core.engine.stage import CallContext, RunRest, Stage
from multiroute_core.limits.limiter import Limiter
from multiroute_core.providers.capabilities import RouteCapabilities
from multiroute_core.runtime.clock import Clock
from multiroute_core.state.state import State
from multiroute_core.types import Chunk


@dataclass(frozen=True, slots=True)
class StageInputs:
    """What the stages of a router are built from.

    Attributes:
        settings: The router's settings.
        clock: Clock and randomness.
        tracker: The budgets; None for none.
        state: The health and limits of the routes; limits are counted where it is kept.
        facts: The capabilities of the routes by name.
        previous: The stages of a router whose settings change.
    """

    settings: Settings
    clock: Clock
    tracker: BudgetTracker | None
    state: State
    facts: Mapping[str, RouteCapabilities] = field(default_factory=dict[str, RouteCapabilities])
    previous: tuple[Stage, ...] = ()


class BudgetStage:
    """Gives every call its budget reservation; routing reserves from it before each attempt, as routes differ in cost.

    Args:
        tracker: The router's budgets.
    """

    def __init__(self, tracker: BudgetTracker) -> None:
        self._tracker = tracker

    def run(self, context: CallContext, run_rest: RunRest) -> AsyncGenerator[Chunk, None]:
        """Hand over with the call's reservation."""
        context.reservation = BudgetReservation(self._tracker, context.call)
        return run_rest(context)


def _build_guards(inputs: StageInputs) -> Stage | None:
    guards = inputs.settings.guards
    return GuardStage(guards) if guards else None


def _build_optimizer(inputs: StageInputs) -> Stage | None:
    optimizer = inputs.settings.prompt_optimizer
    return None if optimizer is None else OptimizerStage(optimizer, inputs.facts)


def _build_cache(inputs: StageInputs) -> Stage | None:
    caching = inputs.settings.caching
    clock = inputs.clock
    for stage in inputs.previous:
        if isinstance(stage, CacheStage) and stage.caching == caching:
            return stage
    return None if caching is None else CacheStage(caching, random=clock.draw, wall=clock.read_wall)


def _build_limits(inputs: StageInputs) -> Stage | None:
    settings = inputs.settings
    if not settings.call_limits:
        return None
    stage = next((stage for stage in inputs.previous if isinstance(stage, LimitStage)), None)
    if stage is None:
        accounts = settings.opened_limit_accounts(inputs.state)
        return LimitStage(Limiter(settings.call_limits, accounts, inputs.clock.read_now))
    if stage.limiter.limits == settings.call_limits:
        return stage
    return LimitStage(stage.limiter.with_limits(settings.call_limits))


def _build_budget(inputs: StageInputs) -> Stage | None:
    return None if inputs.tracker is None else BudgetStage(inputs.tracker)


STAGES: list[Callable[[StageInputs], Stage | None]] = [
    _build_guards,
    _build_optimizer,
    _build_cache,
    _build_limits,
    _build_budget,
]
"""The functions that build the stages, outermost first; None where the settings do not ask for the stage."""


def build_stages(inputs: StageInputs) -> tuple[Stage, ...]:
    """Build the stages that the settings ask for, outermost first.

    Raises:
        ConfigurationError: A store cannot be used.
    """
    return tuple(stage for build in STAGES if (stage := build(inputs)) is not None)
