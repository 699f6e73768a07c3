"""`multiroute serve` beside LiteLLM's proxy: requests a second, CPU time and memory of the server, and its start-up.

    python -m benchmarks.served             # from the repository's root; about two minutes, and one to install LiteLLM
    python -m benchmarks.served --quick     # fewer requests
    python -m benchmarks.served --alone     # without LiteLLM

Both are one process on 127.0.0.1, with one API key and one route to the same model server, which answers at once. The
client is this process; it keeps the same number of requests in flight for both, and they take turns. CPU time and
memory are those of the server with its children (`/proc`), so this runs on Linux only. The start-up ends with the
first answer of a health endpoint. LiteLLM runs in an environment of its own (`.venv-proxy`), with the newest version,
one worker and its logs off.

`short` marks a row that misses its target; the exit code is 0.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.metadata
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.contestants import CHAT, GPT
from benchmarks.load import server as server_of_models
from benchmarks.peers import environment
from multiroute_core.serving import create_key, hash_key

IN_FLIGHT = 32
START_SECONDS = 120.0
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
MIB = 1024 * 1024


@dataclass
class Server:
    """A server under test.

    Attributes:
        name: Its name.
        command: What starts it.
        port: Its port.
        key: The client's key.
        health: The path of its health endpoint.
        start: Seconds until it was healthy.
        rates: Requests a second of each round, by kind.
        cpu: CPU seconds a request of each round, by kind.
        memory: Resident bytes at the end.
    """

    name: str
    command: Sequence[str]
    port: int
    key: str
    health: str
    environment: dict[str, str] = field(default_factory=dict[str, str])
    start: float = 0.0
    rates: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    cpu: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    memory: int = 0
    process: Any = None

    def run(self, log: Path) -> None:
        """Start it, and wait until it is healthy.

        Raises:
            RuntimeError: It ends, or is not healthy in time.
        """
        begin = time.perf_counter()
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                self.command, stdout=output, stderr=output, env={**os.environ, **self.environment}
            )
        while time.perf_counter() - begin < START_SECONDS:
            address = f"http://127.0.0.1:{self.port}{self.health}"
            with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as reply:
                if reply.status == 200:
                    self.start = time.perf_counter() - begin
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError(f"{self.name} did not start:\n{log.read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def processes(self) -> Iterator[int]:
        """It and its children, as long as they run."""
        waiting = [self.process.pid]
        while waiting:
            pid = waiting.pop()
            yield pid
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                with contextlib.suppress(OSError):
                    waiting += map(int, task.read_text().split())

    def cpu_seconds(self) -> float:
        """CPU time that it has used, user and system."""
        ticks = 0
        for pid in self.processes():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / TICKS

    def resident_bytes(self) -> int:
        """Its resident memory."""
        pages = (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.processes())
        return sum(pages) * os.sysconf("SC_PAGE_SIZE")


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def build_multiroute(
    folder: Path, upstream: str, *more_upstreams: str, workers: int = 1, state: str = "", **options: object
) -> Server:
    """`multiroute serve` with a route for each upstream; several processes share the state at an address."""
    key = create_key()
    (folder / "keys.txt").write_text(f"{hash_key(key)} shop\n")
    route = {"route": f"openai:{GPT}", "api_key": "k", "api": "chat", "prices": "openai"}
    routes = [
        {**route, "name": f"vendor-{number}", "base_url": f"{address}/v1"}
        for number, address in enumerate((upstream, *more_upstreams), 1)
    ]
    config = {"routes": routes, **({"state": state} if state else {}), **options}
    (folder / "routes.json").write_text(json.dumps(config))
    port = free_port()
    code = "import sys; from multiroute_core.cli.main import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["serve", str(folder / "routes.json"), "--keys", str(folder / "keys.txt"), "--port", str(port)]
    arguments += ["--workers", str(workers), "--max-concurrency", "5000"]
    return Server("MultiRoute", [sys.executable, "-c", code, *arguments], port, key, "/healthz")


def build_litellm(folder: Path, upstream: str, python: Path) -> Server:
    """LiteLLM's proxy."""
    key = "sk-benchmark-1234"
    parameters = {"model": f"openai/{GPT}", "api_base": f"{upstream}/v1", "api_key": "k"}
    config = {
        "model_list": [{"model_name": GPT, "litellm_params": parameters}],
        "general_settings": {"master_key": key},
        "litellm_settings": {"telemetry": False, "num_retries": 0},
    }
    (folder / "litellm.yaml").write_text(json.dumps(config))  # JSON is YAML
    port = free_port()
    command = [str(python.parent / "litellm"), "--config", str(folder / "litellm.yaml"), "--host", "127.0.0.1"]
    command += ["--port", str(port), "--num_workers", "1"]
    quiet = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
    return Server("LiteLLM's proxy", command, port, key, "/health/liveliness", quiet)


async def send(server: Server, count: int, *, stream: bool) -> None:
    """Make so many requests, `IN_FLIGHT` at a time, each connection used again.

    Raises:
        RuntimeError: An answer is not what it should be.
    """
    body = json.dumps({"model": GPT, "messages": CHAT, "stream": stream}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {server.key}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    request = head.encode() + body
    left = count

    async def work() -> None:
        nonlocal left
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        while left > 0:
            left -= 1
            writer.write(request)
            answer = await read_answer(reader)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{server.name} answered {answer[:500]!r}")
            if (b"[DONE]" if stream else b"lazy dog") not in answer:
                raise RuntimeError(f"{server.name} sent half an answer: {answer[-200:]!r}")
        writer.close()

    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    """One answer of HTTP/1.1, by its length or in chunks."""
    head = await reader.readuntil(b"\r\n\r\n")
    lower = head.lower()
    if b"transfer-encoding: chunked" not in lower:
        size = int(lower.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        return head + await reader.readexactly(size)
    pieces = [head]
    while True:
        size = int((await reader.readline()).strip() or b"0", 16)
        pieces.append(await reader.readexactly(size + 2))
        if not size:
            return b"".join(pieces)


def measure(server: Server, kind: str, count: int) -> None:
    """One round."""
    cpu = server.cpu_seconds()
    begin = time.perf_counter()
    asyncio.run(send(server, count, stream=kind == "streams"))
    server.rates.setdefault(kind, []).append(count / (time.perf_counter() - begin))
    server.cpu.setdefault(kind, []).append((server.cpu_seconds() - cpu) / count)


def show(servers: Sequence[Server]) -> None:
    """Print the table."""
    table = Table("", *(server.name for server in servers), "ratio", "target", "")
    rows: list[tuple[str, list[float], str, float]] = []
    for kind in servers[0].rates:
        rates = [statistics.median(server.rates[kind]) for server in servers]
        rows.append((f"{kind} a second", rates, "≥", 3.0))
        cpu = [1000 * statistics.median(server.cpu[kind]) for server in servers]
        rows.append((f"CPU ms for one of the {kind}", cpu, "≤", 0.35))
    rows.append(("memory, MiB", [server.memory / MIB for server in servers], "≤", 0.4))
    rows.append(("start-up, seconds", [server.start for server in servers], "≤", 0.3))
    for title, figures, sign, target in rows:
        cells = [f"{figure:,.2f}" for figure in figures]
        if len(figures) < 2:
            table.add_row(title, *cells, "", "", "")
            continue
        ratio = figures[0] / figures[1]
        is_met = ratio >= target if sign == "≥" else ratio <= target
        table.add_row(title, *cells, f"{ratio:.2f}", f"{sign} {target:g}", "ok" if is_met else "short")
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def main() -> None:
    """Measure, and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer requests")
    parser.add_argument("--alone", action="store_true", help="without LiteLLM")
    chosen = parser.parse_args()
    rounds, count = (2, 300) if chosen.quick else (5, 1000)
    names = {distribution.name for distribution in importlib.metadata.distributions()}
    packages = ("openai", "starlette", "uvicorn", "httptools", "uvloop")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages if name in names)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {versions}")
    python = None if chosen.alone else environment.python(environment.PROXY_HOME, environment.PROXY_PACKAGES)
    with tempfile.TemporaryDirectory() as name, server_of_models(0.0) as upstream:
        folder = Path(name)
        servers = [build_multiroute(folder, upstream)]
        if python is not None:
            servers.append(build_litellm(folder, upstream, python))
        try:
            for server in servers:
                server.run(folder / f"{server.name}.log")
            for kind in ("answers", "streams"):
                for server in servers:
                    asyncio.run(send(server, IN_FLIGHT * 2, stream=kind == "streams"))  # to warm up
                for _ in range(rounds):
                    for server in servers:
                        measure(server, kind, count if kind == "answers" else count // 2)
            for server in servers:
                server.memory = server.resident_bytes()
        finally:
            for server in servers:
                server.stop()
        show(servers)


if __name__ == "__main__":
    main()
