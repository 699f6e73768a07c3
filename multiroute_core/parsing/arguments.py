"""Validation of a call's arguments, before anything is sent."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict, TypeVar, cast

from multiroute_core import parsing
from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.errors import ConfigurationError
from multiroute_core.guards.acceptance import Acceptance, AnswerFunction
from multiroute_core.messages import Message, Text
from multiroute_core.migration.answers import translate_call
from multiroute_core.options import NAMES, NONE, Options, OrderFunction, invalid, parse
from multiroute_core.types import Request

MessageLike: TypeAlias = Message | Mapping[str, Any] | tuple[str, str]
"""A `Message`, a mapping with `role` and `content` in any provider's format, or a `(role, content)` pair; see
`multiroute_core.parsing.blocks` for the supported content blocks."""

Messages: TypeAlias = str | Message | Iterable[MessageLike]


class CallOptions(TypedDict, total=False):
    """The keyword arguments of a call. All are optional.

    The first block is sent to the model, the second controls routing (see `multiroute_core.Options`).
    """

    system: str | None
    """A system prompt, placed before the messages."""
    temperature: float | None
    """0 (deterministic) to 2 (random)."""
    max_tokens: int | None
    """Maximum number of tokens to generate, reasoning included."""
    top_p: float | None
    """Nucleus sampling, above 0 to 1."""
    stop: str | Sequence[str] | None
    """Sequences that end the response; they are not part of it."""
    seed: int | None
    """Seed for repeatable sampling, where a provider supports it."""
    tools: Sequence[Any] | None
    """The tools that the model may call: `Tool`s, or tools in any provider's or framework's format; see
    `multiroute_core.parsing.tools`."""
    tool_choice: Any
    """Whether the model must call a tool: `"auto"`, `"none"`, `"required"`, a tool's name, or any provider's format."""
    parallel_tool_calls: bool | None
    """Whether the model may call several tools at once."""
    output_schema: Any
    """The schema of structured output: a JSON schema, a class that has one (pydantic, a dataclass), an `OutputSchema`,
    or `"json"` for any JSON object."""
    reasoning: Any
    """How much the model reasons: an effort (`"none"` to `"max"`), a number of tokens, `ReasoningOptions`, or any
    provider's format."""
    extra: Mapping[str, Mapping[str, Any]] | None
    """Provider-specific options by provider: `{"openai": {"service_tier": "flex"}}`."""

    task: str | None
    strategy: str | OrderFunction | None
    route_tags: Iterable[str] | None
    region: str | None
    deadline: float | None
    max_retries: int | None
    fallback: bool | None
    fallback_on: Iterable[str | AnswerFunction] | None
    on_stream_error: Literal["raise", "restart", "continue"] | None
    accept: Acceptance | Iterable[Acceptance] | None
    repairs: int | None
    prompt_cache: bool | Literal["1h"] | None
    model: str | None
    cache: bool | Literal["refresh"] | None
    tenant: str | None
    labels: Iterable[str] | None
    priority: Literal["interactive", "batch"] | None


Owner = TypeVar("Owner", bound=type)


def show_call_options(owner: Owner) -> Owner:
    """Decorate a class: the signatures of its methods name the options of a call, for `help` and completion.

    Type checkers read them from `**options: Unpack[CallOptions]`; Jupyter, IPython and jedi only know parameters.
    """
    keyword = inspect.Parameter.KEYWORD_ONLY
    options: list[inspect.Parameter] = []
    for name, annotation in CallOptions.__annotations__.items():
        text = getattr(annotation, "__forward_arg__", annotation)
        options.append(inspect.Parameter(name, keyword, default=None, annotation=text))
    for member in vars(owner).values():
        if "CallOptions" in str(getattr(member, "__annotations__", {}).get("options")):
            signature = inspect.signature(member)
            own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
            names = {parameter.name for parameter in own}
            member.__signature__ = signature.replace(parameters=own + [o for o in options if o.name not in names])
    return owner


PARAMETERS = (
    "system",
    "temperature",
    "max_tokens",
    "top_p",
    "stop",
    "seed",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "output_schema",
    "reasoning",
    "extra",
)


def build(
    messages: Messages, arguments: Mapping[str, Any], integrations: Collection[str] = ()
) -> tuple[Request, Options]:
    """Build the request and the options from a call's arguments.

    Args:
        messages: The conversation.
        arguments: The keyword arguments by name.
        integrations: Names besides the providers' that `extra` may use as keys: those of wrapped models.

    Raises:
        ConfigurationError: The messages are missing or empty, tool calls and results do not match, a value is out of
            range, or a name is unknown.
    """
    parameters: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for name, value in arguments.items():
        if name in NAMES:
            options[name] = value
        elif name not in PARAMETERS:
            return build(messages, translate_call(arguments, (*PARAMETERS, *NAMES)), integrations)
        elif value is not None:
            parameters[name] = value
    conversation = parsing.conversation.read(messages)
    if not arguments and _speaks(conversation):
        return Request(conversation), NONE
    system = parameters.pop("system", None)
    if system is not None:
        conversation = (Message("system", _text("system", system)), *conversation)
    if not _speaks(conversation):
        what = "The messages are empty" if conversation else "There are no messages"
        raise ConfigurationError(f"{what}; expected a message, such as 'Hello'.")
    for name, value in parameters.items():
        if name == "extra":
            parameters[name] = parsing.schemas.vendor_options(value, integrations)
        else:
            parameters[name] = _CHECKS[name](name, value)
    if (choice := parameters.get("tool_choice")) is not None:
        parameters["tool_choice"] = parsing.tools.tool_choice(choice, parameters.get("tools", ()))
        if "parallel_tool_calls" not in parameters:
            parameters["parallel_tool_calls"] = parsing.tools.parallel(choice)
    return Request(conversation, **parameters), parse(options)


def _speaks(conversation: Sequence[Message]) -> bool:
    """Whether the conversation has content: any part except an empty text."""
    for message in conversation:
        for part in message.parts:
            if type(part) is not Text or part.text:
                return True
    return False


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise invalid(name, value, "a string")
    return value


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise invalid(name, value, "True or False")
    return value


def _within(low: float, high: float, *, above: bool = False) -> Any:
    def check(name: str, value: Any) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or not low <= value <= high or (above and value == low):
            raise invalid(
                name, value, f"a number {'greater than' if above else 'of at least'} {low} and at most {high}"
            )
        return value

    return check


_MOST_TOKENS = 10**12
"""More than any model writes, and less than what rates, prices and Redis can count."""


def _max_tokens(name: str, value: Any) -> int:
    if isinstance(value, int) and value > _MOST_TOKENS:
        raise invalid(name, value, f"an integer of at most {_MOST_TOKENS:,}, or None for the model's limit")
    return _build_integer_check(1)(name, value)


def _build_integer_check(low: int | None) -> Any:
    def check(name: str, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or (low is not None and value < low):
            raise invalid(name, value, f"an integer{'' if low is None else f' of at least {low}'}")
        return value

    return check


def _stop(name: str, value: Any) -> tuple[str, ...]:
    entries = cast("Iterable[Any]", value) if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
    stops = tuple(entries)
    if not all(isinstance(stop, str) and stop for stop in stops):
        raise invalid(name, cast("object", value), "non-empty strings")
    return stops


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "temperature": _within(0, 2),
    "max_tokens": _max_tokens,
    "top_p": _within(0, 1, above=True),
    "stop": _stop,
    "seed": _build_integer_check(None),
    "tools": lambda _, value: parsing.tools.tools(value),
    "tool_choice": lambda _, value: value,  # validated against the tools in `build`
    "parallel_tool_calls": _truth,
    "output_schema": lambda _, value: parsing.schemas.output_schema(value),
    "reasoning": lambda _, value: parsing.schemas.reasoning(value),
}
