"""Trouble is reported: one warning when a breaker opens, and the reason in `Router.health`; never what the user wrote."""

import asyncio
import json
import logging
import threading
from typing import Any

import pytest

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import Router
from multiroute_core.errors import (
    AllRoutesFailedError,
    APIConnectionError,
    AttemptTimeoutError,
    AuthenticationError,
    MultiRouteError,
    NotFoundError,
    QuotaExhaustedError,
    RouteError,
    ServerError,
)
from multiroute_core.resilience.admission import Outcome, Permit, Verdict
from multiroute_core.resilience.failure import Failure
from multiroute_core.route import Route
from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO
from multiroute_core.state.advice import advise, safe_address
from multiroute_core.state.memory import MemoryState
from multiroute_core.state.redis import RedisState
from multiroute_core.testing.behaviours import Answer, Fail, rate_limited
from multiroute_core.testing.scripted import scripted_route
from multiroute_core.testing.server import Drop, ReplayServer, Reply
from tests.redis_servers import eventually, is_down, running

IO = SyncIO()
ROUTE = Route("openai:gpt-6.1-sol")
ONE, OTHER = (Route(f"openai:{name}", name=name, rate_limit_group="account") for name in ("one", "other"))
KEY, PROMPT = "sk-live-K3yThatIsSecret", "PineappleSecret"
REFUSED = Failure("authentication", 401, "invalid_api_key")
FAILED = Outcome(Verdict.FAILURE, failure=Failure("server_error", 500))
WRONG_KEY = Outcome(Verdict.PERMANENT, failure=REFUSED)
SPENT = Outcome(Verdict.PERMANENT, shared=True, failure=Failure("quota_exhausted", 429, "insufficient_quota"))
WELL = Outcome(Verdict.SUCCESS)


@pytest.fixture(autouse=True)
def at_info(caplog):
    caplog.set_level(logging.INFO, "multiroute_core")


def lines(caplog, level=logging.WARNING):
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == level and record.name == "multiroute_core" and "Redis" not in record.getMessage()
    ]


class Driven:
    """A state whose clock stands where it is put."""

    def __init__(self, state=None, **more):
        self.now = 100.0
        self.state: Any = state or MemoryState(random=lambda: 0.5, wall=lambda: 1_000_000.0 + self.now, **more)

    def admit(self, route, **more):
        permit = run(self.state.admit(IO, route, self.now, **more))
        assert isinstance(permit, Permit), permit
        return permit

    def settle(self, route, permit, outcome):
        run(self.state.settle(IO, route, self.now, permit, outcome))

    def attempt(self, route, outcome, **more):
        self.settle(route, self.admit(route, **more), outcome)

    def standing(self, route):
        return run(self.state.standing(IO, route, self.now))


def test_a_refused_key_is_one_warning_and_stands_in_the_standing(caplog):
    driven = Driven()
    driven.attempt(ROUTE, WRONG_KEY)
    assert lines(caplog) == [
        (
            "Route 'openai:gpt-6.1-sol': circuit breaker opened for 300 s: authentication failed "
            "(HTTP 401, invalid_api_key). Check OPENAI_API_KEY."
        )
    ]
    driven.now += 7
    standing = driven.standing(ROUTE)
    assert (standing.reason, standing.last_error) == ("authentication", "authentication (HTTP 401, invalid_api_key)")
    assert standing.since == 1_000_100.0


def test_failures_that_do_not_open_the_breaker_are_no_warning(caplog):
    driven = Driven()
    for _ in range(2):
        driven.attempt(ROUTE, FAILED)
    assert not caplog.records
    standing = driven.standing(ROUTE)
    assert (standing.reason, standing.last_error, standing.since) == (None, "server_error (HTTP 500)", None)
    driven.attempt(ROUTE, FAILED)
    assert lines(caplog) == ["Route 'openai:gpt-6.1-sol': circuit breaker opened for 5 s: server error (HTTP 500)."]
    assert driven.standing(ROUTE).reason == "server_error"


def test_a_probe_that_fails_is_no_second_warning_and_recovery_is_told_once(caplog):
    driven = Driven()
    driven.attempt(ROUTE, WRONG_KEY)
    for _ in range(3):
        driven.now += 1000
        assert driven.standing(ROUTE).breaker == "half_open"
        assert driven.standing(ROUTE).reason == "authentication"
        driven.attempt(ROUTE, WRONG_KEY)
        assert driven.standing(ROUTE).since == 1_000_100.0
    assert len(lines(caplog)) == 1
    assert [line.partition(": ")[2][:41] for line in lines(caplog, logging.INFO)] == [
        "circuit breaker stays open for another 30"
    ] * 3
    caplog.clear()
    driven.now += 1000
    driven.attempt(ROUTE, WELL)
    driven.attempt(ROUTE, WELL)
    assert lines(caplog, logging.INFO) == [
        "Route 'openai:gpt-6.1-sol': recovered; circuit breaker closed after 4000 s."
    ]
    standing = driven.standing(ROUTE)
    assert (standing.reason, standing.since) == (None, None)
    assert standing.last_error == str(REFUSED), "it stays"
    driven.attempt(ROUTE, WRONG_KEY)
    assert len(lines(caplog)) == 1, "the next opening is another warning"


def test_a_streams_first_token_tells_the_recovery_once(caplog):
    driven = Driven()
    driven.attempt(ROUTE, WRONG_KEY)
    probe = driven.admit(ROUTE, early=True)
    permit = run(driven.state.confirm(IO, ROUTE, driven.now, probe))
    driven.settle(ROUTE, permit, WELL)
    assert len(lines(caplog, logging.INFO)) == 1


def test_a_probe_that_finds_a_refused_key_after_timeouts_is_a_warning_once(caplog):
    driven = Driven()
    slow = Outcome(Verdict.FAILURE, failure=Failure("timeout"))
    for _ in range(3):
        driven.attempt(ROUTE, slow)
    for outcome in (slow, WRONG_KEY, slow, WRONG_KEY):
        driven.attempt(ROUTE, outcome, early=True)
    assert [("OPENAI_API_KEY" in line) for line in lines(caplog)] == [False, True]
    assert "stays open for another 300 s: authentication failed" in lines(caplog)[1]


def test_a_late_answer_of_an_older_generation_says_nothing(caplog):
    driven = Driven()
    late = [driven.admit(ROUTE) for _ in range(3)]
    driven.attempt(ROUTE, WRONG_KEY)
    for permit, outcome in zip(late, (FAILED, WELL, SPENT), strict=True):
        driven.settle(ROUTE, permit, outcome)
    assert len(lines(caplog)) == 1
    assert not lines(caplog, logging.INFO)
    assert driven.standing(ROUTE).last_error == str(REFUSED)


def test_a_rate_limit_is_a_reason_and_no_warning(caplog):
    driven = Driven()
    limited = Outcome(Verdict.NONE, retry_after=30.0, limited=True, failure=Failure("rate_limit", 429))
    driven.attempt(ROUTE, limited)
    standing = driven.standing(ROUTE)
    assert (standing.reason, standing.last_error, standing.since) == ("rate_limit", "rate_limit (HTTP 429)", None)
    assert not caplog.records
    driven.now += 31
    assert driven.standing(ROUTE).reason is None


def test_a_limit_of_ones_own_is_a_reason():
    driven, route = Driven(), Route("openai:slow", rpm=1)
    driven.attempt(route, WELL)
    standing = driven.standing(route)
    assert standing.retry_in == 0 or standing.reason == "limit"
    assert standing.last_error is None


def test_routes_that_open_together_are_one_warning(caplog):
    driven = Driven()
    driven.state.know([ONE, OTHER])
    driven.attempt(ONE, SPENT)
    assert lines(caplog) == [
        (
            "Routes 'one', 'other' (quota 'account'): circuit breakers opened for up to 300 s: credit or quota exhausted "
            "(HTTP 429, insufficient_quota). Check the billing, credits and spending limits of the 'openai' account."
        )
    ]
    for route in (ONE, OTHER):
        assert driven.standing(route).reason == "quota_exhausted"
        assert driven.standing(route).since == 1_000_100.0


def test_of_routes_of_one_quota_the_warning_names_those_that_open(caplog):
    driven = Driven()
    driven.state.know([ONE, OTHER])
    for _ in range(3):
        driven.attempt(OTHER, FAILED)
    driven.attempt(ONE, SPENT)
    assert [line.partition(":")[0] for line in lines(caplog)] == ["Route 'other'", "Route 'one'"]


def test_an_outcome_without_a_failure_is_reported_all_the_same(caplog):
    driven = Driven()
    driven.attempt(ROUTE, Outcome(Verdict.PERMANENT))
    assert lines(caplog) == ["Route 'openai:gpt-6.1-sol': circuit breaker opened for 300 s."]
    assert (driven.standing(ROUTE).reason, driven.standing(ROUTE).last_error) == ("open", None)


class Asking(logging.Handler):
    """A handler that uses the router while it logs; under the state's lock that would never end."""

    def __init__(self, driven):
        super().__init__()
        self.driven, self.seen = driven, []

    def emit(self, record):
        self.seen.append(self.driven.standing(ROUTE).reason)


def test_a_log_handler_may_use_the_state():
    driven, logger = Driven(), logging.getLogger("multiroute_core")
    handler = Asking(driven)
    logger.addHandler(handler)
    try:
        thread = threading.Thread(target=driven.attempt, args=(ROUTE, WRONG_KEY), daemon=True)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
    finally:
        logger.removeHandler(handler)
    assert handler.seen == ["authentication"]


def test_a_log_filter_that_fails_fails_no_call():
    driven, logger = Driven(), logging.getLogger("multiroute_core")

    def fail(record):
        raise ValueError("a bug of the program's")

    logger.addFilter(fail)
    try:
        driven.attempt(ROUTE, WRONG_KEY)
    finally:
        logger.removeFilter(fail)
    assert driven.standing(ROUTE).reason == "authentication"


# Through the router.


def failing(kind, status=None):
    """What makes an error whose message is the prompt."""
    return lambda: kind(PROMPT, status=status)


def fail(router, **more):
    with pytest.raises(MultiRouteError):
        router.generate(PROMPT, **more)


@pytest.mark.parametrize(
    ("error", "times", "reason", "words"),
    [
        (failing(AuthenticationError, 401), 1, "authentication", "the key of the wrapped model"),
        (failing(NotFoundError, 404), 1, "not_found", "'broken'"),
        (failing(QuotaExhaustedError, 402), 1, "quota_exhausted", "billing, credits"),
        (failing(ServerError, 503), 3, "server_error", "server error (HTTP 503)"),
        (failing(AttemptTimeoutError), 3, "timeout", "timeout"),
        (failing(APIConnectionError), 3, "connection", "Check the network"),
    ],
)
@pytest.mark.parametrize("native", [False, True])
def test_a_router_reports_it_in_both_worlds(caplog, error, times, reason, words, native):
    router = Router([scripted_route("broken", Fail(error)), scripted_route("well", Answer("Yes."))])
    for _ in range(times):
        if native:
            assert asyncio.run(router.agenerate(PROMPT)).text == "Yes."
        else:
            assert "".join(chunk.text for chunk in router.stream(PROMPT)) == "Yes."
    (line,) = lines(caplog)
    assert line.startswith("Route 'broken': circuit breaker opened for ")
    assert words in line
    health = router.health()
    assert (health["broken"].reason, health["well"].reason) == (reason, None)
    assert health["broken"].last_error.startswith(reason)
    assert str(health["broken"].last_error) in str(health)
    assert PROMPT not in f"{caplog.text}{health}{health!r}{health._repr_html_()}"


def test_a_rate_limit_of_a_router_shows_in_its_table(caplog):
    router = Router([scripted_route("limited", rate_limited(60.0)), scripted_route("well", Answer("Yes."))])
    router.generate("Hello")
    assert router.health()["limited"].reason == "rate_limit"
    assert "rate_limit" in str(router.health())
    assert not lines(caplog)


def test_a_hundred_threads_that_fail_at_once_are_one_warning(caplog):
    barrier = threading.Barrier(100)

    def behave(asked):
        barrier.wait(60)
        return Fail(failing(AuthenticationError, 401))

    router = Router([scripted_route("broken", behave)], max_retries=0)
    threads = [threading.Thread(target=fail, args=(router,)) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(lines(caplog)) == 1


async def test_a_hundred_tasks_that_fail_at_once_are_one_warning(caplog):
    router = Router([scripted_route("broken", Fail(failing(ServerError, 500), after=0.05))], max_retries=0)
    errors = await asyncio.gather(*(router.agenerate("Hello") for _ in range(100)), return_exceptions=True)
    assert all(isinstance(error, RouteError | AllRoutesFailedError) for error in errors)
    assert len(lines(caplog)) == 1


def test_langchain_and_llamaindex_report_it_too(caplog):
    for framework in ("langchain", "llamaindex"):
        caplog.clear()
        router = Router(
            [
                scripted_route("broken", Fail(failing(AuthenticationError, 401))),
                scripted_route("well", Answer("Yes.")),
            ]
        )
        if framework == "langchain":
            answer = ChatMultiRoute(router=router).invoke("Hello")
        else:
            answer = MultiRoute(router=router).complete("Hello")
        assert "Yes." in str(answer)
        assert len(lines(caplog)) == 1
        assert router.health()["broken"].reason == "authentication"


# Over a socket.


def echo(status, wire):
    """A provider whose error repeats the whole request in every field, key and all."""

    def reply(received):
        said = f"{received.body.decode()} {received.headers}"
        word = PROMPT
        if wire == "google":
            error = {
                "code": status,
                "message": said,
                "status": word,
                "details": [{"reason": KEY, "metadata": {"a": said}}],
            }
        else:
            error = {"message": said, "type": word, "code": KEY, "param": word}
        return Reply(
            status,
            {"content-type": "application/json", "x-request-id": KEY},
            json.dumps({"type": PROMPT, "error": error}).encode(),
        )

    return reply


@pytest.mark.parametrize("status", [401, 402, 403, 404])
@pytest.mark.parametrize(
    ("wire", "model"), [("openai", "gpt-4.1"), ("anthropic", "claude-sonnet-5-5"), ("google", "gemini-3.8-flash")]
)
def test_nothing_of_a_provider_that_echoes_gets_into_logs_and_health(caplog, status, wire, model):
    caplog.set_level(logging.INFO, "multiroute_core")
    with ReplayServer(echo(status, wire)) as server:
        address = server.url.replace("://", f"://user:{KEY}@")
        router = Router([Route(f"{wire}:{model}", api_key=KEY, base_url=f"{address}/v1/{KEY}")], max_retries=0)
        fail(router)
        with pytest.raises(MultiRouteError):
            list(router.stream(PROMPT))
        health = router.health()
        router.close()
    told = "\n".join(record.getMessage() for record in caplog.records if record.name == "multiroute_core")
    everything = f"{told}{health}{health!r}{health._repr_html_()}"
    assert PROMPT not in everything
    assert KEY not in everything
    (line,) = lines(caplog)
    assert f"(HTTP {status})" in line
    words = {
        401: "Route(api_key=...)",
        402: "billing",
        403: "Route(api_key=...)",
        404: f"model name '{model}' and base_url",
    }
    assert words[status] in line
    assert f"HTTP {status}" in health._repr_html_()


def test_a_connection_that_breaks_names_the_host(caplog):
    def drop(received):
        raise Drop

    with ReplayServer(drop) as server:
        router = Router([Route("openai:gpt-4.1", api_key=KEY, base_url=f"{server.url}/v1?key={KEY}")], max_retries=0)
        for _ in range(3):
            fail(router)
        router.close()
    (line,) = lines(caplog)
    assert f"connection failed. Check base_url {server.url}." in line


# Words.


@pytest.mark.parametrize(
    ("route", "environment", "failure", "sentence"),
    [
        (Route("anthropic:x"), {}, REFUSED, "Check ANTHROPIC_API_KEY."),
        (Route("google:x"), {}, REFUSED, "Check GOOGLE_API_KEY or GEMINI_API_KEY."),
        (Route("google:x"), {"GEMINI_API_KEY": KEY}, REFUSED, "Check GEMINI_API_KEY."),
        (Route("openai:x", api_key=KEY), {"OPENAI_API_KEY": KEY}, REFUSED, "Check Route(api_key=...)."),
        (Route("mine:x", llm=object()), {}, REFUSED, "Check the key of the wrapped model."),
        (
            Route("openai:x"),
            {},
            Failure("authentication", 403),
            "Check OPENAI_API_KEY, and whether it may use the model 'x' from here.",
        ),
        (Route("openai:x"), {}, Failure("not_found", 404), "Check the model name 'x'."),
        (
            Route("openai:x"),
            {"OPENAI_BASE_URL": f"http://{KEY}@h"},
            Failure("not_found"),
            "Check the model name 'x' and OPENAI_BASE_URL.",
        ),
        (Route("openai:x"), {"OPENAI_BASE_URL": "http://h"}, Failure("connection"), "Check OPENAI_BASE_URL."),
        (
            Route("openai:x", base_url=f"http://u:p@host:8/v1/{KEY}?key={KEY}"),
            {},
            Failure("not_found"),
            "Check the model name 'x' and base_url http://host:8/v1/….",
        ),
        (
            Route("openai:x", base_url="http://u:p@host:8/v1"),
            {},
            Failure("quota_exhausted"),
            "Check the billing, credits and spending limits of the account at base_url http://host:8.",
        ),
        (Route("local:smollm2"), {}, Failure("connection"), "Check the network."),
        (Route("local:smollm2"), {}, REFUSED, "Check the key."),
        (Route("openai:x"), {}, Failure("overloaded", 529), ""),
    ],
)
def test_advice_names_what_to_check(monkeypatch, route, environment, failure, sentence):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert advise(route, failure) == sentence


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://API.example.com/v1", "https://api.example.com/v1"),
        ("https://u:p@ss@h/v1", "https://h/v1"),
        ("https://u:p/w@h/v1", ""),
        ("https://u:12/w@h/v1", ""),
        ("https://u:12?w@h/v1", ""),
        ("https://u:12#w@h/v1", ""),
        ("https://[::1]:80/v1beta?key=s#s", "https://[::1]:80/v1beta"),
        ("https://[::1", ""),
        ("https://h:99999/", ""),
        ("https://h/v1/acc0unt1d/openai", "https://h/v1/…/openai"),
    ],
)
def test_an_address_is_told_without_its_secrets(url, address):
    assert safe_address(url, path=True) == address


# On Redis.


@pytest.fixture(scope="module")
def server():
    with running("valkey") as found:
        yield found


def on_redis(server, prefix, **more):
    return Driven(
        RedisState(server.unix_url, prefix=prefix, timeout=10.0, random=lambda: 0.5, wall=lambda: 5000.0, **more)
    )


@pytest.mark.redis
def test_on_redis_an_opening_is_one_warning_of_the_fleet(server, caplog):
    """Three failures in three processes: none of them would open by its own rules."""
    fleet = [on_redis(server, "spread") for _ in range(3)]
    for driven in fleet:
        driven.attempt(ROUTE, FAILED)
        driven.standing(ROUTE)  # so that it has arrived
    assert lines(caplog) == ["Route 'openai:gpt-6.1-sol': circuit breaker opened for 5 s: server error (HTTP 500)."]
    last = fleet[2].standing(ROUTE)
    assert (last.reason, last.last_error, last.since) == ("server_error", "server_error (HTTP 500)", 5000.0)
    first = fleet[0].standing(ROUTE)
    assert (first.breaker, first.reason, first.since) == ("open", "open", None)
    for driven in fleet:
        driven.state.close()


@pytest.mark.redis
def test_on_redis_another_process_closes_the_breaker(server, caplog):
    opener, prober = on_redis(server, "closed"), on_redis(server, "closed")
    opener.attempt(ROUTE, WRONG_KEY)
    assert opener.standing(ROUTE).reason == "authentication"
    assert prober.standing(ROUTE).last_error is None
    prober.attempt(ROUTE, WELL, early=True)
    assert prober.standing(ROUTE).reason is None
    standing = opener.standing(ROUTE)
    assert (standing.breaker, standing.reason, standing.since) == ("closed", None, None)
    opener.attempt(ROUTE, WELL)
    opener.standing(ROUTE)
    assert [line.split(";")[0] for line in lines(caplog, logging.INFO)] == ["Route 'openai:gpt-6.1-sol': recovered"]
    opener.attempt(ROUTE, WRONG_KEY)
    opener.standing(ROUTE)
    assert len(lines(caplog)) == 2
    for driven in (opener, prober):
        driven.state.close()


@pytest.mark.redis
def test_on_redis_probes_shared_quotas_and_rate_limits_are_as_in_memory(server, caplog):
    driven = on_redis(server, "same")
    driven.state.know([ONE, OTHER])
    driven.attempt(ONE, SPENT)
    assert driven.standing(OTHER).reason == "quota_exhausted"
    driven.attempt(ONE, SPENT, early=True)
    driven.standing(ONE)
    assert [line.partition(":")[0] for line in lines(caplog)] == ["Routes 'one', 'other' (quota 'account')"]
    assert len(lines(caplog, logging.INFO)) == 1
    probe = driven.admit(ONE, early=True)
    permit = run(driven.state.confirm(IO, ONE, driven.now, probe))
    driven.settle(ONE, permit, WELL)
    assert driven.standing(ONE).reason is None
    assert len(lines(caplog, logging.INFO)) == 2
    driven.attempt(ONE, Outcome(Verdict.NONE, retry_after=30.0, limited=True, failure=Failure("rate_limit", 429)))
    standing = driven.standing(ONE)
    assert (standing.reason, standing.last_error) == ("rate_limit", "rate_limit (HTTP 429)")
    assert len(lines(caplog)) == 1
    driven.state.close()


@pytest.mark.redis
def test_on_redis_calls_that_fail_together_are_one_warning(server, caplog):
    state = RedisState(server.unix_url, prefix="together", timeout=10.0)
    routes = [scripted_route("broken", Fail(failing(AuthenticationError, 401), after=0.2))]
    router = Router(routes, state=state, max_retries=0)
    threads = [threading.Thread(target=fail, args=(router,)) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert router.health()["broken"].reason == "authentication"
    assert len(lines(caplog)) == 1
    assert not [line for line in lines(caplog, logging.INFO) if "recovered" in line], "a late reply is no recovery"
    router.close()
    state.close()


@pytest.mark.redis
def test_while_redis_is_away_the_process_reports_what_its_own_rules_do(caplog):
    with running("valkey") as server:
        driven = Driven(RedisState(server.url, timeout=0.25, random=lambda: 0.5, wall=lambda: 5000.0))
        driven.standing(ROUTE)
        server.kill()
        eventually(lambda: is_down(driven.state.link))
        driven.attempt(ROUTE, WRONG_KEY)
        assert len(lines(caplog)) == 1
        standing = driven.standing(ROUTE)
        assert (standing.reason, standing.since) == ("authentication", 5000.0)
        driven.attempt(ROUTE, WELL, early=True)
        assert len(lines(caplog, logging.INFO)) == 1
        assert driven.standing(ROUTE).reason is None
        driven.state.close()
