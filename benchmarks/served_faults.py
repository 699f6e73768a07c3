"""What `multiroute serve` loses under load when a part of it dies.

    python -m benchmarks.served_faults              # 200 clients, two workers, a Valkey, two vendors; about a minute
    python -m benchmarks.served_faults --clients 50

Every client opens one stream after another, each of two seconds. In the middle, one thing happens: SIGHUP to the server
(it reloads its file), SIGKILL to the Valkey, the first vendor breaks all its streams and refuses new ones, SIGKILL to
one of the workers, and SIGTERM to the server. A stream has begun with its first piece. Counted are the streams that had
begun and did not end with `[DONE]`, and those that got no first piece. Of a worker that is killed, the streams on its
own connections are lost (`/proc`, so this runs on Linux only); every other one counts as lost.

`short` marks a row that loses a stream; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.served import Server, build_multiroute
from benchmarks.served_streams import ModelServer, open_stream
from tests.redis_servers import Server as Valkey
from tests.redis_servers import running

WORKERS = 2
BEFORE_SECONDS = 3.0
AFTER_SECONDS = 5.0
FAULTS = ("SIGHUP to the server", "SIGKILL to Valkey", "a vendor dies", "SIGKILL to a worker", "SIGTERM to the server")


@dataclass
class Count:
    """What came of the streams around one fault.

    Attributes:
        whole: Streams that ended as they should.
        open: Streams that had begun and had not ended when it happened.
        lost: Ports of the streams that had begun and did not end.
        refused: Streams without a first piece: refused, or answered with an error.
        answered_after: Streams that began and ended after it.
    """

    whole: int = 0
    open: int = 0
    lost: list[int] = field(default_factory=list[int])
    refused: int = 0
    answered_after: int = 0


class Load:
    """Clients that open one stream after another."""

    def __init__(self, server: Server, clients: int) -> None:
        self.count = Count()
        self.is_over = False
        self._server = server
        self._clients = clients
        self._open = 0
        self._happened_at = 0.0

    async def run(self, inject: Callable[[], object]) -> None:
        """Send load, and let the fault happen in the middle."""
        tasks = [asyncio.create_task(self._client(number)) for number in range(self._clients)]
        await asyncio.sleep(BEFORE_SECONDS)
        self.count.open = self._open
        self._happened_at = time.perf_counter()
        await asyncio.to_thread(inject)
        await asyncio.sleep(AFTER_SECONDS)
        self.is_over = True
        await asyncio.gather(*tasks)

    async def _client(self, number: int) -> None:
        await asyncio.sleep(number / self._clients)  # so that streams are in every phase when it happens
        while not self.is_over:
            begin = time.perf_counter()
            if not await self._stream(begin):
                await asyncio.sleep(0.1)

    async def _stream(self, begin: float) -> bool:
        """Read one stream; returns whether it began."""
        has_begun = False
        seen = b""
        port = 0
        try:
            reader, writer = await open_stream(self._server)
            port = writer.get_extra_info("sockname")[1]
            try:
                while b"[DONE]" not in seen and (piece := await reader.read(65536)):
                    seen += piece
                    if not has_begun and b"word0" in seen:
                        has_begun = True
                        self._open += 1
            finally:
                writer.close()
        except OSError:
            pass
        if not has_begun:
            self.count.refused += 1
            return False
        self._open -= 1
        if b"[DONE]" in seen and b"word9" in seen:
            self.count.whole += 1
            self.count.answered_after += begin > self._happened_at > 0
        else:
            self.count.lost.append(port)
        return True


def worker_ports(pid: int, port: int) -> set[int]:
    """The ports of the clients whose connections a process holds."""
    links = (str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir())
    inodes = {link.removeprefix("socket:[").rstrip("]") for link in links}
    ports: set[int] = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == port and fields[9] in inodes:
            ports.add(int(fields[2].rpartition(":")[2], 16))
    return ports


def busiest_worker(server: Server) -> tuple[int, set[int]]:
    """The process with the most connections of clients, and their ports."""
    held = {pid: worker_ports(pid, server.port) for pid in server.processes()}
    pid = max(held, key=lambda one: len(held[one]))
    return pid, held[pid]


def measure(fault: str, server: Server, vendor: ModelServer, valkey: Valkey, clients: int) -> tuple[Count, set[int]]:
    """Let one fault happen under load; returns the count, and the ports of a worker that was killed."""
    load = Load(server, clients)
    killed: set[int] = set()

    def kill_worker() -> None:
        pid, ports = busiest_worker(server)
        killed.update(ports)
        os.kill(pid, signal.SIGKILL)

    injections: dict[str, Callable[[], object]] = {
        "SIGHUP to the server": lambda: server.process.send_signal(signal.SIGHUP),
        "SIGKILL to Valkey": valkey.kill,
        "a vendor dies": vendor.break_down,
        "SIGKILL to a worker": kill_worker,
        "SIGTERM to the server": lambda: server.process.send_signal(signal.SIGTERM),
    }
    asyncio.run(load.run(injections[fault]))
    return load.count, killed


def main() -> int:
    """Measure, and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=200)
    chosen = parser.parse_args()
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {WORKERS} workers"
    )
    table = Table(
        "", "streams", "open then", "whole", "lost", "of the killed worker", "no first piece", "whole after", ""
    )
    is_met = True
    for fault in FAULTS:
        first, second = ModelServer(), ModelServer()
        with tempfile.TemporaryDirectory() as name, running("valkey") as valkey:
            folder = Path(name)
            options = {"workers": WORKERS, "state": valkey.url, "on_stream_error": "continue"}
            server = build_multiroute(folder, first.url, second.url, **options)
            try:
                server.run(folder / "server.log")
                count, killed = measure(fault, server, first, valkey, chosen.clients)
            finally:
                server.stop()
                first.close()
                second.close()
        others = [port for port in count.lost if port not in killed]
        is_good = not others and (count.answered_after > 0 or "SIGTERM" in fault)
        is_met = is_met and is_good
        total = count.whole + len(count.lost)
        cells = (total, count.open, count.whole, len(others), len(count.lost) - len(others), count.refused)
        after = "" if "SIGTERM" in fault else f"{count.answered_after:,}"
        table.add_row(fault, *(f"{cell:,}" for cell in cells), after, "ok" if is_good else "short")
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
