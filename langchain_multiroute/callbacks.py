"""What a chain spent, by LangChain's callbacks: `get_multiroute_callback`, and the handler behind it.

Models of others in the same chain count too, by their `usage_metadata`, so that the tokens are the whole chain's and
agree with LangChain's own counters. What they cost is unknown here: they stand in `unpriced`.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Generator, Mapping
from contextvars import ContextVar
from typing import Any, cast

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import LLMResult
from langchain_core.tracers.context import register_configure_hook

from langchain_multiroute.answers import KEPT
from multiroute_core.ledger.totals import Totals
from multiroute_core.runtime import forks
from multiroute_core.types import Usage


class MultiRouteCallbackHandler(BaseCallbackHandler, Totals):
    """Adds up what calls come to: tokens, cost, attempts, fallbacks, what caches spared; in all and by model.

    One handler may serve any number of threads, event loops and models at once; a call counts once, when it has ended,
    streamed or not. For the figures see `multiroute_core.ledger.totals.Figures`. What LangChain's own cache gives is a
    hit too, of no tokens.

    Example:
        >>> spent = MultiRouteCallbackHandler()
        >>> chain.invoke("Hello", config={"callbacks": [spent]})  # doctest: +SKIP
        >>> spent.total.cost, spent.models["gpt-6.1-sol"].total_tokens, spent.to_dict()  # doctest: +SKIP
    """

    run_inline = True
    """It is quicker than the hand-over to a thread, which LangChain makes on event loops otherwise."""

    def __init__(self) -> None:
        Totals.__init__(self)

    @property
    def ignore_chat_model(self) -> bool:
        """Beginnings say nothing of what was spent."""
        return True

    @property
    def ignore_chain(self) -> bool:
        """Chains spend nothing; the models in them do."""
        return True

    @property
    def ignore_agent(self) -> bool:
        """As for chains: tools and agents."""
        return True

    @property
    def ignore_retriever(self) -> bool:
        """As for chains."""
        return True

    @property
    def ignore_custom_event(self) -> bool:
        """As for chains."""
        return True

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        """A call was answered, or a stream came to its end."""
        message = _message(response)
        if message is None:
            model: str | None = (response.llm_output or {}).get("model_name")
            self.record_answer(model, None, None)
        else:
            self._record_message(message)

    def on_llm_error(self, error: BaseException, *, response: LLMResult | None = None, **kwargs: Any) -> None:
        """A call failed, or whoever read its stream stopped."""
        message = None if response is None else _message(response)
        if message is not None and _read_metadata(message) is not None:
            self._record_message(message)  # the reader had the whole answer, and left the end of its stream unread
        else:
            self.failed(error)

    def _record_message(self, message: AIMessage) -> None:
        # LangChain's cache marks what it gives by a cost of 0, and leaves the tokens of the first time in place.
        cached = cast("Mapping[str, Any]", message.usage_metadata or {}).get("total_cost") == 0
        metadata = _read_metadata(message)
        self.record_answer(message.response_metadata.get("model_name"), _usage(message), metadata, cached=cached)


_SCOPES: list[ContextVar[MultiRouteCallbackHandler | None]] = []
"""One for each depth of nested `get_multiroute_callback` blocks; LangChain keeps every one that it was told of."""

_LOCK = threading.Lock()
forks.renew(sys.modules[__name__], _LOCK=threading.Lock)


@contextlib.contextmanager
def get_multiroute_callback() -> Generator[MultiRouteCallbackHandler, None, None]:
    """Count what every model call inside the block comes to, without handing a handler to each.

    It reaches chains, graphs, batches and tasks that begin in the block; a thread that the caller starts must be given
    a copy of the context. Blocks may be nested: the outer one counts what the inner one does.

    Yields:
        The handler; its figures stay readable after the block.

    Example:
        >>> with get_multiroute_callback() as spent:
        ...     chain.batch(["Hello", "Good evening"])  # doctest: +SKIP
        >>> print(spent)  # doctest: +SKIP
    """
    scope = _free()
    handler = MultiRouteCallbackHandler()
    token = scope.set(handler)
    try:
        yield handler
    finally:
        scope.reset(token)


def _free() -> ContextVar[MultiRouteCallbackHandler | None]:
    """The context variable of this depth; it is made once, as LangChain never forgets one."""
    with _LOCK:
        for scope in _SCOPES:
            if scope.get() is None:
                return scope
        variable: ContextVar[MultiRouteCallbackHandler | None] = ContextVar("multiroute_callback", default=None)
        register_configure_hook(variable, inheritable=True)
        _SCOPES.append(variable)
        return variable


def _message(response: LLMResult) -> AIMessage | None:
    for generations in response.generations[:1]:
        for generation in generations[:1]:
            message = getattr(generation, "message", None)
            return message if isinstance(message, AIMessage) else None
    return None


def _read_metadata(message: AIMessage) -> Mapping[str, Any] | None:
    return message.response_metadata.get(KEPT)


def _usage(message: AIMessage) -> Usage | None:
    usage = message.usage_metadata
    if usage is None or "input_tokens" not in usage:
        return None
    read = usage.get("input_token_details", {})
    output_details = usage.get("output_token_details", {})
    return Usage(
        usage["input_tokens"],
        usage["output_tokens"],
        cache_read_tokens=read.get("cache_read"),
        reasoning_tokens=output_details.get("reasoning"),
    )
