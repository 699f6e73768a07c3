"""A process that makes many calls or holds many streams through one client.

`python benchmarks/peers/load_caller.py NAME`, started by `benchmarks.beside_litellm` for each client, in our
environment or in that of the peers; so it imports nothing of this repository but the client. Lines of JSON come in on
stdin, lines of JSON go out on stdout; it ends with stdin.

* `open` creates the client for a server at `url`.
* `load` makes `count` calls in each of `in_flight` tasks; gives CPU seconds of the process per call.
* `streams` opens `count` streams and reads the first chunk of each; gives the bytes of memory before and with all open.
* `flow` makes `count` calls, one after the other, through LiteLLM's router and directly of the provider behind it,
  which uses no network; gives CPU seconds per call for both, sync and async.
"""

# The peers live in an environment of their own.
# pyright: reportMissingImports=false

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol, cast

os.environ |= {"LANGSMITH_TRACING": "false", "LANGCHAIN_TRACING_V2": "false", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
# By default LiteLLM opens 500 connections to a host, and stream 501 waits for one of the others to end
# (findings/litellm_waits_behind_500_streams.sh).
os.environ |= {"AIOHTTP_CONNECTOR_LIMIT": "5000", "AIOHTTP_CONNECTOR_LIMIT_PER_HOST": "5000"}

MODEL = "gpt-4.1"
TURNS: list[dict[str, str]] = [
    {"role": "system", "content": "You are a terse assistant."},
    {"role": "user", "content": "What did the fox do, and what did the dog do then?"},
]


class Client(Protocol):
    """One way to ask a model."""

    async def ask(self) -> str:
        """Return the text of the answer."""
        ...

    def stream(self) -> AsyncIterator[str]:
        """Yield the text of the answer as it comes."""
        ...


class OfRouter:
    """`multiroute_core.Router`."""

    package = "multiroute-llm"

    def __init__(self, url: str) -> None:
        from multiroute_core import Route, Router

        route = Route(f"openai:{MODEL}", base_url=f"{url}/v1", api_key="k", prices="openai")
        self.router = Router([route], max_retries=0)
        self.turns = [(turn["role"], turn["content"]) for turn in TURNS]

    async def ask(self) -> str:
        return (await self.router.agenerate(self.turns, temperature=0.0)).text

    async def stream(self) -> AsyncIterator[str]:
        async for chunk in self.router.astream(self.turns, temperature=0.0):
            yield chunk.text


class _OfLangChain:
    llm: Any

    async def ask(self) -> str:
        return (await self.llm.ainvoke(TURNS)).text

    async def stream(self) -> AsyncIterator[str]:
        async for chunk in self.llm.astream(TURNS):
            yield chunk.text


class OfChatMultiRoute(_OfLangChain):
    """`langchain_multiroute.ChatMultiRoute`."""

    package = "multiroute-llm"

    def __init__(self, url: str) -> None:
        from langchain_multiroute import ChatMultiRoute
        from multiroute_core import Route

        route = Route(f"openai:{MODEL}", base_url=f"{url}/v1", api_key="k", prices="openai")
        self.llm = ChatMultiRoute(route, temperature=0.0, max_retries=0)


class OfChatOpenAI(_OfLangChain):
    """LangChain's `ChatOpenAI`."""

    package = "langchain-openai"

    def __init__(self, url: str) -> None:
        from langchain_openai import ChatOpenAI
        from pydantic import SecretStr

        self.llm = ChatOpenAI(
            model=MODEL, base_url=f"{url}/v1", api_key=SecretStr("k"), max_retries=0, temperature=0.0, stream_usage=True
        )


class OfLiteLLM:
    """`litellm.Router`."""

    package = "litellm"

    def __init__(self, url: str) -> None:
        import litellm

        litellm.suppress_debug_info = True
        settings = {"model": f"openai/{MODEL}", "api_base": f"{url}/v1", "api_key": "k", "temperature": 0.0}
        self.router = litellm.Router(model_list=[{"model_name": "m", "litellm_params": settings}], num_retries=0)

    async def ask(self) -> str:
        return (await self.router.acompletion(model="m", messages=TURNS)).choices[0].message.content

    async def stream(self) -> AsyncIterator[str]:
        chunks = await self.router.acompletion(
            model="m", messages=TURNS, stream=True, stream_options={"include_usage": True}
        )
        async for chunk in chunks:
            if chunk.choices:
                yield chunk.choices[0].delta.content or ""


CLIENTS: dict[str, type[Any]] = {
    "Router": OfRouter,
    "ChatMultiRoute": OfChatMultiRoute,
    "ChatOpenAI": OfChatOpenAI,
    "LiteLLM": OfLiteLLM,
}


async def load(client: Client, in_flight: int, count: int) -> dict[str, float]:
    """Make `count` calls in each of `in_flight` tasks."""

    async def repeat() -> None:
        for _ in range(count):
            assert await client.ask()

    gc.collect()
    began = time.process_time()
    await asyncio.gather(*(repeat() for _ in range(in_flight)))
    return {"cpu": (time.process_time() - began) / (in_flight * count)}


def read_memory() -> int:
    """Return the bytes of memory that the process has now."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def hold_streams(client: Client, count: int) -> dict[str, float]:
    """Open `count` streams, and read the first text of each."""

    async def open_one() -> AsyncIterator[str]:
        chunks = client.stream()
        while not await anext(chunks):
            pass
        return chunks

    before = read_memory()
    streams = [await open_one() for _ in range(count)]
    after = read_memory()
    for chunks in streams:
        with contextlib.suppress(Exception):
            await cast("Any", chunks).aclose()
    return {"before": before, "open": after}


async def measure_flow(body: dict[str, Any], count: int) -> dict[str, float]:
    """Measure LiteLLM's router over a provider without a network, and that provider alone."""
    import litellm

    class Canned(litellm.CustomLLM):
        def completion(self, *_: Any, **__: Any) -> Any:
            return litellm.ModelResponse(**body)

        async def acompletion(self, *_: Any, **__: Any) -> Any:
            return litellm.ModelResponse(**body)

    handler = Canned()
    litellm.custom_provider_map = [{"provider": "canned", "custom_handler": handler}]
    settings = {"model": f"canned/{MODEL}", "temperature": 0.0}
    router = litellm.Router(model_list=[{"model_name": "m", "litellm_params": settings}], num_retries=0)
    calls: dict[str, Callable[[], Any]] = {
        "completion": lambda: router.completion(model="m", messages=TURNS),
        "acompletion": lambda: router.acompletion(model="m", messages=TURNS),
        "provider": handler.completion,
        "aprovider": handler.acompletion,
    }
    return {name: await _repeat(call, count) for name, call in calls.items()}


async def _repeat(call: Callable[[], Any], count: int) -> float:
    for _ in range(5):
        await _complete(call())
    began = time.process_time()  # LiteLLM logs in other threads, which belong to the call
    for _ in range(count):
        await _complete(call())
    return (time.process_time() - began) / count


async def _complete(answer: Any) -> None:
    if isinstance(answer, Awaitable):
        answer = await answer
    assert answer.choices[0].message.content


def main() -> None:
    """Do what the lines say."""
    # What libraries print must not stand between the answers.
    out, sys.stdout = sys.stdout, sys.stderr
    client_class = CLIENTS[sys.argv[1]]
    client: Any = None
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            command = json.loads(line)
            result: dict[str, Any] = {}
            match command["do"]:
                case "open":
                    client = client_class(command["url"])
                    result = {"version": importlib.metadata.version(client_class.package)}
                case "load":
                    result = runner.run(load(client, command["in_flight"], command["count"]))
                case "streams":
                    result = runner.run(hold_streams(client, command["count"]))
                case "flow":
                    result = runner.run(measure_flow(command["body"], command["count"]))
                case other:
                    raise ValueError(other)
            print(json.dumps(result), file=out, flush=True)


if __name__ == "__main__":
    main()
