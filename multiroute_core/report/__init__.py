"""Usage reports for notebooks and terminals, and as an HTML page.

Example:
    >>> from multiroute_core import report
    >>> report.of(router.ledger, since="7d").save("report.html")  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

from multiroute_core._util.lazy import attach

if TYPE_CHECKING:
    from multiroute_core.report.figures import Bucket, Failure, Latency, Requests, Slice, Step
    from multiroute_core.report.report import Report, of
    from multiroute_core.report.tally import RecordRow
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "figures": "Bucket Failure Latency Requests Slice Step",
            "report": "Report of",
            "tally": "RecordRow",
        },
    )

__all__ = [
    "Bucket",
    "Failure",
    "Latency",
    "RecordRow",
    "Report",
    "Requests",
    "Slice",
    "Step",
    "of",
]
