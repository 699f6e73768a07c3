"""Output filters: banned texts, a leaked system prompt, leaked secrets, and answers that do not match a schema."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Literal, cast

from multiroute_core._util.redaction import Secret
from multiroute_core.display.text import describe_value
from multiroute_core.errors import ConfigurationError
from multiroute_core.guards.acceptance import SchemaMatcher, matches_schema
from multiroute_core.guards.guard import Block, Guard, GuardedText, Origin, Rewrite, Verdict
from multiroute_core.guards.secret_formats import ENDINGS, drop_overlaps, find_secrets

ANSWER: frozenset[Origin] = frozenset({"answer"})

LEAK_WORDS = 12
"""Words of the system prompt in a row that count as a leak."""

_FEWEST_WORDS = 4
"""Fewer words of a system prompt are too common to be a leak."""


def ban_text(
    texts: str | Iterable[str],
    *,
    origins: Collection[Origin] = ANSWER,
    replacement: str | None = None,
    whole_words: bool = True,
) -> Guard:
    """Return a guard that blocks, or replaces, texts regardless of case and of the blanks between their words.

    Args:
        texts: The banned texts.
        origins: Where they are banned; in answers by default.
        replacement: What stands in place of a banned text; None blocks instead.
        whole_words: False finds them within words as well.

    Raises:
        ConfigurationError: There is no text, or one is empty.

    Example:
        >>> ban_text(["project nightingale"]).window
        39
    """
    banned = (texts,) if isinstance(texts, str) else tuple(texts)
    if not banned or not all(isinstance(text, str) and text.split() for text in banned):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("ban_text needs at least one text, and none of them empty.")
    words = [r"\s{1,20}".join(map(re.escape, text.split())) for text in sorted(banned, key=len, reverse=True)]
    edge_before, edge_after = (r"(?<!\w)", r"(?!\w)") if whole_words else ("", "")
    pattern = re.compile(f"{edge_before}(?:{'|'.join(words)}){edge_after}", re.IGNORECASE)
    longest = max(len("".join(text.split())) + 20 * (len(text.split()) - 1) for text in banned)
    window = longest + 1  # one more character, which shows whether a word goes on
    check = functools.partial(_ban, pattern, replacement, window)
    return Guard(check, "banned_text", frozenset(origins), window=window, inline=True)


def _ban(pattern: re.Pattern[str], replacement: str | None, window: int, text: GuardedText) -> Verdict | None:
    said = text.before + text.text
    # At the end of what has come, a word may go on.
    end = len(said) if text.is_complete else len(said) - 1
    matches = [match.span() for match in pattern.finditer(said, len(text.before)) if match.end() <= end]
    if not matches:
        return None
    if replacement is None:
        return Block("a banned text")
    if not text.is_complete:
        # What is held back waits: a longer text may begin with it.
        matches = [match for match in matches if match[0] < len(said) - window]
    pieces: list[str] = []
    start = len(text.before)
    for first, last in matches:
        pieces += [said[start:first], replacement]
        start = last
    return Rewrite("".join([*pieces, said[start:]]), "a banned text")


def block_prompt_leaks(*, words: int = LEAK_WORDS) -> Guard:
    """Return a guard that blocks an answer with so many words in a row of the system prompt.

    Punctuation and case do not count. A system prompt with fewer words is compared as a whole, if it has at least four.

    Args:
        words: How many words in a row count as a leak; 12 by default.

    Example:
        >>> from multiroute_core import Router
        >>> Router(routes, guards=[block_prompt_leaks()])  # doctest: +SKIP
    """
    if isinstance(words, bool) or not isinstance(words, int) or words < _FEWEST_WORDS:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"words={words!r} is not valid; expected a whole number of at least {_FEWEST_WORDS}.")
    check = functools.partial(_find_leak, words)
    return Guard(check, "leaked_system_prompt", ANSWER, window=words * 16, inline=True)


def _find_leak(words: int, text: GuardedText) -> Verdict | None:
    runs = _runs_of(text.instructions, words)
    if not runs:
        return None
    size = len(next(iter(runs)))
    said = _WORD.findall((text.before + text.text).lower())
    leaks = any(tuple(said[start : start + size]) in runs for start in range(len(said) - size + 1))
    return Block("a part of the system prompt") if leaks else None


_WORD = re.compile(r"\w+")


@functools.lru_cache(maxsize=16)
def _runs_of(instructions: str, words: int) -> frozenset[tuple[str, ...]]:
    """Return all runs of so many words of a system prompt, which is the same for many answers."""
    secret = _WORD.findall(instructions.lower())
    size = min(words, len(secret))
    if size < _FEWEST_WORDS:
        return frozenset()
    return frozenset(tuple(secret[start : start + size]) for start in range(len(secret) - size + 1))


def block_secrets(
    values: Iterable[str] = (),
    *,
    action: Literal["block", "redact"] = "block",
    origins: Collection[Origin] = ANSWER,
) -> Guard:
    """Return a guard that blocks, or redacts, keys and passwords in an answer.

    It knows the formats of many vendors' keys, private keys, JSON Web Tokens, and passwords in URLs, as
    `find_personal_data` does, and the values that you give it.

    Args:
        values: Your own secrets, such as `[os.environ["DB_PASSWORD"]]`; each of at least eight characters.
        action: `"block"` ends the request; `"redact"` puts `[secret]` in its place, but blocks in a streamed tool call.
        origins: Where they are looked for; in answers by default.

    Raises:
        ConfigurationError: A value is too short, or `action` is unknown. Also if a guard with values is pickled.

    Example:
        >>> from multiroute_core import Router
        >>> Router(routes, guards=[block_secrets([os.environ["DB_PASSWORD"]])])  # doctest: +SKIP
    """
    if action not in ("block", "redact"):
        raise ConfigurationError(f"action={describe_value(action)} is not valid; expected 'block' or 'redact'.")
    known = (values,) if isinstance(values, str) or not isinstance(values, Iterable) else tuple(values)  # pyright: ignore[reportUnnecessaryIsInstance]
    if not all(isinstance(value, str) and len(value) >= _SHORTEST_VALUE for value in known):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            f"block_secrets: one of the values is not a text of at least {_SHORTEST_VALUE} characters."
        )
    secrets = _KnownSecrets(known)
    window = max(SECRET_WINDOW, secrets.longest + 1)
    check = functools.partial(_find_secrets, secrets, action, window)
    return Guard(check, "secrets", frozenset(origins), window=window, inline=True)


SECRET_WINDOW = 256
"""Characters of a stream that are held back: most keys are shorter."""

_SHORTEST_VALUE = 8

_OPEN_SECRET = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY.*|\beyJ[\w-]{10,500}\.eyJ[\w-]{10,}", re.ASCII | re.DOTALL
)
"""The beginning of a secret that may be longer than the window, without its end: a private key, or a JSON Web Token."""


class _KnownSecrets:
    """Secrets of the user; neither its repr nor its identity shows them."""

    def __init__(self, values: Iterable[str]) -> None:
        self._values = tuple(map(Secret, values))
        # In a streamed tool call a value is escaped.
        escaped = [json.dumps(value, ensure_ascii=plain)[1:-1] for value in self._values for plain in (True, False)]
        self._forms = tuple(dict.fromkeys([*self._values, *map(Secret, escaped)]))

    @property
    def longest(self) -> int:
        """The most characters of a value, also in JSON."""
        return max(map(len, self._forms), default=0)

    def __repr__(self) -> str:
        return f"<{len(self._values)} secrets>"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._values:
            raise ConfigurationError(
                "block_secrets holds your secrets, so it cannot be pickled; build the router in the process that uses "
                "it."
            )
        return _KnownSecrets, ((),)

    @property
    def identity(self) -> str:
        """See `identify_function`."""
        digests = [hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:16] for value in self._values]
        return f"secrets {sorted(digests)}"

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where they stand in a text."""
        for value in self._forms:
            start = text.find(value)
            while start >= 0:
                yield start, start + len(value)
                start = text.find(value, start + len(value))


def _find_secrets(known: _KnownSecrets, action: str, window: int, text: GuardedText) -> Verdict | None:
    whole = text.before + text.text
    spans = [*known.find(whole), *find_secrets(whole)]
    starts = {start for start, _ in spans}
    spans += [match.span() for match in _OPEN_SECRET.finditer(whole) if match.start() not in starts]
    spans = [(start, end) for start, end in drop_overlaps(spans) if end > len(text.before)]
    if not spans:
        return None
    if action == "block":
        return Block("a secret")
    if not text.can_rewrite:
        return Block("a secret in a streamed tool call, where it cannot be redacted")
    pieces: list[str] = []
    position = len(text.before)
    for start, end in spans:
        if not text.is_complete:
            if start >= len(whole) - window:
                break  # It is held back, so it waits: a longer secret may begin with it.
            if not whole[end:].strip(ENDINGS):
                return Block("a secret that is too long to be redacted in a stream")
        pieces += [whole[position : max(start, position)], "[secret]"]
        position = end
    return Rewrite("".join([*pieces, whole[position:]]), "a secret") if pieces else None


def require_schema(schema: Mapping[str, Any]) -> Guard:
    """Return a guard that blocks an answer whose text is not JSON that matches a schema.

    Reasoning and tool calls may pass. A streamed answer is held back as a whole. To ask the next route instead, use
    `accept=`.

    Args:
        schema: A JSON schema. It needs the package `jsonschema`.

    Raises:
        ConfigurationError: The schema is invalid, or `jsonschema` is not installed.

    Example:
        >>> require_schema({"type": "object", "required": ["city"]}).name
        'schema'
    """
    if not isinstance(schema, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"schema={describe_value(schema)} is not valid; expected a JSON schema.")
    matcher = cast("SchemaMatcher", matches_schema(schema).function)
    return Guard(functools.partial(_check_schema, matcher), "schema", ANSWER, inline=True)


def _check_schema(matcher: SchemaMatcher, text: GuardedText) -> Verdict | None:
    if text.part != "text":
        return None
    result = matcher.match(text.text)
    return None if result is True else Block(str(result))
