"""Results of a check: what is known about each route, and every problem as a sentence: where, what, what to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from multiroute_core.configuration.places import KeyPath, show_path

Code = Literal[
    "file",
    "package",
    "key",
    "authentication",
    "address",
    "tls",
    "timeout",
    "server",
    "model",
    "retirement",
    "price",
    "store",
    "answer",
]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, or soon will be.

    Attributes:
        code: What it is about.
        message: A sentence: what is wrong, and what to do.
        path: The key in the configuration file; empty without a file.
        route: The route; empty if it is about no route.
        is_warning: Whether requests are answered all the same.
    """

    code: Code
    message: str
    path: KeyPath = ()
    route: str = ""
    is_warning: bool = False


@dataclass(slots=True)
class RouteResult:
    """What is known about one route.

    Attributes:
        route: Its name.
        provider: The provider.
        model: The model.
        package: `"installed"`, `"missing"`, or `"?"` if it could not be looked for.
        key: Where the key comes from: the variable's name, `"in the file"`, `"not needed"` or `"missing"`.
        key_status: `"accepted"`, `"refused"`, or `"not tested"`.
        model_status: `"listed"`, `"unknown"`, `"retired"`, `"not listed by this server"`, or `"not tested"`.
        answer: With `--ask`: `"answered"` or `"failed"`; otherwise empty.
        seconds: How long that answer took; None without one.
        cost: What it cost, in USD; None if unknown.
        prices: The price of input and output, in USD per million tokens; None if unknown.
        window: The context window in tokens; None if unknown.
        capabilities: What the route supports.
        limits: The provider's limits, as the headers of the answer report them; empty without `--ask`.
        retires_on: The date on which the model retires, or has retired; None if none is known.
        successor: The model that the vendor recommends instead; empty if none is known.
    """

    route: str
    provider: str = ""
    model: str = ""
    package: str = "?"
    key: str = "?"
    key_status: str = "not tested"
    model_status: str = "not tested"
    answer: str = ""
    seconds: float | None = None
    cost: float | None = None
    prices: tuple[float, float] | None = None
    window: int | None = None
    capabilities: tuple[str, ...] = ()
    limits: str = ""
    retires_on: date | None = None
    successor: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain data."""
        return {
            "route": self.route,
            "provider": self.provider,
            "model": self.model,
            "package": self.package,
            "key": self.key,
            "key_status": self.key_status,
            "model_status": self.model_status,
            "answer": self.answer or None,
            "seconds": self.seconds,
            "cost": self.cost,
            "prices": None if self.prices is None else {"input": self.prices[0], "output": self.prices[1]},
            "window": self.window,
            "capabilities": list(self.capabilities),
            "limits": self.limits or None,
            "retires_on": None if self.retires_on is None else self.retires_on.isoformat(),
            "successor": self.successor or None,
        }


@dataclass(slots=True)
class CheckResult:
    """The result of a whole check.

    Attributes:
        file: The configuration file; empty if the routes were given by name.
        routes: The routes in order.
        problems: The problems and warnings, in the order of the file.
        lines: The lines of the problems' keys, where they are known.
    """

    file: str = ""
    routes: list[RouteResult] = field(default_factory=list[RouteResult])
    problems: list[Problem] = field(default_factory=list[Problem])
    lines: dict[KeyPath, int] = field(default_factory=dict[KeyPath, int])

    @property
    def is_good(self) -> bool:
        """Whether there are no problems; warnings do not count."""
        return all(problem.is_warning for problem in self.problems)

    def describe(self, problem: Problem) -> str:
        """Return a problem as a sentence that says where: the file, the line, the key and the route."""
        line = self.lines.get(problem.path)
        places = (
            self.file,
            "" if line is None else f"line {line}",
            show_path(problem.path) if problem.path else "",
            f"route {problem.route!r}" if problem.route else "",
        )
        where = ", ".join(filter(None, places))
        return f"{where}: {problem.message}" if where else problem.message

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain data."""
        problems = [
            {
                "code": one.code,
                "file": self.file or None,
                "line": self.lines.get(one.path),
                "key": show_path(one.path) or None,
                "route": one.route or None,
                "message": one.message,
                "is_warning": one.is_warning,
            }
            for one in self.problems
        ]
        return {"good": self.is_good, "routes": [one.to_json() for one in self.routes], "problems": problems}
