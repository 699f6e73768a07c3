"""Identity of functions in cache keys: the same text for the same function, and never one text for two functions."""

from __future__ import annotations

import functools
import inspect
import itertools
import re
import weakref
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, cast

_numbers = itertools.count(1)
_numbered: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()


def name_function(function: Any) -> str:
    """Return the name of a function for errors and events; that of the inner one of a `functools.partial`.

    Example:
        >>> name_function(functools.partial(print, end=""))
        'print'
    """
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__).strip("<>_")


def identify_function(value: Any) -> str:
    """Return a text that identifies a function, a check or a guard.

    A function of a module has the same text in every process. A lambda and a function within a function may hold values
    of their own, so each has a number, which differs between processes: a cache then misses, and is never wrong.

    Example:
        >>> identify_function(len)
        'builtins.len'
    """
    if isinstance(value, functools.partial):
        arguments = ", ".join(
            [*map(_identify_value, value.args), *map(_identify_value, sorted(value.keywords.items()))]
        )
        return f"{identify_function(value.func)}({arguments})"
    if is_dataclass(value) and not isinstance(value, type):
        members = ", ".join(_identify_value(getattr(value, member.name)) for member in fields(value))
        return f"{identify_function(type(value))}({members})"
    if isinstance(identity := getattr(value, "identity", None), str):
        return identity
    if isinstance(name := getattr(value, "__qualname__", None), str):
        is_bound = getattr(value, "__self__", None) is not None and not inspect.isbuiltin(value)
        name = f"{value.__module__}.{name}"
        return f"{name}#{_number(value)}" if "<" in name or is_bound else name
    return f"{identify_function(type(value))}#{_number(value)}"


def _identify_value(value: Any) -> str:
    """Return the text of a setting of a function; that of a set does not depend on the process."""
    if value is None or isinstance(value, str | int | float):
        return repr(value)
    if isinstance(value, re.Pattern):
        pattern = cast("re.Pattern[str]", value)
        return f"{pattern.pattern!r}/{pattern.flags}"
    if isinstance(value, Mapping):
        members = cast("Mapping[Any, Any]", value).items()
        return "{" + ", ".join(f"{key!r}: {_identify_value(one)}" for key, one in members) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_identify_value, cast('list[Any]', value)))}]"
    if isinstance(value, set | frozenset):
        return f"[{', '.join(sorted(map(_identify_value, cast('set[Any]', value))))}]"
    return identify_function(value)


def _number(value: Any) -> int:
    try:
        return _numbered.setdefault(value, next(_numbers))
    except TypeError:  # it can neither be hashed nor referred to
        return next(_numbers)


def is_async_function(function: Any) -> bool:
    """Whether a function, or what calls a callable object, is async."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
