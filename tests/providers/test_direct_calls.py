"""Direct calls beside calls through httpx: the same bytes, answers and errors, and only where nothing is unusual."""

import asyncio
import functools
import gzip
import logging
import pickle
from typing import Any

import openai
import pytest

from multiroute_core import Route, Router
from multiroute_core.providers import aiohttp_transport, httptools_transport
from multiroute_core.providers.direct_calls import DirectSender, RawHeaders
from multiroute_core.providers.http import family
from multiroute_core.providers.httptools_transport import SWITCH
from tests.providers.faces import ask, ask_natively
from tests.providers.raw_server import ODD_RESPONSES, OK, RESPONSES, RawServer, serving

pytestmark = [
    pytest.mark.wire,
    pytest.mark.skipif(not httptools_transport._is_installed(), reason="httptools is not installed"),
]

httpx: Any = family(openai.DefaultHttpxClient)  # httpx2 in newer SDKs
KEY = "KEYMARK-7c40d1"
FACES = ["generate", "stream", "agenerate", "astream"]
BODY = b'{"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]}'
EVENTS = b"".join(
    b'data: {"model":"m","choices":[{"index":0,"delta":%b,"finish_reason":%b}]}\n\n' % chunk
    for chunk in ((b'{"role":"assistant","content":"Hel"}', b"null"), (b'{"content":"lo"}', b'"stop"'))
)


def respond(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    lines = [b"HTTP/1.1 " + status, *headers, b"content-length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def good(face: str, *headers: bytes) -> bytes:
    if face.endswith("stream"):
        return respond(EVENTS + b"data: [DONE]\n\n", b"content-type: text/event-stream", *headers)
    return respond(BODY, b"content-type: application/json", *headers)


ANSWERS: dict[str, Any] = {
    **{name: response for name, response in {**RESPONSES, **ODD_RESPONSES}.items() if isinstance(response, bytes)},
    "compressed": respond(gzip.compress(BODY), b"content-type: application/json", b"content-encoding: gzip"),
    "a cookie": good("generate", b"set-cookie: a=b"),
    "limits": good("generate", b"x-ratelimit-limit-requests: 9", b"x-ratelimit-remaining-requests: 8"),
    "a header twice": good("generate", b"x-a: 1", b"X-A: 2"),
    "a rate limit": respond(b'{"error":{"message":"slow"}}', b"retry-after: 7", status=b"429 Too Many"),
    "a failure": respond(b"<html>oops</html>", b"content-type: text/html", status=b"503 Unavailable"),
    "a refused key": respond(b'{"error":{"message":"no"}}', b"x-request-id: abc", status=b"401 Unauthorized"),
    "too large": OK + b"content-length: 99999999999\r\n\r\n",
    "chunks": OK + b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
}


def ask_four_times(face: str, router: Router) -> list[Any]:
    async def main() -> list[Any]:  # a client belongs to its loop
        return [await ask_natively(face, router, "Hello", {}) for _ in range(4)]

    return asyncio.run(main()) if face.startswith("a") else [ask(face, router) for _ in range(4)]


def outcomes(face: str, last: bytes, *, direct: bool) -> tuple[Any, list[bytes], int]:
    """What comes of three good calls and one that `last` answers; the requests, and how many were sent directly."""

    def script(server: RawServer, connection: Any) -> None:
        while server.read(connection):
            connection.sendall(last if len(server.requests) > 3 else good(face))
            if len(server.requests) > 3 and server.connections == 1:
                return

    sent: list[None] = []
    with pytest.MonkeyPatch.context() as patch, serving(script) as server:
        for name in (SWITCH, aiohttp_transport.SWITCH):
            patch.setenv(name, "1" if direct else "0")
        send, asend = DirectSender.send, DirectSender.asend
        patch.setattr(DirectSender, "send", lambda *given, **how: sent.append(None) or send(*given, **how))
        patch.setattr(DirectSender, "asend", lambda *given, **how: sent.append(None) or asend(*given, **how))
        with Router([Route("openai:m", base_url=f"{server.url}/v1", api_key=KEY)], max_retries=0) as router:
            *before, outcome = ask_four_times(face, router)
            assert [one.text for one in before] == ["Hello"] * 3
        requests = [request.replace(server.url.partition("//")[2].encode(), b"HOST") for request in server.requests]
    return outcome, requests, len(sent)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_comes_to_the_same_as_through_httpx(name, face):
    direct, direct_requests, sent = outcomes(face, ANSWERS[name], direct=True)
    plain, plain_requests, none = outcomes(face, ANSWERS[name], direct=False)
    assert (sent >= 2, none) == (True, 0)  # all of them where the tests prepare requests at once
    assert direct_requests[:4] == plain_requests[:4]
    for outcome in (direct, plain):
        if outcome.error is not None:
            assert KEY not in repr(outcome.error)
    fields = ("kind", "text", "finish_reason", "usage")
    assert [getattr(direct, name) for name in fields] == [getattr(plain, name) for name in fields]
    if direct.error is not None:
        assert direct.error.status == plain.error.status
        assert direct.error.body == plain.error.body
        assert (direct.error.retry_after, direct.error.request_id) == (
            plain.error.retry_after,
            plain.error.request_id,
        )
        assert type(direct.error.__cause__) is type(plain.error.__cause__)


def client_of(router: Router) -> Any:
    provider: Any = next(iter(router._parts.providers.values()))
    return provider._clients.blocking()


def hook_requests(http: Any, patch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    http.event_hooks = {**http.event_hooks, "request": [lambda request: None]}


def hook_responses(http: Any, patch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    http.event_hooks = {**http.event_hooks, "response": [*http.event_hooks["response"], lambda response: None]}


def keep_a_cookie(http: Any, patch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    http.cookies.set("a", "b", domain="127.0.0.1")


def log_requests(http: Any, patch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, httpx.__name__)


def trace_the_client(http: Any, patch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    send = httpx.Client.send
    patch.setattr(httpx.Client, "send", lambda *given, **how: send(*given, **how))


def trace_the_transport(http: Any, patch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    send = httpx.HTTPTransport.handle_request
    patch.setattr(httpx.HTTPTransport, "handle_request", lambda *given: send(*given))


def replace_the_transport(http: Any, patch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    patch.setattr(http, "_transport", httpx.HTTPTransport())


UNUSUAL = [
    *(hook_requests, hook_responses, keep_a_cookie, log_requests),
    *(trace_the_client, trace_the_transport, replace_the_transport),
]


@pytest.mark.parametrize("change", UNUSUAL)
def test_what_is_unusual_goes_through_httpx(change, monkeypatch, caplog):
    def script(server: RawServer, connection: Any) -> None:
        while server.read(connection):
            connection.sendall(good("generate"))

    sent: list[None] = []
    send = DirectSender.send
    monkeypatch.setattr(DirectSender, "send", lambda *given, **how: sent.append(None) or send(*given, **how))
    with serving(script) as server:
        with Router([Route("openai:m", base_url=f"{server.url}/v1", api_key=KEY)], max_retries=0) as router:
            for _ in range(3):
                assert ask("generate", router).text == "Hello"
            assert sent
            sent.clear()
            change(client_of(router).http, monkeypatch, caplog)
            assert ask("generate", router).text == "Hello"
            assert not sent


@pytest.mark.parametrize(
    ("owner", "name"),
    [(httpx.Client, "send"), (httpx.Client, "_send_single_request"), (httpx.HTTPTransport, "handle_request")],
)
def test_a_wrapper_that_was_there_before_sees_every_call(owner, name, monkeypatch):
    """`functools.wraps` makes a wrapper look like what it wraps."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def watch(*given: Any, **how: Any) -> Any:
        seen.append(None)
        return original(*given, **how)

    def script(server: RawServer, connection: Any) -> None:
        while server.read(connection):
            connection.sendall(good("generate"))

    seen: list[None] = []
    monkeypatch.setattr(owner, name, watch)
    with serving(script) as server:
        with Router([Route("openai:m", base_url=f"{server.url}/v1", api_key=KEY)], max_retries=0) as router:
            for _ in range(4):
                assert ask("generate", router).text == "Hello"
    assert len(seen) == 4


def test_a_template_shows_and_pickles_no_key():
    def script(server: RawServer, connection: Any) -> None:
        while server.read(connection):
            connection.sendall(good("generate"))

    with serving(script) as server:
        with Router([Route("openai:m", base_url=f"{server.url}/v1", api_key=KEY)], max_retries=0) as router:
            for _ in range(3):
                ask("generate", router)
            (template,) = client_of(router)._templates.values()
            payload = template.direct.build(b"{}")
            assert KEY.encode() in payload.head
            assert KEY not in repr(template.direct) + repr(payload) + str(payload)
            with pytest.raises(TypeError, match="holds a key"):
                pickle.dumps(template.direct)


def test_headers_are_read_as_httpx_reads_them():
    for raw in (
        [(b"X-A", b"1"), (b"x-a", b"2"), (b"Content-Type", b"text/plain")],
        [(b"x-name", "Jörg".encode("latin-1"))],
        [(b"x-name", "Jörg".encode())],
        [],
    ):
        expected = httpx.Headers(raw)
        assert dict(RawHeaders(raw)) == dict(expected)
        assert len(RawHeaders(raw)) == len(dict(expected))
        assert RawHeaders(raw).get("X-NAME") == expected.get("X-NAME")
        assert "x-other" not in RawHeaders(raw)
        assert RawHeaders(raw).raw == expected.raw
