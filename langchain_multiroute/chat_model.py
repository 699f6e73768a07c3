"""MultiRoute as a LangChain chat model."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LangSmithParams, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from pydantic import ConfigDict, Field

from langchain_multiroute.convert import PROVIDERS, chunk_out, message_out, messages_in
from multiroute_core import ConfigurationError, Response, Router
from multiroute_core.adapter import CALL_FIELDS, call_options, fold


class ChatMultiRoute(BaseChatModel):
    """A chat model that asks several routes until one answers.

    It goes wherever a `BaseChatModel` goes. Each answer names the model and the provider that gave it; what it took to
    get it (route, cost in USD, every attempt) stands in `response_metadata["multiroute"]`.

    Args:
        routes: What to ask, the best first: `multiroute_core.Route`s or `"provider:model"` strings. Neither `routes`
            nor `router`: one for each provider whose key is in the environment.
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
        **options: The fields of `multiroute_core.Options` (`task`, `order`, `route_tags`, `deadline`, `fallback`,
            `model`, `tenant`), and the arguments of `multiroute_core.Router` (`attempt_timeout`, `on_event`, …).

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
    order: str | None = None
    route_tags: frozenset[str] | None = None
    deadline: float | None = None
    max_retries: int | None = None
    fallback: bool | None = None
    model: str | None = None
    tenant: str | None = None
    streaming: bool = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**fold(options, type(self).model_fields))

    @property
    def _llm_type(self) -> str:
        return "multiroute"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """Everything that can change an answer: LangChain's cache keys on it."""
        own = {name: value for name in CALL_FIELDS if (value := getattr(self, name)) is not None}
        own["stop_sequences"] = own.pop("stop", None)  # LangChain puts the call's own under `stop`
        if self.route_tags is not None:
            own["route_tags"] = sorted(self.route_tags)  # a set's order changes from process to process
        return {"routes": [(route.name, route.model, route.base_url) for route in self.router.routes], **own}

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind options for the calls to come. Tools themselves are not carried yet.

        Raises:
            ConfigurationError: there are tools.
        """
        if tools or tool_choice is not None:
            raise ConfigurationError("Tools are not carried yet; bind_tools([]) binds options only.")
        return self.bind(**kwargs)

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        first = self.router.routes[0]
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
        return _result(self.router.generate(messages_in(messages), **self._options(stop, kwargs)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _result(await self.router.agenerate(messages_in(messages), **self._options(stop, kwargs)))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        stream = self.router.stream(messages_in(messages), **self._options(stop, kwargs))
        with contextlib.closing(stream):
            for chunk in stream:
                made = ChatGenerationChunk(message=chunk_out(chunk))
                if run_manager is not None:
                    run_manager.on_llm_new_token(made.text, chunk=made)
                yield made

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        stream = self.router.astream(messages_in(messages), **self._options(stop, kwargs))
        async with contextlib.aclosing(stream):
            async for chunk in stream:
                made = ChatGenerationChunk(message=chunk_out(chunk))
                if run_manager is not None:
                    await run_manager.on_llm_new_token(made.text, chunk=made)
                yield made

    def _options(self, stop: Sequence[str] | None, given: dict[str, Any]) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in CALL_FIELDS}
        return call_options(given | {"stop": stop} if stop else given, fields)


def _result(response: Response) -> ChatResult:
    return ChatResult(generations=[ChatGeneration(message=message_out(response))])
