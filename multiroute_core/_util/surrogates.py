"""Lone surrogates, such as half of an emoji that was cut: what encodes a text fails on them."""

from __future__ import annotations


def replace_surrogates(text: str) -> str:
    r"""Return a text of the same length with a question mark for each lone surrogate.

    Example:
        >>> replace_surrogates("half: \ud83d")
        'half: ?'
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
