"""Displayable: the one implementation of how an object shows itself in notebooks, IPython and terminals."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from multiroute_core.display.blocks import Block


class Displayable:
    """Mixin of a class whose instances show themselves: as HTML in notebooks, as aligned text in terminals.

    A subclass describes itself once, in `_display`.
    """

    __slots__ = ()

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        # IPython takes the first of `_repr_pretty_` and `__repr__` along the MRO, and dataclasses have a `__repr__`.
        cls._repr_pretty_ = Displayable._repr_pretty_

    def _display(self) -> Sequence[Block]:
        """Return what to show."""
        raise NotImplementedError

    def _text(self) -> str:
        """Return the text for terminals."""
        from multiroute_core.display import plain

        return plain.render(self._display())

    def __str__(self) -> str:
        return self._text()

    def _repr_html_(self) -> str:
        """Render the object for notebooks, and for other hosts that take HTML."""
        from multiroute_core.display import markup

        return markup.render(self._display())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Return all representations for Jupyter, which picks one and filters by `include` and `exclude` itself."""
        return {"text/plain": self._text(), "text/html": self._repr_html_()}

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: FBT001
        """Render the object for IPython in a terminal; inside a list or a dict, as its one-line repr."""
        nested = cycle or len(printer.stack) > 1
        printer.text(repr(self) if nested else self._text())


def in_notebook() -> bool:
    """Whether this process is a Jupyter kernel: IPython has its front end elsewhere."""
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None
