"""Error messages for values that are not routes: other spellings of a model, objects of a framework, clients, lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multiroute_core.display.text import describe_value
from multiroute_core.errors import ConfigurationError
from multiroute_core.provider_table import PROVIDERS, find_provider, implied_provider

FRAMEWORKS = {"langchain_core": "langchain", "llama_index": "llamaindex"}
"""Packages whose models can be a route's `llm`, and the extra of each: its adapter package wraps the model."""

_NAMES = {"langchain": "LangChain", "llamaindex": "LlamaIndex"}

_CLIENTS = {"openai": "openai", "anthropic": "anthropic", "google": "google"}
"""Top packages of the SDKs, and the provider of each."""

_EXAMPLE = "expected 'provider:model', for example 'anthropic:claude-sonnet-5-5'."


def framework_of(value: object) -> str | None:
    """Return the extra of the framework that the class of `value` comes from; None if it comes from none."""
    packages = (kind.__module__.partition(".")[0] for kind in type(value).__mro__)
    return next((FRAMEWORKS[package] for package in packages if package in FRAMEWORKS), None)


def explain_wrong_route(value: Any) -> ConfigurationError:
    """Build the error for a value that is not a route: it names the value's type and the line to write."""
    if isinstance(value, str):
        return ConfigurationError(_explain_text(value))
    kind = type(value).__name__
    if (framework := framework_of(value)) is not None:
        if _is_model(value):
            return ConfigurationError(f"{kind} is a framework's model; write Route(llm=...).")
        return ConfigurationError(f"A {_NAMES[framework]} {kind} is not a route; {_EXAMPLE}")
    if isinstance(value, type):
        name = value.__name__
        return ConfigurationError(
            f"The class {name} is not a route; for a model of a framework, write Route(llm={name}(...))."
        )
    if kind == "Router":
        return ConfigurationError("A Router is not a route; write router=... to use an existing one.")
    if isinstance(value, list | tuple | set | frozenset):
        return ConfigurationError(f"A {kind} is not a route; write all routes in one flat list.")
    if isinstance(value, Mapping):
        return ConfigurationError(
            "A dict is not a route; write Route('provider:model', ...) with its settings as keyword arguments."
        )
    provider = _CLIENTS.get(type(value).__module__.partition(".")[0])
    if provider is not None:
        model = PROVIDERS[provider].default_model
        return ConfigurationError(
            f"The client {kind}(...) is not a route; write Route('{provider}:{model}', api_key=..., base_url=...)."
        )
    return ConfigurationError(f"{describe_value(value)} is not a valid route; {_EXAMPLE}")


def _is_model(value: object) -> bool:
    """Whether an object of a framework runs requests: a model, or a model with bound arguments."""
    return hasattr(value, "invoke") or hasattr(value, "chat")


def _explain_text(text: str) -> str:
    """Explain a string that is not a route, with the string to write where it can be told."""
    wrong = f"{describe_value(text)} is not a valid route"
    for separator in ("/", "."):
        prefix, found, model = text.partition(separator)
        spec = find_provider(prefix.strip().lower())
        if found and spec is not None and model:  # as in LiteLLM, "openai/gpt-4.1"
            return f"{wrong}; expected 'provider:model': write '{spec.name}:{model}'."
    head, colon, model = text.partition(":")
    spec = find_provider(head.strip().lower()) if colon else None
    if spec is not None and model.strip():
        return f"{wrong}; expected 'provider:model': write '{spec.name}:{model.strip()}'."
    if not colon and (provider := implied_provider(text.strip())) is not None:
        return f"{wrong}; expected 'provider:model': write '{provider}:{text.strip()}'."
    return f"{wrong}; {_EXAMPLE}"
