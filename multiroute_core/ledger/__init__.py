"""Ledger: one record per attempt and per cache hit, and the sums over the records."""
