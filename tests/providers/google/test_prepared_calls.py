"""Prepared requests to Gemini beside the SDK's own: the same requests, answers, streams and errors, and where none is."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import json
import logging
import math
import re
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core import Route, Router
from multiroute_core.providers import httptools_transport
from multiroute_core.providers.direct_calls import DirectSender
from multiroute_core.providers.google.stream_events import read_events
from multiroute_core.providers.prepared_requests import SWITCH, RequestTemplate
from multiroute_core.testing.server import Drop, ReplayServer, Reply
from tests.hostile.test_reply_bounds import reply
from tests.hostile.wire_server import WireServer
from tests.providers.faces import FACES, STREAMED, ask, ask_natively
from tests.providers.google.gemini import ANSWER, SSE, plain
from tests.providers.google.odd_bodies import FIRST, GOOD_STREAM, OVERLOADED, PLAIN_BODIES, STREAM_BODIES

genai = pytest.importorskip("google.genai", reason="google-genai is not installed")

from multiroute_core.providers.google import genai as provider_module  # noqa: E402

pytestmark = pytest.mark.wire

KEY = "KEYMARK-90f3aa"
UNPARSED = re.compile(r"Failed to parse response as JSON|is not valid JSON")
"""How the SDK and we say the same."""

TEXT = {**dict.fromkeys(FACES, "Hello there"), **dict.fromkeys(STREAMED, "Hello")}
every_face = pytest.mark.parametrize("face", FACES)
streamed_faces = pytest.mark.parametrize("face", STREAMED)


def good(received: Any) -> Reply:
    if "stream" in received.path:
        return Reply(200, SSE, [GOOD_STREAM], stream=True)
    return plain(ANSWER)


@pytest.fixture(scope="module")
def server():
    with ReplayServer() as running:
        yield running


@pytest.fixture(params=["httpx", "httpx2"])
def library(request, monkeypatch):
    """Each HTTP library that the SDK takes clients of."""
    module = pytest.importorskip(request.param)
    if not issubclass(module.Response, getattr(genai.errors, "_HTTPX_RESPONSE_TYPES", httpx.Response)):
        pytest.skip("this version of the SDK does not know it")
    monkeypatch.setattr(provider_module, "_http_library", lambda sdk: module)
    return module


def route(url: str, **more: Any) -> Route:
    return Route("google:gemini-3.8-flash", base_url=url, api_key=KEY, **more)


def ask_repeatedly(face: str, router: Router, times: int, **options: Any) -> tuple[list[Any], list[Any]]:
    """The outcomes of several calls in one event loop, and what is prepared after them."""

    def read_templates() -> list[Any]:
        provider: Any = next(iter(router._parts.providers.values()))
        clients = (*provider._clients._blocking.values(), *(one for one, _ in provider._clients._native.values()))
        return [template for client in clients for template in client._templates.values()]

    async def main() -> tuple[list[Any], list[Any]]:
        outcomes = [await ask_natively(face, router, "Hello", options) for _ in range(times)]
        return outcomes, read_templates()

    if face.startswith("a"):
        return asyncio.run(main())
    return [ask(face, router, **options) for _ in range(times)], read_templates()


def ask_both(server: Any, face: str, last: Any, **options: Any) -> tuple[Any, Any]:
    """What comes of the same answer to a request of the SDK, and to a prepared one."""
    outcomes = []
    for switch in ("0", "1"):
        served = []

        def serve(received: Any, served: list[Any] = served) -> Reply:
            served.append(received)
            if len(served) <= 3:
                return good(received)
            return last if isinstance(last, Reply) else last(received)

        server.serve(serve)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(SWITCH, switch)
            with Router([route(server.url, timeout=5)], max_retries=0) as router:
                (*before, outcome), templates = ask_repeatedly(face, router, 4, **options)
        assert [one.text for one in before] == [TEXT[face]] * 3
        assert [type(template) for template in templates] == ([] if switch == "0" else [RequestTemplate])
        outcomes.append(outcome)
    return outcomes[0], outcomes[1]


def describe(outcome: Any) -> tuple[Any, ...]:
    """What a caller sees of a call."""
    error = outcome.error
    seen: tuple[Any, ...] = (outcome.text, outcome.finish_reason, outcome.usage, outcome.kind)
    if error is None:
        return seen
    words = None if UNPARSED.search(str(error)) else (str(error), error.body)
    return (*seen, words, error.status, error.retry_after, error.request_id)


class TestRequests:
    @every_face
    def test_they_equal_the_sdks_own_byte_for_byte(self, face, library):
        body = GOOD_STREAM if face in STREAMED else json.dumps(ANSWER).encode()
        kind = "text/event-stream" if face in STREAMED else "application/json"
        with WireServer() as server:
            server.reply(reply(body, kind, content_length=str(len(body))))
            with Router([route(server.url)], max_retries=0) as router:
                outcomes, templates = ask_repeatedly(face, router, 4)
            requests = [data for _, data in server.requests()]
        assert [outcome.text for outcome in outcomes] == [TEXT[face]] * 4
        assert len(requests) == 4
        assert len(set(requests)) == 1
        assert KEY.encode() in requests[0]
        assert [type(template) for template in templates] == [RequestTemplate]

    @every_face
    def test_they_are_sent_directly(self, server, face, library, monkeypatch):
        if not httptools_transport._is_installed():
            pytest.skip("httptools is not installed")
        server.serve(good)
        sent = []
        for name in ("send", "asend"):
            send = getattr(DirectSender, name)
            monkeypatch.setattr(DirectSender, name, lambda *a, send=send, **k: sent.append(None) or send(*a, **k))
        with Router([route(server.url)], max_retries=0) as router:
            outcomes, _ = ask_repeatedly(face, router, 5)
        assert [outcome.text for outcome in outcomes] == [TEXT[face]] * 5
        assert len(sent) >= 3  # all five where the tests prepare requests at once

    @every_face
    def test_headers_and_queries_of_a_call_have_templates_of_their_own(self, server, face):
        server.serve(good)
        server.requests.clear()
        with Router([route(server.url)], max_retries=0) as router:
            for _ in range(4):
                for name in ("one", "two"):
                    extra = {"google": {"extra_headers": {"X-Trace": name}, "extra_query": {"region": name}}}
                    assert ask(face, router, extra=extra).error is None
        traces = [(one.headers["x-trace"], f"region={one.headers['x-trace']}" in one.path) for one in server.requests]
        assert traces == [("one", True), ("two", True)] * 4

    @given(
        st.dictionaries(
            st.sampled_from(["note", "_note", "größe"]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.just("\ud800"),
                lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
                max_leaves=4,
            ),
        )
    )
    def test_a_body_is_encoded_as_the_sdk_does_it(self, body):
        api = genai.Client(api_key="k", vertexai=False)._api_client
        sent = api._build_request("post", "models/m:generateContent", dict(body)).data
        assert provider_module._encode(body) == json.dumps(sent)

    @pytest.mark.parametrize("value", [math.nan, b"bytes", "\ud800"])
    def test_an_odd_value_comes_to_the_same(self, server, value):
        bodies, kinds = [], []
        for switch in ("0", "1"):
            server.serve(good)
            server.requests.clear()
            with pytest.MonkeyPatch.context() as patch, Router([route(server.url)], max_retries=0) as router:
                patch.setenv(SWITCH, switch)
                ask_repeatedly("generate", router, 3)
                (outcome,), _ = ask_repeatedly("generate", router, 1, extra={"google": {"labels": {"a": value}}})
            kinds.append(outcome.kind)
            bodies.append([one.body for one in server.requests])
        assert kinds[0] == kinds[1]
        assert bodies[0] == bodies[1]

    @pytest.mark.usefixtures("prepared_requests")
    @every_face
    def test_cookies_of_a_server_go_back_to_it(self, server, face, library):
        def reply_with_cookie(received: Any) -> Reply:
            plain_reply = good(received)
            headers = {**plain_reply.headers, "set-cookie": "session=7; Path=/"}
            return Reply(200, headers, plain_reply.body, stream=plain_reply.stream)

        server.serve(reply_with_cookie)
        server.requests.clear()
        with Router([route(server.url)], max_retries=0) as router:
            ask_repeatedly(face, router, 3)
        assert [one.headers.get("cookie") for one in server.requests] == [None, "session=7", "session=7"]

    @every_face
    def test_they_go_through_the_proxy_of_the_environment(self, server, face, library, monkeypatch):
        monkeypatch.setenv("HTTP_PROXY", server.url)
        server.serve(good)
        server.requests.clear()
        with Router([route("http://models.test")], max_retries=0) as router:
            outcomes, _ = ask_repeatedly(face, router, 4)
        assert [outcome.text for outcome in outcomes] == [TEXT[face]] * 4
        assert {one.path.partition("/v1beta")[0] for one in server.requests} == {"http://models.test"}

    @every_face
    def test_a_redirect_is_followed_to_the_same_origin_only(self, server, face, library):
        targets = iter([None, None, None, f"{server.url}/moved/stream", "http://127.0.0.1:9/moved"])

        def redirect(received: Any) -> Reply:
            if received.path.startswith("/v1beta") and (target := next(targets)) is not None:
                return Reply(307, {"location": target})
            return Reply(200, SSE, [GOOD_STREAM], stream=True) if face in STREAMED else plain(ANSWER)

        server.serve(redirect)
        with Router([route(server.url)], max_retries=0) as router:
            outcomes, _ = ask_repeatedly(face, router, 5)
        assert [outcome.text for outcome in outcomes[:4]] == [TEXT[face]] * 4
        assert "redirects (HTTP 307) to another origin" in str(outcomes[4].error)


class TestAnswers:
    @pytest.mark.parametrize("name", PLAIN_BODIES)
    @every_face
    def test_a_body_comes_to_the_same(self, server, face, name):
        if name == "Latin-1" and face in STREAMED:
            pytest.skip("a stream is UTF-8, and versions of the SDK differ where a server says something else")
        sdks, prepared = ask_both(server, face, PLAIN_BODIES[name])
        assert describe(prepared) == describe(sdks)

    @pytest.mark.parametrize("name", STREAM_BODIES)
    @streamed_faces
    def test_a_stream_comes_to_the_same(self, server, face, name):
        headers = {**SSE, "retry-after": "9", "x-request-id": "abc"}
        sdks, prepared = ask_both(server, face, lambda _: Reply(200, headers, STREAM_BODIES[name], stream=True))
        assert describe(prepared) == describe(sdks)

    @every_face
    @pytest.mark.parametrize("after", [0, 1])
    def test_a_broken_connection_comes_to_the_same(self, server, face, after):
        def cut() -> Any:
            yield FIRST
            raise Drop

        def drop(received: Any) -> Reply:
            if after:
                return Reply(200, SSE, cut(), stream=True)
            raise Drop

        sdks, prepared = ask_both(server, face, drop)
        assert describe(prepared) == describe(sdks)
        assert prepared.error is not None

    @every_face
    def test_errors_of_the_sdk_are_behind_them(self, server, face, library):
        _, prepared = ask_both(server, face, plain({"error": OVERLOADED}, 503))
        assert type(prepared.error.__cause__) is genai.errors.ServerError
        assert prepared.error.__cause__.code == 503
        assert KEY not in repr(prepared.error.__cause__)


@given(name=st.sampled_from(sorted(STREAM_BODIES)), cuts=st.lists(st.integers(0, 700), max_size=6))
def test_cuts_do_not_change_the_events(name, cuts):
    body = b"".join(STREAM_BODIES[name])
    marks = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    pieces = [body[start:end] for start, end in itertools.pairwise(marks) if start < end]
    assert list_events(pieces) == list_events([body])


def list_events(pieces: list[bytes]) -> list[str]:
    """The events of a body in pieces, up to its error."""
    events = read_events(genai, httpx.Response(200, content=iter(pieces)), native=False)
    values: list[str] = []
    try:
        while True:
            values.append(repr(next(events)))
    except StopIteration:
        return values
    except Exception as error:
        return [*values, repr(error)]


class TestTheSdksDoor:
    """Where the SDK, or a library around it, has to see each call."""

    def test_the_switch(self, server, monkeypatch):
        monkeypatch.setenv(SWITCH, "0")
        server.serve(good)
        with Router([route(server.url)], max_retries=0) as router:
            assert ask_repeatedly("generate", router, 4)[1] == []

    @pytest.mark.parametrize("name", ["request", "_build_request", "_request_once"])
    def test_a_tracer_that_replaced_a_method_sees_every_call(self, server, monkeypatch, name):
        server.serve(good)
        calls = []
        owner = importlib.import_module("google.genai._api_client").BaseApiClient
        method = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a, **k: calls.append(None) or method(*a, **k))
        with Router([route(server.url)], max_retries=0) as router:
            ask_repeatedly("generate", router, 4)
        assert len(calls) == 4

    @pytest.mark.parametrize("logger", ["google_genai", "google_genai._api_client", "google.genai"])
    def test_a_log_at_debug_keeps_the_sdk(self, server, caplog, logger):
        server.serve(good)
        with caplog.at_level(logging.DEBUG, logger), Router([route(server.url)], max_retries=0) as router:
            assert ask_repeatedly("generate", router, 4)[1] == []

    @every_face
    def test_credentials_of_the_url_keep_the_sdk(self, server, face):
        server.serve(good)
        server.requests.clear()
        with Router([route(server.url.replace("://", "://user:word@"))], max_retries=0) as router:
            outcomes, templates = ask_repeatedly(face, router, 4)
        assert [outcome.text for outcome in outcomes] == [TEXT[face]] * 4
        assert templates == []
        assert {one.headers["authorization"] for one in server.requests} == {"Basic dXNlcjp3b3Jk"}

    @every_face
    def test_the_typed_calls_are_never_prepared(self, server, face, monkeypatch):
        server.serve(good)
        monkeypatch.setattr(provider_module, "_LOW_LEVEL_CALLS", ("no_such_call",))
        with Router([route(server.url)], max_retries=0) as router:
            outcomes, templates = ask_repeatedly(face, router, 4)
        assert [outcome.text for outcome in outcomes] == [TEXT[face]] * 4
        assert templates == []

    def test_a_replay_client_is_never_prepared(self, tmp_path):
        debug = genai.client.DebugConfig(client_mode="record", replays_directory=str(tmp_path), replay_id="a/b")
        client = genai.Client(api_key="k", vertexai=False, debug_config=debug)
        assert not provider_module._is_preparable(client)
