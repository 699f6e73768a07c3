"""The router's errors as LangChain's: both classes at once, and the truth about trying again."""

import pickle

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelRetryMiddleware
from langchain_core import exceptions
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import HumanMessage

from langchain_multiroute import ChatMultiRoute
from multiroute_core import errors
from tests.chat_server import Fleet, answer, error

OVERFLOW = error(400, "This model's maximum context length is 10 tokens.", "context_length_exceeded")
CASES = [
    (error(400, "bad", "invalid_request_error"), errors.BadRequestError, exceptions.ModelInvalidRequestError, False),
    (OVERFLOW, errors.ContextOverflowError, exceptions.ContextOverflowError, False),
    (error(401), errors.AuthenticationError, exceptions.ModelAuthenticationError, False),
    (error(403), errors.AuthenticationError, exceptions.ModelPermissionDeniedError, False),
    (error(404), errors.NotFoundError, exceptions.ModelNotFoundError, False),
    (error(429, "insufficient_quota"), errors.QuotaExhaustedError, exceptions.ModelRateLimitError, False),
    (error(429), errors.RateLimitError, exceptions.ModelRateLimitError, True),
    (error(500), errors.ServerError, exceptions.ModelAPIError, True),
    (error(503), errors.OverloadedError, exceptions.ModelAPIError, True),
]


@pytest.mark.parametrize(("reply", "ours", "theirs", "again"), CASES)
@pytest.mark.parametrize("face", ["invoke", "stream"])
def test_one_route(reply, ours, theirs, again, face):
    with Fleet(reply) as fleet, pytest.raises(ours) as caught:
        llm = ChatMultiRoute(router=fleet.router, max_retries=0)
        llm.invoke("Hi") if face == "invoke" else list(llm.stream("Hi"))
    assert isinstance(caught.value, theirs)
    assert getattr(caught.value, "is_retryable") is again
    copy = pickle.loads(pickle.dumps(caught.value, protocol=4)) if not hasattr(caught.value, "response") else None
    assert copy is None or type(copy) is type(caught.value)


@pytest.mark.parametrize(
    ("replies", "theirs", "again"),
    [
        ((error(429), error(429)), exceptions.ModelRateLimitError, True),
        ((error(401), error(401)), exceptions.ModelAuthenticationError, False),
        ((error(500), error(401)), exceptions.ModelAPIError, True),
        ((error(404), error(401)), exceptions.ModelAPIError, False),
    ],
)
def test_all_routes(replies, theirs, again):
    with Fleet(*replies) as fleet, pytest.raises(errors.AllRoutesFailedError) as caught:
        ChatMultiRoute(router=fleet.router, max_retries=0).invoke("Hi")
    assert isinstance(caught.value, theirs)
    assert getattr(caught.value, "is_retryable") is again
    assert len(caught.value.attempts) == 2


def test_too_long_for_every_route():
    """Then that is the error, with every try."""
    with Fleet(OVERFLOW, OVERFLOW) as fleet, pytest.raises(errors.ContextOverflowError) as caught:
        ChatMultiRoute(router=fleet.router).invoke("Hi")
    assert isinstance(caught.value, exceptions.ContextOverflowError)
    assert len(caught.value.attempts) == 2


def test_bad_input_is_an_invalid_request():
    with Fleet(answer()) as fleet, pytest.raises(exceptions.ModelInvalidRequestError) as caught:
        ChatMultiRoute(router=fleet.router).invoke("Hi", temperature=9)
    assert isinstance(caught.value, errors.ConfigurationError)
    assert isinstance(caught.value, ValueError)


def test_tracers_see_the_vendor_s_reply():
    told = []

    class Listener(BaseCallbackHandler):
        def on_llm_error(self, error, **kwargs):
            told.append(kwargs["response"])

    with Fleet(error(400, "bad", "invalid_request_error", x_request_id="r1")) as fleet:
        with pytest.raises(errors.BadRequestError):
            ChatMultiRoute(router=fleet.router).invoke("Hi", config={"callbacks": [Listener()]})
    about = told[0].generations[0][0].message.response_metadata
    assert (about["status_code"], about["request_id"]) == (400, "r1")
    assert about["body"]["error"]["message"] == "bad"


@pytest.mark.parametrize(("reply", "calls"), [(error(400), 1), (error(500), 3)])
def test_middleware_asks_again_only_where_it_may_help(reply, calls):
    with Fleet(reply) as fleet:
        llm = ChatMultiRoute(router=fleet.router, max_retries=0)
        again = ModelRetryMiddleware(max_retries=2, initial_delay=0.01, on_failure="error")
        with pytest.raises(errors.MultiRouteError):
            create_agent(llm, [], middleware=[again]).invoke({"messages": [HumanMessage("Hi")]})
        assert fleet.hits == [calls]
