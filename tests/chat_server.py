"""Replies in OpenAI's wire for `ReplayServer`: the smallest true bodies."""

import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

from multiroute_core import Route, Router
from multiroute_core.testing.server import Received, ReplayServer, Reply

JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream"}


def answer(text: str = "Hello.", model: str = "gpt-4.1", finish: str = "stop", prompt: int = 5, completion: int = 2):
    """A whole answer or a stream, as the request asks."""

    def reply(received: Received) -> Reply:
        if json.loads(received.body).get("stream"):
            return Reply(200, SSE, list(events(text, model, finish, prompt, completion)), stream=True)
        message = {"role": "assistant", "content": text}
        body = {
            "id": "c1",
            "object": "chat.completion",
            "model": model,
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
        }
        return Reply(200, JSON, json.dumps(body).encode())

    return reply


def events(text="Hello.", model="gpt-4.1", finish="stop", prompt=5, completion=2) -> Iterable[bytes]:
    """The events of a stream: the role, a word each, the end, the usage."""

    def event(delta, reason=None, **more):
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason}]
        return b"data: " + json.dumps({"id": "c1", "model": model, "choices": choices, **more}).encode() + b"\n\n"

    yield event({"role": "assistant", "content": ""})
    for word in text.split(" "):
        yield event({"content": word if word == text.split(" ")[-1] else word + " "})
    yield event({}, finish)
    yield event(None, usage={"prompt_tokens": prompt, "completion_tokens": completion})
    yield b"data: [DONE]\n\n"


def error(status: int, message: str = "No.", kind: str = "server_error", **headers: str) -> Reply:
    """An error, as OpenAI words it."""
    body = json.dumps({"error": {"message": message, "type": kind, "code": None, "param": None}}).encode()
    return Reply(status, {**JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}, body)


class Fleet:
    """One server for each route, and a router over them; `a`, `b`, … are the routes' names."""

    def __init__(self, *replies: Reply | Callable[[Received], Reply], **settings) -> None:
        self._stack = ExitStack()
        self.servers = [self._stack.enter_context(ReplayServer(reply)) for reply in replies]
        details = settings.pop("details", [{}] * len(replies))
        self.routes = [
            Route(
                "openai:gpt-4.1",
                name="abcdefgh"[i],
                base_url=f"{server.url}/v1",
                api_key="k",
                **{"prices": "openai", **details[i]},
            )
            for i, server in enumerate(self.servers)
        ]
        self.events = []
        self.router = Router(self.routes, on_event=[self.events.append], **settings)

    @property
    def hits(self) -> list[int]:
        """How many requests each server has had."""
        return [len(server.requests) for server in self.servers]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.router.close()
        self._stack.close()


FACES = ("generate", "agenerate", "stream", "astream")


def ask(router: Router, face: str, messages: Any = "Hi", **options: Any):
    """Ask through one of the four faces; the response, whatever the face."""
    import asyncio

    if face == "generate":
        return router.generate(messages, **options)
    if face == "agenerate":
        return asyncio.run(router.agenerate(messages, **options))
    if face == "stream":
        chunks = list(router.stream(messages, **options))
    else:

        async def collect():
            return [chunk async for chunk in router.astream(messages, **options)]

        chunks = asyncio.run(collect())
    assert "".join(chunk.text for chunk in chunks) == chunks[-1].response.text
    return chunks[-1].response
