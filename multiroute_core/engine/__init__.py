"""The path of one request: its stages, its attempts, and what joins them."""
