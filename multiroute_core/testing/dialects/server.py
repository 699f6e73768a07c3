"""Dialect server: a real HTTP server on loopback that speaks a dialect."""

from __future__ import annotations

import itertools
import json
from types import TracebackType
from typing import Any, Self, cast

from multiroute_core.errors import ConfigurationError
from multiroute_core.messages import Message
from multiroute_core.options import unknown
from multiroute_core.providers.provider import WireError
from multiroute_core.route import Route
from multiroute_core.testing.behaviours import Answer, Behaviour, DropConnection, Fail, Hang, IncomingCall
from multiroute_core.testing.dialects.catalogue import DIALECTS, Dialect
from multiroute_core.testing.dialects.provider import check_script
from multiroute_core.testing.dialects.writers import Writer
from multiroute_core.testing.server import Received, ReplayServer, Reply
from multiroute_core.types import Delta, Request

_JSON = {"content-type": "application/json"}
_SSE = {"content-type": "text/event-stream"}
_MODELS = {
    "anthropic": "anthropic:claude-sonnet-4-5",
    "google": "google:gemini-3.8-flash",
    "openai.responses": "openai:gpt-6.1-sol",
    "openai.chat": "openai:some-model",
}


_OK = Answer()

_SCRIPTED_ONLY = (DropConnection, Fail, Hang)
"""Behaviours of scripted routes that a dialect has no bytes for; answered as if they were empty, they would mislead."""


class DialectServer:
    """An HTTP server on a free port of 127.0.0.1 that speaks a dialect within its `with` block.

    Args:
        dialect: One of `DIALECTS`.
        behaviour: The behaviour for each call: `Answer` or `Failure`. Their delays, such as `first_token`, are ignored.

    Attributes:
        requests: The received requests, in order.
        url: The address without a path, such as `http://127.0.0.1:40123`. Every path is served, so for OpenAI's SDK
            both this and `f"{server.url}/v1"` work as `base_url`. Raises RuntimeError outside the `with` block.

    Raises:
        ConfigurationError: if the dialect does not exist or has no such failure, or for `Fail`, `Hang` and
            `DropConnection`, which only scripted routes show.

    Example:
        >>> with DialectServer("alias") as server:
        ...     proxy = Route("openai:gpt-4o-mini", base_url=f"{server.url}/v1", api_key="none", prices="openai")
    """

    def __init__(self, dialect: str, behaviour: Behaviour = _OK) -> None:
        if dialect not in DIALECTS:
            raise unknown("dialect", dialect, DIALECTS)
        self.dialect: Dialect = DIALECTS[dialect]
        check_script(dialect, behaviour)
        if not hasattr(behaviour, "steps") or isinstance(behaviour, _SCRIPTED_ONLY):
            raise ConfigurationError(f"behaviour is a {type(behaviour).__name__}; expected an Answer or a Failure.")
        self.behaviour = behaviour
        self._server = ReplayServer(self._serve)
        self._numbers = itertools.count()

    @property
    def url(self) -> str:
        """The server's address."""
        return self._server.url

    @property
    def requests(self) -> list[Received]:
        """The received requests."""
        return self._server.requests

    def route(self, **options: Any) -> Route:
        """Creates a route to the server, through the provider's SDK, named after the dialect.

        Args:
            **options: Options of `Route`, such as `name` or `prices`. The models of Chat Completions dialects have no
                list price.

        Raises:
            ConfigurationError: if an option is not valid.
            RuntimeError: if the server is not running.
        """
        path = "/v1" if self.dialect.wire.startswith("openai") else ""
        options = {"api_key": "test", "name": self.dialect.name, **options}
        if self.dialect.wire.startswith("openai"):
            options.setdefault("api", self.dialect.wire.removeprefix("openai."))
        return Route(_MODELS[self.dialect.wire], base_url=self.url + path, **options)

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, error, trace)

    def _serve(self, received: Received) -> Reply:
        body = json.loads(received.body)
        stream = bool(body.get("stream")) or "streamGenerate" in received.path
        call = IncomingCall(self.dialect.name, next(self._numbers), 0.0, _request(body), stream)
        writer = Writer(self.dialect, str(body.get("model") or "gemini"))
        deltas: list[Delta] = []
        for step in self.behaviour.steps(call):
            if isinstance(step.event, WireError):
                status = step.event.status_code or 500
                return Reply(status, _JSON, json.dumps(step.event.body).encode())
            if isinstance(step.event, Delta):
                deltas.append(step.event)
        if stream:
            return Reply(200, _SSE, [writer.frames(delta) for delta in deltas], stream=True)
        parts = tuple(part for delta in deltas for part in delta.parts)
        last = deltas[-1]
        return Reply(200, _JSON, writer.write_body(Delta(parts, last.finish_reason, last.usage, raw=last.raw)))


def _request(body: dict[str, Any]) -> Request:
    """Returns the request as far as a behaviour needs it: its text."""
    return Request((Message("user", _texts(body.get("messages") or body.get("contents") or body.get("input"))),))


def _texts(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return "".join(_texts(fields[name]) for name in ("text", "content", "parts") if name in fields)
    return "".join(map(_texts, cast("list[Any]", value))) if isinstance(value, list) else ""
