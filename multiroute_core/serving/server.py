"""HTTP server: runs the application on uvicorn, and drains it before it stops.

On SIGTERM `/readyz` turns to 503 and new calls are refused, so that a load balancer goes elsewhere; the calls in flight
finish, and the server stops when there are none. SIGINT (Ctrl-C) stops it like any program on uvicorn. With a
configuration file, SIGHUP or a change of the file reloads the router, and streams go on.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from types import FrameType
from typing import Any, ClassVar

from multiroute_core.display.text import printable
from multiroute_core.errors import ConfigurationError
from multiroute_core.serving.errors import refuse
from multiroute_core.serving.gate import ServerState, is_loopback

try:
    import uvicorn
except ImportError as error:  # pragma: no cover  (the tests install it)
    raise ConfigurationError(
        f"Serving needs a package that is not installed ({error}); run: pip install 'multiroute-llm[serve]'"
    ) from error

_log = logging.getLogger("multiroute_core.serving")

VARIABLE = "MULTIROUTE_SERVE"
"""The environment variable with the settings, by which worker processes build the application."""

_WORKERS = multiprocessing.get_context("spawn")
_SUPERVISION_SECONDS = 0.5
_EARLY_SECONDS = 10.0
"""A worker that ends within so many seconds may not be able to start: the next one is started later."""
_LONGEST_PAUSE = 30.0
_BACKLOG = 2048
_FILES_OF_A_CALL = 2
"""The client's connection, and the provider's."""
_OTHER_FILES = 50
_MOST_FILES = 65_536
_MOST_FILES_OF_MACOS = 10_240
_LAST_SECONDS = 5
"""Seconds that calls in flight get after Ctrl-C, or when the time to drain is over."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What the command line says, without any secret.

    Attributes:
        routes: The routes, each `"provider:model"`.
        config: The path of a configuration file of the router; empty for none.
        keys: The path of the file of API keys; empty for none.
        host: The address to bind to.
        port: The port; 0 takes a free one.
        workers: The number of processes.
        drain: Seconds that calls in flight get after SIGTERM.
        max_body_bytes: The largest body of a request.
        max_concurrency: The maximum number of calls in flight, in each process.
        metrics: The directory in which the processes share their metrics; empty for none. A configuration file names it
            at its `PrometheusMetrics`.
    """

    routes: Sequence[str] = ()
    config: str = ""
    keys: str = ""
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    drain: float = 300.0
    max_body_bytes: int = 20_000_000
    max_concurrency: int = 1000
    metrics: str = ""

    def check(self) -> None:
        """Refuse an open server.

        Raises:
            ConfigurationError: The address is not this machine's own, and there are no keys.
        """
        if not self.keys and not is_loopback(self.host):
            raise ConfigurationError(
                f"--host {self.host} lets others in, and there are no API keys; add --keys FILE (`multiroute key "
                "TENANT` prints an entry), or use --host 127.0.0.1."
            )


def create_app() -> Any:
    """Build the application from the settings in the environment, in each worker process.

    Raises:
        ConfigurationError: A route, a file or a setting is not valid.
    """
    from multiroute_core import Router
    from multiroute_core.serving.app import build_app
    from multiroute_core.telemetry import PrometheusMetrics

    settings = ServerSettings(**json.loads(os.environ[VARIABLE]))
    if settings.config:
        router = Router.from_file(settings.config)
        metrics = _RouterMetrics(router)
    else:
        metrics = PrometheusMetrics(settings.metrics or None)
        router = Router(list(settings.routes) or None, on_event=[metrics])
    return build_app(
        router,
        keys=settings.keys or None,
        max_body_bytes=settings.max_body_bytes,
        max_concurrency=settings.max_concurrency,
        metrics=metrics,
        only_loopback=not settings.keys,
        freeze=True,
    )


class _RouterMetrics:
    """The metrics of the `PrometheusMetrics` that a router has at the moment: a reload may add or replace it."""

    CONTENT_TYPE: ClassVar[str] = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, router: Any) -> None:
        self._router = router

    def render(self) -> str:
        """Return the metrics as text.

        Raises:
            RefusedCall: The router has none.
        """
        from multiroute_core.telemetry import PrometheusMetrics

        for hook in self._router.hooks:
            if isinstance(hook, PrometheusMetrics):
                return hook.render()
        message = "There are no metrics; the configuration file has to name 'PrometheusMetrics' in 'on_event'."
        raise refuse(message, status=404, code="not_found")


class DrainingServer(uvicorn.Server):
    """A server that finishes its calls after SIGTERM, for at most `drain` seconds."""

    drain = 300.0
    _drain_until: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain on the first SIGTERM, and stop on any other signal."""
        state = self._find_state()
        if sig == signal.SIGTERM and self._drain_until is None and state is not None:
            state.draining = True
            self._drain_until = time.monotonic() + self.drain
            return
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Stop when no call is in flight any more, ten times a second."""
        if self._drain_until is not None:
            state = self._find_state()
            if state is None or state.in_flight == 0 or time.monotonic() >= self._drain_until:
                return True
        return await super().on_tick(counter)

    def _find_state(self) -> ServerState | None:
        app: Any = getattr(self.config, "loaded_app", None)
        return getattr(getattr(app, "state", None), "serving", None)


def serve(settings: ServerSettings) -> None:
    """Run the server until it is stopped.

    Raises:
        ConfigurationError: A setting is not valid, or the address is in use; nothing was started.
    """
    settings.check()
    limit = raise_file_limit()
    if limit < (needed := _FILES_OF_A_CALL * settings.max_concurrency + _OTHER_FILES):
        _log.warning(
            "A process may have %d files and sockets open here; %d calls in flight need about %d: raise the limit "
            "(ulimit -n), or lower --max-concurrency.",
            *(limit, settings.max_concurrency, needed),
        )
    with contextlib.ExitStack() as resources:
        if settings.workers > 1 and not settings.config:
            folder = resources.enter_context(tempfile.TemporaryDirectory(prefix="multiroute-metrics-"))
            settings = replace(settings, metrics=folder)
        os.environ[VARIABLE] = json.dumps(asdict(settings))
        app = create_app()  # a mistake in the settings is an error here, not in a worker
        listener = resources.enter_context(_listen(settings))
        if settings.workers == 1:
            _run(settings, app, listener)
            return
        warn_about_metrics(settings, app.state.router)
        supervise(
            settings.workers,
            lambda: _WORKERS.Process(target=_run_worker, args=(settings, listener)),
            reloads=bool(settings.config),
        )


def warn_about_metrics(settings: ServerSettings, router: Any) -> None:
    """Log a warning if each worker counts alone: a scrape reaches any of them."""
    from multiroute_core.telemetry import PrometheusMetrics

    if any(isinstance(hook, PrometheusMetrics) and hook.directory is None for hook in router.hooks):
        _log.warning(
            "PrometheusMetrics has no directory: /metrics shows one of the %d workers, another one each time. Write "
            "{name = 'PrometheusMetrics', directory = '…'} into %s.",
            settings.workers,
            printable(settings.config),
        )


def raise_file_limit() -> float:
    """Let this process and its workers open as many files and sockets as the system allows them; returns how many.

    Many systems begin with a soft limit of 1,024 (macOS with 256), below what `max_concurrency` needs.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return math.inf
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for most in (_MOST_FILES, _MOST_FILES_OF_MACOS):
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        if soft == resource.RLIM_INFINITY or soft >= limit:
            break
        with contextlib.suppress(ValueError, OSError):  # macOS: the hard limit is infinite, and not the true one
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            return limit
    return math.inf if soft == resource.RLIM_INFINITY else soft


class _Pauses:
    """The pause before a worker is replaced: none, unless those before it ended soon after their start."""

    def __init__(self) -> None:
        self._failures = 0
        self._until = 0.0

    def note(self, seconds: float) -> None:
        """Note how long a worker has lived that has ended."""
        self._failures = self._failures + 1 if seconds < _EARLY_SECONDS else 0
        pause = min(_LONGEST_PAUSE, _SUPERVISION_SECONDS * 2**self._failures) if self._failures else 0.0
        self._until = time.monotonic() + pause

    def reset(self) -> None:
        """Forget what was noted."""
        self._failures = 0
        self._until = 0.0

    def are_over(self) -> bool:
        """Whether the next worker may start."""
        return time.monotonic() >= self._until


def supervise(count: int, build: Callable[[], Any], *, reloads: bool = False) -> None:
    """Keep a number of worker processes running until a signal ends them.

    A worker that ends soon after its start, such as for a configuration file that is not valid any more, is replaced
    after a pause, which doubles up to 30 seconds; SIGHUP ends the pause. uvicorn's own supervisor changes between its
    versions, and runs its own server only (0.30 to 0.54).

    Args:
        count: The number of processes.
        build: Builds a process, which is not started.
        reloads: Whether the processes handle SIGHUP; otherwise it would kill them, and ends the server like SIGTERM.
    """
    stopping = threading.Event()
    workers: list[Any] = []
    starts: dict[Any, float] = {}
    pauses = _Pauses()

    signalled: set[int] = set()

    def stop(number: int, _: object) -> None:
        stopping.set()
        for worker in workers:
            if worker.is_alive():
                signalled.add(worker.pid)
                os.kill(worker.pid, signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)

    def forward(number: int, _: object) -> None:
        pauses.reset()
        for worker in workers:
            if worker.is_alive():
                os.kill(worker.pid, number)

    handlers: dict[int, Any] = {signal.SIGTERM: stop, signal.SIGINT: stop}
    if hasattr(signal, "SIGHUP"):  # each worker reads its configuration file again; Windows has no such signal
        handlers[signal.SIGHUP] = forward if reloads else stop
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        while not stopping.is_set():
            for worker in [worker for worker in workers if not worker.is_alive()]:
                pauses.note(time.monotonic() - starts.pop(worker))
            workers = list(starts)
            for _ in range(count - len(workers) if pauses.are_over() else 0):
                worker = build()
                worker.start()
                starts[worker] = time.monotonic()
                workers.append(worker)
            stopping.wait(_SUPERVISION_SECONDS)
        for worker in workers:
            if worker.is_alive() and worker.pid not in signalled:  # it was starting when the signal came
                worker.terminate()
            worker.join()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _listen(settings: ServerSettings) -> socket.socket:
    """Bind the socket, and log the address."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    host = settings.host.strip("[]")
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, settings.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"The server cannot use port {settings.port} of {settings.host}: {error.strerror}."
        ) from None
    port = listener.getsockname()[1]
    _log.info("Listening on http://%s:%d/v1", f"[{host}]" if ":" in host else host, port)
    return listener


def _run_worker(settings: ServerSettings, listener: socket.socket) -> None:
    if hasattr(os, "setpgid"):
        # A group of its own: Ctrl-C in a terminal reaches all processes of a group, and the supervisor forwards it; the
        # second one would break calls in flight.
        os.setpgid(0, 0)
    configure_logging()
    if settings.config and hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the file is about to be read anyway
    try:
        app = create_app()
    except ConfigurationError as error:
        text = "; ".join(line.strip() for line in str(error).splitlines()).replace(":; ", ": ")
        _log.error("A worker cannot start: %s", printable(text))
        sys.exit(1)
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises the signal again once it has stopped
        _run(settings, app, listener)


def configure_logging() -> None:
    """Log what the server itself has to say, on standard error."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("multiroute_core").setLevel(logging.INFO)


def _run(settings: ServerSettings, app: Any, listener: socket.socket) -> None:
    from multiroute_core import RouterReloader

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # otherwise the application is wrapped
        ws="none",
        timeout_graceful_shutdown=_LAST_SECONDS,
    )
    server = DrainingServer(config)
    server.drain = settings.drain
    router: Any = app.state.router
    with RouterReloader(router) if settings.config else contextlib.nullcontext():
        server.run(sockets=[listener])
