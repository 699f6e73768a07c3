"""The form of an answer, how long to think, and what one vendor takes besides, in every spelling."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, cast

from multiroute_core.errors import ConfigurationError
from multiroute_core.options import unknown
from multiroute_core.parsing import extra, json_schema
from multiroute_core.route import ALIASES, PROVIDERS
from multiroute_core.tools import EFFORTS, OutputSchema, ReasoningOptions

JSON_WORDS = frozenset({"json", "json_object", "json_mode", "application/json"})
"""Everyone's words for any JSON object."""

_GEMINI_SCHEMAS = ("responseJsonSchema", "response_json_schema", "responseSchema", "response_schema")
_GEMINI_TYPES = ("responseMimeType", "response_mime_type")

ROUTER_SAYS = frozenset({"model", "messages", "input", "contents", "stream"})
"""What the router itself says in every body."""


def output_schema(given: Any) -> OutputSchema | None:
    """The form of the answer; None where any is right.

    Takes an `OutputSchema`, a JSON schema, a class that has one, `"json"` for any JSON object, and what OpenAI,
    Anthropic and Gemini write for these.

    Raises:
        ConfigurationError: it is none of these, or the schema is invalid.
    """
    made = _form(given)
    if made is None or made.schema is None:
        return made
    if not isinstance(cast("Any", made.name), str):
        raise ConfigurationError(f"The output schema's name is {made.name!r}; give a text.")
    schema = json_schema.of_gemini(made.schema) if json_schema.is_gemini(made.schema) else made.schema
    json_schema.check(schema, "The output schema")
    if "$ref" in schema:
        schema = json_schema.rooted(schema)
    name = _name(made.name)
    if schema is made.schema and name == made.name:
        return made
    return OutputSchema(schema, name, made.description, made.strict)


def _form(given: Any) -> OutputSchema | None:
    match given:
        case None | OutputSchema():
            return given
        case str() if given in JSON_WORDS:
            return OutputSchema(None)
        case type():
            return _titled(json_schema.of_class(cast("type[Any]", given)))
        case {"format": told} | {"text": {"format": told}} if isinstance(told, Mapping):
            return _form(cast("Any", told))
        case {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return OutputSchema(None)
        case {"type": "json_schema", "json_schema": told} if isinstance(told, Mapping):
            return _told(cast("Mapping[str, Any]", told))
        case {"type": "json_schema", "schema": _} | {"name": str(), "schema": Mapping()}:
            return _told(cast("Mapping[str, Any]", given))
        case Mapping() if any(word in given for word in (*_GEMINI_SCHEMAS, *_GEMINI_TYPES)):
            return _of_gemini(cast("Mapping[str, Any]", given))
        case Mapping() if given:
            return _titled(cast("Mapping[str, Any]", given))
        case _:
            raise ConfigurationError(
                f"output_schema={given!r} is no form; give a JSON schema, a pydantic model, a dataclass, or 'json'."
            )


def _told(told: Mapping[str, Any]) -> OutputSchema:
    """A schema with its name beside it."""
    schema = told.get("schema")
    strict = told.get("strict")
    if not isinstance(schema, Mapping):
        raise ConfigurationError(f"output_schema has no schema in it: 'schema' is {schema!r}.")
    inner = _titled(cast("Mapping[str, Any]", schema))
    name = told.get("name") or inner.name
    description = told.get("description") or inner.description
    return OutputSchema(inner.schema, name, description, strict if isinstance(strict, bool) else None)


def _of_gemini(told: Mapping[str, Any]) -> OutputSchema | None:
    schema = next((value for word in _GEMINI_SCHEMAS if (value := told.get(word)) is not None), None)
    if schema is not None:
        return _form(schema)
    kind = next((value for word in _GEMINI_TYPES if (value := told.get(word)) is not None), None)
    return OutputSchema(None) if kind in JSON_WORDS else None


def _titled(schema: Mapping[str, Any]) -> OutputSchema:
    """A schema by itself: its title is its name."""
    title = schema.get("title")
    description = schema.get("description")
    name = title if isinstance(title, str) and title else "answer"
    return OutputSchema(schema, name, description if isinstance(description, str) else "")


def _name(given: str) -> str:
    """`given` in the letters that vendors allow."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", given).strip("_")[:64] or "answer"


def reasoning(given: Any) -> ReasoningOptions | None:
    """How long to think; None leaves it to the model.

    Takes an effort, a number of tokens, True or False, `ReasoningOptions`, and what OpenAI, Anthropic and Gemini write.

    Raises:
        ConfigurationError: it is none of these.
    """
    match given:
        case None:
            return None
        case ReasoningOptions():
            _effort(given.effort)
            _budget(given.budget_tokens)
            return given
        case bool():
            return ReasoningOptions("medium" if given else "none")
        case int():
            return _budgeted(given, summary=False)
        case str():
            return ReasoningOptions(_effort(given))
        case Mapping() if given:
            return _reasoning(cast("Mapping[str, Any]", given))
        case _:
            raise ConfigurationError(
                f"reasoning={given!r} is unknown; give an effort ({', '.join(EFFORTS)}) or a number of tokens."
            )


_WORDS = {
    "effort": "effort",
    "reasoning_effort": "effort",
    "thinkingLevel": "effort",
    "thinking_level": "effort",
    "budget_tokens": "budget",
    "thinkingBudget": "budget",
    "thinking_budget": "budget",
    "summary": "summary",
    "generate_summary": "summary",
    "includeThoughts": "summary",
    "include_thoughts": "summary",
    "display": "summary",
    "type": "type",
}
"""Everyone's words, and what they say."""

_SILENT = (None, False, "none", "omitted")
"""What says that nobody wants to read the thoughts."""


def _reasoning(given: Mapping[str, Any]) -> ReasoningOptions:
    said: dict[str, Any] = {}
    for word, value in given.items():
        if word not in _WORDS:
            raise unknown("word in reasoning", word, _WORDS)
        if value is not None:
            said[_WORDS[word]] = getattr(value, "value", value)
    kind = said.get("type")
    if kind not in (None, "enabled", "adaptive", "disabled"):
        raise unknown("type of reasoning", kind, ("enabled", "adaptive", "disabled"))
    if kind == "disabled":
        return ReasoningOptions("none")
    summary = said.get("summary") not in _SILENT
    if "budget" in said:
        return _budgeted(said["budget"], summary=summary, effort=said.get("effort"))
    effort = said.get("effort", None if kind is None else "medium")
    return ReasoningOptions(_effort(effort.lower() if isinstance(effort, str) else effort), summary=summary)


def _budgeted(budget: Any, *, summary: bool, effort: Any = None) -> ReasoningOptions:
    if budget == -1:  # Gemini's word for "as the model likes"
        return ReasoningOptions(_effort(effort), summary=summary)
    if _budget(budget) == 0:
        return ReasoningOptions("none")
    return ReasoningOptions(_effort(effort), budget, summary)


def _effort(given: Any) -> Any:
    if given is not None and given not in EFFORTS:
        raise unknown("reasoning effort", given, EFFORTS)
    return given


def _budget(given: Any) -> int | None:
    if given is not None and (not isinstance(given, int) or isinstance(given, bool) or given < 0):
        raise ConfigurationError(f"reasoning={given!r} must be a whole number of tokens, 0 or more.")
    return given


def vendor_options(given: Any, integrations: Collection[str] = ()) -> Mapping[str, Mapping[str, Any]]:
    """What one vendor takes besides, by its provider: fields of the body, and the SDKs' own names for the rest.

    Args:
        given: What the caller gave.
        integrations: Names that wrapped models of a framework go by, besides the providers'.

    Raises:
        ConfigurationError: a provider is unknown, a body is no JSON object, or it says what the router says.
    """
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"extra={given!r} must be a mapping, such as {{'openai': {{'service_tier': 'flex'}}}}."
        )
    made: dict[str, dict[str, Any]] = {}
    for name, body in cast("Mapping[Any, Any]", given).items():
        provider = ALIASES.get(name, name)
        if not isinstance(provider, str) or (provider not in PROVIDERS and name not in integrations):
            raise unknown("provider in extra", name, (*PROVIDERS, *ALIASES, *sorted(integrations)))
        if not isinstance(body, Mapping):
            raise ConfigurationError(f"extra[{name!r}] is a {type(body).__name__}; give a mapping.")
        if own := sorted(ROUTER_SAYS & {*cast("Mapping[Any, Any]", body)}):
            raise ConfigurationError(f"extra[{name!r}] says {own[0]!r}, which the router says itself; leave it out.")
        options = extra.check(provider, cast("Mapping[str, Any]", body), ROUTER_SAYS)
        try:
            json.dumps(options, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"extra[{name!r}] cannot be written as JSON: {error}.") from error
        made.setdefault(provider, {}).update(options)
    return made
