"""Personal data through a router: masked for the model, restored for the caller, kept from routes without a tag."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core import (
    GuardBlockedError,
    GuardTriggered,
    Message,
    MultiRouteError,
    Raw,
    Reasoning,
    Router,
    ServerError,
    Text,
    ToolCall,
    ToolCallDelta,
    ToolCallResponse,
    VendorPart,
)
from multiroute_core.guards import Guard, ban_text, mask_personal_data, restrict_personal_data
from multiroute_core.testing.behaviours import HEADERS, Answer, DropConnection, Fail, Step
from multiroute_core.testing.scripted import provider_of, scripted_route
from multiroute_core.types import Delta, Usage
from tests.providers.faces import FACES, STREAMED, ask

LETTER = "Write to ada@example.org and call +49 30 901820, then ada@example.org again."
MASKED = "Write to [EMAIL_1] and call [PHONE_1], then [EMAIL_1] again."


def router(answer, **settings):
    route = scripted_route("a", answer)
    return Router([route], guards=[mask_personal_data()], max_retries=0, **settings), provider_of(route)


@pytest.mark.parametrize("face", FACES)
def test_the_model_sees_placeholders_and_the_caller_the_values(face):
    masked, provider = router(Answer("{asked}"))
    outcome = ask(face, masked, LETTER)
    assert outcome.text == LETTER
    assert provider.takes[-1].asked.request.messages[-1].text == MASKED


def test_an_event_tells_that_something_is_masked_but_not_what():
    events: list[Any] = []
    masked, _ = router(Answer("Done."), on_event=[events.append])
    masked.generate("Nothing to hide.")
    assert not [event for event in events if isinstance(event, GuardTriggered)]
    masked.generate(LETTER)
    (event,) = [event for event in events if isinstance(event, GuardTriggered)]
    assert (event.guard, event.action, event.origin) == ("mask_personal_data", "rewrite", "user")
    assert "ada" not in repr(event)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=30))
def test_a_stream_reads_right_however_it_is_cut(sizes):
    answer = "Dear [EMAIL_1], [PHONE_1] is **[EMAIL_1]**'s; [EMAIL_2] is nobody's, [1] a note."
    pieces, start = [], 0
    for size in sizes:
        pieces.append(answer[start : start + size])
        start += size
    pieces = [piece for piece in [*pieces, answer[start:]] if piece]
    masked, _ = router(Answer(pieces))
    chunks = [*masked.stream(LETTER)]
    expected = answer.replace("[EMAIL_1]", "ada@example.org").replace("[PHONE_1]", "+49 30 901820")
    assert "".join(chunk.text for chunk in chunks) == expected
    assert chunks[-1].response.text == expected


@pytest.mark.parametrize("face", FACES)
def test_the_arguments_of_a_tool_call_hold_the_values(face):
    call = ToolCall("1", "send", {"to": ["[EMAIL_1]"], "text": 'Call "[PHONE_1]"!'})
    masked, provider = router(Answer("", tool_calls=[call]))
    tools = [{"name": "send", "description": "Sends.", "input_schema": {"type": "object"}}]
    response = ask(face, masked, LETTER, tools=tools).response
    assert [one.arguments for one in response.tool_calls] == [
        {"to": ["ada@example.org"], "text": 'Call "+49 30 901820"!'}
    ]
    ask(face, masked, [Message("user", LETTER), Message("assistant", response.parts), Message("user", "Sent?")])
    history = provider.takes[-1].asked.request.messages
    assert "ada@" not in str(history)


@pytest.mark.parametrize("cache", ["memory"])
def test_requests_that_differ_in_values_alone_share_an_answer_and_never_the_values(cache):
    masked, provider = router(Answer("{asked}"), cache=cache)
    for name in ("ada", "bob", "ada", "eve"):
        assert masked.generate(f"Write to {name}@example.org.").text == f"Write to {name}@example.org."
    assert len(provider.takes) == 1


def test_a_placeholder_of_the_callers_is_left_alone():
    masked, provider = router(Answer("{asked}"))
    text = "What does [EMAIL_1] mean in my mail to ada@example.org?"
    assert masked.generate(text).text == text
    assert provider.takes[-1].asked.request.messages[-1].text == "What does [EMAIL_1] mean in my mail to [EMAIL_2]?"


def test_no_route_without_the_tag_sees_personal_data_whatever_fails():
    dice = random.Random(11)

    def unsteady(call):
        return Fail(ServerError) if dice.random() < 0.4 else Answer("Done.")

    routes = [
        scripted_route("us", unsteady),
        scripted_route("eu", unsteady, tags=["eu"]),
        scripted_route("asia", unsteady),
        scripted_route("home", unsteady, tags=["local"]),
    ]
    guards = [restrict_personal_data(["eu", "local"], ["email"])]
    with Router(routes, guards=guards, strategy="weighted", max_retries=0, cache="memory") as guarded:
        for number in range(400):
            text = f"Hello {number}" + (f" from a{number}@example.org" if dice.random() < 0.5 else "")
            try:
                guarded.generate(text)
            except GuardBlockedError:
                raise
            except MultiRouteError:  # all allowed routes failed
                continue
        for route in routes:
            seen = [take.asked.request.messages[-1].text for take in provider_of(route).takes]
            assert seen
            assert route.tags or not any("@" in text for text in seen)


class Pieces:
    """Streams these parts as they are."""

    def __init__(self, *parts):
        self.parts = parts

    def steps(self, incoming):
        yield Step(0, HEADERS)
        for part in self.parts:
            yield Step(0, Delta((part,)))
        yield Step(0, Delta(finish_reason="stop", usage=Usage(1, 1)))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9)), max_size=40))
def test_tool_calls_whose_pieces_alternate_are_restored(cuts):
    rest = ['{"to": "[EMAIL_1]"}', '{"[PHONE_1]": ["[EMAIL_1]"]}', '{"n": "[EMAIL_2]"}']
    pieces = [ToolCallDelta(index, str(index), "send") for index in range(3)]
    for index, size in [*cuts, (0, 99), (1, 99), (2, 99)]:
        pieces.append(ToolCallDelta(index, arguments=rest[index][:size]))
        rest[index] = rest[index][size:]
    masked, _ = router(Pieces(*pieces))
    *_, last = masked.stream(LETTER)
    assert [call.arguments for call in last.response.tool_calls] == [
        {"to": "ada@example.org"},
        {"+49 30 901820": ["ada@example.org"]},
        {"n": "[EMAIL_2]"},
    ]


def test_a_placeholder_is_restored_though_another_tool_call_comes_in_between():
    pieces = [ToolCallDelta(0, "0", "send", '{"to": "[EMA'), ToolCallDelta(1, "1", "send", '{"n": "')]
    masked, _ = router(Pieces(*pieces, ToolCallDelta(0, arguments='IL_1]"}'), ToolCallDelta(1, arguments='x"}')))
    *_, last = masked.stream(LETTER)
    assert [call.arguments for call in last.response.tool_calls] == [{"to": "ada@example.org"}, {"n": "x"}]


RAW_FORMS = {
    "citation": Text("See.", Raw("anthropic", {"text": "See.", "citations": [{"cited_text": "ada@example.org"}]})),
    "longer text": Text("See.", Raw("google", {"text": "See. ada@example.org"})),
    "thought": Reasoning("", Raw("openai.responses", {"summary": [{"text": "Ask ada@example.org."}]})),
    "arguments": ToolCall(
        "1", "f", {"n": 1}, Raw("openai.chat", {"function": {"arguments": '{"type": "ada@example.org"}'}})
    ),
    "key": ToolCall("1", "f", {"ada@example.org": 1}),
    "name in arguments": ToolCall("1", "f", {"name": "ada@example.org", "id": "ada@example.org"}),
    "own tool": VendorPart(Raw("anthropic", {"type": "bash_result", "stdout": "ada@example.org"})),
    "own call": VendorPart(Raw("anthropic", {"type": "server_tool_use", "input": {"name": "ada@example.org"}})),
}


@pytest.mark.parametrize("form", RAW_FORMS)
def test_no_form_in_which_a_part_is_sent_holds_personal_data(form):
    masked, provider = router(Answer("ok"))
    part = RAW_FORMS[form]
    results = [Message("tool", [ToolCallResponse("1", "ok")])] if isinstance(part, ToolCall) else []
    masked.generate([Message("user", "Hi"), Message("assistant", [part]), *results, Message("user", "And?")])
    sent: Any = provider.takes[-1].asked.request.messages[1].parts[0]
    assert "ada@" not in f"{sent} {sent.raw and sent.raw.body}"


def test_a_raw_form_with_placeholders_of_an_earlier_call_is_sent_only_while_they_mean_the_same():
    masked, provider = router(Answer("ok"))
    own = Raw("anthropic", {"type": "tool_use", "input": {"to": "[EMAIL_1]"}, "signature": "abc"})
    history = [
        Message("assistant", [ToolCall("1", "send", {"to": "ada@example.org"}, own)]),
        Message("tool", [ToolCallResponse("1", "ok")]),
    ]
    for first, raw in (("Mail ada@example.org", own), ("Mail bob@example.org", None)):
        masked.generate([Message("user", first), *history, Message("user", "And?")])
        sent: Any = provider.takes[-1].asked.request.messages[1].parts[0]
        assert sent.raw == raw


def test_a_masking_that_fails_blocks_and_tells_no_content():
    def build(texts):
        raise ValueError(texts)

    with Router([scripted_route("a", Answer("ok"))], guards=[Guard(None, "broken", masking=build)]) as broken:
        with pytest.raises(GuardBlockedError, match=r"^The guard 'broken' blocked .*it failed: ValueError\.$"):
            broken.generate(LETTER)
    assert not provider_of(broken.routes[0]).takes


class TestAnswersInErrors:
    """The caller sees in an error what it would see in an answer; the hooks see what the model has said."""

    @pytest.mark.parametrize("face", STREAMED)
    def test_a_broken_stream_has_no_placeholders(self, face):
        broken = DropConnection(2, Answer(["To [EMAIL_1] ", "and [PHO", "NE_1]"]))
        with Router([scripted_route("a", broken)], guards=[mask_personal_data()], max_retries=0) as masked:
            error: Any = ask(face, masked, LETTER).error
        assert error.partial.text == "To ada@example.org and [PHO"

    @pytest.mark.parametrize("face", STREAMED)
    def test_nor_does_it_give_out_what_a_guard_blocks(self, face):
        broken = DropConnection(2, Answer(["A night", "ingale ", "sings."]))
        guards = [ban_text("nightingale", replacement="…")]
        with Router([scripted_route("a", broken)], guards=guards, max_retries=0) as guarded:
            error: Any = ask(face, guarded).error
        assert error.partial.text == "A … "

    @pytest.mark.parametrize("face", FACES)
    @pytest.mark.parametrize("names", ["a", "ab"])
    def test_nor_does_a_rejected_answer(self, face, names):
        seen = []
        routes = [scripted_route(name, Answer("To [EMAIL_1]")) for name in names]
        with Router(routes, guards=[mask_personal_data()], max_retries=0, accept=lambda response: False) as masked:
            masked = masked.with_hooks(lambda event: seen.append(getattr(event, "error", None)))
            error: Any = ask(face, masked, LETTER).error
        rejections = [error] if names == "a" else [*error.errors, error.__cause__]
        assert {rejection.answer.text for rejection in rejections} == {"To ada@example.org"}
        assert {event.answer.text for event in seen if hasattr(event, "answer")} == {"To [EMAIL_1]"}
        with Router(routes, guards=[ban_text("to")], max_retries=0, accept=lambda response: False) as guarded:
            error = ask(face, guarded, LETTER).error
        assert all(one.answer is None for one in getattr(error, "errors", [error]))
