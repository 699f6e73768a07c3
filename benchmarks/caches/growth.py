"""What answers in memory take: `python -m benchmarks.caches.growth STORE COUNT [traced]`, in a process of its own.

Everybody is asked so many questions and keeps the answers, by their own code and in their own form; only the network is
left out: each answer is read from the bytes that a provider would send. What grows is the memory that the process has
(RSS), or with `traced` what Python has allocated: tracing takes memory itself, so it is not both at once.
"""

# The peers live in an environment of their own.
# pyright: reportMissingImports=false

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import loopback
from benchmarks.caches import contestants
from benchmarks.caches.contestants import Places

TEXT = "".join(loopback.pieces(232))
"""A kilobyte."""

BODY = json.dumps(loopback.openai_answer(TEXT)).encode()
NOWHERE = Places("http://127.0.0.1:9", "", "")

WARM = 300
"""Questions before it counts: code, buffers, free blocks."""

BOUND = 4 * 2**20
"""Of the store that gets more than it may hold."""


@dataclass(frozen=True)
class Opened:
    """A store.

    Attributes:
        ask: Gives the text of an answer, which is kept.
        held: How many are kept.
        clear: Forgets them all.
    """

    ask: Callable[[str], str]
    held: Callable[[], int]
    clear: Callable[[], None]


def multiroute(max_bytes: int = 2**30) -> Opened:
    """`MemoryCache` of the core."""
    from multiroute_core import MemoryCache, Route, Router
    from multiroute_core.providers import Encoded, Reply
    from multiroute_core.providers.openai.provider import OpenAIProvider
    from multiroute_core.runtime import IO, Deadline

    class Canned(OpenAIProvider):
        async def call(self, io: IO, limit: Deadline, encoded: Encoded) -> Reply:
            return Reply(BODY, {})

    store, url = MemoryCache(max_bytes), f"{NOWHERE.provider}/v1"
    router = Router([Route(f"openai:{contestants.MODEL}", base_url=url, api_key="k", prices="openai")], cache=store)
    router._parts = replace(router._parts, providers=dict.fromkeys(router._parts.providers, Canned("k", url)))
    return Opened(lambda question: router.generate(contestants.turns(question)).text, store.__len__, store.clear)


def bounded() -> Opened:
    """The same with a bound that is soon reached."""
    return multiroute(BOUND)


def langchain() -> Opened:
    """LangChain's `InMemoryCache`."""
    from langchain_core.caches import InMemoryCache
    from langchain_core.outputs import ChatResult
    from langchain_openai import ChatOpenAI
    from openai.types.chat import ChatCompletion
    from pydantic import SecretStr

    class Canned(ChatOpenAI):
        def _generate(self, *_: Any, **__: Any) -> ChatResult:
            return self._create_chat_result(ChatCompletion.model_validate_json(BODY))

    cache = InMemoryCache()
    llm = Canned(model=contestants.MODEL, base_url=NOWHERE.provider, api_key=SecretStr("k"), cache=cache)
    held = lambda: len(cache._cache)  # noqa: E731
    return Opened(lambda question: llm.invoke(contestants.messages(question)).text, held, cache.clear)


def litellm() -> Opened:
    """LiteLLM's, which holds 200 answers unless it is told otherwise."""
    contestants.litellm_memory(NOWHERE)
    import litellm

    store = litellm.cache.cache
    store.max_size_in_memory = 10**9

    def ask(question: str) -> str:
        response = litellm.ModelResponse(**json.loads(BODY))
        litellm.cache.add_cache(response, model=f"openai/{contestants.MODEL}", messages=contestants.chat(question))
        return response.choices[0].message.content

    return Opened(ask, lambda: len(store.cache_dict), store.flush_cache)


STORES: dict[str, Callable[[], Opened]] = {
    "multiroute": multiroute,
    "bounded": bounded,
    "langchain": langchain,
    "litellm": litellm,
}


def grown(opened: Opened, count: int, *, traced: bool) -> dict[str, Any]:
    """By how many bytes so many answers make the process larger, and how many are held then."""
    _fill(opened.ask, WARM)
    opened.clear()
    if traced:
        tracemalloc.start()
    before = _taken(traced)
    _fill(opened.ask, count)
    after = _taken(traced)
    return {"held": opened.held(), "bytes": None if before is None or after is None else after - before}


def _fill(ask: Callable[[str], str], count: int) -> None:
    for number in range(count):
        if ask(f"What did fox number {number} do, and what did the dog do then?") != TEXT:
            raise RuntimeError("An answer is not the whole text.")


def _taken(traced: bool) -> int | None:
    """Bytes; None where the system does not tell."""
    gc.collect()
    if traced:
        return tracemalloc.get_traced_memory()[0]
    with contextlib.suppress(AttributeError, OSError, TypeError):  # what was freed at start would hide what grows
        ctypes.CDLL(None).malloc_trim(0)
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def main() -> None:
    """Measure, and tell."""
    out, sys.stdout = sys.stdout, sys.stderr
    store, count, *traced = sys.argv[1:]
    print(json.dumps(grown(STORES[store](), int(count), traced=bool(traced))), file=out, flush=True)


if __name__ == "__main__":
    main()
