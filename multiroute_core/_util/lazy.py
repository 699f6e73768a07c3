"""Lazy exports: a package's public names, each imported on first access (PEP 562).

A package lists its public names three times, and `tests/test_exports.py` compares the lists: as imports under
`TYPE_CHECKING` for type checkers and editors, in `__all__`, and here, by the module that defines them. In the package,
`__getattr__` stands in the `else` of `TYPE_CHECKING`: type checkers would otherwise accept every name.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any


def attach(
    package: str, names: Mapping[str, str], *, modules: Collection[str] = (), requires: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and the `__dir__` of a package.

    A name must differ from the package's modules: importing a module would replace it.

    Args:
        package: The package's `__name__`.
        names: For each module, relative to the package: the public names that it defines, separated by spaces.
        modules: Modules of the package that are themselves exported.
        requires: Packages that may be missing, and the extra that installs each; the error then says what to type.

    Example:
        >>> __getattr__, __dir__ = attach(__name__, {"jsonl": "JSONLines", "log": "LogEvents"})  # doctest: +SKIP
    """
    homes = {name: module for module, defined in names.items() for name in defined.split()}

    def load(name: str) -> Any:
        if name in modules:
            return importlib.import_module(f"{package}.{name}")
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            module = importlib.import_module(f"{package}.{homes[name]}")
        except ModuleNotFoundError as error:
            extra = (requires or {}).get((error.name or "").partition(".")[0])
            if extra is None:
                raise
            sentence = (
                f"{package} needs a package that is not installed ({error}); run: pip install 'multiroute-llm[{extra}]'"
            )
            raise ModuleNotFoundError(sentence, name=error.name, path=error.path) from None
        export = getattr(module, name)
        setattr(sys.modules[package], name, export)  # from now on an ordinary attribute
        return export

    def list_names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes, *modules})

    return load, list_names
