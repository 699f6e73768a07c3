"""What a call and a chunk cost in function calls and in objects: python -m benchmarks.calls

Times differ between machines and hours, these counts do not: each face of the router, of `ChatMultiRoute` and of
`MultiRoute` is called with a provider that answers from memory, and the function calls (Python and C) of our
packages are counted, and the objects that the garbage collector has to look at afterwards. `tests/benchmarks` holds
them to the limits below, so that no change makes every call slower unseen.

The exit code is 1 if one of them is above its limit.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, Self

from langchain_core.messages import HumanMessage, SystemMessage
from llama_index.core.base.llms.types import ChatMessage
from rich.console import Console
from rich.table import Table

from benchmarks import loopback
from benchmarks.contestants import COLD, GPT, QUESTION, SYSTEM, TURNS, Canned
from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import Route, Router
from multiroute_core.providers import Reply

ROOT = Path(__file__).parent.parent
PACKAGES = tuple(str(ROOT / name) for name in ("multiroute_core", "langchain_multiroute", "llamaindex_multiroute"))
CHUNKS = 400
REPEATS = 20

LIMITS = {
    "Router.generate": (459, 20),
    "Router.agenerate": (459, 20),
    "Router.stream": (52.5, 1),
    "Router.astream": (41.5, 1),
    "ChatMultiRoute.invoke": (529, 20),
    "ChatMultiRoute.ainvoke": (526, 20),
    "ChatMultiRoute.stream": (72, 1),
    "ChatMultiRoute.astream": (61, 1),
    "MultiRoute.chat": (542, 25),
    "MultiRoute.achat": (541, 25),
    "MultiRoute.stream_chat": (71, 1),
    "MultiRoute.astream_chat": (60, 1),
}
"""For each face: the most function calls, and the most objects left to the garbage collector; a stream's per chunk.

Lower a limit when a change lowers the count: the margin is 3 %.
"""


@dataclass(frozen=True)
class Cost:
    """What one call, or one chunk of a stream, costs.

    Attributes:
        face: The method.
        calls: Function calls that begin in our packages.
        objects: Objects left to the garbage collector.
    """

    face: str
    calls: float
    objects: float


class CallCounter:
    """Counts the function calls that our packages make or receive, in a `with` block."""

    def __enter__(self) -> Self:
        self.calls = 0
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _count(self, frame: FrameType, event: str, _: Any) -> None:
        if event in ("call", "c_call") and frame.f_code.co_filename.startswith(PACKAGES):
            self.calls += 1


def build_router() -> Router:
    """A router over a provider without a network, whose answers have the headers of OpenAI's."""
    provider = Canned(CHUNKS)
    lines = (line.partition(":") for line in loopback.HEADERS.splitlines())
    headers = {name.strip(): value.strip() for name, colon, value in lines if colon}
    provider.reply = Reply(provider.reply.body, headers)
    router = Router([Route(f"openai:{GPT}", base_url="http://127.0.0.1:9/v1", api_key="k", prices="openai")])
    router._parts = replace(router._parts, providers=dict.fromkeys(router._parts.providers, provider))
    return router


def faces() -> dict[str, Callable[[], Any]]:
    """Each face as a function: what it returns is an answer, an iterator, or one of them to be awaited."""
    router = build_router()
    langchain = ChatMultiRoute(router=router, **COLD)
    llamaindex = MultiRoute(router=router, **COLD)
    messages = [SystemMessage(SYSTEM), HumanMessage(QUESTION)]
    turns = [ChatMessage(SYSTEM, role="system"), ChatMessage(QUESTION, role="user")]
    return {
        **{f"Router.{name}": functools.partial(getattr(router, name), TURNS, **COLD) for name in ROUTER},
        **{f"ChatMultiRoute.{name}": functools.partial(getattr(langchain, name), messages) for name in LANGCHAIN},
        **{f"MultiRoute.{name}": functools.partial(getattr(llamaindex, name), turns) for name in LLAMAINDEX},
    }


ROUTER = ("generate", "agenerate", "stream", "astream")
LANGCHAIN = ("invoke", "ainvoke", "stream", "astream")
LLAMAINDEX = ("chat", "achat", "stream_chat", "astream_chat")


async def consume(ask: Callable[[], Any]) -> int:
    """Ask once; return the number of chunks, 1 for a whole answer."""
    answer = ask()
    if isinstance(answer, Awaitable):
        answer = await answer
    if hasattr(answer, "__aiter__"):
        return len([chunk async for chunk in answer])
    if hasattr(answer, "__next__"):
        return len(list(answer))
    return 1


async def measure(face: str, ask: Callable[[], Any]) -> Cost:
    """Measure one face; a stream's whole cost is divided by its chunks."""
    for _ in range(3):
        chunks = await consume(ask)
    repeats = REPEATS if chunks == 1 else 2
    with CallCounter() as counter:
        for _ in range(repeats):
            await consume(ask)
    gc.collect()
    gc.disable()
    try:
        before = gc.get_count()[0]
        for _ in range(repeats):
            await consume(ask)
        objects = gc.get_count()[0] - before
    finally:
        gc.enable()
    return Cost(face, counter.calls / repeats / chunks, objects / repeats / chunks)


def is_within_limits(cost: Cost) -> bool:
    """Whether a face costs no more than its limits."""
    calls, objects = LIMITS[cost.face]
    return cost.calls <= calls and cost.objects <= objects


async def measure_all() -> list[Cost]:
    """Measure every face."""
    return [await measure(face, ask) for face, ask in faces().items()]


def main() -> int:
    """Print the table."""
    costs = asyncio.run(measure_all())
    table = Table("face", title="per call, or per chunk of a stream")
    for head in ("function calls", "limit", "objects left", "limit", ""):
        table.add_column(head, justify="right")
    for cost in costs:
        calls, objects = LIMITS[cost.face]
        verdict = "ok" if is_within_limits(cost) else "short"
        table.add_row(cost.face, f"{cost.calls:,.1f}", f"{calls:g}", f"{cost.objects:.2f}", f"{objects:g}", verdict)
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    return 0 if all(map(is_within_limits, costs)) else 1


if __name__ == "__main__":
    sys.exit(main())
