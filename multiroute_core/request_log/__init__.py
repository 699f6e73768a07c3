"""Request log: the last requests of a router, with their attempts and, if wanted, their prompts and answers.

`log` holds the hook that keeps them, `record` one request, `view` the table that `Router.requests` returns, and
`ledger` the requests that a ledger's records show.
"""

from typing import TYPE_CHECKING

from multiroute_core._util.lazy import attach

if TYPE_CHECKING:
    from multiroute_core.request_log.log import RequestLog
    from multiroute_core.request_log.record import RequestRecord
    from multiroute_core.request_log.view import RecentRequests, Watch
else:
    __getattr__, __dir__ = attach(
        __name__, {"log": "RequestLog", "record": "RequestRecord", "view": "RecentRequests Watch"}
    )

__all__ = ["RecentRequests", "RequestLog", "RequestRecord", "Watch"]
