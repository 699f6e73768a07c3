"""Requests that are not valid: every one gets a 4xx with a sentence, in the format of its API, and nothing is sent."""

import asyncio
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount

from multiroute_core import Router
from multiroute_core.serving import build_app, create_key, hash_key
from multiroute_core.serving.service import APIS
from multiroute_core.testing import Answer, provider_of, scripted_route
from tests.examples import examples

VALID = {
    "/v1/chat/completions": {"model": "auto", "messages": [{"role": "user", "content": "Hi"}]},
    "/v1/responses": {"model": "auto", "input": "Hi"},
    "/v1/messages": {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]},
}
JSON_TYPE = (b"content-type", b"application/json")


def new_router():
    return Router([scripted_route("one", Answer("ok"))])


async def call(app, path, body, headers=(JSON_TYPE,), method="POST", root_path=""):
    """One request to an application, without a socket: status, headers and body."""
    pieces = [body[:7], body[7:]]
    sent = []

    async def receive():
        if pieces:
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}
        return await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "asgi": {"version": "3.0"}, "method": method, "path": path, "raw_path": path.encode()}
    scope |= {"query_string": b"", "headers": list(headers), "scheme": "http", "http_version": "1.1"}
    await app(scope | {"server": ("h", 1), "client": ("c", 1), "root_path": root_path}, receive, send)
    start = sent[0]
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return start["status"], {n.decode(): v.decode() for n, v in start["headers"]}, content


def check(path, status, content, router):
    """A 4xx with one sentence, or an answer of the model."""
    if status == 200:
        return
    assert 400 <= status < 500, (status, content)
    body = json.loads(content)
    message = body["error"]["message"]
    assert isinstance(message, str)
    assert message
    assert "Traceback" not in message
    assert ("type" in body) == path.startswith("/v1/messages")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        ["", "auto", "one", "user", "text", "tool", "function", "json_schema", "base64", "\x00", "é", "x" * 300]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "type role content text image_url url source data media_type id name arguments input function parameters "
                "input_schema schema format json_schema tool_calls call_id output effort budget_tokens x".split()
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
FIELDS = (
    "model messages input instructions system max_tokens max_output_tokens max_completion_tokens temperature top_p stop "
    "stop_sequences seed tools tool_choice parallel_tool_calls response_format text reasoning reasoning_effort thinking "
    "output_config output_format stream_options store n include previous_response_id metadata service_tier user top_k "
    "unknown stream timeout extra_headers extra_body".split()
)


@settings(max_examples=examples(80))
@example({"messages": [[]], "input": [{"type": []}], "model": "auto"})
@example({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"$ref": "#/x"}}}]})
@example({"input": [{"type": "function_call_output", "call_id": "x", "output": 5}]})
@example({"tool_choice": {"type": "allowed_tools", "allowed_tools": 3}, "tools": [{"name": "x"}]})
@example({"include": [{}]})
@example({"service_tier": 1e308, "metadata": {"a": [[]]}})
@given(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4))
def test_odd_fields_get_a_sentence(changes):
    router = new_router()
    app = build_app(router)
    for path, valid in VALID.items():
        body = json.dumps({**valid, **changes}).encode()
        status, _, content = asyncio.run(call(app, path, body))
        check(path, status, content, router)
        if status != 200:
            assert provider_of(router.routes[0]).in_flight == 0


@settings(max_examples=examples(40))
@example(b"\xff\xfe{")
@example(b"[" * 5000)
@example(b'{"model": "\\ud800"}')
@example(b'{"model": NaN}')
@given(st.binary(max_size=40))
def test_bodies_that_are_not_json_get_a_sentence(body):
    router = new_router()
    app = build_app(router)
    for path in APIS:
        status, _, content = asyncio.run(call(app, path, body))
        assert status == 400
        check(path, status, content, router)
        assert provider_of(router.routes[0]).takes == []


@settings(max_examples=examples(40))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [f"x-multiroute-{name}".encode() for name in ("tenant", "labels", "task", "deadline", "priority")]
                + [b"content-length", b"content-encoding", b"authorization", b"content-type", b"host"]
            ),
            st.binary(max_size=30).map(lambda value: value.replace(b"\r", b"").replace(b"\n", b"")),
        ),
        max_size=3,
    )
)
def test_odd_headers_get_a_sentence(headers):
    router = new_router()
    app = build_app(router)
    for path, valid in VALID.items():
        status, _, content = asyncio.run(call(app, path, json.dumps(valid).encode(), [JSON_TYPE, *headers]))
        check(path, status, content, router)


def request(body, path="/v1/chat/completions", headers=(JSON_TYPE,), app=None, **settings):
    app = app or build_app(new_router(), **settings)
    status, answer_headers, content = asyncio.run(call(app, path, json.dumps(body).encode(), headers))
    return status, answer_headers, json.loads(content)


CHAT = VALID["/v1/chat/completions"]
RESPONSES = VALID["/v1/responses"]
MESSAGES = VALID["/v1/messages"]


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("chat/completions", CHAT | {"model": "gpt-9"}, 404, "does not exist"),
        ("chat/completions", CHAT | {"temprature": 1}, 400, "Unrecognized request argument supplied: temprature"),
        ("chat/completions", CHAT | {"n": 2}, 400, "n must be 1"),
        ("chat/completions", CHAT | {"temperature": 9}, 400, "temperature=9 is not valid"),
        ("chat/completions", CHAT | {"messages": []}, 400, "messages is missing or empty"),
        ("chat/completions", {"messages": CHAT["messages"]}, 400, "model=None is not valid"),
        ("responses", RESPONSES | {"previous_response_id": "resp_1"}, 400, "stores no responses"),
        ("responses", RESPONSES | {"store": True}, 400, "stores no responses"),
        ("responses", RESPONSES | {"background": True}, 400, "in the background"),
        ("messages", {"model": "auto", "messages": MESSAGES["messages"]}, 400, "max_tokens: Field required"),
        ("messages", MESSAGES | {"model": "claude-9"}, 404, "does not exist"),
    ],
)
def test_mistakes_are_explained(path, body, status, words):
    actual, _, answer = request(body, f"/v1/{path}")
    assert actual == status
    assert words in answer["error"]["message"]


def test_harmless_values_are_accepted():
    for body in (
        CHAT | {"n": 1, "store": False, "logprobs": False, "user": "u", "service_tier": None},
        CHAT | {"stop": "x"},
    ):
        assert request(body)[0] == 200
    assert request(RESPONSES | {"store": False, "include": ["reasoning.encrypted_content"]}, "/v1/responses")[0] == 200
    assert (
        request(
            MESSAGES | {"top_k": 5, "stop_sequences": [], "system": [{"type": "text", "text": "s"}]}, "/v1/messages"
        )[0]
        == 200
    )


def test_a_body_needs_the_type_that_other_sites_cannot_send():
    for kind in (b"text/plain", b"application/x-www-form-urlencoded", b""):
        assert request(CHAT, headers=[(b"content-type", kind)])[0] == 415
    assert request(CHAT, headers=[(b"content-type", b"application/json; charset=utf-8")])[0] == 200
    assert request(CHAT, headers=[JSON_TYPE, (b"content-encoding", b"gzip")])[0] == 415


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "input data was truncated"),
        (b'{"a": SECRET}', "invalid character (byte 6)"),
        (b'{"a": 1,}', "trailing comma in object (byte 8)"),
        (b'{"a": "\xff"}', "it is not UTF-8"),
        (b'{"SECRET": ' + b"9" * 5000 + b"}", "integer value out of range"),
        (b'{"SECRET": 1e99999}', "number out of range"),
        (b"[" * 300 + b"]" * 300, "nested deeper than 128 levels"),
    ],
)
def test_a_body_that_is_not_json_says_why(body, reason):
    status, _, content = asyncio.run(call(build_app(new_router()), "/v1/messages", body))
    assert (status, json.loads(content)["error"]["message"]) == (400, f"The body is not valid JSON: {reason}.")


def test_no_redirect_leads_to_a_name_that_the_request_claims():
    app = build_app(new_router())
    for path, body in VALID.items():
        status, headers, answer = request(body, f"{path}/", [JSON_TYPE, (b"host", b"evil.example")], app)
        assert (status, "location" in headers) == (404, False)
        assert ("type" in answer) == (path == "/v1/messages")


@pytest.mark.parametrize("name", ["Müller", "東京", "naïve café"])
def test_a_name_in_a_header_is_latin_1_or_utf_8(name):
    seen = []
    app = build_app(Router([scripted_route("one", Answer("ok"))], on_event=[seen.append]))
    for encoding in ("utf-8", "latin-1"):
        if encoding == "utf-8" or name.encode(encoding, "ignore").decode(encoding) == name:
            assert (
                request(CHAT, headers=[JSON_TYPE, (b"x-multiroute-tenant", name.encode(encoding))], app=app)[0] == 200
            )
    assert {event.tenant for event in seen if hasattr(event, "tenant")} == {name}


def test_sizes_are_limited():
    large = CHAT | {"user": "x" * 3000}
    assert request(large, max_body_bytes=2000)[0] == 413
    assert request(large, max_body_bytes=2000, headers=[JSON_TYPE, (b"content-length", b"99999")])[0] == 413
    status, _, answer = request(MESSAGES | {"system": "x" * 3000}, "/v1/messages", max_body_bytes=2000)
    assert (status, answer["error"]["type"]) == (413, "request_too_large")
    assert request(CHAT, headers=[JSON_TYPE, (b"x-y", b"x" * 40_000)])[0] == 431


def test_unknown_paths_and_methods_are_in_the_clients_format():
    app = build_app(new_router())
    status, _, content = asyncio.run(call(app, "/v1/embeddings", b"{}"))
    assert (status, json.loads(content)["error"]["code"]) == (404, "not_found")
    status, headers, content = asyncio.run(call(app, "/v1/messages", b"", method="GET"))
    assert (status, json.loads(content)["type"]) == (405, "error")
    assert headers["x-request-id"] == headers["request-id"]


def test_headers_set_the_options_of_a_call():
    seen = []
    router = Router([scripted_route("one", Answer("ok"))], on_event=[lambda event: seen.append(event)])
    app = build_app(router)
    headers = [
        *(JSON_TYPE, (b"x-multiroute-tenant", b"shop"), (b"x-multiroute-labels", b"a, b")),
        *((b"x-multiroute-task", b"code"), (b"x-multiroute-deadline", b"5"), (b"x-multiroute-priority", b"batch")),
    ]
    status, answered, _ = request(CHAT, headers=headers, app=app)
    assert status == 200
    about = seen[0]
    assert (about.tenant, about.task, about.labels) == ("shop", "code", {"a", "b"})
    assert answered["x-multiroute-route"] == "one"
    assert answered["x-multiroute-attempts"] == "1"


def test_keys_decide_the_tenant():
    seen = []
    router = Router([scripted_route("one", Answer("ok"))], on_event=[lambda event: seen.append(event)])
    key = create_key()
    app = build_app(router, keys={hash_key(key): "shop"})
    for header in (
        [(b"authorization", b"Bearer " + key.encode())],
        [(b"x-api-key", key.encode())],
        [(b"authorization", b"Bearer "), (b"x-api-key", key.encode())],
    ):
        seen.clear()
        status, _, _ = request(CHAT, headers=[JSON_TYPE, *header, (b"x-multiroute-tenant", b"other")], app=app)
        assert status == 200
        assert seen[0].tenant == "shop"
    for headers in ([], [(b"authorization", b"Bearer mr-wrong")], [(b"authorization", b"Basic " + key.encode())]):
        for path, body in VALID.items():
            status, _, answer = request(body, path, [JSON_TYPE, *headers], app)
            assert status == 401
            assert "mr-wrong" not in str(answer)
        status, _, _ = asyncio.run(call(app, "/v1/models", b"", headers, "GET"))
        assert status == 401
    for path in ("/healthz", "/readyz"):
        assert asyncio.run(call(app, path, b"", [], "GET"))[0] == 200


def test_a_router_that_restarts_raises_here():
    """What was sent cannot be withdrawn in these APIs."""
    from multiroute_core.testing import DropConnection

    routes = [scripted_route("one", DropConnection(1, Answer(("a", "b")))), scripted_route("two", Answer("c"))]
    app = build_app(Router(routes, on_stream_error="restart"))
    _, _, content = asyncio.run(call(app, "/v1/chat/completions", json.dumps(CHAT | {"stream": True}).encode()))
    assert b'"content":"a"' in content
    assert b'"content":"c"' not in content
    assert b'"code":"stream_interrupted"' in content


def test_a_server_is_mounted_below_another_path():
    router = Router([scripted_route("one", Answer("ok"))])
    inner = build_app(router, keys={hash_key("mr-k"): "shop"})
    outer = Starlette(routes=[Mount("/llm", inner), Mount("/", build_app(router))])
    key = (b"authorization", b"Bearer mr-k")
    for path, body in VALID.items():
        assert request(body, f"/llm{path}", [JSON_TYPE, key], outer)[0] == 200
        status, _, content = asyncio.run(
            call(outer, f"/llm{path}", json.dumps(body | {"stream": True}).encode(), [JSON_TYPE, key])
        )
        assert (status, b"ok" in content) == (200, True)
        status, _, answer = request(body, f"/llm{path}", [JSON_TYPE], outer)
        assert (status, "type" in answer) == (401, path == "/v1/messages")
    assert request(MESSAGES, "/llm/v1/messages/count_tokens", [JSON_TYPE, key], outer)[0] == 200
    inner.state.serving.draining = True  # the gate knows that it is a call
    for path, body in VALID.items():
        status, _, answer = request(body, f"/llm{path}", [JSON_TYPE, key], outer)
        assert (status, "type" in answer) == (503, path == "/v1/messages")
        assert request(body, path, app=outer)[0] == 200


def test_a_server_behind_a_proxy_that_cuts_off_a_prefix():
    """Some servers put the prefix before the path, as ASGI wants it; others do not."""
    app = build_app(new_router())
    for path, body in VALID.items():
        for written in (path, f"/llm{path}"):
            status, _, _ = asyncio.run(call(app, written, json.dumps(body).encode(), root_path="/llm"))
            assert status == 200
