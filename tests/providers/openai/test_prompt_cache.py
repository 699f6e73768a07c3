"""The key that keeps a conversation on one machine of OpenAI's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core import Message, PromptCaching, Request, Route, Tool, ToolCall
from multiroute_core.providers.openai.prompt_cache import build_cache_key
from multiroute_core.providers.openai.provider import CompatibleProvider, OpenAIProvider

TOOL = Tool("f", "Reads.", {"type": "object", "properties": {}})
MESSAGES = (Message("system", "Be brief."), Message("user", "Hi"))
AZURE = "https://us.openai.azure.com/openai/v1"
texts = st.text(max_size=5)
tenants = st.none() | texts.filter(bool)


def body(
    mode: Any = True, model: str = "gpt-6.1-sol", url: str | None = None, kind: Any = OpenAIProvider, **fields: Any
) -> dict[str, Any]:
    caching = None if mode is None else PromptCaching(mode, fields.pop("tenant", None))
    request = Request(fields.pop("messages", MESSAGES), tools=(TOOL,), prompt_cache=caching, **fields)
    return kind("k", url).encode(request, Route(f"openai:{model}", api_key="k"), stream=False).body


@given(texts, st.lists(texts, max_size=3), tenants, tenants)
def test_turns_share_a_key_and_tenants_never_do(first, later, tenant, other):
    start = (Message("system", "s"), Message("user", first))
    request = Request(start, tools=(TOOL,))
    more = (Message("system" if number % 2 else "assistant", text) for number, text in enumerate(later))
    longer = Request((*start, *more), tools=(TOOL,))
    assert build_cache_key(request, tenant) == build_cache_key(longer, tenant)
    assert (build_cache_key(request, tenant) == build_cache_key(request, other)) == (tenant == other)
    assert build_cache_key(Request((Message("user", first + "x"),)), tenant) != build_cache_key(request, tenant)


def test_keys_of_several_types_are_no_error():
    tool = Tool("f", "Reads.", {"type": "object", "properties": {1: {"type": "string"}, "a": {"type": "string"}}})
    call = Message("assistant", [ToolCall("1", "f", {1: "x", "a": "y"})])  # pyright: ignore[reportArgumentType]
    assert len(build_cache_key(Request((call,), tools=(tool,)), None)) == 32


def test_two_tenants_have_two_keys():
    assert body(tenant="a")["prompt_cache_key"] != body(tenant="b")["prompt_cache_key"] != body()["prompt_cache_key"]


def test_every_route_of_the_vendor_sends_the_same_key():
    keys = {
        body(url=url, model=model)["prompt_cache_key"] for url in (None, AZURE) for model in ("gpt-6.1-sol", "gpt-4.1")
    }
    assert len(keys) == 1
    assert all(len(key) <= 64 and key.isalnum() for key in keys)


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("gpt-6.1-sol", {"prompt_cache_options": {"ttl": "30m"}}),
        ("gpt-5.6", {"prompt_cache_options": {"ttl": "30m"}}),
        ("gpt-5.2", {"prompt_cache_retention": "24h"}),
        ("gpt-4.1", {"prompt_cache_retention": "24h"}),
        ("gpt-4.1-mini", {}),
        ("gpt-4o", {}),
        ("my-deployment", {}),
    ],
)
def test_the_longer_expiry_is_asked_of_models_that_have_it(model, fields):
    sent = {name: value for name, value in body("1h", model).items() if name.startswith("prompt_cache")}
    sent.pop("prompt_cache_key")
    assert sent == fields


@pytest.mark.parametrize("mode", [None, False])
def test_nothing_is_sent_without_the_option(mode):
    assert not any(name.startswith("prompt_cache") for name in body(mode))


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://127.0.0.1:1/v1", OpenAIProvider),
        ("https://api.openai.com.example.org/v1", OpenAIProvider),
        ("https://api.mistral.ai/v1", CompatibleProvider),
        ("https://api.openai.com/v1", CompatibleProvider),
    ],
)
def test_compatible_servers_get_no_key(url, kind):
    assert "prompt_cache_key" not in body("1h", url=url, kind=kind)


def test_the_callers_own_key_wins():
    own = body(extra={"openai": {"prompt_cache_key": "mine"}})
    assert own["prompt_cache_key"] == "mine"
