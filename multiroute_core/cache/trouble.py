"""Rate-limited logging of cache failures, which neither fail a request nor flood the log."""

from __future__ import annotations

import logging
import time

from multiroute_core.display.text import printable

QUIET = 60.0
"""Minimum seconds between two logs of the same failure."""

MOST = 100
"""Maximum number of distinct failures remembered."""

logger = logging.getLogger("multiroute_core")


class FailureLogger:
    """Logs each failure at most once per interval.

    Args:
        where: Added to each log line.
    """

    def __init__(self, where: str = "") -> None:
        self._where = f" ({where})" if where else ""
        self._last_logged = dict[str, float]()

    def log(self, what: str, error: Exception) -> None:
        """Log what failed, and why, unless the same was logged recently."""
        now = time.monotonic()
        line = printable(f"{what}: {str(error).rstrip('.') or type(error).__name__}{self._where}")
        if now - self._last_logged.get(line, -QUIET) >= QUIET:
            if len(self._last_logged) >= MOST:
                self._last_logged.clear()
            self._last_logged[line] = now
            logger.warning("%s", line)
