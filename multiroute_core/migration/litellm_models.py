"""LiteLLM's `model_list` as routes: https://docs.litellm.ai/docs/proxy/config_settings (2026-11-30). Pure.

A deployment is a route. The names by which callers choose (`model_name`, and aliases of it) become tags. Keys that
stand in the file become variables: they are never written anywhere.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from multiroute_core._util.number_text import parse_number
from multiroute_core.migration.actions import LeaveOut, ProviderOption, Rename
from multiroute_core.migration.names import BY_NAME
from multiroute_core.provider_table import PROVIDERS, implied_provider

_VENDORS = {
    "anthropic": "anthropic",
    "deepseek": "deepseek",
    "gemini": "google",
    "groq": "groq",
    "mistral": "mistral",
    "openai": "openai",
    "openrouter": "openrouter",
    "text-completion-openai": "openai",
    "xai": "xai",
}
"""LiteLLM's prefixes of vendors that are providers here."""

_ADDRESSES = {
    "cerebras": ("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "deepinfra": ("https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    "fireworks_ai": ("https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    "lm_studio": ("http://localhost:1234/v1", ""),
    "moonshot": ("https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    "nvidia_nim": ("https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
    "ollama": ("http://localhost:11434/v1", ""),
    "ollama_chat": ("http://localhost:11434/v1", ""),
    "perplexity": ("https://api.perplexity.ai", "PERPLEXITYAI_API_KEY"),
    "sambanova": ("https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
    "together_ai": ("https://api.together.xyz/v1", "TOGETHERAI_API_KEY"),
}
"""Prefixes of servers with OpenAI's Chat Completions API: the address and the variable of the key.
https://docs.litellm.ai/docs/providers (2026-11-30)"""

_COMPATIBLE = frozenset({"custom_openai", "hosted_vllm", "litellm_proxy", "llamafile", "openai_like", "vllm"})
"""Prefixes of servers with that API whose address stands in `api_base`."""

_SETTINGS = {
    "rpm": "rpm",
    "tpm": "tpm",
    "weight": "weight",
    "timeout": "timeout",
    "max_parallel_requests": "max_concurrency",
}
"""Settings of a deployment, and those of a route."""

_CHAT = ("chat", "completion", "responses")
"""The modes of models that answer conversations."""

_CALLS = frozenset({"temperature", "max_tokens", "top_p", "seed", "stop", "tools", "tool_choice"})
_QUIET = frozenset({"model", "api_key", "api_base", "base_url", "custom_llm_provider", "tags"})
_ENTRY = frozenset({"model_name", "litellm_params", "model_info", "rpm", "tpm"})
_ENTRA = "left out: for Microsoft Entra ID, a framework's model can be a route in Python, as llm=AzureChatOpenAI(...)."
_EXPLAINED = {
    "base_model": "left out: prices go by the name of the model; write them where it has another.",
    "order": 'left out: with strategy = "priority", routes are tried in the order of the file.',
    "stream_timeout": "left out: first_token_timeout, at the top of the file, is one for all routes.",
    **dict.fromkeys(("azure_ad_token", "tenant_id", "client_id", "client_secret", "azure_scope"), _ENTRA),
}
"""Members of a deployment that deserve more than that they have no counterpart."""
_PRICES = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
}
_OTHER_TASKS = re.compile(
    r"(?:^|[-/_.])(?:embed|embeddings?|whisper|tts|dall-e|gpt-image|moderation|rerank|reranker|transcribe|realtime|sora|"
    r"imagen|veo|davinci|babbage)(?:$|[-_.:\d])|turbo-instruct",
    re.IGNORECASE,
)
"""Names of models that answer no conversations; a deployment without a `mode` has nothing else that says so."""

_VARIABLE = re.compile(r"os\.environ/([A-Za-z_][A-Za-z0-9_]*)")


@dataclass(slots=True)
class Notes:
    """What has no counterpart, or differs in meaning: where it stands in LiteLLM's file, and a sentence.

    Attributes:
        entries: The notes.
        variables: The variables that the file reads already: none of them may hold a secret of the file.
    """

    entries: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    variables: frozenset[str] = frozenset()
    _secrets: dict[str, str] = field(default_factory=dict[str, str], repr=False)

    def add(self, where: str, sentence: str) -> None:
        """Add a note."""
        if (where, sentence) not in self.entries:
            self.entries.append((where, sentence))

    def name_secret(self, secret: str, variable: str) -> str:
        """Return the variable for a secret: the same one for the same secret, and another one for any other."""
        name = variable
        number = 1
        while name in self.variables or self._secrets.setdefault(name, secret) != secret:
            number += 1
            name = f"{variable}_{number}"
        return name

    def explain(self, where: str, name: str, value: Any) -> None:
        """Add what the migration table says about a setting."""
        row = BY_NAME.get(name)
        action = None if row is None else row.action
        if isinstance(action, LeaveOut):
            if not any(value is one for one in action.accepted):
                self.add(where, f"left out: {action.reason}.")
        elif isinstance(action, Rename) or name in _CALLS:
            option = action.option if isinstance(action, Rename) else name
            self.add(where, f"left out: each call takes it, as {option}=....")
        elif isinstance(action, ProviderOption):
            self.add(where, "left out: each call takes it, in extra={provider: {...}}.")
        else:
            self.add(where, "left out: it has no counterpart.")


@dataclass(slots=True)
class Deployment:
    """One entry of `model_list`.

    Attributes:
        group: Its `model_name`.
        route: The keys of its route.
    """

    group: str
    route: dict[str, Any]


def convert_text(value: Any, secret: str, where: str, notes: Notes) -> str:
    """Return a text of LiteLLM's file in ours: `os.environ/NAME` is `${NAME}`.

    Args:
        value: The text.
        secret: The variable for a secret that stands in the file; empty if the text is none.
        where: Where it stands.
        notes: Receives the note about such a secret.
    """
    if (match := _VARIABLE.fullmatch(str(value))) is not None:
        return f"${{{match[1]}}}"
    if secret:
        variable = notes.name_secret(str(value), secret)
        notes.add(where, f"it stands in the file: put it into the variable {variable}.")
        return f"${{{variable}}}"
    return str(value).replace("$", "$$")


def convert_number(value: Any, where: str, notes: Notes, *, is_positive: bool = False) -> int | float | str | None:
    """Return a number of LiteLLM's file in ours; None, and a note, if it is none.

    YAML 1.1 reads `3e-7` as a text, and a variable may hold a number: `os.environ/NAME` is `${NAME}`.

    Args:
        value: The number.
        where: Where it stands.
        notes: Receives the note.
        is_positive: Whether it has to be greater than 0.
    """
    if (match := _VARIABLE.fullmatch(str(value))) is not None:
        return f"${{{match[1]}}}"
    number: Any = parse_number(value.strip()) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number < math.inf:
        notes.add(where, "left out: it is not a number of at least 0.")
        return None
    if is_positive and not number:
        notes.add(where, "left out: it has to be greater than 0.")
        return None
    return number


def find_variables(value: Any) -> Iterator[str]:
    """Yield the variables that a part of LiteLLM's file reads; a route without a key reads its vendor's."""
    if isinstance(value, Mapping):
        table = cast("Mapping[Any, Any]", value)
        for member in table.values():
            yield from find_variables(member)
        params = as_table(table.get("litellm_params"))
        model = str(params.get("model") or "")
        provider = _VENDORS.get(model.partition("/")[0]) if "/" in model else implied_provider(model)
        has_key = params.get("api_key") or params.get("litellm_credential_name") or "*" in model
        if provider is not None and not has_key and _find_mode(params, as_table(table.get("model_info"))) in _CHAT:
            yield from PROVIDERS[provider].key_variables
    elif isinstance(value, list):
        for member in cast("list[Any]", value):
            yield from find_variables(member)
    elif (match := _VARIABLE.fullmatch(str(value))) is not None:
        yield match[1]


def _find_mode(params: Mapping[str, Any], info: Mapping[str, Any]) -> Any:
    """Return the mode of a deployment, `"other"` for a model whose name says that it is not for conversations."""
    model = str(params.get("model") or "")
    is_other = _OTHER_TASKS.search(model) is not None or model.startswith("text-completion-")
    return info.get("mode") or ("other" if is_other else "chat")


def convert_models(
    model_list: Any, notes: Notes, credentials: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Deployment]:
    """Return the deployments of a `model_list`; what cannot be a route is a note.

    Args:
        model_list: The list.
        notes: Receives the notes.
        credentials: The members of each entry of `credential_list`, by name.
    """
    deployments: list[Deployment] = []
    if model_list is not None and not isinstance(model_list, list):
        notes.add("model_list", "left out: it is not a list.")
    for number, entry in enumerate(cast("list[Any]", model_list) if isinstance(model_list, list) else []):
        where = f"model_list[{number}]"
        members = as_table(entry)
        params = as_table(members.get("litellm_params"))
        if (values := (credentials or {}).get(str(params.get("litellm_credential_name")))) is not None:
            params = {**values, **{key: value for key, value in params.items() if key != "litellm_credential_name"}}
        info = as_table(members.get("model_info"))
        group = str(members.get("model_name") or params.get("model") or "")
        mode = _find_mode(params, info)
        if not isinstance(params.get("model"), str):
            notes.add(where, "left out: it has no model, which litellm_params names.")
        elif (variable := _VARIABLE.fullmatch(params["model"])) is not None:
            notes.add(
                where, f"left out: its model is in the variable {variable[1]}; write it as route = 'provider:model'."
            )
        elif mode == "other":
            notes.add(where, f"left out: {params['model']!r} is not a chat model; a router answers conversations.")
        elif mode not in _CHAT:
            notes.add(where, f"left out: mode {mode!r} is not chat; a router answers conversations.")
        elif "*" in f"{group}{params.get('model')}":
            notes.add(where, "left out: a wildcard is not a route; name the models that you use.")
        elif (route := _convert_model(params, group, where, notes)) is not None:
            _convert_settings(route, params, where, notes)
            _convert_prices(route, {**params, **info}, where, notes)
            if isinstance(name := info.get("id"), str):
                route["name"] = name
            for key, value in ((str(key), value) for key, value in info.items()):
                if key not in ("mode", "id") and key not in _PRICES and value is not None:
                    is_ability = key.startswith(("supports_", "max_"))
                    reason = "what a model can do is known" if is_ability else "it has no counterpart"
                    notes.add(f"{where}.model_info.{key}", _EXPLAINED.get(key, f"left out: {reason}."))
            for key in members:
                if key not in _ENTRY:
                    notes.add(f"{where}.{key}", "left out: it has no counterpart.")
            for key in ("rpm", "tpm"):  # older files have them beside `litellm_params`
                if key in members and (rate := convert_number(members[key], f"{where}.{key}", notes)) is not None:
                    route.setdefault(key, rate)
            deployments.append(Deployment(group, route))
    return deployments


def as_table(value: Any) -> Mapping[str, Any]:
    """Return a value as a table; anything else is an empty one."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _convert_model(params: Mapping[str, Any], group: str, where: str, notes: Notes) -> dict[str, Any] | None:
    written = str(params.get("model") or "")
    prefix, slash, rest = written.partition("/")
    if prefix in ("openai", "azure") and rest.startswith(("responses/", "chat/")):
        rest = rest.partition("/")[2]
    named = params.get("custom_llm_provider")
    vendor = str(named) if named else (prefix if slash else "")
    model = rest if slash and vendor == prefix else written
    address = params.get("api_base", params.get("base_url"))
    secret = "API_BASE" if "@" in str(address) else ""  # it holds a password
    base_url = None if address is None else convert_text(address, secret, f"{where}.litellm_params.api_base", notes)
    key = params.get("api_key")
    if not vendor or (vendor not in _VENDORS and not _is_known(vendor)):
        provider = implied_provider(written) if not slash else None
        if provider is None:
            what = f"the vendor of {written!r}" if not vendor else f"{vendor!r}"
            notes.add(
                where, f"left out: {what} is not a provider; a framework's model can be a route in Python, as llm=."
            )
            return None
        vendor, model = provider, written
    if not model.strip():
        notes.add(where, f"left out: {written!r} names no model.")
        return None
    provider, base_url, variable = _place(vendor, base_url)
    if vendor == "azure":
        if base_url is None:
            notes.add(where, "left out: it has no api_base, the address of the Azure resource.")
            return None
        notes.add(where, "it uses Azure's v1 API, which needs no api_version.")
        notes.add(where, "prices are those of a model with the deployment's name; write them if it has another.")
    elif vendor in _COMPATIBLE and base_url is None:
        notes.add(where, "left out: it has no api_base.")
        return None
    route: dict[str, Any] = {"route": f"{provider}:{model}"}
    if base_url is not None:
        route["base_url"] = base_url
    if vendor == "azure":
        route["prices"] = "azure"
    if key is not None and str(key).strip() and key != "none":
        spec = PROVIDERS[provider]
        own = spec.key_variables[0] if base_url is None else variable or _variable_of(vendor)
        if base_url is not None and own in spec.key_variables:  # the vendor's own key must not be sent to this address
            own = _variable_of(group)
        text = convert_text(key, own, f"{where}.litellm_params.api_key", notes)
        if base_url is not None or text not in {f"${{{name}}}" for name in spec.key_variables}:
            route["api_key"] = text
    elif variable and base_url is not None:
        route["api_key"] = f"${{{variable}}}"
    elif vendor in _COMPATIBLE or vendor in _ADDRESSES:
        route["api_key"] = "none"  # without it, the route would send OpenAI's key there
    return route


def _is_known(vendor: str) -> bool:
    return vendor == "azure" or vendor in _ADDRESSES or vendor in _COMPATIBLE


def _place(vendor: str, base_url: str | None) -> tuple[str, str | None, str]:
    """Return the provider, the address and the variable of the key."""
    if vendor == "azure":
        if base_url is None:
            return "openai", None, "AZURE_API_KEY"
        resource = re.sub(r"(?<=[^:/])/openai(?:/.*)?$", "", base_url.partition("?")[0]).rstrip("/")
        return "openai", f"{resource}/openai/v1", "AZURE_API_KEY"
    if vendor in _ADDRESSES:
        address, variable = _ADDRESSES[vendor]
        if base_url is not None and vendor.startswith("ollama") and not base_url.rstrip("/").endswith("/v1"):
            base_url = f"{base_url.rstrip('/')}/v1"
        return "openai", base_url or address, variable
    if vendor in _COMPATIBLE:
        return "openai", base_url, ""
    provider = _VENDORS.get(vendor, vendor)
    if provider == "anthropic" and base_url is not None:
        base_url = base_url.rstrip("/").removesuffix("/v1/messages").removesuffix("/v1")
    return provider, base_url, ""


def _variable_of(vendor: str) -> str:
    name = re.sub(r"[^A-Za-z0-9]+", "_", vendor).strip("_").upper()
    return f"{name}_API_KEY" if name[:1].isalpha() else f"KEY_{name}"


def _convert_settings(route: dict[str, Any], params: Mapping[str, Any], where: str, notes: Notes) -> None:
    for name, value in params.items():
        place = f"{where}.litellm_params.{name}"
        if name == "region_name" and value is not None:
            route["region"] = convert_text(value, "", place, notes)
        elif name in _SETTINGS and value is not None:
            if (number := convert_number(value, place, notes, is_positive=True)) is not None:
                route[_SETTINGS[name]] = number
        elif name == "api_version" and str(params.get("model", "")).startswith("azure/"):
            continue
        elif name in _EXPLAINED and value is not None:
            notes.add(place, _EXPLAINED[name])
        elif name not in _QUIET and name not in _PRICES and value is not None:
            notes.explain(place, name, value)
    tags = params.get("tags")
    if isinstance(tags, list):
        route["tags"] = [str(tag) for tag in cast("list[Any]", tags) if tag is not None]
    elif tags is not None:
        notes.add(f"{where}.litellm_params.tags", "left out: it is not a list.")


def _convert_prices(route: dict[str, Any], params: Mapping[str, Any], where: str, notes: Notes) -> None:
    prices: dict[str, float] = {}
    for key, name in _PRICES.items():
        if params.get(key) is not None:
            number = convert_number(params[key], f"{where}.{key}", notes)
            if isinstance(number, int | float):
                prices[name] = round(float(number) * 1_000_000, 9)
            elif number is not None:
                notes.add(f"{where}.{key}", "left out: the variable holds the price of a token, and not of a million.")
    if "input" in prices and "output" in prices:
        route["prices"] = prices
    elif prices:
        notes.add(where, "its prices are left out: both of input and output are needed.")
