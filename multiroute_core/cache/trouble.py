"""Says what goes wrong with a cache: it is no reason for a request to fail, nor to fill the log."""

from __future__ import annotations

import logging
import time

from multiroute_core._util.display import printable

QUIET = 60.0
"""The same trouble is logged once in so many seconds."""

MOST = 100
"""Of so many kinds of trouble it is remembered when they were told."""

logger = logging.getLogger("multiroute_core")


class FailureLogger:
    """What went wrong, told once in a while.

    Args:
        where: What the log adds to each line.
    """

    def __init__(self, where: str = "") -> None:
        self._where = f" ({where})" if where else ""
        self._told = dict[str, float]()

    def tell(self, what: str, error: Exception) -> None:
        """Log what did not come about, and why; unless it was said just now."""
        now = time.monotonic()
        line = printable(f"{what}: {str(error).rstrip('.') or type(error).__name__}{self._where}")
        if now - self._told.get(line, -QUIET) >= QUIET:
            if len(self._told) >= MOST:
                self._told.clear()
            self._told[line] = now
            logger.warning("%s", line)
