"""An LLM without LlamaIndex's decorators on its methods: callbacks, events and spans."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any, cast

from llama_index.core.llms import LLM, callbacks

from llamaindex_multiroute import closing

FACES = ("chat", "achat", "stream_chat", "astream_chat", "complete", "acomplete", "stream_complete", "astream_complete")
STATE = ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")


def bare(llm: LLM) -> LLM:
    """An LLM that shares all state with `llm`, with a class whose methods are undecorated.

    Calling the undecorated methods one by one is not enough, since some of them call each other.
    """
    kind = type(llm)
    subclass: Any = type(kind.__name__, (kind,), {"__module__": kind.__module__, "__doc__": kind.__doc__})
    for name in FACES:
        setattr(subclass, name, undecorated(getattr(kind, name)))  # set after class creation, which decorates methods
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
    """The source file of a function; None if `face` is not a plain function."""
    return face.__code__.co_filename if isinstance(face, FunctionType) else None
