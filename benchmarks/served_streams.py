"""Many streams at once through `multiroute serve`, beside a bare application on FastAPI and OpenAI's SDK.

    python -m benchmarks.served_streams                             # 500 streams, one process each; about a minute
    python -m benchmarks.served_streams --streams 2000 --workers 2  # with a Valkey that the processes share

All streams begin at once; the model server sends the first piece after 100 ms and then one every 200 ms. In the middle
it holds every stream until all have come that far. The servers take turns. Counted are the streams that do not end with
`[DONE]`; the first piece of the slowest 1 %; and the memory by which the server with its children has grown for each
stream, while all are held (`/proc`, so on Linux only). Then 200 clients leave in the middle of their streams: the time
until no call to the model server is open any more.

`short` marks a row that misses its target; the exit code is 0.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.contestants import CHAT, GPT
from benchmarks.served import Server, build_multiroute, free_port
from tests.redis_servers import running

PIECES = 10
FIRST_SECONDS = 0.1
PIECE_SECONDS = 0.2
LEAVERS = 200
HOLD_SECONDS = 60.0
"""How long streams may take to come to their middle."""
BODY = json.dumps({"model": GPT, "messages": CHAT, "stream": True}).encode()

BARE = """
import os
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
import httpx
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

app = FastAPI()
# The SDK's own limit is 1,000 connections: of more streams, the others wait until they fail.
http_client = DefaultAsyncHttpxClient(limits=httpx.Limits(max_connections=5000))
client = AsyncOpenAI(base_url=os.environ["UPSTREAM"] + "/v1", api_key="k", max_retries=0, http_client=http_client)


@app.get("/healthz")
async def healthz():
    return {}


@app.post("/v1/chat/completions")
async def chat(request: Request):
    body = await request.json()
    stream = await client.chat.completions.create(**body)

    async def events():
        async for chunk in stream:
            yield f"data: {chunk.model_dump_json()}\\n\\n"
        yield "data: [DONE]\\n\\n"

    return StreamingResponse(events(), media_type="text/event-stream")
"""


class ModelServer:
    """A model server in a thread, whose streams take their time.

    Attributes:
        url: Its address.
        open_streams: How many of its streams are open.
        held_streams: How many of its streams wait in their middle.
    """

    def __init__(self) -> None:
        self.open_streams = 0
        self.held_streams = 0
        self._may_go_on = asyncio.Event()
        self._may_go_on.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        started = self._loop.run_until_complete(
            asyncio.start_server(self._answer, "127.0.0.1", 0, backlog=4096, limit=1 << 16)
        )
        self._server = started
        self.url = f"http://127.0.0.1:{started.sockets[0].getsockname()[1]}"
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def hold(self) -> None:
        """Let streams wait in their middle until `release`."""
        self._loop.call_soon_threadsafe(self._may_go_on.clear)

    def release(self) -> None:
        """Let streams go on."""
        self._loop.call_soon_threadsafe(self._may_go_on.set)

    def break_down(self) -> None:
        """Refuse new connections, and break all that are open."""
        self._loop.call_soon_threadsafe(self._break_down)

    def _break_down(self) -> None:
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
                await reader.readexactly(size)
                await self._stream(reader, writer)
        self._writers.discard(writer)
        writer.close()

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_streams += 1
        try:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            for number in range(PIECES):
                await asyncio.sleep(PIECE_SECONDS if number else FIRST_SECONDS)
                if number == PIECES // 2:
                    await self._wait()
                if reader.at_eof() or writer.is_closing():
                    raise OSError
                writer.write(_frame(_event(f"word{number} ", None)))
            writer.write(_frame(_event("", "stop")) + _frame(b"data: [DONE]\n\n") + b"0\r\n\r\n")
            await writer.drain()
        finally:
            self.open_streams -= 1

    async def _wait(self) -> None:
        self.held_streams += 1
        try:
            await self._may_go_on.wait()
        finally:
            self.held_streams -= 1


def _event(text: str, finish: str | None) -> bytes:
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": GPT, "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _frame(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@dataclass
class Outcome:
    """What came of the rounds of one server.

    Attributes:
        lost: Streams that did not end as they should.
        first: Seconds until the first piece, of all streams.
        memory: Bytes for each open stream, of each round.
        left: Seconds until all calls of leavers were cancelled, of each round.
    """

    lost: int = 0
    first: list[float] = field(default_factory=list[float])
    memory: list[float] = field(default_factory=list[float])
    left: list[float] = field(default_factory=list[float])


async def read_stream(server: Server, outcome: Outcome) -> None:
    """Open one stream, and read it to its end."""
    try:
        reader, writer = await open_stream(server)
        begin = time.perf_counter()
        seen = b""
        first = None
        while piece := await reader.read(65536):
            seen += piece
            if first is None and b"word0" in seen:
                first = time.perf_counter() - begin
            if b"[DONE]" in seen:
                break
        writer.close()
        if first is None or b"[DONE]" not in seen or b"word9" not in seen:
            outcome.lost += 1
        else:
            outcome.first.append(first)
    except OSError:
        outcome.lost += 1


async def open_stream(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request for a stream."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\nauthorization: Bearer {server.key}"
    writer.write(f"{head}\r\ncontent-type: application/json\r\ncontent-length: {len(BODY)}\r\n\r\n".encode() + BODY)
    return reader, writer


async def measure_streams(server: Server, model: ModelServer, count: int, outcome: Outcome) -> None:
    """Open all streams at once, and measure the memory while all are in their middle."""
    before = server.resident_bytes()
    model.hold()
    tasks = [asyncio.create_task(read_stream(server, outcome)) for _ in range(count)]
    begin = time.perf_counter()
    while model.held_streams < count and time.perf_counter() - begin < HOLD_SECONDS:  # noqa: ASYNC110 - of another thread
        await asyncio.sleep(0.05)
    await asyncio.sleep(PIECE_SECONDS)  # the last pieces pass the server
    outcome.memory.append(max(0, server.resident_bytes() - before) / max(1, model.held_streams))
    model.release()
    await asyncio.gather(*tasks)


async def leave(server: Server) -> float:
    """Leave in the middle of streams; returns when, by `time.perf_counter`."""
    connections = await asyncio.gather(*(open_stream(server) for _ in range(LEAVERS)))
    await asyncio.gather(*(reader.readuntil(b"word0") for reader, _ in connections))
    for _, writer in connections:
        writer.close()
    await asyncio.sleep(0)
    return time.perf_counter()


def measure_departure(server: Server, model: ModelServer, outcome: Outcome) -> None:
    """Measure how soon calls of clients that leave are cancelled."""
    begin = asyncio.run(leave(server))
    while model.open_streams and time.perf_counter() - begin < 10:
        time.sleep(0.01)
    outcome.left.append(time.perf_counter() - begin)


def build_bare(folder: Path, upstream: str, workers: int) -> Server:
    """The bare application on uvicorn."""
    (folder / "bare.py").write_text(BARE)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "bare:app", "--port", str(port), "--workers", str(workers)]
    command += ["--log-level", "error", "--app-dir", str(folder)]
    return Server("FastAPI + SDK", command, port, "none", "/healthz", {"UPSTREAM": upstream})


def show(outcomes: dict[str, Outcome]) -> None:
    """Print the table."""
    table = Table("", *outcomes, "ratio", "target", "")
    both = list(outcomes.values())

    def add(title: str, figures: Sequence[float], unit: str, target: float | None, limit: float | None) -> None:
        ratio = figures[0] / figures[1] if figures[1] else 0.0
        is_met = (target is None or ratio <= target) and (limit is None or figures[0] <= limit)
        aim = f"≤ {target:g} times" if target is not None else f"≤ {limit:g}{unit}"
        cells = [f"{figure:,.2f}{unit}" for figure in figures]
        table.add_row(title, *cells, f"{ratio:.2f}", aim, "ok" if is_met else "short")

    add("lost streams", [float(one.lost) for one in both], "", None, 0.0)
    add("first piece, slowest 1 %", [statistics.quantiles(one.first, n=100)[98] for one in both], " s", 1.5, None)
    add("memory of an open stream", [max(one.memory) / 1024 for one in both], " KiB", 1.0, None)
    add(f"calls of {LEAVERS} leavers cancelled", [statistics.median(one.left) for one in both], " s", None, 1.0)
    Console(width=None if sys.stdout.isatty() else 120).print(table)


@contextlib.contextmanager
def shared_state(workers: int) -> Iterator[str]:
    """The address of a Valkey for several workers; empty for one."""
    if workers == 1:
        yield ""
        return
    with running("valkey") as valkey:
        yield valkey.url


def main() -> None:
    """Measure, and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
        f"{chosen.streams} streams, {chosen.workers} process(es), {chosen.rounds} rounds"
    )
    model = ModelServer()
    outcomes = {name: Outcome() for name in ("MultiRoute", "FastAPI + SDK")}
    with tempfile.TemporaryDirectory() as name, shared_state(chosen.workers) as state:
        folder = Path(name)
        ours = build_multiroute(folder, model.url, workers=chosen.workers, state=state)
        servers = [ours, build_bare(folder, model.url, chosen.workers)]
        try:
            for server in servers:
                server.run(folder / f"{server.name}.log")
                asyncio.run(measure_streams(server, model, 20, Outcome()))  # to warm up
            for _ in range(chosen.rounds):
                for server in servers:
                    asyncio.run(measure_streams(server, model, chosen.streams, outcomes[server.name]))
                for server in servers:
                    measure_departure(server, model, outcomes[server.name])
        finally:
            for server in servers:
                server.stop()
            model.close()
    show(outcomes)


if __name__ == "__main__":
    main()
