"""What a cascade (cheap models first, the next one when a check rejects the answer) costs, against its quality.

    python -m benchmarks.cascade                  # from the repository's root; about a minute
    python -m benchmarks.cascade --questions 500  # fewer questions
    python -m benchmarks.cascade --all            # all 5,608

The data lie in `data/routing` of `$MULTIROUTE_SHARED`: questions with the score of nine models each (0 to 1), and the
models' prices. Every call goes through the router and OpenAI's SDK to a server on 127.0.0.1, which stands for the
models: its answer names the question and the model, so that the score can be looked up. The data do not tell the
lengths of the answers; each counts as 250 tokens, and a prompt as a token for four characters.

A check is right in a share of the answers, in the others it is wrong, in both directions; "100 %" is an upper bound, a
test suite for code comes close to it. A judge is a model that is asked as well (`multiroute_core.guards.judge`), and
its cost is included. "by chance" accepts half of the answers whatever they are: what a cascade is worth without a
check. Where every answer is rejected, the last one counts, as a caller would take it.

A row is marked `*` if none costs less and scores as much. The exit code is 0.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from multiroute_core import AllRoutesFailedError, RejectedAnswerError, Response, Route, Router
from multiroute_core.guards import judge

OUTPUT_TOKENS = 250
CASCADE = ("gemma-2-9b-it", "llama-3.1-8b-instruct", "llama-3.1-nemotron-51b-instruct")
"""The best model of each price, cheapest first."""

JUDGE = "llama-3.1-8b-instruct"
"""The model whose price a judge has."""

CRITERIA = "The answer is correct."


@dataclass(frozen=True)
class Row:
    """What one way of answering the questions gave.

    Attributes:
        name: How.
        quality: The mean score, 0 to 1.
        cost: USD for 1,000 questions.
        calls: Calls of models for a question, without those of judges.
    """

    name: str
    quality: float
    cost: float
    calls: float


class Scores:
    """The questions and what each model scores.

    Args:
        folder: `data/routing`.
    """

    def __init__(self, folder: Path) -> None:
        entries = json.loads((folder / "llmrouter_dc_train.json").read_text("utf-8"))
        self.questions: list[str] = [entry["question"] for entry in entries]
        self._scores: list[dict[str, float]] = [entry["scores"] for entry in entries]
        candidates = json.loads((folder / "llmrouter_candidates.json").read_text("utf-8"))
        self.models = list(self._scores[0])
        self.prices = {
            name: {"input": entry["input_price"], "output": entry["output_price"]} for name, entry in candidates.items()
        }

    def score(self, answer: str) -> float:
        """The score of an answer of the server: "17 gemma-2-9b-it"."""
        number, _, model = answer.partition(" ")
        return self._scores[int(number)][model]

    def accepts(self, answer: str, accuracy: float) -> bool:
        """What a check of this accuracy (0 to 1) says of an answer; the same at every call."""
        draw = int.from_bytes(hashlib.sha256(f"{accuracy} {answer}".encode()).digest()[:8]) / 2**64
        return (self.score(answer) >= 0.5) == (draw < accuracy)


def folder() -> Path | None:
    """The folder of the data; None without it."""
    path = Path(os.environ.get("MULTIROUTE_SHARED", "../shared")) / "data" / "routing"
    return path if path.is_dir() else None


class Models(BaseHTTPRequestHandler):
    """The models, and judges named `judge-90` for an accuracy of 90 %."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    scores: Scores

    def do_POST(self) -> None:
        """Answer a request of Chat Completions."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        prompt = body["messages"][-1]["content"]
        model = body["model"]
        if model.startswith("judge-"):
            answer = prompt.rpartition("Answer:\n")[2]
            text = "yes" if self.scores.accepts(answer, int(model[6:]) / 100) else "no"
            tokens = 1
        else:
            text = f"{prompt.partition(' ')[0]} {model}"
            tokens = OUTPUT_TOKENS
        reply = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": model,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": len(prompt) // 4,
                "completion_tokens": tokens,
                "total_tokens": len(prompt) // 4 + tokens,
            },
        }
        content = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


def serve(path: Path) -> None:
    """Serve until stdin ends."""
    Models.scores = Scores(path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Models)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()
    server.shutdown()


@contextmanager
def serving() -> Iterator[str]:
    """Start the server in a process of its own; yields its address."""
    command = [sys.executable, "-m", "benchmarks.cascade", "--serve"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
    finally:
        process.stdin.close()
        process.wait()


def measure(
    name: str,
    router: Router,
    scores: Scores,
    chosen: Sequence[int],
    advance: Callable[[], None],
    jury: Router | None = None,
) -> Row:
    """Ask every question; closes the routers."""
    quality = cost = 0.0
    calls = 0
    with router:
        for number in chosen:
            try:
                response = router.generate(f"{number} {scores.questions[number]}")
            except (AllRoutesFailedError, RejectedAnswerError) as error:
                rejected = error.errors[-1] if isinstance(error, AllRoutesFailedError) else error
                assert isinstance(rejected, RejectedAnswerError)
                assert rejected.answer is not None
                response = rejected.answer
                attempts = error.attempts
            else:
                attempts = response.attempts
            quality += scores.score(response.text)
            cost += sum(attempt.cost or 0.0 for attempt in attempts)
            calls += len(attempts)
            advance()
    if jury is not None:
        assert jury.ledger is not None
        cost += sum(record.cost or 0.0 for record in jury.ledger.query())
        jury.close()
    return Row(name, quality / len(chosen), 1000 * cost / len(chosen), calls / len(chosen))


def build_contestants(scores: Scores, address: str) -> Iterator[tuple[str, Router, Router | None]]:
    """Name, router, and the judge's router if there is one."""

    def route(model: str, name: str | None = None) -> Route:
        prices = scores.prices[model]
        return Route(f"openai:{name or model}", base_url=address, api_key="k", api="chat", prices=prices)

    for model in scores.models:
        yield model, Router([route(model)]), None
    cascade = [route(model) for model in CASCADE]
    for accuracy in (1.0, 0.9, 0.8, 0.7):
        check = partial(_check, scores, accuracy)
        yield f"cascade, check right in {accuracy:.0%}", Router(cascade, accept=check), None
    for accuracy in (90, 80):
        jury = Router([route(JUDGE, f"judge-{accuracy}")], ledger="memory")
        yield f"cascade, judge right in {accuracy}%", Router(cascade, accept=judge(jury, CRITERIA)), jury
    yield "cascade, by chance", Router(cascade, accept=_toss), None


def _check(scores: Scores, accuracy: float, response: Response) -> bool:
    return scores.accepts(response.text, accuracy)


def _toss(response: Response) -> bool:
    return hashlib.sha256(response.text.encode()).digest()[0] < 128


def show(console: Console, rows: Sequence[Row], count: int) -> None:
    """The table: cost of 1,000 questions, mean score and calls a question, cheapest first."""
    table = Table(title=f"{count:,} questions")
    table.add_column("", no_wrap=True)
    for title in ("USD for 1,000", "mean score", "calls"):
        table.add_column(title, justify="right")
    table.add_column("score", no_wrap=True)
    table.add_column("")
    for row in sorted(rows, key=lambda row: row.cost):
        is_best = not any(other.cost < row.cost and other.quality >= row.quality for other in rows)
        bar = "█" * round(25 * row.quality)
        table.add_row(
            row.name, f"{row.cost:.4f}", f"{row.quality:.3f}", f"{row.calls:.2f}", bar, "*" if is_best else ""
        )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=2000, help="how many, drawn at random with a fixed seed")
    parser.add_argument("--all", action="store_true", help="all questions")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    path = folder()
    if path is None:
        raise SystemExit("No data: MULTIROUTE_SHARED does not name a folder with data/routing in it.")
    if arguments.serve:
        serve(path)
        return
    scores = Scores(path)
    numbers = list(range(len(scores.questions)))
    chosen = numbers if arguments.all else sorted(random.Random(1).sample(numbers, arguments.questions))
    rows: list[Row] = []
    with serving() as address, Progress(console=Console(stderr=True), transient=True) as progress:
        contestants = list(build_contestants(scores, address))
        task = progress.add_task("questions", total=len(contestants) * len(chosen))
        for name, router, jury in contestants:
            rows.append(measure(name, router, scores, chosen, partial(progress.advance, task), jury))
    show(Console(), rows, len(chosen))


if __name__ == "__main__":
    main()
