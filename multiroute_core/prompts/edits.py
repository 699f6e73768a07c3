"""Edits of the texts of one message: they are seen as one text, since an API may join them. Pure."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

CountText: TypeAlias = Callable[[str], int]
"""Returns the tokens of a text."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A replacement in a text, never a longer one.

    Attributes:
        start: Where it begins.
        end: Where it ends.
        text: What stands there instead.
    """

    start: int
    end: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """One text of a message.

    Attributes:
        text: The text.
        is_editable: Whether it may change.
    """

    text: str
    is_editable: bool = True


def apply(pieces: Sequence[Piece], edits: Sequence[Edit], count: CountText) -> list[Piece]:
    """Return the pieces with the edits made.

    An edit that crosses the end of a piece or is in one that may not change is left out. So is a change that makes a
    piece blank, which some APIs reject, or that makes it more tokens.

    Args:
        pieces: The texts, which are edited as if they were one.
        edits: In order, without overlaps.
        count: Counts tokens.
    """
    if not edits:
        return list(pieces)
    starts: list[int] = []
    offset = 0
    for piece in pieces:
        starts.append(offset)
        offset += len(piece.text)
    texts: list[list[str]] = [[] for _ in pieces]
    places = list(starts)
    for edit in edits:
        number = bisect.bisect_right(starts, edit.start) - 1
        piece = pieces[number]
        if piece.is_editable and edit.end <= starts[number] + len(piece.text):
            texts[number] += [piece.text[places[number] - starts[number] : edit.start - starts[number]], edit.text]
            places[number] = edit.end
    edited: list[Piece] = []
    for number, piece in enumerate(pieces):
        text = "".join([*texts[number], piece.text[places[number] - starts[number] :]])
        is_better = len(text) < len(piece.text) and bool(text.strip()) and count(text) <= count(piece.text)
        edited.append(Piece(text) if is_better else piece)
    return edited


def join(pieces: Sequence[Piece]) -> str:
    """Return the pieces as one text."""
    return pieces[0].text if len(pieces) == 1 else "".join([piece.text for piece in pieces])
