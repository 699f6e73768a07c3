"""Learned capabilities: features that routes rejected as unsupported, remembered for a while.

A server reports only on use that it supports no tools, no images or no `temperature`. An optional parameter is dropped,
recorded as dropped, and the same route is tried again. For anything else (tools, an image) the request falls back to
the next route. In both cases the route is not sent that feature again for `REMEMBER_SECONDS`; requests that do not need
it are not affected.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from multiroute_core.errors import ConfigurationError, UnsupportedError
from multiroute_core.messages import Blob, Uri, every
from multiroute_core.provider_table import PROVIDERS
from multiroute_core.providers import history
from multiroute_core.providers.encoding_errors import read_encoding_error
from multiroute_core.providers.provider import Encoded, Provider
from multiroute_core.resilience.admission import Rejection
from multiroute_core.route import Route
from multiroute_core.runtime import forks
from multiroute_core.types import Request

REMEMBER_SECONDS = 600.0
"""How long a rejection is remembered, in seconds: the server may be restarted with other settings."""

HISTORY = "reasoning_history"
"""The capability to accept encrypted reasoning and signatures from the history."""

_PARAMETERS = ("temperature", "top_p", "seed", "parallel_tool_calls", "reasoning")
"""Parameters that can be dropped: the answer follows the caller's wishes less closely, but is still an answer."""

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
"""Maps the providers' parameter names to the names of a `Request`."""

_LIMITS: Mapping[str, str] = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""The alternative Chat Completions parameter for the maximum output tokens, by the rejected one."""


@dataclass(frozen=True, slots=True)
class AdaptedRequest:
    """A request adapted to a route.

    Attributes:
        encoded: The request encoded for the provider.
        lacks: What was dropped or encoded differently, because the route does not support it.
    """

    encoded: Encoded
    lacks: frozenset[str] = frozenset()


class LearnedCapabilities:
    """What the routes of one router have rejected as unsupported. Thread-safe.

    Args:
        strict: Whether no parameter may be dropped (`strict_params`): then every missing feature leads to a fallback.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        self._until: dict[tuple[str, str, str], float] = {}  # by route, ability, and what it cannot be combined with
        self._lock = threading.Lock()
        forks.renew(self, _lock=threading.Lock)

    def encode(self, provider: Provider, request: Request, route: Route, now: float, *, stream: bool) -> AdaptedRequest:
        """Encode the request for a route, without what the route has rejected before.

        Raises:
            ConfigurationError: the request cannot be encoded for the route.
        """
        readable = history.for_account(request, getattr(provider, "account", None))
        try:
            if readable is request:
                if not self._until:
                    return AdaptedRequest(provider.encode(request, route, stream=stream))
                return self._adapt(provider, request, route, now, stream=stream)
            adapted = self._adapt(provider, readable, route, now, stream=stream)
        except ValueError as error:  # UnicodeEncodeError is one, and pydantic's and msgspec's errors are
            reason = None if isinstance(error, ConfigurationError) else read_encoding_error(error)
            if reason is None:
                raise
            raise ConfigurationError(reason) from None  # the error's object is the text
        dropped = (*adapted.encoded.dropped, history.FOREIGN)
        return replace(adapted, encoded=replace(adapted.encoded, dropped=dropped))

    def _adapt(self, provider: Provider, request: Request, route: Route, now: float, *, stream: bool) -> AdaptedRequest:
        needs = demands(request, stream=stream)
        lacks = self._lacks(route, now, needs) & self._adaptable(request, route, needs)
        if not lacks:
            return AdaptedRequest(provider.encode(request, route, stream=stream))
        request, dropped = _without(request, lacks, route)
        encoded = provider.encode(request, route, stream=stream)
        if "stream_options" in lacks:
            encoded = getattr(provider, "without_stream_options", _without_stream_options)(encoded)
        return AdaptedRequest(replace(encoded, dropped=(*encoded.dropped, *dropped)), lacks)

    def learn(
        self,
        error: UnsupportedError,
        request: Request,
        route: Route,
        now: float,
        adapted: AdaptedRequest,
        *,
        stream: bool,
    ) -> bool:
        """Remember a rejection; return whether the same route may be tried again without the rejected feature."""
        ability = ability_of(error, request)
        needs = demands(request, stream=stream)
        if ability in adapted.lacks or ability not in needs:
            return False  # the request did not contain it: the error means something else
        with self._lock:
            beside = error.beside if error.beside in needs else ""
            self._until[route.name, ability, beside] = now + REMEMBER_SECONDS
        return ability in self._adaptable(request, route, needs)

    def find_rejections(
        self, routes: Sequence[Route], request: Request, now: float, *, stream: bool
    ) -> dict[str, Rejection]:
        """Return rejections for routes that lack a required feature; empty if all routes lack one."""
        if not self._until:
            return {}
        rejections: dict[str, Rejection] = {}
        needs = demands(request, stream=stream)
        for route in routes:
            missing = self._lacks(route, now, needs) & needs
            missing -= self._adaptable(request, route, needs)
            if missing:
                names = ", ".join(sorted(missing))
                error = UnsupportedError(f"The route does not support {names}.", route=route.name, ability=names)
                rejections[route.name] = Rejection("unsupported", REMEMBER_SECONDS, error)
        return rejections if len(rejections) < len(routes) else {}

    def _lacks(self, route: Route, now: float, needs: frozenset[str]) -> frozenset[str]:
        """Return what the route lacks for a request with these demands."""
        with self._lock:
            for key in [key for key, until in self._until.items() if until <= now]:
                del self._until[key]
            return frozenset(
                ability
                for name, ability, beside in self._until
                if name == route.name and (not beside or beside in needs)
            )

    def _adaptable(self, request: Request, route: Route, needs: frozenset[str]) -> frozenset[str]:
        """Return what the request can do without on this route."""
        parameters = frozenset({"stream_options", HISTORY, *(() if self._strict else _PARAMETERS)})
        spec = PROVIDERS.get(route.provider)
        is_chat = spec is not None and spec.speaks_chat_completions
        limits = _LIMITS if is_chat and request.max_tokens is not None else ()
        return (parameters & needs) | frozenset(limits)


def _without_stream_options(encoded: Encoded) -> Encoded:
    body: dict[str, Any] = {name: value for name, value in encoded.body.items() if name != "stream_options"}
    return replace(encoded, body=body)


def ability_of(error: UnsupportedError, request: Request) -> str:
    """Return the unsupported feature by its name in a `Request`."""
    if error.ability in _LIMITS and request.max_tokens is not None:
        return error.ability
    return _NAMES.get(error.ability, error.ability)


def demands(request: Request, *, stream: bool) -> frozenset[str]:
    """Return the capabilities and parameters that a request needs beside plain text."""
    names = {name for name, asks in _DEMANDS.items() if asks(request)}
    if stream:
        names.update(_STREAMS)
    if request.max_tokens is not None:
        names.update(_LIMITS)
    for message in request.messages:
        for part in every((message,)):
            if isinstance(part, Blob | Uri):
                names.add(part.modality)
            if getattr(part, "raw", None) is not None:
                names.add(HISTORY)
    return frozenset(names)


_STREAMS = ("stream", "stream_options")
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
    "system": lambda request: any(message.role == "system" for message in request.messages),
}


def _without(request: Request, lacks: frozenset[str], route: Route) -> tuple[Request, list[str]]:
    """Return the request without what the route lacks, and the dropped parameters."""
    left_out = [name for name in _PARAMETERS if name in lacks]
    request = replace(request, **dict.fromkeys(left_out, None))
    if HISTORY in lacks:
        request = history.for_account(request, history.NO_ACCOUNT)
    if (limit := next((name for name in _LIMITS if name in lacks), None)) is not None:
        extra = dict(request.extra)
        extra[route.provider] = {_LIMITS[limit]: request.max_tokens, **extra.get(route.provider, {})}
        request = replace(request, max_tokens=None, extra=extra)
    return request, [f"{name}: the route rejected it as unsupported" for name in left_out]
