"""One of each object that shows itself, with names that try to break out."""

from __future__ import annotations

from typing import Any

from multiroute_core import Blob, Budget, Limit, OverloadedError, Response, Router, Text, ToolCall, Usage, report
from multiroute_core.messages import Reasoning
from multiroute_core.testing import Answer, Fail, scripted_route

PRICES = {"input": 1.0, "output": 4.0}
FORMULA = r"It costs $5, not $6. \(x\) and \[y\]"
HOSTILE = "<img src=x onerror=alert(1)> $a_1$ & 日本 \x1b[2J"
TEXT = f"{FORMULA}\n\n    def indented():\n<script>alert(1)</script> {'long' * 60}"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef"
    "0000000049454e44ae426082"
)


def overloaded() -> OverloadedError:
    return OverloadedError(f"Overloaded: try again for $5 or $6. {HOSTILE}")


def build_router() -> Router:
    """A router with three routes, of which the first fails."""
    return Router(
        [
            scripted_route("claude", [Fail(overloaded, after=0.02)] * 9, region="eu", prices=PRICES, rpm=500),
            scripted_route(HOSTILE, [Answer(TEXT, first_token=0.02, usage=Usage(1_200, 340, 400))] * 9, prices=PRICES),
            scripted_route(
                "own:model/with/a-long_name@here", [Answer("Hi")] * 9, tags={"fast"}, backup=True, prices=PRICES
            ),
        ],
        cache="memory",
        ledger="memory",
        budget=Budget(usd=0.005, name=HOSTILE),
        limit=Limit(rpm=600, tpm=10**6, name=HOSTILE),
    )


def examples() -> dict[str, Any]:
    """Return the objects by name."""
    router = build_router()
    response = router.generate("Hello", tenant=HOSTILE, labels={"a", HOSTILE})
    *_, chunk = router.stream("Hello again", tenant="acme")
    parts = (
        Reasoning("First $1, then $2."),
        Text("Look:"),
        ToolCall("1", "get_weather", {"city": "Paris $1 $2"}),
        Blob(PIXEL, "image/png"),
        Blob(b"RIFF", "audio/wav"),
    )
    return {
        "response": response,
        "streamed response": chunk.response,
        "cached response": router.generate("Hello", tenant=HOSTILE, labels={"a", HOSTILE}),
        "response with parts": Response(parts, "tool_call", None, "gpt", "openai", "openai:gpt"),
        "record": router.ledger.query()[0],
        "router": router,
        "health": router.health(),
        "explanation": router.explain("Hello"),
        "estimate": router.estimate("Hello"),
        "budgets": router.budgets(),
        "limits": router.limit_statuses(),
        "totals": router.ledger.totals("route"),
        "report": report.of(router.ledger),
    }


def plain_examples() -> dict[str, Any]:
    """Return objects as users have them, for pictures: the key is the code of the cell."""
    slow = [Fail(OverloadedError, after=0.12)] * 3 + [Answer("Yes.", first_token=0.04)] * 9
    answer = "An eclipse is when one body moves into the shadow of another.\n\nA ticket costs $5, or $6 at the door."
    router = Router(
        [
            scripted_route("anthropic:claude-sonnet-4-5", slow, region="eu", prices={"input": 3.0, "output": 15.0}),
            scripted_route(
                "openai:gpt-5-mini",
                [Answer(answer, first_token=0.16, usage=Usage(1_240, 96, 1_024))] * 9,
                prices={"input": 0.25, "output": 2.0},
                tags={"fast"},
            ),
            scripted_route(
                "google:gemini-2.5-pro", [Answer("Hi")] * 9, backup=True, prices={"input": 1.25, "output": 10.0}
            ),
        ],
        cache="memory",
        ledger="memory",
        budget=Budget(usd=0.001, per="day", scope="tenant"),
    )
    *_, chunk = router.stream("What is an eclipse?", tenant="school", labels={"chat"})
    for number in range(6):
        router.generate(f"Question {number}", tenant=("school", "shop")[number % 2], labels={"chat"})
    return {
        'router.generate("What is an eclipse?")': chunk.response,
        "router": router,
        "router.health()": router.health(),
        'router.explain("What is an eclipse?", strategy="cheapest")': router.explain(
            "What is an eclipse?", strategy="cheapest"
        ),
        'router.estimate("What is an eclipse?")': router.estimate("What is an eclipse?"),
        "router.budgets()": router.budgets(),
        'router.ledger.totals("route")': router.ledger.totals("route"),
        "router.ledger.query()[-1]": router.ledger.query()[-1],
        "router.report()": report.of(router.ledger),
    }
