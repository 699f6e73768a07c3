"""Progress bar for LangChain's `batch` and `abatch`, as a callback handler: `ProgressBar`."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.outputs import LLMResult

from langchain_multiroute.callbacks import MultiRouteCallbackHandler
from multiroute_core.batch.progress import BatchProgress
from multiroute_core.batch.reporter import Reporter


class ProgressBar(BaseCallbackHandler):
    """Show the progress of a batch: rate, failures, cache hits, cost and time left.

    It counts the runs that it is given to, not those inside them: a chain of three models counts once, with the cost of
    all three. Other vendors' chat models may run in it too; their cost is unknown. A bar serves one batch.

    Args:
        total: The number of inputs; None if unknown.
        progress: True shows a bar in terminals and notebooks, and log lines elsewhere; a function receives a
            `multiroute_core.BatchProgress` each time.

    Attributes:
        progress: The latest `BatchProgress`.

    Raises:
        ConfigurationError: `progress` is neither.

    Example:
        >>> with ProgressBar(len(inputs)) as bar:  # doctest: +SKIP
        ...     chain.batch(inputs, config={"callbacks": [bar], "max_concurrency": 16}, return_exceptions=True)
    """

    run_inline = True
    """Inline is faster than the thread that LangChain otherwise uses on event loops."""

    def __init__(self, total: int | None = None, *, progress: bool | Callable[[BatchProgress], object] = True) -> None:
        self._reporter = Reporter(progress, total)
        self._models = MultiRouteCallbackHandler()
        self._runs: dict[UUID, UUID] = {}
        self._lock = threading.Lock()  # `batch` calls from several threads

    @property
    def progress(self) -> BatchProgress:
        """The latest progress."""
        return self._reporter.progress

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Show the progress for the last time."""
        with self._lock:
            self._reporter.close()

    def on_chain_start(
        self, serialized: dict[str, Any], inputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Note a run, and whether it is one of the batch or inside one."""
        self._begin(run_id, parent_run_id)

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """Note a call of a chat model."""
        self._begin(run_id, parent_run_id)

    def on_llm_start(
        self,
        serialized: dict[str, Any],
        prompts: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """Note a call of a text model."""
        self._begin(run_id, parent_run_id)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Count a run of the batch."""
        self._end(run_id, failed=False)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Count a failed run of the batch."""
        self._end(run_id, failed=True)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Add the cost of a call."""
        with self._counting():
            self._models.on_llm_end(response)
        self._end(run_id, failed=False)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Add the cost of a failed call, and count it if it is a run of the batch."""
        with self._counting():
            self._models.on_llm_error(error, **kwargs)
        self._end(run_id, failed=True)

    def _begin(self, run: UUID, parent: UUID | None) -> None:
        with self._lock:
            root = run if parent is None else self._runs.get(parent, run)
            self._runs[run] = root

    def _end(self, run: UUID, *, failed: bool) -> None:
        with self._lock:
            if self._runs.pop(run, None) == run:
                self._reporter.add(done=1, failed=int(failed))

    @contextlib.contextmanager
    def _counting(self) -> Generator[None, None, None]:
        """Add what the totals of the model calls gain meanwhile."""
        with self._lock:
            before = self._models.total
            yield
            after = self._models.total
            self._reporter.add(
                cost=after.known_cost - before.known_cost,
                cached=after.cache_hits - before.cache_hits,
                unknown_costs=after.unpriced - before.unpriced,
            )
