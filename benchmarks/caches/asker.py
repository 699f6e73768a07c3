"""A process that asks, as `benchmarks.cache` tells it: `python -m benchmarks.caches.asker GROUP`.

A line of JSON comes in on stdin, a line of JSON goes out on stdout; it ends with stdin.

* `open` gives the contestants of the group, each with a new cache.
* `ask` asks one of them once; `crowd` asks one many times at once, in threads or, on an event loop, in tasks.
* `ready` adds what the hits are compared with.
* `round` asks some of them again and again, one after the other in random order, and takes the time.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from benchmarks.caches.contestants import DATABASES, GROUPS, Contestant, Places, round_trips

Clock = Callable[[], float]

ENOUGH_SECONDS = 0.05
"""Who is slow is asked less often in a round."""


def ask(who: Contestant, question: str) -> dict[str, Any]:
    """Ask, and see what comes."""
    said = who.said(question)
    answers = list(who.ask(said)) if who.stream else [who.ask(said)]
    return _seen(who, answers)


async def aask(who: Contestant, question: str) -> dict[str, Any]:
    """The same on the running loop."""
    said = who.said(question)
    answers = [one async for one in await _iterator(who.ask(said))] if who.stream else [await who.ask(said)]
    return _seen(who, answers)


def _seen(who: Contestant, answers: list[Any]) -> dict[str, Any]:
    return {"text": "".join(who.text(answer) or "" for answer in answers), "chunks": len(answers)}


async def _iterator(asked: Any) -> Any:
    """Some give an async iterator, some something to await for it."""
    return aiter(asked if hasattr(asked, "__aiter__") else await asked)


def take(who: Contestant, said: Any, times: int, clock: Clock) -> list[tuple[float, float]]:
    """Seconds to the first chunk and to the end, of so many calls in a row."""
    ask_for = who.ask
    taken: list[tuple[float, float]] = []
    enough = time.perf_counter() + ENOUGH_SECONDS
    while len(taken) < times and (not taken or time.perf_counter() < enough):
        began = first = clock()
        answer = ask_for(said)
        if who.stream:
            chunks = iter(answer)
            next(chunks)
            first = clock()
            for _ in chunks:
                pass
        taken.append((first - began, clock() - began))
    return taken


async def atake(who: Contestant, said: Any, times: int, clock: Clock) -> list[tuple[float, float]]:
    """The same on the running loop."""
    ask_for = who.ask
    taken: list[tuple[float, float]] = []
    enough = time.perf_counter() + ENOUGH_SECONDS
    while len(taken) < times and (not taken or time.perf_counter() < enough):
        began = first = clock()
        if who.stream:
            chunks = await _iterator(ask_for(said))
            await anext(chunks)
            first = clock()
            async for _ in chunks:
                pass
        else:
            await ask_for(said)
        taken.append((first - began, clock() - began))
    return taken


def crowd(who: Contestant, question: str, count: int) -> list[str]:
    """Ask so many times at once, each in a thread of its own; what went wrong."""
    ready, ends = threading.Barrier(count), list[str]()

    def work() -> None:
        ready.wait()
        try:
            ask(who, question)
        except Exception as error:
            ends.append(repr(error))

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


async def acrowd(who: Contestant, question: str, count: int) -> list[str]:
    """The same in tasks."""
    ends = await asyncio.gather(*(aask(who, question) for _ in range(count)), return_exceptions=True)
    return [repr(end) for end in ends if isinstance(end, BaseException)]


class Asker:
    """The contestants of a group, and the event loop on which some of them are asked."""

    def __init__(self, group: str, runner: asyncio.Runner) -> None:
        self.group, self.runner = group, runner
        self.everybody: list[Contestant] = []
        self.questions: list[str] = []
        self.redis = ""

    def open(self, told: dict[str, Any]) -> dict[str, Any]:
        places = Places(told["provider"], told["redis"], told["folder"])
        self.redis = places.redis
        self.everybody = GROUPS[self.group](places)
        # Nobody finds what another one has asked, where two share a Redis.
        self.questions = [f"What did the fox do then, {who.name} {who.face} {who.store}?" for who in self.everybody]
        asked = zip(self.everybody, self.questions, strict=True)
        return {"who": [{**_told(who), "question": question} for who, question in asked]}

    def ask(self, told: dict[str, Any]) -> dict[str, Any]:
        who, question = self.everybody[told["who"]], self.questions[told["who"]]
        try:
            return self.runner.run(aask(who, question)) if who.native else ask(who, question)
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}

    def crowd(self, told: dict[str, Any]) -> dict[str, Any]:
        who, question = self.everybody[told["who"]], f"All at once: {self.questions[told['who']]}"
        count = told["count"]
        return {"ends": self.runner.run(acrowd(who, question, count)) if who.native else crowd(who, question, count)}

    def ready(self, told: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {"who": [], "bytes": None}
        if self.group in DATABASES:
            added, found["bytes"] = round_trips(self.group, self.redis)
            self.everybody += added
            self.questions += [""] * len(added)
            found["who"] = [{**_told(who), "question": ""} for who in added]
        gc.collect()
        gc.freeze()  # what the imports made is no part of a hit; what a hit makes is collected as usual
        return found

    def round(self, told: dict[str, Any]) -> dict[str, Any]:
        order = random.sample(told["who"], len(told["who"]))
        taken: dict[int, list[tuple[float, float]]] = {}

        def how(n: int) -> tuple[Contestant, Any, int, Clock]:
            who = self.everybody[n]
            clock = time.thread_time if told["cpu"] and who.store != "Redis" else time.perf_counter
            return who, who.said(self.questions[n]), told["times"], clock

        async def on_the_loop() -> None:
            for n in order:
                if self.everybody[n].native:
                    taken[n] = await atake(*how(n))

        for n in order:
            if not self.everybody[n].native:
                taken[n] = take(*how(n))
        self.runner.run(on_the_loop())
        return {
            "first": {n: statistics.median(first for first, _ in times) for n, times in taken.items()},
            "whole": {n: statistics.median(whole for _, whole in times) for n, times in taken.items()},
        }


def _told(who: Contestant) -> dict[str, Any]:
    return {name: getattr(who, name) for name in ("store", "name", "face", "native", "stream")}


def main() -> None:
    """Do what the lines say."""
    # What libraries print must not stand between the answers.
    out, sys.stdout = sys.stdout, sys.stderr
    with asyncio.Runner() as runner:
        asker = Asker(sys.argv[1], runner)
        for line in sys.stdin:
            told = json.loads(line)
            print(json.dumps(getattr(asker, told["do"])(told)), file=out, flush=True)


if __name__ == "__main__":
    main()
