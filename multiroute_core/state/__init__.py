"""Shared routing state: health and limits of the routes, in this process (`memory`) or for all (`redis`)."""
