"""Moderation: OpenAI's endpoint by its SDK over a real socket, and classifiers of one's own."""

import asyncio
import functools
import json
import multiprocessing
import pickle
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from multiroute_core import ConfigurationError, GuardBlockedError, GuardTriggered, Router
from multiroute_core.guards import Guard, OpenAIModeration, moderate
from multiroute_core.guards.guard import GuardedText
from multiroute_core.guards.identity import identify_function
from multiroute_core.guards.moderation import PIECE_CHARACTERS, REMEMBERED_TEXTS, _Moderator
from multiroute_core.testing.behaviours import Answer
from multiroute_core.testing.scripted import provider_of, scripted_route
from tests.providers.faces import FACES, ask

CATEGORIES = (
    "harassment harassment/threatening hate hate/threatening illicit illicit/violent self-harm self-harm/instructions "
    "self-harm/intent sexual sexual/minors violence violence/graphic"
).split()


class Endpoint:
    """Flags violence in each text with the word "punch"; its score is 0.7, or 0.1 in others."""

    def __init__(self):
        self.bodies = []
        self.status = 200
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                endpoint.bodies.append(body)
                results = endpoint.judge_all(body["input"])
                reply = json.dumps({"id": "modr-1", "model": body["model"], "results": results}).encode()
                self.send_response(endpoint.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def judge_all(self, texts):
        return [self.judge(text) for text in texts]

    @staticmethod
    def judge(text):
        score = 0.7 if "punch" in text else 0.1
        return {
            "flagged": score > 0.5,
            "categories": {name: name == "violence" and score > 0.5 for name in CATEGORIES},
            "category_scores": {name: score if name == "violence" else 0.0 for name in CATEGORIES},
            "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
        }

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def endpoint():
    server = Endpoint()
    yield server
    server.close()


def router(guard, answer: "str | list[str]" = "Fine.", **settings):
    return Router([scripted_route("a", Answer(answer))], guards=[guard], max_retries=0, **settings)


@pytest.mark.parametrize("face", FACES)
def test_openais_endpoint_blocks_prompts_and_answers(face, endpoint):
    guard = moderate(OpenAIModeration(api_key="sk-test", base_url=endpoint.url))
    with router(guard) as guarded:
        blocked = ask(face, guarded, "I will punch you").error
        assert isinstance(blocked, GuardBlockedError)
        assert str(blocked) == "The guard 'moderate' blocked a text of origin 'user': moderation: violence."
        assert provider_of(guarded.routes[0]).takes == []
        assert ask(face, guarded, "Hello").text == "Fine."
    assert [body["input"] for body in endpoint.bodies] == [["I will punch you"], ["Hello"], ["Fine."]]
    assert {body["model"] for body in endpoint.bodies} == {"omni-moderation-latest"}
    with router(guard, ["I will ", "punch you."]) as guarded:
        error = ask(face, guarded, "Hello").error
        assert isinstance(error, GuardBlockedError)
        assert (error.origin, error.partial_text) == ("answer", "")


def test_a_threshold_replaces_the_vendors_judgement(endpoint):
    def outcome(thresholds):
        guard = moderate(OpenAIModeration(api_key="sk-test", base_url=endpoint.url, thresholds=thresholds))
        with router(guard) as guarded:
            return ask("generate", guarded, "I will punch you").kind

    assert outcome({}) is GuardBlockedError
    assert outcome({"violence": 0.8}) is None
    assert outcome({"violence": 0.7}) is GuardBlockedError
    assert outcome({"hate": 0.1}) is GuardBlockedError, "the vendor's own judgement counts for the others"


def test_a_conversation_is_not_classified_again(endpoint):
    guard = moderate(OpenAIModeration(api_key="sk-test", base_url=endpoint.url))
    with router(guard) as guarded:
        for turns in ([("user", "One")], [("user", "One"), ("assistant", "Fine."), ("user", "Two")]):
            guarded.generate(turns)
    assert [body["input"] for body in endpoint.bodies] == [["One"], ["Fine."], ["Two"]]


def test_long_texts_go_in_pieces(endpoint):
    text = "A sentence of some length. " * 300 + "I will punch you."
    guard = moderate(OpenAIModeration(api_key="sk-test", base_url=endpoint.url))
    with router(guard) as guarded:
        assert ask("generate", guarded, text).kind is GuardBlockedError
    (body,) = endpoint.bodies
    assert "".join(body["input"]) == text
    assert max(map(len, body["input"])) <= PIECE_CHARACTERS


@pytest.mark.parametrize("on_error", ["block", "pass"])
def test_an_endpoint_that_fails_does_as_on_error_says(on_error, endpoint):
    endpoint.status = 400
    guard = moderate(OpenAIModeration(api_key="sk-test", base_url=endpoint.url), on_error=on_error, origins=["user"])
    events = []
    with router(guard, on_event=[events.append]) as guarded:
        outcome = ask("generate", guarded, "Hello")
    triggered = [event for event in events if isinstance(event, GuardTriggered)]
    assert [(event.action, event.reason) for event in triggered] == [("error", "BadRequestError")]
    assert outcome.kind is (GuardBlockedError if on_error == "block" else None)


MODERATE: Callable[..., Guard] = moderate
MODERATION: Callable[..., OpenAIModeration] = OpenAIModeration


async def asays(text):
    await asyncio.sleep(0)
    return "insult" if "dunce" in text else None


FINDINGS = {
    "true": (lambda text: "dunce" in text, "harmful content"),
    "a name": (lambda text: "insult" if "dunce" in text else "", "insult"),
    "names": (lambda text: ["insult", "rude"] if "dunce" in text else [], "insult, rude"),
    "scores": (lambda text: {"insult": 0.5 if "dunce" in text else 0.49, "rude": 0.0}, "insult"),
    "flags": (lambda text: {"insult": "dunce" in text, "rude": False}, "insult"),
    "async": (asays, "insult"),
    "awaitable": (lambda text: asays(text), "insult"),
    "no scores": (lambda text: {"insult": 0.9 if "dunce" in text else None}, "insult"),
}


@pytest.mark.parametrize("kind", FINDINGS)
@pytest.mark.parametrize("face", ["generate", "astream"])
def test_a_classifier_of_ones_own(face, kind):
    classifier, reason = FINDINGS[kind]
    with router(moderate(classifier)) as guarded:
        assert ask(face, guarded, "Hello").text == "Fine."
        error = ask(face, guarded, "You dunce").error
        assert isinstance(error, GuardBlockedError)
        assert error.reason == f"moderation: {reason}"


def test_flags_only_tell():
    events = []
    with router(moderate(lambda text: "x" in text, action="flag"), on_event=[events.append]) as guarded:
        assert ask("generate", guarded, "x").text == "Fine."
    assert [event.action for event in events if isinstance(event, GuardTriggered)] == ["flag"]


def test_what_is_remembered_is_bounded():
    moderator = _Moderator(lambda _: None)
    for number in range(REMEMBERED_TEXTS + 10):
        moderator.record(GuardedText(str(number), "user"), None)
    assert moderator.recall(GuardedText("9", "user")) is None
    assert moderator.recall(GuardedText("10", "user")) == ()
    assert len(moderator._findings) == REMEMBERED_TEXTS


def test_pieces_of_a_stream_take_no_room():
    seen = []
    guard = moderate(seen.append, window=0)
    with router(guard, [f"piece {number} " for number in range(50)]) as guarded:
        assert ask("stream", guarded, "Hello").text.startswith("piece 0")
    assert len(seen) == 51
    assert isinstance(guard.check, functools.partial)
    assert len(guard.check.args[0]._findings) == 1, "that of the prompt"


def test_half_an_emoji_hides_nothing(endpoint):
    guard = moderate(OpenAIModeration(api_key="sk-test", base_url=endpoint.url), on_error="pass")
    with router(guard) as guarded:
        assert ask("generate", guarded, "I will punch you \ud83d").kind is GuardBlockedError


@pytest.mark.parametrize("judge", [lambda text: [], lambda text: [Endpoint.judge(text)] * 2])
def test_a_text_that_the_endpoint_did_not_judge_does_not_pass(judge, endpoint):
    endpoint.judge_all = lambda texts: [one for text in texts for one in judge(text)]
    with router(moderate(OpenAIModeration(api_key="sk-test", base_url=endpoint.url))) as guarded:
        error = ask("generate", guarded).error
    assert isinstance(error, GuardBlockedError)
    assert error.reason == "it failed: ValueError"


def test_a_verdict_without_a_category_counts(endpoint):
    endpoint.judge_all = lambda texts: [{**Endpoint.judge("Hello"), "flagged": True} for _ in texts]
    with router(moderate(OpenAIModeration(api_key="sk-test", base_url=endpoint.url))) as guarded:
        error = ask("generate", guarded).error
    assert isinstance(error, GuardBlockedError)
    assert error.reason == "moderation: harmful content"


def test_a_child_of_a_fork_does_not_wait_for_a_lock_of_its_parent():
    moderator = _Moderator(lambda _: None)
    with moderator._lock:
        child = multiprocessing.get_context("fork").Process(target=moderator.recall, args=(GuardedText("x", "user"),))
        child.start()
    child.join(20)
    assert child.exitcode == 0


def test_it_is_pickled_and_identified_without_its_key(endpoint, monkeypatch):
    guard = moderate(OpenAIModeration(api_key="sk-test", base_url=endpoint.url, thresholds={"hate": 0.2}))
    data = pickle.dumps(guard)
    assert b"sk-test" not in data
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    copy = pickle.loads(data)
    assert isinstance(copy, Guard)
    assert identify_function(copy) == identify_function(guard)
    assert "sk-test" not in identify_function(guard) + repr(guard)
    with router(copy) as guarded:
        assert ask("generate", guarded, "I will punch you").kind is GuardBlockedError


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: MODERATE(lambda _: None, action="stop"), "action='stop' is not valid; expected 'block' or 'flag'"),
        (lambda: MODERATE("harmful"), "classifier='harmful' is not valid; expected a function"),
        (lambda: OpenAIModeration(api_key="k", thresholds={"hate": 2}), "hate=2 is not valid; expected a score"),
        (lambda: MODERATION(api_key="k", thresholds=["hate"]), "expected scores by category"),
        (
            lambda: OpenAIModeration(api_key="k", thresholds={"self_harm": 0.2}),
            "Unknown category 'self_harm': did you mean 'self-harm'",
        ),
        (lambda: pickle.dumps(OpenAIModeration(client=object())), "holds a client of yours, so it cannot be pickled"),
        (OpenAIModeration, "no API key; set OPENAI_API_KEY"),
    ],
)
def test_bad_settings_are_named(build, message, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match=message.replace("(", r"\(")):
        build()
