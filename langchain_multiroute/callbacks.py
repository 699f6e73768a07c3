"""Cost and token tracking by LangChain callbacks: `get_multiroute_callback` and its handler.

Other models in the same chain are counted too, by their `usage_metadata`, so the token counts cover the whole chain and
agree with LangChain's own counters. Their cost is unknown; they are counted in `unpriced`.
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
    """Add up tokens, cost, attempts, fallbacks and cache savings of calls, in total and by model.

    One handler can serve any number of threads, event loops and models concurrently; a call is counted once, when it
    has ended, streamed or not. See `multiroute_core.ledger.totals.Figures` for the figures. A hit of LangChain's own
    cache counts as a cache hit without tokens.

    Example:
        >>> spent = MultiRouteCallbackHandler()
        >>> chain.invoke("Hello", config={"callbacks": [spent]})  # doctest: +SKIP
        >>> spent.total.cost, spent.models["gpt-6.1-sol"].total_tokens, spent.to_dict()  # doctest: +SKIP
    """

    run_inline = True
    """Inline is faster than the thread that LangChain otherwise uses on event loops."""

    def __init__(self) -> None:
        Totals.__init__(self)

    @property
    def ignore_chat_model(self) -> bool:
        """True: start events carry no usage."""
        return True

    @property
    def ignore_chain(self) -> bool:
        """True: only the models in a chain have usage."""
        return True

    @property
    def ignore_agent(self) -> bool:
        """True, as for chains; covers tools and agents."""
        return True

    @property
    def ignore_retriever(self) -> bool:
        """True, as for chains."""
        return True

    @property
    def ignore_custom_event(self) -> bool:
        """True, as for chains."""
        return True

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        """Record a successful call or the end of a stream."""
        message = _message(response)
        if message is None:
            model: str | None = (response.llm_output or {}).get("model_name")
            self.record_answer(model, None, None)
        else:
            self._record_message(message)

    def on_llm_error(self, error: BaseException, *, response: LLMResult | None = None, **kwargs: Any) -> None:
        """Record a failed call, or a stream that its reader closed early."""
        message = None if response is None else _message(response)
        if message is not None and _read_metadata(message) is not None:
            self._record_message(message)  # the response was complete; only the end of the stream was not read
        else:
            self.failed(error)

    def _record_message(self, message: AIMessage) -> None:
        # LangChain's cache marks a hit by a cost of 0 and keeps the token counts of the original response.
        cached = cast("Mapping[str, Any]", message.usage_metadata or {}).get("total_cost") == 0
        metadata = _read_metadata(message)
        self.record_answer(message.response_metadata.get("model_name"), _usage(message), metadata, cached=cached)


_SCOPES: list[ContextVar[MultiRouteCallbackHandler | None]] = []
"""One for each depth of nested `get_multiroute_callback` blocks; LangChain never unregisters a context variable."""

_LOCK = threading.Lock()
forks.renew(sys.modules[__name__], _LOCK=threading.Lock)


@contextlib.contextmanager
def get_multiroute_callback() -> Generator[MultiRouteCallbackHandler, None, None]:
    """Count every model call inside the block, without passing a handler to each.

    Covers chains, graphs, batches and tasks that start in the block; pass a copy of the context to a thread that you
    start yourself. Blocks can be nested: the outer one includes the calls of the inner one.

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
    """The context variable of this depth, created once because LangChain never unregisters it."""
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
