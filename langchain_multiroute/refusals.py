"""Refusals as LangChain's standard `refusal` block, stored where LangChain's class for each provider stores them.

`content_blocks` of a message reads them there, and so do LangChain's middleware and output parsers, which raise
`ModelRefusalError`. Cores before 1.7.5 support neither; a refusal then has the format of the provider's LangChain
class.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, cast

from langchain_core import exceptions
from langchain_core.messages import BaseMessage

from multiroute_core import Response
from multiroute_core.messages import is_refusal
from multiroute_core.providers.body import array, mapping, word

UNEXPLAINED = "The model declined to answer."
"""OpenAI's refusal text if the server gave no explanation: LangChain ignores an empty refusal."""


def is_refused(response: Response, model_provider: str) -> bool:
    """Whether LangChain treats a response as a refusal. Of content filters, only Gemini's safety stops count."""
    if response.finish_reason == "content_filter":
        return model_provider == "google_genai"
    return response.finish_reason == "refusal"


def refusal_block(response: Response) -> dict[str, Any]:
    """The standard block of a refusal, with the provider's explanation and category if available."""
    raw = response.raw or {}
    details = mapping(raw.get("stop_details")) or mapping(mapping(raw.get("langchain")).get("stop_details"))
    text = "".join(part.text for part in response.parts if is_refusal(part) and part.text)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType]
    block: dict[str, Any] = {"type": "refusal", "refusal": text or word(details.get("explanation")) or ""}
    if category := word(details.get("category")):
        block["extras"] = {"category": category}
    return block


def add_refusal(response: Response, content: Any, more: dict[str, Any], about: dict[str, Any]) -> Any:
    """Add the refusal to the content, or to the metadata if the provider's LangChain class reads it there.

    Args:
        response: A response that is a refusal.
        content: The message's content without the refusal: a text, or standard blocks.
        more: The message's `additional_kwargs`; may be updated.
        about: The message's `response_metadata`; may be updated.

    Returns:
        The message's content.
    """
    block = refusal_block(response)
    if isinstance(content, list):
        blocks = cast("list[Any]", content)
        return blocks if any(_is_refusal_block(one) for one in blocks) else [*blocks, block]
    match about.get("model_provider"):
        case "openai":
            more["refusal"] = block["refusal"] or UNEXPLAINED
        case "anthropic":
            category = mapping(block.get("extras")).get("category")
            about["stop_reason"] = "refusal"
            about["stop_details"] = {"type": "refusal", "explanation": block["refusal"], "category": category}
        case "google_genai":
            candidate = mapping(next(iter(array((response.raw or {}).get("candidates"))), None))
            about["prompt_feedback"] = {"block_reason": word(candidate.get("finishReason")) or "SAFETY"}
        case _:
            return [{"type": "text", "text": content}, block] if content else [block]
    return content


def _is_refusal_block(block: Any) -> bool:
    return isinstance(block, Mapping) and cast("Mapping[str, Any]", block).get("type") == "refusal"


def check_filter(messages: Iterator[BaseMessage]) -> Iterator[BaseMessage]:
    """Yield the messages. Raises `ModelRefusalError` if a content filter stopped one, as ChatOpenAI does."""
    for message in messages:
        _raise_if_filtered(message)
        yield message


async def acheck_filter(messages: AsyncIterator[BaseMessage]) -> AsyncIterator[BaseMessage]:
    """Async version of `check_filter`."""
    async for message in messages:
        _raise_if_filtered(message)
        yield message


def _raise_if_filtered(message: BaseMessage) -> None:
    error_class: Any = getattr(exceptions, "ModelRefusalError", None)
    if error_class is not None and message.response_metadata.get("finish_reason") == "content_filter":
        raise error_class("Model output was stopped by a content filter", raw_message=message)
