"""Any LlamaIndex LLM as a route.

The LLM is called below LlamaIndex's callbacks and spans, so each call of the router is reported once and tokens are
counted once. This module does the rest of that layer's work: it waits for the LLM's rate limiter.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.tools import BaseTool

from llamaindex_multiroute.bare import bare
from llamaindex_multiroute.convert import messages_out
from llamaindex_multiroute.wrapped import (
    END,
    CumulativeDecoder,
    decode_response,
    is_openai,
    own,
    tool_of,
    write_arguments,
)
from multiroute_core import ConfigurationError, Request, Route, RouteError, Tool
from multiroute_core.messages import Api
from multiroute_core.provider_table import canonical_name
from multiroute_core.providers import classify
from multiroute_core.providers.addresses import model_address, model_key
from multiroute_core.providers.models import Model
from multiroute_core.providers.provider import Decoder, Encoded, Reply
from multiroute_core.route import FrameworkModel
from multiroute_core.runtime.deadline import Deadline
from multiroute_core.runtime.io import IO
from multiroute_core.runtime.thread_iterator import ThreadedIterator
from multiroute_core.tools import OutputSchema
from multiroute_core.types import Delta

PARAMETERS = ("temperature", "max_tokens", "top_p", "stop", "seed")
"""Request parameters that are passed to an LLM with a field of the same name."""

_INTEGRATION = re.compile(r"llama_index\.llms\.([a-z_]+)")


def wrap_model(llm: Any, provider: str | None, name: str | None) -> FrameworkModel:
    """Wrap an LLM for a route.

    Parameters without a matching field are dropped; `extra`, by the name of its integration (`"openai"`, `"ollama"`),
    is passed to its `chat` as keyword arguments.

    Args:
        llm: Any LLM.
        provider: The provider's name; None takes the name of the LLM's integration.
        name: The model's name; None takes what its metadata say.

    Raises:
        ConfigurationError: `llm` is not an LLM, or its metadata cannot be read.
    """
    if not isinstance(llm, LLM):
        raise ConfigurationError(f"Route(llm=...): a LlamaIndex {type(llm).__name__} is not an LLM; expected an LLM.")
    try:
        metadata = llm.metadata
    except Exception as error:
        raise ConfigurationError(f"{type(llm).__name__} has no metadata: {error}") from error
    if provider is None:
        match = _INTEGRATION.match(type(llm).__module__)
        integration: str = match[1] if match is not None else "llamaindex"
        provider = canonical_name(integration)
    if name is None:
        name = metadata.model_name.strip() if metadata.model_name not in ("", "unknown") else type(llm).__name__
    model = Model(
        provider,
        name,
        window=metadata.context_window,
        max_output=metadata.num_output if metadata.num_output > 0 else None,
        tools=isinstance(llm, FunctionCallingLLM) and metadata.is_function_calling_model,
        inputs=frozenset({"image", "document", "audio", "video"}),
    )
    return FrameworkModel(provider, name, f"llamaindex:{name}", LLMProvider(llm, model))


def routes_of(candidates: Any) -> Any:
    """Return `candidates` with each LLM replaced by a route; repeated names get a number."""
    if isinstance(candidates, LLM):
        candidates = [candidates]
    if isinstance(candidates, str | Route) or not isinstance(candidates, Iterable):
        return candidates
    routes: list[Any] = []
    names: set[str] = set()
    for one in cast("Iterable[Any]", candidates):
        route = Route(llm=one) if isinstance(one, LLM) else one
        number = 1
        while isinstance(one, LLM) and route.name in names:
            number += 1
            route = Route(llm=one, name=f"{route.name.removesuffix(f'-{number - 1}')}-{number}")
        routes.append(route)
        names.add(route if isinstance(route, str) else getattr(route, "name", ""))
    return routes


@dataclass(frozen=True, slots=True)
class Said(Reply):
    """An LLM's complete response."""

    response: ChatResponse


class LLMProvider:
    """A LlamaIndex LLM as a provider.

    Args:
        llm: The LLM.
        model: Its known capabilities.

    Attributes:
        address: The base URL, if the LLM exposes it; pricing depends on it.
        integrations: The names under which `extra` holds keyword arguments for it: its provider, and its integration's
            name (`"mistralai"` for `llama_index.llms.mistralai`).
    """

    def __init__(self, llm: LLM, model: Model) -> None:
        self.llm = llm
        self.model = model
        names = (match[1] for kind in type(llm).__mro__ if (match := _INTEGRATION.match(kind.__module__)))
        self.integrations = tuple(dict.fromkeys([model.provider, *names]))
        self._extra_names = tuple(canonical_name(name) for name in self.integrations)
        self.address: str | None = model_address(llm)
        self._bare: Any = bare(llm)

    @property
    def api_key(self) -> str | None:
        """The key of the LLM, which is redacted from its errors."""
        return model_key(self.llm)

    def api(self, route: Route) -> Api:
        """The API of the route."""
        return "llamaindex"

    def encode(self, request: Request, route: Route, *, stream: bool) -> Encoded:
        """Encode a request as keyword arguments of the LLM's `chat`."""
        kind = type(self.llm)
        body: dict[str, Any] = {"messages": messages_out(own(request.messages, route.model))}
        if is_openai(self.llm):
            write_arguments(body["messages"])
        dropped: list[str] = []
        for name in PARAMETERS:
            if (value := getattr(request, name)) in (None, ()):
                continue
            if name in kind.model_fields:
                body[name] = list(value) if name == "stop" else value
            else:
                dropped.append(f"{name}: {kind.__name__} has no such field")
        if request.reasoning is not None:
            dropped.append("reasoning: LlamaIndex has no common parameter for it")
        form = request.output_schema
        if form is not None and not self.model.tools:
            dropped.append(f"output_schema: {kind.__name__} does not support it, nor tools that could replace it")
            form = None
        if form is not None or (request.tools and not (request.tool_choice and request.tool_choice.mode == "none")):
            body |= self._with_tools(request, form, body["messages"])
        for name in self._extra_names:
            body |= request.extra.get(name, {})
        return Encoded("", body, tuple(dropped), model=route.model, output_tool=form.name if form else None)

    def decode(self, reply: Reply, encoded: Encoded) -> Delta:
        """Decode a complete response."""
        return decode_response(cast("Said", reply).response, self._selected(cast("Said", reply).response), encoded)

    def decoder(self, encoded: Encoded) -> Decoder:
        """A decoder for one stream."""
        return CumulativeDecoder(encoded, self._selected)

    def classify(self, error: Exception) -> RouteError:
        """Convert an error to a route error."""
        return classify.classify(error)

    async def call(self, io: IO, limit: Deadline, encoded: Encoded) -> Reply:
        """Request a complete response."""
        await self._acquire(io, limit)
        if io.native:
            return Said(b"", {}, await io.wait(limit, self._bare.achat, **encoded.body))
        return Said(b"", {}, await io.thread(limit, self._bare.chat, **encoded.body))

    async def open(self, io: IO, limit: Deadline, encoded: Encoded) -> Any:
        """Open a stream of responses."""
        await self._acquire(io, limit)
        if io.native:
            return _and_end(await io.wait(limit, self._bare.astream_chat, **encoded.body))
        return ThreadedIterator(lambda: _then_end(self._bare.stream_chat(**encoded.body)))

    def close(self) -> None:
        """Do nothing: the caller owns the LLM's connections."""

    async def aclose(self) -> None:
        """Do nothing: the caller owns the LLM's connections."""

    async def _acquire(self, io: IO, limit: Deadline) -> None:
        limiter: Any = getattr(self.llm, "rate_limiter", None)
        if limiter is not None and io.native:
            await io.wait(limit, limiter.async_acquire)
        elif limiter is not None:
            await io.thread(limit, limiter.acquire)

    def _with_tools(self, request: Request, form: OutputSchema | None, messages: list[ChatMessage]) -> dict[str, Any]:
        """The arguments that the LLM's own tool preparation produces."""
        tools: list[BaseTool] = [tool_of(tool) for tool in request.tools if isinstance(tool, Tool)]
        choice = request.tool_choice
        tool_choice = {"tool_choice": choice.name} if choice is not None and choice.mode == "tool" else {}
        required = choice is not None and choice.mode in ("required", "tool")
        if form is not None:
            tools.append(
                tool_of(Tool(form.name, form.description, form.schema or {"type": "object", "properties": {}}))
            )
            required = True
        prepare: Any = self._bare._prepare_chat_with_tools_compat  # noqa: SLF001  (part of the LLM's contract)
        parallel = request.parallel_tool_calls is not False
        return prepare(
            tools, chat_history=messages, allow_parallel_tool_calls=parallel, tool_required=required, **tool_choice
        )

    def _selected(self, response: ChatResponse) -> list[Any]:
        """The calls of a response, as the LLM itself parses them."""
        return (
            self._bare.get_tool_calls_from_response(response, error_on_no_tool_call=False) if self.model.tools else []
        )

    def __eq__(self, other: object) -> bool:
        """Routes are equal if their LLMs are."""
        if not isinstance(other, LLMProvider):
            return NotImplemented
        return (self.model, self.llm) == (other.model, other.llm)

    def __hash__(self) -> int:
        return hash(self.model)

    def __reduce__(self) -> tuple[Any, ...]:
        return LLMProvider, (self.llm, self.model)


def _then_end(stream: Iterator[ChatResponse]) -> Generator[Any, None, None]:
    yield from stream
    yield END


async def _and_end(stream: AsyncGenerator[ChatResponse, None]) -> AsyncGenerator[Any, None]:
    try:
        async for response in stream:
            yield response
    finally:
        await stream.aclose()
    yield END
