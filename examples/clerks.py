"""Two clerks: stand-ins of a small and a large model that enter orders, behind OpenAI's Chat Completions API.

The small one makes three kinds of mistakes: an answer that is not JSON, a wrong total, a wrong customer. The large one
makes few, and costs twenty times as much. Which order goes wrong is drawn once and for all; the SDK and the sockets are
real. Judging is easier: the small one is right about 85 of 100 answers, the large one about 95.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from typing import Any, Self, TypeAlias

from stage import reach_directly

from multiroute_core import Route
from multiroute_core.testing import Received, ReplayServer, Reply

Entry: TypeAlias = dict[str, Any]
"""An order as a clerk should enter it: `customer`, `items` and `total`."""

PAIRS = {
    "OPENAI_API_KEY": ("openai:gpt-6-luna", "openai:gpt-6.1-sol"),
    "ANTHROPIC_API_KEY": ("anthropic:claude-haiku-5-5", "anthropic:claude-sonnet-5-5"),
}
"""For each key, a small and a large model."""

SECONDS = {"small": 0.03, "large": 0.09}
PRICES = {"small": {"input": 0.2, "output": 0.8}, "large": {"input": 4.0, "output": 16.0}}
MISTAKES = {"small": (0.16, 0.17, 0.12), "large": (0.0, 0.02, 0.03)}
"""The shares of answers that are not JSON, have a wrong total, have a wrong customer."""

CORRECTED = 0.75
JUDGED_RIGHT = {"small": 0.85, "large": 0.95}

CUSTOMERS = ("Aster Books", "Blue Door Café", "Corner Bikes", "Delta Print", "Elm Street School", "Ferry Office")
GOODS = {"lamp": 40.0, "box of tea": 12.5, "notebook": 3.2, "chair": 89.0, "poster": 7.9, "desk": 210.0}


def write_orders(count: int) -> list[tuple[str, Entry]]:
    """Return orders as customers write them, each with its right entry; always the same ones."""
    return [_write_order(number) for number in range(count)]


def pair_with_keys() -> tuple[Route, Route] | None:
    """Return a small and a large model whose key is in the environment; None without a key."""
    pairs = (tuple(Route(name) for name in pair) for key, pair in PAIRS.items() if os.environ.get(key))
    return next(pairs, None)  # pyright: ignore[reportReturnType]


class Clerks:
    """The server of both models."""

    def __init__(self) -> None:
        self._server = ReplayServer(_answer)

    def start(self) -> Self:
        """Start the server."""
        reach_directly("127.0.0.1")
        self._server.__enter__()
        return self

    def stop(self) -> None:
        """Stop the server."""
        self._server.__exit__(None, None, None)

    @property
    def routes(self) -> tuple[Route, Route]:
        """The small and the large model."""
        address = f"{self._server.url}/v1"
        small, large = (
            Route(f"openai:{name}", base_url=address, api_key="none", name=name, prices=PRICES[name])
            for name in ("small", "large")
        )
        return small, large


def _write_order(number: int) -> tuple[str, Entry]:
    draw = random.Random(number)
    customer = draw.choice(CUSTOMERS)
    goods = draw.sample(sorted(GOODS), draw.randint(1, 3))
    items = [{"name": name, "quantity": draw.randint(2, 30), "price": GOODS[name]} for name in goods]
    total = round(sum(item["quantity"] * item["price"] for item in items), 2)
    lines = " and ".join(f"{item['quantity']} × {item['name']} at {item['price']:.2f} each" for item in items)
    writer = draw.choice(("Ada", "Ben", "Cleo"))
    text = f"Order {number}. Hello, this is {writer} of {customer}. We need {lines}. Thanks!"
    return text, {"customer": customer, "items": items, "total": total}


def _answer(received: Received) -> Reply:
    body = json.loads(received.body)
    model = body["model"]
    messages = body["messages"]
    prompt = "\n".join(message["content"] for message in messages)
    match = re.search(r"Order (\d+)\.", prompt)
    number = int(match[1]) if match else 0
    entry = _write_order(number)[1]
    if "Criteria:" in prompt:
        text = _judge(model, number, entry, prompt.rpartition("Answer:\n")[2])
    else:
        is_repair = any(message["role"] == "assistant" for message in messages)
        text = _enter(model, number, entry, is_repair=is_repair)
    time.sleep(SECONDS[model])
    tokens = {"prompt_tokens": len(prompt) // 4, "completion_tokens": len(text) // 4 + 1}
    reply = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": tokens | {"total_tokens": sum(tokens.values())},
    }
    return Reply(headers={"content-type": "application/json"}, body=json.dumps(reply).encode())


def _enter(model: str, number: int, entry: Entry, *, is_repair: bool) -> str:
    """Return what a clerk answers: the right entry, or one with its mistake."""
    draw = random.Random(f"{model} {number}")
    chance = draw.random()
    no_json, wrong_total, wrong_customer = MISTAKES[model]
    if is_repair and draw.random() < CORRECTED:
        return json.dumps(entry)
    if chance < no_json:
        return f"Sure! Here is the order: {json.dumps(entry)}"
    if chance < no_json + wrong_total:
        return json.dumps(entry | {"total": round(entry["total"] + draw.choice((-10, 9, 90)), 2)})
    if chance < no_json + wrong_total + wrong_customer:
        others = [customer for customer in CUSTOMERS if customer != entry["customer"]]
        return json.dumps(entry | {"customer": draw.choice(others)})
    return json.dumps(entry)


def _judge(model: str, number: int, entry: Entry, answer: str) -> str:
    try:
        is_right = json.loads(answer) == entry
    except ValueError:
        is_right = False
    is_sure = random.Random(f"judge {model} {number} {answer}").random() < JUDGED_RIGHT[model]
    return "yes" if is_right == is_sure else "no"
