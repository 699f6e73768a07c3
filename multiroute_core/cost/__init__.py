"""What answers cost: prices, the ledger, budgets and alerts."""
