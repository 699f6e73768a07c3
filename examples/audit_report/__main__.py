"""An audit report from long documents: findings of each section in parallel, then one summary, in Markdown.

python examples/audit_report                     # no key and no network: models that follow three rules
OPENAI_API_KEY=… python examples/audit_report    # the providers whose keys are set
Needs: pip install 'multiroute-llm[langchain,guards,openai,anthropic,google]' rich tqdm
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from offline_auditor import offline_routes
from papers import write_papers
from pydantic import BaseModel, Field
from rich.console import Console
from rich.markdown import Markdown

from langchain_multiroute import ChatMultiRoute, ProgressBar
from multiroute_core import Budget, ConfigurationError, MultiRouteError, Router, options
from multiroute_core.guards import Block, GuardedText, mask_personal_data

RULES = "You are an auditor. List what breaks a rule of payments, access or purchases. Quote word for word."
MAP = ChatPromptTemplate([("system", RULES), ("user", "Document: {title}\n\n{section}")])
REDUCE = ChatPromptTemplate([("user", "Summarize these audit findings for the board in three sentences:\n{findings}")])
SEVERITIES = ("high", "medium", "low")


class Finding(BaseModel):
    """One thing that breaks a rule."""

    entry: str = Field(description="The number of the entry, such as P-1003")
    title: str = Field(description="What is wrong, in a few words; the same words for the same fault")
    severity: Literal["high", "medium", "low"]
    quote: str = Field(description="The words of the document that show it, unchanged")
    advice: str = Field(description="What to do, in one sentence")


class Findings(BaseModel):
    """The findings in a section; the list is empty if nothing breaks a rule."""

    findings: list[Finding]


class Audited(NamedTuple):
    """The findings with their documents, the sections that could not be read, and the summary."""

    findings: list[tuple[str, Finding]]
    unread: list[str]
    summary: str


class Exit:
    """A guard behind the masking: it counts the placeholders, and lets no e-mail address pass."""

    def __init__(self) -> None:
        self.placeholders: list[str] = []

    def __call__(self, text: GuardedText) -> Block | None:
        """Check one text on its way to a model."""
        self.placeholders += re.findall(r"\[([A-Z]+)_\d+\]", text.text)
        return Block("an e-mail address") if "@" in text.text else None


def split(text: str, size: int = 10) -> list[str]:
    """Sections of `size` entries."""
    entries = text.split("\n\n")
    return ["\n\n".join(entries[start : start + size]) for start in range(0, len(entries), size)]


def audit(router: Router, papers: dict[str, str]) -> Audited:
    """Read all sections at once, and summarize what is found."""
    llm = ChatMultiRoute(router=router, temperature=0, max_tokens=1_500)
    inputs = [{"title": title, "section": section} for title, text in papers.items() for section in split(text)]
    reader = MAP | llm.with_structured_output(Findings)
    with options(labels={"map"}, priority="batch"), ProgressBar(len(inputs)) as bar:
        answers = reader.batch(inputs, config={"callbacks": [bar], "max_concurrency": 8}, return_exceptions=True)
    findings: list[tuple[str, Finding]] = []
    unread: list[str] = []
    for source, answer in zip(inputs, answers, strict=True):
        if isinstance(answer, Findings):  # a finding whose quote is not in the section may be made up as well
            findings += [(source["title"], each) for each in answer.findings if each.quote in source["section"]]
        else:
            unread.append(f"{source['title']}, from {source['section'].partition('.')[0]}: {type(answer).__name__}")
    findings.sort(key=lambda pair: (SEVERITIES.index(pair[1].severity), pair[1].title, pair[1].entry))
    facts = [{"document": title, **finding.model_dump(exclude={"advice"})} for title, finding in findings]
    try:
        with options(labels={"reduce"}):
            summary = (REDUCE | llm | StrOutputParser()).invoke({"findings": json.dumps(facts)})
    except MultiRouteError as error:
        summary = f"No summary: {error}"
    return Audited(findings, unread, summary)


def write_report(router: Router, titles: Iterable[str], audited: Audited, masked: list[str]) -> str:
    """The report in Markdown, with what it cost."""
    findings, unread, summary = audited
    rows = []
    for title in titles:
        counts = Counter(finding.severity for document, finding in findings if document == title)
        rows.append((title, *(counts[severity] for severity in SEVERITIES), counts.total()))
    parts = ["# Audit report (the documents are invented)", summary, "## Totals"]
    parts.append(_table(("document", *SEVERITIES, "all"), rows))
    for title, group in groupby(findings, key=lambda pair: pair[1].title):
        first, *others = (finding for _, finding in group)
        parts.append(f"## {title} ({first.severity}, {1 + len(others)})\n\n> {first.entry}: {first.quote}")
        parts.append(f"{first.advice}" + (f" Also: {', '.join(each.entry for each in others)}." if others else ""))
    costs = [
        (group.name, group.requests, group.failed, f"{group.input_tokens:,}", f"{group.cost:.4f}")
        for by in ("label", "route")
        for group in router.ledger.totals(by)
    ]
    parts += ["## Cost", _table(("step or route", "calls", "failed attempts", "tokens in", "USD"), costs)]
    counts = ", ".join(f"{count} {kind.lower()}" for kind, count in Counter(masked).most_common())
    parts.append(f"Masked before anything left this machine: {counts or 'nothing'}. Names of people were not masked.")
    parts += ["## Not read", "\n".join(f"* {each}" for each in unread)] if unread else ["Every section was read."]
    return "\n\n".join(parts) + "\n"


def _table(titles: Sequence[Any], rows: Sequence[Sequence[Any]]) -> str:
    lines = [titles, ["---"] + ["---:"] * (len(titles) - 1), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def build_router(budget: float, last_guard: Exit, *, offline: bool) -> Router:
    """The providers whose keys are set, or else the offline models."""
    limit = Budget(usd=budget, per="session", hard=True, name="this run")
    settings: dict[str, Any] = {"guards": [mask_personal_data(), last_guard], "budget": limit, "ledger": "memory"}
    if not offline:
        with contextlib.suppress(ConfigurationError):
            return Router(**settings)
    return Router(offline_routes(), **settings)


def main() -> int:
    """Write the report; 0 if every section was read."""
    parser = argparse.ArgumentParser(description="An audit report from three invented documents.")
    parser.add_argument("--output", type=Path, default=Path("audit_report.md"), help="the file (audit_report.md)")
    parser.add_argument("--budget", type=float, default=1.0, help="USD for this run (1.0)")
    parser.add_argument("--offline", action="store_true", help="do not ask a provider, even if its key is set")
    arguments = parser.parse_args()
    logging.getLogger("multiroute_core").setLevel(logging.ERROR)  # the report shows what its warnings would say

    papers, last_guard = write_papers(), Exit()
    with build_router(arguments.budget, last_guard, offline=arguments.offline) as router:
        audited = audit(router, papers)
        report = write_report(router, papers, audited, last_guard.placeholders)
    arguments.output.write_text(report, encoding="utf-8")
    Console(width=min(Console().width, 100)).print(Markdown(f"{report}\n\n**Written to {arguments.output}.**"))
    return 1 if audited.unread else 0


if __name__ == "__main__":
    sys.exit(main())
