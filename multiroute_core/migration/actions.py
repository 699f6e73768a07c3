"""What becomes of another library's argument: it is translated, left out, or answered with the line to write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Owner: TypeAlias = Literal["Router", "ChatMultiRoute", "MultiRoute", "call"]
"""What the argument was given to; `"call"` is a call of any of them."""


@dataclass(frozen=True, slots=True)
class Rename:
    """Another name for an option of ours.

    Attributes:
        option: The option.
    """

    option: str


@dataclass(frozen=True, slots=True)
class Invert:
    """Another name for an option of ours with the opposite meaning of True.

    Attributes:
        option: The option.
    """

    option: str


@dataclass(frozen=True, slots=True)
class RouteSetting:
    """A setting of a `Route`, accepted where there is exactly one route.

    Attributes:
        setting: The argument of `Route`.
        values: The values of ours by the library's; None for the same values.
    """

    setting: str
    values: Mapping[Any, Any] | None = None


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """The API key of the routes of one provider.

    Attributes:
        provider: The provider.
    """

    provider: str


@dataclass(frozen=True, slots=True)
class ProviderOption:
    """An option that one provider understands: a member of `extra`, accepted where all routes are of one provider.

    Attributes:
        field: The member of `extra[provider]`; None if the value is itself a mapping of such members.
        header: The request header, where it is a member of `extra[provider]["extra_headers"]`; empty if it is not.
        provider: The provider that defines the option.
    """

    field: str | None
    header: str = ""
    provider: str = "openai"


@dataclass(frozen=True, slots=True)
class LeaveOut:
    """An argument without a counterpart, because nothing has to be set.

    Attributes:
        reason: Why it is not needed.
        accepted: The values that describe what happens anyway; they are accepted without effect.
    """

    reason: str
    accepted: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Write:
    """An argument of ours to write instead, whose value follows from the given one.

    Attributes:
        option: The argument.
        code: Its value as code; `{value}` stands for the given value.
        values: Code by the given value, where it is one of a few; `code` is used for the others.
    """

    option: str
    code: str
    values: Mapping[Any, str] | None = None


@dataclass(frozen=True, slots=True)
class WriteCall:
    """A line to write instead.

    Attributes:
        lines: The line by what the argument was given to. `{call}` stands for the call without the argument, `{value}`
            for its value, `{model}` for the model's name.
        reason: Why; empty if the line explains itself.
    """

    lines: Mapping[Owner, str]
    reason: str = ""


Action: TypeAlias = Rename | Invert | RouteSetting | ProviderKey | ProviderOption | LeaveOut | Write | WriteCall


@dataclass(frozen=True, slots=True)
class ForeignName:
    """Names of one meaning, as other libraries write them.

    Attributes:
        names: The names.
        libraries: Where they come from.
        action: What becomes of them.
        note: What differs in meaning, for the documentation.
    """

    names: tuple[str, ...]
    libraries: str
    action: Action
    note: str = ""
