"""Plain-text rendering of a display: aligned columns for terminals."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from multiroute_core.display import bars
from multiroute_core.display.blocks import Bar, Block, Cell, Mark, Paragraph, Picture, Table
from multiroute_core.display.text import align, display_width, printable, printable_lines


def render(blocks: Iterable[Block]) -> str:
    """Render blocks as text. A paragraph stands directly above its table; other blocks are separated by a line."""
    text = ""
    before: Block | None = None
    for block in blocks:
        body = _render_block(block)
        if not body:
            continue
        if before is not None:
            text += "\n" if isinstance(before, Paragraph) and before.strong else "\n\n"
        text += body
        before = block
    return text


def table(titles: Sequence[str], rows: Sequence[Sequence[Cell]], text_columns: Collection[int]) -> str:
    """Render a table with aligned columns.

    Args:
        titles: The column titles.
        rows: The cells.
        text_columns: The columns with text, which are left-aligned; numbers are right-aligned.
    """
    lines = [[printable(title) for title in titles], *([_cell_text(cell) for cell in row] for row in rows)]
    if not any(lines[0]):
        del lines[0]
    widths = [max(map(display_width, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            align(cell, width, right=place not in text_columns)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _render_block(block: Block) -> str:
    if isinstance(block, Paragraph):
        return printable_lines(block.text)
    body = printable_lines(block.text) if isinstance(block, Picture) else _render_table(block)
    return f"{printable(block.title)}\n{body}" if block.title else body


def _render_table(block: Table) -> str:
    if not block.rows and block.empty:
        return block.empty
    places = block.columns()
    return table(
        [block.titles[place] for place in places],
        [[row[place] for place in places] for row in block.rows],
        {shown for shown, place in enumerate(places) if place in block.text_columns},
    )


def _cell_text(cell: Cell) -> str:
    if isinstance(cell, Bar):
        return "".join(bars.draw(cell))
    return printable(f"{cell.sign} {cell.text}" if isinstance(cell, Mark) else cell)
