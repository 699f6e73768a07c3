"""The faults that `llmock` knows, each played to the model of its name, and what each must become. Support for tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from llmock.scenarios import Behavior, Delay, Fail, Match, Reply, SlowFirstToken, StreamFault, ToolFault
from llmock.testing import LLMockServer

from multiroute_core import (
    APIConnectionError,
    AttemptTimeoutError,
    AuthenticationError,
    BadRequestError,
    ContextOverflowError,
    InvalidResponseError,
    NotFoundError,
    OverloadedError,
    QuotaExhaustedError,
    RateLimitError,
    Route,
    RouteError,
    ServerError,
    StreamInterruptedError,
)
from tests.providers.faces import FACES, STREAMED

WORDS = ("one ", "two ", "three ", "four ", "five.")
TEXT = "".join(WORDS)
LONG, LIMIT, UNCONCERNED = 8.0, 0.8, 6.0
"""Seconds of silence that a fault lasts, for which a caller waits, and for which one waits who must not meet it."""


@dataclass(frozen=True)
class Wire:
    """A wire that `llmock` speaks.

    Attributes:
        provider: The route's.
        path: The server's name for it.
        opening: How many events come before the first word.
        told: With which event, counted from none, the answer is known to be whole.
        api: The route's.
    """

    provider: str
    path: str
    opening: int
    told: int
    api: Any = None

    def route(self, server: LLMockServer, model: str, **settings: Any) -> Route:
        """The route to one of the server's models."""
        base_url = server.base_url(self.path)
        return Route(f"{self.provider}:{model}", base_url=base_url, api=self.api, **{"api_key": "k", **settings})


WIRES = {
    "chat": Wire("openai", "openai", 1, 1 + len(WORDS), "chat"),
    "responses": Wire("openai", "openai", 4, 4 + len(WORDS) + 3, "responses"),
    "anthropic": Wire("anthropic", "anthropic", 3, 3 + len(WORDS) + 2),
    "google": Wire("google", "gemini", 0, len(WORDS) - 1),
}

STATUSES: dict[int, type[RouteError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    402: QuotaExhaustedError,
    403: AuthenticationError,
    404: NotFoundError,
    408: AttemptTimeoutError,
    409: ServerError,
    413: ContextOverflowError,
    422: BadRequestError,
    429: RateLimitError,
    500: ServerError,
    501: ServerError,
    502: ServerError,
    503: OverloadedError,
    504: AttemptTimeoutError,
    529: OverloadedError,
    # Two that `llmock` has no name for.
    418: BadRequestError,
    520: ServerError,
}
# How a stream breaks: the error where no word had come.
BREAKS: dict[str, type[RouteError]] = {
    "truncate": StreamInterruptedError,
    "disconnect": APIConnectionError,
    "malformed": InvalidResponseError,
    "stall": AttemptTimeoutError,
}
SLOW = {"delay": FACES, "slow-first-token": STREAMED}
"""Who is slow, and through which faces."""
TOOL_FAULTS = ("malformed_arguments", "unknown_tool")
CALL_CUT = {"chat": 3, "responses": 4, "anthropic": 3}
"""Where a stream is cut in the middle of a call's arguments; Google's calls come whole."""
QUOTAS = {"rpm": RateLimitError, "tpm": RateLimitError, "context_window": ContextOverflowError}
LAST = max(wire.told for wire in WIRES.values())
SOME = (0, 2, 5, 7)
"""Where streams break if not everywhere: before each wire's first word, and after."""


def behaviours() -> Iterator[Behavior]:
    """All that the server does, each to the model of its name."""

    def to(model: str) -> dict[str, Any]:
        return {"times": None, "match": Match(model=model)}

    for status in STATUSES:
        yield Fail(status, **to(f"fail-{status}"))
    yield Delay(LONG, **to("delay"))
    yield SlowFirstToken(LONG, times=None, match=Match(model="slow-first-token", stream=True))
    for kind in BREAKS:
        for place in range(LAST + 1):
            match = Match(model=f"{kind}-at-{place}", stream=True)
            yield StreamFault(kind, place, LONG, None, match)  # pyright: ignore[reportArgumentType]
    for kind in TOOL_FAULTS:
        yield ToolFault(kind, times=None, match=Match(model=kind, tools=True))  # pyright: ignore[reportArgumentType]
    for place in set(CALL_CUT.values()):
        yield StreamFault("truncate", place, times=None, match=Match(model=f"call-cut-at-{place}"))
    for model in (*TOOL_FAULTS, "call-cut*"):
        yield Reply(times=None, match=Match(model=model))  # as the server likes: it calls the tool
    yield Reply(TEXT, times=None)
