"""The fixture of ledgers, which the reports' tests share."""

from tests.report.conftest import ledger

__all__ = ["ledger"]
