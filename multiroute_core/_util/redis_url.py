"""Redis URL: the settings in it that are ours."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode


def split_settings(url: str) -> tuple[str, dict[str, str]]:
    """Split a URL into the URL for redis-py, and the settings in its query that are ours: `prefix` and `timeout`."""
    server_url, _, query = url.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    own = {name: value for name, value in pairs if name in ("prefix", "timeout")}
    if not own:
        return url, own
    others = urlencode([(name, value) for name, value in pairs if name not in own])
    return f"{server_url}?{others}" if others else server_url, own
