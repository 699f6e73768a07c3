"""MultiRoute as a LangChain chat model: `ChatMultiRoute`."""

from __future__ import annotations

import contextlib
import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun, Callbacks
from langchain_core.language_models import BaseChatModel, LangSmithParams, LanguageModelInput, ModelProfile
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from pydantic import ConfigDict, Field

from langchain_multiroute import binding
from langchain_multiroute.answers import BESIDE_BLOCKS_ONLY, ChunkBuilder, message_out
from langchain_multiroute.blocks import asks_for_citations
from langchain_multiroute.convert import messages_in
from langchain_multiroute.errors import translated
from langchain_multiroute.fields import InheritedFields
from langchain_multiroute.profile import profile
from langchain_multiroute.traces import answered_by, traced
from multiroute_core import Budget, Chunk, Ledger, Limit, Response, Route, Router, parsing
from multiroute_core._util.prototype import Prototype
from multiroute_core._util.redaction import conceal
from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.adapter import (
    CALL_FIELDS,
    DEFAULT,
    ConstructorSignature,
    DisplayableModel,
    advertised,
    call_options,
    collect,
    conceal_key,
    conceal_keys,
    explained_field_errors,
    fold,
    guard_identities,
    plain,
    route_identities,
    to_key_fields,
)
from multiroute_core.events import Hook
from multiroute_core.guards.acceptance import Acceptance, AnswerFunction
from multiroute_core.guards.guard import Check, Guard
from multiroute_core.options import OrderFunction
from multiroute_core.prompts.optimizer import PromptOptimizer
from multiroute_core.provider_table import PROVIDERS
from multiroute_core.state.state import State

CHARACTERS_OF_A_TOKEN = 4
"""Average for most languages and tokenizers."""


class ChatMultiRoute(DisplayableModel, BaseChatModel):
    """A LangChain chat model that falls back across several routes.

    Use it wherever LangChain accepts a `BaseChatModel`. Each message names the model and provider that produced it;
    `response_metadata["multiroute"]` holds the route, the cost in USD and every attempt.

    Args:
        positional: The routes, one by one or as one list; the same as `routes`.
        routes: Routes in order of preference: `multiroute_core.Route`s, `"provider:model"` strings, or LangChain chat
            models. Without `routes` and `router`: one route for each provider whose API key is in the environment.
        router: A `multiroute_core.Router` to share with other models and frameworks, instead of `routes`.
        temperature: 0 to 2.
        max_tokens: Maximum number of tokens to generate.
        top_p: Nucleus sampling, above 0 to 1.
        stop: Stop sequences.
        seed: Seed for repeatable sampling.
        parallel_tool_calls: Whether the model may call several tools in one response.
        reasoning: Reasoning effort (`"none"` to `"max"`) or a budget in tokens.
        extra: Provider-specific options by provider: `{"openai": {"service_tier": "flex"}}`.
        timeout: Seconds until the caller receives output; alias of `deadline`.
        max_retries: How often the routes are retried after all have failed.
        api_key: The API key, if all routes use the same provider.
        streaming: True streams inside `invoke` as well, for handlers that need tokens.
        model: Without `routes` and `router`, the only route: `"provider:model"`, or a name that implies its provider,
            such as `"gpt-6.1-sol"`. Beside them, only routes with this name or model are used.
        deadline: Seconds until the caller receives output, retries and fallbacks included.
        attempt_timeout, first_token_timeout, stall_timeout, total_timeout: Limits of one attempt in seconds; None means
            no limit. These and `hedge_budget`, `cache`, `state`, `budget`, `ledger`, `on_event`, `guards`,
            `prompt_optimizer`, `limit`, `strict_params`, `skip_missing_keys`, `max_response_bytes` are arguments of
            `multiroute_core.Router`, and cannot be given beside `router`.
        fallback, fallback_on, on_stream_error, accept, repairs, prompt_cache, strategy, task, route_tags, region,
            tenant, labels, priority: Options of every call, as in `multiroute_core.Options`.
        **base_fields: The fields of LangChain's `BaseChatModel` (`callbacks`, `tags`, `rate_limiter`, …).

    Raises:
        ConfigurationError: an argument is unknown or out of range, or a key or package is missing.

    Example:
        >>> llm = ChatMultiRoute(routes=["anthropic:claude-sonnet-5-5", "openai:gpt-6.1-sol"])  # doctest: +SKIP
        >>> chain = prompt | llm | StrOutputParser()  # doctest: +SKIP
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, defer_build=True)

    router: Router = Field(exclude=True, repr=False)
    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    stop: list[str] | str | None = None
    seed: int | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Any = None
    extra: dict[str, dict[str, Any]] | None = None
    task: str | None = None
    strategy: str | OrderFunction | None = None
    route_tags: frozenset[str] | None = None
    region: str | None = None
    deadline: float | None = None
    max_retries: int | None = None
    fallback: bool | None = None
    fallback_on: frozenset[str | AnswerFunction] | None = None
    accept: Any = None
    repairs: int | None = None
    prompt_cache: bool | Literal["1h"] | None = None
    on_stream_error: Literal["raise", "restart", "continue"] | None = None
    model: str | None = None
    tenant: str | None = None
    labels: frozenset[str] | None = None
    priority: Literal["interactive", "batch"] | None = None
    streaming: bool = False

    if TYPE_CHECKING:
        # Fields of LangChain's that jedi misses behind generic base classes.
        cache: Any = None
        name: str | None = None
        verbose: bool = False
        callbacks: Callbacks = None
        tags: list[str] | None = None
        metadata: dict[str, Any] | None = None
        custom_get_token_ids: Callable[[str], list[int]] | None = None
    else:
        __signature__ = ConstructorSignature()

    def __init__(
        self,
        *positional: Route | str | BaseChatModel | Iterable[Route | str | BaseChatModel],
        routes: Route | str | BaseChatModel | Iterable[Route | str | BaseChatModel] | None = None,
        router: Router | None = None,
        model: str | None = None,
        api_key: Any = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        top_p: float | None = None,
        stop: list[str] | str | None = None,
        seed: int | None = None,
        parallel_tool_calls: bool | None = None,
        reasoning: Any = None,
        extra: dict[str, dict[str, Any]] | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
        attempt_timeout: float | None = DEFAULT,
        first_token_timeout: float | None = DEFAULT,
        stall_timeout: float | None = DEFAULT,
        total_timeout: float | None = DEFAULT,
        max_retries: int | None = None,
        fallback: bool | None = None,
        fallback_on: Iterable[str | AnswerFunction] | None = None,
        on_stream_error: Literal["raise", "restart", "continue"] | None = None,
        accept: Acceptance | Iterable[Acceptance] | None = None,
        repairs: int | None = None,
        prompt_cache: bool | Literal["1h"] | None = None,
        strategy: str | OrderFunction | None = None,
        hedge_budget: float | None = None,
        task: str | None = None,
        route_tags: Iterable[str] | None = None,
        region: str | None = None,
        tenant: str | None = None,
        labels: Iterable[str] | None = None,
        priority: Literal["interactive", "batch"] | None = None,
        cache: Any = None,
        state: str | State | None = None,
        budget: Budget | Sequence[Budget] | None = None,
        ledger: str | Ledger | None = None,
        on_event: Sequence[Hook] | None = None,
        guards: Iterable[Guard | Check] | None = None,
        limit: Limit | Sequence[Limit] | None = None,
        prompt_optimizer: bool | PromptOptimizer | None = None,
        strict_params: bool | None = None,
        skip_missing_keys: bool | None = None,
        max_response_bytes: int | None = DEFAULT,
        streaming: bool | None = None,
        **base_fields: Unpack[InheritedFields],
    ) -> None:
        # A traceback may show local variables.
        api_key = conceal_key(api_key)
        cache = conceal(cache)
        state = conceal(state)
        ledger = conceal(ledger)
        conceal_keys(base_fields)  # at run time there may be any name
        options = collect("ChatMultiRoute", locals(), type(self).model_fields)
        if not plain(options.get("routes")):
            from langchain_multiroute import wrap

            options["routes"] = wrap.routes(options["routes"])
        with explained_field_errors():
            super().__init__(**fold(options, type(self).model_fields))

    @property
    def _llm_type(self) -> str:
        return "multiroute"

    def _convert_input(self, model_input: LanguageModelInput) -> PromptValue:
        try:
            return super()._convert_input(model_input)
        except NotImplementedError:  # it holds an object that is not a message
            parsing.conversation.read(model_input)
            raise

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        return {**self._identifying_params, "_type": self._llm_type, "stop": stop, **kwargs}

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """Everything that can change a response; LangChain's cache uses it as a key."""
        attributes = self.__dict__
        own = {name: value for name in _KEY_FIELDS if (value := attributes[name]) is not None}
        own["stop_sequences"] = own.pop("stop", None)  # LangChain stores the per-call value under `stop`
        if guards := guard_identities(self.router):
            own["guards"] = guards
        return {"routes": list(route_identities(self.router)), **to_key_fields(own)}

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools to the model.

        Args:
            tools: Functions, pydantic models, LangChain tools, or dicts in any provider's format. A provider's built-in
                tool is sent to that provider only.
            tool_choice: `"auto"`, `"none"`, `"required"` (or `"any"`, True), the name of a tool, or any provider's
                format.
            strict: Whether arguments must match their schemas exactly.
            parallel_tool_calls: Whether the model may call several tools in one response.
            **kwargs: Other options to bind, such as `response_format`.

        Raises:
            ConfigurationError: a value is not a valid tool, or `tool_choice` matches none of the tools.
        """
        options = binding.bound_tools(tools, tool_choice, parallel_tool_calls, strict=strict)
        if strict is not None and "response_format" in kwargs:
            kwargs["strict"] = strict
        return self.bind(**options, **kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type | None = None,
        *,
        method: Literal["function_calling", "json_mode", "json_schema"] = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Return a runnable that produces structured output.

        Args:
            schema: A pydantic model, a TypedDict, a JSON schema or an OpenAI function definition. The output is an
                instance of the pydantic model, otherwise a dict.
            method: `"json_schema"` makes the provider enforce the schema, `"function_calling"` makes the model call a
                tool with that schema, `"json_mode"` requests any JSON object; the prompt must then describe its
                content.
            include_raw: Return a dict with the `raw` message, the `parsed` value and the `parsing_error`.
            strict: Whether the provider must enforce the schema exactly, if it supports that.
            **kwargs: Other options to bind.

        Raises:
            ConfigurationError: the method is unknown, or the schema is not valid.
        """
        from langchain_multiroute import structured

        options = structured.build_bind_kwargs(schema, method, strict=strict)
        if method == "function_calling":
            model = self.bind_tools([schema], tool_choice="any", strict=strict, **options, **kwargs)  # pyright: ignore[reportArgumentType]
        else:
            model = self.bind(**options, **kwargs)
        reader = structured.parser(schema, method)
        return structured.with_raw(model, reader) if include_raw else model | reader

    def get_num_tokens(self, text: str) -> int:
        """Estimate the number of tokens of a text, without network access or a provider's tokenizer."""
        if self.custom_get_token_ids is not None:
            return len(self.custom_get_token_ids(text))
        return -(-len(text) // CHARACTERS_OF_A_TOKEN)

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """Estimate the number of tokens of messages and tools."""
        if self.custom_get_token_ids is not None:
            return super().get_num_tokens_from_messages(messages)
        # Not by `tools=`, which the oldest langchain-core lacks.
        characters = len(json.dumps([binding.tool_dict(tool) for tool in tools], default=str)) if tools else 0
        return count_tokens_approximately(messages) + -(-characters // CHARACTERS_OF_A_TOKEN)

    def _resolve_model_profile(self) -> ModelProfile | None:
        return profile(advertised(self.router))

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        model = kwargs.get("model") or self.model
        routes = self.router.routes
        first = next((route for route in routes if model in (route.name, route.model)), routes[0])
        spec = PROVIDERS.get(first.provider)
        params["ls_provider"] = first.provider if spec is None else spec.langchain_name
        params.setdefault("ls_model_name", first.model)
        return params

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with translated(), traced(self.router, run_manager) as router:
            return _result(router.generate(messages_in(messages), **self._options(stop, kwargs)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with translated():
            async with traced(self.router, run_manager) as router:
                return _result(await router.agenerate(messages_in(messages), **self._options(stop, kwargs)))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        with translated(), traced(self.router, run_manager) as router:
            options = self._unrepeated(self._options(stop, kwargs))
            pieces = self._pieces(options, messages)
            with contextlib.closing(router.stream(messages_in(messages), **options)) as stream:
                for chunk in stream:
                    generation = _generation(pieces, chunk)
                    if run_manager is not None:
                        run_manager.on_llm_new_token(generation.text, chunk=generation)
                    yield generation

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        with translated():
            options = self._unrepeated(self._options(stop, kwargs))
            pieces = self._pieces(options, messages)
            async with (
                traced(self.router, run_manager) as router,
                contextlib.aclosing(router.astream(messages_in(messages), **options)) as stream,
            ):
                async for chunk in stream:
                    generation = _generation(pieces, chunk)
                    if run_manager is not None:
                        await run_manager.on_llm_new_token(generation.text, chunk=generation)
                    yield generation

    def _options(self, stop: Sequence[str] | None, overrides: dict[str, Any]) -> dict[str, Any]:
        attributes = self.__dict__
        fields = {name: attributes[name] for name in CALL_FIELDS}
        return call_options(
            binding.options(overrides | {"stop": stop} if stop else overrides) if overrides or stop else overrides,
            fields,
        )

    def _unrepeated(self, options: dict[str, Any]) -> dict[str, Any]:
        """Replace `on_stream_error="restart"` by `"raise"`: LangChain concatenates chunks, so none can be retracted."""
        how = options.get("on_stream_error") or self.router.options.on_stream_error
        return {**options, "on_stream_error": "raise"} if how == "restart" else options

    def _pieces(self, options: dict[str, Any], messages: list[BaseMessage]) -> ChunkBuilder:
        """A chunk builder; it emits content blocks from the first chunk if non-text content is likely."""
        tools: Sequence[Any] = options.get("tools") or ()
        providers = {route.provider for route in self.router.routes}
        return ChunkBuilder(
            blocks=self.output_version == "v1"
            or options.get("reasoning") is not None
            or any("function" not in tool and tool.get("type") != "custom" for tool in tools)
            or bool(tools and providers & BESIDE_BLOCKS_ONLY)
            or any(isinstance(message.content, list) and asks_for_citations(message.content) for message in messages)
        )


_KEY_FIELDS = tuple(name for name in CALL_FIELDS if name not in ("labels", "priority", "prompt_cache"))
"""The options that can change a response; labels, priority and prompt caching change its cost and its time only."""

_GENERATION = Prototype(ChatGeneration(message=AIMessage(content=""), generation_info=None))
_GENERATION_CHUNK = Prototype(ChatGenerationChunk(message=AIMessageChunk(content=""), generation_info=None))


def _result(response: Response) -> ChatResult:
    message = message_out(response)
    generation_info = answered_by(response, message.response_metadata)
    if type(text := message.content) is str:
        generation = _GENERATION.build(message=message, text=text, generation_info=generation_info)
    else:
        generation = ChatGeneration(message=message, generation_info=generation_info)
    return ChatResult(generations=[generation])


def _generation(pieces: ChunkBuilder, chunk: Chunk) -> ChatGenerationChunk:
    message = pieces.chunk(chunk)
    response = chunk.response
    if response is None and type(text := message.content) is str:
        return _GENERATION_CHUNK.build(message=message, text=text)
    generation_info = None if response is None else answered_by(response, message.response_metadata)
    return ChatGenerationChunk(message=message, generation_info=generation_info)


# LangChain inspects these signatures on every call; a precomputed `__signature__` is faster.
for _method in (ChatMultiRoute._generate, ChatMultiRoute._agenerate):  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    _method.__signature__ = inspect.signature(_method)  # pyright: ignore[reportFunctionMemberAccess]
