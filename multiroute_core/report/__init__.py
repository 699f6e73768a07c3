"""Usage reports for notebooks and terminals, and as an HTML page.

Example:
    >>> from multiroute_core import report
    >>> report.of(router.ledger, since="7d").save("report.html")  # doctest: +SKIP
"""

from multiroute_core.report.report import Report, of

__all__ = ["Report", "of"]
