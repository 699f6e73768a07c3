"""Results of a batch: responses and errors in the order of the prompts."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, overload

from multiroute_core.batch.progress import BatchProgress, describe_cost, duration
from multiroute_core.display import numbers
from multiroute_core.display.blocks import Table
from multiroute_core.display.displayable import Displayable
from multiroute_core.errors import ConfigurationError
from multiroute_core.report import formats
from multiroute_core.types import Response

SHOWN_ROWS = 10
"""Rows of a result's own display."""

SHOWN_CHARACTERS = 60
"""Characters of a response or an error in a table."""

_COLUMNS = (
    *("text", "finish_reason", "route", "model", "input_tokens", "output_tokens"),
    *("cost", "saved_cost", "cached", "seconds", "error"),
)


class BatchResults(Displayable, Sequence[Response | Exception]):
    """The responses and errors of a batch, in the order of its prompts: a sequence that prints as a table.

    An entry is the `Response`, or the exception that `generate` would have raised. A slice is a `BatchResults` again.

    Attributes:
        progress: The counts of the whole batch: prompts, failures, cache hits, cost in USD, seconds.

    Example:
        >>> results = router.map(["Red?", "Blue?"])  # doctest: +SKIP
        >>> results[0].text  # doctest: +SKIP
        'Yes.'
        >>> results.texts, results.cost, results.errors  # doctest: +SKIP
        (['Yes.', None], 0.0021, {1: RateLimitError(...)})
    """

    __slots__ = ("_entries", "_first", "_shown", "progress")

    def __init__(
        self,
        entries: Sequence[Response | Exception],
        progress: BatchProgress,
        *,
        first: int = 0,
        shown: int | None = SHOWN_ROWS,
    ) -> None:
        self._entries = entries
        self._first = first
        self._shown = shown
        self.progress = progress

    @overload
    def __getitem__(self, index: int) -> Response | Exception: ...
    @overload
    def __getitem__(self, index: slice) -> BatchResults: ...
    def __getitem__(self, index: int | slice) -> Response | Exception | BatchResults:
        if not isinstance(index, slice):
            return self._entries[index]
        start, _, step = index.indices(len(self._entries))
        if step != 1:
            raise ConfigurationError(
                f"A step of {step} in a slice of results is not supported; use list(results)[...]."
            )
        return BatchResults(self._entries[index], self.progress, first=self._first + start)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def responses(self) -> list[Response]:
        """The responses, without the errors, in the order of their prompts."""
        return [entry for entry in self._entries if isinstance(entry, Response)]

    @property
    def errors(self) -> dict[int, Exception]:
        """The errors by the index of their prompt, counted from 0."""
        return {
            number: entry for number, entry in enumerate(self._entries, self._first) if not isinstance(entry, Response)
        }

    @property
    def texts(self) -> list[str | None]:
        """The text of each response; None in the place of an error."""
        return [entry.text if isinstance(entry, Response) else None for entry in self._entries]

    @property
    def cost(self) -> float | None:
        """The cost of the responses in USD; None if the cost of one of them is unknown, never a guess."""
        costs = [response.cost for response in self.responses]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) else None

    def raise_first(self) -> BatchResults:
        """Raise the first error, if there is one; return these results otherwise.

        Raises:
            Exception: The first error, in the order of the prompts.

        Example:
            >>> texts = router.map(prompts).raise_first().texts  # doctest: +SKIP
        """
        for error in self.errors.values():
            raise error
        return self

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one dictionary of plain values for each prompt.

        `cost` and `saved_cost` are in USD, None if unknown; `seconds` is the time of all attempts; `error` is the
        sentence of an error.
        """
        return [dict(zip(_COLUMNS, _values(entry), strict=True)) for entry in self._entries]

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame` with one row for each prompt: the columns of `to_dicts`.

        Raises:
            ConfigurationError: pandas is not installed.

        Example:
            >>> router.map(prompts).to_pandas()[["text", "cost", "error"]]  # doctest: +SKIP
        """
        try:
            pandas: Any = importlib.import_module("pandas")
        except ImportError as error:
            raise ConfigurationError("to_pandas needs pandas; run: pip install pandas") from error
        index = pandas.RangeIndex(self._first, self._first + len(self), name="prompt")
        return pandas.DataFrame(self.to_dicts(), columns=list(_COLUMNS), index=index)

    def table(self, rows: int | None = None) -> BatchResults:
        """Return the same results, which print the first `rows` of them, or all, instead of the first ten.

        Example:
            >>> print(results[200:220].table())  # doctest: +SKIP
        """
        return BatchResults(self._entries, self.progress, first=self._first, shown=rows)

    def __repr__(self) -> str:
        return f"<BatchResults: {self._heading()}>"

    def _display(self) -> list[Table]:
        rows = rows_of(self._entries[: self._shown], self._first)
        faded = [False] * len(rows)
        if (hidden := len(self) - len(rows)) > 0:
            rows.append(("…", f"{hidden:,} more: see .table() or .to_pandas()", "", "", ""))
            faded.append(True)
        return [Table(("prompt", "response", "route", "cost", "time"), rows, (1, 2), faded, self._heading())]

    def _heading(self) -> str:
        answered = len(self.responses)
        parts = [f"{answered:,} answered"]
        if failed := len(self) - answered:
            parts.append(f"{failed:,} failed")
        if cached := sum(response.cached for response in self.responses):
            parts.append(f"{cached:,} from the cache")
        known = sum(response.cost or 0.0 for response in self.responses)
        unknown = sum(response.cost is None for response in self.responses)
        prompts = numbers.format_count(len(self), "prompt")
        parts_text = ", ".join(parts)
        took = f"the batch took {duration(self.progress.seconds)}"
        return f"{prompts}: {parts_text}; {describe_cost(known, unknown)}; {took}"


class BatchInterrupted(KeyboardInterrupt):
    """A batch was interrupted, as by Ctrl-C. It is a `KeyboardInterrupt`.

    Attributes:
        results: What was done until then. Prompts that were in flight have an error in their place; those that were not
            sent are missing at the end.

    Example:
        >>> try:  # doctest: +SKIP
        ...     results = router.map(prompts)
        ... except BatchInterrupted as stop:
        ...     results = stop.results
    """

    def __init__(self, results: BatchResults) -> None:
        progress = results.progress
        total = "" if progress.total is None else f" of {progress.total:,}"
        super().__init__(
            f"Interrupted after {progress.done:,}{total} prompts; their responses are in this error's `results` "
            "(sys.last_value.results in a notebook)."
        )
        self.results = results


def rows_of(entries: Sequence[Response | Exception], first: int) -> list[tuple[str, ...]]:
    """Return the cells of a table of these results; `first` is the index of the first one's prompt."""
    rows: list[tuple[str, ...]] = []
    for number, entry in enumerate(entries, first):
        if isinstance(entry, Response):
            cost = "cached" if entry.cached else "unknown" if entry.cost is None else numbers.usd(entry.cost)
            seconds = numbers.seconds(_seconds(entry))
            rows.append((f"{number:,}", shorten(entry.text), formats.name(entry.route), cost, seconds))
        else:
            rows.append((f"{number:,}", shorten(f"{type(entry).__name__}: {entry}"), "", "", ""))
    return rows


def shorten(text: str) -> str:
    """Return the beginning of a text, as one line."""
    line = " ".join(text[: 4 * SHOWN_CHARACTERS].split())
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[: SHOWN_CHARACTERS - 1]}…"


def _seconds(response: Response) -> float:
    return sum(attempt.seconds for attempt in response.attempts)


def _values(entry: Response | Exception) -> tuple[Any, ...]:
    if not isinstance(entry, Response):
        attempts = getattr(entry, "attempts", ())
        seconds = sum(attempt.seconds for attempt in attempts)
        return (*[None] * 8, False, seconds, f"{type(entry).__name__}: {entry}")
    usage = entry.usage
    return (
        entry.text,
        entry.finish_reason,
        entry.route,
        entry.model,
        None if usage is None else usage.input_tokens,
        None if usage is None else usage.output_tokens,
        entry.cost,
        entry.saved_cost,
        entry.cached,
        _seconds(entry),
        None,
    )
