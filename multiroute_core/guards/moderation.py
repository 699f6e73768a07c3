"""Content moderation: blocks or flags what a classifier names, such as OpenAI's moderation endpoint.

How this works: a long text is classified in pieces. A conversation is sent again with every turn, so the guard keeps
what it has found for the texts that it has seen, by their digests; it never keeps a text.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, Literal, TypeAlias, cast

from multiroute_core._util.redaction import Secret, redact_url
from multiroute_core.display.text import describe_value
from multiroute_core.errors import ConfigurationError
from multiroute_core.guards.guard import TIMEOUT_SECONDS, Block, Check, Flag, Guard, GuardedText, Origin, Verdict
from multiroute_core.guards.identity import identify_function, is_async_function
from multiroute_core.guards.suspicion import split_text

Categories: TypeAlias = bool | str | Iterable[str] | Mapping[str, bool | float] | None
"""What a classifier finds: True, the name of a category, several names, or a mapping of categories to True or to a
score from 0 to 1, of which 0.5 and more counts. None, False and what is empty mean nothing."""

Classifier: TypeAlias = Callable[[str], Categories | Awaitable[Categories]]
"""Takes a text and returns the categories of harmful content in it. Sync or async."""

PIECE_CHARACTERS = 2_000
"""OpenAI's guide advises pieces of less than 2,000 characters: https://platform.openai.com/docs/guides/moderation
(2026-11-30)."""

REMEMBERED_TEXTS = 4_096
"""So many texts are not classified again."""

_SCORE = 0.5


def moderate(
    classifier: Classifier | None = None,
    *,
    action: Literal["block", "flag"] = "block",
    origins: Collection[Origin] = ("user", "answer"),
    on_error: Literal["block", "pass"] = "block",
    timeout: float = TIMEOUT_SECONDS,
    window: int | None = None,
) -> Guard:
    """Return a guard that blocks or flags harmful content.

    Args:
        classifier: A function that takes a text and returns its categories, sync or async; OpenAI's moderation endpoint
            by default, see `OpenAIModeration`.
        action: `"block"` ends the request; `"flag"` sends an event only.
        origins: The texts that it checks; the user's and the answer by default.
        on_error: As of `Guard`.
        timeout: Seconds for one check; 5 by default.
        window: As of `Guard`: None, the default, holds back a streamed answer until it was checked as a whole. Any
            number makes the classifier run for every piece of a stream.

    Raises:
        ConfigurationError: A value is invalid, or OpenAI's package or key is missing.

    Example:
        >>> from multiroute_core import Router
        >>> Router(routes, guards=[moderate()])  # doctest: +SKIP
        >>> moderate(lambda text: "insult" if "dunce" in text else None).name
        'moderate'
    """
    if action not in ("block", "flag"):
        raise ConfigurationError(f"action={describe_value(action)} is not valid; expected 'block' or 'flag'.")
    if classifier is None:
        classifier = OpenAIModeration()
    if not callable(classifier):
        raise ConfigurationError(
            f"classifier={describe_value(classifier)} is not valid; expected a function that takes a text."
        )
    function = _moderate_async if is_async_function(classifier) else _moderate
    check = cast("Check", functools.partial(function, _Moderator(classifier), action))
    return Guard(check, "moderate", origins, on_error=on_error, timeout=timeout, window=window)


class OpenAIModeration:
    """Classifies texts by OpenAI's moderation endpoint, which is free of charge.

    Args:
        api_key: The API key; by default that in `OPENAI_API_KEY`.
        base_url: The address; OpenAI's by default.
        model: The moderation model; `"omni-moderation-latest"` by default.
        thresholds: The least score (0 to 1) of a category that counts, by category, such as `{"violence": 0.8}`; the
            vendor's own judgement counts for the others.
        client: An `openai.OpenAI` to use instead; `api_key` and `base_url` do not count then.

    Raises:
        ConfigurationError: The package `openai` or the key is missing, or a threshold is invalid.

    Example:
        >>> from multiroute_core.guards import moderate
        >>> moderate(OpenAIModeration(thresholds={"violence": 0.9}))  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        model: str = "omni-moderation-latest",
        thresholds: Mapping[str, float] | None = None,
        client: Any = None,
    ) -> None:
        for category, score in (thresholds or {}).items():
            if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ConfigurationError(f"thresholds: {category}={score!r} is not valid; expected a score, 0 to 1.")
        key = api_key or os.environ.get("OPENAI_API_KEY")
        if client is None and not key:
            raise ConfigurationError(
                "OpenAIModeration has no API key; set OPENAI_API_KEY, or pass api_key= or another classifier."
            )
        self.model = model
        self._api_key = Secret(key) if key and client is None else None
        self._base_url = base_url
        self._thresholds = dict(thresholds or {})
        self._given_client = client
        self._client: Any = client or self._build_client()
        self._process_id = os.getpid()

    def __reduce__(self) -> tuple[Any, ...]:
        # Without the key: as with routes, a copy takes that of its own environment.
        return _rebuild, (self._base_url, self.model, self._thresholds, self._given_client)

    def __repr__(self) -> str:
        return f"OpenAIModeration(model={self.model!r})"

    @property
    def identity(self) -> str:
        """See `identify_function`."""
        return f"moderation {self.model} {redact_url(self._base_url or '')} {sorted(self._thresholds.items())}"

    def __call__(self, text: str) -> tuple[str, ...]:
        """Return the categories of a text."""
        if self._given_client is None and self._process_id != os.getpid():
            # The connections of a parent process are not for its child.
            self._client = self._build_client()
            self._process_id = os.getpid()
        response = self._client.moderations.create(model=self.model, input=[*split_text(text, PIECE_CHARACTERS)])
        categories: dict[str, None] = {}
        for result in response.results:
            verdicts = result.categories.model_dump(by_alias=True)
            scores = result.category_scores.model_dump(by_alias=True)
            for category, is_flagged in verdicts.items():
                threshold = self._thresholds.get(category)
                counts = is_flagged if threshold is None else (scores.get(category) or 0.0) >= threshold
                if counts:
                    categories[category] = None
        return tuple(categories)

    def _build_client(self) -> Any:
        try:
            openai: Any = importlib.import_module("openai")
        except ImportError as error:
            raise ConfigurationError(
                "OpenAIModeration needs the package openai; install it with: pip install 'multiroute-llm[openai]'."
            ) from error
        client = openai.OpenAI(api_key=self._api_key, base_url=self._base_url)
        weakref.finalize(self, client.close)
        return client


def _rebuild(base_url: str | None, model: str, thresholds: Mapping[str, float], client: Any) -> OpenAIModeration:
    return OpenAIModeration(base_url=base_url, model=model, thresholds=thresholds, client=client)


class _Moderator:
    """A classifier, and what it has found in the texts that it has seen.

    Args:
        classifier: The classifier.
    """

    def __init__(self, classifier: Classifier) -> None:
        self.classifier: Any = classifier
        self._lock = threading.Lock()
        self._findings: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()

    def __reduce__(self) -> tuple[Any, ...]:
        return _Moderator, (self.classifier,)

    @property
    def identity(self) -> str:
        """See `identify_function`."""
        return identify_function(self.classifier)

    def recall(self, text: str) -> tuple[str, ...] | None:
        """Return the categories of a text that was seen before; None if it was not."""
        if not text.strip():
            return ()
        with self._lock:
            digest = _digest(text)
            if digest in self._findings:
                self._findings.move_to_end(digest)
            return self._findings.get(digest)

    def record(self, text: str, result: Categories) -> tuple[str, ...]:
        """Return the names of the categories, and keep them."""
        names = _to_names(result)
        with self._lock:
            self._findings[_digest(text)] = names
            if len(self._findings) > REMEMBERED_TEXTS:
                self._findings.popitem(last=False)
        return names


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _to_names(result: Categories) -> tuple[str, ...]:
    if result is None or isinstance(result, bool):
        return ("harmful content",) if result else ()
    if isinstance(result, str):
        return (result,) if result else ()
    if isinstance(result, Mapping):
        scores = cast("Mapping[str, bool | float]", result)
        return tuple(name for name, score in scores.items() if score is True or score >= _SCORE)
    return tuple(map(str, result))


def _moderate(moderator: _Moderator, action: str, text: GuardedText) -> Verdict | None:
    names = moderator.recall(text.text)
    if names is None:
        names = moderator.record(text.text, moderator.classifier(text.text))
    return _judge(names, action)


async def _moderate_async(moderator: _Moderator, action: str, text: GuardedText) -> Verdict | None:
    names = moderator.recall(text.text)
    if names is None:
        names = moderator.record(text.text, await moderator.classifier(text.text))
    return _judge(names, action)


def _judge(names: tuple[str, ...], action: str) -> Verdict | None:
    if not names:
        return None
    reason = f"moderation: {', '.join(names)}"
    return Block(reason) if action == "block" else Flag(reason)
