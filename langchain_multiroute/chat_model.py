"""MultiRoute as a LangChain chat model."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, Literal

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LangSmithParams, LanguageModelInput, ModelProfile
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from pydantic import ConfigDict, Field

from langchain_multiroute import binding
from langchain_multiroute.answers import BESIDE_BLOCKS_ONLY, PROVIDERS, ChunkBuilder, message_out
from langchain_multiroute.blocks import asks_for_citations
from langchain_multiroute.convert import messages_in
from langchain_multiroute.errors import translated
from langchain_multiroute.profile import profile
from langchain_multiroute.traces import answered_by, traced
from multiroute_core import Chunk, Response, Router
from multiroute_core._util.redaction import redact_url
from multiroute_core.adapter import CALL_FIELDS, advertised, call_options, fold, hide_secrets, plain
from multiroute_core.options import OrderFunction

CHARACTERS_OF_A_TOKEN = 4
"""Of most languages, by most tokenizers."""


class ChatMultiRoute(BaseChatModel):
    """A chat model that asks several routes until one answers.

    It goes wherever a `BaseChatModel` goes. Each answer names the model and the provider that gave it; what it took to
    get it (route, cost in USD, every attempt) stands in `response_metadata["multiroute"]`.

    Args:
        routes: What to ask, the best first: `multiroute_core.Route`s, `"provider:model"` strings, or chat models of
            LangChain's. Neither `routes` nor `router`: one for each provider whose key is in the environment.
        router: A `multiroute_core.Router` to share with other models and frameworks, instead of `routes`.
        temperature: 0 to 2.
        max_tokens: Most tokens to generate.
        top_p: Nucleus sampling, above 0 to 1.
        stop: Sequences that end an answer.
        seed: For repeatable sampling.
        parallel_tool_calls: Whether the model may call several tools at once.
        reasoning: How long to think: an effort (`"none"` to `"max"`) or tokens.
        extra: What one vendor takes besides, by its provider: `{"openai": {"service_tier": "flex"}}`.
        timeout: Seconds until the caller has something; the same as `deadline`.
        max_retries: How often the routes are asked again after all have failed.
        api_key: The key, where all routes are one provider's.
        streaming: True streams inside `invoke` as well, for handlers that want tokens.
        **options: The fields of `multiroute_core.Options` (`task`, `order`, `route_tags`, `region`, `deadline`,
            `fallback`, `fallback_on`, `on_stream_error`, `model`, `tenant`, `labels`), and the arguments of
            `multiroute_core.Router` (`attempt_timeout`, `on_event`, …).

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
    fallback_on: frozenset[str] | None = None
    on_stream_error: Literal["raise", "restart", "continue"] | None = None
    model: str | None = None
    tenant: str | None = None
    labels: frozenset[str] | None = None
    streaming: bool = False

    def __init__(self, **options: Any) -> None:
        hide_secrets(options)
        if not plain(options.get("routes")):
            from langchain_multiroute import wrap

            options["routes"] = wrap.routes(options["routes"])
        super().__init__(**fold(options, type(self).model_fields))

    @property
    def _llm_type(self) -> str:
        return "multiroute"

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        return {**self._identifying_params, "_type": self._llm_type, "stop": stop, **kwargs}

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """Everything that can change an answer: LangChain's cache keys on it."""
        own = {name: value for name in CALL_FIELDS if (value := getattr(self, name)) is not None}
        own.pop("labels", None)
        own["stop_sequences"] = own.pop("stop", None)  # LangChain puts the call's own under `stop`
        for name in ("route_tags", "fallback_on"):
            if name in own:
                own[name] = sorted(own[name])  # a set's order changes from process to process
        routes = [(r.name, r.model, r.base_url and redact_url(r.base_url)) for r in self.router.routes]
        return {"routes": routes, **own}

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Give the model tools for the calls to come.

        Args:
            tools: Functions, pydantic models, LangChain's tools, or dicts as any vendor writes them. A tool that a
                vendor runs itself goes to that vendor only.
            tool_choice: Whether one must be used: `"auto"`, `"none"`, `"required"` (or `"any"`, True), a tool's name,
                or as any vendor writes it.
            strict: Whether arguments must keep to their schemas exactly.
            parallel_tool_calls: Whether several may be called at once.
            **kwargs: Other options for the calls to come, `response_format` among them.

        Raises:
            ConfigurationError: something is no tool, or the choice fits none of them.
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
        """A runnable that gives answers of a form.

        Args:
            schema: A pydantic model, a TypedDict, a JSON schema or OpenAI's form of a function. Answers are objects of
                the pydantic model, or else dicts.
            method: `"json_schema"` has the vendor keep to the schema, `"function_calling"` has it call a tool of that
                form, `"json_mode"` asks for any JSON object: what is in it, the prompt must say.
            include_raw: Give a dict with the `raw` message, what was `parsed`, and the `parsing_error`.
            strict: Whether the schema must be kept exactly, where the vendor offers that.
            **kwargs: Other options for the calls to come.

        Raises:
            ConfigurationError: the method is unknown, or the schema is none.
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
        """About how many tokens a text has; no network and no vendor's tokenizer is asked."""
        if self.custom_get_token_ids is not None:
            return len(self.custom_get_token_ids(text))
        return -(-len(text) // CHARACTERS_OF_A_TOKEN)

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """About how many tokens messages and tools have."""
        if self.custom_get_token_ids is not None:
            return super().get_num_tokens_from_messages(messages)
        tool_dicts: list[Any] = [binding.tool_dict(tool) for tool in tools or ()]
        return count_tokens_approximately(messages, tools=tool_dicts or None)

    def _resolve_model_profile(self) -> ModelProfile | None:
        return profile(advertised(self.router))

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        model = kwargs.get("model") or self.model
        routes = self.router.routes
        first = next((route for route in routes if model in (route.name, route.model)), routes[0])
        params["ls_provider"] = PROVIDERS.get(first.provider, first.provider)
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
        """LangChain's chunks are added up by whoever reads them, so nothing that was said can be taken back."""
        how = options.get("on_stream_error") or self.router.options.on_stream_error
        return {**options, "on_stream_error": "raise"} if how == "restart" else options

    def _pieces(self, options: dict[str, Any], messages: list[BaseMessage]) -> ChunkBuilder:
        """Chunks in blocks from the beginning, where something else than text is to be expected beside it."""
        tools: Sequence[Any] = options.get("tools") or ()
        providers = {route.provider for route in self.router.routes}
        return ChunkBuilder(
            blocks=self.output_version == "v1"
            or options.get("reasoning") is not None
            or any("function" not in tool and tool.get("type") != "custom" for tool in tools)
            or bool(tools and providers & BESIDE_BLOCKS_ONLY)
            or any(isinstance(message.content, list) and asks_for_citations(message.content) for message in messages)
        )


def _result(response: Response) -> ChatResult:
    message = message_out(response)
    generation_info = answered_by(response, message.response_metadata)
    return ChatResult(generations=[ChatGeneration(message=message, generation_info=generation_info)])


def _generation(pieces: ChunkBuilder, chunk: Chunk) -> ChatGenerationChunk:
    message = pieces.chunk(chunk)
    response = chunk.response
    generation_info = None if response is None else answered_by(response, message.response_metadata)
    return ChatGenerationChunk(message=message, generation_info=generation_info)


# LangChain asks for their signatures with every call, and finds those that are there already sooner.
for _method in (ChatMultiRoute._generate, ChatMultiRoute._agenerate):  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    _method.__signature__ = inspect.signature(_method)  # pyright: ignore[reportFunctionMemberAccess]
