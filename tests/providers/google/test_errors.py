"""Google's errors as each SDK raises them, and the class that each comes to."""

import pytest

from multiroute_core import errors
from multiroute_core.testing.server import Reply
from tests.providers.google.gemini import ANSWER, chunk, drive, either, failure, limited, plain, stream, whole

pytestmark = pytest.mark.wire

RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "26s"}


def quota(period):
    violation = {"quotaId": f"GenerateRequestsPer{period}PerProjectPerModel-FreeTier", "quotaValue": "10"}
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}


BAD_KEY = failure(
    400,
    "INVALID_ARGUMENT",
    "API key not valid. Please pass a valid API key.",
    {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"},
)
CASES = {
    "bad key": (BAD_KEY, errors.AuthenticationError, None),
    "no right": (failure(403, "PERMISSION_DENIED", "The caller has no permission."), errors.AuthenticationError, None),
    "unknown model": (failure(404, "NOT_FOUND", "models/x is not found"), errors.NotFoundError, None),
    "bad request": (failure(400, "INVALID_ARGUMENT", "topP must be below 1"), errors.BadRequestError, None),
    "too long": (
        failure(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (8)."),
        errors.ContextOverflowError,
        None,
    ),
    "too many": (
        failure(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", quota("Minute"), RETRY_INFO),
        errors.RateLimitError,
        26.0,
    ),
    "too many, told in words": (
        failure(429, "RESOURCE_EXHAUSTED", "Quota exceeded. Please retry in 45.57s."),
        errors.RateLimitError,
        45.57,
    ),
    "too many for today": (
        failure(429, "RESOURCE_EXHAUSTED", "Quota exceeded.", quota("Day"), RETRY_INFO),
        errors.QuotaExhaustedError,
        None,
    ),
    "overloaded": (failure(503, "UNAVAILABLE", "The model is overloaded."), errors.OverloadedError, None),
    "broken": (failure(500, "INTERNAL", "An internal error has occurred."), errors.ServerError, None),
    "late": (failure(504, "DEADLINE_EXCEEDED", "Deadline expired."), errors.AttemptTimeoutError, None),
    "a gateway's page": (Reply(502, {"content-type": "text/html"}, b"<h1>Bad Gateway</h1>"), errors.ServerError, None),
    "with a header": (Reply(503, {"retry-after": "7"}, b"{}"), errors.OverloadedError, 7.0),
}


@pytest.mark.parametrize(("reply", "expected", "retry_after"), CASES.values(), ids=CASES)
def test_a_refusal(provider, server, world, kind, reply, expected, retry_after):
    server.serve(reply)
    with pytest.raises(Exception) as caught:
        drive(world, lambda io: either(kind, provider, io))
    found = provider.classify(caught.value)
    assert type(found) is expected
    assert (found.status, found.retry_after) == (reply.status, retry_after)
    assert len(server.requests) == 1, "the SDK asked again by itself"
    assert "127.0.0.1" not in found.message or not reply.body.startswith(b'{"error"'), "the SDK's words, not Google's"


@pytest.mark.parametrize("body", [b'{"error": "overloaded"}', b'["overloaded"]', b'"overloaded"', b'{"error": ["no"]}'])
def test_a_refusal_of_another_shape(provider, server, world, kind, body):
    """Google's SDKs stumble over some of these; the flow must not take that for a bug of ours."""
    server.serve(Reply(503, {"content-type": "application/json"}, body))
    with pytest.raises(Exception) as caught:
        drive(world, lambda io: either(kind, provider, io))
    assert not isinstance(caught.value, TypeError | AttributeError)
    assert provider.classify(caught.value).fallback_allowed


def test_a_mistake_of_ours_stays_one(provider, world):
    """What goes wrong outside the SDK is no fault of the provider's."""
    encoded = object()  # which has no path
    with pytest.raises(AttributeError):
        drive(world, lambda io: provider.call(io, limited(), encoded))


def test_after_a_refusal_the_next_call_is_answered(provider, server, world, sdk, kind):
    server.serve(failure(503, "UNAVAILABLE", "overloaded"))
    with pytest.raises(Exception):
        drive(world, lambda io: either(kind, provider, io))
    server.serve(plain(ANSWER) if kind == "whole" else stream(sdk, [chunk("Hi", "STOP")]))
    assert drive(world, lambda io: either(kind, provider, io))


def test_no_key_is_told(make, server, world):
    provider = make(server.url, "very-secret")
    server.serve(failure(503, "UNAVAILABLE", "overloaded"))
    with pytest.raises(Exception) as caught:
        drive(world, lambda io: whole(provider, io))
    found = provider.classify(caught.value)
    assert "very-secret" not in f"{found!r} {found} {caught.value!r} {caught.value} {provider!r}"
