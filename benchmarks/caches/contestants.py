"""Who is asked by `benchmarks.cache`: each with a cache of its own, over one provider.

It is imported in our environment and in the peers', and so imports nobody before somebody is to be asked.
"""

# The peers live in an environment of their own.
# pyright: reportMissingImports=false

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

os.environ |= {"LANGSMITH_TRACING": "false", "LANGCHAIN_TRACING_V2": "false", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}

MODEL = "gpt-4.1"
SYSTEM = "You are a terse assistant."
IN_MEMORY = "ChatOpenAI, InMemoryCache"

Store = Literal["memory", "SQLite", "Redis"]
Text = Callable[[Any], str | None]


@dataclass(frozen=True)
class Contestant:
    """One way to ask.

    Attributes:
        store: Where answers are kept.
        name: Who is asked.
        face: By which method.
        ask: Gives an answer or an iterator of chunks for what `said` has made; for the async faces, something to await
            or to iterate with `async for`.
        said: Makes of a question what `ask` takes; the time for it does not count.
        text: The text of an answer or of a chunk.
        native: Whether it is asked on an event loop.
        stream: Whether the answer comes in chunks.
    """

    store: Store
    name: str
    face: str
    ask: Callable[[Any], Any]
    said: Callable[[str], Any]
    text: Text
    native: bool
    stream: bool


@dataclass(frozen=True)
class Places:
    """Where everything is.

    Attributes:
        provider: The address of the model server.
        redis: The address of a Redis, without a database: each group has its own.
        folder: A folder for files.
    """

    provider: str
    redis: str
    folder: str


def turns(question: str) -> list[tuple[str, str]]:
    """A question, for MultiRoute's core."""
    return [("system", SYSTEM), ("user", question)]


def chat(question: str) -> list[dict[str, str]]:
    """The same as OpenAI writes it."""
    return [{"role": role, "content": text} for role, text in turns(question)]


def messages(question: str) -> list[Any]:
    """The same in LangChain's words."""
    from langchain_core.messages import HumanMessage, SystemMessage

    return [SystemMessage(SYSTEM), HumanMessage(question)]


def chat_messages(question: str) -> list[Any]:
    """The same in LlamaIndex's."""
    from llama_index.core.base.llms.types import ChatMessage

    return [ChatMessage(text, role=role) for role, text in turns(question)]


def everybody_here(places: Places) -> list[Contestant]:
    """MultiRoute in all its faces, and LangChain's chat model with LangChain's cache in memory."""
    return [*core(places), *chat_multi_route(places), *llamaindex(places), *in_memory_cache(places)]


def core(places: Places) -> list[Contestant]:
    """`multiroute_core.Router`."""
    from multiroute_core import Router

    stores: dict[Store, str] = {"memory": "memory", "SQLite": f"sqlite:///{places.folder}/core.db"}
    stores["Redis"] = f"{places.redis}/1"
    made: list[Contestant] = []
    for store, cache in stores.items():
        router = Router([_route(places)], cache=cache)
        made += [
            Contestant(store, "Router", face, getattr(router, face), turns, _text, face[0] == "a", "stream" in face)
            for face in ("generate", "agenerate", "stream", "astream")
        ]
    return made


def chat_multi_route(places: Places) -> list[Contestant]:
    """`ChatMultiRoute` with MultiRoute's cache."""
    from langchain_multiroute import ChatMultiRoute

    stores: dict[Store, str] = {"memory": "memory", "Redis": f"{places.redis}/2"}
    return [
        one
        for store, cache in stores.items()
        for one in _langchain(store, "ChatMultiRoute", ChatMultiRoute(routes=[_route(places)], cache=cache))
    ]


def llamaindex(places: Places) -> list[Contestant]:
    """LlamaIndex's `MultiRoute`."""
    from llamaindex_multiroute import MultiRoute

    llm = MultiRoute(routes=[_route(places)], cache="memory")
    text: dict[str, Text] = {"chat": lambda one: one.message.content, "stream_chat": lambda one: one.delta}
    return [
        Contestant("memory", "MultiRoute", face, getattr(llm, face), chat_messages, text[face], False, face[0] == "s")
        for face in text
    ]


def in_memory_cache(places: Places) -> list[Contestant]:
    """`ChatOpenAI` with LangChain's own cache in memory."""
    from langchain_core.caches import InMemoryCache

    return _langchain("memory", IN_MEMORY, _chat_openai(places, InMemoryCache()))


def litellm_memory(places: Places) -> list[Contestant]:
    """LiteLLM with its cache in memory; a process can have but one cache of LiteLLM's."""
    return _litellm("memory", places, {"type": "local"})


def litellm_redis(places: Places) -> list[Contestant]:
    """The same on Redis."""
    host, _, port = places.redis.rpartition("/")[2].rpartition(":")
    return _litellm("Redis", places, {"type": "redis", "host": host, "port": port, "db": 3})


def langchain_redis(places: Places) -> list[Contestant]:
    """`ChatOpenAI` with LangChain's caches on Redis: that of `langchain-redis`, and the older one."""
    import redis
    import redis.asyncio
    from langchain_community.cache import AsyncRedisCache
    from langchain_community.cache import RedisCache as CommunityCache
    from langchain_redis import RedisCache

    url = f"{places.redis}/4"
    whole = ("invoke", "ainvoke")
    made = _langchain("Redis", "ChatOpenAI, langchain-redis", _chat_openai(places, RedisCache(url)), whole)
    older = {"invoke": CommunityCache(redis.Redis.from_url(url))}
    older["ainvoke"] = AsyncRedisCache(redis.asyncio.Redis.from_url(url))
    for face, cache in older.items():
        made += _langchain("Redis", "ChatOpenAI, langchain-community", _chat_openai(places, cache), (face,))
    return made


GROUPS: Mapping[str, Callable[[Places], list[Contestant]]] = {
    "multiroute": everybody_here,
    "litellm-memory": litellm_memory,
    "litellm-redis": litellm_redis,
    "langchain-redis": langchain_redis,
}
"""Who shares a process."""

SHORTEST_ANSWER = 500
"""Bytes; shorter values on Redis are leases and probes."""

DATABASES = {"multiroute": 1, "litellm-redis": 3, "langchain-redis": 4}
"""Where on Redis a group keeps what the round trip is measured with."""


def round_trips(group: str, redis_url: str) -> tuple[list[Contestant], int]:
    """What a hit on Redis is compared with: redis-py getting a value that is there; and how many bytes that has."""
    import redis
    import redis.asyncio

    url = f"{redis_url}/{DATABASES[group]}"
    client = redis.Redis.from_url(url)
    strings = [name for name in client.scan_iter() if client.type(name) == b"string"]
    sizes = {size: name for name in strings if (size := client.strlen(name)) >= SHORTEST_ANSWER}
    if not sizes:
        client.set("a kilobyte", bytes(1000))
        sizes = {1000: b"a kilobyte"}
    size = max(sizes)  # a whole answer, beside which streamed ones are short
    getters: dict[str, Any] = {"get": client.get, "get, async": redis.asyncio.Redis.from_url(url).get}
    return [
        Contestant("Redis", "redis-py", face, lambda _, get=get: get(sizes[size]), str, str, "async" in face, False)
        for face, get in getters.items()
    ], size


def _route(places: Places) -> Any:
    from multiroute_core import Route

    return Route(f"openai:{MODEL}", base_url=f"{places.provider}/v1", api_key="k", prices="openai")


def _chat_openai(places: Places, cache: Any) -> Any:
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    return ChatOpenAI(model=MODEL, base_url=f"{places.provider}/v1", api_key=SecretStr("k"), max_retries=0, cache=cache)


def _langchain(
    store: Store, name: str, llm: Any, faces: tuple[str, ...] = ("invoke", "ainvoke", "stream", "astream")
) -> list[Contestant]:
    return [
        Contestant(store, name, face, getattr(llm, face), messages, _text, face[0] == "a", "stream" in face)
        for face in faces
    ]


def _litellm(store: Store, places: Places, settings: dict[str, Any]) -> list[Contestant]:
    import litellm
    from litellm.caching.caching import Cache

    litellm.suppress_debug_info = True
    litellm.cache = Cache(**settings)
    told: dict[str, Any] = {"model": f"openai/{MODEL}", "api_base": f"{places.provider}/v1", "api_key": "k"}
    faces: dict[str, Any] = {"completion": litellm.completion, "acompletion": litellm.acompletion}

    def one(face: str, *, stream: bool) -> Contestant:
        on: dict[str, Any] = {"stream": True} if stream else {}
        ask = lambda said: faces[face](**told, **on, messages=said)  # noqa: E731
        text: Text = _delta if stream else _content
        return Contestant(store, "litellm", face + ", stream" * stream, ask, chat, text, face[0] == "a", stream)

    return [one(face, stream=stream) for stream in (False, True) for face in faces]


def _text(answer: Any) -> str:
    return answer.text


def _content(answer: Any) -> str | None:
    return answer.choices[0].message.content


def _delta(chunk: Any) -> str | None:
    return chunk.choices[0].delta.content if chunk.choices else None
