"""Who is measured by `benchmarks.overhead`, in pairs that do the same work: ours and theirs."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import statistics
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import anthropic
import openai
from langchain_core.messages import HumanMessage, SystemMessage
from llama_index.core.base.llms.types import ChatMessage
from pydantic import SecretStr

from benchmarks import loopback
from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import Route, Router
from multiroute_core.messages import join
from multiroute_core.parsing.arguments import build
from multiroute_core.providers import Encoded, Reply
from multiroute_core.providers.openai.provider import OpenAIProvider
from multiroute_core.runtime import IO, Deadline

GPT, CLAUDE, GEMINI = "gpt-4.1", "claude-sonnet-4-6", "gemini-2.5-flash"
SYSTEM, QUESTION = "You are a terse assistant.", "What did the fox do, and what did the dog do then?"
TURNS: list[tuple[str, str]] = [("system", SYSTEM), ("user", QUESTION)]
CHAT = [{"role": role, "content": text} for role, text in TURNS]
USAGE: dict[str, Any] = {"stream_options": {"include_usage": True}}
COLD: dict[str, Any] = {"temperature": 0.0}
BRIEF: dict[str, Any] = {"max_tokens": 256}

Kind = Literal["plain", "stream"]
Text = Callable[[Any], str | None]


@dataclass
class Contestant:
    """One way to ask.

    Attributes:
        ask: Gives an answer or an iterator of chunks; for the async faces, something to await or to iterate with
            `async for`.
        text: The text of an answer or of a chunk, so that the warm-up can see that everybody gets all of it.
        seconds: What was measured: a call each, or a stream's chunk on average.
    """

    ask: Callable[[], Any]
    text: Text
    seconds: list[float] = field(default_factory=list)

    @property
    def micros(self) -> float:
        """The median, in microseconds."""
        return statistics.median(self.seconds) * 1e6


@dataclass
class Pair:
    """One row: what is wanted of `ours` is a share of `theirs`, or with `above` at most so many µs more.

    What is too short for the clock is asked `burst` times in a row, and the mean taken.
    """

    name: str
    kind: Kind
    ours: Contestant
    theirs: Contestant
    target: float
    native: bool = False
    above: bool = False
    burst: int = 1


def everybody(url: str, chunks: int) -> list[Pair]:
    """All pairs whose packages are installed, on a server at `url`; the frameworks' clients admit not every SDK."""
    pairs = sdks(url)
    for module, build_pairs in FRAMEWORK_PAIRS.items():
        with contextlib.suppress(ModuleNotFoundError):
            if importlib.util.find_spec(module):
                pairs += build_pairs(url)
    return pairs + flow(chunks)


def sdks(url: str) -> list[Pair]:
    """The router beside the SDKs' typed calls."""
    settings: dict[str, Any] = {"api_key": "k", "max_retries": 0}
    at = {"openai": f"{url}/v1", "anthropic": url}
    gpt = Router([Route(f"openai:{GPT}", base_url=at["openai"], api_key="k", prices="openai")])
    claude = Router([Route(f"anthropic:{CLAUDE}", base_url=at["anthropic"], api_key="k")])
    chat = {
        "": openai.OpenAI(base_url=at["openai"], **settings).chat.completions.create,
        "a": openai.AsyncOpenAI(base_url=at["openai"], **settings).chat.completions.create,
    }
    create = {
        "": anthropic.Anthropic(base_url=at["anthropic"], **settings).messages.create,
        "a": anthropic.AsyncAnthropic(base_url=at["anthropic"], **settings).messages.create,
    }
    said: dict[str, Any] = {"model": GPT, "messages": CHAT, **COLD}
    told: dict[str, Any] = {"model": CLAUDE, "system": SYSTEM, "messages": CHAT[1:], **BRIEF}

    def pair(face: str, mark: str, vendor: str) -> Pair:
        kind: Kind = "stream" if face == "stream" else "plain"
        on: dict[str, Any] = {"stream": True} if kind == "stream" else {}
        if vendor == "openai":
            ours = functools.partial(getattr(gpt, mark + face), TURNS, **COLD)
            theirs = functools.partial(chat[mark], **said, **on, **(USAGE if on else {}))
        else:
            ours = functools.partial(getattr(claude, mark + face), TURNS, **BRIEF)
            theirs = functools.partial(create[mark], **told, **on)
        # Anthropic's SDK makes light models of a stream's events: most of its time is HTTP, which is the same for both.
        target = (0.2 if vendor == "openai" else 0.8) if on else 0.45
        them = Contestant(theirs, TYPED[vendor, kind])
        name = f"Router.{mark}{face} / {vendor} SDK, typed"
        return Pair(name, kind, Contestant(ours, _text), them, target, native=bool(mark))

    return [pair(f, mark, v) for f in ("generate", "stream") for mark in ("", "a") for v in ("openai", "anthropic")]


def langchain(url: str) -> list[Pair]:
    """`ChatMultiRoute` beside `ChatOpenAI`."""
    from langchain_openai import ChatOpenAI

    route = Route(f"openai:{GPT}", base_url=f"{url}/v1", api_key="k", prices="openai")
    ours = ChatMultiRoute(routes=[route], **COLD)
    key = SecretStr("k")
    theirs = ChatOpenAI(model=GPT, base_url=f"{url}/v1", api_key=key, max_retries=0, stream_usage=True, **COLD)
    turns = [SystemMessage(SYSTEM), HumanMessage(QUESTION)]

    def pair(face: str, kind: Kind, target: float) -> Pair:
        mine, other = (Contestant(functools.partial(getattr(llm, face), turns), _text) for llm in (ours, theirs))
        return Pair(f"ChatMultiRoute.{face} / ChatOpenAI", kind, mine, other, target, native=face.startswith("a"))

    faces: dict[str, Kind] = {"invoke": "plain", "ainvoke": "plain", "stream": "stream", "astream": "stream"}
    return [pair(face, kind, 0.2 if kind == "stream" else 0.5) for face, kind in faces.items()]


def langchain_anthropic(url: str) -> list[Pair]:
    """`ChatMultiRoute` beside `ChatAnthropic`."""
    from langchain_anthropic import ChatAnthropic

    ours = ChatMultiRoute(routes=[Route(f"anthropic:{CLAUDE}", base_url=url, api_key="k")], **BRIEF)
    key = SecretStr("k")
    theirs = ChatAnthropic(
        model_name=CLAUDE, base_url=url, api_key=key, max_retries=0, timeout=None, stop=None, **BRIEF
    )
    turns = [SystemMessage(SYSTEM), HumanMessage(QUESTION)]

    def pair(face: str) -> Pair:
        mine, other = (Contestant(functools.partial(getattr(llm, face), turns), _text) for llm in (ours, theirs))
        return Pair(f"ChatMultiRoute.{face} / ChatAnthropic", "plain", mine, other, 0.5, native=face.startswith("a"))

    return [pair("invoke"), pair("ainvoke")]


def langchain_google(url: str) -> list[Pair]:
    """`ChatMultiRoute` beside `ChatGoogleGenerativeAI`, where `langchain-google-genai` is installed."""
    from langchain_google_genai import ChatGoogleGenerativeAI  # pyright: ignore[reportMissingImports]

    ours = ChatMultiRoute(routes=[Route(f"google:{GEMINI}", base_url=url, api_key="k")], **COLD)
    theirs: Any = ChatGoogleGenerativeAI(model=GEMINI, base_url=url, api_key="k", max_retries=0, **COLD)
    turns = [SystemMessage(SYSTEM), HumanMessage(QUESTION)]

    def pair(face: str, kind: Kind, target: float) -> Pair:
        mine, other = (Contestant(functools.partial(getattr(llm, face), turns), _text) for llm in (ours, theirs))
        name = f"ChatMultiRoute.{face} / ChatGoogleGenerativeAI"
        return Pair(name, kind, mine, other, target, native=face.startswith("a"))

    faces: dict[str, Kind] = {"invoke": "plain", "ainvoke": "plain", "stream": "stream", "astream": "stream"}
    return [pair(face, kind, 0.2 if kind == "stream" else 0.5) for face, kind in faces.items()]


def llamaindex(url: str) -> list[Pair]:
    """`MultiRoute` beside LlamaIndex's own `OpenAI`."""
    from llama_index.llms.openai import OpenAI

    route = Route(f"openai:{GPT}", base_url=f"{url}/v1", api_key="k", prices="openai")
    ours = MultiRoute(routes=[route], **COLD)
    theirs = OpenAI(model=GPT, api_base=f"{url}/v1", api_key="k", max_retries=0, **COLD)
    turns = [ChatMessage(SYSTEM, role="system"), ChatMessage(QUESTION, role="user")]

    def pair(face: str, kind: Kind, target: float) -> Pair:
        text: Text = _delta if kind == "stream" else _content
        mine = Contestant(functools.partial(getattr(ours, face), turns), text)
        on = USAGE if kind == "stream" else {}
        other = Contestant(functools.partial(getattr(theirs, face), turns, **on), text)
        return Pair(f"MultiRoute.{face} / llms.OpenAI", kind, mine, other, target, native=face.startswith("a"))

    faces: dict[str, Kind] = {"chat": "plain", "achat": "plain", "stream_chat": "stream", "astream_chat": "stream"}
    return [pair(face, kind, 0.2 if kind == "stream" else 0.5) for face, kind in faces.items()]


FRAMEWORK_PAIRS: dict[str, Callable[[str], list[Pair]]] = {
    "langchain_openai": langchain,
    "langchain_anthropic": langchain_anthropic,
    "llama_index.llms.openai": llamaindex,
    "langchain_google_genai": langchain_google,
}
"""The pairs of the frameworks by the module that they need."""


class Canned(OpenAIProvider):
    """OpenAI's codec over answers that are in this process already: what the router adds to it is the flow's own."""

    def __init__(self, chunks: int) -> None:
        super().__init__("k", "http://127.0.0.1:9/v1")
        parts = loopback.pieces(chunks)
        self.reply = Reply(json.dumps(loopback.openai_answer("".join(parts[: loopback.PLAIN]))).encode(), {})
        self.events = loopback.openai_events(parts)

    async def call(self, io: IO, limit: Deadline, encoded: Encoded) -> Reply:
        """The answer."""
        return await io.wait(limit, self.aanswer if io.native else self.answer)

    async def open(self, io: IO, limit: Deadline, encoded: Encoded) -> Any:
        """The events."""
        return await io.wait(limit, self.astart if io.native else self.start)

    def answer(self) -> Reply:
        """What stands for the SDK."""
        return self.reply

    async def aanswer(self) -> Reply:
        """The same, awaited."""
        return self.reply

    def start(self) -> Iterator[Any]:
        """What stands for the SDK's stream."""
        return (event for event in self.events)  # a generator, since the flow closes it

    async def astart(self) -> AsyncIterator[Any]:
        """The same, awaited."""
        return self.aiterate()

    async def aiterate(self) -> AsyncIterator[Any]:
        """The same, as it comes."""
        for event in self.events:
            yield event


def flow(chunks: int) -> list[Pair]:
    """The router over a provider without a network, beside that provider called directly: encode, ask, decode."""
    provider = Canned(chunks)
    router = Router([Route(f"openai:{GPT}", base_url="http://127.0.0.1:9/v1", api_key="k", prices="openai")])
    router._parts = replace(router._parts, providers=dict.fromkeys(router._parts.providers, provider))
    route, (request, _) = router.routes[0], build(TURNS, COLD)

    def generate() -> Any:
        encoded = provider.encode(request, route, stream=False)
        return provider.decode(provider.answer(), encoded)

    async def agenerate() -> Any:
        encoded = provider.encode(request, route, stream=False)
        return provider.decode(await provider.aanswer(), encoded)

    def stream() -> Iterator[Any]:
        decoder = provider.decoder(provider.encode(request, route, stream=True))
        for event in provider.start():
            if (delta := decoder.feed(event)) is not None and delta.parts:
                yield delta

    async def astream() -> AsyncIterator[Any]:
        decoder = provider.decoder(provider.encode(request, route, stream=True))
        async for event in await provider.astart():
            if (delta := decoder.feed(event)) is not None and delta.parts:
                yield delta

    def pair(direct: Callable[[], Any]) -> Pair:
        face = direct.__name__
        kind: Kind = "stream" if "stream" in face else "plain"
        ours = Contestant(functools.partial(getattr(router, face), TURNS, **COLD), _text)
        target, burst = (3.0, 1) if kind == "stream" else (60.0, 50)
        name, theirs = f"the flow of {face} / its provider alone", Contestant(direct, _parts)
        return Pair(name, kind, ours, theirs, target, native=face.startswith("a"), above=True, burst=burst)

    return [pair(direct) for direct in (generate, agenerate, stream, astream)]


def _text(answer: Any) -> str:
    return answer.text


def _parts(delta: Any) -> str:
    return join(delta.parts)


def _content(answer: Any) -> str | None:
    return answer.message.content


def _delta(chunk: Any) -> str | None:
    return chunk.delta


TYPED: dict[tuple[str, Kind], Text] = {
    ("openai", "plain"): lambda answer: answer.choices[0].message.content,
    ("openai", "stream"): lambda chunk: chunk.choices[0].delta.content if chunk.choices else None,
    ("anthropic", "plain"): lambda answer: answer.content[0].text,
    ("anthropic", "stream"): lambda event: event.delta.text if event.type == "content_block_delta" else None,
}
"""Where the SDKs' models have the text."""
