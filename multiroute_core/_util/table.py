"""Tables of short texts, for terminals and notebooks."""

from __future__ import annotations

import html as markup
from collections.abc import Collection, Sequence
from typing import ClassVar

from multiroute_core._util.display import printable


class PrintableTable:
    """Mixin of a class whose instances print as a table: as text, and as HTML in notebooks.

    A subclass sets the titles, and `_TEXT_COLUMNS` if other columns than the first hold text, and defines `_rows`.
    """

    __slots__ = ()

    _TITLES: ClassVar[Sequence[str]]
    _TEXT_COLUMNS: ClassVar[Collection[int]] = (0,)

    def __str__(self) -> str:
        heading = self._heading()
        body = text(self._TITLES, self._rows(), self._TEXT_COLUMNS)
        return f"{heading}\n{body}" if heading else body

    def _repr_html_(self) -> str:
        heading = self._heading()
        body = html(self._TITLES, self._rows(), self._TEXT_COLUMNS, self._faded())
        return f"<p>{markup.escape(heading)}</p>{body}" if heading else body

    def _rows(self) -> Sequence[Sequence[str]]:
        """Return the cells."""
        raise NotImplementedError

    def _heading(self) -> str:
        """Return the line above the table; empty for none."""
        return ""

    def _faded(self) -> Sequence[bool]:
        """Return for each row whether notebooks show it faded; empty if none is."""
        return ()


def text(titles: Sequence[str], rows: Sequence[Sequence[str]], words: Collection[int]) -> str:
    """Render a table as text, with aligned columns.

    Args:
        titles: The column titles.
        rows: The cells.
        words: Indices of the text columns, which are left-aligned; numbers are right-aligned.
    """
    titles = _printable(titles)
    rows = [_printable(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place in words else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (titles, *rows)
    )


def _printable(cells: Sequence[str]) -> list[str]:
    return [printable(cell) for cell in cells]


def html(
    titles: Sequence[str], rows: Sequence[Sequence[str]], words: Collection[int], faded: Sequence[bool] = ()
) -> str:
    """Render a table as HTML.

    Args:
        titles: The column titles.
        rows: The cells.
        words: Indices of the text columns.
        faded: For each row, whether it is shown faded.
    """

    def row(tag: str, cells: Sequence[str], style: str = "") -> str:
        inner = "".join(
            f'<{tag} style="text-align:{"left" if place in words else "right"}">{markup.escape(cell)}</{tag}>'
            for place, cell in enumerate(_printable(cells))
        )
        return f"<tr{style}>{inner}</tr>"

    styles = [' style="opacity:.55"' if back else "" for back in faded] or [""] * len(rows)
    body = "".join(row("td", cells, style) for cells, style in zip(rows, styles, strict=True))
    return f"<table><thead>{row('th', titles)}</thead><tbody>{body}</tbody></table>"
