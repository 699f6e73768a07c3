"""Budgets: spending limits, reservations and charges."""
