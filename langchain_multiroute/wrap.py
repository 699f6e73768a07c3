"""Any LangChain chat model as a route."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableBinding, RunnableSequence

from langchain_multiroute import below
from langchain_multiroute.convert import messages_for, unsendable
from langchain_multiroute.errors import as_multiroute
from langchain_multiroute.wrapped import Merging, decode_message
from multiroute_core import ConfigurationError
from multiroute_core.errors import RouteError
from multiroute_core.messages import Api
from multiroute_core.provider_table import canonical_name
from multiroute_core.providers.addresses import model_address, model_key
from multiroute_core.providers.models import Model
from multiroute_core.providers.provider import Decoder, Encoded, Reply
from multiroute_core.route import FrameworkModel, Route
from multiroute_core.runtime.deadline import Deadline
from multiroute_core.runtime.io import IO
from multiroute_core.tools import OutputSchema, Tool
from multiroute_core.types import Delta, Request

FIELDS = {
    "temperature": ("temperature",),
    "max_tokens": ("max_tokens", "max_output_tokens", "max_completion_tokens", "num_predict"),
    "top_p": ("top_p",),
    "seed": ("seed",),
    "parallel_tool_calls": (),
    "reasoning": (),
}
"""Request parameters, and the names of the corresponding fields in LangChain's classes."""


OWN_BLOCKS: Mapping[str, Api] = {"anthropic": "anthropic"}
"""Providers whose LangChain classes pass native blocks and cache marks through."""


TOOL_EXTRAS = frozenset({"anthropic", "openai"})
"""Providers whose LangChain classes accept extra members of a tool's dict, such as `defer_loading`."""


def routes(entries: Any) -> Any:
    """Return `entries` with each chat model replaced by a route; repeated names get a number."""
    if isinstance(entries, BaseChatModel | RunnableBinding):
        entries = [entries]
    if isinstance(entries, str | Route) or not isinstance(entries, Iterable):
        return entries
    chain: list[Any] = []
    names: set[str] = set()
    for one in cast("Iterable[Any]", entries):
        if isinstance(one, BaseChatModel | RunnableBinding):
            route = Route(llm=one)
            number = 1
            base = route.name
            while route.name in names:
                number += 1
                route = Route(llm=one, name=f"{base}-{number}")
            chain.append(route)
        else:
            chain.append(one)
        names.add(chain[-1] if isinstance(chain[-1], str) else getattr(chain[-1], "name", ""))
    return chain


def wrap_model(chat_model: Any, provider: str | None, name: str | None) -> FrameworkModel:
    """Wrap a chat model for a route, with its bound arguments.

    Args:
        chat_model: Any LangChain chat model.
        provider: The provider's name; None takes what the model reports to tracers.
        name: The model's name; None takes what the model reports to tracers.

    Raises:
        ConfigurationError: `chat_model` is not a chat model.
    """
    model = chat_model
    bindings = dict[str, Any]()
    while isinstance(model, RunnableBinding):
        bindings = {**model.kwargs, **bindings}
        model = cast("Any", model.bound)
    if not isinstance(model, BaseChatModel):
        raise ConfigurationError(
            f"Route(llm=...): a LangChain {type(model).__name__} is not a chat model; expected a BaseChatModel."
        )
    ls_params = below.who(model)
    if provider is None:
        provider = re.sub(r"[^a-z_]", "_", str(ls_params.get("ls_provider") or "langchain").lower())
        provider = canonical_name(provider)
    if name is None:
        name = str(ls_params.get("ls_model_name") or type(model).__name__).strip()
    return FrameworkModel(provider, name, f"langchain:{name}", ModelProvider(model, bindings, provider, name))


class ModelProvider:
    """A LangChain chat model as a provider.

    Args:
        model: The chat model.
        bindings: The arguments bound to it.
        provider: The provider's name.
        name: The model's name.

    Attributes:
        address: The base URL, if the chat model exposes it; pricing depends on it.
        integrations: The names under which `extra` holds options for it: the provider that it reports to tracers, and
            its package's name (`"mistralai"` for `langchain_mistralai`).
        own_wire: The API whose native blocks and server tools the chat model accepts; None if there is none.
    """

    def __init__(self, model: BaseChatModel, bindings: Mapping[str, Any], provider: str, name: str) -> None:
        self.chat_model = model
        self.bound = dict(bindings)
        self.integrations = _integrations(model, provider)
        self._extra_names = tuple(canonical_name(name) for name in self.integrations)
        self.address: str | None = model_address(model)
        self.model = _traits(model, provider, name)
        self.own_wire: Api | None = OWN_BLOCKS.get(provider)

    @property
    def api_key(self) -> str | None:
        """The key of the chat model, which is redacted from its errors."""
        return model_key(self.chat_model)

    def api(self, route: Route) -> Api:
        return "langchain"

    def encode(self, request: Request, route: Route, *, stream: bool) -> Encoded:
        dropped: list[str] = []
        options = dict(self.bound)
        fields: dict[str, Any] = {}
        for name, aliases in FIELDS.items():
            if (value := getattr(request, name)) is None:
                continue
            field = next((field for field in aliases if field in type(self.chat_model).model_fields), None)
            if field is not None:
                fields[field] = value
            elif name != "parallel_tool_calls" or not request.tools:
                dropped.append(f"{name}: {type(self.chat_model).__name__} has no such field")
        if request.tools and not (request.tool_choice and request.tool_choice.mode == "none"):
            options |= self._tools(request, dropped)
        output_tool = None
        if request.output_schema is not None:
            output_options, output_tool = self._form(request.output_schema, dropped)
            options |= output_options
        options.pop("ls_structured_output_format", None)
        dropped += unsendable(request.messages, route.model, self.own_wire)
        body: dict[str, Any] = {
            "model": self.chat_model.model_copy(update=fields) if fields else self.chat_model,
            "messages": messages_for(request.messages, route.model, self.own_wire),
            "stop": list(request.stop) or options.pop("stop", None),
            "options": options | self._extra(request),
        }
        return Encoded("", body, tuple(dropped), model=route.model, output_tool=output_tool)

    def without_stream_options(self, encoded: Encoded) -> Encoded:
        """The request without the counts at the end of a stream, which ChatOpenAI and its kin request on their own."""
        model = encoded.body["model"]
        if "stream_usage" not in cast("type[BaseChatModel]", type(model)).model_fields:
            return encoded
        body = {**encoded.body, "model": model.model_copy(update={"stream_usage": False})}
        return replace(encoded, body=body)

    def decode(self, reply: Reply, encoded: Encoded) -> Delta:
        return decode_message(cast("below.Said", reply).message, encoded)

    def decoder(self, encoded: Encoded) -> Decoder:
        return Merging(encoded)

    def classify(self, error: Exception) -> RouteError:
        return as_multiroute(error)

    async def call(self, io: IO, limit: Deadline, encoded: Encoded) -> Reply:
        return await below.ask(io, limit, encoded.body)

    async def open(self, io: IO, limit: Deadline, encoded: Encoded) -> Any:
        return below.stream(io, encoded.body)

    def close(self) -> None:
        """Do nothing: the caller owns the model's connections."""

    async def aclose(self) -> None:
        """Do nothing: the caller owns the model's connections."""

    def __eq__(self, other: object) -> bool:
        """Routes are equal if their models and bound arguments are."""
        if not isinstance(other, ModelProvider):
            return NotImplemented
        return (self.model, self.bound, self.chat_model) == (other.model, other.bound, other.chat_model)

    def __hash__(self) -> int:
        return hash(self.model)

    def _extra(self, request: Request) -> dict[str, Any]:
        """The caller's provider-specific options for this integration."""
        options: dict[str, Any] = {}
        for name in self._extra_names:
            options.update(request.extra.get(name, {}))
        return options

    def _tools(self, request: Request, dropped: list[str]) -> dict[str, Any]:
        """The arguments that the model's own `bind_tools` produces."""
        bind: Callable[..., Any] = self.chat_model.bind_tools
        parameters = inspect.signature(bind).parameters
        choice = request.tool_choice
        bind_options = dict[str, Any]()
        if choice is not None and choice.mode in ("required", "tool"):
            bind_options["tool_choice"] = choice.name if choice.mode == "tool" else "any"
        if request.parallel_tool_calls is not None:
            if "parallel_tool_calls" in parameters:
                bind_options["parallel_tool_calls"] = request.parallel_tool_calls
            else:
                dropped.append(f"parallel_tool_calls: {type(self.chat_model).__name__} does not support it")
        provider = self.model.provider
        tools = [_tool(tool, provider) if isinstance(tool, Tool) else dict(tool.body) for tool in request.tools]
        owners = {
            name: vendor
            for tool in request.tools
            if isinstance(tool, Tool)
            for vendor, values in tool.extras.items()
            if vendor != provider or provider not in TOOL_EXTRAS
            for name in values
            if provider not in TOOL_EXTRAS or name not in tool.extras.get(provider, {})
        }
        kind = type(self.chat_model).__name__
        dropped += [
            f"tools.{name}: {kind} does not support {vendor}'s fields on a tool" for name, vendor in owners.items()
        ]
        binding = bind(tools, **bind_options)
        return dict(binding.kwargs) if isinstance(binding, RunnableBinding) else {}

    def _form(self, form: OutputSchema, dropped: list[str]) -> tuple[dict[str, Any], str | None]:
        """The arguments that the model's `with_structured_output` produces, and the tool that replaces the schema."""
        schema: dict[str, Any] = {"title": form.name, "description": form.description or form.name}
        schema |= dict(form.schema or {"type": "object", "properties": {}})
        method = "json_schema" if form.schema is not None else "json_mode"
        try:
            runnable = self.chat_model.with_structured_output(schema, method=method)
            first: Any = runnable.first if isinstance(runnable, RunnableSequence) else runnable
            bind_options = dict(first.kwargs) if isinstance(first, RunnableBinding) else None
        except (NotImplementedError, ValueError, TypeError):
            bind_options = None
        if bind_options is not None and "tools" not in bind_options:
            return bind_options, None
        if form.schema is None or not self.model.tools:
            dropped.append(f"output_schema: {type(self.chat_model).__name__} does not support it")
            return {}, None
        tool = {"type": "function", "function": {"name": form.name, "description": schema["description"]}}
        tool["function"] = {**cast("dict[str, Any]", tool["function"]), "parameters": schema}
        binding: Any = self.chat_model.bind_tools([tool], tool_choice=form.name)
        return dict(binding.kwargs), form.name


def _integrations(model: BaseChatModel, provider: str) -> tuple[str, ...]:
    packages = (kind.__module__.partition(".")[0] for kind in type(model).__mro__)
    package = next((name for name in packages if name.startswith("langchain_")), "")
    ls_provider = str(below.who(model).get("ls_provider") or "").lower()
    names = [provider, ls_provider, package.removeprefix("langchain_")]
    return tuple(dict.fromkeys(name for name in names if name and name not in ("core", "multiroute")))


def _tool(tool: Tool, provider: str) -> dict[str, Any]:
    """A tool in the OpenAI format, which every integration reads; in Anthropic's if that carries more."""
    own: Mapping[str, Any] = tool.extras.get(provider, {}) if provider in TOOL_EXTRAS else {}
    if provider == "anthropic" and (own or tool.strict is not None):
        # ChatAnthropic reads `strict` and provider-specific members only in Anthropic's native format.
        form = {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters), **own}
        return form if tool.strict is None else {**form, "strict": tool.strict}
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {
        "type": "function",
        "function": function if tool.strict is None else {**function, "strict": tool.strict},
        **own,
    }


def _traits(model: BaseChatModel, provider: str, name: str) -> Model:
    """The model's capabilities from its profile; unspecified ones are mostly assumed to be supported."""
    profile: Mapping[str, Any] = model.profile or {}
    inputs = {"image": "image_inputs", "document": "pdf_inputs", "audio": "audio_inputs", "video": "video_inputs"}
    tools = below.has_own(model, "bind_tools")
    return Model(
        provider,
        name,
        window=profile.get("max_input_tokens"),
        max_output=profile.get("max_output_tokens"),
        tools=tools and profile.get("tool_calling", True),
        inputs=frozenset(kind for kind, feature in inputs.items() if profile.get(feature, True)),
        reasoning="effort" if profile.get("reasoning_output") else "none",
        json_schema=bool(profile.get("structured_output", False)),
        forced_tool=profile.get("tool_choice", True),
        sampling="both" if profile.get("temperature", True) else "none",
    )
