"""What routers remember between requests: which routes are well. `memory` keeps it in this process, `redis` for all."""
