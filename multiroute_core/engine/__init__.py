"""Internal: the request pipeline: caching, planning, attempts, hedging, fallback and stream continuation."""
