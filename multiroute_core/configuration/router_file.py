"""The part of a `Router` that reads configuration files: `from_file` and `reload`."""

from __future__ import annotations

import threading
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.errors import ConfigurationError

if TYPE_CHECKING:
    from multiroute_core.configuration.loading import Configuration

_lock = threading.Lock()
"""Held while a router is reloaded: two versions of a file must not be mixed."""


class RouterFile:
    """Reads the arguments of a router from a file. The router's class validates and takes them over."""

    _configuration: Configuration | None = None
    _closed: bool

    @staticmethod
    def _check_arguments(**arguments: Any) -> Any:
        """Return the settings that the arguments describe."""
        raise NotImplementedError

    def _replace_settings(self, settings: Any) -> None:
        """Continue with other settings."""
        raise NotImplementedError

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> Self:
        """Build a router from a configuration file: TOML, JSON, or YAML where PyYAML is installed.

        The keys are the arguments of `Router`, and those of `Route`, `Budget` and so on in its tables; guards and hooks
        are named. `${NAME}` and `${NAME:-default}` in texts are environment variables. See
        `docs/configuration_file.md`.

        Args:
            path: A file `.toml`, `.json`, `.yaml` or `.yml`.

        Raises:
            ConfigurationError: The file is missing or not valid; it names all errors with their keys.

        Example:
            >>> router = Router.from_file("routes.toml")  # doctest: +SKIP
        """
        from multiroute_core.configuration.loading import load

        configuration = load(path, cls, cls._check_arguments)
        router: Self = configuration.build(cls)
        router._configuration = configuration
        return router

    @property
    def file(self) -> Path | None:
        """The configuration file that the router was built from; None if there is none."""
        return None if self._configuration is None else self._configuration.path

    def reload(self) -> bool:
        """Read the configuration file again and continue with it; return whether anything has changed.

        Circuit breakers, latencies, limits, budgets, the cache and the ledger keep their state; a route that leads to
        another model, address or key starts with a closed breaker. Calls and streams in flight end as they began.
        `multiroute_core.configuration.RouterReloader` reloads on SIGHUP, and when the file changes.

        Raises:
            ConfigurationError: The router was not built by `from_file`, or the file is not valid; the router goes on
                as it was.
        """
        from multiroute_core.configuration.loading import load

        with _lock:
            if (previous := self._configuration) is None:
                raise ConfigurationError(
                    "This Router has no file to reload; build it with Router.from_file('routes.toml')."
                )
            if self._closed:
                raise ConfigurationError("This Router is closed; build a new one.")
            configuration = load(previous.path, type(self), self._check_arguments, previous=previous)
            if configuration.data == previous.data:
                return False
            settings = configuration.build(self._check_arguments)
            configuration.explain_errors(lambda: self._replace_settings(settings))
            self._configuration = configuration
            return True
