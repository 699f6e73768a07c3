"""What OpenAI's own tools add to the bill of a Responses API answer: searches, and tokens of an image model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from multiroute_core.providers.body import array, count, mapping, word
from multiroute_core.providers.openai.usage import find_usage, read_usage
from multiroute_core.types import Usage

IMAGE_MODEL = "gpt-image-1"
"""The default model of the image generation tool (openai 2.54, `types/responses/tool.py`)."""


class ServerTools:
    """Charged calls of tools among a response's items.

    Attributes:
        web_searches: "Search actions incur a tool call cost"; opening a page or searching within it is free:
            https://developers.openai.com/api/docs/guides/tools-web-search (2026-11-28). An unknown action counts as a
            search.
        file_searches: Each call costs: https://developers.openai.com/api/docs/pricing (2026-11-30).
    """

    __slots__ = ("file_searches", "web_searches")

    def __init__(self) -> None:
        self.web_searches = 0
        self.file_searches = 0

    def add(self, item: Mapping[str, Any]) -> None:
        """Add a complete item."""
        kind = item.get("type")
        if kind == "web_search_call" and item.get("status") != "failed":
            self.web_searches += mapping(item.get("action")).get("type", "search") == "search"
        elif kind == "file_search_call" and item.get("status") != "failed":
            self.file_searches += 1


def add_tools(body: Mapping[str, Any], tools: ServerTools | None = None) -> Usage | None:
    """Return the token usage of a response, and what OpenAI's tools add to it.

    `tool_usage` counts the tokens of the image model, which are not in `usage`, and the searches. OpenAI sends it, but
    its SDK does not have it (openai 2.54; Wei-Shaw/sub2api, `openai_gateway_usage_test.go`).

    Args:
        body: The response.
        tools: Calls seen in the stream: some servers omit the output from the last event.
    """
    usage = find_usage(body)
    if usage is None:
        return None
    listed = ServerTools()
    for item in array(body.get("output")):
        listed.add(mapping(item))
    tools = tools or listed
    web_searches = max(listed.web_searches, tools.web_searches)
    file_searches = max(listed.file_searches, tools.file_searches)
    if "tool_usage" in body:
        tool_usage = mapping(body["tool_usage"])
        web_searches = count(mapping(tool_usage.get("web_search")).get("num_requests")) or web_searches
        if (images := mapping(tool_usage.get("image_gen"))) and (image_usage := read_usage(images)) is not None:
            usage = _add_images(usage, image_usage, body)
    if web_searches and usage.web_searches is None:
        usage = replace(usage, web_searches=web_searches)
    return replace(usage, file_searches=file_searches) if file_searches else usage


def _add_images(usage: Usage, images: Usage, body: Mapping[str, Any]) -> Usage:
    if not images.total_tokens:
        return usage
    tools = (mapping(tool) for tool in array(body.get("tools")))
    models = (word(tool.get("model")) for tool in tools if tool.get("type") == "image_generation")
    return replace(usage, other_models=((next(models, None) or IMAGE_MODEL, images),))
