"""Where the last requests are read from: a request log among the hooks, or else the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from multiroute_core.errors import ConfigurationError
from multiroute_core.events import Hook
from multiroute_core.ledger.ledger import Ledger
from multiroute_core.request_log.ledger import read_requests
from multiroute_core.request_log.log import RequestLog
from multiroute_core.request_log.view import RecentRequests, validate_last


def read_last(hooks: Sequence[Hook], ledger: Ledger | None, last: int) -> RecentRequests:
    """Return the last requests, the latest first.

    Raises:
        ConfigurationError: There is neither a request log nor a ledger, or `last` is not a positive number.
    """
    last = validate_last(last)
    log = next((hook for hook in hooks if isinstance(hook, RequestLog)), None)
    if log is not None:
        return RecentRequests(lambda: log.read()[:last])
    if ledger is None:
        raise ConfigurationError(
            "This Router keeps no requests; build it with Router(..., on_event=[multiroute_core.RequestLog()]), or "
            "with ledger='memory'."
        )
    return RecentRequests(lambda: read_requests(ledger, last))
