"""The stage: three embedded providers that implement their vendors' APIs; no key or network is needed.

Each vendor has a real HTTP server of its own (LLMock) on a free port of 127.0.0.1. What it says is scripted, and how
long it takes to say it; the official SDKs, the sockets and the failures on them are real.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any, Self

from llmock.chaos import ChaosSettings, StreamChaos
from llmock.scenarios import Behavior, Fail, Reply, StreamFault
from llmock.testing import LLMockServer

from multiroute_core import Route

INEXPENSIVE = {
    "ANTHROPIC_API_KEY": "anthropic:claude-haiku-5-5",
    "OPENAI_API_KEY": "openai:gpt-6-luna",
    "GOOGLE_API_KEY": "google:gemini-3.5-flash-lite",
    "GEMINI_API_KEY": "google:gemini-3.5-flash-lite",
}
"""For each key, an inexpensive route."""

WIRES = {"anthropic": "anthropic", "openai": "openai", "google": "gemini"}
"""For each provider, the name that LLMock has for its API."""

LATENCY_MS = {"anthropic": 90, "openai": 60, "google": 40}

REPLIES = {
    "anthropic": "Leave the failing provider alone, let the next route answer, and tell the on-call engineer.",
    "openai": "Keep the door closed for as long as the provider asked, and send the calls to a route that is free now.",
    "google": "Keep the words that have arrived, mark the answer as incomplete, and offer to ask again from the start.",
}


class Stage:
    """The embedded providers. Use it as a context manager, or `start` and `stop` it.

    Example:
        >>> with Stage() as stage:  # doctest: +SKIP
        ...     router = Router(stage.routes)
        ...     stage.down("anthropic")
        ...     router.generate("Hello").route
        'openai:gpt-6.1-sol'
    """

    def __init__(self) -> None:
        self.servers = {
            vendor: LLMockServer(chaos=ChaosSettings(latency_ms=milliseconds))
            for vendor, milliseconds in LATENCY_MS.items()
        }

    @property
    def routes(self) -> tuple[Route, ...]:
        """One route a vendor; two of them say what they are best at."""
        at: dict[str, dict[str, Any]] = {
            vendor: {"base_url": s.base_url(WIRES[vendor]), "api_key": "none"} for vendor, s in self.servers.items()
        }
        return (
            Route("anthropic:claude-sonnet-5-5", **at["anthropic"]),
            Route("openai:gpt-6.1-sol", tasks={"code_generation"}, prices="openai", **at["openai"]),
            Route("google:gemini-3.8-flash", tasks={"long_context"}, **at["google"]),
        )

    def start(self) -> Self:
        """Start the servers."""
        reach_directly("127.0.0.1")
        for vendor, server in self.servers.items():
            server.start()
            # Words that come one by one, as a model's do.
            server.state.stream_chaos = StreamChaos(chunk_delay_ms=15)
            self.well(vendor)
        return self

    def stop(self) -> None:
        """Stop the servers."""
        for server in self.servers.values():
            server.stop()

    def well(self, vendor: str, *answers: str) -> None:
        """The provider works: it gives these answers, and after them always the same one."""
        scenarios = self.servers[vendor].state.scenarios
        scenarios.clear()
        scenarios.add(*(Reply(text=answer) for answer in answers), Reply(text=REPLIES[vendor], times=None))

    def down(self, vendor: str, status: int = 500) -> None:
        """The provider fails every call."""
        self._add(vendor, Fail(status, times=None))

    def limited(self, vendor: str, seconds: float) -> None:
        """The provider answers every call with HTTP 429 and a `Retry-After` of so many seconds."""
        self._add(vendor, Fail(429, retry_after=seconds, times=None))

    def breaks(self, vendor: str, after_chunks: int) -> None:
        """The provider drops the connection of the next stream."""
        self._add(vendor, StreamFault("disconnect", after_chunks=after_chunks))

    def hits(self, vendor: str) -> int:
        """How many requests reached the provider, by its own journal."""
        return len(self.servers[vendor].state.journal.records(wait=1.0))

    def _add(self, vendor: str, behaviour: Behavior) -> None:
        self.servers[vendor].state.scenarios.add(behaviour)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def routes_with_keys() -> tuple[str, ...]:
    """Inexpensive routes of the providers whose key is in the environment; none without a key.

    Example:
        >>> routes = routes_with_keys() or stage.routes  # doctest: +SKIP
    """
    return tuple(dict.fromkeys(route for key, route in INEXPENSIVE.items() if os.environ.get(key)))


def reach_directly(host: str) -> None:
    """Keep a proxy, where one is set, out of the way to `host`."""
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), host)))
