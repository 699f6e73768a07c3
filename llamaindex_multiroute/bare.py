"""An LLM without what LlamaIndex puts around its faces: callbacks, events and spans."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any, cast

from llama_index.core.llms import LLM, callbacks

from llamaindex_multiroute import closing

FACES = ("chat", "achat", "stream_chat", "astream_chat", "complete", "acomplete", "stream_complete", "astream_complete")
STATE = ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")


def bare(llm: LLM) -> LLM:
    """The same LLM, sharing all its state, by a class whose faces are the undecorated ones.

    One by one they could be called from outside, but some of them call each other.
    """
    kind = type(llm)
    subclass: Any = type(kind.__name__, (kind,), {"__module__": kind.__module__, "__doc__": kind.__doc__})
    for name in FACES:
        setattr(
            subclass, name, undecorated(getattr(kind, name))
        )  # after the class is made: LlamaIndex decorates new ones
    view: Any = subclass.__new__(subclass)
    for name in STATE:
        object.__setattr__(view, name, getattr(llm, name))
    return view


def undecorated(face: Any) -> Callable[..., Any]:
    """The function below a span, which is a `wrapt` proxy, and below the callbacks, which hold it in their closure."""
    while _file(face) in (None, closing.__file__) and callable(inner := getattr(face, "__wrapped__", None)):
        face = inner
    if _file(face) == callbacks.__file__:
        closure = dict(zip(face.__code__.co_freevars, face.__closure__ or (), strict=True))
        return undecorated(cast("Any", closure["f"]).cell_contents)
    return face


def _file(face: Any) -> str | None:
    """Where a function is written; None for what is not a plain one."""
    return face.__code__.co_filename if isinstance(face, FunctionType) else None
