"""Tables of short texts, for terminals and notebooks."""

from __future__ import annotations

import html as markup
from collections.abc import Collection, Sequence

from multiroute_core._util.display import printable


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
