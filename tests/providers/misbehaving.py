"""A server that misbehaves: silence, heartbeats, drips. The asked model's name says how. Support for tests, no test."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from multiroute_core import Route
from multiroute_core.testing.server import Received, ReplayServer, Reply, split_events
from tests.providers.faces import FACES, PLAIN, STREAMED, Outcome, ask, routed
from tests.providers.wires import WIRES, Wire

BEAT = 0.04
"""Seconds between two of a server's heartbeats."""

HANG_SECONDS = 30.0
"""How long a server says nothing. A limit that is not kept is told from one that a busy machine keeps late."""

GRACE = HANG_SECONDS / 2
"""By how much later a busy machine may keep a limit."""


class Beat:
    """The time of a misbehaving server: it ends when the module's tests do."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def hush(self) -> Iterator[bytes]:
        """Nothing."""
        self.over.wait(HANG_SECONDS)
        yield from ()

    def again(self, piece: bytes) -> Iterator[bytes]:
        """The same piece, again and again."""
        while not self.over.wait(BEAT):
            yield piece

    def drip(self, body: bytes) -> Iterator[bytes]:
        """A body byte by byte, but never the last ones: JSON may begin, and does not end."""
        for at in range(len(body) - 3):
            yield body[at : at + 1]
            if self.over.wait(BEAT):
                return
        yield from self.hush()

    def steadily(self, pieces: tuple[bytes, ...], seconds: float) -> Iterator[bytes]:
        """The pieces with a pause after each."""
        for piece in pieces:
            yield piece
            self.over.wait(seconds)


Act = Callable[[Beat, Wire], Iterator[bytes]]
BOTH, BEGUN, DEADLINE = ("attempt_timeout", "deadline"), ("first_token_timeout",), ("deadline",)
# What a provider does instead of answering: to whom, and which limits must each end it alone.
INSTEAD: dict[str, tuple[tuple[str, ...], tuple[str, ...], Act | None]] = {
    "silence": (FACES, BOTH, None),
    "silence-streamed": (STREAMED, BEGUN, None),  # a plain answer's first token counts from the reply's headers
    "headers-only": (FACES, (*BOTH, *BEGUN), lambda beat, wire: beat.hush()),
    "blank-lines": (PLAIN, (*BOTH, *BEGUN), lambda beat, wire: beat.again(b"\n")),
    "dripped-body": (PLAIN, BOTH, lambda beat, wire: beat.drip(wire.plain)),
    "pings": (STREAMED, (*BOTH, *BEGUN), lambda beat, wire: beat.again(wire.ping)),
    "dripped-event": (STREAMED, (*BOTH, *BEGUN), lambda beat, wire: beat.drip(wire.chunks[0])),
    "empty-events": (STREAMED, (*BOTH, *BEGUN), lambda beat, wire: beat.again(wire.empty)),
}
# What a provider does after two chunks.
AFTERWARDS: dict[str, Act] = {
    "then-silence": lambda beat, wire: beat.hush(),
    "then-pings": lambda beat, wire: beat.again(wire.ping),
    "then-dripped-event": lambda beat, wire: beat.drip(wire.chunks[0]),
    "then-empty-events": lambda beat, wire: beat.again(wire.empty),
}


def _slow_stream(beat: Beat, wire: Wire) -> Iterator[bytes]:
    yield from wire.opening
    yield from beat.steadily(wire.chunks * 2, 0.12)
    yield from wire.closing


def _endless_stream(beat: Beat, wire: Wire) -> Iterator[bytes]:
    yield from wire.opening
    yield from beat.again(wire.chunks[0])


def _heartbeats_and_an_answer(beat: Beat, wire: Wire) -> Iterator[bytes]:
    # Once the JSON has begun, the first token's limit is no longer its.
    yield from beat.steadily((b"\n", b"  \n"), 0.1)
    yield from beat.steadily((wire.plain[:20], wire.plain[20:]), 1.2)


def _pings_and_an_answer(beat: Beat, wire: Wire) -> Iterator[bytes]:
    for piece in (*wire.opening, *wire.chunks, *wire.closing):
        yield wire.ping
        yield piece


OTHERS: dict[str, Act] = {
    "pings-and-an-answer": _pings_and_an_answer,
    "slow-stream": _slow_stream,
    "endless-stream": _endless_stream,
    "heartbeats-and-an-answer": _heartbeats_and_an_answer,
}


class Misbehaving(ReplayServer):
    """A server that misbehaves as the asked model's name says; the model `good` answers as it should."""

    def __init__(self) -> None:
        super().__init__(self.act)
        self.beat = Beat()
        self.left: set[str] = set()

    def act(self, received: Received) -> Reply:
        wire = next(wire for wire in WIRES.values() if wire.path in received.path)
        streamed = wire.streamed(received)
        kind = {"content-type": "text/event-stream" if streamed else "application/json"}
        named = re.search(r"/models/([^/:]+):", received.path)
        model = named[1] if named else json.loads(received.body)["model"]
        if model == "good":
            return Reply(200, kind, split_events(wire.stream) if streamed else wire.plain, stream=streamed)
        if model.startswith("silence"):
            self.beat.over.wait(HANG_SECONDS)
        return Reply(200, kind, self.pieces(model, wire), stream=True)

    def pieces(self, model: str, wire: Wire) -> Iterator[bytes]:
        try:
            if model in AFTERWARDS:
                yield from (*wire.opening, *wire.chunks[:2])
                yield from AFTERWARDS[model](self.beat, wire)
            else:
                act = OTHERS.get(model) or INSTEAD[model][2]
                yield from act(self.beat, wire) if act else ()
        finally:
            self.left.add(model)


def asked(url: str, wires: tuple[Wire, ...], faces: tuple[str, ...], *models: str, **given: Any) -> dict[str, Outcome]:
    """What came of one call on each wire through each face, all at once, to routes of these models in turn.

    Returns:
        The outcomes by `"provider face"`.
    """

    def one(case: tuple[Wire, str]) -> Outcome:
        wire, face = case
        # Who stands in for the first is given time of its own: a busy machine is not what is under test.
        made = [
            Route(f"{wire.provider}:{model}", base_url=url, api_key="k", timeout=4.0 if place else None)
            for place, model in enumerate(models)
        ]
        with routed(*made, **given) as router:
            return ask(face, router)

    cases = [(wire, face) for wire in wires for face in faces]
    with ThreadPoolExecutor(len(cases)) as pool:
        outcomes = list(pool.map(one, cases))
    return {f"{wire.provider} {face}": outcome for (wire, face), outcome in zip(cases, outcomes, strict=True)}
