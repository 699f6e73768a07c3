"""One HTTP server that speaks the vendors' four wires and answers by what a request says. Support for tests, no test."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from multiroute_core import Route
from multiroute_core.testing.server import Received, ReplayServer, Reply
from tests.vendors import anthropic, chat, google, mind, responses
from tests.vendors.answers import anthropic as anthropic_answers
from tests.vendors.answers import chat as chat_answers
from tests.vendors.answers import google as google_answers
from tests.vendors.answers import responses as responses_answers
from tests.vendors.asked import Answer, Asked, Refused
from tests.vendors.issued import Issued

Wire = Literal["anthropic", "chat", "responses", "google"]

WIRES: tuple[Wire, ...] = ("anthropic", "chat", "responses", "google")
ROUTES: dict[Wire, tuple[str, str]] = {
    "anthropic": ("anthropic:claude-sonnet-4-5", "anthropic:claude-haiku-4-5"),
    "chat": ("openai:gpt-4o", "openai:gpt-4o-mini"),
    "responses": ("openai:gpt-6.1-sol", "openai:gpt-6-sol"),
    "google": ("google:gemini-3.8-flash", "google:gemini-3.6-flash"),
}
"""The model of each wire, and the one that stands for it where a route is to be dead."""

_READING: dict[str, Any] = {"anthropic": anthropic, "chat": chat, "responses": responses}
_WRITING: dict[str, Any] = {
    "anthropic": anthropic_answers,
    "chat": chat_answers,
    "responses": responses_answers,
    "google": google_answers,
}
_PATHS: tuple[tuple[Wire, re.Pattern[str]], ...] = (
    ("anthropic", re.compile(r"/v1/messages(\?.*)?")),
    ("chat", re.compile(r"/v1/chat/completions(\?.*)?")),
    ("responses", re.compile(r"/v1/responses(\?.*)?")),
    (
        "google",
        re.compile(r"/v1(?:beta)?/models/(?P<model>[^:/]+):(?P<way>generateContent|streamGenerateContent)(\?.*)?"),
    ),
)
_DEAD = {"anthropic": (529, "Overloaded"), "google": (503, "The model is overloaded. Please try again later.")}
_JSON = {"content-type": "application/json"}
_SSE = {"content-type": "text/event-stream; charset=utf-8"}


@dataclass(frozen=True)
class Seen:
    """A request that came in: its wire, the model that it asks, its body, and the status of the answer."""

    wire: Wire
    model: str
    body: dict[str, Any]
    headers: dict[str, str]
    status: int
    message: str = ""


class VendorServer:
    """The vendors on a free port of 127.0.0.1, while a `with` block runs.

    Attributes:
        dead: Wires, or models, that answer as a vendor does that is down.
        call_ids: Whether Gemini gives ids to its function calls.
        seen: The requests of the four wires, in order, with what they were answered.

    Example:
        >>> with VendorServer() as server:
        ...     server.base_url("openai") == server.url + "/v1"
        True
    """

    def __init__(self, *, call_ids: bool = False) -> None:
        self.dead: set[str] = set()
        self.call_ids = call_ids
        self.issued = Issued()
        self.seen: list[Seen] = []
        self._server = ReplayServer(self._answer)
        self._cached: set[str] = set()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The server's address, without a slash at its end."""
        return self._server.url

    @property
    def requests(self) -> list[Received]:
        """What came in, in order."""
        return self._server.requests

    def base_url(self, provider: str) -> str:
        """The address that a provider's SDK, or a route of it, is to be given."""
        return f"{self.url}/v1" if provider in ("openai", "chat", "responses") else self.url

    def route(self, wire: Wire, model: str | None = None, **settings: Any) -> Route:
        """A route on a wire, to its usual model or another."""
        usual = ROUTES[wire][0]
        provider = usual.partition(":")[0]
        if wire in ("chat", "responses"):
            settings.setdefault("api", wire)
            settings.setdefault("prices", "openai")  # an address on this machine has no price of its own
        settings.setdefault("name", f"{wire}:{model or usual.partition(':')[2]}")
        named = f"{provider}:{model}" if model else usual
        return Route(named, api_key="test", base_url=self.base_url(provider), **settings)

    def routes(self, *wires: Wire, dead_first: bool = False) -> list[Route]:
        """Routes on these wires (all, where none is named); with `dead_first`, before them one that is down.

        That one is on the first of the wires too, so that it can carry all that the others can.
        """
        wires = wires or WIRES
        found = [self.route(wire) for wire in wires]
        if dead_first:
            model = ROUTES[wires[0]][1].partition(":")[2]
            self.dead.add(model)
            found.insert(0, self.route(wires[0], model))
        return found

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, error, trace)

    def _answer(self, received: Received) -> Reply:
        for wire, path in _PATHS:
            if found := path.fullmatch(received.path):
                return self._on(wire, found.groupdict(), received)
        return Reply(404, _JSON, json.dumps({"error": {"message": f"Invalid URL (POST {received.path})"}}).encode())

    def _on(self, wire: Any, named: dict[str, str], received: Received) -> Reply:
        body: dict[str, Any] = {}
        message = ""
        with self._lock:
            try:
                body = json.loads(received.body)
                asked = self._read(wire, named, body, received)
            except Refused as refused:
                message = refused.message
                reply = _error(wire, 400, message, refused.param, refused.code)
            except (ValueError, TypeError, AttributeError, KeyError) as error:
                message = f"The request is malformed: {error!r}"
                reply = _error(wire, 400, message)
            else:
                reply = _error(wire, *asked) if isinstance(asked, tuple) else self._made(wire, asked, body)
            model = named.get("model") or str(body.get("model"))
            self.seen.append(Seen(wire, model, body, received.headers, reply.status, message))
        return reply

    def _read(
        self, wire: Wire, named: dict[str, str], body: dict[str, Any], received: Received
    ) -> Asked | tuple[int, str]:
        model = named.get("model") or str(body.get("model"))
        if self.dead & {wire, model}:
            return _DEAD.get(wire, (500, "The server had an error while processing your request."))
        if wire == "google":
            return google.read(body, received.headers, self.issued, model=model, stream="stream" in named["way"])
        return _READING[wire].read(body, received.headers, self.issued)

    def _made(self, wire: Wire, asked: Asked, body: dict[str, Any]) -> Reply:
        answer, codec = mind.answer(asked), _WRITING[wire]
        self._count(wire, asked, answer)
        more: dict[str, Any] = {"google": {"ids": self.call_ids}, "responses": {"body": body}}.get(wire, {})
        if not asked.stream:
            whole = codec.plain(answer, asked, self.issued, **more)
            return Reply(200, _JSON, json.dumps(whole, ensure_ascii=False).encode())
        if wire == "chat":
            more = {"usage": bool((body.get("stream_options") or {}).get("include_usage"))}
        stream: Iterator[bytes] = codec.events(answer, asked, self.issued, **more)
        return Reply(200, _SSE, list(stream), stream=True)

    def _count(self, wire: str, asked: Asked, answer: Answer) -> None:
        """What of the prompt came from the vendor's cache, and what went there: all but the last turn."""
        if asked.marked is False:
            return
        earlier = asked.turns[:-1]
        size = mind.prompt_tokens(asked, earlier)
        key = f"{wire} {asked.model} {asked.system} {asked.tools} {earlier}"
        if size == 0:
            return
        if key in self._cached:
            answer.cache_read = size
        else:
            self._cached.add(key)
            answer.cache_write = size if asked.marked else 0


def write_error(wire: Wire, status: int, *words: Any) -> dict[str, Any]:
    """The body of an error, as the vendor of a wire writes it."""
    return _WRITING[wire].error(status, *words)


def _error(wire: Wire, status: int, *words: Any) -> Reply:
    return Reply(status, _JSON, json.dumps(write_error(wire, status, *words)).encode())


def find_wire(path: str) -> Wire | None:
    """The wire that a path belongs to; None for another path."""
    return next((wire for wire, pattern in _PATHS if pattern.fullmatch(path)), None)
