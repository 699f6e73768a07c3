"""Prepared requests: equal to the SDK's own but for the body, with its errors, and left alone where it must see them."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
from datetime import date
from typing import Any

import openai
import pytest

from multiroute_core import Route, Router
from multiroute_core.providers.prepared_requests import MAX_TEMPLATES, SWITCH, RequestTemplate, SdkClient
from multiroute_core.testing.server import ReplayServer, Reply
from tests.chat_server import answer, error
from tests.hostile.mutations import write_body, write_events
from tests.hostile.test_reply_bounds import MODELS, reply, sse
from tests.hostile.wire_server import WireServer
from tests.providers.faces import FACES, STREAMED, ask

pytestmark = pytest.mark.wire

KEY = "KEYMARK-51b2e7"
every_face = pytest.mark.parametrize("face", FACES)
every_wire = pytest.mark.parametrize("wire", ["chat", "responses", "anthropic", "google"])


@pytest.fixture(scope="module")
def server():
    with WireServer() as running:
        yield running


def route(url: str, wire: str = "chat", **more: Any) -> Route:
    if wire in ("chat", "responses"):
        url = f"{url}/v1"
        more["api"] = wire
    return Route(MODELS[wire], base_url=url, api_key=KEY, **more)


def good_reply(wire: str, face: str) -> bytes:
    if face in STREAMED:
        return reply(sse(write_events(wire, tool=False)), "text/event-stream")
    body = json.dumps(write_body(wire, tool=False)).encode()
    return reply(body, content_length=str(len(body)))


def prepared(router: Router) -> list[Any]:
    """The requests that are prepared for the clients of a router."""
    provider: Any = next(iter(router._parts.providers.values()))
    clients: list[SdkClient] = [
        *provider._clients._blocking.values(),
        *(c for c, _ in provider._clients._native.values()),
    ]
    return [template for client in clients for template in client._templates.values()]


async def ask_often(face: str, router: Router, times: int, **options: Any) -> list[Any]:
    """Ask several times in one event loop; returns what is prepared afterwards."""
    for _ in range(times):
        if face == "agenerate":
            await router.agenerate("Hello", **options)
        else:
            async for _ in router.astream("Hello", **options):
                pass
    return prepared(router)


def ask_repeatedly(face: str, router: Router, times: int, **options: Any) -> list[Any]:
    if face.startswith("a"):
        return asyncio.run(ask_often(face, router, times, **options))
    for _ in range(times):
        assert ask(face, router, **options).error is None
    return prepared(router)


class TestRequests:
    @every_face
    @every_wire
    def test_they_equal_the_sdks_own_byte_for_byte(self, server, wire, face):
        server.reply(good_reply(wire, face))
        server.requests()
        with Router([route(server.url, wire)], max_retries=0) as router:
            templates = ask_repeatedly(face, router, 4)
        requests = [data for _, data in server.requests()]
        assert len(requests) == 4
        assert len(set(requests)) == 1
        assert KEY.encode() in requests[0]
        assert [type(template) for template in templates] == [RequestTemplate]

    @every_face
    def test_headers_and_queries_of_a_call_have_templates_of_their_own(self, server, face):
        server.reply(good_reply("chat", face))
        server.requests()

        def extra(value: str) -> dict[str, Any]:
            return {"openai": {"extra_headers": {"X-Trace": value}, "extra_query": {"region": value}}}

        with Router([route(server.url)], max_retries=0) as router:
            for _ in range(3):
                for value in ("one", "two"):
                    assert ask(face, router, extra=extra(value)).error is None
        requests = [data for _, data in server.requests()]
        assert len(requests) == 6
        assert len(set(requests)) == 2
        assert [b"x-trace: one" in request.lower() and b"region=one" in request for request in requests] == [
            True,
            False,
        ] * 3

    def test_a_header_that_changes_with_every_call_fills_no_memory(self, server):
        server.reply(good_reply("chat", "generate"))
        with Router([route(server.url)], max_retries=0) as router:
            for number in range(MAX_TEMPLATES + 8):
                extra = {"openai": {"extra_headers": {"X-Request": str(number)}}}
                assert ask("generate", router, extra=extra).error is None
            provider: Any = next(iter(router._parts.providers.values()))
            client: SdkClient = provider._clients.blocking()
            assert len(client._templates) + len(client._candidates) <= MAX_TEMPLATES

    def test_a_body_that_is_not_plain_json_is_the_sdks_to_encode(self, monkeypatch):
        with ReplayServer(answer("Hello", "m")) as server, Router([route(server.url)], max_retries=0) as router:
            extra = {"openai": {"metadata": {"day": date(2026, 11, 30)}}}
            outcomes = []
            for _ in range(4):
                outcomes.append(ask("generate", router, extra=extra))
                ask("generate", router)
            bodies = [received.body for received in server.requests if b"metadata" in received.body]
        kinds = {outcome.kind for outcome in outcomes}
        assert len(kinds) == 1
        assert len(set(bodies)) <= 1

    @pytest.mark.usefixtures("prepared_requests")
    @every_face
    def test_cookies_of_a_server_go_back_to_it(self, face):
        def reply_with_cookie(received: Any) -> Reply:
            plain = answer("Hello", "m")(received)
            return Reply(200, {**plain.headers, "set-cookie": "session=7; Path=/"}, plain.body, stream=plain.stream)

        with ReplayServer(reply_with_cookie) as server, Router([route(server.url)], max_retries=0) as router:
            ask_repeatedly(face, router, 3)
            cookies = [received.headers.get("cookie") for received in server.requests]
        assert cookies == [None, "session=7", "session=7"]

    @pytest.mark.usefixtures("prepared_requests")
    @every_face
    def test_they_go_through_the_proxy_of_the_environment(self, server, face, monkeypatch):
        monkeypatch.setenv("HTTP_PROXY", server.url)
        server.reply(good_reply("chat", face))
        server.requests()
        with Router([route("http://models.test")], max_retries=0) as router:
            ask_repeatedly(face, router, 2)
        lines = [data.partition(b"\r\n")[0] for _, data in server.requests()]
        assert lines == [b"POST http://models.test/v1/chat/completions HTTP/1.1"] * 2

    @pytest.mark.usefixtures("prepared_requests")
    @every_face
    def test_a_redirect_is_followed_to_the_same_origin_only(self, face):
        def redirect(received: Any) -> Reply:
            if received.path.startswith("/v1"):
                return Reply(307, {"location": target[0]})
            return answer("Moved", "m")(received)

        with ReplayServer(redirect) as here, ReplayServer(answer("Elsewhere", "m")) as elsewhere:
            with Router([route(here.url)], max_retries=0) as router:
                target = [f"{here.url}/v2/chat/completions"]
                assert ask(face, router).text == "Moved"
                assert [received.headers["authorization"] for received in here.requests] == [f"Bearer {KEY}"] * 2
                target = [f"{elsewhere.url}/v2/chat/completions"]
                assert "redirects (HTTP 307) to another origin" in str(ask(face, router).error)
            assert elsewhere.requests == []


class TestErrors:
    @pytest.mark.parametrize("status", [400, 401, 404, 409, 413, 422, 429, 500, 503, 529, 304])
    @every_face
    def test_a_failed_call_has_the_error_of_the_sdk(self, request, monkeypatch, face, status):
        outcomes = []
        with ReplayServer(error(status, "Not now.", retry_after="7")) as server:
            for switch in ("0", "1"):
                monkeypatch.setenv(SWITCH, switch)
                if switch == "1":
                    request.getfixturevalue("prepared_requests")
                with Router([route(server.url)], max_retries=0) as router:
                    outcomes.append(describe(ask(face, router).error))
        assert outcomes[0] == outcomes[1]
        assert outcomes[0][-1].startswith("openai")

    @pytest.mark.parametrize("fault", ["refused", "dropped", "silent"])
    @every_face
    def test_a_broken_connection_has_the_error_of_the_sdk(self, request, server, monkeypatch, face, fault):
        server.reply(*([2.0] if fault == "silent" else []))
        url = "http://127.0.0.1:9" if fault == "refused" else server.url
        outcomes = []
        for switch in ("0", "1"):
            monkeypatch.setenv(SWITCH, switch)
            if switch == "1":
                request.getfixturevalue("prepared_requests")
            with Router([route(url, timeout=0.3)], max_retries=0) as router:
                outcomes.append(describe(ask(face, router).error))
        assert outcomes[0] == outcomes[1]


def describe(failure: Any) -> tuple[Any, ...]:
    """What a caller can see of an error, and of the SDK's error behind it."""
    cause = failure.__cause__
    while cause is not None and not type(cause).__module__.startswith("openai"):
        cause = cause.__cause__
    return (
        type(failure),
        str(failure),
        failure.status,
        failure.retry_after,
        failure.body,
        str(cause),
        getattr(cause, "status_code", None),
        getattr(cause, "body", None),
        f"{type(cause).__module__}.{type(cause).__qualname__}",
    )


class TestTheSdksDoor:
    """Where the SDK, or a library around it, has to see each call."""

    def test_the_switch(self, server, monkeypatch):
        monkeypatch.setenv(SWITCH, "0")
        server.reply(good_reply("chat", "generate"))
        with Router([route(server.url)], max_retries=0) as router:
            assert ask_repeatedly("generate", router, 4) == []

    def test_a_tracer_that_replaced_a_method_sees_every_call(self, server, monkeypatch):
        server.reply(good_reply("chat", "generate"))
        calls = []
        request = openai.OpenAI.request

        def traced(self: Any, *args: Any, **kwargs: Any) -> Any:
            calls.append(args)
            return request(self, *args, **kwargs)

        monkeypatch.setattr(openai.OpenAI, "request", traced)
        with Router([route(server.url)], max_retries=0) as router:
            ask_repeatedly("generate", router, 4)
        assert len(calls) == 4

    def test_the_sdks_log_shows_every_call(self, server, caplog):
        server.reply(good_reply("chat", "generate"))
        with caplog.at_level(logging.DEBUG, "openai"), Router([route(server.url)], max_retries=0) as router:
            ask_repeatedly("generate", router, 4)
        assert len([one for one in caplog.messages if one.startswith("Sending HTTP Request")]) == 4

    def test_a_head_that_changes_between_two_calls_is_never_prepared(self, server, monkeypatch):
        server.reply(good_reply("chat", "generate"))
        with Router([route(server.url)], max_retries=0) as router:
            provider: Any = next(iter(router._parts.providers.values()))
            sdk = provider._clients.blocking().sdk
            keys = iter(range(10))
            monkeypatch.setattr(sdk, "_idempotency_header", "Idempotency-Key")
            monkeypatch.setattr(sdk, "_idempotency_key", lambda: f"key-{next(keys)}")
            server.requests()
            assert ask_repeatedly("generate", router, 4) == [None]
            assert [b"key-%d" % number in data for number, (_, data) in enumerate(server.requests())] == [True] * 4


def test_a_template_shows_and_pickles_no_key(server):
    server.reply(good_reply("chat", "generate"))
    with Router([route(server.url)], max_retries=0) as router:
        (template,) = ask_repeatedly("generate", router, 3)
    assert KEY not in repr(template)
    with pytest.raises(TypeError, match="holds a key"):
        pickle.dumps(template)
