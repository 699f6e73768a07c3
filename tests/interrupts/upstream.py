"""The provider that the interrupted calls go to: it answers after a moment, in pieces where a stream is wanted."""

import json
import time

from multiroute_core.testing.server import Drop, Received, ReplayServer, Reply

SSE = {"content-type": "text/event-stream"}
JSON = {"content-type": "application/json"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}


def chunk(delta, finish=None):
    body = {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [{"index": 0, "delta": delta}]}
    body["choices"][0]["finish_reason"] = finish
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def answer(received: Received) -> Reply:
    try:
        body = json.loads(received.body)
    except ValueError:  # the caller was interrupted while it wrote
        raise Drop from None
    model = body["model"]
    if model == "busy":
        return Reply(503, JSON, b'{"error": {"message": "busy"}}')
    if not body.get("stream"):
        time.sleep(0.02 if model == "slow" else 0.002)
        message = {"role": "assistant", "content": "one two three"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return Reply(200, JSON, json.dumps({"id": "c", "model": "m", "choices": [choice], "usage": USAGE}).encode())

    def pieces():
        time.sleep(0.02 if model == "slow" else 0.0005)
        for word in ("one ", "two ", "three "):
            yield chunk({"content": word})
            time.sleep(0.0005)
        yield chunk({}, "stop")
        yield b"data: [DONE]\n\n"

    return Reply(200, SSE, pieces(), stream=True)


def upstream() -> ReplayServer:
    return ReplayServer(answer)
