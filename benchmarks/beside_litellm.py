"""Many calls in flight, 1,000 open streams and the router's own cost, compared with LiteLLM's Router and ChatOpenAI.

    python -m benchmarks.beside_litellm                # from the repository's root; about four minutes
    python -m benchmarks.beside_litellm --quick        # fewer rounds, 200 streams

Each client is a process of its own, LiteLLM in an environment of its own (`.venv-peers`), with the newest versions.
They take turns, each round in another order.

* Calls: 256 in flight, to a server on 127.0.0.1 that answers each after 100 ms. CPU time of the whole client process.
* The router's own cost: what a call takes through the router over a provider that uses no network, less what that
  provider takes alone.
* Streams: all are open at the same time, each after its first chunk, and the server has more to say. The memory is that
  of the whole process, and what it has grown by per stream.

`short` marks a row that misses its target; the exit code is 0.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import loopback
from benchmarks.contestants import flow
from benchmarks.load import server
from benchmarks.peers import environment

CALLER = Path(__file__).parent / "peers" / "load_caller.py"
OWN: tuple[str, ...] = ("Router", "ChatMultiRoute", "ChatOpenAI")
"""The clients in our environment."""
IN_FLIGHT = 256
CHUNKS_SENT = 20
"""Number of chunks that a held stream sends before it waits."""
ORDER = random.Random(0)
KIB = 1024


class Caller:
    """A client in a process of its own.

    Args:
        name: Its name, see `load_caller.CLIENTS`.
        python: The interpreter of its environment.
    """

    def __init__(self, name: str, python: Path) -> None:
        self.name = name
        settings = {**os.environ, "PYTHONPATH": str(environment.ROOT)}
        self._process = subprocess.Popen(
            [str(python), str(CALLER), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=settings
        )

    def ask(self, command: str, **values: Any) -> dict[str, Any]:
        """Send a command, and return its result.

        Raises:
            RuntimeError: The process has ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": command, **values}) + "\n")
        self._process.stdin.flush()
        if not (line := self._process.stdout.readline()):
            raise RuntimeError(f"The process of {self.name} has ended during {command!r}; its error is above.")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def callers(pythons: Mapping[str, Path], url: str) -> Iterator[dict[str, Caller]]:
    """Start a process for each client; prints the versions."""
    with contextlib.ExitStack() as stack:
        started: dict[str, Caller] = {}
        for name, python in pythons.items():
            started[name] = caller = Caller(name, python)
            stack.callback(caller.close)
            print(f"{name}: {caller.ask('open', url=url)['version']}")
        yield started


class _HeldStream(asyncio.Protocol):
    """A connection whose response is a stream that does not end."""

    def __init__(self, sent: bytes) -> None:
        self._sent = sent
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
        if blank and len(body) >= size:
            self._received = b""
            self._transport.write(self._sent)


@contextlib.contextmanager
def holding_server() -> Iterator[str]:
    """Run a server whose streams do not end; gives its address."""
    sent = loopback.unfinished_stream(CHUNKS_SENT)
    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(loop.create_server(lambda: _HeldStream(sent), "127.0.0.1", 0, backlog=1024))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        listening.close()
        loop.run_until_complete(listening.wait_closed())
        loop.close()


def measure_load(processes: Mapping[str, Caller], rounds: int, count: int) -> dict[str, float]:
    """Return the CPU seconds of a call, for each client."""
    seconds: dict[str, list[float]] = {name: [] for name in processes}
    for caller in processes.values():
        caller.ask("load", in_flight=IN_FLIGHT, count=1)  # opens the connections
    for _ in range(rounds):
        for name in ORDER.sample([*processes], len(processes)):
            seconds[name].append(processes[name].ask("load", in_flight=IN_FLIGHT, count=count)["cpu"])
    return {name: statistics.median(values) for name, values in seconds.items()}


def measure_own_flow(count: int) -> dict[str, float]:
    """Return the CPU seconds that our router adds to a call."""
    pairs = {pair.name.split()[3]: pair for pair in flow(1) if "stream" not in pair.name}

    def repeat(call: Any) -> float:
        began = time.process_time()
        for _ in range(count):
            call()
        return (time.process_time() - began) / count

    async def arepeat(call: Any) -> float:
        began = time.process_time()
        for _ in range(count):
            await call()
        return (time.process_time() - began) / count

    with asyncio.Runner() as runner:
        sync, native = pairs["generate"], pairs["agenerate"]
        for _ in range(2):  # the first one warms up
            own = {
                "sync": repeat(sync.ours.ask) - repeat(sync.theirs.ask),
                "async": runner.run(arepeat(native.ours.ask)) - runner.run(arepeat(native.theirs.ask)),
            }
    return own


def measure_their_flow(caller: Caller, count: int) -> dict[str, float]:
    """Return the CPU seconds that LiteLLM's router adds to a call."""
    result = caller.ask("flow", body=loopback.openai_answer("The fox jumps."), count=count)
    return {
        "sync": result["completion"] - result["provider"],
        "async": result["acompletion"] - result["aprovider"],
    }


def row(table: Table, name: str, ours: str, theirs: str, ratio: float, target: float, *, at_least: bool) -> None:
    """Add a row, with its verdict."""
    met = ratio >= target if at_least else ratio <= target
    sign = "≥" if at_least else "≤"
    table.add_row(
        name, ours, theirs, f"{ratio:.3g}", f"{sign} {target:.3g}", "[green]ok[/]" if met else "[red]short[/]"
    )


def show(
    load: Mapping[str, float], flows: Sequence[Mapping[str, float]], memory: Mapping[str, tuple[float, float]]
) -> None:
    """Print the table.

    Args:
        load: The CPU seconds of a call, for each client.
        flows: The CPU seconds that the router adds to a call: ours and LiteLLM's.
        memory: The bytes of an open stream, and of the process with all of them, for each client.
    """
    table = Table("", title="MultiRoute and others", title_justify="left")
    for head in ("ours", "theirs", "ratio", "target", ""):
        table.add_column(head, justify="right")
    for ours, theirs, target in (("Router", "LiteLLM", 4.0), ("ChatMultiRoute", "ChatOpenAI", 2.5)):
        if theirs in load:
            calls = [1 / load[name] for name in (ours, theirs)]
            name = f"calls a second and core, {IN_FLIGHT} in flight: {ours} / {theirs}"
            row(table, name, f"{calls[0]:,.0f}", f"{calls[1]:,.0f}", calls[0] / calls[1], target, at_least=True)
    if len(flows) == 2:
        for face in flows[0]:
            own, other = flows[0][face], flows[1][face]
            name = f"the router's own cost, {face}: Router / LiteLLM's"
            row(table, name, f"{own * 1e6:,.0f} µs", f"{other * 1e6:,.0f} µs", own / other, 1 / 30, at_least=False)
    for ours, theirs, target in (
        ("Router", "LiteLLM", 0.5),
        ("ChatMultiRoute", "LiteLLM", 0.5),
        ("ChatMultiRoute", "ChatOpenAI", 1.0),
    ):
        if theirs in memory:
            (one, whole), (other_one, other_whole) = memory[ours], memory[theirs]
            name = f"memory of an open stream: {ours} / {theirs}"
            row(table, name, _kib(one), _kib(other_one), one / other_one, target, at_least=False)
            name = f"memory of the process with all streams: {ours} / {theirs}"
            row(table, name, _kib(whole), _kib(other_whole), whole / other_whole, target, at_least=False)
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def _kib(size: float) -> str:
    return f"{size / KIB:,.1f} KiB"


def measure_streams(pythons: Mapping[str, Path], rounds: int, count: int) -> dict[str, tuple[float, float]]:
    """Return the bytes of an open stream, and of the process with all of them; each round has new processes."""
    sizes: dict[str, list[tuple[float, float]]] = {name: [] for name in pythons}
    with holding_server() as url:
        for _ in range(rounds):
            with callers(pythons, url) as processes:
                for name in ORDER.sample([*pythons], len(pythons)):
                    processes[name].ask("streams", count=20)  # what the first streams load does not belong to a stream
                    result = processes[name].ask("streams", count=count)
                    sizes[name].append(((result["open"] - result["before"]) / count, result["open"]))
    return {
        name: (statistics.median(one for one, _ in pairs), statistics.median(whole for _, whole in pairs))
        for name, pairs in sizes.items()
    }


def main() -> None:
    """Measure, and show."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds and streams")
    parser.add_argument("--without-peers", action="store_true", help="without LiteLLM")
    chosen = parser.parse_args()
    rounds, streams = (2, 200) if chosen.quick else (5, 1000)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    own = Path(sys.executable)
    pythons: dict[str, Path] = dict.fromkeys(OWN, own)
    if not chosen.without_peers and (peers := environment.python()) is not None:
        pythons["LiteLLM"] = peers
    flows = [measure_own_flow(200 if chosen.quick else 2000)]
    with server() as url, callers(pythons, url) as processes:
        load = measure_load(processes, rounds, 2 if chosen.quick else 4)
        if "LiteLLM" in processes:
            flows.append(measure_their_flow(processes["LiteLLM"], 50 if chosen.quick else 300))
    show(load, flows, {})
    show({}, [], measure_streams(pythons, min(rounds, 3), streams))


if __name__ == "__main__":
    main()
