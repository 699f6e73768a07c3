"""A process that asks through one router, as `benchmarks.failover` tells it: `python benchmarks/peers/caller.py NAME`.

It runs in whatever environment has the router, ours or the peers', and so imports nothing of this repository but the
router itself. A line of JSON comes in on stdin, a line of JSON goes out on stdout; it ends with stdin.

* `open` makes a new router over `urls`, the first one first, with everything else at its defaults. `patience` is the
  time limit that it is given, where it takes one; `on_stream_error` is for MultiRoute alone.
* `ask` asks `count` times in a row, `crowd` `count` times at once, `stream` once, chunk by chunk.
"""

# The peers live in an environment of their own.
# pyright: reportMissingImports=false

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, ClassVar, Protocol

os.environ |= {"LANGSMITH_TRACING": "false", "LANGCHAIN_TRACING_V2": "false", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}

MODEL = "gpt-4.1"
QUESTION = "What did the fox do, and what did the dog do then?"
TURNS: list[dict[str, str]] = [{"role": "user", "content": QUESTION}]


class Asks(Protocol):
    """A router over two providers."""

    def ask(self) -> str:
        """The whole answer."""
        ...

    async def aask(self) -> str:
        """The same, awaited."""
        ...

    def stream(self) -> Iterator[str]:
        """The answer's text, as it comes."""
        ...


class MultiRoute:
    """`multiroute_core.Router`."""

    package = "multiroute-llm"

    def __init__(self, urls: Sequence[str], patience: float | None, on_stream_error: str | None) -> None:
        from multiroute_core import Route, Router

        routes = [Route(f"openai:{MODEL}", base_url=f"{u}/v1", api_key="k", name=f"r{i}") for i, u in enumerate(urls)]
        settings: dict[str, Any] = {} if patience is None else {"deadline": patience}
        if on_stream_error is not None:
            settings["on_stream_error"] = on_stream_error
        self.router = Router(routes, **settings)

    def ask(self) -> str:
        return self.router.generate(QUESTION).text

    async def aask(self) -> str:
        return (await self.router.agenerate(QUESTION)).text

    def stream(self) -> Iterator[str]:
        for chunk in self.router.stream(QUESTION):
            yield chunk.text


class LiteLLM:
    """`litellm.Router`, a group with one deployment for each provider."""

    package = "litellm"
    tuned: ClassVar[dict[str, Any]] = {}

    def __init__(self, urls: Sequence[str], patience: float | None, on_stream_error: str | None) -> None:
        import litellm

        litellm.suppress_debug_info = True
        models = [
            {
                "model_name": f"r{i}",
                "litellm_params": {"model": f"openai/{MODEL}", "api_base": f"{url}/v1", "api_key": "k"},
            }
            for i, url in enumerate(urls)
        ]
        settings = dict(self.tuned) if patience is None else {**self.tuned, "timeout": patience}
        others = [model["model_name"] for model in models[1:]]
        self.router = litellm.Router(model_list=models, fallbacks=[{"r0": others}], **settings)

    def ask(self) -> str:
        return self.router.completion(model="r0", messages=TURNS).choices[0].message.content

    async def aask(self) -> str:
        return (await self.router.acompletion(model="r0", messages=TURNS)).choices[0].message.content

    def stream(self) -> Iterator[str]:
        for chunk in self.router.completion(model="r0", messages=TURNS, stream=True):
            if chunk.choices:
                yield chunk.choices[0].delta.content or ""


class LiteLLMTuned(LiteLLM):
    """The same, told to leave a deployment alone after its second failure."""

    tuned: ClassVar[dict[str, Any]] = {"allowed_fails": 1}


class WithFallbacks:
    """LangChain's `with_fallbacks` over `ChatOpenAI`."""

    package = "langchain-core"
    tuned: ClassVar[dict[str, Any]] = {}

    def __init__(self, urls: Sequence[str], patience: float | None, on_stream_error: str | None) -> None:
        from langchain_openai import ChatOpenAI
        from pydantic import SecretStr

        settings = dict(self.tuned) if patience is None else {**self.tuned, "timeout": patience}
        first, *others = (ChatOpenAI(model=MODEL, base_url=f"{u}/v1", api_key=SecretStr("k"), **settings) for u in urls)
        self.model = first.with_fallbacks(others)

    def ask(self) -> str:
        return self.model.invoke(QUESTION).text

    async def aask(self) -> str:
        return (await self.model.ainvoke(QUESTION)).text

    def stream(self) -> Iterator[str]:
        for chunk in self.model.stream(QUESTION):
            yield chunk.text


class WithFallbacksTuned(WithFallbacks):
    """The same, told to ask each model once."""

    tuned: ClassVar[dict[str, Any]] = {"max_retries": 0}


EVERYBODY: dict[str, type[Any]] = {
    "multiroute": MultiRoute,
    "litellm": LiteLLM,
    "litellm-tuned": LiteLLMTuned,
    "fallbacks": WithFallbacks,
    "fallbacks-tuned": WithFallbacksTuned,
}


def ask(router: Asks, count: int) -> dict[str, Any]:
    """Ask one after the other."""
    began = time.perf_counter()
    ends = [_end(router.ask) for _ in range(count)]
    return {"seconds": time.perf_counter() - began, "ends": ends}


async def crowd(router: Asks, count: int) -> dict[str, Any]:
    """Ask all at once."""
    began = time.perf_counter()
    ends = await asyncio.gather(*(_aend(router.aask) for _ in range(count)))
    return {"seconds": time.perf_counter() - began, "ends": ends}


def stream(router: Asks) -> dict[str, Any]:
    """Read a stream: what came, how it ended, and what of it the error still has."""
    text, error = "", None
    began = time.perf_counter()
    try:
        for piece in router.stream():
            text += piece
    except Exception as failure:
        error = failure
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "text": text, "end": _named(error), "kept": error is not None and _holds(error, text)}


def _end(call: Callable[[], str]) -> str:
    try:
        return "" if call() else "nothing"
    except Exception as error:
        return _named(error)


async def _aend(call: Callable[[], Awaitable[str]]) -> str:
    try:
        return "" if await call() else "nothing"
    except Exception as error:
        return _named(error)


def _named(error: Exception | None) -> str:
    return "" if error is None else type(error).__name__


def _holds(error: BaseException | None, text: str) -> bool:
    """Whether the error, or what caused it, has the text that had come, wherever it keeps it."""
    while error is not None:
        values = [getattr(value, "text", value) for value in vars(error).values()]
        if any(text in str(value) for value in values) or text in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def main() -> None:
    """Do what the lines say."""
    # What libraries print must not stand between the answers.
    out, sys.stdout = sys.stdout, sys.stderr
    kind = EVERYBODY[sys.argv[1]]
    router: Any = None
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            told = json.loads(line)
            done: dict[str, Any] = {}
            match told["do"]:
                case "open":
                    done = {"version": importlib.metadata.version(kind.package)}
                    router = kind(told["urls"], told.get("patience"), told.get("on_stream_error"))
                case "ask":
                    done = ask(router, told["count"])
                case "crowd":
                    done = runner.run(crowd(router, told["count"]))
                case "stream":
                    done = stream(router)
                case other:
                    raise ValueError(other)
            print(json.dumps(done), file=out, flush=True)


if __name__ == "__main__":
    main()
