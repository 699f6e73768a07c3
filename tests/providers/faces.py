"""The four faces of a router as one: what a test asks of one, it can ask of all. Support for tests, no test."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from multiroute_core import Response, Router, Usage
from multiroute_core.types import Chunk

PLAIN = ("generate", "agenerate")
STREAMED = ("stream", "astream")
FACES = (*PLAIN, *STREAMED)

every_face = pytest.mark.parametrize("face", FACES)
plain_faces = pytest.mark.parametrize("face", PLAIN)
streamed_faces = pytest.mark.parametrize("face", STREAMED)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one call, whichever face it was asked through.

    Attributes:
        text: The whole text; of a stream, its chunks joined, so that a broken one shows what the caller had got.
        finish_reason: The response's.
        usage: The response's.
        error: What was raised instead of an answer.
        response: The plain response, or that of the stream's last chunk.
        seconds: How long the call took, without the loop's start and end.
    """

    text: str
    finish_reason: str | None
    usage: Usage | None
    error: Exception | None
    response: Response | None
    seconds: float

    @property
    def kind(self) -> type[Exception] | None:
        """The class of the error."""
        return None if self.error is None else type(self.error)

    @property
    def told(self) -> tuple[Any, ...]:
        """What every face must agree on."""
        return self.text, self.finish_reason, self.usage, self.kind


def ask(face: str, router: Router, messages: Any = "Hello", **options: Any) -> Outcome:
    """Ask through one face. Errors are returned, not raised; bugs (a `TypeError`, say) are an `error` as well."""
    if face.startswith("a"):
        return asyncio.run(ask_natively(face, router, messages, options))
    return _blocking(face, router, messages, options)


def ask_all(router: Router, messages: Any = "Hello", **options: Any) -> dict[str, Outcome]:
    """Ask through each face in turn."""
    return {face: ask(face, router, messages, **options) for face in FACES}


def _blocking(face: str, router: Router, messages: Any, options: dict[str, Any]) -> Outcome:
    said = _Said()
    with said:
        if face == "generate":
            said.whole(router.generate(messages, **options))
        else:
            with contextlib.closing(router.stream(messages, **options)) as chunks:
                for chunk in chunks:
                    said.add(chunk)
    return said.outcome()


async def ask_natively(face: str, router: Router, messages: Any, options: dict[str, Any]) -> Outcome:
    said = _Said()
    with said:
        if face == "agenerate":
            said.whole(await router.agenerate(messages, **options))
        else:
            async with contextlib.aclosing(router.astream(messages, **options)) as chunks:
                async for chunk in chunks:
                    said.add(chunk)
    return said.outcome()


class _Said:
    """Collects what a face says; as a context manager, what it raises and how long it takes."""

    def __init__(self) -> None:
        self.text = ""
        self.response: Response | None = None
        self.error: Exception | None = None
        self.began = self.ended = 0.0

    def whole(self, response: Response) -> None:
        self.text, self.response = response.text, response

    def add(self, chunk: Chunk) -> None:
        assert self.response is None, "a chunk came after the last one"
        self.text += chunk.text
        self.response = chunk.response

    def __enter__(self) -> None:
        self.began = time.monotonic()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        self.ended = time.monotonic()
        if isinstance(error, Exception) and not isinstance(error, AssertionError):
            self.error = error
            return True
        return False

    def outcome(self) -> Outcome:
        response = self.response
        if self.error is None:
            assert response is not None, "the call ended with neither a response nor an error"
            assert self.text == response.text, "the chunks and the response at their end tell different texts"
        return Outcome(
            self.text,
            response and response.finish_reason,
            response and response.usage,
            self.error,
            response,
            self.ended - self.began,
        )


@contextlib.contextmanager
def routed(*routes: Any, **settings: Any) -> Iterator[Router]:
    """A router for one test, without retries unless it asks for them, closed at the end."""
    with Router(routes, **{"max_retries": 0, **settings}) as router:
        yield router
