"""Questions to the medical literature: retrieval, answers with checked citations, and a table of the evidence.

python examples/literature_qa                     # no key and no network: models that copy from the abstracts
OPENAI_API_KEY=… python examples/literature_qa    # the providers whose keys are set
python examples/literature_qa --budget 0.10 "Is tarivone safe for the liver?"
Needs: pip install 'multiroute-llm[llamaindex,openai,anthropic,google]' rich
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import math
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from llama_index.core.prompts import PromptTemplate
from llama_index.core.query_engine import CitationQueryEngine
from llama_index.core.query_engine.citation_query_engine import CITATION_QA_TEMPLATE
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from offline_models import offline_routes
from pydantic import BaseModel, Field
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from llamaindex_multiroute import MultiRoute
from multiroute_core import Budget, BudgetExceededError, ConfigurationError, MultiRouteError, Record, Router, options

QUESTIONS = [
    "Does tarivone reduce monthly migraine days in adults?",
    "How often do liver enzymes rise with tarivone?",
    "What happens when tarivone is withdrawn after one year?",
    "Do oral contraceptives interact with tarivone?",
]
EXTRACT = PromptTemplate("Fill in the fields from this abstract, and from nothing else.\n\n{abstract}")


class Study(BaseModel):
    """What one abstract reports."""

    design: str = Field(description="The design of the study, in a few words")
    participants: int = Field(description="The number of participants; 0 if it is not stated")
    finding: str = Field(description="The main finding, in one sentence")
    effect: str = Field(description="The effect and its interval, word for word; else: not stated")


class BM25Retriever(BaseRetriever):
    """Okapi BM25 over whole abstracts, with its usual weights: no embeddings, so no model and no network."""

    def __init__(self, nodes: list[TextNode], top: int = 3, k1: float = 1.2, b: float = 0.75) -> None:
        self.nodes, self.top, self.k1, self.b = nodes, top, k1, b
        self.counts = [Counter(re.findall(r"[a-z]{2,}", node.text.lower())) for node in nodes]
        self.mean = sum(c.total() for c in self.counts) / len(nodes)
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        wanted = set(re.findall(r"[a-z]{2,}", query_bundle.query_str.lower()))
        scored = [
            NodeWithScore(node=n, score=self._score(c, wanted)) for n, c in zip(self.nodes, self.counts, strict=True)
        ]
        return sorted(scored, key=lambda node: -(node.score or 0.0))[: self.top]

    def _score(self, counts: Counter[str], wanted: set[str]) -> float:
        score = 0.0
        for word in wanted:
            holders = sum(word in other for other in self.counts)
            rarity = math.log(1 + (len(self.nodes) - holders + 0.5) / (holders + 0.5))
            length = 1 - self.b + self.b * counts.total() / self.mean
            score += rarity * counts[word] * (self.k1 + 1) / (counts[word] + self.k1 * length)
        return score


class Desk:
    """Answers questions on a screen, and collects the evidence behind the answers."""

    def __init__(self, router: Router, abstracts: list[dict[str, Any]], console: Console) -> None:
        self.router, self.console = router, console
        self.llm = MultiRoute(router=router, temperature=0, max_tokens=300)
        nodes = [TextNode(id_=each["id"], text=each["text"], metadata=each) for each in abstracts]
        writer = get_response_synthesizer(llm=self.llm, text_qa_template=CITATION_QA_TEMPLATE, streaming=True)
        self.engine = CitationQueryEngine(BM25Retriever(nodes), llm=self.llm, response_synthesizer=writer)
        self.studies: dict[str, tuple[dict[str, Any], Study]] = {}

    def ask(self, question: str) -> bool:
        """Answer one question, and read the studies that the answer cites; returns whether that worked."""
        self.console.print(f"\n[bold]{question}[/]")
        attempts = len(list(self.router.ledger.query()))
        try:
            with options(labels={"answers"}):
                response: Any = self.engine.query(question)
                text = ""
                with Live(console=self.console) as live:
                    for piece in response.response_gen:  # the next model goes on where one breaks off
                        text += piece
                        live.update(Text(text, "cyan"))
            sources = [node.node.metadata for node in response.source_nodes]
            for source in self._check_citations(text, sources, list(self.router.ledger.query())[attempts:]):
                if source["id"] not in self.studies:
                    with options(labels={"evidence"}):
                        study = self.llm.structured_predict(Study, EXTRACT, abstract=source["text"])
                    self.studies[source["id"]] = (source, study)
        except MultiRouteError as error:
            style = "yellow" if isinstance(error, BudgetExceededError) else "red"
            self.console.print(f"Not answered: {str(error).splitlines()[0]}", style=style, markup=False)
            return False
        return True

    def _check_citations(self, text: str, sources: list[Any], attempts: list[Record]) -> list[dict[str, Any]]:
        """Show what the answer cites, and by which routes it came; returns the cited abstracts."""
        self.console.print()
        numbers = sorted({int(number) for number in re.findall(r"\[(\d+)\]", text)})
        known = {number: sources[number - 1] for number in numbers if 0 < number <= len(sources)}
        for number, source in known.items():
            self.console.print(f"   [dim]\\[{number}] {source['id']}, {source['year']}. {source['title']}[/]")
        if not known or len(known) < len(numbers):
            self.console.print(
                "   [red]A citation is missing or is not among the sources: do not trust this answer.[/]"
            )
        path = " → ".join(f"{attempt.route}: {attempt.outcome}" for attempt in attempts)
        self.console.print(f"   {path}", style="dim" if len(attempts) == 1 else "yellow")
        return list(known.values())

    def show_evidence(self) -> None:
        """The table of all studies that were cited."""
        table = Table(title="Evidence behind the answers", box=SIMPLE_HEAD, title_justify="left", expand=True)
        for title, ratio in (("study", 6), ("design", 10), ("n", 5), ("finding", 28), ("effect", 14)):
            table.add_column(title, ratio=ratio, justify="right" if title == "n" else "left")
        for source, study in sorted(self.studies.values(), key=lambda pair: pair[0]["id"]):
            is_quoted = study.effect in f"{source['text']} not stated"  # a made-up figure is worse than none
            effect = study.effect if is_quoted else f"[red]{study.effect} (not in the abstract)[/]"
            table.add_row(source["id"], study.design, f"{study.participants:,}", study.finding, effect)
        self.console.print(table)


def build_router(budget: float, *, offline: bool) -> Router:
    """The providers whose keys are set, or else the offline models."""
    run = Budget(usd=budget, per="session", hard=True, name="this run")
    settings: dict[str, Any] = {"on_stream_error": "continue", "budget": run, "ledger": "memory", "deadline": 60}
    if not offline:
        with contextlib.suppress(ConfigurationError):
            return Router(**settings)
    return Router(offline_routes(), **settings)


def main() -> int:
    """Answer the questions; 0 if one was answered."""
    parser = argparse.ArgumentParser(description="Questions to a few invented abstracts.")
    parser.add_argument("questions", nargs="*", default=QUESTIONS)
    parser.add_argument("--budget", type=float, default=0.025, help="USD for this run (0.025)")
    parser.add_argument("--offline", action="store_true", help="do not ask a provider, even if its key is set")
    arguments = parser.parse_args()
    logging.getLogger("multiroute_core").setLevel(logging.ERROR)  # the screen shows what its warnings would say

    console = Console(highlight=False, width=min(Console().width, 100))
    corpus = json.loads(Path(__file__).with_name("abstracts.json").read_text(encoding="utf-8"))
    console.print(Panel(corpus["notice"], border_style="yellow"))
    with build_router(arguments.budget, offline=arguments.offline) as router:
        console.print(f"Models: {', '.join(route.name or route.model for route in router.routes)}", style="dim")
        desk = Desk(router, corpus["abstracts"], console)
        answered = sum(desk.ask(question) for question in arguments.questions)
        console.print()
        desk.show_evidence()
        console.print(str(router.ledger.totals("label")), str(router.budgets()), sep="\n\n", style="dim")
    console.print(f"\n{answered} of {len(arguments.questions)} questions answered.", style="bold")
    return 0 if answered else 1


if __name__ == "__main__":
    sys.exit(main())
