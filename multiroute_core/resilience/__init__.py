"""Internal: resilience rules, such as circuit breaker and rate limits. Pure: no waiting, no locks, no clock access."""
