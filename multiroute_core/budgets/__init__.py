"""Budgets: what may be spent, who has reserved it, and what was charged."""
