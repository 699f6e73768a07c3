"""Errors of SDKs, cloud libraries, transports and frameworks, however deep in a chain of exceptions they are.

botocore is not installed: its classes are built here from their source, `ClientError(error_response, operation_name)`
with the parsed reply as `response` (https://github.com/boto/botocore/blob/develop/botocore/exceptions.py, November 2026).
"""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import google.api_core.exceptions as api_core
import google.genai.errors as genai
import grpc
import httpx
import httpx2
import orjson
import pytest
import requests
import yarl
from aiohttp.http_exceptions import BadStatusLine, TransferEncodingError
from google.auth.exceptions import DefaultCredentialsError
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core import exceptions as langchain
from multidict import CIMultiDict, CIMultiDictProxy

from langchain_multiroute.errors import as_multiroute
from multiroute_core import RouteError
from multiroute_core.errors import UnsupportedError
from multiroute_core.providers.classify import LONGEST_WAIT, classify
from multiroute_core.providers.provider import NoAnswer, WireError
from tests.examples import examples

URL = "https://api.example.com/v1"
URL_OBJECT = yarl.URL(URL)


class BotoCoreError(Exception):
    """botocore's base for what is not a service's reply."""


class ClientError(Exception):
    """botocore's, for every reply that is an error."""

    def __init__(self, error_response: dict[str, Any], operation_name: str) -> None:
        inner = error_response.get("Error", {})
        super().__init__(
            f"An error occurred ({inner.get('Code', 'Unknown')}) when calling the {operation_name} operation: "
            f"{inner.get('Message', 'Unknown')}"
        )
        self.response, self.operation_name = error_response, operation_name


class EventStreamError(ClientError):
    """botocore's, for an exception inside an event stream, which has no status of its own."""


def boto(code: str, message: str, status: int | None = 400, **headers: str) -> ClientError:
    response: dict[str, Any] = {"Error": {"Code": code, "Message": message}}
    if status is None:
        return EventStreamError(response, "ConverseStream")
    response["ResponseMetadata"] = {
        "HTTPStatusCode": status,
        "HTTPHeaders": headers,
        "RequestId": "1",
        "RetryAttempts": 0,
    }
    return ClientError(response, "Converse")


BOTO: list[tuple[ClientError, str, float | None]] = [
    (boto("ThrottlingException", "Too many requests", 429, **{"retry-after": "33"}), "rate_limit", 33.0),
    (boto("ThrottlingException", "Rate exceeded", 400), "rate_limit", None),
    (
        boto("ThrottlingException", "Too many tokens per day, please wait before trying again.", 429),
        "quota_exhausted",
        None,
    ),
    (boto("ServiceQuotaExceededException", "It exceeds the service quota", 400), "quota_exhausted", None),
    (boto("ValidationException", "Input is too long for requested model."), "context_overflow", None),
    (boto("ValidationException", "prompt is too long: 903884 tokens > 200000 maximum"), "context_overflow", None),
    (boto("ValidationException", "The model returned the following errors: temperature: range"), "bad_request", None),
    (boto("ValidationException", "with on-demand throughput isn't supported. Retry"), "not_found", None),
    (boto("ValidationException", "The provided model identifier is invalid."), "not_found", None),
    (boto("ValidationException", "Operation not allowed"), "authentication", None),
    (boto("ValidationException", "This model doesn't support tool use."), "unsupported", None),
    (boto("AccessDeniedException", "You don't have access to the model", 403), "authentication", None),
    (boto("UnrecognizedClientException", "The security token is invalid", 403), "authentication", None),
    (boto("ExpiredTokenException", "It is expired", 400), "authentication", None),
    (boto("ResourceNotFoundException", "Model use case details have not been submitted", 404), "not_found", None),
    (boto("ModelErrorException", "It failed", 424), "server_error", None),
    (boto("ModelNotReadyException", "It is not ready", 429), "overloaded", None),
    (boto("ModelTimeoutException", "It was late", 408), "timeout", None),
    (boto("InternalServerException", "Oops", 500), "server_error", None),
    (boto("ServiceUnavailableException", "Bedrock is unable to process your request.", 503), "overloaded", None),
    (boto("throttlingException", "Too many requests", None), "rate_limit", None),
    (boto("internalServerException", "Oops", None), "server_error", None),
    (boto("modelStreamErrorException", "It broke", None), "server_error", None),
    (boto("serviceUnavailableException", "No", None), "overloaded", None),
    (boto("validationException", "The input is wrong", None), "bad_request", None),
]


@pytest.mark.parametrize(("error", "kind", "seconds"), BOTO, ids=str)
def test_botocore(error: ClientError, kind: str, seconds: float | None) -> None:
    found = classify(error)
    assert (found.code, found.retry_after) == (kind, seconds)
    assert found.message.startswith(error.response["Error"]["Message"][:20])
    assert "ResponseMetadata" not in (found.body or {})
    assert (classify(wrapped(error)).code, as_multiroute(wrapped(error)).code) == (kind, kind)


@pytest.mark.parametrize(
    ("name", "bases", "kind"),
    [
        ("EndpointConnectionError", ("ConnectionError", "BotoCoreError"), "connection"),
        ("ConnectionClosedError", ("HTTPClientError", "BotoCoreError"), "connection"),
        ("ReadTimeoutError", ("HTTPClientError", "BotoCoreError"), "timeout"),
        ("ConnectTimeoutError", ("ConnectionError", "BotoCoreError"), "timeout"),
        ("NoCredentialsError", ("CredentialRetrievalError", "BotoCoreError"), "authentication"),
        ("TokenRetrievalError", ("BotoCoreError",), "authentication"),
    ],
)
def test_botocore_without_a_reply(name: str, bases: tuple[str, ...], kind: str) -> None:
    base: Any = Exception
    for one in reversed((name, *bases)):
        base = type(one, (base,), {"fmt": "An unspecified error occurred"})
    assert classify(base("It failed.")).code == kind


def test_what_aiohttp_cannot_parse_is_no_status_of_the_provider() -> None:
    unparsed = TransferEncodingError("Not enough data to satisfy transfer length header.")
    payload = aiohttp.ClientPayloadError(f"Response payload is not completed: {unparsed!r}")
    payload.__cause__ = unparsed
    head = aiohttp_refusal(400)
    head.__cause__ = BadStatusLine("SSH-2.0")
    assert classify(payload).code == "connection"
    assert classify(head).code == "bad_reply"
    assert classify(aiohttp_refusal(400)).code == "bad_request"


def test_a_client_error_is_no_connection() -> None:
    assert classify(ClientError({}, "Converse")).code == "bad_reply"
    assert classify(aiohttp.ClientError("?")).code == "bad_reply"


def details(code: int, status: str, message: str, *more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "status": status, "message": message, "details": list(more)}}


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "33s"}
GENAI: list[tuple[genai.APIError, str, float | None]] = [
    (genai.ClientError(429, details(429, "RESOURCE_EXHAUSTED", "Slower", RETRY)), "rate_limit", 33.0),
    (genai.ClientError(400, details(400, "INVALID_ARGUMENT", "topP must be below 1")), "bad_request", None),
    (genai.ClientError(403, details(403, "PERMISSION_DENIED", "No")), "authentication", None),
    (genai.ClientError(404, details(404, "NOT_FOUND", "models/m is not found")), "not_found", None),
    (genai.ClientError(400, [details(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (8).")]), "context_overflow", None),
    (genai.ClientError(400, details(400, "FAILED_PRECONDITION", "User location is not supported")), "authentication", None),
    (genai.ServerError(503, details(503, "UNAVAILABLE", "The model is overloaded.")), "overloaded", None),
    (genai.ServerError(500, details(500, "INTERNAL", "Oops")), "server_error", None),
    (genai.ClientError(499, details(499, "CANCELLED", "The operation was cancelled.")), "server_error", None),
    (genai.ClientError(403, {"message": "<html><title>403</title></html>", "status": "Forbidden"}), "server_error", None),
]  # fmt: skip


@pytest.mark.parametrize(("error", "kind", "seconds"), GENAI, ids=str)
def test_google_genai(error: genai.APIError, kind: str, seconds: float | None) -> None:
    for one in (error, wrapped(error), in_context(error)):
        found = classify(one)
        assert (found.code, found.retry_after, found.status) == (kind, seconds, error.code)
    assert as_multiroute(wrapped(error, "ChatGoogleGenerativeAIError")).code == kind


INFO = RetryInfo(retry_delay=Duration(seconds=7, nanos=500_000_000))
API_CORE: list[tuple[Exception, str, float | None]] = [
    (api_core.ResourceExhausted("Quota exceeded"), "rate_limit", None),
    (api_core.ResourceExhausted("Quota exceeded", details=[INFO]), "rate_limit", 7.5),
    (api_core.TooManyRequests("Slower"), "rate_limit", None),
    (
        api_core.InvalidArgument("The input token count (9) exceeds the maximum number of tokens"),
        "context_overflow",
        None,
    ),
    (api_core.InvalidArgument("topP must be below 1"), "bad_request", None),
    (api_core.FailedPrecondition("User location is not supported for the API use."), "authentication", None),
    (api_core.PermissionDenied("No"), "authentication", None),
    (api_core.Unauthenticated("No"), "authentication", None),
    (api_core.NotFound("models/m is not found"), "not_found", None),
    (api_core.ServiceUnavailable("It is overloaded"), "overloaded", None),
    (api_core.InternalServerError("Oops"), "server_error", None),
    (api_core.DeadlineExceeded("Late"), "timeout", None),
    (api_core.GatewayTimeout("Late"), "timeout", None),
    (api_core.from_grpc_status(grpc.StatusCode.RESOURCE_EXHAUSTED, "Slower"), "rate_limit", None),
    (api_core.from_http_status(403, "No"), "authentication", None),
    (DefaultCredentialsError("There are none."), "authentication", None),
]


@pytest.mark.parametrize(("error", "kind", "seconds"), API_CORE, ids=repr)
def test_google_api_core(error: Exception, kind: str, seconds: float | None) -> None:
    for one in (error, wrapped(error), in_context(error)):
        found = classify(one)
        assert (found.code, found.retry_after) == (kind, seconds)


class RpcError(grpc.RpcError):
    """A call that failed, as gRPC's generated stubs raise it."""

    def __init__(self, status: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self._status, self._text = status, text

    def code(self) -> grpc.StatusCode:
        return self._status

    def details(self) -> str:
        return self._text


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, "overloaded"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "rate_limit"),
        (grpc.StatusCode.UNAUTHENTICATED, "authentication"),
        (grpc.StatusCode.INTERNAL, "server_error"),
        (grpc.StatusCode.INVALID_ARGUMENT, "bad_request"),
    ],
)
def test_grpc(status: grpc.StatusCode, kind: str) -> None:
    assert classify(RpcError(status, "It failed.")).code == kind
    assert classify(wrapped(RpcError(status, "It failed."))).code == kind


def aiohttp_refusal(status: int, **headers: str) -> aiohttp.ClientResponseError:
    info = aiohttp.RequestInfo(URL_OBJECT, "POST", CIMultiDictProxy(CIMultiDict[str]()), URL_OBJECT)
    return aiohttp.ClientResponseError(info, (), status=status, message="No", headers=CIMultiDict(headers))


@pytest.mark.parametrize(
    ("error", "kind", "seconds"),
    [
        (aiohttp_refusal(429, **{"Retry-After": "33"}), "rate_limit", 33.0),
        (aiohttp_refusal(503, **{"Retry-After-Ms": "1500"}), "overloaded", 1.5),
        (aiohttp_refusal(401), "authentication", None),
        (aiohttp.ServerDisconnectedError(), "connection", None),
        (aiohttp.ClientPayloadError("It was cut."), "connection", None),
        (aiohttp.ClientOSError(104, "Reset"), "connection", None),
        (aiohttp.ClientConnectionError("Gone"), "connection", None),
        (aiohttp.ServerTimeoutError("Late"), "timeout", None),
        (TimeoutError(), "timeout", None),
        (httpx.ConnectError("No"), "connection", None),
        (httpx.ReadTimeout("Late"), "timeout", None),
        (httpx2.RemoteProtocolError("Cut"), "connection", None),
        (requests.ConnectionError("No"), "connection", None),
        (requests.Timeout("Late"), "timeout", None),
        (ConnectionResetError("Gone"), "connection", None),
    ],
    ids=repr,
)
def test_transports(error: Exception, kind: str, seconds: float | None) -> None:
    for one in (error, wrapped(error)):
        found = classify(one)
        assert (found.code, found.retry_after) == (kind, seconds)


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_http_libraries(library: Any) -> None:
    request = library.Request("POST", URL)
    reply = library.Response(429, json={"error": {"message": "Slower"}}, headers={"retry-after": "9"}, request=request)
    found = classify(library.HTTPStatusError("No", request=request, response=reply))
    assert (found.code, found.retry_after, found.message) == ("rate_limit", 9.0, "Slower (HTTPStatusError)")


def test_requests() -> None:
    reply = requests.Response()
    reply.status_code, reply._content = 400, json.dumps({"detail": "The model 'm' does not exist"}).encode()  # noqa: SLF001
    reply.headers["x-request-id"] = "r1"
    found = classify(wrapped(requests.HTTPError("400", response=reply)))
    assert (found.code, found.request_id) == ("not_found", "r1")


def wrapped(error: Exception, name: str = "FrameworkError") -> Exception:
    """`error` two frameworks deep."""
    outer = type(name, (Exception,), {})("Something went wrong.")
    middle = RuntimeError("It failed.")
    middle.__cause__, outer.__cause__ = error, middle
    return outer


def in_context(error: Exception) -> Exception:
    """`error` behind another one that does not name it as its cause."""
    try:
        try:
            raise error
        except Exception:
            raise RuntimeError("It failed.")  # noqa: B904
    except RuntimeError as outer:
        return outer


def test_the_outermost_that_knows_wins() -> None:
    inner, outer = (
        aiohttp_refusal(503, **{"retry-after": "5"}),
        type("Refusal", (Exception,), {"status_code": 429})("No"),
    )
    outer.__cause__ = inner
    found = classify(outer)
    assert (found.status, found.retry_after) == (429, 5.0)


def test_a_suppressed_context_is_not_looked_at() -> None:
    outer = in_context(aiohttp_refusal(429))
    outer.__suppress_context__ = True
    assert classify(outer).status is None


def test_a_circle_and_a_group_end() -> None:
    first, second = RuntimeError("1"), RuntimeError("2")
    first.__cause__, second.__cause__ = second, first
    assert classify(first).code == "bad_reply"
    assert classify(ExceptionGroup("tasks", [ValueError("x"), aiohttp_refusal(429)])).code == "rate_limit"


def test_langchain_openai_raises_the_body_itself() -> None:
    error = ValueError({"message": "Rate limit exceeded", "code": 429})
    assert (classify(error).code, classify(error).status) == ("rate_limit", 429)


@pytest.mark.skipif(
    not hasattr(langchain, "ModelRateLimitError"), reason="langchain-core has no tree of errors of models yet"
)
def test_langchains_own_tree() -> None:
    assert as_multiroute(langchain.ModelRateLimitError("Slower")).code == "rate_limit"
    assert as_multiroute(langchain.ContextOverflowError("Too long")).code == "context_overflow"
    both = type("OpenAIOverflow", (Exception,), {"status_code": 400, "body": {"message": "No."}})
    assert as_multiroute(both("No.")).code == "bad_request"
    both = type("OpenAIOverflow", (both, langchain.ContextOverflowError), {})
    found = as_multiroute(both("No."))
    assert (found.code, found.status, type(found.__cause__)) == ("context_overflow", 400, both)
    refused = type("ModelRefusalError", (Exception,), {})
    assert as_multiroute(refused("I decline.")).code == "refusal"


def raised(call: Any) -> Exception:
    with pytest.raises(Exception) as caught:
        call()
    return caught.value


class Thing:
    """No JSON."""


ENCODING = {
    "surrogate": lambda: "Thanks \ud83d".encode(),
    "surrogate by orjson": lambda: orjson.dumps({"a": "\ud83d"}),
    "nan": lambda: json.dumps({"a": float("nan")}, allow_nan=False),
    "infinity": lambda: json.dumps([float("-inf")], allow_nan=False),
    "object": lambda: json.dumps({"a": Thing()}),
    "object by orjson": lambda: orjson.dumps(Thing()),
    "header": lambda: "key “x”".encode("ascii"),
}


@pytest.mark.parametrize("name", ENCODING)
def test_a_request_that_cannot_be_written(name: str) -> None:
    error = raised(ENCODING[name])
    for one in (error, wrapped(error), in_context(error)):
        found = classify(one)
        assert type(found).code == "bad_request"
        assert not found.counts_against_breaker
        assert not found.fallback_allowed
        assert found.message.startswith("The request contains")
    assert ("surrogate" in classify(error).message) == name.startswith("surrogate")
    assert ("NaN" in classify(error).message) == (name in ("nan", "infinity"))


@pytest.mark.parametrize(
    "call",
    [
        lambda: b"\xff".decode(),
        lambda: json.loads("{"),
        lambda: orjson.loads(b"\xff"),
        lambda: httpx.Response(200, content=b"{").json(),
    ],
)
def test_a_reply_that_cannot_be_read(call: Any) -> None:
    error = raised(call)
    assert classify(error).code == "bad_reply"
    wire = WireError("The body is no JSON.")
    wire.__cause__ = error
    assert classify(wire).code == "bad_reply"


def test_a_prompt_too_long_for_a_model_in_this_process() -> None:
    assert classify(ValueError("Requested tokens (5000) exceed context window of 2048")).code == "context_overflow"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6) | st.integers(), inner, max_size=4),
    max_leaves=10,
)
NAMES = (
    *("error", "errors", "detail", "details", "message", "msg", "type", "code", "status", "param", "loc", "object"),
    *("metadata", "raw", "base_resp", "status_code", "status_msg", "innererror", "Error", "Code", "response", "reason"),
)
words = st.sampled_from(
    ("context length exceeded", "tools are not supported", "429", "error", "<html", "{", "[1", "body", "")
)
shaped = st.recursive(
    anything | words,
    lambda inner: st.dictionaries(st.sampled_from(NAMES), inner, max_size=5) | st.lists(inner, max_size=3),
    max_leaves=12,
)
ATTRIBUTES = (
    "body",
    "details",
    "status_code",
    "code",
    "status",
    "response",
    "headers",
    "type",
    "reason",
    "error",
    "http_status",
)


@pytest.mark.slow
@settings(max_examples=examples(300), deadline=None)
@given(body=shaped, message=st.text(max_size=20))
def test_any_body_is_some_route_error(body: Any, message: str) -> None:
    for error in (WireError(message, body), NoAnswer(message, body)):
        found = classify(error)
        assert isinstance(found, RouteError)
        assert str(found)
        assert found.retry_after is None or 0 <= found.retry_after <= LONGEST_WAIT
        assert isinstance(found, UnsupportedError) == hasattr(found, "ability")


@pytest.mark.slow
@settings(max_examples=examples(300), deadline=None)
@given(attributes=st.dictionaries(st.sampled_from(ATTRIBUTES), shaped, max_size=6), argument=shaped, deep=st.booleans())
def test_any_exception_is_some_route_error(attributes: dict[str, Any], argument: Any, deep: bool) -> None:
    error = type("Odd", (Exception,), attributes)(argument)
    found = classify(wrapped(error) if deep else error)
    assert isinstance(found, RouteError)
    assert str(found)


def test_an_exception_whose_properties_fail() -> None:
    def fails(_: Any) -> Any:
        raise RuntimeError("no")

    error = type("Odd", (Exception,), {name: property(fails) for name in ATTRIBUTES})("It failed.")
    assert classify(error).code == "bad_reply"


def test_a_refused_connection_of_requests_is_no_timeout() -> None:
    """urllib3's own error for it derives from its timeout, and stands in the context."""
    error = raised(lambda: requests.post("http://127.0.0.1:9", timeout=5))
    assert classify(error).code == "connection"
    assert classify(wrapped(error)).code == "connection"
