"""The texts of a message that may change, and the message with other texts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from multiroute_core.messages import Message, Part, Text, ToolCallResponse
from multiroute_core.prompts.edits import Piece

ChangePieces: TypeAlias = Callable[[Sequence[Piece]], Sequence[Piece]]
"""Returns the texts of a message in another form, one for one."""


def change_texts(message: Message, change: ChangePieces) -> Message:
    """Return a message with its texts changed; the same object if none changes.

    The texts of a message are changed together, and those of each tool result. A part with a provider's raw form, an
    answer of a model and everything but text stays as it is; such a text is handed over as one that may not change.

    Args:
        message: The message.
        change: Changes the texts.
    """
    parts = _change_parts(message.parts, change, is_editable=message.role != "assistant")
    return message if parts is message.parts else Message(message.role, parts, message.name)


def _change_parts(parts: tuple[Part, ...], change: ChangePieces, *, is_editable: bool) -> tuple[Part, ...]:
    places = [place for place, part in enumerate(parts) if isinstance(part, Text) and part.text]
    changed: list[Part] = list(parts)
    if places:
        texts = [parts[place] for place in places]
        pieces = [Piece(part.text, is_editable and part.raw is None) for part in texts if isinstance(part, Text)]
        for place, old, new in zip(places, pieces, change(pieces), strict=True):
            if new.text != old.text:
                changed[place] = Text(new.text)
    for place, part in enumerate(parts):
        if isinstance(part, ToolCallResponse):
            inner = _change_parts(part.parts, change, is_editable=is_editable and part.raw is None)
            if inner is not part.parts:
                changed[place] = ToolCallResponse(part.id, inner, error=part.error, name=part.name)
    return parts if all(map(lambda one, other: one is other, changed, parts)) else tuple(changed)


def freeze_pieces(change: ChangePieces) -> ChangePieces:
    """Return a change that sees the texts but may not change them."""
    return lambda pieces: change([replace(piece, is_editable=False) for piece in pieces])
