"""Resilience rules: circuit breaker, rate limits, retry budget. Pure: no waiting, no locks, no clock access."""
