"""Limits for each tenant or label: requests and tokens per minute, and calls at once."""

from typing import TYPE_CHECKING

from multiroute_core._util.lazy import attach

if TYPE_CHECKING:
    from multiroute_core.limits.limit import Limit, LimitScope
    from multiroute_core.limits.status import LimitStatus, LimitStatuses
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "limit": "Limit LimitScope",
            "status": "LimitStatus LimitStatuses",
        },
    )

__all__ = [
    "Limit",
    "LimitScope",
    "LimitStatus",
    "LimitStatuses",
]
