"""Progress reporter of a batch: counts what has ended, and passes it on to a bar or to a function."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sized
from dataclasses import replace
from typing import Any, cast

from multiroute_core.batch.bars import build_display
from multiroute_core.batch.progress import BatchProgress, Display
from multiroute_core.messages import Message
from multiroute_core.options import invalid
from multiroute_core.types import Response

logger = logging.getLogger("multiroute_core")

SHOW_SECONDS = 0.1
"""The minimum time between two updates of a bar, in seconds."""

REFRESH_SECONDS = 0.5
"""The maximum time between two updates of a bar, in seconds: its clock goes on while no call ends."""


class Reporter:
    """Counts what has ended and shows it.

    Args:
        setting: True for a bar, False for none, or a callable that receives every `BatchProgress`.
        total: The number of prompts; None if unknown.

    Raises:
        ConfigurationError: `setting` is none of these.
    """

    def __init__(self, setting: Any, total: int | None) -> None:
        self.progress = BatchProgress(total=total)
        self._callback: Callable[[BatchProgress], object] | None = None
        self._display: Display | None = None
        if callable(setting):
            self._callback = setting
        elif setting is True:
            self._display = build_display()
        elif setting is not False:  # pyright: ignore[reportUnnecessaryComparison]
            raise invalid("progress", setting, "True, False, or a function that takes a BatchProgress")
        self._started = time.monotonic()
        self._shown = self._started

    def record(self, outcome: Response | Exception) -> None:
        """Count a response or an error."""
        if isinstance(outcome, Response):
            cost = outcome.cost
            self.add(done=1, cached=int(outcome.cached), cost=cost or 0.0, unknown_costs=int(cost is None))
        else:
            self.add(done=1, failed=1)

    def expect(self, more: int) -> None:
        """Add to the total."""
        self.progress = replace(self.progress, total=(self.progress.total or 0) + more)

    def add(
        self, *, done: int = 0, failed: int = 0, cached: int = 0, cost: float = 0.0, unknown_costs: int = 0
    ) -> None:
        """Add to the counts, and show them."""
        before = self.progress
        self.progress = BatchProgress(
            before.done + done,
            before.total,
            before.failed + failed,
            before.cached + cached,
            before.cost + cost,
            before.unknown_costs + unknown_costs,
            time.monotonic() - self._started,
        )
        if self._callback is not None:
            try:
                self._callback(self.progress)
            except Exception:  # it would fail for every prompt
                logger.exception("The progress function %r failed; the batch goes on without it.", self._callback)
                self._callback = None
        self.refresh(SHOW_SECONDS)

    def refresh(self, after: float = 0.0) -> None:
        """Show the progress, unless it was shown less than `after` seconds ago."""
        now = time.monotonic()
        if self._display is not None and now - self._shown >= after:
            self._shown = now
            self._show(now, final=False)

    def close(self) -> BatchProgress:
        """Show the progress for the last time, and return it."""
        self._show(time.monotonic(), final=True)
        return self.progress

    def _show(self, now: float, *, final: bool) -> None:
        p = self.progress
        seconds = now - self._started
        self.progress = BatchProgress(p.done, p.total, p.failed, p.cached, p.cost, p.unknown_costs, seconds)
        if self._display is not None:
            try:
                self._display.show(self.progress, final=final)
            except Exception:  # a closed terminal or a lost kernel must not end the batch
                logger.exception("The progress display failed; the batch goes on without it.")
                self._display = None


def prepare(prompts: object, concurrency: Any, setting: Any) -> Reporter:
    """Validate the arguments of a batch, and return its reporter.

    Raises:
        ConfigurationError: An argument is invalid.
    """
    # A string or a mapping is iterable too, but each letter or key would be sent as a prompt.
    if isinstance(prompts, str | bytes | Mapping | Message) or not isinstance(prompts, Iterable | AsyncIterable):
        raise invalid("prompts", cast("object", prompts), "an iterable of prompts, such as a list of strings")
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        raise invalid("concurrency", concurrency, "an integer of at least 1")
    return Reporter(setting, len(prompts) if isinstance(prompts, Sized) else None)
