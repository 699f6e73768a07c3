"""Ledger: one record per attempt and per cache hit, and the sums over the records."""

from typing import TYPE_CHECKING

from multiroute_core._util.lazy import attach

if TYPE_CHECKING:
    from multiroute_core.ledger.aggregate import Group, Groups, Spent
    from multiroute_core.ledger.ledger import Ledger, LedgerUnavailableError
    from multiroute_core.ledger.query import LedgerQuery
    from multiroute_core.ledger.record import Record
    from multiroute_core.ledger.store import Store
    from multiroute_core.ledger.totals import Figures, Totals
    from multiroute_core.ledger.writer import Sink
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "aggregate": "Group Groups Spent",
            "ledger": "Ledger LedgerUnavailableError",
            "query": "LedgerQuery",
            "record": "Record",
            "store": "Store",
            "totals": "Figures Totals",
            "writer": "Sink",
        },
    )

__all__ = [
    "Figures",
    "Group",
    "Groups",
    "Ledger",
    "LedgerQuery",
    "LedgerUnavailableError",
    "Record",
    "Sink",
    "Spent",
    "Store",
    "Totals",
]
