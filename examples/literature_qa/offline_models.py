"""Models that need no key: they copy sentences and figures out of the abstracts that stand in the prompt.

They are rules, not language models; the first one breaks off in the middle of its second answer.
"""

from __future__ import annotations

import re
from itertools import count

from multiroute_core import Route, ToolCall
from multiroute_core.testing import Answer, Behaviour, DropConnection, IncomingCall, scripted_route

PRICES = {"input": 3.0, "output": 15.0}  # USD for a million tokens
DESIGNS = ("randomised", "open-label", "prospective cohort", "retrospective claims analysis")


def offline_routes() -> list[Route]:
    """Two models that answer alike; the first one drops the connection in its second stream."""
    streams = count(1)

    def first(call: IncomingCall) -> Behaviour:
        is_broken = call.stream and next(streams) == 2
        return DropConnection(after=9, answer=respond(call)) if is_broken else respond(call)

    return [scripted_route("offline-a", first, prices=PRICES), scripted_route("offline-b", respond, prices=PRICES)]


def respond(call: IncomingCall) -> Answer:
    """An answer with citations, or the fields of a study."""
    prompt = "\n".join(message.text for message in call.request.messages if message.role == "user")
    if call.request.tools:
        return Answer(tool_calls=[ToolCall("call-{number}", "Study", extract(prompt))])
    sources, _, question = prompt.partition("Now it's your turn.")[2].partition("Query:")
    return Answer(re.findall(r"\S+\s*", quote_sources(sources, question)), per_chunk=0.005)


def quote_sources(sources: str, question: str) -> str:
    """The sentence of each source that shares most words with the question, with its citation."""
    wanted = words(question)
    quotes: list[tuple[int, str]] = []
    for number, text in re.findall(r"Source (\d+):\n(.+)", sources):
        best = max(reversed(sentences_of(text)), key=lambda sentence: len(wanted & words(sentence)))
        quotes.append((len(wanted & words(best)), f"{best.rstrip('.')} [{number}]."))
    top = max((score for score, _ in quotes), default=0)
    return " ".join(quote for score, quote in quotes if score >= max(2, top - 1)) or "The sources do not say."


def sentences_of(text: str) -> list[str]:
    """The sentences of an abstract."""
    return re.split(r"(?<=[^\d]\.) (?=[A-Z])|(?<=\d\)\.) (?=[A-Z])", text)


def words(text: str) -> set[str]:
    """The longer words, without a plural's s."""
    return {word.rstrip("s") for word in re.findall(r"[a-z]{5,}", text.lower())}


def extract(abstract: str) -> dict[str, str | int]:
    """The fields of `Study`, by patterns."""
    people = re.search(r"([\d,]+) (?:adults|adolescents|patients|women)", abstract)
    effect = re.search(r"\(([^()]*95 % CI[^()]*)\)", abstract)
    finding = next((each for each in sentences_of(abstract) if effect and effect[0] in each), "not stated")
    return {
        "design": next((design for design in DESIGNS if design in abstract.lower()), "other"),
        "participants": int(people[1].replace(",", "")) if people else 0,
        "finding": finding.replace(f" {effect[0]}" if effect else "", ""),
        "effect": effect[1] if effect else "not stated",
    }
