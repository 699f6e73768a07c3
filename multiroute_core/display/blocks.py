"""Blocks of a display: paragraphs, tables with bars, pictures. `plain` and `markup` render them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Tone: TypeAlias = Literal["plain", "accent", "good", "soft", "warning", "bad"]
"""The meaning of a colour."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A horizontal bar in a table's cell.

    Attributes:
        begin: Where it begins, from 0 to 1.
        end: Where it ends, from 0 to 1.
        tone: Its colour.
        lead: The part before `begin` that is drawn lighter begins here; None for no such part.
    """

    begin: float
    end: float
    tone: Tone = "accent"
    lead: float | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A text with a coloured sign before it, so that its meaning does not depend on colour.

    Attributes:
        sign: One character.
        text: The text.
        tone: The colour of the sign.
    """

    sign: str
    text: str
    tone: Tone


Cell: TypeAlias = str | Bar | Mark


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        titles: The column titles.
        rows: The cells.
        text_columns: The columns with text, which are left-aligned; numbers are right-aligned.
        faded: For each row, whether notebooks show it faded; empty if none is.
        title: The line above it; empty for none.
        empty: The sentence that replaces a table without rows.
        optional: Cells that say nothing: a column that holds only such cells is left out.
    """

    titles: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    text_columns: Collection[int] = (0,)
    faded: Sequence[bool] = ()
    title: str = ""
    empty: str = ""
    optional: Collection[str] = ()

    def columns(self) -> list[int]:
        """Return the columns to show."""
        return [
            place
            for place in range(len(self.titles))
            if not self.rows or any(row[place] not in self.optional for row in self.rows)
        ]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Text of one or more lines.

    Attributes:
        text: The text.
        soft: Whether it is an annotation, shown less prominently.
        strong: Whether it is a heading.
    """

    text: str
    soft: bool = False
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture for notebooks.

    Attributes:
        data: The file.
        mime_type: Its type, such as `image/png`.
        text: What it shows, in characters: for terminals, and where a page shows no pictures.
        title: The line above it; empty for none.
    """

    data: bytes
    mime_type: str
    text: str
    title: str = ""


Block: TypeAlias = Paragraph | Table | Picture
