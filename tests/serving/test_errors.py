"""What clients are told of every error: a status, a code and a sentence; no key, no address, no prompt."""

import inspect
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core import (
    AllRoutesFailedError,
    BadRequestError,
    BudgetExceededError,
    ConfigurationError,
    ContextOverflowError,
    DeadlineExceededError,
    GuardBlockedError,
    LimitExceededError,
    RateLimitError,
    RouteError,
    Router,
    ServerError,
    errors,
)
from multiroute_core.serving import http_error
from multiroute_core.serving.errors import describe_error
from multiroute_core.testing import Fail, rate_limited, scripted_route
from tests.examples import examples

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, RouteError)]
SECRET = "Bearer sk-proj-0123456789abcdefghij https://user:pw@10.1.2.3/v1 What is my prompt?"

TABLE = {
    "configuration": (ConfigurationError("temperature=3 is not valid."), 400, None),
    "bad request": (BadRequestError("no"), 400, None),
    "context": (ContextOverflowError("no"), 400, "context_length_exceeded"),
    "guard": (GuardBlockedError("no", guard="g", reason="a password"), 400, "content_filter"),
    "filter": (errors.ContentFilterError("no"), 400, "content_filter"),
    "budget": (BudgetExceededError("no", budget="day", retry_after=90.2), 429, "insufficient_quota"),
    "limit": (LimitExceededError("no", limit="rpm", retry_after=1.5), 429, "rate_limit_exceeded"),
    "rate limit": (RateLimitError("no", retry_after=7), 429, "rate_limit_exceeded"),
    "our key": (errors.AuthenticationError("no", status=401), 502, "upstream_authentication"),
    "our model": (errors.NotFoundError("no", status=404), 502, "upstream_not_found"),
    "overloaded": (errors.OverloadedError("no"), 503, "overloaded"),
    "timeout": (errors.AttemptTimeoutError("no"), 504, "timeout"),
    "server": (ServerError("no"), 502, "server_error"),
    "deadline": (DeadlineExceededError("no"), 504, "deadline_exceeded"),
    "bug": (KeyError("prompt"), 500, None),
}


@pytest.mark.parametrize("case", TABLE)
def test_each_error_has_its_status_and_code(case):
    error, status, code = TABLE[case]
    actual, headers, body = http_error(error)
    assert (actual, body["error"]["code"]) == (status, code)
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["message"].endswith(".")
    if (wait := getattr(error, "retry_after", None)) is not None:
        assert float(headers["retry-after"]) >= wait > float(headers["retry-after"]) - 1
    assert (headers.get("x-should-retry") == "false") == (case in ("guard", "budget"))


@settings(max_examples=examples(60))
@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.none() | st.floats(0.1, 100)), max_size=4),
    st.none() | st.floats(0.1, 100),
)
def test_no_error_shows_what_a_provider_said_or_becomes_a_401(kinds, retry_after):
    body = {"error": {"message": SECRET, "param": SECRET, "code": "sk-proj-0123456789abcdefghij"}}
    failed = [kind(SECRET, route="secret-route", retry_after=wait, body=body) for kind, wait in kinds]
    skipped = {"secret-route": SECRET}
    for error in [*failed, AllRoutesFailedError(SECRET, errors=failed, skipped=skipped, retry_after=retry_after)]:
        status, headers, answer = http_error(error)
        text = json.dumps(answer) + json.dumps(describe_error(error).to_anthropic()) + json.dumps(headers)
        assert status in (400, 429, 502, 503, 504)
        assert not any(word in text for word in ("sk-proj", "10.1.2.3", "prompt?", "secret-route"))


def test_a_bad_request_names_the_parameter_of_the_provider():
    error = BadRequestError("no", body={"error": {"param": "messages[0].content", "code": "invalid_value"}})
    _, _, body = http_error(error)
    assert body["error"]["param"] == "messages[0].content"
    assert body["error"]["code"] == "invalid_value"


def test_a_message_of_our_own_shows_no_key_or_address():
    _, _, body = http_error(ConfigurationError(f"extra={SECRET!r} is not valid."))
    assert "sk-proj" not in str(body)
    assert "10.1.2.3" not in str(body)


def describe(*scripts, **settings):
    router = Router([scripted_route(f"r{n}", script) for n, script in enumerate(scripts)], max_retries=0, **settings)
    try:
        router.generate("Hi")
    except Exception as error:
        return describe_error(error), router
    raise AssertionError("it answered")


def test_only_rate_limits_are_a_429_with_the_wait():
    failure, router = describe(rate_limited(30), rate_limited(60))
    assert failure.status == 429
    assert 1 <= int(failure.headers()["retry-after"]) <= 30
    with pytest.raises(AllRoutesFailedError) as skipped:  # both cool down: nothing is even sent
        router.generate("Hi", deadline=0.01)
    assert describe_error(skipped.value).status in (429, 504)
    assert describe(rate_limited(30), Fail(ServerError))[0].status in (502, 503)
    assert describe(Fail(ServerError), Fail(errors.OverloadedError))[0].status in (502, 503)
    assert (
        describe(Fail(errors.AuthenticationError), Fail(errors.AuthenticationError))[0].code
        == "upstream_authentication"
    )
    assert describe(Fail(ContextOverflowError), Fail(ContextOverflowError))[0].code == "context_length_exceeded"
