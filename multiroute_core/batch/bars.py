"""Progress bars of a batch: in a terminal by tqdm, in a notebook by IPython's display, elsewhere as log lines.

tqdm serves terminals: `openai` and `llama-index-core` install it anyway, it keeps beside other output, and it knows
terminals' widths. It does not serve notebooks: its bar there needs ipywidgets, whose state is not part of a saved
notebook, so that GitHub, nbconvert and an untrusted view show nothing. An HTML `<progress>` element shows there, and in
the end it is the last state that is saved.
"""

from __future__ import annotations

import html
import importlib
import logging
import sys
import threading
import time
from typing import Any

from multiroute_core.batch.progress import BatchProgress, Display, duration
from multiroute_core.display.displayable import in_notebook

logger = logging.getLogger("multiroute_core")

LOG_SECONDS = 10.0
"""Seconds between two log lines, where there is neither a terminal nor a notebook."""


def build_display() -> Display:
    """Return the display that fits this process: a notebook's, a terminal's, or the log."""
    if in_notebook():
        return NotebookBar()
    if sys.stderr is not None and sys.stderr.isatty():  # pyright: ignore[reportUnnecessaryComparison]  (None under pythonw)
        try:
            return TerminalBar()
        except ImportError:
            logger.info("A progress bar in a terminal needs tqdm; run: pip install tqdm")
    return LogLines()


class TerminalBar:
    """A bar on the standard error of a terminal, drawn by tqdm.

    Raises:
        ImportError: tqdm is not installed.
    """

    def __init__(self) -> None:
        tqdm: Any = importlib.import_module("tqdm").tqdm
        # tqdm starts a thread that stays, and creates a lock between processes, which leaks in forked ones.
        self._type: Any = type("BatchBar", (tqdm,), {"monitor_interval": 0})
        self._type.set_lock(threading.RLock())
        self._bar: Any = None

    def show(self, progress: BatchProgress, *, final: bool) -> None:
        if self._bar is None:
            counts = "{percentage:3.0f}%|{bar}| {n:,}/{total:,}" if progress.total else "{n:,} prompts"
            left = "<{remaining}" if progress.total else ""
            self._bar = self._type(
                total=progress.total,
                bar_format=f"{counts} [{{elapsed}}{left}, {{rate_fmt}}{{postfix}}]",
                unit="",
                dynamic_ncols=True,
                mininterval=0.0,
            )
            self._bar.start_t -= progress.seconds
        self._bar.set_postfix_str(progress.details(), refresh=False)
        self._bar.n = progress.done
        self._bar.refresh()
        if final:
            self._bar.close()


class NotebookBar:
    """A bar in the output of a notebook's cell; it shows in untrusted and saved notebooks as well."""

    def __init__(self) -> None:
        self._display: Any = importlib.import_module("IPython.display")
        self._handle: Any = None

    def show(self, progress: BatchProgress, *, final: bool) -> None:
        bundle = {"text/plain": str(progress), "text/html": render_html(progress, final=final)}
        if self._handle is None:
            self._handle = self._display.display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


class LogLines:
    """Lines in the log `multiroute_core`, at level INFO."""

    def __init__(self) -> None:
        self._logged = time.monotonic()

    def show(self, progress: BatchProgress, *, final: bool) -> None:
        now = time.monotonic()
        if final or now - self._logged >= LOG_SECONDS:
            self._logged = now
            logger.info("Batch: %s", progress)


def render_html(progress: BatchProgress, *, final: bool) -> str:
    """Render the progress as HTML."""
    known = "" if not progress.total else f'<progress value="{progress.done}" max="{progress.total}"></progress> '
    text = str(progress)
    if final:
        text += f", {duration(progress.seconds)} in all"
    return f'<div class="tex2jax_ignore mathjax_ignore"><code>{known}{html.escape(text)}</code></div>'
