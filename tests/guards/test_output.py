"""Output filters: leaked secrets, and answers that do not match a schema."""

import pickle
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core import ConfigurationError, GuardBlockedError, Reasoning, Router, Text, ToolCall
from multiroute_core.guards import Guard, ban_text, block_secrets, require_schema
from multiroute_core.guards.identity import identify_function
from multiroute_core.guards.output import SECRET_WINDOW
from multiroute_core.testing.behaviours import Answer
from multiroute_core.testing.scripted import scripted_route
from tests.engine.test_guarded_privacy import Pieces
from tests.providers.faces import FACES, STREAMED, ask

BLOCK_SECRETS: Callable[..., Guard] = block_secrets
REQUIRE_SCHEMA: Callable[..., Guard] = require_schema

PASSWORD = "correct horse battery staple"
GITHUB = "ghp_" + "aB3dE5gH7j" * 4
KEY = "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0B\n" * 40 + "-----END PRIVATE KEY-----"
TOKEN = "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0" * 30 + ".c2lnbmF0dXJlMTIz"
SECRETS = {"own": PASSWORD, "vendor": GITHUB, "private key": KEY, "token": TOKEN}


def router(guard, answer, **settings):
    return Router([scripted_route("a", answer)], guards=[guard], max_retries=0, **settings)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("face", FACES)
def test_a_secret_does_not_get_out(face, name):
    with router(block_secrets([PASSWORD]), Answer(f"It is {SECRETS[name]}, keep it.")) as guarded:
        error = ask(face, guarded).error
    assert isinstance(error, GuardBlockedError)
    assert error.reason == "a secret"
    assert SECRETS[name][:8] not in str(error) + (error.partial_text or "")


@given(st.sampled_from(sorted(SECRETS)), st.lists(st.integers(1, 60), max_size=60), st.integers(0, 600))
def test_nothing_of_it_is_given_out_however_a_stream_is_cut(name, sizes, lead):
    text = "word " * (lead // 5) + SECRETS[name] + " and so on"
    with router(block_secrets([PASSWORD]), Answer(cut(text, sizes))) as guarded:
        error = ask("stream", guarded).error
    assert isinstance(error, GuardBlockedError)
    assert ("word " * (lead // 5)).startswith(error.partial_text or "")


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(0, 600))
def test_a_redacted_stream_is_the_redacted_answer(sizes, lead):
    text = "word " * (lead // 5) + f"{GITHUB} and {PASSWORD}; " + "word " * (lead // 7)
    guard = block_secrets([PASSWORD], action="redact")
    with router(guard, Answer(cut(text, sizes))) as guarded:
        assert ask("stream", guarded).text == text.replace(GITHUB, "[secret]").replace(PASSWORD, "[secret]")


LONGER = "correct horse battery staple gun"
SHORT_TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlMTIz"
DOTTED = "sk-proj-aB3dE5gH7jaB3dE5gH7j.aB3dE5gH7jaB3dE5gH7j"


@pytest.mark.parametrize("secret", [LONGER, SHORT_TOKEN, f"Bearer {SHORT_TOKEN}", DOTTED])
@pytest.mark.parametrize("tail", [" end", ". " + "word " * 80])
def test_no_end_of_a_secret_is_given_out_wherever_a_stream_is_cut(secret, tail):
    """Neither of a secret that begins with another one, nor of one that goes on after a full stop."""
    guard = block_secrets([PASSWORD, LONGER], action="redact")
    text = "word " * 80 + secret + tail
    with router(guard, Answer(text)) as guarded:
        expected = ask("generate", guarded).text
    assert secret[-8:] not in expected
    for position in range(400, 400 + len(secret) + 3):
        with router(guard, Answer([text[:position], text[position:]])) as guarded:
            assert ask("stream", guarded).text == expected


def test_a_banned_text_that_begins_with_another_one_is_replaced_as_a_whole():
    guard = ban_text(["nightingale", "nightingale  song"], replacement="…")
    text = "word " * 20 + "Nightingale song, nightingale. " + "word " * 20
    expected = text.replace("Nightingale song", "…").replace("nightingale", "…")
    for position in range(1, len(text)):
        with router(guard, Answer([text[:position], text[position:]])) as guarded:
            assert ask("stream", guarded).text == expected


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("action", ["block", "redact"])
def test_a_secret_does_not_get_out_in_a_tool_call(face, action):
    """A streamed call is JSON, in which the secret is escaped and nothing can be redacted."""
    secret = 'pa"ss\\wörd\n'
    calls = [ToolCall("1", "look", {"where": f"at {secret}"})]
    with router(block_secrets([secret], action=action), Answer("", tool_calls=calls)) as guarded:
        outcome = ask(face, guarded)
    if action == "redact" and face not in STREAMED:
        assert outcome.response is not None
        assert outcome.response.tool_calls[0].arguments == {"where": "at [secret]"}
    else:
        assert outcome.kind is GuardBlockedError


def test_a_tool_call_that_comes_as_a_whole_is_checked_as_well():
    with router(block_secrets(), Pieces(ToolCall("1", "look", {"where": GITHUB}))) as guarded:
        assert ask("stream", guarded).kind is GuardBlockedError


@pytest.mark.parametrize("name", ["private key", "token"])
def test_what_is_too_long_to_be_redacted_in_a_stream_is_blocked(name):
    guard = block_secrets(action="redact")
    with router(guard, Answer(cut(SECRETS[name] + " end", [20] * 100))) as guarded:
        assert ask("stream", guarded).kind is GuardBlockedError
        assert ask("generate", guarded).text == "[secret] end"


def cut(text, sizes):
    pieces = []
    for size in sizes:
        pieces.append(text[:size])
        text = text[size:]
    return [piece for piece in (*pieces, text) if piece]


def test_harmless_texts_pass():
    text = (
        "The key is under the mat. See https://example.org/a/b?c=d and commit 9fceb02d0ae598e95dc970b74767f19372d61af8."
    )
    with router(block_secrets(), Answer(text)) as guarded:
        assert ask("generate", guarded).text == text


def test_the_window_grows_with_the_values_and_nothing_shows_them():
    value = "x1" * 200
    guard = block_secrets([value])
    assert (block_secrets().window, guard.window) == (SECRET_WINDOW, len(value) + 1)
    assert value not in repr(guard) + identify_function(guard)
    assert identify_function(guard) != identify_function(block_secrets(["another one"]))
    assert identify_function(pickle.loads(pickle.dumps(block_secrets()))) == identify_function(block_secrets())
    with pytest.raises(ConfigurationError, match="cannot be pickled") as caught:
        pickle.dumps(guard)
    assert value not in str(caught.value)


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.mark.parametrize("face", FACES)
def test_an_answer_has_to_match_the_schema(face):
    with router(require_schema(SCHEMA), Answer('{"city": "Paris"}')) as guarded:
        assert ask(face, guarded).text == '{"city": "Paris"}'
    for text, reason in (("Paris.", "it is not JSON"), ("{}", "it does not match the schema at required")):
        with router(require_schema(SCHEMA), Answer(text)) as guarded:
            error = ask(face, guarded).error
        assert isinstance(error, GuardBlockedError)
        assert (error.reason, error.partial_text or "") == (reason, "")


@pytest.mark.parametrize("face", ["generate", *STREAMED])
def test_reasoning_and_tool_calls_may_pass(face):
    parts = (Reasoning("I think."), Text('{"city": "Paris"}'), ToolCall("1", "look", {"where": "there"}))
    with router(require_schema(SCHEMA), Pieces(*parts)) as guarded:
        outcome = ask(face, guarded)
    assert outcome.error is None
    assert outcome.response is not None
    assert [call.arguments for call in outcome.response.tool_calls] == [{"where": "there"}]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: BLOCK_SECRETS(None), "not a text of at least 8 characters"),
        (lambda: block_secrets(["short"]), "not a text of at least 8 characters"),
        (lambda: BLOCK_SECRETS(action="hide"), "action='hide' is not valid; expected 'block' or 'redact'"),
        (lambda: REQUIRE_SCHEMA("object"), "schema='object' is not valid; expected a JSON schema"),
        (lambda: require_schema({"type": 3}), "JSON schema is invalid"),
    ],
)
def test_bad_settings_are_named(build, message):
    with pytest.raises(ConfigurationError, match=message):
        build()
