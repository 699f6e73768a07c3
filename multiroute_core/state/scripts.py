"""Lua scripts run by Redis: each is composed of the Lua twins of the resilience rules and one operation.

The twins have no constants of their own: they get those of the Python rules, so that they cannot differ.
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
    call_limits,
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
        ("CUT", "GROWTH", "BATCH_RESERVE", "UNUSED", "EPISODE_SECONDS", "FORGET_SECONDS"),
    ),
    "provider_limits": (provider_limits, ("GRACE", "TRUSTED_SECONDS")),
    "rate_limits": (rate_limits, ("POLL_SECONDS",)),
    "call_limits": (call_limits, ("POLL_SECONDS",)),
    "circuit_breaker": (circuit_breaker, ()),
    "retry_budget": (retry_budget, ()),
    "spend_account": (spend_account, ()),
}
"""The rules with a twin, the simpler ones first, and the constants that they share."""

Operation: TypeAlias = Literal[
    "admit",
    "afford",
    "begun",
    "confirm",
    "limit_admit",
    "limit_settle",
    "limit_status",
    "release",
    "reserve",
    "settle",
    "spent",
    "standing",
    "withdraw",
]

_CALL_LIMITS = ("token_bucket", "call_limits")
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
    "limit_admit": _CALL_LIMITS,
    "limit_settle": _CALL_LIMITS,
    "limit_status": _CALL_LIMITS,
}
"""The rules that each operation uses. An operation that is not listed takes no encoded argument and has no prelude."""


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script.

    Attributes:
        text: Its source.
        sha: Its SHA-1 hash, its name in Redis.
    """

    text: str = field(repr=False)
    sha: str

    @classmethod
    def of(cls, text: str) -> Script:
        """Return the script with this text."""
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


@functools.cache
def script(operation: Operation) -> Script:
    """Return the script of an operation."""
    rules = _OPERATIONS.get(operation)
    begin = "" if rules is None else compose(*rules)
    return Script.of(begin + _text(f"operations/{operation}"))


def compose(*rules: str) -> str:
    """Return the beginning of a script that uses these rules."""
    return "\n".join((_text("prelude"), *map(_rule, rules), ""))


def _rule(name: str) -> str:
    module, constants = RULES[name]
    declarations = "".join(f"local {constant} = {getattr(module, constant)!r}\n" for constant in constants)
    return f"local {name} = {{}}\ndo\n{declarations}{_text(f'rules/{name}')}end\n"


def _text(name: str) -> str:
    return (importlib.resources.files("multiroute_core.state") / "lua" / f"{name}.lua").read_text("utf-8")
