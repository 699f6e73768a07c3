"""Internal: the checks of `multiroute check`: routes, stores and budgets, before the first request."""
