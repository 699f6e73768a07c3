"""Reloading: reads a router's configuration file again on SIGHUP, or when the file has changed.

How this works: one thread waits for a signal or for the next look at the file, and calls `Router.reload`. The signal
handler itself only puts a token into a queue: it may interrupt a thread that holds a lock. A file that has changed is
read when two looks have found the same content: the first half of a file that is being written may be valid, and have
no budget.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import queue
import signal
import threading
from pathlib import Path
from typing import Any, Protocol, Self

from multiroute_core.configuration.reading import read_content
from multiroute_core.display.text import printable
from multiroute_core.errors import ConfigurationError
from multiroute_core.options import seconds

logger = logging.getLogger("multiroute_core")

SETTLE_SECONDS = 0.5
"""How long a changed file has to stay the same before it is read, in seconds; a shorter interval is enough, too."""

CLOSE_SECONDS = 5.0
"""How long `close` waits for a reload that is running, in seconds."""


class Reloadable(Protocol):
    """What a `RouterReloader` reloads: a `Router` from `Router.from_file`."""

    @property
    def file(self) -> Path | None:
        """The configuration file; None if there is none."""
        ...

    def reload(self) -> bool:
        """Read the file again; return whether anything has changed."""
        ...


class RouterReloader:
    """Reloads a router on SIGHUP and when its file changes: `with RouterReloader(router): …`.

    A file that is not valid changes nothing: one log line names its errors, at `ERROR`. A reload is one line at `INFO`.

    Args:
        router: A router from `Router.from_file`.
        interval: Seconds between two looks at the file; 5 by default. None reloads on SIGHUP and `reload()` only. Files
            that the configuration refers to, and environment variables, are not watched.
        on_signal: Whether SIGHUP reloads. Handlers can only be set in the main thread, and Windows has no SIGHUP: there
            it is left out. The handler that was there before is set again by `close`.

    Raises:
        ConfigurationError: The router has no file, or the interval is not a positive number.

    Example:
        >>> router = Router.from_file("routes.toml")  # doctest: +SKIP
        >>> reloader = RouterReloader(router)  # doctest: +SKIP
        >>> reloader.close()  # doctest: +SKIP
    """

    def __init__(self, router: Reloadable, *, interval: float | None = 5.0, on_signal: bool = True) -> None:
        if router.file is None:
            raise ConfigurationError(
                "This Router has no file to reload; build it with Router.from_file('routes.toml')."
            )
        self._router = router
        self._file = router.file
        self._interval = None if interval is None else seconds("interval", interval)
        # Its `put` is reentrant, unlike that of other queues and `Event.set`: a signal may interrupt a signal handler.
        self._tokens: queue.SimpleQueue[str] = queue.SimpleQueue()
        # Not the file's digest: it may have changed since the router has read it, so the first look reloads.
        self._digest: bytes | None = b""
        self._lock = threading.Lock()
        self._previous_handler: Any = None
        self._handles_signal = on_signal and self._set_handler()
        self._thread = threading.Thread(target=self._watch, name="multiroute-reload", daemon=True)
        self._thread.start()

    def reload(self) -> bool:
        """Reload now; return whether the router uses the file as it is now. Errors are logged, not raised."""
        with self._lock:
            self._digest = self._read_digest()
            try:
                if self._router.reload():
                    logger.info("The router is reloaded from %s.", printable(str(self._file)))
            except ConfigurationError as error:
                text = "; ".join(line.strip() for line in str(error).splitlines())
                logger.error("The router is not reloaded and goes on as it was: %s", printable(text))  # noqa: TRY400
                return False
            except Exception as error:  # such as a broken disk below a store: the old configuration goes on
                logger.error("The router is not reloaded and goes on as it was (%s).", type(error).__name__)  # noqa: TRY400
                return False
            return True

    def close(self) -> None:
        """Stop watching, and set the signal handler that was there before."""
        if self._handles_signal:
            self._handles_signal = False
            with contextlib.suppress(ValueError):  # not the main thread
                signal.signal(signal.SIGHUP, self._previous_handler or signal.SIG_DFL)
        self._tokens.put("close")
        if threading.current_thread() is not self._thread:
            self._thread.join(CLOSE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"RouterReloader({str(self._file)!r}, interval={self._interval!r})"

    def _set_handler(self) -> bool:
        if not hasattr(signal, "SIGHUP") or threading.current_thread() is not threading.main_thread():
            return False
        self._previous_handler = signal.signal(signal.SIGHUP, self._handle_signal)
        return True

    def _handle_signal(self, *_: object) -> None:
        self._tokens.put("reload")

    def _watch(self) -> None:
        seen = self._digest  # at the look before
        pause = self._interval
        while True:
            try:
                token = self._tokens.get(timeout=pause)
            except queue.Empty:
                pause = self._interval
                digest = self._read_digest()
                if digest == seen != self._digest:
                    self.reload()
                elif digest != self._digest:
                    pause = min(SETTLE_SECONDS, self._interval or SETTLE_SECONDS)
                seen = digest
                continue
            if token == "close":
                return
            self.reload()

    def _read_digest(self) -> bytes | None:
        """Return a digest of the file; None if it cannot be read, such as while an editor replaces it."""
        try:
            return hashlib.sha256(read_content(self._file)).digest()
        except OSError:
            return None
