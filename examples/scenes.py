"""The scenes of the demo, each with what must come of it.

All of them share one router, and what it learns in one scene it knows in the next: a provider that has been down is
left alone for a while.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable
from llama_index.core import Document, SimpleKeywordTableIndex
from llama_index.core.node_parser import MarkdownNodeParser
from screen import Screen
from stage import REPLIES, Stage

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import (
    Budget,
    BudgetExceededError,
    ConfigurationError,
    MultiRouteError,
    Route,
    Router,
    StreamInterruptedError,
    options,
)

DOCUMENTS = Path(__file__).parent / "documents"
PROMPT = ChatPromptTemplate([("system", "Answer in one or two sentences."), ("user", "{question}")])
SETTINGS: dict[str, Any] = {"max_tokens": 80, "temperature": 0}


class UnmetError(Exception):
    """Something in a scene was not as it should be."""


class Show:
    """What the scenes play with: the embedded providers, one router, and a chain and a query engine on top of it."""

    def __init__(self, stage: Stage, screen: Screen) -> None:
        self.stage, self.screen = stage, screen
        self.router = Router([*stage.routes, Route("local:smollm2", backup=True)], on_event=[screen])
        self.use(self.router)
        texts = [Document(text=path.read_text(encoding="utf-8")) for path in sorted(DOCUMENTS.glob("*.md"))]
        # Sections are found by their keywords: that needs no embeddings, so no model and no network.
        self.index = SimpleKeywordTableIndex(MarkdownNodeParser().get_nodes_from_documents(texts), llm=self.llm)

    def use(self, router: Router) -> None:
        """Put the chain and the query engine on `router`."""
        model = ChatMultiRoute(router=router, **SETTINGS, tenant="chain")
        self.chain: Runnable[Any, str] = PROMPT | model | StrOutputParser()
        self.llm = MultiRoute(router=router, **SETTINGS, tenant="engine")

    def ask_chain(self, question: str) -> str:
        """The chain's answer."""
        return self.chain.invoke({"question": question})

    def ask_engine(self, question: str) -> str:
        """The query engine's answer."""
        return str(self.engine().query(question))

    def engine(self, *, streaming: bool = False) -> Any:
        """A query engine over the runbooks in documents/."""
        return self.index.as_query_engine(llm=self.llm, streaming=streaming, num_chunks_per_query=2)

    def expect(self, truth: bool, otherwise: str) -> None:  # noqa: FBT001
        """Go on if it is true."""
        if not truth:
            raise UnmetError(otherwise)


@dataclass(frozen=True)
class Scene:
    """One scene: what it shows, what must come of it, and how it goes."""

    title: str
    expected: str
    play: Callable[[Show], None]


def all_well(show: Show) -> None:
    def ask() -> None:
        show.screen.quote(show.ask_chain("What should we do first when a model provider is down?"))
        show.screen.quote(show.ask_engine("What opens the breaker of a failing provider?"))

    if (live := live_router(show.screen)) is not None:
        show.screen.say("   Keys found: this scene asks the real providers, the others the embedded ones.", "yellow")
        try:
            with live:
                show.use(live)
                ask()
        except MultiRouteError as error:
            why = str(error).splitlines()[0]
            raise UnmetError(
                f"{why} Without keys in the environment this scene uses the embedded providers."
            ) from error
        finally:
            show.use(show.router)
        return
    show.stage.well(
        "anthropic",
        "Look at which routes have answered in the last five minutes; if one has, your users are being served.",
        "Three failures in a row open it, and one probe a minute finds out when the provider is well again.",
    )
    ask()
    show.expect(show.screen.record.tried == ["anthropic"] * 2, "another route than the first was asked")


def live_router(screen: Screen) -> Router | None:
    """A router over the real providers whose keys are in the environment, if there are any."""
    try:
        return Router(on_event=[screen], deadline=20)
    except ConfigurationError:
        return None


def by_task(show: Show) -> None:
    with options(task="code_generation"):
        show.ask_engine("Write a function that waits as long as Retry-After says.")
    with options(task="long_context"):
        show.ask_engine("Summarize what the runbooks say about a broken stream.")
    answered = show.screen.record.answered
    show.expect(answered == ["openai", "google"], f"the answers came from {' and '.join(answered)}")


def on_the_loop(show: Show) -> None:
    async def read() -> int:
        pieces = 0
        response = await show.engine(streaming=True).aquery("What should we do when a provider is down?")
        async for piece in response.async_response_gen():
            show.screen.stream(piece)
            pieces += bool(piece)
        return pieces

    async def both() -> tuple[int, str]:
        return await asyncio.gather(read(), show.chain.ainvoke({"question": "What is a stream?"}))

    pieces, answer = asyncio.run(both())
    show.expect(pieces > 10, f"the stream came in {pieces} pieces")
    show.expect(bool(answer), "the chain gave no answer")


def again(show: Show) -> None:
    before, said = show.stage.hits("anthropic"), []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):  # as when the kernel of a notebook starts anew, and every cell runs again
            with Router(show.stage.routes, cache=f"sqlite:///{folder}/llm.db", on_event=[show.screen]) as router:
                chain = PROMPT | ChatMultiRoute(router=router, **SETTINGS, tenant="chain") | StrOutputParser()
                said.append(list(chain.stream({"question": "What is a circuit breaker?"})))
    hits = show.stage.hits("anthropic") - before
    show.expect(said[0] == said[1], "the second run said something else, or in other pieces")
    show.expect(hits == 1, f"the provider was asked {hits} times")
    show.expect(show.screen.record.spared > 0, "the second run told of nothing that it spared")


def outage(show: Show) -> None:
    show.stage.down("anthropic")
    before = show.stage.hits("anthropic")
    for number in range(1, 6):
        show.ask_chain(f"Incident {number}: what should we do?")
        show.ask_engine(f"Incident {number}: what does the runbook say about a provider that is down?")
    answered, hits = show.screen.record.answered, show.stage.hits("anthropic") - before
    show.expect(answered == ["openai"] * 10, f"OpenAI answered {answered.count('openai')} of 10 calls")
    show.expect(hits <= 4, f"{hits} calls reached the provider that is down")


def broken_streams(show: Show) -> None:
    def read() -> None:
        for piece in show.chain.stream({"question": "What should we do about a provider that fails?"}):
            show.screen.stream(piece)

    show.stage.breaks("openai", after_chunks=1)  # the first chunk of OpenAI's wire holds no text
    read()
    show.expect(show.screen.record.answered == ["google"], "a stream that broke before its first word was not moved on")
    show.stage.breaks("openai", after_chunks=9)
    try:
        read()
    except StreamInterruptedError as error:
        kept = error.partial.text if error.partial else ""
        show.screen.say(f"   StreamInterruptedError; its .partial keeps “{kept.strip()}”", "yellow")
        show.expect(bool(kept), "nothing was kept of the stream that broke")
    else:
        show.expect(False, "a stream that broke was taken for a whole answer")


def goes_on(show: Show) -> None:
    show.ask_chain("Are you well again?")  # three failures in a row would have it left alone
    show.stage.breaks("openai", after_chunks=9)
    show.stage.well("google", REPLIES["openai"])  # it says all of it again, as a model may
    said: list[str] = []
    with options(on_stream_error="continue"):
        for piece in show.chain.stream({"question": "What should we do about a rate limit?"}):
            show.screen.stream(piece)
            said.append(piece)
    show.expect(show.screen.record.answered == ["openai", "google"], "Gemini did not go on")
    show.expect("".join(said) == REPLIES["openai"], "something was said twice, or not at all")


def rate_limit(show: Show) -> None:
    show.stage.limited("openai", seconds=30)
    before, began = show.stage.hits("openai"), time.monotonic()
    for _ in range(2):
        show.ask_chain("How long do we wait after a 429?")
        show.ask_engine("What does Retry-After mean for rate limits?")
    hits, seconds = show.stage.hits("openai") - before, time.monotonic() - began
    answered = show.screen.record.answered
    show.expect(answered == ["google"] * 4, f"Gemini answered {answered.count('google')} of 4 calls")
    show.expect(hits == 1, f"OpenAI was called {hits} times, though its cooldown had not ended")
    show.expect(seconds < 10, f"four calls took {seconds:.0f} s: somebody waited")


def all_down(show: Show) -> None:
    for vendor in show.stage.servers:
        show.stage.down(vendor, 503)
    answers: list[str] = []
    for ask, question in (
        (show.ask_chain, "Our model provider is down. Write one friendly sentence to our customers."),
        (show.ask_engine, "What does the embedded model on our own machine cost?"),
    ):
        answers.append(ask(question))
        show.screen.quote(answers[-1])
    show.expect(show.screen.record.answered == ["local", "local"], "the local model did not answer both")
    show.expect(all(len(answer.split()) > 3 for answer in answers), "the local model has said next to nothing")


def spent(show: Show) -> None:
    """One tenant's money is gone; another's is not."""
    before, answers, refusal = show.stage.hits("anthropic"), 0, ""
    budget = Budget(usd=0.003, per="session", scope="tenant", hard=True)
    with Router(show.stage.routes[:1], budget=budget, on_event=[show.screen], ledger="memory") as router:
        chain = PROMPT | ChatMultiRoute(router=router, **SETTINGS) | StrOutputParser()
        with options(tenant="intern"):
            while not refusal and answers < 50:
                try:
                    chain.invoke({"question": f"What is {answers} and one?"})
                    answers += 1
                except BudgetExceededError as error:
                    refusal = str(error)
        show.screen.quote(refusal)
        with options(tenant="team"):
            chain.invoke({"question": "What is a budget?"})
        paid = router.ledger.spent(since=0.0, tenant="intern").usd
        show.screen.say("   " + str(router.budgets()).replace("\n", "\n   "), "dim")
    hits = show.stage.hits("anthropic") - before
    show.expect("left of 0.003 USD" in refusal, "the intern was never refused")
    show.expect(hits == answers + 1, f"the provider was asked {hits} times for {answers + 1} answers")
    show.expect(0.0 < paid <= 0.003, f"the intern has spent {paid:.6f} USD")


SCENES = (
    Scene("All is well", "the first route answers", all_well),
    Scene("Routed by task", "code goes to OpenAI, long texts to Gemini", by_task),
    Scene("On an event loop", "the engine streams while the chain answers", on_the_loop),
    Scene("A notebook runs again", "one call; the second run costs nothing", again),
    Scene("A budget is spent", "the next call is refused and sends nothing; others go on", spent),
    Scene("Anthropic is down", "OpenAI answers 10 of 10; at most 4 reach Anthropic", outage),
    Scene("Streams break", "early: moved on unseen; late: an error keeps the text", broken_streams),
    Scene("A stream goes on", "another route ends the sentence, unseen", goes_on),
    Scene("OpenAI is limited", "Gemini answers at once", rate_limit),
    Scene("Everything is down", "the local model answers", all_down),
)


def perform(show: Show, scenes: Sequence[Scene]) -> bool:
    """Play the scenes and print the table; whether each ended as it should."""
    for scene in scenes:
        show.screen.begin(scene.title, scene.expected)
        problem: str | None = None
        try:
            scene.play(show)
        except UnmetError as error:
            problem = str(error)
        except Exception as error:
            problem = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        show.screen.end(problem)
    return show.screen.finish()
