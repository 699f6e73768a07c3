r"""Reversible masking (pseudonymization): placeholders instead of personal data, restored in the answer. Pure.

How this works: `Masks` belongs to one request. It replaces the n-th different value of a kind by `[EMAIL_n]` and keeps
the value. Numbers depend on the order only, so requests that differ only in their values have the same masked text, and
each restores its own values. A number that the conversation already uses is left out.

Models change placeholders slightly. Restored are those in another case, with up to two blanks or Markdown's emphasis
inside the brackets, with one blank beside the underscore, with escaped characters (`\[EMAIL\_1\]`), and in the brackets
of East Asian text. A name without brackets is not restored: `EMAIL_1` may be a name in code.
"""

from __future__ import annotations

import functools
import json as jsonlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, cast

from multiroute_core._util.json_text import load_json
from multiroute_core._util.redaction import Secret
from multiroute_core.guards.finder import Finder, check_finder, find_all
from multiroute_core.guards.personal_data import ALL, Kind, check_settings

_Atom = tuple[str, int, int]
"""A class of characters, and how often one of it stands there at least and at most."""

_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
"""A string in a JSON text (RFC 8259, section 7)."""


class _Forms:
    """The spellings of placeholders, in plain text or within the strings of a JSON text.

    Attributes:
        whole: Matches a placeholder; its groups `kind` and `number`, or `escaped_kind` and `escaped_number`, name it.
        partial: Matches the beginning of a placeholder at the end of a text.
        longest: The most characters that a placeholder can have.
    """

    __slots__ = ("longest", "partial", "whole")

    def __init__(self, backslashes: int, kinds: Collection[str]) -> None:
        """Builds the patterns.

        Args:
            backslashes: How many backslashes escape a character: 1 in plain text, 2 in a JSON text.
            kinds: The kinds of the placeholders.
        """
        escape: _Atom = (r"\\", backslashes, backslashes)
        maybe_escape: _Atom = (r"\\", 0, backslashes)
        blanks: _Atom = ("[ \u00a0]", 0, 2)
        stars: _Atom = (r"\*", 0, 3)
        before: list[_Atom] = [blanks, stars]
        separator: list[_Atom] = [("[ \u00a0]", 0, 1), maybe_escape, ("_", 1, 1), ("[ \u00a0]", 0, 1)]
        after: list[_Atom] = [stars, blanks]
        digits: list[_Atom] = [("[1-9]", 1, 1), ("[0-9]", 0, 5)]
        # A backslash before the bracket belongs to the placeholder only if the closing bracket has one as well:
        # otherwise it is the document's, as in C:\[EMAIL_1].
        escaped = ([escape, (r"\[", 1, 1), *before], [*after, escape, (r"\]", 1, 1)])
        plain = ([(r"[\[［【]", 1, 1), *before], [*after, maybe_escape, (r"[\]］】]", 1, 1)])
        wholes: list[str] = []
        partials: list[str] = []
        lengths: list[int] = []
        letters_of = {
            kind: [atom for letter in kind.upper() for atom in _letter(letter, maybe_escape)]
            for kind in sorted(kinds, key=len, reverse=True)
        }
        for (head, tail), name in ((escaped, "escaped_"), (plain, "")):
            names = "|".join(map(_pattern, letters_of.values()))
            wholes.append(
                f"{_pattern(head)}(?P<{name}kind>{names}){_pattern(separator)}"
                f"(?P<{name}number>{_pattern(digits)}){_pattern(tail)}"
            )
            for letters in letters_of.values():
                atoms = [*head, *letters, *separator, *digits, *tail]
                partials.append(_prefix_pattern(atoms[:-1]))
                lengths.append(sum(most for _, _, most in atoms))
        self.whole = re.compile("|".join(wholes), re.ASCII | re.IGNORECASE)
        self.partial = re.compile(rf"(?:{'|'.join(partials)})\Z", re.ASCII | re.IGNORECASE)
        self.longest = max(lengths)


def _pattern(atoms: Iterable[_Atom]) -> str:
    return "".join(f"{characters}{{{least},{most}}}" for characters, least, most in atoms)


def _prefix_pattern(atoms: list[_Atom]) -> str:
    """Return a pattern of the nonempty beginnings of what `atoms` match."""
    pattern = ""
    for characters, least, most in reversed(atoms):
        # An atom of several characters may end early, but then nothing follows it.
        early = "".join(f"|{characters}{{{count}}}" for count in range(1, least)) if least > 1 else ""
        pattern = f"(?:{characters}{{{least},{most}}}{pattern}{early})?"
    return pattern.removesuffix("?")


def _letter(letter: str, maybe_escape: _Atom) -> list[_Atom]:
    """Return the atoms of a letter of a kind; Markdown escapes underscores."""
    return [maybe_escape, ("_", 1, 1)] if letter == "_" else [(letter, 1, 1)]


@functools.lru_cache(maxsize=16)
def _forms_of(backslashes: int, kinds: tuple[str, ...]) -> _Forms:
    return _Forms(backslashes, kinds)


class Masks:
    """The masked values of one request.

    It may be used by one thread at a time.

    Args:
        texts: All texts of the request, so that no placeholder equals a text that one of them holds.
        kinds: What to mask; everything by default.
        regions: ISO 3166-1 codes of the countries whose phone numbers are masked in their national form too.
        finder: Finds further kinds, such as names.

    Raises:
        ConfigurationError: A kind or a region is unknown, the finder is invalid, or a package of the extra `guards` is
            missing.

    Example:
        >>> masks = Masks(kinds=["email"])
        >>> masks.mask("From ada@example.org to bob@example.org")
        'From [EMAIL_1] to [EMAIL_2]'
        >>> masks.restore("I wrote to **[email_2]**.")
        'I wrote to **bob@example.org**.'
    """

    __slots__ = (
        "_finder",
        "_json",
        "_kinds",
        "_last_numbers",
        "_placeholders",
        "_plain",
        "_regions",
        "_reserved",
        "_values",
    )

    def __init__(
        self,
        texts: Iterable[str] = (),
        *,
        kinds: Collection[Kind] = ALL,
        regions: Collection[str] = (),
        finder: Finder | None = None,
    ) -> None:
        self._kinds, self._regions = check_settings(kinds, regions)
        self._finder = finder
        placeholder_kinds = (*ALL, *check_finder(finder))
        self._plain = _forms_of(1, placeholder_kinds)
        self._json = _forms_of(2, placeholder_kinds)
        self._values: dict[tuple[str, int], Secret] = {}
        self._placeholders: dict[tuple[str, Secret], str] = {}
        self._last_numbers: Counter[str] = Counter()
        self._reserved: set[tuple[str, int]] = set()
        for text in texts:
            self._reserve(text)

    @property
    def counts(self) -> dict[str, int]:
        """How many different values of each kind are masked."""
        return dict(Counter(kind.lower() for kind, _ in self._values))

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        counts = ", ".join(f"{kind}: {count}" for kind, count in self.counts.items())
        return f"<Masks {counts or 'empty'}>"

    def mask(self, text: str, *, json: bool = False) -> str:
        """Replace every value by its placeholder, the same one for the same value. A masked text stays as it is.

        Args:
            text: A text of the request.
            json: Whether `text` is JSON, such as the arguments of a tool call: then its strings are masked. Its numbers
                are not, since a placeholder is a string.
        """
        if json:
            # What is not JSON, such as arguments that were cut off, is masked as the plain text that it is.
            return _replace_strings(text, self.mask) if _is_json(text) else self.mask(text)
        self._reserve(text)
        pieces: list[str] = []
        position = 0
        for match in self._plain.whole.finditer(text):
            pieces += (self._mask_stretch(text[position : match.start()]), match[0])
            position = match.end()
        return "".join((*pieces, self._mask_stretch(text[position:])))

    def restore(self, text: str, *, json: bool = False) -> str:
        """Replace the placeholders of this request by their values. Any other text stays as it is.

        Args:
            text: A text of the answer.
            json: Whether `text` is JSON or a part of one: then the values are escaped.
        """
        if not self._values:
            return text
        return self.forms(json=json).whole.sub(lambda match: self._look_up(match, json=json), text)

    def forms(self, *, json: bool) -> _Forms:
        """Return the spellings of placeholders; `json` as of `restore`."""
        return self._json if json else self._plain

    def stream(self, *, json: bool = False) -> StreamRestorer:
        """Return a restorer for one text of a stream; `json` as of `restore`."""
        return StreamRestorer(self, json=json)

    def mask_value(self, value: Any) -> Any:
        """Mask all texts in a JSON-like value of mappings and lists, the keys too."""
        return _map_texts(value, self.mask)

    def restore_value(self, value: Any) -> Any:
        """Restore all texts in a JSON-like value of mappings and lists, the keys too."""
        return _map_texts(value, self.restore)

    def _mask_stretch(self, text: str) -> str:
        pieces: list[str] = []
        position = 0
        for span in find_all(text, self._kinds, self._regions, self._finder):
            placeholder = self._choose(span.kind.upper(), Secret(text[span.start : span.end]))
            pieces += (text[position : span.start], placeholder)
            position = span.end
        return "".join((*pieces, text[position:]))

    def _choose(self, kind: str, value: Secret) -> str:
        placeholder = self._placeholders.get((kind, value))
        if placeholder is None:
            number = self._last_numbers[kind] + 1
            while (kind, number) in self._reserved:
                number += 1
            self._last_numbers[kind] = number
            self._values[kind, number] = value
            placeholder = self._placeholders[kind, value] = f"[{kind}_{number}]"
        return placeholder

    def _reserve(self, text: str) -> None:
        # Both spellings: a JSON text is a text as well.
        for forms in (self._plain, self._json):
            for match in forms.whole.finditer(text):
                key = _parse_key(match)
                if key not in self._values:
                    self._reserved.add(key)

    def _look_up(self, match: re.Match[str], *, json: bool) -> str:
        value = self._values.get(_parse_key(match))
        if value is None:
            return match[0]
        return jsonlib.dumps(str(value), ensure_ascii=False)[1:-1] if json else str(value)


class StreamRestorer:
    """Restores the placeholders of one text that arrives in pieces.

    What it returns is, put together, what `Masks.restore` returns for the whole text. It holds back only what may be
    the beginning of a placeholder, at most some 40 characters.

    Args:
        masks: The masks of the request.
        json: Whether the text is JSON, such as the arguments of a tool call: then the values are escaped.

    Example:
        >>> masks = Masks(kinds=["email"])
        >>> _ = masks.mask("ada@example.org")
        >>> restorer = StreamRestorer(masks)
        >>> [restorer.feed("Dear [EMA"), restorer.feed("IL_1], he"), restorer.finish()]
        ['Dear ', 'ada@example.org, he', '']
    """

    __slots__ = ("_held", "_json", "_masks")

    def __init__(self, masks: Masks, *, json: bool = False) -> None:
        self._masks = masks
        self._json = json
        self._held = ""

    def __repr__(self) -> str:
        return f"<StreamRestorer of {self._masks!r}, {len(self._held)} characters held>"

    @property
    def held(self) -> int:
        """How many characters are held back."""
        return len(self._held)

    def feed(self, piece: str) -> str:
        """Return what can be given out after `piece`; it may be empty."""
        if not len(self._masks):
            return piece
        text = self._held + piece
        forms = self._masks.forms(json=self._json)
        partial = forms.partial.search(text, max(0, len(text) - forms.longest))
        end = partial.start() if partial else len(text)
        self._held = text[end:]
        return self._masks.restore(text[:end], json=self._json)

    def finish(self) -> str:
        """Return the rest at the end of the text."""
        rest = self._masks.restore(self._held, json=self._json)
        self._held = ""
        return rest


def _parse_key(match: re.Match[str]) -> tuple[str, int]:
    kind = match["kind"] or match["escaped_kind"]
    return kind.upper().replace("\\", ""), int(match["number"] or match["escaped_number"])


def _is_json(text: str) -> bool:
    try:
        load_json(text)
    except ValueError:
        return False
    return True


def _replace_strings(text: str, change: Callable[[str], str]) -> str:
    """Change the strings of a JSON text and leave everything else, the spelling of other strings too, as it is."""

    def replace(match: re.Match[str]) -> str:
        string: str = jsonlib.loads(match[0])
        changed = change(string)
        return match[0] if changed == string else jsonlib.dumps(changed, ensure_ascii=False)

    return _STRING.sub(replace, text)


def _map_texts(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        members = cast("Mapping[Any, Any]", value)
        return {_map_texts(name, change): _map_texts(inner, change) for name, inner in members.items()}
    if isinstance(value, (list, tuple)):
        return [_map_texts(inner, change) for inner in cast("list[Any]", value)]
    return value
