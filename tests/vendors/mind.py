"""A small mind that answers by what a request says: it calls tools that fit the question, keeps to schemas, tells results.

It knows no vendor and no test. What it answers is always the same for the same request.
"""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from dataclasses import replace

from tests.vendors import react
from tests.vendors.asked import Answer, Asked, Call, Offered, Turn
from tests.vendors.schemas import Hints, example, keys, number

SEEN_TOKENS = 258
"""What a picture, a document or a sound counts as."""
_EMPTY = frozenset(
    "a an and any as at be by call can do for from function get given in input into is it its make my name of on one or "
    "out return returns run some string text that the this to tool two use used value what when with your you".split()
)
_ARITHMETIC = {
    "+": ("add", "adder", "sum", "plus", "addition"),
    "*": ("multiply", "product", "multiplier"),
    "times": ("multiply", "product", "multiplier"),
}
_THEN = re.compile(r"[,;.]?\s*(?:and )?\bthen\b,?\s*")


def answer(asked: Asked) -> Answer:
    """The answer, cut where the request says and with its tokens counted."""
    made = Answer(
        thoughts=f"The user asks: {question(asked) or 'nothing'}. I answer in short." if asked.thinking else ""
    )
    if (by_text := react.read(asked)) is not None:
        said = Answer(calls=_calls(by_text))
        said.text = "" if said.calls else _text(by_text)
        _cut(made, react.write(said), asked)
    elif calls := _calls(asked):
        made.calls, made.finish = calls, "tool"
    else:
        _cut(made, _text(asked), asked)
    written = " ".join([made.text, *(f"{call.name} {json.dumps(call.arguments)}" for call in made.calls)])
    made.reasoning_tokens = tokens(made.thoughts)
    made.output_tokens = max(1, tokens(written)) + made.reasoning_tokens
    made.input_tokens = prompt_tokens(asked)
    return made


def tokens(text: str) -> int:
    """Words count as tokens."""
    return len(text.split())


def prompt_tokens(asked: Asked, turns: list[Turn] | None = None) -> int:
    """All that is read."""
    count = tokens(asked.system) + sum(tokens(f"{t.name} {t.description} {json.dumps(t.schema)}") for t in asked.tools)
    for turn in asked.turns if turns is None else turns:
        count += 3 + sum(map(tokens, turn.texts)) + SEEN_TOKENS * len(turn.seen)
        count += sum(tokens(json.dumps(call.arguments)) + 2 for call in turn.calls)
        count += sum(tokens(result.text) + 2 for result in turn.results)
    return count


def question(asked: Asked) -> str:
    """The last text of the user."""
    place = _place(asked)
    return asked.system if place is None else asked.turns[place].texts[-1]


def _place(asked: Asked) -> int | None:
    """Where the question stands. A turn that shows what a tool has found is none, whatever words it has beside."""
    found = None
    for i, turn in enumerate(asked.turns):
        shows = turn.seen and i > 0 and asked.turns[i - 1].results
        if turn.role == "user" and turn.texts and not shows:
            found = i
    return found


def _since(asked: Asked) -> list[Turn]:
    """The turns after the question, and answers of tools that came along with it."""
    place = _place(asked)
    since = asked.turns[0 if place is None else place + 1 :]
    return since if place is None or not asked.turns[place].results else [asked.turns[place], *since]


def _calls(asked: Asked) -> list[Call]:
    if not asked.tools or asked.choice == "none":
        return []
    said = question(asked)
    called = Counter(call.name for turn in _since(asked) for call in turn.calls)
    if asked.choice.startswith("="):
        chosen = [tool for tool in asked.tools if tool.name == asked.choice[1:]]
        wanted = [call for tool in chosen for call in _asked_for(tool, said, asked)]
    else:
        fitting, wanted = _fitting(asked.tools, said), []
        for call in (call for tool in fitting for call in _asked_for(tool, said, asked)):
            if called[call.name]:
                called[call.name] -= 1  # it has been asked for
            else:
                wanted.append(call)
        if not wanted and asked.choice == "required":
            wanted = _asked_for((fitting or asked.tools)[0], said, asked)
    several = asked.parallel and _THEN.search(said) is None
    return wanted if several else wanted[:1]


def _fitting(tools: list[Offered], said: str) -> list[Offered]:
    """The tools that the question names; else those whose names' words it has; else whose descriptions' words.

    They come in the order in which the question speaks of them, step by step where it has steps.
    """
    if len(steps := _THEN.split(said)) > 1:
        found = {tool.name: tool for step in steps for tool in _fitting(tools, step)}
        return list(found.values())
    named = [tool for tool in tools if re.search(rf"\b{re.escape(tool.name)}\b", said)]
    if named:
        return sorted(named, key=lambda tool: said.index(tool.name))
    words = _words(said)
    places = {word: place for place, word in reversed(list(enumerate(words)))}
    for mark, names in _ARITHMETIC.items():
        if found := re.search(rf"\d\s*{re.escape(mark)}\s*-?\d", said):
            places |= dict.fromkeys(names, len(_words(said[: found.start()])))
    for of in (lambda t: _words(t.name), lambda t: [*_words(t.description), *_words(" ".join(keys(t.schema)))]):
        found = {tool.name: min(fits) for tool in tools if (fits := [places[w] for w in of(tool) if w in places])}
        if found:
            return sorted((tool for tool in tools if tool.name in found), key=lambda tool: found[tool.name])
    return []


def _words(text: str) -> list[str]:
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text.replace("_", " ").replace("-", " ")).lower()
    found = re.findall(r"[^\W\d]{3,}", parts)
    return [word.removesuffix("s") if len(word) > 4 else word for word in found if word not in _EMPTY]


def _asked_for(tool: Offered, said: str, asked: Asked) -> list[Call]:
    """The calls of one tool: one for each `tool(…)` in the text, or for each of several things that it names."""
    known = keys(tool.schema) | {tool.name} | {other.name for other in asked.tools}
    written = re.findall(rf"\b{re.escape(tool.name)}\(([^()]*)\)", said)
    if written:
        given = [replace(Hints.of(_quoted(inside), known), eager=True) for inside in dict.fromkeys(written)]
        return [Call(tool.name, example(tool.schema, hints)) for hints in given]
    said = next((step for step in _THEN.split(said) if tool in _fitting([tool], step)), said)
    hints = Hints.of(said, known)
    things = [thing for thing in hints.strings if len(hints.strings) > 1 and _listed(thing, hints.strings, said)]
    required = tool.schema.get("required") or list(tool.schema.get("properties") or {})
    if len(things) > 1 and len(required) == 1:
        made = []
        for thing in dict.fromkeys(things):
            one = copy.deepcopy(hints)
            one.strings = [thing]
            one.question = said if len(one.numbers) else thing
            made.append(Call(tool.name, example(tool.schema, one)))
        if made[0].arguments != made[1].arguments:
            return made
    return [Call(tool.name, example(tool.schema, hints))]


def _listed(thing: str, things: list[str], said: str) -> bool:
    """Whether `thing` stands in a list such as `Paris, London and Rome`."""
    return any(
        re.search(rf"{re.escape(a)}['\"]?(?:,? and |, )['\"]?{re.escape(b)}", said) is not None
        for other in things
        if other != thing
        for a, b in ((thing, other), (other, thing))
    )


def _quoted(inside: str) -> str:
    """What stands in the brackets of a written call, with its words as values."""
    if re.search(r"['\"=]", inside):
        return inside
    return ", ".join(
        part if re.fullmatch(r"-?\d+(\.\d+)?", part) else f"'{part}'"
        for part in re.split(r"\s*,\s*", inside.strip())
        if part
    )


def _text(asked: Asked) -> str:
    said = question(asked)
    if asked.schema is not None or re.search(r"nothing (other than|but) JSON", said):
        if asked.schema:
            return json.dumps(example(asked.schema, Hints.of(said, keys(asked.schema))), ensure_ascii=False)
        named = re.findall(r"['\"`](\w+)['\"`]", said) or re.findall(r"\b(\w+)\s+keys?\b", said) or ["answer"]
        return json.dumps({key: f"The {key} of it." for key in dict.fromkeys(named)}, ensure_ascii=False)
    results = [result for turn in _since(asked) for result in turn.results]
    if results:
        told = [
            f"{result.name or 'The tool'} failed: {result.text}"
            if result.error
            else f"{result.name or 'The tool'} says: {result.text}"
            for result in results
        ]
        seen = sorted({kind for turn in _since(asked) for kind in turn.seen})
        return " ".join([*told, *([f"I see {' and '.join(seen)} in it."] if seen else [])])
    seen = next((turn.seen for turn in reversed(asked.turns) if turn.role == "user"), [])
    if seen:
        return f"I see {' and '.join(seen)}. It shows a small thing that is easy to describe."
    if sums := re.findall(r"(-?\d+(?:\.\d+)?)\s*\+\s*(-?\d+(?:\.\d+)?)", said):
        return f"The answer is {number(sums[-1][0]) + number(sums[-1][1])}, as you can count yourself."
    return f"Hello, how can I help you? You said: {said[:200].strip() or 'nothing'}"


def _cut(made: Answer, text: str, asked: Asked) -> None:
    """End the text at a stop sequence, or where it has as many tokens as it may."""
    places = [(place, stop) for stop in asked.stop if (place := text.find(stop)) >= 0]
    if places:
        place, made.stopped_by = min(places)
        text, made.finish = text[:place], "stop_sequence"
    room = None if asked.max_tokens is None else max(0, asked.max_tokens - tokens(made.thoughts))
    if room is not None and tokens(text) > room:
        cut = list(re.finditer(r"\S+", text))
        text = text[: cut[room - 1].end()] if room else ""
        made.finish, made.stopped_by = "length", None
    made.text = text
