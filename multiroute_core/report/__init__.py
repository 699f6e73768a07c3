"""What the calls came to, for people: in notebooks, in terminals, and as a page to pass on.

Example:
    >>> from multiroute_core import report
    >>> report.of(router.ledger, since="7d").save("report.html")  # doctest: +SKIP
"""

from multiroute_core.report.report import Report, of

__all__ = ["Report", "of"]
