"""Asks a router through every face, and sees that what comes is an answer or a typed error and that nothing is left."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import pickle
import threading
from dataclasses import replace
from typing import Any, Self

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import Budget, Limit, PromptOptimizer, Response, Route, Router
from multiroute_core.budgets.accounts import MemoryAccounts
from multiroute_core.errors import MultiRouteError
from multiroute_core.guards import (
    ban_text,
    block_prompt_leaks,
    block_secrets,
    mask_personal_data,
    moderate,
    strip_hidden_text,
)
from multiroute_core.parsing import message_json
from tests.hostile.wire_server import WireServer

SECONDS = 4.0
MODELS = {
    "chat": "openai:gpt-4o-mini",
    "responses": "openai:gpt-4o-mini",
    "anthropic": "anthropic:claude-haiku-4-5",
    "google": "google:gemini-2.5-flash",
}
CORE_FACES = ("generate", "agenerate", "stream", "astream")
FRAMEWORK_FACES = ("langchain", "langchain stream", "llamaindex", "llamaindex stream")
KEY = "KEYMARK-4f1c9e27aa"


PERSONAL_DATA = "ada@example.org"


async def moderate_nothing(text: str) -> None:
    """Find nothing, in a task."""
    await asyncio.sleep(0)


GUARDS = (
    strip_hidden_text(),
    mask_personal_data(["email", "secret"]),
    block_prompt_leaks(),
    block_secrets(["never said by anyone"], action="redact"),
    ban_text("banned phrase", replacement="…"),
    moderate(moderate_nothing, origins=["user", "answer"], window=40),
)
GUARDED: dict[str, Any] = {
    "guards": GUARDS,
    "accept": lambda response: len(response.text) < 100_000,
    "fallback_on": ["empty", "length"],
    "prompt_optimizer": PromptOptimizer(max_tokens=10_000),
    "prompt_cache": True,
    "limit": Limit(rpm=10**9, tpm=10**12, concurrency=4),
}


class Leak(AssertionError):
    """Something was not given back."""


class Bare(AssertionError):
    """An error that is not one of MultiRoute's."""


def open_descriptors() -> int:
    """How many files and sockets this process has open."""
    return len(os.listdir("/proc/self/fd"))


class Probe:
    """Routers for every wire, whose first route asks the hostile server, and the second a good one.

    Args:
        server: The server.
        frameworks: Whether the faces of LangChain and LlamaIndex are asked as well.
        guarded: Whether guards see requests and answers, and answers are checked.
    """

    def __init__(self, server: WireServer, *, frameworks: bool = False, guarded: bool = False) -> None:
        self._server, self._frameworks = server, frameworks
        self._guarded = guarded
        self._loop = asyncio.Runner()
        self._routers = {wire: self._build(wire) for wire in MODELS}
        self.calls = 0

    def __enter__(self) -> Self:
        for wire in MODELS:  # every client is made, so that what is open later is compared to that
            self._server.reply(b"HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            self.ask(wire)
        self.settle()
        self._baseline = open_descriptors(), threading.active_count()
        return self

    def __exit__(self, *_: object) -> None:
        for router in self._routers.values():
            self._loop.run(router.aclose())
        self._loop.close()

    def ask(self, wire: str) -> list[str]:
        """Ask through every face; what came of each.

        Raises:
            Bare: an error was not typed.
            Leak: a place, a reservation, a flight or a task is left.
        """
        outcomes: list[str] = []
        for face in (*CORE_FACES, *(FRAMEWORK_FACES if self._frameworks else ())):
            router = self._routers[wire]
            parts = router._parts
            fresh = parts.settings.opened_state(parts.world.draw, parts.world.read_wall)
            fresh.know(router.routes)
            router._parts = replace(parts, state=fresh)  # no breaker is open: the first route is asked
            try:
                response = self._call(router, face)
            except MultiRouteError as error:
                outcomes.append(type(error).__name__)
                assert KEY not in f"{error}{error!r}{pickle.dumps(error)!r}", "the key is in an error"
            except Exception as error:
                raise Bare(f"{wire}, {face}: {error!r}") from error
            else:
                outcomes.append("answer")
                self._check(response)
            self._check_nothing_left(router, f"{wire}, {face}: {outcomes[-1]}")
            self.calls += 1
        return outcomes

    def settle(self) -> None:
        """Let the loop close what is to be closed, and collect the garbage."""
        self._loop.run(asyncio.sleep(0.01))
        gc.collect()
        self._loop.run(asyncio.sleep(0.01))

    def check_growth(self) -> None:
        """See that descriptors and threads have not grown, but for a few connections that are kept.

        Raises:
            Leak: they have.
        """
        self.settle()
        descriptors, threads = open_descriptors(), threading.active_count()
        # Each of the four routers may keep a connection to either server for sync and for async code.
        if descriptors > self._baseline[0] + 16 or threads > self._baseline[1] + 4:
            raise Leak(f"{self._baseline} descriptors and threads have become {descriptors, threads}")

    def _build(self, wire: str) -> Router:
        base_url = f"{self._server.url}/v1" if wire in ("chat", "responses") else self._server.url
        api: Any = wire if wire in ("chat", "responses") else None
        first = Route(MODELS[wire], base_url=base_url, api_key=KEY, api=api, name="first", max_concurrency=4)
        second = Route("openai:gpt-4o-mini", base_url=self._server.good, api_key=KEY, api="chat", name="second")
        return Router(
            [first, second],
            deadline=SECONDS,
            attempt_timeout=SECONDS / 2,
            first_token_timeout=SECONDS / 2,
            stall_timeout=SECONDS / 2,
            total_timeout=SECONDS,
            max_retries=0,
            budget=Budget(usd=1e12, per="day", hard=True),
            cache="memory",
            ledger="memory",
            **(GUARDED if self._guarded else {}),
        )

    def _call(self, router: Router, face: str) -> Response | None:
        options: dict[str, Any] = {"cache": "refresh"} if self.calls % 3 else {}
        messages = f"Hello {self.calls}" + (f", I am {PERSONAL_DATA}" if self._guarded else "")
        if face == "generate":
            return router.generate(messages, **options)
        if face == "stream":
            return [chunk.response for chunk in router.stream(messages, **options)][-1]
        if face == "agenerate":
            return self._loop.run(router.agenerate(messages, **options))
        if face == "astream":
            return self._loop.run(_drain(router, messages, options))
        if face == "langchain":
            _exercise(ChatMultiRoute(router=router).invoke(messages))
        elif face == "langchain stream":
            for message in ChatMultiRoute(router=router).stream(messages):
                _exercise(message)
        elif face == "llamaindex":
            _exercise(MultiRoute(router=router).complete(messages))
        else:
            for message in MultiRoute(router=router).stream_complete(messages):
                _exercise(message)
        return None

    def _check(self, response: Response | None) -> None:
        """What is done with an answer afterwards must not fail either."""
        if response is None:
            return
        assert isinstance(response.text, str)
        json.dumps(response.summary())
        repr(response)
        pickle.loads(pickle.dumps(response))
        message_json.to_json(response.parts)

    def _check_nothing_left(self, router: Router, where: str) -> None:
        if self._guarded and any(PERSONAL_DATA.encode() in request for _, request in self._server.requests()):
            raise Leak(f"{where}: a request holds what is masked")
        places = {name: standing.in_flight for name, standing in router.health().routes.items()}
        if any(places.values()):
            raise Leak(f"{where}: places in flight {places}")
        shared = router._parts.spending.accounts
        assert isinstance(shared, MemoryAccounts)
        held = [(kept.account.held, len(kept.places)) for kept in shared._accounts.values()]
        if any(amount or slots for amount, slots in held):
            raise Leak(f"{where}: reservations {held}")
        if any(status.in_flight for status in router.limit_statuses()):
            raise Leak(f"{where}: places of tenants {router.limit_statuses()}")
        if flights := router._parts.cache._flights._flights:
            raise Leak(f"{where}: flights {flights}")
        loop = self._loop.get_loop()
        if tasks := [task for task in asyncio.all_tasks(loop) if not task.done()]:
            self._loop.run(asyncio.sleep(0.01))  # what the loop closes by itself
            if tasks := [task for task in asyncio.all_tasks(loop) if not task.done()]:
                raise Leak(f"{where}: tasks {tasks}")


async def _drain(router: Router, messages: str, options: dict[str, Any]) -> Response | None:
    response: Response | None = None
    async for chunk in router.astream(messages, **options):
        response = chunk.response
    return response


def _exercise(message: Any) -> None:
    repr(message)
    message.model_dump_json() if "surrogate" in repr(type(message)) else message.model_dump()
