"""An answer, put into a history through each face and encoded for each wire. Support for tests, no test.

No socket is opened: the providers' own decoders and encoders do the work, as they do behind a router.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage, messages_from_dict, messages_to_dict
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock

from langchain_multiroute import ChatMultiRoute
from langchain_multiroute import answers as langchain_answers
from langchain_multiroute import convert as langchain_convert
from llamaindex_multiroute import MultiRoute
from llamaindex_multiroute import answer as llamaindex_answer
from llamaindex_multiroute import convert as llamaindex_convert
from multiroute_core import Chunk, Message, Response, Route, Router, ToolCall, ToolCallResponse
from multiroute_core.messages import Part, assemble
from multiroute_core.parsing.arguments import build
from multiroute_core.providers import registry
from multiroute_core.providers.provider import Encoded, Provider, Reply
from multiroute_core.types import Request
from tests import shapes

ROUTES = {
    "anthropic": Route("anthropic:claude-sonnet-4-5", name="anthropic", api_key="k", base_url="http://127.0.0.1:9"),
    "chat": Route("openai:gpt-4o", name="chat", api="chat", api_key="k", base_url="http://127.0.0.1:9/v1"),
    "responses": Route(
        "openai:gpt-6.1-sol", name="responses", api="responses", api_key="k", base_url="http://127.0.0.1:9/v1"
    ),
    "google": Route("google:gemini-3.8-flash", name="google", api_key="k", base_url="http://127.0.0.1:9"),
}


@cache
def providers() -> dict[str, Provider]:
    return registry.build_all(ROUTES.values())


@cache
def asked(wire: str, *, stream: bool = False) -> Encoded:
    """The first request of the conversation."""
    request, _ = build("q", {})
    return providers()[wire].encode(request, ROUTES[wire], stream=stream)


def answered(wire: str, body: Any) -> Response:
    """A whole answer, as a router gives it."""
    delta = providers()[wire].decode(Reply(json.dumps(body).encode(), {}), asked(wire))
    return _response(wire, delta.parts, delta.finish_reason, delta.raw)


def streamed(wire: str, events: Sequence[Any]) -> tuple[Response, list[Chunk]]:
    """A streamed answer, and its chunks."""
    decoder = providers()[wire].decoder(asked(wire, stream=True))
    parts: list[Part] = []
    chunks: list[Chunk] = []
    finish = None
    for event in events:
        if (delta := decoder.feed(event)) is not None:
            parts += delta.parts
            finish = delta.finish_reason or finish
            chunks.append(Chunk(delta.parts))
    response = _response(wire, assemble(parts), finish, None)
    return response, [*chunks, Chunk((), response=response)]


def _response(wire: str, parts: Sequence[Part], finish: Any, raw: Any) -> Response:
    return Response(
        parts=tuple(parts),
        finish_reason=finish,
        usage=None,
        model=ROUTES[wire].model,
        provider=ROUTES[wire].provider,
        route=wire,
        cost=None,
        attempts=(),
        raw=raw,
    )


def encode(wire: str, messages: Sequence[Any]) -> Encoded:
    """The next request, as it goes out."""
    request: Request = build(messages, {})[0]
    encoded = providers()[wire].encode(request, ROUTES[wire], stream=False)
    json.dumps(encoded.body)
    return encoded


def calls(response: Response) -> list[ToolCall]:
    """The calls that a history answers."""
    return [part for part in response.parts if isinstance(part, ToolCall)]


def through_router(response: Response, chunks: Sequence[Chunk] = ()) -> list[Any]:
    turns = [Message("user", "q"), Message("assistant", response.parts)]
    if answers := [ToolCallResponse(call.id, "Done.") for call in calls(response)]:
        return [*turns, Message("tool", answers)]
    return [*turns, Message("user", "and?")]


def through_langchain(response: Response, chunks: Sequence[Chunk] = ()) -> list[Any]:
    message: Any = None
    if chunks:
        pieces = langchain_answers.ChunkBuilder(blocks=False)
        for chunk in chunks:
            piece = pieces.chunk(chunk)
            message = piece if message is None else message + piece
    else:
        message = langchain_answers.message_out(response)
    (message,) = messages_from_dict(json.loads(json.dumps(messages_to_dict([message]))))  # as a checkpoint keeps it
    turns = [HumanMessage("q"), message]
    ends: list[Any] = [ToolMessage("Done.", tool_call_id=call["id"] or "") for call in message.tool_calls]
    ends = ends or [HumanMessage("and?")]
    assert isinstance(message, AIMessage)
    return list(langchain_convert.messages_in([*turns, *ends]))


def through_llamaindex(response: Response, chunks: Sequence[Chunk] = ()) -> list[Any]:
    if chunks:
        growing = llamaindex_answer.Answer()
        message = [growing.add(chunk) for chunk in chunks][-1].message
    else:
        message = llamaindex_answer.response_out(response).message
    message = ChatMessage.model_validate_json(message.model_dump_json())  # as a memory keeps it
    wanted = [block.tool_call_id for block in message.blocks if isinstance(block, ToolCallBlock)]
    ends = [
        ChatMessage(role="tool", content="Done.", additional_kwargs={"tool_call_id": call_id}) for call_id in wanted
    ] or [ChatMessage(role="user", content="and?")]
    return list(llamaindex_convert.messages_in([ChatMessage(role="user", content="q"), message, *ends]))


FACES: dict[str, Callable[..., list[Any]]] = {
    "router": through_router,
    "langchain": through_langchain,
    "llamaindex": through_llamaindex,
}


def sent(wire: str, body: Any) -> list[Any]:
    """What goes out of the model's answer, as its blocks, items, message or parts."""
    match wire:
        case "anthropic":
            content = [turn["content"] for turn in body["messages"] if turn["role"] == "assistant"]
            blocks = [[{"type": "text", "text": one}] if isinstance(one, str) else one for one in content]
            return [block for turn in blocks for block in turn]
        case "chat":
            return [message for message in body["messages"] if message["role"] == "assistant"]
        case "responses":
            items = [item for item in body["input"] if item.get("role") != "user" or "type" in item]
            return [item for item in items if item.get("output") != "Done."]
        case _:
            return [part for turn in body["contents"] if turn["role"] == "model" for part in turn["parts"]]


def given(wire: str, body: Any) -> list[Any]:
    """The same of the answer."""
    match wire:
        case "anthropic":
            return body["content"]
        case "chat":
            return [body["choices"][0].get("message", {})]
        case "responses":
            return body["output"]
        case _:
            return body["candidates"][0].get("content", {}).get("parts", [])


def hello(wire: str) -> dict[str, Any]:
    """A plain answer."""
    match wire:
        case "anthropic":
            return shapes.anthropic_message([{"type": "text", "text": "Hello"}])
        case "chat":
            return shapes.chat_body({"role": "assistant", "content": "Hello"})
        case "responses":
            return shapes.responses_body([shapes.REPLY])
        case _:
            return shapes.google_body([{"text": "Hello"}])


def route_at(wire: str, url: str) -> Route:
    """The wire's route, with a server at `url`."""
    known = ROUTES[wire]
    where = url + ("/v1" if wire in ("chat", "responses") else "")
    return Route(f"{known.provider}:{known.model}", name=wire, api=known.api, api_key="k", base_url=where)


def asking(wire: str, url: str) -> dict[str, Callable[[], None]]:
    """A conversation of two turns through each face, with a server at `url`."""
    router = Router([route_at(wire, url)], max_retries=0)
    chat = ChatMultiRoute(router=router)
    llm = MultiRoute(router=router)

    def with_router() -> None:
        router.generate(through_router(router.generate("q")))

    def with_langchain() -> None:
        message = chat.invoke([HumanMessage("q")])
        ends: list[Any] = [ToolMessage("Done.", tool_call_id=call["id"] or "") for call in message.tool_calls]
        chat.invoke([HumanMessage("q"), message, *(ends or [HumanMessage("and?")])])

    def with_llamaindex() -> None:
        question = ChatMessage(role="user", content="q")
        message = llm.chat([question]).message
        wanted = [block.tool_call_id for block in message.blocks if isinstance(block, ToolCallBlock)]
        ends = [ChatMessage(role="tool", content="Done.", additional_kwargs={"tool_call_id": one}) for one in wanted]
        llm.chat([question, message, *(ends or [ChatMessage(role="user", content="and?")])])

    return {"router": with_router, "langchain": with_langchain, "llamaindex": with_llamaindex}
