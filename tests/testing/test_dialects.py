"""Every dialect is read as what was meant, with its tokens, plain and streamed, in process and over a socket; and every
failure of it is a failure of a route."""

import pytest

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import ConfigurationError, Router, ToolCall, Usage
from multiroute_core.errors import StreamInterruptedError
from multiroute_core.testing import (
    DIALECTS,
    Answer,
    DialectServer,
    DropConnection,
    Fail,
    Failure,
    Hang,
    dialect_route,
    scripted_route,
)
from multiroute_core.testing.dialects import failures_of
from tests.chat_server import FACES, ask

EVERY_FACE = pytest.mark.parametrize("face", FACES)
EVERY_DIALECT = pytest.mark.parametrize("name", DIALECTS)
USAGE = Usage(input_tokens=1_000, output_tokens=90, cache_read_tokens=800, reasoning_tokens=40, stated_cost=0.25)
ANSWER = Answer(("All ", "of it."), usage=USAGE)
FAILURES = [
    (name, failure) for name in ("openai", "openai_responses", "anthropic", "google") for failure in failures_of(name)
]


def check(response, name):
    dialect = DIALECTS[name]
    assert (response.text, response.finish_reason) == ("All of it.", "stop")
    if dialect.place == "nowhere":
        assert response.usage is None or not response.usage.total_tokens
        return
    assert (response.usage.input_tokens, response.usage.output_tokens) == (1_000, 90)
    if name in (
        "openai",
        "openai_responses",
        "anthropic",
        "google",
        "deepseek",
        "mistral",
        "moonshot",
        "openrouter",
        "vllm",
    ):
        assert response.usage.cache_read_tokens == 800
    if name in ("openai", "openai_responses", "google", "xai", "openrouter"):
        assert response.usage.reasoning_tokens == 40
    assert response.usage.stated_cost == (0.25 if name.startswith("openrouter") else None)
    if dialect.alias:
        assert response.model == dialect.alias


@EVERY_FACE
@EVERY_DIALECT
def test_an_answer_in_process(name, face):
    check(ask(Router([dialect_route(name, ANSWER)]), face, "Why?"), name)


@pytest.mark.wire
@EVERY_FACE
@EVERY_DIALECT
def test_an_answer_over_a_socket(name, face):
    with DialectServer(name, ANSWER) as server, Router([server.route()], max_retries=0) as router:
        check(ask(router, face, "Why?"), name)


@EVERY_FACE
@EVERY_DIALECT
def test_a_call_of_a_tool(name, face):
    script = Answer("", tool_calls=[ToolCall("c1", "look_up", {"city": "Rome"})])
    response = ask(Router([dialect_route(name, script)]), face, "Why?")
    assert [(call.name, call.arguments) for call in response.tool_calls] == [("look_up", {"city": "Rome"})]
    assert response.finish_reason == "tool_call"


@EVERY_DIALECT
@pytest.mark.parametrize("face", ["stream", "astream"])
def test_a_stream_that_is_cut_is_broken(name, face):
    router = Router([dialect_route(name, DropConnection(2, ANSWER))], max_retries=0)
    with pytest.raises(StreamInterruptedError) as error:
        ask(router, face, "Why?")
    assert error.value.partial.text == "All of it."


@EVERY_FACE
@pytest.mark.parametrize(("name", "failure"), FAILURES)
def test_a_failure_is_a_failure_of_the_route(name, failure, face):
    first, second = dialect_route(name, Failure(failure)), scripted_route("second", Answer("Second."))
    response = ask(Router([first, second], max_retries=0), face, "Why?")
    assert (response.route, response.text) == ("second", "Second.")
    assert response.attempts[0].outcome not in ("success", "cancelled")


@pytest.mark.wire
@EVERY_FACE
@pytest.mark.parametrize(("name", "failure"), FAILURES)
def test_over_a_socket_it_is_the_same(name, failure, face):
    second = scripted_route("second", Answer("Second."))
    with DialectServer(name, Failure(failure)) as server, Router([server.route(), second], max_retries=0) as router:
        response = ask(router, face, "Why?")
    in_process = Router([dialect_route(name, Failure(failure)), second], max_retries=0)
    assert response.route == "second"
    assert response.attempts[0].outcome == ask(in_process, face, "Why?").attempts[0].outcome


@pytest.mark.parametrize("face", ["stream", "astream"])
@pytest.mark.parametrize("name", ["openai", "openai_responses", "anthropic", "google"])
def test_after_words_it_is_a_broken_stream(name, face):
    for failure in failures_of(name):
        if failure in ("malformed_call", "unexpected_call", "missing_call"):
            continue  # after words, the answer is what it is
        router = Router([dialect_route(name, Failure(failure, after=1)), scripted_route("b", Answer("b"))])
        try:
            response = ask(router, face, "Why?")
        except StreamInterruptedError as error:
            assert (error.code, error.partial.text) == ("broken_stream", "one ")
        else:
            assert response.route == "b", "a refusal comes before any word"


def test_the_tokens_of_a_failed_answer_are_recorded():
    usage = Usage(input_tokens=50, output_tokens=7)
    failed = dialect_route("openrouter", Failure("choice_error", usage=usage), prices={"input": 1, "output": 1})
    response = Router([failed, scripted_route("b", Answer("b"))], max_retries=0).generate("Why?")
    assert response.attempts[0].usage.total_tokens == 57
    assert response.attempts[0].cost == pytest.approx(57e-6)


def test_both_frameworks():
    router = Router([dialect_route("openrouter", Failure("choice_error")), dialect_route("xai", ANSWER)], max_retries=0)
    message = ChatMultiRoute(router=router).invoke("Why?")
    assert (message.content, message.usage_metadata["output_tokens"]) == ("All of it.", 90)
    assert MultiRoute(router=router).complete("Why?").text == "All of it."


def test_names_are_checked():
    with pytest.raises(ConfigurationError, match="Unknown dialect 'groc': did you mean 'groq'"):
        dialect_route("groc")
    with pytest.raises(ConfigurationError, match="Unknown dialect"):
        DialectServer("groc")
    with pytest.raises(ConfigurationError, match="Unknown failure 'choise_error': did you mean 'choice_error'"):
        dialect_route("groq", Failure("choise_error"))
    with pytest.raises(ConfigurationError, match="Unknown failure 'choise_error': did you mean 'choice_error'"):
        DialectServer("groq", Failure("choise_error"))
    with pytest.raises(ConfigurationError, match="Unknown failure 'malformed_call'"):
        dialect_route("groq", [Answer(), Failure("malformed_call")])
    with pytest.raises(ConfigurationError, match="Unknown dialect 'groc': did you mean 'groq'"):
        failures_of("groc")


def test_a_string_or_a_list_in_place_of_a_behaviour_is_refused():
    with pytest.raises(ConfigurationError, match=r"is a str; expected Failure\('choice_error'\)"):
        dialect_route("groq", "choice_error")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigurationError, match=r"is a str; expected Failure\('choice_error'\)"):
        DialectServer("groq", "choice_error")  # pyright: ignore[reportArgumentType]
    for behaviour in (Hang(), Fail(), DropConnection()):
        with pytest.raises(ConfigurationError, match="expected an Answer or a Failure"):
            DialectServer("groq", behaviour)
    with pytest.raises(ConfigurationError, match="is a list; expected an Answer or a Failure"):
        DialectServer("groq", [Answer()])  # pyright: ignore[reportArgumentType]


def test_a_server_has_no_address_before_it_runs():
    with pytest.raises(RuntimeError, match="use it in a `with` block"):
        DialectServer("groq").route()
