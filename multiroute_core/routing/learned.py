"""Learned capabilities: what routes have refused as unsupported, remembered for a while, and what is done about it.

A server tells what it cannot do only when it is asked: that it takes no tools, no images, no `temperature`. What can be
left out (a parameter) is left out and recorded as dropped, and the same route is asked again. What cannot (tools, an
image) moves the request on to the next route. Either way the route is asked that no more for `REMEMBER_SECONDS`, and
requests that need nothing of it do not notice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from multiroute_core.errors import UnsupportedError
from multiroute_core.messages import Blob, Uri, every
from multiroute_core.providers import history
from multiroute_core.providers.provider import Encoded, Provider
from multiroute_core.resilience.admission import Rejection
from multiroute_core.route import Route
from multiroute_core.runtime import forks
from multiroute_core.types import Request

REMEMBER_SECONDS = 600.0
"""How long a refusal is remembered: a server that is restarted with other settings is asked again after that."""

HISTORY = "reasoning_history"
"""The ability to take the encrypted reasoning and the signatures that stand in the history."""

_PARAMETERS = ("temperature", "top_p", "seed", "parallel_tool_calls", "reasoning")
"""What can be left out of a request: the answer is less as the caller wishes, but it is an answer."""

_NAMES: Mapping[str, str] = {
    "reasoning_effort": "reasoning",
    "thinking": "reasoning",
    "reasoning.effort": "reasoning",
    "stop_sequences": "stop",
    "response_format": "output_schema",
    "text.format": "output_schema",
    "functions": "tools",
    "max_output_tokens": "max_tokens",
}
"""The vendors' names for what has one name here."""

_LIMITS: Mapping[str, str] = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""What Chat Completions call the longest answer, by the name that is refused."""


@dataclass(frozen=True, slots=True)
class AdaptedRequest:
    """A request as a route takes it.

    Attributes:
        encoded: The request in the vendor's words.
        lacks: What was left out, or put another way, since the route lacks it.
    """

    encoded: Encoded
    lacks: frozenset[str] = frozenset()


class LearnedCapabilities:
    """What the routes of one router have refused as unsupported. Threads share it.

    Args:
        strict: Whether no parameter may be left out (`strict_params`): then all that a route lacks moves on.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        self._until: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()
        forks.renew(self, _lock=threading.Lock)

    def encode(self, provider: Provider, request: Request, route: Route, now: float, *, stream: bool) -> AdaptedRequest:
        """The request in the route's words, without what the route has refused before.

        Raises:
            ConfigurationError: the request cannot be put into the route's words.
        """
        readable = history.for_account(request, getattr(provider, "account", None))
        if readable is request:
            if not self._until:
                return AdaptedRequest(provider.encode(request, route, stream=stream))
            return self._adapt(provider, request, route, now, stream=stream)
        adapted = self._adapt(provider, readable, route, now, stream=stream)
        dropped = (*adapted.encoded.dropped, history.FOREIGN)
        return replace(adapted, encoded=replace(adapted.encoded, dropped=dropped))

    def _adapt(self, provider: Provider, request: Request, route: Route, now: float, *, stream: bool) -> AdaptedRequest:
        lacks = self._lacks(route, now) & self._adaptable(request, route, stream=stream)
        if not lacks:
            return AdaptedRequest(provider.encode(request, route, stream=stream))
        request, dropped = _without(request, lacks, route)
        encoded = provider.encode(request, route, stream=stream)
        body: dict[str, Any] = encoded.body
        if "stream_options" in lacks:
            body = {name: value for name, value in body.items() if name != "stream_options"}
        return AdaptedRequest(replace(encoded, body=body, dropped=(*encoded.dropped, *dropped)), lacks)

    def learn(
        self, error: UnsupportedError, request: Request, route: Route, now: float, adapted: AdaptedRequest
    ) -> bool:
        """Remember a refusal; whether the same route may be asked again without what it refused."""
        ability = ability_of(error, request)
        stream = bool(adapted.encoded.body.get("stream"))
        if ability in adapted.lacks or ability not in demands(request, stream=stream):
            return False  # it was not even asked for: the route means something else
        with self._lock:
            self._until[route.name, ability] = now + REMEMBER_SECONDS
        return ability in self._adaptable(request, route, stream=stream)

    def unable(self, routes: Sequence[Route], request: Request, now: float, *, stream: bool) -> dict[str, Rejection]:
        """The routes that lack what the request cannot do without, as long as others are left."""
        if not self._until:
            return {}
        shut: dict[str, Rejection] = {}
        for route in routes:
            missing = self._lacks(route, now) & demands(request, stream=stream)
            missing -= self._adaptable(request, route, stream=stream)
            if missing:
                names = ", ".join(sorted(missing))
                error = UnsupportedError(f"The route does not support {names}.", route=route.name, ability=names)
                shut[route.name] = Rejection("unsupported", REMEMBER_SECONDS, error)
        return shut if len(shut) < len(routes) else {}

    def _lacks(self, route: Route, now: float) -> frozenset[str]:
        with self._lock:
            for key in [key for key, until in self._until.items() if until <= now]:
                del self._until[key]
            return frozenset(ability for name, ability in self._until if name == route.name)

    def _adaptable(self, request: Request, route: Route, *, stream: bool) -> frozenset[str]:
        """What the request can do without on this route."""
        parameters = frozenset({"stream_options", HISTORY, *(() if self._strict else _PARAMETERS)})
        limits = _LIMITS if route.provider == "openai" and request.max_tokens is not None else ()
        return (parameters & demands(request, stream=stream)) | frozenset(limits)


def ability_of(error: UnsupportedError, request: Request) -> str:
    """What the route lacks, by the name that it has in a `Request`."""
    if error.ability in _LIMITS and request.max_tokens is not None:
        return error.ability
    return _NAMES.get(error.ability, error.ability)


def demands(request: Request, *, stream: bool) -> frozenset[str]:
    """What a route is asked for beside plain text: abilities and parameters."""
    names = {name for name, asks in _DEMANDS.items() if asks(request)}
    if stream:
        names.add("stream_options")
    if request.max_tokens is not None:
        names.update(_LIMITS)
    for message in request.messages:
        for part in every((message,)):
            if isinstance(part, Blob | Uri):
                names.add(part.modality)
            if getattr(part, "raw", None) is not None:
                names.add(HISTORY)
    return frozenset(names)


_DEMANDS: Mapping[str, Callable[[Request], bool]] = {
    "tools": lambda request: bool(request.tools),
    "tool_choice": lambda request: request.tool_choice is not None or bool(request.tools),
    "output_schema": lambda request: request.output_schema is not None,
    "reasoning": lambda request: request.reasoning is not None,
    "temperature": lambda request: request.temperature is not None,
    "top_p": lambda request: request.top_p is not None,
    "seed": lambda request: request.seed is not None,
    "stop": lambda request: bool(request.stop),
    "parallel_tool_calls": lambda request: request.parallel_tool_calls is not None,
}


def _without(request: Request, lacks: frozenset[str], route: Route) -> tuple[Request, list[str]]:
    """The request without what the route lacks, and what was dropped."""
    left_out = [name for name in _PARAMETERS if name in lacks]
    request = replace(request, **dict.fromkeys(left_out, None))
    if HISTORY in lacks:
        request = history.for_account(request, history.NO_ACCOUNT)
    if (limit := next((name for name in _LIMITS if name in lacks), None)) is not None:
        extra = dict(request.extra)
        extra[route.provider] = {_LIMITS[limit]: request.max_tokens, **extra.get(route.provider, {})}
        request = replace(request, max_tokens=None, extra=extra)
    return request, [f"{name}: the route has refused it as unsupported" for name in left_out]
