"""JSON schemas of LangChain's tools and classes where LangChain's conversion loses information.

LangChain inlines references and replaces recursive ones by `{}`, which allows any value
(`langchain_core.utils.json_schema.dereference_refs`, langchain-core 1.8.3). Providers that accept recursive schemas get
them unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from langchain_core.tools import BaseTool
from langchain_core.tools.base import create_schema_from_function
from langchain_core.utils.pydantic import is_basemodel_subclass

from multiroute_core.parsing import json_schema
from multiroute_core.providers.schema_nodes import find_cycles, flatten


def recursive_schema(source: Any) -> dict[str, Any] | None:
    """The schema of a tool, pydantic class, function or dict if it is recursive; None otherwise."""
    schema = _schema_of(source)
    if schema is None or not ("$defs" in schema or "definitions" in schema or '"#"' in str(schema).replace("'", '"')):
        return None
    schema = json_schema.rooted(schema) if "$ref" in schema else schema
    flat = flatten(schema)
    if not find_cycles(flat):
        return None
    return {word: value for word, value in flat.items() if word not in ("title", "description")}


def root_schema(source: Any) -> dict[str, Any] | None:
    """The schema of a pydantic `RootModel`, whose instances are not objects with fields; None for all others."""
    if not (isinstance(source, type) and getattr(source, "__pydantic_root_model__", False)):
        return None
    return json_schema.of_class(source)


def _schema_of(source: Any) -> Mapping[str, Any] | None:
    if isinstance(source, BaseTool):
        source = source.tool_call_schema
    if isinstance(source, Mapping):
        definition = cast("Mapping[str, Any]", source)
        function = definition.get("function")
        definition = cast("Mapping[str, Any]", function) if isinstance(function, Mapping) else definition
        inner = next((definition[word] for word in ("parameters", "input_schema") if word in definition), definition)
        return cast("Mapping[str, Any]", inner) if isinstance(inner, Mapping) else None
    if isinstance(source, type):
        return _class_schema(source) if is_basemodel_subclass(source) else None
    if callable(source) and hasattr(source, "__name__"):
        try:
            model = create_schema_from_function(source.__name__, source, filter_args=(), include_injected=False)
        except Exception:  # LangChain's own conversion reports what is wrong
            return None
        return _class_schema(model)
    return None


def _class_schema(kind: type[Any]) -> dict[str, Any] | None:
    tells = getattr(kind, "model_json_schema", None) or getattr(kind, "schema", None)
    try:
        return None if tells is None else tells()
    except Exception:  # LangChain's own conversion may still support it
        return None
