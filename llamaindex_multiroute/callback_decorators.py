"""Callback decorators: LlamaIndex's own, typed, and with the signatures that its instrumentation inspects."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from llama_index.core.llms import callbacks

F = TypeVar("F", bound=Callable[..., Any])


def report_chat_events(face: F) -> F:
    """LlamaIndex's chat callback decorator with its type preserved; the original is untyped."""
    return _with_signature(cast("Any", callbacks).llm_chat_callback()(face))


def report_completion_events(face: F) -> F:
    """LlamaIndex's completion callback decorator with its type preserved."""
    return _with_signature(cast("Any", callbacks).llm_completion_callback()(face))


def _with_signature(method: Any) -> Any:
    """Precompute a method's signature, which LlamaIndex's instrumentation inspects on every call."""
    method.__signature__ = inspect.signature(method)
    return method
