"""The laws of what callers hear: whose words, in which order, and what they are told of it in the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from multiroute_core.messages import Part, Text, join
from multiroute_core.route import TokenPrices
from multiroute_core.testing.scripted import RecordedCall
from multiroute_core.types import Usage
from tests.simulation.callers import Caller, spelled, text_of
from tests.simulation.world import World

DECLINED = ("refusal", "content_filter")
"""Answers that are given again, where nobody has a better one."""


def one_voice(world: World) -> Iterator[str]:
    """Whatever a caller hears was said by one, in order, with nothing lost and nothing twice, until it is told that all
    begins anew; or else by several of which each goes on where the one before broke off, if it wants that."""
    for caller in world.by_name.values():
        takes = world.takes_of.get(caller.name, [])
        speakers: list[RecordedCall] = []
        for parts in caller.voices:
            found = _speakers(parts, takes) if caller.on_stream_error == "continue" else _speaker(parts, takes)
            if found is None:
                yield f"{caller.name} heard {spelled(parts)!r}, which nobody said"
            speakers += found or ()
        if len(caller.voices) > 1 and caller.on_stream_error != "restart":
            yield f"{caller.name} heard a restart that it does not want"
        if len({id(take) for take in speakers}) < len([t for t in speakers if t.finish_reason not in DECLINED]):
            yield f"{caller.name} heard one speaker twice"
        for take in speakers[:-1]:
            if take.finish_reason is not None and take.finish_reason not in caller.options["fallback_on"]:
                yield f"{take.asked.route} was replaced, though {caller.name} had its whole answer"


def the_end_is_true(world: World) -> Iterator[str]:
    """The answer is what was heard, and somebody's whole one; the error of a broken stream keeps what was heard."""
    for caller in world.by_name.values():
        heard = text_of(next((parts for parts in reversed(caller.voices) if parts), []))
        response = caller.response
        if caller.end == "success":
            if response is None:
                yield f"{caller.name} was answered without a response"
                continue
            if caller.stream and text_of(caller.voices[-1]) != response.text:
                yield f"{caller.name} heard {heard!r}, and was told that it was {response.text!r}"
            if not any(_ends(caller, take, spelled(response.parts)) for take in world.takes_of.get(caller.name, [])):
                yield f"the answer of {caller.name}, {spelled(response.parts)!r}, is not what anybody said"
        elif caller.error is not None and heard:
            kept = caller.partial
            if kept is None or kept.text != heard:
                yield f"{caller.name} heard {heard!r}, and the {caller.end} says {kept and kept.text!r}"


def the_bill_is_true(world: World) -> Iterator[str]:
    """The answer's tokens and cost are those of whoever spoke it; each try costs what its tokens cost there."""
    prices = {route.name: route.prices if isinstance(route.prices, TokenPrices) else None for route in world.routes}
    for caller in world.by_name.values():
        for attempt in caller.attempts:
            # What ended in the middle has told of its beginning only, if of anything.
            cost = None if attempt.estimated_usage is not None else _cost(attempt.usage, prices[attempt.route])
            if not _equal(attempt.cost, cost):
                yield f"{caller.name}: {attempt.usage} on {attempt.route} costs {attempt.cost}, not {cost}"
            if not _equal(attempt.estimated_cost, about := _cost(attempt.estimated_usage, prices[attempt.route])):
                yield f"{caller.name}: {attempt.estimated_usage} would cost {attempt.estimated_cost}, not {about}"
        told = caller.response or caller.partial
        if told is None or caller.left:
            continue
        if caller.on_stream_error == "continue" and caller.stream:
            takes = _speakers(caller.voices[-1], world.takes_of[caller.name]) or []
            usages = [take.usage for take in takes]
            cut = {(a.route, a.usage) for a in caller.attempts if a.estimated_usage is not None}
            costs = [
                None if (take.asked.route, take.usage) in cut else _cost(take.usage, prices[take.asked.route])
                for take in takes
            ]
        else:
            one = next(a for a in reversed(caller.attempts) if a.route == told.route and a.usage == told.usage)
            usages, costs = [one.usage], [one.cost]
        if (usage := _sum(usages)) != (told.usage and told.usage.total_tokens):
            yield f"{caller.name} is told of {told.usage}; its speakers took {usage} tokens"
        if not _equal(told.cost, None if None in costs else sum(cost or 0.0 for cost in costs)):
            yield f"{caller.name} is told that it cost {told.cost}; its speakers cost {costs}"


def _speaker(parts: Sequence[Part], takes: Sequence[RecordedCall]) -> list[RecordedCall] | None:
    """Whose beginning this is."""
    if not parts:
        return []
    found = [take for take in takes if spelled(take.parts).startswith(spelled(parts))]
    return found[:1] or None


def _speakers(parts: Sequence[Part], takes: Sequence[RecordedCall]) -> list[RecordedCall] | None:
    """Who said this one after the other: each word once, the last one's to any place, the others' to their end."""
    words = text_of(parts).split()
    by_mark = {f"{take.asked.route}#{take.asked.number}": take for take in takes}
    marks = list(dict.fromkeys(word.partition(":")[0] for word in words))
    if not set(marks) <= set(by_mark):
        return None
    found = [by_mark[mark] for mark in marks]
    said: list[str] = []
    for take in found:
        said += _own(take)
    if not found:
        found = [take for take in takes if parts and spelled(take.parts).startswith(spelled(parts))][:1]
    calls = spelled([part for part in parts if not isinstance(part, Text)])
    its = spelled([part for part in found[-1].parts if not isinstance(part, Text)]) if found else ""
    last = len(_own(found[-1])) if found else 0
    whole = said[: len(words)] == words and len(words) > len(said) - last if words else True
    return found if whole and its.startswith(calls) else None


def _own(take: RecordedCall) -> list[str]:
    """The words that are its own, and no repetition."""
    mark = f"{take.asked.route}#{take.asked.number}:"
    return [word for word in join([p for p in take.parts if isinstance(p, Text)]).split() if word.startswith(mark)]


def _ends(caller: Caller, take: RecordedCall, answer: str) -> bool:
    """Whether `take` was spoken to its end, and is (the end of) this answer."""
    if caller.response is None or take.finish_reason != caller.response.finish_reason:
        return False
    if caller.on_stream_error == "continue" and caller.stream:
        own = _own(take)
        return all(word in answer for word in own)
    return spelled(take.parts) == answer


def _cost(usage: Usage | None, price: TokenPrices | None) -> float | None:
    if price is None or usage is None:
        return None
    return ((usage.input_tokens or 0) * price.input + (usage.output_tokens or 0) * price.output) / 1e6


def _sum(usages: Sequence[Usage | None]) -> int | None:
    return None if None in usages else sum(usage.total_tokens for usage in usages if usage is not None)


def _equal(one: float | None, other: float | None) -> bool:
    return one == other or (one is not None and other is not None and abs(one - other) < 1e-12)
