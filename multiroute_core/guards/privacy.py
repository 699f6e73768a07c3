"""Guards for personal data: mask it reversibly, or let only some routes see it."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Sequence

from multiroute_core.errors import ConfigurationError
from multiroute_core.guards.finder import FINDER_SECONDS, Finder, check_finder, find_all
from multiroute_core.guards.guard import INPUT, TIMEOUT_SECONDS, Guard, GuardedText, Origin, Restrict, Verdict
from multiroute_core.guards.masking import Masks
from multiroute_core.guards.personal_data import ALL, Kind, check_settings


def mask_personal_data(
    kinds: Collection[Kind] = ALL,
    *,
    regions: Collection[str] = (),
    origins: Collection[Origin] = INPUT,
    finder: Finder | None = None,
) -> Guard:
    """Return a guard that replaces personal data and secrets by placeholders, and restores them in the answer.

    The model, the cache, the hooks and the ledger see placeholders such as `[EMAIL_1]` only; the caller sees the
    values, in streams and in the arguments of tool calls too. Two requests that differ in the values alone share a
    cached answer, and each gets its own values back.

    Args:
        kinds: What to mask: `"email"`, `"phone"`, `"iban"`, `"card"`, `"ip"`, `"secret"`; everything by default.
        regions: ISO 3166-1 codes of the countries whose phone numbers are masked in their national form too.
        origins: The texts in which it masks; all of the request by default.
        finder: Finds further kinds, such as the names that a `PresidioFinder` finds; it runs in a thread, for at most
            30 seconds for each text.

    Raises:
        ConfigurationError: A kind or a region is unknown, the finder is invalid, or a package of the extra `guards` is
            missing.

    Example:
        >>> from multiroute_core import Router
        >>> Router(routes, guards=[mask_personal_data(regions=["DE"])])  # doctest: +SKIP
    """
    check_finder(finder)
    masking = functools.partial(_build_masks, *check_settings(kinds, regions), finder)
    timeout = TIMEOUT_SECONDS if finder is None else FINDER_SECONDS
    return Guard(None, "mask_personal_data", origins, masking=masking, inline=finder is None, timeout=timeout)


def _build_masks(
    kinds: tuple[Kind, ...], regions: tuple[str, ...], finder: Finder | None, texts: Sequence[str]
) -> Masks:
    return Masks(texts, kinds=kinds, regions=regions, finder=finder)


def restrict_personal_data(
    tags: str | Iterable[str],
    kinds: Collection[Kind] = ALL,
    *,
    regions: Collection[str] = (),
    origins: Collection[Origin] = INPUT,
    finder: Finder | None = None,
) -> Guard:
    """Return a guard that lets only routes with one of the tags see a request with personal data.

    Args:
        tags: Tags of `Route(tags=...)`, such as `"eu"` or `"local"`.
        kinds: As of `mask_personal_data`.
        regions: As of `mask_personal_data`.
        origins: The texts in which it looks; all of the request by default.
        finder: As of `mask_personal_data`.

    Raises:
        ConfigurationError: There is no tag, a kind or a region is unknown, or a package of the extra `guards` is
            missing.

    Example:
        >>> from multiroute_core import Route, Router
        >>> home = Route("openai:llama", base_url="http://10.0.0.5/v1", tags=["local"])  # doctest: +SKIP
        >>> Router([cloud, home], guards=[restrict_personal_data("local")])  # doctest: +SKIP
    """
    settings = check_settings(kinds, regions)
    allowed = (tags,) if isinstance(tags, str) else tuple(sorted(set(tags)))
    if not allowed:
        raise ConfigurationError("restrict_personal_data needs at least one tag, such as 'eu'.")
    check_finder(finder)
    check = functools.partial(_restrict, allowed, *settings, finder)
    timeout = TIMEOUT_SECONDS if finder is None else FINDER_SECONDS
    return Guard(check, "restrict_personal_data", origins, inline=finder is None, timeout=timeout)


def _restrict(
    tags: tuple[str, ...],
    kinds: tuple[Kind, ...],
    regions: tuple[str, ...],
    finder: Finder | None,
    text: GuardedText,
) -> Verdict | None:
    spans = find_all(text.text, kinds, regions, finder)
    if not spans:
        return None
    return Restrict(tags, "it holds personal data: " + ", ".join(sorted({span.kind for span in spans})))
