"""Personal data (PII) and secret detection: e-mail addresses, phone numbers, IBANs, cards, IP addresses, keys. Pure.

How this works: the kinds are looked for in a fixed order, the most specific first, and each one only in the text that
the kinds before it left over. A pattern proposes candidates, and a library or a checksum decides. The text between two
spans is then searched again on its own until nothing is left, so that a text in which every span was replaced holds
no further one: masking is idempotent.

Every pattern is linear: it starts at most once per run of characters (a lookbehind of the same class), and the
candidates that one start proposes are bounded.
"""

from __future__ import annotations

import functools
import importlib
import ipaddress
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

from multiroute_core.errors import ConfigurationError
from multiroute_core.guards.secret_formats import drop_overlaps, find_secrets

Kind = Literal["secret", "email", "iban", "card", "ip", "phone"]

ALL: tuple[Kind, ...] = get_args(Kind)
"""All kinds, in the order in which they are looked for: where two could overlap, the first one wins."""

_MAX_ROUNDS = 8
"""How often the text between spans is searched again. Two suffice unless a text is made up to need more."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a text.

    Attributes:
        start: Index of its first character.
        end: Index after its last character.
        kind: What it is; one of `ALL`, or a kind of a `Finder`.
    """

    start: int
    end: int
    kind: str


_Finder = Callable[[str, tuple[str, ...]], Iterator[tuple[int, int]]]


def find_personal_data(text: str, kinds: Collection[Kind] = ALL, regions: Collection[str] = ()) -> tuple[Span, ...]:
    """Find personal data and secrets in `text`.

    Args:
        text: Any text.
        kinds: What to look for; everything by default.
        regions: ISO 3166-1 alpha-2 codes of the countries whose phone numbers also count in their national form
            (`"DE"`: 030 901820). The international form (+49 30 901820) always counts.

    Returns:
        The spans, in order and without overlap.

    Raises:
        ConfigurationError: A kind or a region is unknown, or a package of the extra `guards` is missing.

    Example:
        >>> find_personal_data("Mail ada@example.org", ["email"])
        (Span(start=5, end=20, kind='email'),)
    """
    order, codes = check_settings(kinds, regions)
    spans: list[Span] = []
    gaps = [(0, len(text))]
    for _ in range(_MAX_ROUNDS):
        split_gaps: list[tuple[int, int]] = []
        for start, end in gaps:
            new = list(_search(text[start:end], start, order, codes))
            if new:
                spans += new
                split_gaps += _gaps_between(start, end, new)
        if not split_gaps:
            break
        gaps = split_gaps
    return tuple(sorted(spans, key=lambda span: span.start))


def check_settings(kinds: Collection[str], regions: Collection[str]) -> tuple[tuple[Kind, ...], tuple[str, ...]]:
    """Return the kinds in the order of `ALL` and the regions in upper case, without repetitions.

    Raises:
        ConfigurationError: A kind or a region is unknown, or a package of the extra `guards` is missing.
    """
    if isinstance(kinds, str) or isinstance(regions, str):
        raise ConfigurationError("kinds= and regions= are collections of names, not one text; write kinds=['email'].")
    unknown = sorted(set(kinds) - set(ALL))
    if unknown:
        raise ConfigurationError(f"{unknown[0]!r} is not a kind of personal data; expected some of {', '.join(ALL)}.")
    codes = tuple(sorted({region.upper() for region in regions}))
    if "phone" in kinds:
        supported = _load("phonenumbers").SUPPORTED_REGIONS
        wrong = [code for code in codes if code not in supported]
        if wrong:
            raise ConfigurationError(
                f"{wrong[0]!r} in regions= is not a country with phone numbers; expected ISO 3166-1 codes such as 'DE'."
            )
    if "iban" in kinds:
        _load("stdnum.iban")
    if "card" in kinds:
        _load("stdnum.luhn")
    return tuple(kind for kind in ALL if kind in kinds), codes


def _search(text: str, offset: int, kinds: tuple[Kind, ...], regions: tuple[str, ...]) -> Iterator[Span]:
    """Yield the spans of one stretch of text, in order."""
    spans: list[Span] = []
    gaps = [(0, len(text))]
    for kind in kinds:
        new = [
            Span(start + gap_start, end + gap_start, kind)
            for gap_start, gap_end in gaps
            for start, end in _FINDERS[kind](text[gap_start:gap_end], regions)
        ]
        if new:
            spans = sorted(spans + new, key=lambda span: span.start)
            gaps = _gaps_between(0, len(text), spans)
    for span in spans:
        yield Span(span.start + offset, span.end + offset, span.kind)


def _gaps_between(start: int, end: int, spans: list[Span]) -> list[tuple[int, int]]:
    edges = [start, *(edge for span in spans for edge in (span.start, span.end)), end]
    return [gap for gap in zip(edges[::2], edges[1::2], strict=True) if gap[0] < gap[1]]


@functools.cache
def _load(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigurationError(
            f"Finding personal data needs a package that is not installed ({error}); "
            "run: pip install 'multiroute-llm[guards]', or choose other kinds."
        ) from error


# E-mail addresses. The lengths are those of RFC 5321, section 4.5.3.1 (https://www.rfc-editor.org/rfc/rfc5321). Letters
# are Latin, Greek and Cyrillic ones: in scripts without blanks an address ends where its own script does.

_ALPHABET = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u052f"
_LETTER = f"0-9{_ALPHABET}"
_LOCAL_PART = re.compile(rf"[{_LETTER}!#$%&'*+/=?^_`{{|}}~-]+(?:\.[{_LETTER}!#$%&'*+/=?^_`{{|}}~-]+)*\Z")
_DOMAIN = re.compile(
    rf"(?:[{_LETTER}](?:[{_LETTER}-]{{0,61}}[{_LETTER}])?\.){{1,8}}(?:xn--[0-9a-z-]{{2,59}}|[{_ALPHABET}]{{2,24}})(?![{_LETTER}_])"
)
_OPENING = re.compile(r"[/=?&#|{}'`*!$%^]")
_NO_DOMAIN = re.compile(r"\d+x\.(?:png|jpe?g|gif|webp|svg|avif)\Z|\d+\.\d+\.\d+-|self\.", re.IGNORECASE)
"""A picture for dense screens (icon@2x.png), a version of a package (tool@1.0.0-beta.rc), Python's `x@self.weight`."""


def _find_emails(text: str, _: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    position = 0
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        local = _LOCAL_PART.search(text[max(position, at - 64) : at]) if domain else None
        if domain and local and not _NO_DOMAIN.match(domain[0]):
            # RFC 5322 also admits these characters, but before an address they are nearly always punctuation.
            name = _OPENING.split(local[0])[-1]
            start = at - len(name)
            is_repository = name == "git" and text.startswith(":", domain.end())
            if name and not is_repository:
                yield start, domain.end()
                position = domain.end()
        at = text.find("@", max(at + 1, position))


# IBANs and cards: digits, bare or in groups that one kind of separator parts.

_IBAN_START = re.compile(r"(?<![0-9A-Za-z])[A-Za-z]{2}\d{2}(?=[ \u00a0\u202f-]?[0-9A-Za-z])", re.ASCII)
_IBAN_BODY = re.compile(r"(?:[ \u00a0\u202f-]?[0-9A-Za-z])+", re.ASCII)
_IBAN_GROUP = re.compile(r"[0-9A-Za-z]+")
_IBAN_LONGEST = 34
"""ISO 13616-1:2020, and the longest one in use has 33 (https://www.swift.com/standards/data-standards/iban)."""


def _find_ibans(text: str, _: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    iban = None
    position = 0
    for start in _IBAN_START.finditer(text):
        body = (
            _IBAN_BODY.match(text, start.end(), start.end() + 2 * _IBAN_LONGEST) if start.start() >= position else None
        )
        if not body:
            continue
        iban = iban or _load("stdnum.iban")
        # The words after an IBAN look like more groups of it, so every end of a group is tried, the last one first.
        ends = [group.end() for group in _IBAN_GROUP.finditer(text, body.start(), body.end())]
        if body.end() < len(text) and _IBAN_GROUP.match(text, body.end()):
            ends.pop()
        for end in reversed(ends):
            if iban.is_valid(re.sub(r"[\u00a0\u202f]", " ", text[start.start() : end])):
                yield start.start(), end
                position = end
                break


_CARD_RUN = re.compile(r"(?<![\w.])\d+(?:[ \u00a0\u202f-]\d+)*(?![\w]|\.\d)", re.ASCII)
_CARD_GROUPS = frozenset({(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (6, 13)})
"""How cards print their numbers: most in fours, American Express 4-6-5, Diners Club 4-6-4, UnionPay also 6-13."""

_CARD_NETWORKS = (
    (re.compile(r"4"), (13, 16, 19)),  # Visa
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),  # Mastercard
    (re.compile(r"3[47]"), (15,)),  # American Express
    (re.compile(r"30[0-5]|3[689]"), (14, 16, 19)),  # Diners Club
    (re.compile(r"352[89]|35[3-8]"), (16, 17, 18, 19)),  # JCB
    (re.compile(r"6011|64[4-9]|65|60|8[12]|508"), (16, 19)),  # Discover, RuPay
    (re.compile(r"62"), (16, 17, 18, 19)),  # UnionPay
    (re.compile(r"5018|5020|5038|5893|6304|6759|676[1-3]"), (13, 14, 15, 16, 17, 18, 19)),  # Maestro
    (re.compile(r"220[0-4]"), (16, 17, 18, 19)),  # Mir
    (re.compile(r"50[4-9]|438935|45763|627780|636297|636368"), (16,)),  # Elo
)
"""First digits and lengths (https://en.wikipedia.org/wiki/Payment_card_number, read 2026-11-30). Without them, a tenth
of all order numbers would pass the checksum."""


def _find_cards(text: str, _: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    for run in _CARD_RUN.finditer(text):
        if run.end() - run.start() < 13:
            continue
        groups = [(group.start(), group.end()) for group in re.finditer(r"[0-9]+", run[0])]
        first = 0
        while first < len(groups):
            count = _count_card_groups(run[0], groups[first : first + 5])
            if count:
                yield run.start() + groups[first][0], run.start() + groups[first + count - 1][1]
            first += count or 1


def _count_card_groups(run: str, groups: list[tuple[int, int]]) -> int:
    """Return how many of the first groups are a card number; 0 if none are."""
    for count in range(len(groups), 0, -1):
        lengths = tuple(end - start for start, end in groups[:count])
        separators = {run[end] for _, end in groups[: count - 1]}
        if (count == 1 or lengths in _CARD_GROUPS) and len(separators) <= 1:
            digits = "".join(run[start:end] for start, end in groups[:count])
            is_card = any(len(digits) in sizes and prefix.match(digits) for prefix, sizes in _CARD_NETWORKS)
            if is_card and _load("stdnum.luhn").is_valid(digits):
                return count
    return 0


# IP addresses. Those that belong to no machine in particular (loopback, unspecified, multicast, masks) stay.

_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\w)", re.ASCII)
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{2,39}(?:(?<=:)\d{1,3}(?:\.\d{1,3}){3})?(?![\w:]|\.\w)", re.ASCII)
_VERSION = re.compile(
    r"(?:\b(?:v|ver|version|versión|versão|release|build)[.:]? ?|[A-Za-z]-|==|[~^]|バージョン ?)\Z", re.IGNORECASE
)
"""What stands before a version in four parts. Elsewhere such a version cannot be told from an address."""


def _find_addresses(text: str, _: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    candidates = [(match.start(), match.end()) for match in _IPV4.finditer(text) if not _follows_version(text, match)]
    for match in _IPV6.finditer(text):
        digits = match[0][:-1] if match[0].endswith(":") and not match[0].endswith("::") else match[0]
        # Without a digit it is a name in code (`Face::Add`), and with few characters a slice (`names[1::2]`).
        if digits.count(":") > 1 and re.search(r"\d", digits) and len(digits.replace(":", "")) > 4:
            candidates.append((match.start(), match.start() + len(digits)))
    yield from drop_overlaps((start, end) for start, end in candidates if _is_machine(text[start:end]))


def _is_machine(digits: str) -> bool:
    try:
        address = ipaddress.ip_address(digits)
    except ValueError:
        return False
    is_mask = address.version == 4 and address.is_reserved
    return not (address.is_loopback or address.is_unspecified or address.is_multicast or is_mask)


def _follows_version(text: str, match: re.Match[str]) -> bool:
    return _VERSION.search(text[max(0, match.start() - 12) : match.start()]) is not None


# Phone numbers: libphonenumber decides; what is glued to a word, a file name or a decimal is part of that.

_BEFORE_NATIONAL = re.compile(r"(?:\w[-_]?|#|\d[.:]|[A-Za-z]/)\Z", re.ASCII)
_AFTER_NATIONAL = re.compile(r"[-_]?\w|\.\d|/[A-Za-z]", re.ASCII)
_NO_NATIONAL = re.compile(
    r"(?:19|20)\d\d([-./])\d{1,2}\1\d{1,4}(?!\d)"  # a date or an order number by year
    r"|\d{1,2}([-./])\d{1,2}\2(?:19|20)\d\d(?!\d)"
    r"|-?(?:\d{1,2}\.\d+|\d{9,}\.\d+|\d+\.\d{1,2})\Z"  # a decimal
    r"|.*(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![.\d])"  # addresses that belong to no machine in particular
)
_NEXT_NUMBER = re.compile(r"(?<=\d)[ \u00a0](?=[0(]\d|\+\d)", re.ASCII)
_SENTENCE_END = re.compile(r"\.\s+")
_BEFORE_INTERNATIONAL = re.compile(r"\w\Z", re.ASCII)


def _find_phones(text: str, regions: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    if not re.search(r"\d", text):
        return
    spans = list(drop_overlaps(_match_phones(text, (0, len(text)), regions)))
    # The matcher takes two numbers that a blank parts for one that is too long, so what is left is read in parts.
    edges = [0, *(edge for span in spans for edge in span), len(text)]
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        cuts = [start, *(cut.end() for cut in _NEXT_NUMBER.finditer(text, start, end)), end]
        if len(cuts) > 2:
            parts = pairwise(cuts)
            spans += [span for part in parts for span in _match_phones(text, part, regions)]
    yield from drop_overlaps(spans)


def _match_phones(text: str, part: tuple[int, int], regions: tuple[str, ...]) -> list[tuple[int, int]]:
    start, end = part
    phonenumbers = _load("phonenumbers")
    spans: list[tuple[int, int]] = []
    for region in regions or (None,):
        # By default the matcher gives up after 65,535 candidates; a long document may hold more.
        for match in phonenumbers.PhoneNumberMatcher(
            text[start:end], region, leniency=phonenumbers.Leniency.VALID, max_tries=end - start
        ):
            span = (start + match.start, start + match.end)
            # Where numbers have no fixed length, the matcher takes the first digits of the next sentence along.
            sentence_end = _SENTENCE_END.search(text, *span)
            before = _match_phones(text, (span[0], sentence_end.start()), regions) if sentence_end else []
            if before and sentence_end:
                spans += before + _match_phones(text, (sentence_end.end(), span[1]), regions)
            elif _stands_alone(text, *span):
                spans.append(span)
    return spans


def _stands_alone(text: str, start: int, end: int) -> bool:
    before = text[max(0, start - 2) : start]
    if text[start] in "+＋":
        return not _BEFORE_INTERNATIONAL.search(before)
    is_glued = _BEFORE_NATIONAL.search(before) or _AFTER_NATIONAL.match(text, end)
    return not is_glued and not _NO_NATIONAL.match(text, start, end)


_FINDERS: dict[Kind, _Finder] = {
    "secret": lambda text, _: find_secrets(text),
    "email": _find_emails,
    "iban": _find_ibans,
    "card": _find_cards,
    "ip": _find_addresses,
    "phone": _find_phones,
}
