"""What a conversation becomes in Gemini's turns."""

import pytest

from multiroute_core.messages import (
    Blob,
    CachePoint,
    File,
    InvalidToolCall,
    Message,
    Raw,
    Reasoning,
    Text,
    ToolCall,
    ToolCallResponse,
    Uri,
    VendorPart,
)
from multiroute_core.providers import models
from multiroute_core.providers.google.contents import UNSIGNED, contents

NEWER, OLDER = "gemini-3.8-flash", "gemini-2.5-flash"
HELLO = Message("user", "Hello")
PNG = Blob(b"\x89PNG", "image/png")
WAV = Blob(b"RIFF", "audio/wav")
DATA = {PNG: "iVBORw==", WAV: "UklGRg=="}


def inline(blob):
    return {"inlineData": {"mimeType": blob.mime_type, "data": DATA[blob]}}


def own(body, model=NEWER):
    return Raw("google", body, model)


def turns(*messages, model=NEWER):
    return contents(messages, model, models.lookup("google", model))


def test_what_is_said_in_a_row_is_one_turn():
    made = turns(HELLO, Message("user", "Anyone?"), Message("assistant", "Yes."), Message("assistant", "Me."))
    assert made == [
        {"role": "user", "parts": [{"text": "Hello"}, {"text": "Anyone?"}]},
        {"role": "model", "parts": [{"text": "Yes."}, {"text": "Me."}]},
    ]


def test_pictures_documents_recordings_and_films():
    [turn] = turns(
        Message(
            "user",
            [
                PNG,
                WAV,
                Uri("https://x.test/a/cat.jpg?size=1"),
                Uri("https://x.test/film", "video/mp4", "video"),
                Uri("https://www.youtube.com/watch?v=1", modality="video"),
                File("files/abc", "google", "application/pdf"),
                File("https://generativelanguage.googleapis.com/v1beta/files/d", "google"),
                CachePoint(),
            ],
        )
    )
    assert turn["parts"] == [
        inline(PNG),
        inline(WAV),
        {"fileData": {"fileUri": "https://x.test/a/cat.jpg?size=1", "mimeType": "image/jpeg"}},
        {"fileData": {"fileUri": "https://x.test/film", "mimeType": "video/mp4"}},
        {"fileData": {"fileUri": "https://www.youtube.com/watch?v=1"}},
        {
            "fileData": {
                "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc",
                "mimeType": "application/pdf",
            }
        },
        {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/d"}},
    ]


def test_what_gemini_wrote_goes_back_as_it_was():
    call = {"functionCall": {"name": "weather", "args": {"city": "Bonn"}}, "thoughtSignature": "c2ln"}
    code = {"executableCode": {"language": "PYTHON", "code": "1"}}
    picture = {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}, "thoughtSignature": "cGlj"}
    signed = {"text": "there", "thoughtSignature": "dGV4"}
    thought = {"text": "Hmm", "thought": True, "thoughtSignature": "dGh0"}
    _, model, user = turns(
        HELLO,
        Message(
            "assistant",
            [
                Reasoning("Hmm", own(thought)),
                VendorPart(own(code)),
                Blob(b"\x89PNG", "image/png", raw=own(picture)),
                Text("Hello there", own(signed)),
                ToolCall("call_minted", "weather", {"city": "Bonn"}, own(call)),
            ],
        ),
        Message("tool", [ToolCallResponse("call_minted", "12 °C")]),
    )
    assert model["parts"] == [thought, code, picture, {"text": "Hello "}, signed, call]
    assert model["parts"][-1] is not call
    assert user["parts"] == [{"functionResponse": {"name": "weather", "response": {"result": "12 °C"}}}]


def test_a_signature_that_came_by_itself_stays_by_itself():
    alone = {"text": "", "thoughtSignature": "c2ln"}
    assert turns(HELLO, Message("assistant", [Text("Hello", own(alone))]))[1]["parts"] == [{"text": "Hello"}, alone]


def test_a_text_that_was_changed_is_not_geminis():
    changed = Text("[removed]", own({"text": "Hello", "thoughtSignature": "c2ln"}))
    assert turns(HELLO, Message("assistant", [changed]))[1]["parts"] == [{"text": "[removed]"}]


@pytest.mark.parametrize(("model", "kept"), [(NEWER, True), (None, True), ("gemini-3.1-pro-preview", False)])
def test_thoughts_go_back_to_the_model_that_had_them(model, kept):
    thought = {"text": "Hmm", "thought": True}
    made = turns(HELLO, Message("assistant", [Reasoning("Hmm", own(thought, model)), Text("Hi")]))
    assert made[1]["parts"] == [*([thought] if kept else []), {"text": "Hi"}]


def test_what_another_vendor_wrote_is_rebuilt_or_left_out():
    theirs = Raw("anthropic", {"type": "thinking", "thinking": "Hmm", "signature": "x"}, "claude-opus-5-5")
    _, model, user = turns(
        HELLO,
        Message(
            "assistant",
            [
                Reasoning("Hmm", theirs),
                VendorPart(Raw("openai.responses", {"type": "web_search_call"})),
                Text("Let me see.", Raw("anthropic", {"type": "text", "citations": []})),
                ToolCall("toolu_1", "weather", {"city": "Bonn"}, Raw("anthropic", {"type": "tool_use"})),
                ToolCall("an id that nobody takes!", "weather", {"city": "Ulm"}),
                InvalidToolCall("x", "weather", "{", "cut"),
            ],
        ),
        Message(
            "tool",
            [
                ToolCallResponse("an id that nobody takes!", "7"),
                ToolCallResponse("x", "cut", error=True),
                ToolCallResponse("toolu_1", "12"),
            ],
        ),
        model=OLDER,
    )
    text, bonn, ulm, malformed = model["parts"]
    assert text == {"text": "Let me see."}
    assert bonn == {"functionCall": {"id": "toolu_1", "name": "weather", "args": {"city": "Bonn"}}}
    assert ulm["functionCall"]["args"] == {"city": "Ulm"}
    assert malformed["functionCall"]["args"] == {"INVALID_JSON": "{"}
    first, second, third = (part["functionResponse"] for part in user["parts"])
    assert third["response"] == {"error": "cut"}
    assert (first["id"], first["response"]) == ("toolu_1", {"result": 12} if False else {"result": "12"})
    assert second["id"] == ulm["functionCall"]["id"]
    assert second["id"].startswith("call_")


@pytest.mark.parametrize(
    ("model", "signature"), [(NEWER, UNSIGNED), ("gemini-4-argon", UNSIGNED), (OLDER, None), ("gemma-3", None)]
)
def test_the_first_call_of_a_step_is_signed(model, signature):
    def step(*names):
        yield Message("assistant", [ToolCall(name, name, {}) for name in names])
        yield Message("tool", [ToolCallResponse(name, "done") for name in names])

    made = turns(HELLO, *step("a", "b"), *step("c"), model=model)
    found = [[part.get("thoughtSignature") for part in turn["parts"]] for turn in made if turn["role"] == "model"]
    assert found == [[signature, None], [signature]]


def test_calls_of_an_older_gemini_are_signed_for_a_newer_one_and_real_signatures_stay():
    bare, signed = (
        {"functionCall": {"name": "f", "args": {}}},
        {"functionCall": {"name": "f"}, "thoughtSignature": "c2"},
    )
    calls = [Message("assistant", [ToolCall(str(i), "f", {}, own(raw))]) for i, raw in enumerate((bare, signed))]
    answers = [Message("tool", [ToolCallResponse(str(i), "done")]) for i in range(2)]
    made = turns(HELLO, calls[0], answers[0], calls[1], answers[1])
    assert [made[1]["parts"], made[3]["parts"]] == [[{**bare, "thoughtSignature": UNSIGNED}], [signed]]
    assert "thoughtSignature" not in bare


def test_the_beginning_of_a_conversation_does_not_change_with_its_next_turn():
    talk = [HELLO, Message("assistant", [ToolCall("a", "f", {})]), Message("tool", [ToolCallResponse("a", "done")])]
    later = [*talk, Message("assistant", "It is done."), Message("user", "Thanks!")]
    assert turns(*later)[:3] == turns(*talk)


@pytest.mark.parametrize(
    ("answer", "response"),
    [
        (ToolCallResponse("a", "12 °C"), {"result": "12 °C"}),
        (ToolCallResponse("a", '{"celsius": 12}'), {"celsius": 12}),
        (ToolCallResponse("a", "[1, 2]"), {"result": "[1, 2]"}),
        (ToolCallResponse("a", ""), {"result": ""}),
        (ToolCallResponse("a", "{}"), {}),
        (ToolCallResponse("a", '{"cut'), {"result": '{"cut'}),
        (ToolCallResponse("a", [Text("one "), Text("two")]), {"result": "one two"}),
        (ToolCallResponse("a", "no such city", error=True), {"error": "no such city"}),
        (ToolCallResponse("a", '{"code": 5}', error=True), {"error": '{"code": 5}'}),
    ],
)
def test_answers_of_tools(answer, response):
    made = turns(HELLO, Message("assistant", [ToolCall("a", "f", {})]), Message("tool", [answer]))
    assert made[2] == {"role": "user", "parts": [{"functionResponse": {"id": "a", "name": "f", "response": response}}]}


@pytest.mark.parametrize("model", [NEWER, OLDER])
def test_pictures_in_answers_of_tools(model):
    answer = ToolCallResponse("a", [Text("Here."), PNG, WAV])
    _, _, user = turns(HELLO, Message("assistant", [ToolCall("a", "f", {})]), Message("tool", [answer]), model=model)
    response = {"id": "a", "name": "f", "response": {"result": "Here."}}
    if model == NEWER:
        assert user["parts"] == [{"functionResponse": {**response, "parts": [inline(PNG)]}}, inline(WAV)]
    else:
        assert user["parts"] == [{"functionResponse": response}, inline(PNG), inline(WAV)]


def test_answers_come_right_after_their_calls():
    made = turns(
        HELLO,
        Message("assistant", [ToolCall("a", "f", {}), ToolCall("b", "g", {})]),
        Message("user", "Hurry."),
        Message("tool", [ToolCallResponse("b", [Text("two"), PNG])]),
        Message("tool", [ToolCallResponse("a", "one")]),
        Message("user", "Well?"),
        model=OLDER,
    )
    assert [turn["role"] for turn in made] == ["user", "model", "user"]
    one, two, *rest = made[2]["parts"]
    assert [part["functionResponse"]["name"] for part in (one, two)] == ["f", "g"]
    assert rest == [inline(PNG), {"text": "Hurry."}, {"text": "Well?"}]


def test_an_answer_without_its_call_is_told_in_words():
    made = turns(HELLO, Message("assistant", "Hm."), Message("tool", [ToolCallResponse("a", [Text("lost"), PNG])]))
    assert made[2] == {"role": "user", "parts": [{"text": "lost"}, inline(PNG)]}


def test_an_id_may_serve_again_in_a_later_step():
    step = [Message("assistant", [ToolCall("1", "f", {})]), Message("tool", [ToolCallResponse("1", "done")])]
    other = [Message("assistant", [ToolCall("1", "g", {})]), Message("tool", [ToolCallResponse("1", "done")])]
    made = turns(HELLO, *step, *other)
    assert [part["functionResponse"]["name"] for turn in made[2::2] for part in turn["parts"]] == ["f", "g"]
