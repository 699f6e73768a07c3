"""Configuration files: a router from TOML, YAML or JSON, its JSON schema, and reloading.

Example:
    >>> router = Router.from_file("routes.toml")  # doctest: +SKIP
    >>> with RouterReloader(router):  # doctest: +SKIP
    ...     serve(router)
"""

from typing import TYPE_CHECKING

from multiroute_core._util.lazy import attach

if TYPE_CHECKING:
    from multiroute_core.configuration.reloading import Reloadable, RouterReloader
    from multiroute_core.configuration.schema import build_schema
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "reloading": "Reloadable RouterReloader",
            "schema": "build_schema",
        },
    )

__all__ = ["Reloadable", "RouterReloader", "build_schema"]
