"""The options of a call, and the context variable that carries them across frameworks.

Frameworks drop unknown keyword arguments on the way to the model: a query engine has no `task=` parameter. An option
can therefore be set in three places, listed by precedence: as a keyword of the call (or of `bind`), with a surrounding
`with multiroute_core.options(...)`, or as a field of the chat model.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import math
from collections.abc import Awaitable, Callable, Collection, Generator, Hashable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, cast
from urllib.parse import urlsplit

from multiroute_core._util.redaction import conceal, concealed
from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.display.text import describe_value
from multiroute_core.errors import ConfigurationError, unknown

if TYPE_CHECKING:
    from multiroute_core.guards.acceptance import AnswerCheck, AnswerFunction

PRIORITIES = ("interactive", "batch")
STREAM_ERRORS = ("raise", "restart", "continue")
DECLINED = ("content_filter", "refusal", "empty", "length", "schema")

OrderFunction: TypeAlias = Callable[[Any, Any, Any], Any]
"""A custom strategy: takes the `Request`, the candidates as a tuple of `Route`s and their `RouteHealth`s by name, and
returns the candidates to try, in order."""


@dataclass(frozen=True, slots=True)
class Options:
    """Routing options of one call. None always means "the router's setting".

    Attributes:
        task: Purpose of the call: `"general"`, `"code_generation"`, `"long_context"` or a name of your own. Routes that
            list this task in `Route(tasks=...)` are tried first, then those that list no tasks, then the rest.
        strategy: `"priority"` (as the routes are listed), `"weighted"` (random, by weight), `"least_busy"`, `"fastest"`
            (by recent time to first token), `"cheapest"` (by the expected cost of this request), or a function of your
            own; see `multiroute_core.routing`.
        route_tags: Only routes with all of these tags are candidates.
        region: Only routes of this region are candidates.
        deadline: Seconds until the caller must have a result: the complete response, or the first chunk of a stream.
        max_retries: How many more rounds over the routes follow after all have failed.
        fallback: False uses only the first candidate, whatever happens.
        fallback_on: Responses that count as failures and trigger a fallback: `"content_filter"`, `"refusal"`, `"empty"`
            (no text, tool call or media; after tool results an empty response may be correct and is accepted),
            `"length"` (cut off by the token limit), `"schema"` (the text does not match `output_schema`), and functions
            that take the `Response` and return True if it counts. If no other route does better, the first such
            response is returned.
        accept: Checks of a complete response: functions that return True, or False or a reason; JSON schemas; pydantic
            models. A response that one of them rejects is a failure of its route: the next route is asked, and the
            errors at the end are `RejectedAnswerError`s. A stream is held back until it is accepted, unless
            `on_stream_error="restart"`.
        repairs: How many more times the route of the last rejected response is asked to correct it, after all routes
            were asked; 0 by default.
        prompt_cache: The providers' prompt caches. None, the default, marks long prompts for Anthropic and leaves the
            others to cache by themselves; True always marks for Anthropic and sends OpenAI a key per conversation;
            `"1h"` does so with a longer expiry; False sets no marks. Marks of your own (`CachePoint`) stay.
        on_stream_error: What happens when a stream breaks after its first text. `"raise"` raises
            `StreamInterruptedError` with the `partial` response. `"continue"` lets the next route continue the text
            from there and drops what it repeats. `"restart"` lets it start over, after a chunk that is marked
            `restarted`.
        model: Only routes with this name or this model are candidates.
        cache: False bypasses the router's cache; `"refresh"` sends a new request and caches its response.
        tenant: The tenant of the call; included in events. Tenants never share cached responses.
        labels: Labels for the ledger, by which budgets can also count: `{"search", "team-a"}`.
        priority: `"interactive"` (the default), or `"batch"`: where a route's concurrency or rate is limited, the call
            leaves a fifth of the limit to interactive calls, and waiting for its turn does not count toward its
            deadline. `Router.map` sends its calls as `"batch"`.
    """

    task: str | None = None
    strategy: str | OrderFunction | None = None
    route_tags: frozenset[str] | None = None
    region: str | None = None
    deadline: float | None = None
    max_retries: int | None = None
    fallback: bool | None = None
    fallback_on: frozenset[str | AnswerFunction] | None = None
    on_stream_error: Literal["raise", "restart", "continue"] | None = None
    accept: tuple[AnswerCheck, ...] | None = None
    repairs: int | None = None
    prompt_cache: bool | Literal["1h"] | None = None
    model: str | None = None
    cache: bool | Literal["refresh"] | None = None
    tenant: str | None = None
    labels: frozenset[str] | None = None
    priority: Literal["interactive", "batch"] | None = None

    def over(self, other: Options) -> Options:
        """Return these options, with values that are None taken from `other`."""
        if other is NONE:
            return self
        if self is NONE:
            return other
        values = {name: mine if (mine := getattr(self, name)) is not None else getattr(other, name) for name in NAMES}
        return Options(**values)


NAMES = tuple(field.name for field in fields(Options))
NONE = Options()

_STRATEGIES = "multiroute_core.routing.strategies"
"""The module with the registry of strategies. It is in a higher layer, so the first name to check imports it."""

_ACCEPTANCE = "multiroute_core.guards.acceptance"
"""The module that builds the checks of `accept`, imported for the first one."""

_current: ContextVar[Options] = ContextVar("multiroute_options", default=NONE)


def parse(kwargs: Mapping[str, Any]) -> Options:
    """Parse and validate options from keyword arguments.

    Raises:
        ConfigurationError: A name is unknown (the message suggests the closest match), or a value is out of range.
    """
    if not kwargs:
        return NONE
    for name in kwargs:
        if name not in NAMES:
            raise unknown("option", name, NAMES)
    values = dict(kwargs)
    for name, check in _CHECKS.items():
        if (value := values.get(name)) is not None:
            values[name] = check(name, value)
    return Options(**values)


def current() -> Options:
    """Return the options set by the surrounding `with options(...)`."""
    return _current.get()


@contextlib.contextmanager
def options(**given: Any) -> Generator[Options, None, None]:
    """Set options for every call made inside the block, also in chains, graphs, engines and batches.

    A context variable carries them: tasks and the threads of frameworks inherit it, a bare `threading.Thread` does not.

    Blocks nest: an inner block overrides only the options that it names.

    Args:
        **given: The fields of `Options`: `task`, `strategy`, `route_tags`, `region`, `deadline` (seconds),
            `max_retries`, `fallback`, `fallback_on`, `on_stream_error`, `accept`, `repairs`,
            `prompt_cache`, `model`, `cache`, `tenant`, `labels`, `priority`.

    Raises:
        ConfigurationError: A name is unknown, or a value is out of range.

    Example:
        >>> with options(task="code_generation", deadline=20):  # doctest: +SKIP
        ...     chain.invoke({"question": "..."})
    """
    mine = parse(given).over(_current.get())
    token = _current.set(mine)
    try:
        yield mine
    finally:
        _current.reset(token)


_INHERITED = ("tenant", "labels", "priority", "deadline", "cache", "region", "route_tags")
"""Who calls, how long it may take and where the data may go, but not how one answer is chosen and checked."""


@contextlib.contextmanager
def outside_options() -> Generator[None, None, None]:
    """Run a block without the surrounding options that are meant for the call itself.

    A function of the user (a check, a guard, a summary) may send requests of its own. They inherit `tenant`, `labels`,
    `priority`, `deadline`, `cache`, `region` and `route_tags`. Were `accept` among them, a judge would judge its own
    verdicts without end.
    """
    surrounding = _current.get()
    if surrounding is NONE:
        yield
        return
    token = _current.set(Options(**{name: getattr(surrounding, name) for name in _INHERITED}))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # a coroutine that is dropped may end in another context
            _current.reset(token)


def call_outside_options(function: Any, argument: Any) -> Any:
    """Call a function, sync or async, outside of the surrounding options; see `outside_options`."""
    with outside_options():
        result = function(argument)
    return _await_outside_options(result) if hasattr(result, "__await__") else result


async def _await_outside_options(result: Awaitable[Any]) -> Any:
    with outside_options():
        return await result


Init = TypeVar("Init", bound=Callable[..., None])


def name_unknown_arguments(init: Init) -> Init:
    """Decorate an `__init__`: an unknown keyword raises a `ConfigurationError` with the closest match."""
    parameters = inspect.signature(init).parameters
    names = [name for name in parameters if name != "self"]

    @functools.wraps(init)
    def checked(self: Any, *positional: Any, **arguments: Any) -> None:
        positional = tuple(map(conceal, positional))  # a traceback may show local variables
        arguments = concealed(arguments)
        for name in arguments:
            if name not in parameters:
                raise unknown(f"argument of {type(self).__name__}", name, names)
        init(self, *positional, **arguments)

    return cast("Init", checked)


def invalid(name: str, value: object, expected: str) -> ConfigurationError:
    """Build the error for an invalid value: the setting's name, the value, and what was expected."""
    return ConfigurationError(f"{name}={describe_value(value, 200)} is not valid; expected {expected}.")


_LONGEST_SECONDS = 10**12
"""An integer may be too large for a float."""


def seconds(name: str, value: Any) -> float:
    """Validate `value` as a positive number of seconds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0 or math.isnan(value):
        raise invalid(name, value, "a number of seconds greater than 0")
    return float(min(value, math.inf if isinstance(value, float) else _LONGEST_SECONDS))


def truth(name: str, value: Any) -> bool:
    """Validate `value` as a bool."""
    if not isinstance(value, bool):
        raise invalid(name, value, "True or False")
    return value


def share(name: str, value: Any) -> float:
    """Validate `value` as a share, above 0 up to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise invalid(name, value, "a share greater than 0 and at most 1")
    return float(value)


def to_be_kept(name: str, url: str) -> str:
    """Return `url` if it may be pickled.

    Raises:
        ConfigurationError: The URL contains a password.
    """
    if urlsplit(url).password or "password=" in url:
        raise ConfigurationError(
            f"The URL in {name} contains a password, so it cannot be pickled; build the router in the process "
            "that uses it."
        )
    return url


def path_of(url: str) -> str:
    """Return the path in `sqlite:///relative/path.db` or `sqlite:////absolute/path.db`.

    Raises:
        ConfigurationError: The URL has another form.
    """
    path = url.removeprefix("sqlite:///")
    if path == url or not path or path.startswith(":") or "?" in path:
        raise ConfigurationError(
            f"{url!r:.200} is not the URL of a file; expected 'sqlite:///relative/path.db' or 'sqlite:////absolute/path.db'."
        )
    return path


def strategy(name: str, value: Any) -> str | OrderFunction:
    """Validate `value` as a strategy: a name or a function."""
    if callable(value):
        return value
    registry: Mapping[str, object] = importlib.import_module(_STRATEGIES).STRATEGIES
    if not isinstance(value, str) or value not in registry:
        raise unknown(name, value, registry)
    return value


def words(name: str, value: Any) -> frozenset[str]:
    """Validate `value` as a set of words; a single string becomes a set of one."""
    if isinstance(value, str):
        value = (value,)
    if not isinstance(value, Collection) or not all(isinstance(word, str) and word for word in value):  # pyright: ignore[reportUnknownVariableType]
        raise invalid(name, cast("object", value), "one or more non-empty strings")
    return frozenset(map(plain_string, cast("Collection[str]", value)))


def word(name: str, value: Any) -> str:
    """Validate `value` as a word."""
    if not isinstance(value, str) or not value:
        raise invalid(name, value, "a non-empty string")
    return plain_string(value)


def plain_string(value: str) -> str:
    """Return the characters of a string, which may be of a subclass, as a plain `str`.

    Serializers refuse subclasses, such as `numpy.str_`, and a `StrEnum` reads differently in each.
    """
    return value if type(value) is str else str.__str__(value)


def plain_number(value: float) -> float:
    """Return a number, which may be of a subclass such as `numpy.float64`, as a plain `int` or `float`."""
    return int(value) if isinstance(value, int) else float(value)


def _parse_decline_reasons(name: str, value: Any) -> frozenset[str | AnswerFunction]:
    """Validate `value` as reasons for a fallback: names and functions."""
    if callable(value):
        value = (value,)
    functions: set[AnswerFunction] = set()
    if isinstance(value, Collection) and not isinstance(value, str):
        entries = cast("Collection[Any]", value)
        for entry in entries:
            if isinstance(entry, type) or (callable(entry) and not isinstance(cast("object", entry), Hashable)):
                raise invalid(name, cast("object", entry), "a hashable function that takes a Response")
        functions = {cast("AnswerFunction", entry) for entry in entries if callable(entry)}
        for function in functions:
            _accept(name, function)  # raises an error if it takes no Response
        value = [entry for entry in entries if not callable(entry)]
    reasons = words(name, value)
    for reason in sorted(reasons.difference(DECLINED)):
        raise unknown(name, reason, DECLINED)
    return reasons | functions


def _on_stream_error(name: str, value: Any) -> str:
    if value not in STREAM_ERRORS:
        raise unknown(name, value, STREAM_ERRORS)
    return value


def _accept(_: str, value: Any) -> tuple[AnswerCheck, ...]:
    return importlib.import_module(_ACCEPTANCE).to_checks(value)


def _priority(name: str, value: Any) -> str:
    if value not in PRIORITIES:
        raise unknown(name, value, PRIORITIES)
    return value


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise invalid(name, value, "an integer of at least 0")
    return value


def _cache(name: str, value: Any) -> bool | str:
    if not isinstance(value, bool) and value != "refresh":
        raise invalid(name, value, "True, False or 'refresh' (set the store with Router(cache=...))")
    return value


def _prompt_cache(name: str, value: Any) -> bool | str:
    if not isinstance(value, bool) and value != "1h":
        raise invalid(name, value, "True, False or '1h'")
    return value


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "task": word,
    "strategy": strategy,
    "route_tags": words,
    "region": word,
    "deadline": seconds,
    "max_retries": _count,
    "fallback": truth,
    "fallback_on": _parse_decline_reasons,
    "on_stream_error": _on_stream_error,
    "accept": _accept,
    "repairs": _count,
    "prompt_cache": _prompt_cache,
    "model": word,
    "cache": _cache,
    "tenant": word,
    "labels": words,
    "priority": _priority,
}
