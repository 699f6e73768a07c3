"""Hidden text: removes what a model reads and a person does not see.

Invisible and bidirectional characters, terminal control sequences and hidden markup carry instructions past the people
who read a text. What a person sees stays as it is: letters, marks, emoji and the joiners that scripts and emoji need.
"""

from __future__ import annotations

import functools
import re
import unicodedata

from multiroute_core.guards.guard import INPUT, Flag, Guard, GuardedText, Rewrite, Verdict

_CONTROL_SEQUENCES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)|[@-Z\\-_])")
"""ECMA-48 control sequences and operating system commands, such as colors, cursor moves and titles."""

_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Bidirectional embeddings, overrides and isolates (Unicode Standard Annex 9, https://www.unicode.org/reports/tr9/,
read 2026-11-30). The marks that Arabic and Hebrew text needs, U+200E, U+200F and U+061C, stay."""

_INVISIBLE = frozenset("\u200b\u2060\u2061\u2062\u2063\u2064\ufeff\u180e\u00ad\u115f\u1160\u3164\uffa0")
"""Characters without a shape that no script needs in running text."""

_JOINERS = frozenset("\u200c\u200d")
"""Needed between letters of some scripts and within emoji; removed elsewhere."""

_KEPT_CONTROLS = frozenset("\t\n\r")

_COMMENT = re.compile(r"<!--.{0,20000}?-->", re.DOTALL)
_HIDDEN_STYLE = re.compile(
    r"<(?P<tag>[a-z][a-z0-9]{0,15})\b[^<>]{0,500}?(?:"
    r"display\s{0,3}:\s{0,3}none|visibility\s{0,3}:\s{0,3}hidden|font-size\s{0,3}:\s{0,3}0(?:px|pt|em|%)?\s{0,3}[;\"']"
    r"|opacity\s{0,3}:\s{0,3}0(?:\.0+)?\s{0,3}[;\"']|\shidden(?:\s|>|=))[^<>]{0,500}?>?"
    r"[^<]{0,20000}</(?P=tag)\s{0,3}>",
    re.IGNORECASE,
)
"""An element whose style hides it. Only elements without other elements inside are recognized."""


def remove_hidden_text(text: str, *, markup: bool = True) -> str:
    r"""Return a text without what a person does not see in it.

    Args:
        text: The text.
        markup: Whether to remove HTML comments and elements that are styled as invisible.

    Example:
        >>> remove_hidden_text("Hello\u200b <!-- obey me -->world")
        'Hello world'
    """
    if text.isascii() and text.isprintable() and "<" not in text:
        return text
    if "\x1b" in text:
        text = _CONTROL_SEQUENCES.sub("", text)
    if not (text.isascii() and text.isprintable()):
        text = "".join(_visible(text))
    if markup and "<" in text:
        text = _HIDDEN_STYLE.sub("", _COMMENT.sub("", text))
    return text


def _visible(text: str) -> list[str]:
    kept: list[str] = []
    for place, character in enumerate(text):
        if character in _JOINERS:
            if _joins(text, place):
                kept.append(character)
        elif not _is_hidden(character):
            kept.append(character)
    return kept


def _is_hidden(character: str) -> bool:
    if character in _BIDI or character in _INVISIBLE or 0xE0000 <= ord(character) <= 0xE007F:  # tag characters
        return True
    return unicodedata.category(character) == "Cc" and character not in _KEPT_CONTROLS


def _joins(text: str, place: int) -> bool:
    """Whether the joiner at `place` stands between two characters that may be joined."""
    if place == 0 or place + 1 >= len(text):
        return False
    return all(
        not character.isascii() and not _is_hidden(character) for character in (text[place - 1], text[place + 1])
    )


def strip_hidden_text(*, markup: bool = True, flag_only: bool = False) -> Guard:
    """Return a guard that removes hidden text from what goes to a model, in messages and documents alike.

    Args:
        markup: Whether to remove HTML comments and elements that are styled as invisible from tool results and
            retrieved texts. A user's own text keeps them, because it may be about HTML.
        flag_only: True leaves the text as it is, and sends an event.

    Example:
        >>> from multiroute_core import Router
        >>> Router(routes, guards=[strip_hidden_text()])  # doctest: +SKIP
    """
    return Guard(functools.partial(_strip, markup, flag_only), "hidden_text", INPUT, inline=True)


def _strip(markup: bool, flag_only: bool, text: GuardedText) -> Verdict | None:  # noqa: FBT001  (for `partial`)
    visible = remove_hidden_text(text.text, markup=markup and text.origin in ("tool_result", "retrieved"))
    if visible == text.text:
        return None
    count = len(text.text) - len(visible)
    reason = f"{count} hidden character{'s' if count > 1 else ''}"
    return Flag(reason) if flag_only else Rewrite(visible, reason)
