"""What the prompt optimizer saves: python -m benchmarks.prompts

Tokens saved per rule on recorded requests, on the long descriptions of the installed packages, on generated documents
of many pages, and on contexts of overlapping chunks; how much of a growing conversation a prompt cache can reuse when
it is trimmed; and the processor time. Every result is checked: optimizing it again changes nothing, and every fenced
code block, table row, quoted line and protected part of the input is in it, in order.

Tokens are those of o200k_base where tiktoken has it in its cache (llama-index-core brings the file), else estimates.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import itertools
import json
import os
import random
import re
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from multiroute_core import ConfigurationError, Message, PromptOptimizer
from multiroute_core.prompts import OptimizedPrompt, count_tokens, optimize
from multiroute_core.prompts.blocks import find_blocks
from multiroute_core.testing.recorded import Interaction, interactions, recorded_folder

MODEL = "openai:gpt-5"
RULES = ("whitespace", "boilerplate", "repeats")
TARGETS = {"pages": 5.0, "chunks of prose": 10.0}
"""The least share in per cent that has to be saved; other texts have little to save."""

MOST_MICROSECONDS = 1_500
"""The most processor time for 1,000 characters."""

_PROTECTED = re.compile(r"^```[\s\S]*?^```|^\|[^\n]*|^>[^\n]*", re.MULTILINE)


@dataclass(slots=True)
class Corpus:
    """The figures of one collection of prompts."""

    prompts: int = 0
    characters: int = 0
    before: int = 0
    saved: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RULES, 0))
    seconds: float = 0.0
    faults: int = 0

    def add(self, messages: Any) -> None:
        """Optimize one prompt, and check the result."""
        start = time.process_time()
        optimize(messages)
        self.seconds += time.process_time() - start
        optimized = optimize(messages, model=MODEL)
        before = "\n".join(message.text for message in optimize(messages, rules=(), model=MODEL).messages)
        self.prompts += 1
        self.characters += len(before)
        self.before += optimized.tokens_before
        for rule in RULES:
            self.saved[rule] += optimized.saved_by_rule[rule]
        self.faults += find_fault(before, optimized)

    @property
    def share(self) -> float:
        """The tokens saved in per cent."""
        return 100 * sum(self.saved.values()) / max(self.before, 1)

    @property
    def microseconds(self) -> float:
        """Processor time for 1,000 characters."""
        return 1e9 * self.seconds / max(self.characters, 1)


def find_fault(before: str, optimized: OptimizedPrompt) -> bool:
    """Whether a second pass changes the result, or something protected is not in it."""
    again = optimize(optimized.messages, model=MODEL)
    after = "\n".join(message.text for message in optimized.messages)
    spans = [span for block in find_blocks(before) for span in block.spans]
    for parts in ([match[0] for match in _PROTECTED.finditer(before)], [before[start:end] for start, end in spans]):
        place = 0
        for part in parts:
            place = after.find(part, place)
            if place < 0:
                return True
    return again.messages != optimized.messages or len(after) > len(before)


def read_recorded() -> Iterator[Any]:
    """Yield the conversations of the recorded requests that can be read."""
    folder = recorded_folder()
    for each in interactions(folder) if folder else ():
        if each.request and each.api != "other":
            messages = read_messages(each)
            try:
                optimize(messages, rules=())
            except (ConfigurationError, TypeError):  # requests that were recorded because they are wrong
                continue
            yield messages


def read_messages(each: Interaction) -> list[Any]:
    """Return the messages of a recorded request."""
    body: Any = each.request
    system = body.get("system") or body.get("instructions")
    instruction = body.get("systemInstruction") or {}
    system = system or "".join(part.get("text", "") for part in instruction.get("parts", ()))
    messages = body.get("messages") or body.get("input") or body.get("contents") or []
    messages = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    return [*([{"role": "system", "content": system}] if system else []), *messages]


def read_descriptions() -> Iterator[str]:
    """Yield the long descriptions of the installed packages."""
    for distribution in sorted(importlib.metadata.distributions(), key=lambda one: one.metadata["Name"].lower()):
        metadata: Any = distribution.metadata
        text = metadata.get_payload() or metadata.get("Description") or ""
        if len(text) > 5_000:
            yield text


def split_sentences(texts: Iterable[str]) -> list[str]:
    """Return the sentences of the prose in `texts`."""
    lines = (line for text in texts for line in re.sub(r"```.*?```", "", text, flags=re.DOTALL).split("\n\n"))
    prose = (" ".join(line.split()) for line in lines if re.match(r"[A-Z][a-z]+ [a-z]", line) and "|" not in line)
    return [one for line in prose for one in re.split(r"(?<=[.!?]) ", line) if 40 < len(one) < 400]


def write_pages(sentences: list[str], random_source: random.Random, pages: int) -> str:
    """Write a document of several pages, as extracted from a PDF: with a header, a footer and wide gaps."""
    title = f"{random_source.choice(['Annual Report', 'User Manual', 'Terms of Service'])} 2026"
    written: list[str] = []
    for page in range(1, pages + 1):
        body = []
        for _ in range(4):
            words = " ".join(random_source.sample(sentences, 4)).split()
            body.append(" ".join(word + " " * (random_source.random() < 0.04) for word in words))
        written.append("\n\n".join([f"Acme Corporation, {title}", *body, f"Confidential\n\nPage {page} of {pages}"]))
    return "\n\n\n".join(written)


def write_chunks(sentences: list[str], random_source: random.Random, overlap: int) -> str:
    """Write a context of chunks of twelve sentences, of which each shares `overlap` with the one before."""
    start = random_source.randrange(max(1, len(sentences) - 60))
    chunks = [sentences[first : first + 12] for first in range(start, start + 48, 12 - overlap)]
    documents = [
        f'<document index="{number}">\n{" ".join(chunk)}\n</document>'
        for number, chunk in enumerate(chunks, 1)
        if chunk
    ]
    return "\n\n".join(["Answer from these documents.", *documents, "What do they say about errors?"])


def measure_trimming(turns: int, limit: int) -> list[tuple[str, int, float]]:
    """Return for each way of trimming the tokens sent over a conversation, and how many of them repeat the prefix.

    The prefix is what a request has in common with the one before: a provider's prompt cache can hold it.
    """
    generator = random.Random(7)
    words = [f"word{number}" for number in range(500)]
    conversation = [Message("system", "You are a helpful assistant. " * 20)]
    sent: dict[str, list[tuple[Message, ...]]] = {"untrimmed": [], "one exchange at a time": [], "optimizer": []}
    optimizer = PromptOptimizer(max_tokens=limit)
    for _ in range(turns):
        conversation.append(Message("user", " ".join(generator.choices(words, k=60))))
        sent["untrimmed"].append(tuple(conversation))
        sliding = list(conversation)
        while count_tokens(sliding).tokens > limit:
            del sliding[1:3]
        sent["one exchange at a time"].append(tuple(sliding))
        sent["optimizer"].append(optimize(conversation, optimizer=optimizer).messages)
        conversation.append(Message("assistant", " ".join(generator.choices(words, k=90))))
    rows: list[tuple[str, int, float]] = []
    for name, prompts in sent.items():
        tokens = sum(count_tokens(prompt).tokens for prompt in prompts)
        reused = 0
        for earlier, later in itertools.pairwise(prompts):
            same = 0
            while same < len(earlier) and earlier[same] == later[same]:
                same += 1
            reused += count_tokens(later[:same]).tokens if same else 0
        rows.append((name, tokens, 100 * reused / tokens))
    return rows


def use_cached_encoding() -> None:
    """Let tiktoken use the file that llama-index-core brings, if nothing else is set."""
    spec = importlib.util.find_spec("llama_index.core")
    if spec is not None and spec.origin is not None:
        os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(Path(spec.origin).parent / "_static" / "tiktoken_cache"))


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; returns 1 if a check fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer documents")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args(arguments)
    use_cached_encoding()
    generator = random.Random(11)
    descriptions = [*read_descriptions()][: 12 if options.quick else None]
    sentences = split_sentences(descriptions)
    plain_sentences = [sentence for sentence in sentences if re.fullmatch(r"[\w ,.'’()–-]+", sentence)]
    number = 5 if options.quick else 40
    corpora: dict[str, Iterable[Any]] = {
        "recorded requests": read_recorded(),
        "descriptions": descriptions,
        "pages": [write_pages(sentences, generator, 12) for _ in range(number)],
        "chunks": [write_chunks(sentences, generator, 4) for _ in range(number)],
        "chunks of prose": [write_chunks(plain_sentences, generator, 4) for _ in range(number)],
        "chunks, no overlap": [write_chunks(sentences, generator, 0) for _ in range(number)],
    }
    method = count_tokens("x", model=MODEL).method
    print(f"Tokens by {method}; saved per rule in tokens, and in all.\n")
    print(
        f"{'':20}{'prompts':>8}{'tokens':>10}" + "".join(f"{rule:>13}" for rule in RULES) + f"{'saved':>8}{'µs/1k':>8}"
    )
    figures: dict[str, Any] = {}
    faults = 0
    for name, prompts in corpora.items():
        corpus = Corpus()
        for messages in prompts:
            corpus.add(messages)
        if not corpus.prompts:
            print(f"{name:20}      no data: set MULTIROUTE_SHARED")
            continue
        faults += corpus.faults
        short = corpus.share < TARGETS.get(name, 0) or corpus.microseconds > MOST_MICROSECONDS
        print(
            f"{name:20}{corpus.prompts:8,}{corpus.before:10,}"
            + "".join(f"{corpus.saved[rule]:13,}" for rule in RULES)
            + f"{corpus.share:7.1f}%{corpus.microseconds:8.0f}{'  short' if short else ''}"
            + (f"  {corpus.faults} FAULTS" if corpus.faults else "")
        )
        figures[name] = {"tokens": corpus.before, "saved": corpus.saved, "share": corpus.share}
    print("\nA conversation with a budget of 4,000 tokens:\n")
    print(f"{'':24}{'tokens sent':>12}{'same prefix':>13}{'not cached':>12}")
    for name, tokens, reused in measure_trimming(40 if options.quick else 120, 4_000):
        print(f"{name:24}{tokens:12,}{reused:12.1f}%{tokens * (100 - reused) / 100:12,.0f}")
        figures[name] = {"tokens": tokens, "same_prefix": reused}
    print(f"\nIdempotence and protected parts: {'no fault' if not faults else f'{faults} faults'}.")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
