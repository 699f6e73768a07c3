"""Output schemas, reasoning options and provider-specific options, parsed from all supported formats."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, cast

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.errors import ConfigurationError
from multiroute_core.options import invalid, unknown
from multiroute_core.parsing import extra, json_schema
from multiroute_core.provider_table import find_provider, known_names
from multiroute_core.tools import EFFORTS, OutputSchema, ReasoningOptions

JSON_WORDS = frozenset({"json", "json_object", "json_mode", "application/json"})
"""Names for "any JSON object" across the supported formats."""

_GEMINI_SCHEMAS = ("responseJsonSchema", "response_json_schema", "responseSchema", "response_schema")
_GEMINI_TYPES = ("responseMimeType", "response_mime_type")

ROUTER_SAYS = frozenset({"model", "messages", "input", "contents", "stream"})
"""Body fields that the router sets itself."""


def output_schema(spec: Any) -> OutputSchema | None:
    """Parse the schema of structured output; None if the output is unconstrained.

    Accepts an `OutputSchema`, a JSON schema, a class that has one, `"json"` for any JSON object, and the formats of
    OpenAI, Anthropic and Gemini.

    Raises:
        ConfigurationError: The format is unknown, or the schema is invalid.
    """
    form = _form(spec)
    if form is None or form.schema is None:
        return form
    if not isinstance(cast("Any", form.name), str):
        raise ConfigurationError(f"The output schema's name is {form.name!r}; expected a string.")
    schema = json_schema.of_gemini(form.schema) if json_schema.is_gemini(form.schema) else form.schema
    json_schema.check(schema, "The output schema")
    if "$ref" in schema:
        schema = json_schema.rooted(schema)
    name = _name(form.name)
    if schema is form.schema and name == form.name:
        return form
    return OutputSchema(schema, name, form.description, form.strict)


def _form(spec: Any) -> OutputSchema | None:
    match spec:
        case None | OutputSchema():
            return spec
        case str() if spec in JSON_WORDS:
            return OutputSchema(None)
        case type():
            return _titled(json_schema.of_class(cast("type[Any]", spec)))
        case {"format": told} | {"text": {"format": told}} if isinstance(told, Mapping):
            return _form(cast("Any", told))
        case {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return OutputSchema(None)
        case {"type": "json_schema", "json_schema": told} if isinstance(told, Mapping):
            return _parse_named_schema(cast("Mapping[str, Any]", told))
        case {"type": "json_schema", "schema": _} | {"name": str(), "schema": Mapping()}:
            return _parse_named_schema(cast("Mapping[str, Any]", spec))
        case Mapping() if any(word in spec for word in (*_GEMINI_SCHEMAS, *_GEMINI_TYPES)):
            return _of_gemini(cast("Mapping[str, Any]", spec))
        case Mapping() if spec:
            return _titled(cast("Mapping[str, Any]", spec))
        case _:
            raise ConfigurationError(
                f"output_schema={spec!r} is not a valid schema; expected a JSON schema, a pydantic model, a "
                "dataclass, or 'json'."
            )


def _parse_named_schema(spec: Mapping[str, Any]) -> OutputSchema:
    """Parse a schema that is given together with its name."""
    schema = spec.get("schema")
    strict = spec.get("strict")
    if not isinstance(schema, Mapping):
        raise ConfigurationError(f"output_schema contains no schema: 'schema' is {schema!r}.")
    inner = _titled(cast("Mapping[str, Any]", schema))
    name = spec.get("name") or inner.name
    description = spec.get("description") or inner.description
    return OutputSchema(inner.schema, name, description, strict if isinstance(strict, bool) else None)


def _of_gemini(config: Mapping[str, Any]) -> OutputSchema | None:
    schema = next((value for word in _GEMINI_SCHEMAS if (value := config.get(word)) is not None), None)
    if schema is not None:
        return _form(schema)
    kind = next((value for word in _GEMINI_TYPES if (value := config.get(word)) is not None), None)
    return OutputSchema(None) if kind in JSON_WORDS else None


def _titled(schema: Mapping[str, Any]) -> OutputSchema:
    """Parse a bare schema: its title is its name."""
    title = schema.get("title")
    description = schema.get("description")
    name = title if isinstance(title, str) and title else "answer"
    return OutputSchema(schema, name, description if isinstance(description, str) else "")


def _name(name: str) -> str:
    """Replace the characters of `name` that providers do not allow."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", name).strip("_")[:64] or "answer"


def reasoning(setting: Any) -> ReasoningOptions | None:
    """Parse the reasoning options; None uses the model's default.

    Accepts an effort, a number of tokens, True or False, `ReasoningOptions`, and the formats of OpenAI, Anthropic and
    Gemini.

    Raises:
        ConfigurationError: The format is unknown.
    """
    match setting:
        case None:
            return None
        case ReasoningOptions():
            _effort(setting.effort)
            _budget(setting.budget_tokens)
            return setting
        case bool():
            return ReasoningOptions("medium" if setting else "none")
        case int():
            return _budgeted(setting, summary=False)
        case str():
            return ReasoningOptions(_effort(setting))
        case Mapping() if setting:
            return _reasoning(cast("Mapping[str, Any]", setting))
        case _:
            raise ConfigurationError(
                f"reasoning={setting!r} is not valid; expected an effort ({', '.join(EFFORTS)}) or a number of tokens."
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
"""Keys of all supported formats, and their meaning."""

_SILENT = (None, False, "none", "omitted")
"""Values that mean "do not return the reasoning"."""

_OFF = ("disabled", "between_tools")
"""Anthropic's types of `thinking` for an answer without reasoning; some models accept only the second one."""


def _reasoning(settings: Mapping[str, Any]) -> ReasoningOptions:
    fields: dict[str, Any] = {}
    for word, value in settings.items():
        if word not in _WORDS:
            raise unknown("word in reasoning", word, _WORDS)
        if value is not None:
            fields[_WORDS[word]] = getattr(value, "value", value)
    kind = fields.get("type")
    if kind not in (None, "enabled", "adaptive", *_OFF):
        raise unknown("type of reasoning", kind, ("enabled", "adaptive", *_OFF))
    if kind in _OFF:
        return ReasoningOptions("none")
    summary = fields.get("summary") not in _SILENT
    if "budget" in fields:
        return _budgeted(fields["budget"], summary=summary, effort=fields.get("effort"))
    effort = fields.get("effort", None if kind is None else "medium")
    return ReasoningOptions(_effort(effort.lower() if isinstance(effort, str) else effort), summary=summary)


def _budgeted(budget: Any, *, summary: bool, effort: Any = None) -> ReasoningOptions:
    if budget == -1:  # Gemini's value for a dynamic budget
        return ReasoningOptions(_effort(effort), summary=summary)
    if _budget(budget) == 0:
        return ReasoningOptions("none")
    return ReasoningOptions(_effort(effort), budget, summary)


def _effort(effort: Any) -> Any:
    if effort is not None and effort not in EFFORTS:
        raise unknown("reasoning effort", effort, EFFORTS)
    return effort


def _budget(budget: Any) -> int | None:
    if budget is not None and (not isinstance(budget, int) or isinstance(budget, bool) or budget < 0):
        raise invalid("reasoning", budget, "a number of tokens of at least 0")
    return budget


def vendor_options(bodies: Any, integrations: Collection[str] = ()) -> Mapping[str, Mapping[str, Any]]:
    """Parse provider-specific options by provider: body fields, and the SDKs' own option names.

    Args:
        bodies: The value given by the caller.
        integrations: Names of wrapped framework models, which are accepted besides the providers'.

    Raises:
        ConfigurationError: A provider is unknown, a body is not a JSON object, or it sets a field that the router sets.
    """
    if not isinstance(bodies, Mapping):
        raise invalid("extra", bodies, "a mapping, such as {'openai': {'service_tier': 'flex'}}")
    options_by_provider: dict[str, dict[str, Any]] = {}
    for name, body in cast("Mapping[Any, Any]", bodies).items():
        spec = find_provider(name)
        if not isinstance(name, str) or (spec is None and name not in integrations):
            raise unknown("provider in extra", name, (*known_names(), *sorted(integrations)))
        provider = name if spec is None else spec.name
        if not isinstance(body, Mapping):
            raise ConfigurationError(f"extra[{name!r}] is a {type(body).__name__}; expected a mapping.")
        if own := sorted(ROUTER_SAYS & {*cast("Mapping[Any, Any]", body)}):
            raise ConfigurationError(f"extra[{name!r}] sets {own[0]!r}, which the router sets itself; leave it out.")
        options = extra.check(provider, cast("Mapping[str, Any]", body), ROUTER_SAYS)
        try:
            json.dumps(options, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"extra[{name!r}] cannot be written as JSON: {error}.") from error
        options_by_provider.setdefault(provider, {}).update(options)
    return options_by_provider
