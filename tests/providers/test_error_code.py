"""The provider's error code, as far as it is safe to log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core.errors import AttemptTimeoutError, AuthenticationError
from multiroute_core.providers.error_code import error_code, failure_of
from multiroute_core.resilience.failure import Failure

GOOGLE = {
    "error": {
        "code": 400,
        "message": "API key not valid.",
        "status": "INVALID_ARGUMENT",
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}],
    }
}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": {"code": "invalid_api_key", "type": "invalid_request_error"}}, "invalid_api_key"),
        ({"code": "insufficient_quota", "type": "insufficient_quota"}, "insufficient_quota"),
        ({"type": "error", "error": {"type": "authentication_error", "message": "no"}}, "authentication_error"),
        ({"type": "error", "error": {"type": "not_found_error"}}, "not_found_error"),
        (GOOGLE, "API_KEY_INVALID"),
        ({"error": {"code": 403, "status": "PERMISSION_DENIED"}}, "PERMISSION_DENIED"),
        ({"error": {"code": "DeploymentNotFound"}}, "DeploymentNotFound"),
        ({"error": {"code": 404, "type": "not_found_error"}}, "not_found_error"),
        ({"error": "model_not_found"}, "model_not_found"),
        ({"error": {"code": None, "type": "billing_hard_limit_reached"}}, "billing_hard_limit_reached"),
    ],
)
def test_the_codes_of_the_vendors_are_known(body, code):
    assert error_code(body) == code


@pytest.mark.parametrize(
    "code",
    [
        "sk-abcDEF",
        "sk-proj-1234567890",
        "AKIAIOSFODNN",
        "hunter",
        "my_secret_word",
        "invalid_key_hunter",
        "invalid api key",
        "invalid_api_key\n",
        "4821",
        "error",
        "a" * 41,
        "",
        "Ünvalid",
        401,
        True,
        None,
        ["invalid_api_key"],
        {"code": "x"},
    ],
)
def test_a_code_that_may_hold_what_the_user_wrote_is_left_out(code):
    for name in ("code", "type", "status", "reason"):
        assert error_code({"error": {name: code}}) is None
    assert error_code({"error": {"details": [{"reason": code}]}}) is None


NAMES = st.sampled_from(["error", "code", "type", "details", "reason", "status"])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.slow
@given(anything)
def test_any_body_gives_a_code_or_none(body):
    assert error_code(body) is None or isinstance(error_code(body), str)


def test_a_body_without_an_end_is_not_followed_for_ever():
    body: dict = {"type": "billing_error"}
    body["error"] = body
    assert error_code(body) == "billing_error"


@pytest.mark.parametrize("status", [None, True, "401", 7, 99999])
def test_only_an_http_status_is_one(status):
    assert failure_of(AuthenticationError("secret", status=status)) == Failure("authentication")


def test_a_failure_says_nothing_of_the_message():
    failure = failure_of(AuthenticationError("the prompt", status=401, body={"error": {"code": "invalid_api_key"}}))
    assert str(failure) == "authentication (HTTP 401, invalid_api_key)"
    assert str(failure_of(AttemptTimeoutError("the prompt"))) == "timeout"
