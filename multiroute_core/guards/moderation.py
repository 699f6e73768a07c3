"""Content moderation: blocks or flags what a classifier names, such as OpenAI's moderation endpoint.

How this works: a long text is classified in pieces. A conversation is sent again with every turn, so the guard keeps
what it has found for the texts that it has seen, by their digests; it never keeps a text.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import inspect
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, Literal, TypeAlias, cast

from multiroute_core._util.redaction import Secret, redact_url
from multiroute_core._util.surrogates import replace_surrogates
from multiroute_core.display.text import describe_value
from multiroute_core.errors import ConfigurationError, unknown
from multiroute_core.guards.guard import TIMEOUT_SECONDS, Block, Check, Flag, Guard, GuardedText, Origin, Verdict
from multiroute_core.guards.identity import identify_function, is_async_function
from multiroute_core.guards.suspicion import split_text
from multiroute_core.runtime import forks

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

CLIENT_SECONDS = 30.0
"""Timeout of one request to the endpoint, so that the thread of a check that took too long ends soon."""

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
        ConfigurationError: The package `openai` or the key is missing, or a threshold is invalid. Also if it is pickled
            with a client.

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
        if thresholds is not None and not isinstance(thresholds, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                f"thresholds={describe_value(thresholds)} is not valid; expected scores by category, such as "
                "{'violence': 0.8}."
            )
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
        if client is None and base_url is None:  # other servers may have other categories
            _check_categories(self._thresholds)

    def __reduce__(self) -> tuple[Any, ...]:
        if self._given_client is not None:
            raise ConfigurationError(
                "OpenAIModeration holds a client of yours, so it cannot be pickled; pass api_key= or set "
                "OPENAI_API_KEY instead, or build the router in the process that uses it."
            )
        # Without the key: as with routes, a copy takes that of its own environment.
        return _rebuild, (self._base_url, self.model, self._thresholds)

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
        pieces = [*split_text(replace_surrogates(text), PIECE_CHARACTERS)]
        response = self._client.moderations.create(model=self.model, input=pieces)
        if len(response.results) != len(pieces):
            raise ValueError("The moderation endpoint did not judge every piece of the text.")
        categories: dict[str, None] = {}
        for result in response.results:
            verdicts = result.categories.model_dump(by_alias=True)
            scores = result.category_scores.model_dump(by_alias=True)
            for category, is_flagged in verdicts.items():
                threshold = self._thresholds.get(category)
                counts = is_flagged if threshold is None else (scores.get(category) or 0.0) >= threshold
                if counts:
                    categories[category] = None
            if result.flagged and not any(verdicts.values()):  # by a category that the server does not name
                categories["harmful content"] = None
        return tuple(categories)

    def _build_client(self) -> Any:
        try:
            openai: Any = importlib.import_module("openai")
        except ImportError as error:
            raise ConfigurationError(
                "OpenAIModeration needs the package openai; install it with: pip install 'multiroute-llm[openai]'."
            ) from error
        client = openai.OpenAI(api_key=self._api_key, base_url=self._base_url, timeout=CLIENT_SECONDS)
        weakref.finalize(self, client.close)
        return client


def _rebuild(base_url: str | None, model: str, thresholds: Mapping[str, float]) -> OpenAIModeration:
    return OpenAIModeration(base_url=base_url, model=model, thresholds=thresholds)


def _check_categories(thresholds: Mapping[str, float]) -> None:
    """Check that the categories are those of the endpoint: a threshold of another one would never count."""
    if thresholds:
        fields = importlib.import_module("openai.types.moderation").Categories.model_fields
        names = [field.alias or name for name, field in fields.items()]
        for category in thresholds:
            if category not in names:
                raise unknown("category", category, names)


class _Moderator:
    """A classifier, and what it has found in the texts that it has seen.

    Args:
        classifier: The classifier.
    """

    def __init__(self, classifier: Classifier) -> None:
        self.classifier: Any = classifier
        self._lock = threading.Lock()
        self._findings: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()
        forks.renew(self, _lock=threading.Lock)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Moderator, (self.classifier,)

    @property
    def identity(self) -> str:
        """See `identify_function`."""
        return identify_function(self.classifier)

    def recall(self, text: GuardedText) -> tuple[str, ...] | None:
        """Return the categories of a text that was seen before; None if it was not."""
        if not text.text.strip():
            return ()
        digest = _digest(text.text)
        with self._lock:
            if digest in self._findings:
                self._findings.move_to_end(digest)
            return self._findings.get(digest)

    def record(self, text: GuardedText, result: Categories) -> tuple[str, ...]:
        """Return the names of the categories, and keep them unless the text is a piece of a stream, seen only once."""
        names = _to_names(result)
        if not text.is_complete or text.before:
            return names
        digest = _digest(text.text)
        with self._lock:
            self._findings[digest] = names
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
        return tuple(name for name, score in scores.items() if score is True or (score or 0.0) >= _SCORE)
    return tuple(map(str, result))


def _moderate(moderator: _Moderator, action: str, text: GuardedText) -> Verdict | Awaitable[Verdict | None] | None:
    names = moderator.recall(text)
    if names is None:
        result = moderator.classifier(text.text)
        if inspect.isawaitable(result):  # a function that is not async itself, such as a lambda
            return _judge_later(moderator, action, text, cast("Awaitable[Categories]", result))
        names = moderator.record(text, result)
    return _judge(names, action)


async def _moderate_async(moderator: _Moderator, action: str, text: GuardedText) -> Verdict | None:
    names = moderator.recall(text)
    if names is None:
        return await _judge_later(moderator, action, text, moderator.classifier(text.text))
    return _judge(names, action)


async def _judge_later(
    moderator: _Moderator, action: str, text: GuardedText, result: Awaitable[Categories]
) -> Verdict | None:
    return _judge(moderator.record(text, await result), action)


def _judge(names: tuple[str, ...], action: str) -> Verdict | None:
    if not names:
        return None
    reason = f"moderation: {', '.join(names)}"
    return Block(reason) if action == "block" else Flag(reason)
