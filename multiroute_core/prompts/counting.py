"""Token counts of prompts: with tiktoken for models of OpenAI where it can be used offline, otherwise estimates.

tiktoken downloads the file of an encoding when it is first used. A count must not wait for a network, so it is used
only if the file is in its cache: https://github.com/openai/tiktoken/blob/main/tiktoken/load.py (2026-11-30).
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from multiroute_core.display import card
from multiroute_core.display.blocks import Table
from multiroute_core.display.displayable import Displayable
from multiroute_core.messages import Message, Reasoning, Text, ToolCallResponse
from multiroute_core.options import invalid
from multiroute_core.parsing import token_count
from multiroute_core.parsing.arguments import Messages, build
from multiroute_core.prompts.edits import CountText
from multiroute_core.types import Request

_ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/"
_DEFAULT_ENCODING = "o200k_base"
"""The encoding of OpenAI's models since GPT-4o, for names that tiktoken does not know yet."""


@dataclass(frozen=True, slots=True)
class TokenCount(Displayable):
    """How many tokens a prompt has.

    Attributes:
        tokens: The number of tokens.
        method: `"provider"` (counted by the provider, exact), `"tiktoken"` (the text is exact, what the provider adds
            is estimated), or `"estimate"`.
        route: The route whose provider counted it, or would have; empty if there is none.
        reason: Why the provider has not counted it, as a sentence; empty if it has, or was not asked.

    Example:
        >>> count_tokens("Hello").tokens
        7
    """

    tokens: int
    method: Literal["provider", "tiktoken", "estimate"]
    route: str = ""
    reason: str = ""

    @property
    def exact(self) -> bool:
        """Whether the provider counted it."""
        return self.method == "provider"

    def __int__(self) -> int:
        return self.tokens

    def _display(self) -> list[Table]:
        return [
            card.facts(
                ("tokens", f"{self.tokens:,}"), ("method", self.method), ("route", self.route), ("reason", self.reason)
            )
        ]


def count_tokens(messages: Messages, tools: Sequence[Any] | None = None, model: str | None = None) -> TokenCount:
    """Count the tokens of a prompt without a network.

    `Router.count_tokens` asks the provider, which is exact.

    Args:
        messages: As in `Router.generate`.
        tools: The tools, which are part of a prompt; none by default.
        model: A model such as `"openai:gpt-4.1"`. For models of OpenAI, tiktoken counts the texts if it is installed
            and has the file of the encoding in its cache; for others, and by default, the count is an estimate.

    Raises:
        ConfigurationError: The messages, the tools or the model are invalid.

    Example:
        >>> count_tokens([("system", "Be brief."), ("user", "Name a colour.")]).method
        'estimate'
    """
    request, _ = build(messages, {"tools": tools})
    encoding = find_encoding(model)
    count = token_count.of_text if encoding is None else encoding
    return TokenCount(count_request(request, count), "estimate" if encoding is None else "tiktoken")


def find_encoding(model: str | None) -> CountText | None:
    """Return what counts the tokens of texts for a model of OpenAI; None where only an estimate is possible.

    Raises:
        ConfigurationError: The model is not a string.
    """
    if model is None:
        return None
    if not isinstance(cast("Any", model), str) or not model:
        raise invalid("model", model, "a model, such as 'openai:gpt-4.1'")
    provider, colon, name = model.partition(":")
    if colon and provider != "openai":
        return None
    return _load_encoding(name if colon else model)


@functools.lru_cache(maxsize=32)
def _load_encoding(name: str) -> CountText | None:
    try:
        tiktoken: Any = importlib.import_module("tiktoken")
        names: Any = importlib.import_module("tiktoken.model")
    except ImportError:
        return None
    try:
        encoding_name: str = names.encoding_name_for_model(name)
    except KeyError:
        if not name.startswith(("gpt-", "chatgpt-", "o1", "o3", "o4", "ft:gpt-")):
            return None
        encoding_name = _DEFAULT_ENCODING
    if not _is_cached(encoding_name):
        return None
    encode: Callable[[str], list[int]] = tiktoken.get_encoding(encoding_name).encode_ordinary
    return lambda text: len(encode(text))


def _is_cached(encoding_name: str) -> bool:
    """Whether the file of an encoding is in tiktoken's cache."""
    folder = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    path = Path(folder or Path(tempfile.gettempdir()) / "data-gym-cache")
    address = f"{_ADDRESS}{encoding_name}.tiktoken"
    return (path / hashlib.sha1(address.encode(), usedforsecurity=False).hexdigest()).is_file()


def count_request(request: Request, count: CountText) -> int:
    """Return the tokens of a request's messages, tools and output schema."""
    return count_messages(request.messages, count) + token_count.of_tools(request) + 1


def count_messages(messages: Iterable[Message], count: CountText) -> int:
    """Return the tokens of messages; what is not text is estimated."""
    return sum([count_message(message, count) for message in messages])


def count_message(message: Message, count: CountText) -> int:
    """Return the tokens of a message; what is not text is estimated."""
    if count is token_count.of_text:
        return token_count.PER_MESSAGE + token_count.of_parts(message.parts)
    return token_count.PER_MESSAGE + _count_parts(message.parts, count)


def _count_parts(parts: tuple[Any, ...], count: CountText) -> int:
    total = 0
    for part in parts:
        if isinstance(part, Text | Reasoning):
            total += count(part.text)
        elif isinstance(part, ToolCallResponse):
            total += _count_parts(part.parts, count) + token_count.PER_TOOL
        else:
            total += token_count.of_parts((part,))
    return total
