"""Redis address: parses a Redis URL and connects to it."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from multiroute_core.errors import ConfigurationError
from multiroute_core.options import seconds, unknown

CONNECT_SECONDS = 1.0
"""Connect timeout in seconds: no request waits for it."""

SETTINGS = ("client_name", "db", "password", "prefix", "timeout", "username")
"""The settings allowed in the query of a URL, besides redis-py's `ssl_…`."""


def parse_timeout(value: str) -> float:
    """Return the seconds in a URL's `timeout`.

    Raises:
        ConfigurationError: it is no number of seconds above 0.
    """
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    return seconds("timeout", number)


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a Redis, and how to connect to it.

    Attributes:
        where: The URL without its secrets, for logs.
        secret: Whether the URL contains credentials.
    """

    where: str
    secret: bool
    _connection: Any = field(repr=False)
    _options: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, url: str, timeout: float) -> Address:
        """Parse a URL.

        Args:
            url: As of `Link`.
            timeout: Seconds for one reply.

        Raises:
            ConfigurationError: the URL cannot be used, or redis-py is missing.
        """
        redis = _redis()
        scheme = url.partition("://")[0]
        if scheme not in ("redis", "rediss", "unix") or "://" not in url:
            raise ConfigurationError("The Redis URL is not valid; expected redis://, rediss:// or unix://.")
        try:
            parts = urlsplit(url)
            settings = dict(redis.connection.parse_url(url))
        except ValueError:  # its text may contain a part of the password
            raise ConfigurationError(
                f"The {scheme}:// URL is not valid; special characters in its password must be percent-encoded, and "
                "its port a number up to 65535, as in redis://:p%2Fw@host:6379/0."
            ) from None
        for name in parse_qs(parts.query, keep_blank_values=True):
            if name not in SETTINGS and not name.startswith("ssl_"):
                raise unknown("Redis setting", name, SETTINGS)
        where = _where(parts, settings)
        connection = settings.pop("connection_class", redis.Connection)
        # redis-py takes 2 ms to find out its own name and version.
        silent = {"driver_info": None} if hasattr(redis, "driver_info") else {"lib_name": None, "lib_version": None}
        options = {
            "client_name": "multiroute",
            **settings,
            **silent,
            "protocol": 2,
            "retry": redis.retry.Retry(redis.backoff.NoBackoff(), 0),
            "socket_timeout": timeout,
            "socket_connect_timeout": max(timeout, CONNECT_SECONDS),
        }
        try:
            connection(**options)
        except (TypeError, ValueError, redis.RedisError) as error:
            raise ConfigurationError(
                f"The settings of the URL of {where} are not valid; ssl_… settings are for rediss://."
            ) from error
        return cls(where, any(name.endswith(("password", "username")) for name in settings), connection, options)

    def connect(self) -> Any:
        """Return a redis-py connection; raises its errors."""
        connection = self._connection(**self._options)
        connection.connect()
        return connection


def _redis() -> Any:
    try:
        return importlib.import_module("redis")
    except ImportError as error:
        raise ConfigurationError(
            f"Redis needs a package that is not installed ({error}); run: pip install 'multiroute-llm[redis]'"
        ) from error


def _where(parts: SplitResult, settings: Mapping[str, Any]) -> str:
    """Return the URL without its secrets."""
    scheme = parts.scheme
    database = settings.get("db", 0)
    if scheme == "unix":
        if not settings.get("path", "").strip("/"):
            raise ConfigurationError("The unix:// URL has no socket path; expected unix:///path/to/redis.sock.")
        return f"unix://{settings['path']}?db={database}"
    if not settings.get("host"):
        raise ConfigurationError(f"The {scheme}:// URL has no server; expected {scheme}://host:6379/0.")
    if "db" not in settings and parts.path.strip("/"):
        raise ConfigurationError(f"The database in the {scheme}:// URL must be a number, as in {scheme}://host/0.")
    host = f"[{settings['host']}]" if ":" in settings["host"] else settings["host"]
    return f"{scheme}://{host}:{settings.get('port', 6379)}/{database}"
