"""Headers, query parameters and body fields of one request, by the SDKs' own names for them in `extra`."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from multiroute_core import ConfigurationError
from multiroute_core.cache.key import key
from multiroute_core.parsing.arguments import build
from multiroute_core.providers import registry
from multiroute_core.testing.server import Received, ReplayServer, Reply
from tests.providers.faces import ask, every_face, routed
from tests.providers.test_stream_ends import JSON, WAYS, every_way, route, streamed

SECRET = "s3cr3t-of-the-gateway"


def sent(server: ReplayServer, way: str, face: str, **options: Any) -> Received:
    """What the server received from one call."""
    server.requests.clear()
    server.serve(lambda _: streamed(*WAYS[way][2]) if "stream" in face else Reply(200, JSON, WAYS[way][1]))
    with routed(route(server, way)) as router:
        outcome = ask(face, router, extra={provider_of(way): options})
    assert outcome.error is None, repr(outcome)
    (received,) = server.requests
    return received


def provider_of(way: str) -> str:
    return {"chat": "openai", "responses": "openai"}.get(way, way)


@every_face
@every_way
def test_each_goes_to_its_place(server: ReplayServer, way: str, face: str) -> None:
    received = sent(
        server,
        way,
        face,
        extra_headers={"X-Gateway-Key": SECRET, "x-trace": "a b"},
        extra_query={"tier": "a&b", "n": 3, "on": True},
        extra_body={"metadata": {"b": 2}},
        metadata={"a": 1},
    )
    assert received.headers["x-gateway-key"] == SECRET
    assert received.headers["x-trace"] == "a b"
    assert {"tier=a%26b", "n=3", "on=true"} <= set(received.path.partition("?")[2].split("&"))
    body = json.loads(received.body)
    assert body["metadata"] == {"a": 1, "b": 2}
    assert not {"extra_headers", "extra_query", "extra_body"} & body.keys()
    if way == "google" and "stream" in face:
        assert "alt=sse" in received.path


@every_face
@pytest.mark.parametrize(
    ("way", "header"), [("chat", "authorization"), ("anthropic", "x-api-key"), ("google", "x-goog-api-key")]
)
def test_another_key_for_one_request(server: ReplayServer, way: str, header: str, face: str) -> None:
    assert sent(server, way, face, extra_headers={header.title(): SECRET}).headers[header] == SECRET
    assert SECRET not in sent(server, way, face).headers.values()


@every_face
@pytest.mark.parametrize("name", ["http_options", "httpOptions"])
def test_the_http_options_of_google(server: ReplayServer, face: str, name: str) -> None:
    options = {name: {"headers": {"X-A": "1"}, "timeout": None}, "extra_headers": {"x-a": "0", "X-B": "2"}}
    received = sent(server, "google", face, **options)
    assert (received.headers["x-a"], received.headers["x-b"]) == ("1", "2")
    assert name not in json.loads(received.body)


@every_face
def test_the_betas_of_anthropic_are_joined(server: ReplayServer, face: str) -> None:
    received = sent(server, "anthropic", face, betas=["a", "b"], extra_headers={"Anthropic-Beta": "b, c"})
    assert received.headers["anthropic-beta"] == "a,b,c"
    assert sent(server, "anthropic", face, extra_headers={"anthropic-beta": "c"}).headers["anthropic-beta"] == "c"


@every_face
def test_a_header_of_our_own_gives_way(server: ReplayServer, face: str) -> None:
    received = sent(server, "anthropic", face, top_k=3, extra_headers={"Anthropic-Version": "2024-01-01"})
    assert received.headers["anthropic-version"] == "2024-01-01"


@pytest.mark.parametrize(
    ("provider", "options", "words"),
    [
        ("openai", {"timeout": 5}, r"Route\(timeout=…\)"),
        ("anthropic", {"timeout": None}, r"Router\(attempt_timeout=…\)"),
        ("gemini", {"timeout": 5}, "timeout"),
        ("openai", {"extra_headers": {"X": 1}}, "'X'.* is a int"),
        ("openai", {"extra_headers": {"X": None}}, "NoneType"),
        ("openai", {"extra_headers": {"X": SECRET + "\n"}}, "'X'.*not allowed in headers"),
        ("anthropic", {"extra_headers": {"X": SECRET + "é"}}, "printable ASCII"),
        ("google", {"extra_headers": {"X Y": SECRET}}, "not a valid header name"),
        ("openai", {"extra_headers": {"": SECRET}}, "not a valid header name"),
        ("openai", {"extra_headers": {1: SECRET}}, "the name 1.*strings as names"),
        ("openai", {"extra_headers": [("X", SECRET)]}, "is a list"),
        ("openai", {"extra_query": {"a": [1]}}, "'a'.*is a list"),
        ("openai", {"extra_query": "a=1"}, "is a str"),
        ("openai", {"extra_body": [1]}, "is a list"),
        ("openai", {"extra_body": {"messages": []}}, "sets 'messages'"),
        ("google", {"http_options": {"timeout": 5}}, r"Route\(timeout=…\)"),
        ("google", {"http_options": {"base_url": "x"}}, r"Route\(base_url=…\)"),
        ("google", {"httpOptions": {"extra_body": {}}}, "extra itself"),
        ("google", {"http_options": {"client_args": {"x": SECRET}}}, "client_args"),
        ("google", {"http_options": {"headers": {"X": 1}}}, "is a int"),
        ("google", {"http_options": SECRET}, "is a str"),
    ],
)
def test_what_cannot_be_sent_is_refused_before(server: ReplayServer, provider: str, options: Any, words: str) -> None:
    server.requests.clear()
    with routed(route(server, "chat")) as router, pytest.raises(ConfigurationError, match=words) as caught:
        router.generate("Hello", extra={provider: options})
    assert SECRET not in str(caught.value)
    assert not server.requests


@pytest.mark.parametrize("options", [{"extra_headers": {"X": SECRET}}, {"http_options": {"headers": {"X": SECRET}}}])
def test_a_header_stands_in_no_repr_and_no_log(
    server: ReplayServer, options: Any, caplog: pytest.LogCaptureFixture
) -> None:
    request, _ = build("Hello", {"extra": {"google": options}})
    chosen = route(server, "google")
    encoded = registry.build(chosen).encode(request, chosen, stream=False)
    assert encoded.headers == {"X": SECRET}
    assert SECRET not in repr(request) + repr(encoded)
    with caplog.at_level(logging.DEBUG, "multiroute"):
        sent(server, "google", "generate", **options)
    assert SECRET not in "".join(record.getMessage() for record in caplog.records if "multiroute" in record.name)


@pytest.mark.parametrize(
    "others",
    [
        [{"extra_headers": {"X": "1"}}, {"extra_headers": {"X": "2"}}, {"extra_headers": {"Y": "1"}}, {}],
        [{"extra_query": {"X": "1"}}, {"extra_query": {"X": "2"}}, {"extra_headers": {"X": "1"}}],
        [{"extra_body": {"X": "1"}}, {"extra_body": {"X": "2"}}],
        [{"http_options": {"headers": {"X": "1"}}}, {"http_options": {"headers": {"X": "2"}}}],
    ],
)
def test_the_cache_tells_them_apart(others: list[Any]) -> None:
    keys = {key(build("Hello", {"extra": {"google": options}})[0], "", None) for options in others}
    assert len(keys) == len(others)


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
@pytest.mark.parametrize(
    ("options", "instead"),
    [
        ({"api_key": SECRET}, "api_key"),
        ({"base_url": "http://elsewhere"}, "base_url"),
        ({"max_retries": 3}, "max_retries"),
        ({"headers": {"x-a": SECRET}}, "extra_headers"),
        ({"default_headers": {"x-a": SECRET}}, "extra_headers"),
        ({"default_query": {"a": "b"}}, "extra_query"),
        ({"idempotency_key": "k"}, "Idempotency-Key"),
        ({"http_options": {"extra_body": {"a": 1}}}, "extra itself"),
    ],
)
def test_settings_of_a_client_are_refused_and_not_sent(provider: str, options: dict[str, Any], instead: str) -> None:
    with pytest.raises(ConfigurationError, match=instead) as caught:
        build("Hello", {"extra": {provider: options}})
    assert SECRET not in str(caught.value)
