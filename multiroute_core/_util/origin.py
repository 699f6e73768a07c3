"""Origin of functions: whether a method is still the one that its library defines."""

from __future__ import annotations

from types import FunctionType
from typing import Any


def is_defined_in(method: Any, *packages: str) -> bool:
    """Return whether a function was defined in one of the packages.

    A wrapper of another library is not: `functools.wraps` copies the name and the module of what it wraps, but a
    function's globals stay those of where it was defined.

    Example:
        >>> import json
        >>> is_defined_in(json.dumps, "json"), is_defined_in(len, "json")
        (True, False)
    """
    if not isinstance(method, FunctionType):
        return False
    return str(method.__globals__.get("__name__", "")).partition(".")[0] in packages
