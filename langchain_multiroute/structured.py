"""Structured output: the runnables behind `with_structured_output`."""

from __future__ import annotations

from operator import itemgetter
from typing import Any, Literal, TypeAlias, cast

from langchain_core.language_models import LanguageModelInput
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.output_parsers.openai_tools import JsonOutputKeyToolsParser, PydanticToolsParser
from langchain_core.runnables import Runnable, RunnableGenerator, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass

from langchain_multiroute.refusals import acheck_filter, check_filter
from langchain_multiroute.schemas import recursive_schema, root_schema
from multiroute_core import ConfigurationError
from multiroute_core.options import unknown

Method: TypeAlias = Literal["function_calling", "json_mode", "json_schema"]
METHODS: tuple[Method, ...] = ("function_calling", "json_mode", "json_schema")


def build_bind_kwargs(schema: Any, method: Method, *, strict: bool | None = None) -> dict[str, Any]:
    """The keyword arguments to bind for structured output with `schema`.

    Raises:
        ConfigurationError: the method is unknown, or the schema is missing or invalid.
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    if schema is None:
        if method != "json_mode":
            raise ConfigurationError(f"method={method!r} needs a schema; only 'json_mode' works without one.")
        return {"response_format": {"type": "json_object"}}
    try:
        tool = convert_to_openai_tool(schema)
        output_format = {"kwargs": {"method": method, "strict": strict}, "schema": tool}
        if method == "function_calling":
            return {"ls_structured_output_format": output_format}
        if method == "json_mode":
            return {"response_format": {"type": "json_object"}, "ls_structured_output_format": output_format}
        json_form = root_schema(schema) or recursive_schema(schema) or convert_to_json_schema(schema)
        form: dict[str, Any] = {"name": tool["function"]["name"], "schema": json_form}
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(f"schema={schema!r} is not a valid schema: {error}") from error
    if description := tool["function"].get("description"):
        form["description"] = description
    if strict is not None:
        form["strict"] = strict
    return {
        "response_format": {"type": "json_schema", "json_schema": form},
        "ls_structured_output_format": output_format,
    }


def parser(schema: Any, method: Method) -> Runnable[Any, Any]:
    """A parser for the response: returns an instance of a pydantic class, a dict for other schemas."""
    checked: Runnable[Any, Any] = RunnableGenerator(check_filter, acheck_filter)
    return checked | _parser(schema, method)


def _parser(schema: Any, method: Method) -> Runnable[Any, Any]:
    is_class = isinstance(schema, type) and is_basemodel_subclass(schema)
    if method == "function_calling":
        if is_class:
            return PydanticToolsParser(tools=[schema], first_tool_only=True)
        name = convert_to_openai_tool(schema)["function"]["name"]
        return JsonOutputKeyToolsParser(key_name=name, first_tool_only=True)
    if is_class:
        return cast("Runnable[Any, Any]", PydanticOutputParser(pydantic_object=schema))
    return JsonOutputParser()


def with_raw(model: Runnable[LanguageModelInput, Any], reader: Runnable[Any, Any]) -> Runnable[LanguageModelInput, Any]:
    """Return both the message and the parsed value; a parsing error is returned, not raised."""
    read = RunnablePassthrough.assign(parsed=itemgetter("raw") | reader, parsing_error=lambda _: None)
    unread = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=model) | read.with_fallbacks([unread], exception_key="parsing_error")
