"""Events as lines of logging: what they say, their fields, and what never stands in them."""

import json
import logging

import pytest

from multiroute_core import (
    AllRoutesFailedError,
    AuthenticationError,
    ConfigurationError,
    Message,
    RateLimitError,
    Route,
    Router,
    Usage,
)
from multiroute_core.telemetry import LogEvents
from multiroute_core.testing import Answer, Fail, ScriptedProvider
from tests.chat_server import FACES, Fleet, ask, error

USAGE = Usage(100, 20, cache_read_tokens=60)
COST = (100 + 2 * 20) / 1e6


def router(*scripts, hook, **settings):
    routes = [
        Route(f"scripted:m{n}", name="ab"[n], llm=ScriptedProvider(script), prices={"input": 1, "output": 2})
        for n, script in enumerate(scripts)
    ]
    settings.setdefault("max_retries", 0)
    return Router(routes, on_event=[hook], **settings)


def fields(record):
    return {name: value for name, value in vars(record).items() if name.startswith("multiroute_")}


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.DEBUG, logger="multiroute_core.events")
    return lambda: [record for record in caplog.records if record.name == "multiroute_core.events"]


@pytest.mark.parametrize("face", FACES)
def test_one_line_for_each_try_and_one_for_the_request(lines, face):
    refused = Fail(lambda: RateLimitError("key sk-12345 and prompt", status=429, retry_after=9))
    ask(router(refused, Answer("Hello.", usage=USAGE), hook=LogEvents()), face)
    first, second, request = lines()
    assert [record.levelname for record in (first, second, request)] == ["WARNING", "INFO", "INFO"]
    assert first.getMessage().startswith("Attempt on 'a' failed, rate_limit (HTTP 429), in 0.0")
    assert second.getMessage().startswith("Attempt on 'b' succeeded in 0.")
    assert second.getMessage().endswith(" s, 100 input and 20 output tokens, $0.000140.")
    id_ = request.multiroute_request_id
    assert request.getMessage().startswith(f"Request {id_} answered by 'b' in 0.")
    assert " s after 2 attempts, 100 input and 20 output tokens, $0.000140." in request.getMessage()
    assert first.multiroute_request_id == second.multiroute_request_id == id_
    told = fields(second)
    assert told.pop("multiroute_seconds") > 0
    assert told.pop("multiroute_cost") == pytest.approx(COST)
    assert (told.pop("multiroute_first_token_seconds") or 0) >= 0
    assert told == {
        "multiroute_event": "attempt",
        "multiroute_request_id": id_,
        "multiroute_outcome": "success",
        "multiroute_route": "b",
        "multiroute_provider": "scripted",
        "multiroute_model": "m1",
        "multiroute_status": None,
        "multiroute_dropped": [],
        "multiroute_estimated_cost": None,
        "multiroute_input_tokens": 100,
        "multiroute_output_tokens": 20,
        "multiroute_cache_read_tokens": 60,
        "multiroute_cache_write_tokens": None,
        "multiroute_reasoning_tokens": None,
    }
    assert (first.multiroute_outcome, first.multiroute_status) == ("rate_limit", 429)
    assert (request.multiroute_event, request.multiroute_attempts) == ("request", 2)
    for record in (first, second, request):
        assert "sk-12345" not in json.dumps(fields(record)) + record.getMessage()
        assert "Hello" not in json.dumps(fields(record)) + record.getMessage()


def test_a_hit_costs_nothing_and_says_what_it_saved(lines):
    asked = router(Answer(usage=USAGE), hook=LogEvents(), cache="memory")
    asked.generate("Hi")
    asked.generate("Hi")
    *_, hit = lines()
    assert "answered from the cache in" in hit.getMessage()
    assert (hit.multiroute_outcome, hit.multiroute_cached, hit.multiroute_attempts) == ("cached", True, 0)
    assert (hit.multiroute_input_tokens, hit.multiroute_output_tokens, hit.multiroute_cost) == (0, 0, None)
    assert hit.multiroute_saved_cost == pytest.approx(COST)
    assert len(lines()) == 3


def test_a_request_that_fails_and_one_that_is_given_up(lines):
    with pytest.raises(AllRoutesFailedError):
        router(Fail(), Fail(), hook=LogEvents()).generate("Hi")
    failed = lines()[-1]
    assert (failed.levelname, failed.multiroute_outcome) == ("WARNING", "AllRoutesFailedError")
    assert "failed, AllRoutesFailedError, in" in failed.getMessage()
    stream = router(Answer(("one ", "two")), hook=LogEvents()).stream("Hi")
    next(stream)
    stream.close()
    attempt, request = lines()[-2:]
    assert attempt.multiroute_outcome == request.multiroute_outcome == "cancelled"
    assert (attempt.levelname, request.levelname) == ("INFO", "INFO")


def test_no_key_and_no_prompt_stand_in_any_line_of_a_real_exchange(lines):
    """A server that quotes both, as some gateways do."""
    with Fleet(error(401, "Incorrect key sk-s3cret for: My password is hunter2")) as fleet:
        route = Route("openai:gpt-4.1", api_key="sk-s3cret", base_url=f"{fleet.servers[0].url}/v1")
        with Router([route], on_event=[LogEvents()]) as asked, pytest.raises(AuthenticationError) as caught:
            asked.generate([Message("user", "My password is hunter2")])
    assert "Incorrect key … for" in str(caught.value)
    assert len(lines()) == 2
    for record in lines():
        told = json.dumps(fields(record)) + record.getMessage()
        assert "s3cret" not in told
        assert "hunter2" not in told


def test_another_logger_and_level(caplog):
    mine = logging.getLogger("tests.mine")
    caplog.set_level(logging.INFO, logger="tests.mine")
    router(Fail(), Answer(), hook=LogEvents(mine, "debug")).generate("Hi")
    assert [record.levelname for record in caplog.records if record.name == "tests.mine"] == ["WARNING"]
    router(Fail(), Answer(), hook=LogEvents(mine, logging.ERROR)).generate("Hi")
    assert [r.levelname for r in caplog.records if r.name == "tests.mine"] == ["WARNING", *["ERROR"] * 3]
    assert repr(LogEvents(mine)) == "LogEvents('tests.mine', level=INFO)"
    with pytest.raises(ConfigurationError, match="level='loud'"):
        LogEvents(level="loud")
