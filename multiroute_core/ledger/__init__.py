"""The ledger: what was spent, record by record, and the sums over it."""
