"""Whose fault a refusal is: the account's, the model's, a filter's, the route's or the caller's, in every envelope."""

from __future__ import annotations

import itertools
import json
from typing import Any

import httpx
import openai
import pytest

from multiroute_core import (
    BadRequestError,
    ContentFilterError,
    ContextOverflowError,
    InvalidResponseError,
    RateLimitError,
    RouteError,
    ServerError,
)
from multiroute_core.errors import UnsupportedError
from multiroute_core.providers.classify import classify
from multiroute_core.providers.provider import NoAnswer, WireError
from tests.providers import refusals
from tests.providers.overflows import SENTENCES
from tests.providers.refusals import Case

REQUEST = httpx.Request("POST", "https://api.example.com/v1")
TABLES = {
    "account": refusals.ACCOUNT,
    "models": refusals.MODELS,
    "filtered": refusals.FILTERED,
    "unsupported": refusals.UNSUPPORTED,
    "reasoning": refusals.REASONING,
    "files": refusals.FILES,
    "callers": refusals.CALLERS,
    "others": refusals.OTHERS,
}
CASES = [pytest.param(case, id=f"{table}-{name}") for table, cases in TABLES.items() for name, case in cases.items()]


def refused(status: int, body: Any, headers: dict[str, str] | None = None) -> httpx.HTTPStatusError:
    content = body if isinstance(body, str) else json.dumps(body)
    response = httpx.Response(status, content=content, headers=headers, request=REQUEST)
    return httpx.HTTPStatusError(f"Client error '{status}'", request=REQUEST, response=response)


def by_openai(status: int, body: Any) -> openai.APIStatusError:
    """The same reply as the OpenAI SDK raises it, which strips the envelope."""
    response = refused(status, body).response
    with openai.OpenAI(api_key="k", base_url="http://127.0.0.1") as client:
        return client._make_status_error_from_response(response)  # noqa: SLF001


def check(found: RouteError, case: Case) -> None:
    assert type(found) is case.kind, repr(found)
    if case.ability is not None:
        assert isinstance(found, UnsupportedError)
        assert found.ability == case.ability
    assert "\n" not in found.message
    assert not found.message.startswith(("{", "Error code"))


@pytest.mark.parametrize("case", CASES)
def test_under_its_status(case: Case) -> None:
    if case.status == 200:
        check(classify(NoAnswer("The answer has no choices.", case.body)), case)
        return
    check(classify(refused(case.status, case.body)), case) if case.body else None
    assert type(classify(by_openai(case.status, case.body))) is case.kind


@pytest.mark.parametrize("case", [case for case in CASES if case.values[0].streamed and case.values[0].body])  # pyright: ignore[reportAttributeAccessIssue]
def test_inside_a_stream(case: Case) -> None:
    check(classify(WireError("The provider reported an error inside the stream.", case.body)), case)


@pytest.mark.parametrize(
    "case", [case for table in ("filtered", "unsupported", "reasoning") for case in TABLES[table].values()]
)
def test_says_nothing_about_the_routes_health(case: Case) -> None:
    assert not case.kind.counts_against_breaker
    assert not case.kind.retryable


@pytest.mark.parametrize("table", ["account", "models", "unsupported", "reasoning"])
def test_moves_on(table: str) -> None:
    assert all(case.kind.fallback_allowed for case in TABLES[table].values())


ENVELOPES = {
    "string": lambda s: {"error": s},
    "object": lambda s: {"error": {"message": s, "type": "invalid_request_error", "param": None, "code": None}},
    "bare": lambda s: {"message": s},
    "vllm": lambda s: {"object": "error", "message": s, "type": "BadRequestError", "param": None, "code": 400},
    "detail": lambda s: {"detail": s},
    "nested": lambda s: {"object": "error", "message": {"detail": [{"msg": s}]}, "code": "3051"},
    "errors": lambda s: {"errors": [{"message": s}], "success": False},
    "raw": lambda s: {
        "error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": json.dumps({"error": s})}}
    },
    "array": lambda s: [{"error": {"code": 400, "message": s, "status": "INVALID_ARGUMENT"}}],
    "tgi": lambda s: {"error": s, "error_type": "validation"},
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_prompt_that_is_too_long(sentence: str) -> None:
    for envelope, status in itertools.product(ENVELOPES, [400, 413, 422, 500]):
        error = classify(refused(status, ENVELOPES[envelope](sentence)))
        assert type(error) is ContextOverflowError, (envelope, status, error)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_prompt_that_is_too_long_for_a_stream(sentence: str) -> None:
    for envelope in set(ENVELOPES) - {"array"}:
        error = classify(WireError("The provider reported an error.", ENVELOPES[envelope](sentence)))
        assert type(error) is ContextOverflowError, (envelope, error)


TPM = "Request too large for model `m` on tokens per minute (TPM): Limit 6000, Requested {}, please reduce your message size."


@pytest.mark.parametrize("status", [413, 429])
@pytest.mark.parametrize(("requested", "kind"), [(7000, ContextOverflowError), (5000, RateLimitError)])
def test_a_request_that_is_too_large_for_the_minute(status: int, requested: int, kind: type[RouteError]) -> None:
    """One that never fits is not asked again here, and shuts nothing; one that does not fit now may wait."""
    body = {"error": {"message": TPM.format(requested), "type": "tokens", "code": "rate_limit_exceeded"}}
    found = classify(refused(status, body))
    assert type(found) is kind
    assert found.fallback_allowed
    assert not found.counts_against_breaker


@pytest.mark.parametrize(
    "sentence",
    [
        "Rate limit reached on tokens per min (TPM): Limit 10000, Used 9000, Requested 2000.",
        "Too many tokens, please wait before trying again.",
        "Too many requests: you exceed the maximum number of tokens per minute.",
    ],
)
def test_a_rate_is_no_window(sentence: str) -> None:
    assert type(classify(refused(429, {"error": {"message": sentence}}))) is RateLimitError


@pytest.mark.parametrize("status", refusals.STATUSES)
def test_statuses_without_words(status: int) -> None:
    for body in ({}, "", {"error": {}}, {"error": {"message": "No."}}):
        assert type(classify(refused(status, body))) is refusals.STATUSES[status]


PAGES = (
    "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>Checking your browser</body></html>",
    "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body><center><h1>403 Forbidden</h1></center></body></html>",
    "\n<!doctype html><title>Attention Required! | Cloudflare</title>Sorry, you have been blocked",
)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((400, ServerError), (403, ServerError), (406, ServerError), (451, ServerError)),
        *((status, refusals.STATUSES[status]) for status in (401, 404, 405, 413, 429, 500, 502, 503, 520, 524)),
    ],
)
def test_a_web_page_judges_neither_key_nor_request(page: str, status: int, kind: type[RouteError]) -> None:
    for error in (refused(status, page, {"content-type": "text/html"}), refused(status, page), by_openai(status, page)):
        found = classify(error)
        assert type(found) is kind
        assert "<" not in found.message


def test_a_challenge_is_known_by_its_header() -> None:
    assert type(classify(refused(403, "", {"cf-mitigated": "challenge"}))) is ServerError


def test_the_sentence_of_a_validator_says_where_and_does_not_repeat_the_input() -> None:
    item = {
        "type": "string_type",
        "loc": ["body", "messages", 0, "content"],
        "msg": "Not a string",
        "input": "my secret",
    }
    found = classify(refused(422, {"detail": [item]}))
    assert found.message.startswith("messages.0.content: Not a string")
    assert "secret" not in found.message


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-abcdefghijklmnopqrst1234567890.",
        "Client error for url 'https://g.example/v1/m?key=AIzaSyAbcdefghijklmnopqrstuvw12345678'",
        "Authorization: Bearer abcdefghijklmnopqrst1234567890",
        "Proxy http://user:abcdefghijklmnopqrst1234567890@proxy:80 failed",
        "Amazon says AKIAabcdefghijklmnopqrst1234567890",
    ],
)
def test_no_key_is_told(text: str) -> None:
    for error in (refused(401, {"error": {"message": text}}), WireError("x", {"error": text}), RuntimeError(text)):
        message = classify(error).message
        assert "abcdefgh" not in message.lower()
        assert message.startswith(text[:10])


def test_an_answer_without_an_answer_stays_one() -> None:
    for body in ({}, {"id": "1", "object": "chat.completion", "choices": []}, {"message": {"role": "assistant"}}, None):
        assert type(classify(NoAnswer("The answer has no choices.", body))) is InvalidResponseError
    assert type(classify(NoAnswer("Blocked.", {}, filtered=True))) is ContentFilterError
    empty = {"base_resp": {"status_code": 0, "status_msg": ""}, "choices": []}
    assert type(classify(NoAnswer("The answer has no choices.", empty))) is InvalidResponseError


def test_an_error_under_200_in_place_of_an_answer() -> None:
    for body, kind in (
        ({"object": "error", "message": "EngineCore died", "type": "InternalServerError", "code": 500}, ServerError),
        ({"detail": "Internal Server Error"}, ServerError),
        ({"object": "error", "message": SENTENCES[4], "code": 400}, ContextOverflowError),
    ):
        assert type(classify(NoAnswer("The answer has no choices.", body))) is kind


def test_the_body_is_kept() -> None:
    assert classify(refused(400, {"error": {"message": "No."}})).body == {"error": {"message": "No."}}
    assert classify(refused(400, [{"error": {"message": "No."}}])).body == {"error": {"message": "No."}}
    assert type(classify(refused(400, "no JSON"))) is BadRequestError
