"""The Lua scripts that Redis runs: each is put together from the twins of the rules and one operation.

The twins have no numbers of their own: they get the constants of the Python rules, so that those cannot differ.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
from dataclasses import dataclass, field
from types import ModuleType
from typing import Literal, TypeAlias

from multiroute_core.rules import allowance, breaker, budget, concurrency, headroom, limits, spend

RULES: dict[str, tuple[ModuleType, tuple[str, ...]]] = {
    "limits": (limits, ("SECONDS", "GRACE")),
    "concurrency": (concurrency, ("CUT", "GROWTH", "USED", "UNUSED", "EPISODE_SECONDS", "FORGET_SECONDS")),
    "headroom": (headroom, ("GRACE", "TRUSTED_SECONDS")),
    "allowance": (allowance, ("POLL_SECONDS",)),
    "breaker": (breaker, ()),
    "budget": (budget, ()),
    "spend": (spend, ()),
}
"""The rules that have a twin, the simpler ones first, and the constants that they share."""

Operation: TypeAlias = Literal[
    "admit", "afford", "begun", "confirm", "release", "reserve", "settle", "spent", "standing", "withdraw"
]

_QUOTAS = ("limits", "concurrency", "headroom", "allowance", "breaker")

_OPERATIONS: dict[Operation, tuple[str, ...]] = {
    "admit": _QUOTAS,
    "settle": _QUOTAS,
    "standing": _QUOTAS,
    "confirm": ("breaker",),
    "withdraw": (),
    "begun": ("budget",),
    "afford": ("budget",),
    "reserve": ("spend",),
    "spent": ("spend",),
}
"""The rules that each operation goes by. What is not here does without the argument that all others begin with."""


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script.

    Attributes:
        text: What Redis runs.
        sha: Its name in Redis.
    """

    text: str = field(repr=False)
    sha: str

    @classmethod
    def of(cls, text: str) -> Script:
        """The script with this text."""
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


@functools.cache
def script(operation: Operation) -> Script:
    """The script of an operation."""
    rules = _OPERATIONS.get(operation)
    begin = "" if rules is None else compose(*rules)
    return Script.of(begin + _text(operation))


def compose(*rules: str) -> str:
    """What a script begins with that goes by these rules."""
    return "\n".join((_text("kept"), *map(_rule, rules), ""))


def _rule(name: str) -> str:
    module, constants = RULES[name]
    told = "".join(f"local {constant} = {getattr(module, constant)!r}\n" for constant in constants)
    return f"local {name} = {{}}\ndo\n{told}{_text(name)}end\n"


def _text(name: str) -> str:
    return (importlib.resources.files("multiroute_core.state") / "lua" / f"{name}.lua").read_text("utf-8")
