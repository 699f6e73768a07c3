"""Prototype: copies of a pydantic model that differ in a few fields, without validation.

A stream builds the same objects for every chunk, and validating them takes longer than everything else that happens to
a chunk. Only for values that are valid by construction.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

Model = TypeVar("Model")


class Prototype(Generic[Model]):
    """A validated object and its copies.

    Args:
        model: The object. Its lists and dicts are empty, and each copy gets new ones.

    Example:
        >>> from pydantic import BaseModel
        >>> class Point(BaseModel):
        ...     x: int = 0
        ...     tags: list[str] = []
        >>> Prototype(Point()).build(x=3)
        Point(x=3, tags=[])
    """

    __slots__ = ("_class", "_containers", "_extra", "_fields", "_set_fields")

    def __init__(self, model: Model) -> None:
        source: Any = model
        fields: dict[str, Any] = dict(source.__dict__)
        self._class = type(model)
        self._fields = fields
        self._containers: list[tuple[str, Any]] = [
            (name, type(value)) for name, value in fields.items() if type(value) in (list, dict)
        ]
        self._set_fields = frozenset(source.model_fields_set)
        self._extra = source.model_extra

    def build(self, **values: Any) -> Model:
        """Return a copy with these fields, which are not validated."""
        # What a pydantic model consists of, as its `__copy__` does it, in a third of the time.
        model = object.__new__(self._class)
        fields = self._fields.copy()
        for name, container in self._containers:
            fields[name] = container()
        fields.update(values)
        put = object.__setattr__
        put(model, "__dict__", fields)
        put(model, "__pydantic_fields_set__", set(self._set_fields))
        put(model, "__pydantic_extra__", None if self._extra is None else dict(self._extra))
        put(model, "__pydantic_private__", None)
        return model
