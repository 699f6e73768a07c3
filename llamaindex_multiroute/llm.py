"""MultiRoute as a LlamaIndex LLM: `MultiRoute`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Generator, Iterable, Sequence
from typing import Any, Literal, Unpack, cast

from llama_index.core.base.llms.generic_utils import (
    achat_to_completion_decorator,
    astream_chat_to_completion_decorator,
    chat_to_completion_decorator,
    stream_chat_to_completion_decorator,
)
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.bridge.pydantic import (
    BaseModel,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from llama_index.core.chat_engine.types import AgentChatResponse
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import LLM, ToolSelection
from llama_index.core.program import utils as programs
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import BaseTool
from llama_index.core.types import PydanticProgramMode

from llamaindex_multiroute.answer import Answer, refusing, response_out, selections, single
from llamaindex_multiroute.callback_decorators import report_chat_events, report_completion_events
from llamaindex_multiroute.closing import aclosing, closing, register
from llamaindex_multiroute.convert import messages_in
from llamaindex_multiroute.fields import InheritedFields
from llamaindex_multiroute.schemas import tool_dict
from multiroute_core import Budget, Hook, Ledger, Limit, OrderFunction, PromptOptimizer, Route, Router
from multiroute_core._util.redaction import bare_url, conceal
from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.adapter import (
    CALL_FIELDS,
    DEFAULT,
    DisplayableModel,
    call_options,
    collect,
    conceal_key,
    conceal_keys,
    explained_field_errors,
    fold,
    guard_identities,
    has_tools,
    plain,
    smallest_output,
    smallest_window,
    to_key_fields,
)
from multiroute_core.errors import ConfigurationError
from multiroute_core.guards.acceptance import Acceptance, AnswerFunction
from multiroute_core.guards.guard import Check, Guard
from multiroute_core.state.state import State


class MultiRoute(DisplayableModel, FunctionCallingLLM):
    """A LlamaIndex LLM that falls back across several routes.

    Use it wherever LlamaIndex accepts an `LLM`. The response's `additional_kwargs` hold the model, the provider, the
    route, the cost in USD and every attempt.

    Args:
        positional: The routes, one by one or as one list; the same as `routes`.
        routes: Routes in order of preference: `multiroute_core.Route`s, `"provider:model"` strings, or LlamaIndex LLMs.
            Without `routes` and `router`: one route for each provider whose API key is in the environment.
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
        context_window: Tokens to report to prompt packing; the smallest window of the routes by default.
        model: Without `routes` and `router`, the only route: `"provider:model"`, or a name that implies its provider,
            such as `"gpt-6.1-sol"`. Beside them, only routes with this name or model are used.
        deadline: Seconds until the caller receives output, retries and fallbacks included.
        attempt_timeout, first_token_timeout, stall_timeout, total_timeout: Limits of one attempt in seconds; None means
            no limit. These and `hedge_budget`, `cache`, `state`, `budget`, `ledger`, `on_event`, `guards`,
            `prompt_optimizer`, `limit`, `strict_params`, `skip_missing_keys`, `max_response_bytes` are arguments of
            `multiroute_core.Router`, and cannot be given beside `router`.
        fallback, fallback_on, on_stream_error, accept, repairs, prompt_cache, strategy, task, route_tags, region,
            tenant, labels, priority: Options of every call, as in `multiroute_core.Options`.
        **base_fields: The fields of LlamaIndex's `LLM` (`system_prompt`, `callback_manager`, …).

    Raises:
        ConfigurationError: an argument is unknown or out of range, or a key or package is missing.

    Example:
        >>> Settings.llm = MultiRoute(routes=["openai:gpt-6-luna", "anthropic:claude-haiku-5-5"])  # doctest: +SKIP
    """

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
    context_window: int | None = None

    def __init__(
        self,
        *positional: Route | str | LLM | Iterable[Route | str | LLM],
        routes: Route | str | LLM | Iterable[Route | str | LLM] | None = None,
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
        context_window: int | None = None,
        **base_fields: Unpack[InheritedFields],
    ) -> None:
        # A traceback may show local variables.
        api_key = conceal_key(api_key)
        cache = conceal(cache)
        state = conceal(state)
        ledger = conceal(ledger)
        conceal_keys(base_fields, "routing")  # from a dump: a description of the routes, without keys
        options = collect("MultiRoute", locals(), type(self).model_fields)
        if not plain(options.get("routes")):
            from llamaindex_multiroute.wrap import routes_of

            options["routes"] = routes_of(options["routes"])
        with explained_field_errors():
            super().__init__(**fold(options, type(self).model_fields))

    @classmethod
    def class_name(cls) -> str:
        """The class name for LlamaIndex's serialization."""
        return "MultiRoute"

    @property
    def metadata(self) -> LLMMetadata:
        """Limits for prompt packing: the smallest window and output over the routes that are not `backup`."""
        window = self.context_window or smallest_window(self.router)
        return LLMMetadata(
            context_window=window,
            num_output=min(self.max_tokens or smallest_output(self.router), window // 2),
            is_chat_model=True,
            is_function_calling_model=has_tools(self.router),
            model_name=self.router.routes[0].model,
        )

    @model_serializer(mode="wrap")
    def custom_model_dump(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """Serialize the fields, and the routes under `routing`; LlamaIndex's ingestion cache uses the result as a key.

        URLs exclude user, password and query. An instance rebuilt from a dump gets routes of its own.
        """
        routing = [
            f"{route.name}={route.provider}:{route.model}{f' at {bare_url(route.base_url)}' if route.base_url else ''}"
            for route in self.router.routes
        ]
        routing += [f"guard {identity}" for identity in guard_identities(self.router)]
        functions = {name: getattr(self, name) for name in ("route_tags", "fallback_on", "accept")}
        own = {**handler(self), **to_key_fields(functions)}
        return {**own, "class_name": self.class_name(), "routing": routing}

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for a pickle.

        LlamaIndex leaves out what cannot be pickled, and takes it away from the original as well
        (llama-index-core 0.14.25). A copy would then route without guards, budgets and checks.

        Raises:
            ConfigurationError: The router, or a check, cannot be pickled.
        """
        attributes = dict(vars(self))
        state = super().__getstate__()
        state["__dict__"] = dict(state["__dict__"])
        vars(self).update(attributes)
        for name in ("router", "accept", "fallback_on"):
            if name in attributes and name not in state["__dict__"]:
                raise ConfigurationError(
                    f"This MultiRoute cannot be pickled, because its {name} holds something that cannot be, such as a "
                    "lambda; use functions of a module, or build the LLM in the process that uses it."
                )
        return state

    def to_payload(self) -> dict[str, Any]:
        """The fields for instrumentation, without secrets."""
        inherited = getattr(super(), "to_payload", dict[str, Any])()  # the oldest cores lack it
        return {**inherited, "model": self.router.routes[0].model, "temperature": self.temperature}

    @report_chat_events
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Request a complete response; keyword arguments are those of `multiroute_core.Router.generate`."""
        return self._chat(messages, **kwargs)

    @report_chat_events
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Async version of `chat`."""
        return await self._achat(messages, **kwargs)

    @closing
    @report_chat_events
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Stream a response; each item holds everything received so far."""
        return self._stream_chat(messages, **kwargs)

    @aclosing
    @report_chat_events
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """Async version of `stream_chat`."""
        return await self._astream_chat(messages, **kwargs)

    @report_completion_events
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:  # noqa: FBT001, FBT002
        """Request a complete response to a prompt."""
        return chat_to_completion_decorator(self._chat)(prompt, **kwargs)

    @report_completion_events
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:  # noqa: FBT001, FBT002
        """Async version of `complete`."""
        return await achat_to_completion_decorator(self._achat)(prompt, **kwargs)

    @closing
    @report_completion_events
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:  # noqa: FBT001, FBT002
        """Stream a response to a prompt."""
        return stream_chat_to_completion_decorator(self._stream_chat)(prompt, **kwargs)

    @aclosing
    @report_completion_events
    async def astream_complete(
        self,
        prompt: str,
        formatted: bool = False,  # noqa: FBT001, FBT002
        **kwargs: Any,
    ) -> CompletionResponseAsyncGen:
        """Async version of `stream_complete`."""
        return await astream_chat_to_completion_decorator(self._astream_chat)(prompt, **kwargs)

    def _chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return response_out(self.router.generate(messages_in(messages), **self._options(kwargs)))

    async def _achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return response_out(await self.router.agenerate(messages_in(messages), **self._options(kwargs)))

    def _stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        stream = self.router.stream(messages_in(messages), **self._options(kwargs))

        def responses() -> ChatResponseGen:
            answer = Answer()
            with contextlib.closing(stream):
                for chunk in stream:
                    yield answer.add(chunk)

        return register(responses())

    async def _astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        stream = self.router.astream(messages_in(messages), **self._options(kwargs))

        async def responses() -> ChatResponseAsyncGen:
            answer = Answer()
            async with contextlib.aclosing(stream):
                async for chunk in stream:
                    yield answer.add(chunk)

        return register(responses())

    def _options(self, arguments: dict[str, Any]) -> dict[str, Any]:
        attributes = self.__dict__
        return call_options(arguments, {name: attributes[name] for name in CALL_FIELDS})

    def get_tool_calls_from_response(
        self,
        response: ChatResponse,
        error_on_no_tool_call: bool = True,  # noqa: FBT001, FBT002
        **kwargs: Any,
    ) -> list[ToolSelection]:
        """The tool calls of a response, or of a partial streamed response.

        A call with truncated or malformed arguments gets a name that no tool has and that states the reason, so it
        cannot run.

        Raises:
            ValueError: there is no call, or one is malformed, and `error_on_no_tool_call` is True.
        """
        return selections(response, required=error_on_no_tool_call)

    def predict_and_call(self, *args: Any, **kwargs: Any) -> AgentChatResponse:
        """Request a response with tools, and run the tools that it calls.

        Args:
            *args: Positional arguments of LlamaIndex's `FunctionCallingLLM.predict_and_call`: `tools`, `user_msg`, …
            **kwargs: The same by keyword.

        Raises:
            ValueError: the response calls no tool, unless `error_on_no_tool_call` is False; or the arguments of a call
                are truncated or malformed, so its tool must not run.
        """
        with refusing():
            return super().predict_and_call(*args, **kwargs)

    async def apredict_and_call(self, *args: Any, **kwargs: Any) -> AgentChatResponse:
        """Async version of `predict_and_call`."""
        with refusing():
            return await super().apredict_and_call(*args, **kwargs)

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,  # noqa: FBT001, FBT002
        allow_parallel_tool_calls: bool = False,  # noqa: FBT001, FBT002
        tool_required: bool = False,  # noqa: FBT001, FBT002
        tool_choice: Any = None,
        strict: bool | None = None,  # noqa: FBT001
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The arguments of `chat`. All but the messages is plain JSON, because instrumentation reads it too."""
        messages = list(chat_history or ())
        if user_msg is not None:
            message = ChatMessage(role=MessageRole.USER, content=user_msg) if isinstance(user_msg, str) else user_msg
            messages.append(message)
        offered = [tool_dict(tool) for tool in tools]
        if not offered:
            return {"messages": messages, **kwargs}
        if strict is not None:
            for tool in offered:
                tool["function"]["strict"] = strict
        return {
            "messages": messages,
            "tools": offered,
            "tool_choice": tool_choice or ("required" if tool_required else None),
            "parallel_tool_calls": allow_parallel_tool_calls and self.parallel_tool_calls is not False,
            **kwargs,
        }

    def _validate_chat_with_tools_response(
        self,
        response: ChatResponse,
        tools: Sequence[BaseTool],
        allow_parallel_tool_calls: bool = False,  # noqa: FBT001, FBT002
        **kwargs: Any,
    ) -> ChatResponse:
        """Keep at most one call if parallel calls are not allowed; not every provider supports that setting."""
        return response if allow_parallel_tool_calls else single(response)

    def _structured_stream_call(
        self,
        output_cls: type[BaseModel],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Any, None, None]:
        program = self._program(output_cls, prompt)
        return cast("Generator[Any, None, None]", program.stream_call(llm_kwargs=llm_kwargs, **prompt_args))

    async def _structured_astream_call(
        self,
        output_cls: type[BaseModel],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Any, None]:
        program = self._program(output_cls, prompt)
        return cast("AsyncGenerator[Any, None]", await program.astream_call(llm_kwargs=llm_kwargs, **prompt_args))

    def _program(self, output_cls: type[BaseModel], prompt: PromptTemplate) -> Any:
        """LlamaIndex's own program with the tool required; in streams it makes the tool optional."""
        mode = self.pydantic_program_mode
        by_tool = mode in (PydanticProgramMode.DEFAULT, PydanticProgramMode.FUNCTION)
        demand = {"tool_choice": "required"} if by_tool and self.metadata.is_function_calling_model else {}
        return cast("Any", programs).get_program_for_llm(output_cls, prompt, self, pydantic_program_mode=mode, **demand)
