"""Check of a whole configuration file, or of routes given by name: file, routes, budgets and stores."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from multiroute_core.budgets.budget import Budget
from multiroute_core.budgets.tracker import explain_unknown_price
from multiroute_core.cli.arguments import advising_arguments
from multiroute_core.cli.checks.idle_settings import find_idle_settings
from multiroute_core.cli.checks.results import CheckResult, Problem, RouteResult
from multiroute_core.cli.checks.route_check import CheckContext, RouteTask, check_routes
from multiroute_core.cli.checks.stores import check_store, find_shared_file, find_stores
from multiroute_core.configuration.inspection import InspectedRoute, Inspection, inspect_file
from multiroute_core.configuration.places import KeyPath, show_path
from multiroute_core.display.text import printable
from multiroute_core.errors import ConfigurationError
from multiroute_core.providers import registry
from multiroute_core.route import Route
from multiroute_core.router import Router

_PLACE = re.compile(r"(?:, line (?P<line>\d+)(?:, column (?P<column>\d+))?)?: ")

OnDone = Callable[[int, int], object]
"""Called with the number of checks that are done, and the number of all."""


def ignore_progress(done: int, total: int) -> None:
    """Do nothing; the default."""


def check_names(names: Sequence[str], context: CheckContext, on_done: OnDone = ignore_progress) -> CheckResult:
    """Check routes given by name; without names, one for each key in the environment.

    Raises:
        ConfigurationError: A name is not a route, or there are no routes.
    """
    with advising_arguments():
        routes = [Route(name) for name in names] if names else list(registry.routes_of_environment())
    result = CheckResult()
    for name, count in Counter(route.name for route in routes).items():
        if count > 1:
            result.problems.append(Problem("file", f"it is there {count} times; leave the others out.", route=name))
    routes = list({route.name: route for route in routes}.values())
    _check_routes(result, [RouteTask(route) for route in routes], context, on_done)
    return result


def check_file(path: Path, context: CheckContext, on_done: OnDone = ignore_progress) -> CheckResult:
    """Check a configuration file and all that it names. What is wrong is a problem of the result."""
    result = CheckResult(str(path))
    try:
        inspection = inspect_file(path, Router, Router._check_arguments)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    except ConfigurationError as error:
        _add_unreadable(result, str(error))
        return result
    names = {one.path: one.name for one in inspection.routes if one.name != show_path(one.path)}
    result.problems += [Problem("file", message, key, names.get(key[:2], "")) for key, message in inspection.entries]
    context.skips_missing_keys = inspection.arguments.get("skip_missing_keys") is True
    rejected = {key for key, _ in inspection.entries}
    stores = [(key, place) for key, place in find_stores(inspection.data) if key not in rejected]
    store_problems: list[Problem | None] = [None] * len(stores)

    def check_stores() -> None:
        for number, (key, place) in enumerate(stores):
            store_problems[number] = check_store(key, place, context.timeout)

    jobs = [check_stores] if stores else []
    _check_routes(result, _build_tasks(inspection, result), context, on_done, jobs)
    result.problems += [problem for problem in store_problems if problem is not None]
    result.problems += find_shared_file(stores)
    warnings = find_idle_settings(inspection.arguments, inspection.routes)
    result.problems += [warning for warning in warnings if warning.path not in rejected]
    result.problems += _check_budgets(
        inspection, context, {one.route for one in result.routes if one.model_status == "unknown"}
    )
    _finish(result, inspection)
    return result


def _add_unreadable(result: CheckResult, message: str) -> None:
    """Add the error of a file that cannot be read at all; it begins with the file's name and perhaps a line."""
    rest = message.removeprefix(printable(result.file))
    match = _PLACE.match(rest)
    if match is None:
        result.problems.append(Problem("file", f"it{rest}" if rest != message else message))
        return
    if match["line"]:
        result.lines[()] = int(match["line"])
    sentence = rest[match.end() :]
    if match["column"]:
        sentence = sentence.replace("; correct the syntax", f" at column {match['column']}; correct the syntax")
    result.problems.append(Problem("file", sentence))


def _build_tasks(inspection: Inspection, result: CheckResult) -> list[RouteTask | InspectedRoute]:
    if inspection.routes:
        return [_build_task(inspection, one) for one in inspection.routes]
    if "routes" in inspection.data:
        if inspection.data["routes"] == []:  # the inspection puts a stand-in in the place of the routes
            message = "it is empty; expected at least one route, such as 'openai:gpt-6.1-sol'."
            result.problems.append(Problem("file", message, ("routes",)))
        return []  # the file's own problem says why
    try:
        return [RouteTask(route) for route in registry.routes_of_environment()]
    except ConfigurationError as error:
        result.problems.append(Problem("key", str(error)))
        return []


def _build_task(inspection: Inspection, one: InspectedRoute) -> RouteTask | InspectedRoute:
    if one.route is None:
        return one
    variables = inspection.find_variables(*one.path, "api_key")
    return RouteTask(one.route, one.path, one.rejected, ", ".join(variables))


def _check_routes(
    result: CheckResult,
    entries: Iterable[RouteTask | InspectedRoute],
    context: CheckContext,
    on_done: OnDone,
    more_jobs: Sequence[Callable[[], object]] = (),
) -> None:
    entries = list(entries)
    tasks = [one for one in entries if isinstance(one, RouteTask)]
    context.prices.load()
    checks = iter(check_routes(tasks, context, lambda done: on_done(done, len(tasks)), more_jobs))
    for one in entries:
        if isinstance(one, RouteTask):
            check = next(checks)
            result.routes.append(check.result)
            result.problems += check.problems
        else:
            result.routes.append(RouteResult(one.name))


def _check_budgets(inspection: Inspection, context: CheckContext, misspelt: Collection[str]) -> list[Problem]:
    """Return the budgets that cannot count a route; a model that nobody knows has no price either."""
    setting: Any = inspection.arguments.get("budget")
    budgets = [setting] if isinstance(setting, Budget) else cast("list[Budget]", setting or [])
    problems: list[Problem] = []
    for one in inspection.routes:
        for budget in budgets if one.route is not None else ():
            route = cast("Route", one.route)
            if route.name not in misspelt and (message := explain_unknown_price(budget, route, context.prices)):
                problems.append(
                    Problem("price", message, (*one.path, "prices"), route.name, is_warning=not budget.hard)
                )
    return problems


def _finish(result: CheckResult, inspection: Inspection) -> None:
    """Bring the problems into the order of the file, hide what the environment holds, and look up the lines."""
    data = inspection.data
    problems: list[Problem] = []
    for problem in result.problems:
        path = problem.path if _is_written(data, problem.path) or problem.code == "file" else problem.path[:-1]
        message = inspection.conceal(problem.message)
        problems.append(Problem(problem.code, message, path, problem.route, problem.is_warning))
        if (line := inspection.find_line(path)) is not None:
            result.lines[path] = line
    problems.sort(key=lambda problem: (result.lines.get(problem.path, 0), problem.is_warning))
    result.problems = problems


def _is_written(data: Mapping[str, Any], path: KeyPath) -> bool:
    value: Any = data
    for part in path:
        if isinstance(value, Mapping) or (isinstance(value, list) and isinstance(part, int)):
            members = cast(
                "Collection[Any]", value if isinstance(value, Mapping) else range(len(cast("list[Any]", value)))
            )
            if part not in members:
                return False
            value = cast("Any", value)[part]
        else:
            return False
    return True
