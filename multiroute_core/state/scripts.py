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

from multiroute_core.resilience import (
    adaptive_concurrency,
    circuit_breaker,
    provider_limits,
    rate_limits,
    retry_budget,
    spend_account,
    token_bucket,
)

RULES: dict[str, tuple[ModuleType, tuple[str, ...]]] = {
    "token_bucket": (token_bucket, ("SECONDS", "GRACE")),
    "adaptive_concurrency": (
        adaptive_concurrency,
        ("CUT", "GROWTH", "USED", "UNUSED", "EPISODE_SECONDS", "FORGET_SECONDS"),
    ),
    "provider_limits": (provider_limits, ("GRACE", "TRUSTED_SECONDS")),
    "rate_limits": (rate_limits, ("POLL_SECONDS",)),
    "circuit_breaker": (circuit_breaker, ()),
    "retry_budget": (retry_budget, ()),
    "spend_account": (spend_account, ()),
}
"""The rules that have a twin, the simpler ones first, and the constants that they share."""

Operation: TypeAlias = Literal[
    "admit", "afford", "begun", "confirm", "release", "reserve", "settle", "spent", "standing", "withdraw"
]

_QUOTAS = ("token_bucket", "adaptive_concurrency", "provider_limits", "rate_limits", "circuit_breaker")

_OPERATIONS: dict[Operation, tuple[str, ...]] = {
    "admit": _QUOTAS,
    "settle": _QUOTAS,
    "standing": _QUOTAS,
    "confirm": ("circuit_breaker",),
    "withdraw": (),
    "begun": ("retry_budget",),
    "afford": ("retry_budget",),
    "reserve": ("spend_account",),
    "spent": ("spend_account",),
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
    return Script.of(begin + _text(f"operations/{operation}"))


def compose(*rules: str) -> str:
    """What a script begins with that goes by these rules."""
    return "\n".join((_text("prelude"), *map(_rule, rules), ""))


def _rule(name: str) -> str:
    module, constants = RULES[name]
    declarations = "".join(f"local {constant} = {getattr(module, constant)!r}\n" for constant in constants)
    return f"local {name} = {{}}\ndo\n{declarations}{_text(f'rules/{name}')}end\n"


def _text(name: str) -> str:
    return (importlib.resources.files("multiroute_core.state") / "lua" / f"{name}.lua").read_text("utf-8")
