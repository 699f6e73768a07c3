"""The calls of a router, with each option as a parameter of its own.

The overloads are for editors: type checkers read `Unpack[CallOptions]`, but jedi, which completes in Jupyter and
Spyder, does not (PEP 692).
"""

from __future__ import annotations

import contextvars
import itertools
import os
from collections.abc import AsyncGenerator, Generator, Iterable, Mapping, Sequence
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Literal, Unpack, cast, get_overloads, overload

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.engine.parts import Engine
from multiroute_core.errors import ConfigurationError
from multiroute_core.guards.acceptance import Acceptance, AnswerFunction
from multiroute_core.options import OrderFunction
from multiroute_core.parsing.arguments import CallOptions, Messages, show_call_options
from multiroute_core.routing.call import Call
from multiroute_core.runtime.async_io import AsyncIO
from multiroute_core.runtime.clock import Clock
from multiroute_core.runtime.run_sync import iterate, run
from multiroute_core.runtime.sync_io import SyncIO
from multiroute_core.types import Chunk, Response

if TYPE_CHECKING:
    import openai

    from multiroute_core.serving.call import ServedRouter

_process = os.urandom(4).hex()
_numbers = itertools.count(1)


@show_call_options
class RouterCalls:
    """The part of a `Router` that sends requests."""

    _world: Clock
    _parts: Engine
    _closed: bool

    @overload
    def generate(self, messages: Messages) -> Response: ...

    @overload
    def generate(
        self,
        messages: Messages,
        *,
        system: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        top_p: float | None = None,
        stop: str | Sequence[str] | None = None,
        seed: int | None = None,
        tools: Sequence[Any] | None = None,
        tool_choice: Any = None,
        parallel_tool_calls: bool | None = None,
        output_schema: Any = None,
        reasoning: Any = None,
        extra: Mapping[str, Mapping[str, Any]] | None = None,
        task: str | None = None,
        strategy: str | OrderFunction | None = None,
        route_tags: Iterable[str] | None = None,
        region: str | None = None,
        deadline: float | None = None,
        max_retries: int | None = None,
        fallback: bool | None = None,
        fallback_on: Iterable[str | AnswerFunction] | None = None,
        on_stream_error: Literal["raise", "restart", "continue"] | None = None,
        accept: Acceptance | Iterable[Acceptance] | None = None,
        repairs: int | None = None,
        prompt_cache: bool | Literal["1h"] | None = None,
        model: str | None = None,
        cache: bool | Literal["refresh"] | None = None,
        tenant: str | None = None,
        labels: Iterable[str] | None = None,
        priority: Literal["interactive", "batch"] | None = None,
    ) -> Response: ...

    def generate(self, messages: Messages, **options: Unpack[CallOptions]) -> Response:
        """Send a request and return the complete response.

        Args:
            messages: A string (the user's turn), or messages: `Message`s, `{"role": …, "content": …}` or `(role,
                content)` pairs.
            **options: Model parameters: `system`, `temperature` (0 to 2), `max_tokens`, `top_p` (above 0 to 1), `stop`
                (strings that end the response), `seed`, and the others in
                `multiroute_core.parsing.arguments.CallOptions`. Routing options, as in `multiroute_core.Options`:
                `task`, `strategy`, `route_tags`, `region`, `deadline` (seconds), `max_retries`, `fallback`,
                `fallback_on`, `on_stream_error`, `accept`, `repairs`, `prompt_cache`, `model`, `cache`, `tenant`,
                `labels`, `priority`.

        Raises:
            ConfigurationError: Invalid input; nothing was sent.
            RouteError: The request itself is invalid, or the only candidate failed.
            BudgetExceededError: A hard budget does not cover the request; nothing was sent.
            LimitExceededError: A limit of the tenant or a label refuses the request; nothing was sent.
            AllRoutesFailedError: All routes failed; `attempts` and `errors` list every attempt.

        Example:
            >>> router.generate("Name a colour.", temperature=0).text  # doctest: +SKIP
            'Blue.'
        """
        io = SyncIO(self._world.now, self._world.sleep)
        parts = self._parts
        call = self._call(messages, options, stream=False, parts=parts)
        del messages, options  # a traceback may show local variables
        answer = parts.answer(io, call)
        try:
            return run(answer)
        except BaseException:
            answer.close()  # an interrupt before its first step would cause a "never awaited" warning
            raise

    @overload
    def agenerate(self, messages: Messages) -> CoroutineType[Any, Any, Response]: ...

    @overload
    def agenerate(
        self,
        messages: Messages,
        *,
        system: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        top_p: float | None = None,
        stop: str | Sequence[str] | None = None,
        seed: int | None = None,
        tools: Sequence[Any] | None = None,
        tool_choice: Any = None,
        parallel_tool_calls: bool | None = None,
        output_schema: Any = None,
        reasoning: Any = None,
        extra: Mapping[str, Mapping[str, Any]] | None = None,
        task: str | None = None,
        strategy: str | OrderFunction | None = None,
        route_tags: Iterable[str] | None = None,
        region: str | None = None,
        deadline: float | None = None,
        max_retries: int | None = None,
        fallback: bool | None = None,
        fallback_on: Iterable[str | AnswerFunction] | None = None,
        on_stream_error: Literal["raise", "restart", "continue"] | None = None,
        accept: Acceptance | Iterable[Acceptance] | None = None,
        repairs: int | None = None,
        prompt_cache: bool | Literal["1h"] | None = None,
        model: str | None = None,
        cache: bool | Literal["refresh"] | None = None,
        tenant: str | None = None,
        labels: Iterable[str] | None = None,
        priority: Literal["interactive", "batch"] | None = None,
    ) -> CoroutineType[Any, Any, Response]: ...

    async def agenerate(self, messages: Messages, **options: Unpack[CallOptions]) -> Response:
        """Async variant of `generate`, on the running event loop."""
        parts = self._parts
        call = self._call(messages, options, stream=False, parts=parts)
        del messages, options  # as in `generate`
        return await parts.answer(AsyncIO(self._world.now), call)

    @overload
    def stream(self, messages: Messages) -> Generator[Chunk, None, None]: ...

    @overload
    def stream(
        self,
        messages: Messages,
        *,
        system: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        top_p: float | None = None,
        stop: str | Sequence[str] | None = None,
        seed: int | None = None,
        tools: Sequence[Any] | None = None,
        tool_choice: Any = None,
        parallel_tool_calls: bool | None = None,
        output_schema: Any = None,
        reasoning: Any = None,
        extra: Mapping[str, Mapping[str, Any]] | None = None,
        task: str | None = None,
        strategy: str | OrderFunction | None = None,
        route_tags: Iterable[str] | None = None,
        region: str | None = None,
        deadline: float | None = None,
        max_retries: int | None = None,
        fallback: bool | None = None,
        fallback_on: Iterable[str | AnswerFunction] | None = None,
        on_stream_error: Literal["raise", "restart", "continue"] | None = None,
        accept: Acceptance | Iterable[Acceptance] | None = None,
        repairs: int | None = None,
        prompt_cache: bool | Literal["1h"] | None = None,
        model: str | None = None,
        cache: bool | Literal["refresh"] | None = None,
        tenant: str | None = None,
        labels: Iterable[str] | None = None,
        priority: Literal["interactive", "batch"] | None = None,
    ) -> Generator[Chunk, None, None]: ...

    def stream(self, messages: Messages, **options: Unpack[CallOptions]) -> Generator[Chunk, None, None]:
        """Send a request and yield the response in chunks; the last chunk carries usage, cost and attempts.

        The input is validated immediately; the first route is called at the first `next`. Arguments and errors are
        those of `generate`; in addition, an interrupted stream raises `StreamInterruptedError` with the `partial`
        response.
        """
        io = SyncIO(self._world.now, self._world.sleep)
        parts = self._parts
        chunks = parts.chunks(io, self._call(messages, options, stream=True, parts=parts))
        return iterate(chunks, contextvars.copy_context())

    @overload
    def astream(self, messages: Messages) -> AsyncGenerator[Chunk, None]: ...

    @overload
    def astream(
        self,
        messages: Messages,
        *,
        system: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        top_p: float | None = None,
        stop: str | Sequence[str] | None = None,
        seed: int | None = None,
        tools: Sequence[Any] | None = None,
        tool_choice: Any = None,
        parallel_tool_calls: bool | None = None,
        output_schema: Any = None,
        reasoning: Any = None,
        extra: Mapping[str, Mapping[str, Any]] | None = None,
        task: str | None = None,
        strategy: str | OrderFunction | None = None,
        route_tags: Iterable[str] | None = None,
        region: str | None = None,
        deadline: float | None = None,
        max_retries: int | None = None,
        fallback: bool | None = None,
        fallback_on: Iterable[str | AnswerFunction] | None = None,
        on_stream_error: Literal["raise", "restart", "continue"] | None = None,
        accept: Acceptance | Iterable[Acceptance] | None = None,
        repairs: int | None = None,
        prompt_cache: bool | Literal["1h"] | None = None,
        model: str | None = None,
        cache: bool | Literal["refresh"] | None = None,
        tenant: str | None = None,
        labels: Iterable[str] | None = None,
        priority: Literal["interactive", "batch"] | None = None,
    ) -> AsyncGenerator[Chunk, None]: ...

    def astream(self, messages: Messages, **options: Unpack[CallOptions]) -> AsyncGenerator[Chunk, None]:
        """Async variant of `stream`, on the running event loop."""
        parts = self._parts
        return parts.chunks(AsyncIO(self._world.now), self._call(messages, options, stream=True, parts=parts))

    def as_openai(self) -> openai.OpenAI:
        """Return a client of OpenAI's SDK whose calls this router answers, in this process and without a socket.

        It has `chat.completions`, `responses` and `models`. `model` is a route, a model or `"auto"`; headers such as
        `x-multiroute-tenant` set routing options. It needs no event loop. Each call makes a new client.

        Raises:
            ConfigurationError: OpenAI's SDK is not installed.

        Example:
            >>> client = router.as_openai()  # doctest: +SKIP
            >>> client.responses.create(model="auto", input="Hello").output_text  # doctest: +SKIP
        """
        from multiroute_core.serving.in_process import build_openai

        return build_openai(cast("ServedRouter", self))

    def as_async_openai(self) -> openai.AsyncOpenAI:
        """Async variant of `as_openai`, on the running event loop."""
        from multiroute_core.serving.in_process import build_async_openai

        return build_async_openai(cast("ServedRouter", self))

    def _call(self, messages: Messages, arguments: CallOptions, *, stream: bool, parts: Engine) -> Call:
        """Validate the arguments of one call; nothing is sent before this has returned.

        `parts` sends the call as well: `reload` may replace the router's components in between.
        """
        if self._closed:
            raise ConfigurationError("This Router is closed; build a new one.")
        request, options, candidates = parts.prepare(messages, arguments, stream=stream)
        if candidates.problem is not None:
            raise ConfigurationError(candidates.problem)
        return Call(f"{_process}-{next(_numbers)}", request, options, candidates.routes, candidates.tokens, stream)


for _name in ("generate", "agenerate", "stream", "astream"):
    # Warnings and profiles show the name. The overloads are registered again, because their name is their key.
    _method = getattr(RouterCalls, _name)
    for _function in (*get_overloads(_method), _method):
        _function.__qualname__ = f"Router.{_name}"
        if _function is not _method:
            overload(_function)
