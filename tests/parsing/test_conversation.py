"""Messages in every spelling, and calls of tools and their answers that fit together."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core import ConfigurationError, Message
from multiroute_core.messages import (
    Blob,
    CachePoint,
    InvalidToolCall,
    Reasoning,
    Text,
    ToolCall,
    ToolCallDelta,
    ToolCallResponse,
    Uri,
)
from multiroute_core.parsing.arguments import build
from multiroute_core.parsing.conversation import read

ROME = {"city": "Rome"}
ASK, SUN = ToolCall("1", "weather", ROME), ToolCallResponse("1", "Sun")
LOOP = (Message("user", "Hi"), Message("assistant", [ASK]), Message("tool", [SUN]))
SCHEMA_CALL = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}


def neutral(messages):
    """Without the raw forms, which differ by the vendor."""

    def bare(part):
        if isinstance(part, ToolCall):
            return ToolCall(part.id, part.name, part.arguments)
        return ToolCallResponse(part.id, part.parts, error=part.error) if isinstance(part, ToolCallResponse) else part

    return tuple(Message(message.role, [bare(part) for part in message.parts]) for message in messages)


@pytest.mark.parametrize(
    "spelling",
    [
        list(LOOP),
        [  # Chat Completions
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": None, "tool_calls": [SCHEMA_CALL]},
            {"role": "tool", "tool_call_id": "1", "content": "Sun"},
        ],
        [  # the same, with an empty text
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
            {"role": "assistant", "content": "", "tool_calls": [SCHEMA_CALL]},
            {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "Sun"}]},
        ],
        [  # a framework's
            ("human", "Hi"),
            {"role": "ai", "content": "", "tool_calls": [{"id": "1", "name": "weather", "args": ROME}]},
            {"role": "tool", "tool_call_id": "1", "name": "weather", "content": "Sun"},
        ],
        [  # calls both in the content and beside it
            ("user", "Hi"),
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "1", "name": "weather", "input": ROME}],
                "tool_calls": [{"id": "1", "name": "weather", "args": ROME, "type": "tool_call"}],
            },
            ("tool", [SUN]),
        ],
        [  # Anthropic
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "weather", "input": ROME}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "Sun"}]},
        ],
        [  # Gemini
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": [{"functionCall": {"id": "1", "name": "weather", "args": ROME}}]},
            {
                "role": "user",
                "parts": [{"functionResponse": {"id": "1", "name": "weather", "response": {"output": "Sun"}}}],
            },
        ],
    ],
)
def test_every_spelling_of_a_tool_loop_is_the_same(spelling):
    before = copy.deepcopy(spelling)
    assert neutral(read(spelling)) == LOOP
    assert spelling == before


@pytest.mark.parametrize(
    ("role", "made"), [("human", "user"), ("ai", "assistant"), ("model", "assistant"), ("developer", "system")]
)
def test_others_words_for_roles(role, made):
    assert read([(role, "x")]) == read([{"role": role, "content": "x"}]) == (Message(made, "x"),)
    assert read([Message(role, [Text("x"), Text("y")])]) == (Message(made, [Text("x"), Text("y")]),)


def test_calls_without_ids_get_them_and_their_answers_too():
    """Gemini gives none, and OpenAI's old functions had none."""

    def called(name):
        return {"functionCall": {"name": name, "args": {}}}

    def answered(name):
        return {"functionResponse": {"name": name, "response": {"output": name}}}

    made = read(
        [
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": [called("a"), called("b"), called("a")]},
            {"role": "user", "parts": [answered("b"), answered("a"), answered("a")]},
            ("assistant", "Yes"),
            ("user", "More"),
            {"role": "assistant", "content": None, "function_call": {"name": "a", "arguments": "{}"}},
            {"role": "function", "name": "a", "content": "x"},
        ]
    )
    ids = [ids_of(message) for message in made if message.role == "assistant" and message.tool_calls]
    assert ids == [["call_1", "call_2", "call_3"], ["call_4"]]
    assert ids_of(made[2]) == ["call_2", "call_1", "call_3"]
    assert ids_of(made[-1]) == ["call_4"]


def ids_of(message):
    return [getattr(part, "id", None) for part in message.parts]


def test_a_made_id_is_nobody_elses():
    taken = ToolCall("call_1", "b", {})
    made = read(
        [
            ("user", "x"),
            ("assistant", [ToolCall("", "a", {}), taken]),
            ("tool", [ToolCallResponse("", "y", name="a"), ToolCallResponse("call_1", "z")]),
        ]
    )
    assert ids_of(made[1]) == ["call_2", "call_1"]
    assert ids_of(made[2]) == ["call_2", "call_1"]


def test_a_users_message_that_answers_and_says_more_is_two():
    made = read(
        [
            *LOOP[:2],
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "1",
                        "content": "Sun",
                        "cache_control": {"type": "ephemeral"},
                    },
                    {"type": "text", "text": "And now?", "cache_control": {"type": "ephemeral"}},
                ],
            },
        ]
    )
    assert made[2:] == (Message("tool", [SUN, CachePoint()]), Message("user", [Text("And now?"), CachePoint()]))


def test_what_else_a_message_may_say():
    assert read([{"role": "assistant", "content": None, "refusal": "No."}]) == (Message("assistant", "No."),)
    (made,) = read([*LOOP[:2], {"role": "tool", "tool_call_id": "1", "content": "Oh", "status": "error"}])[2:]
    assert made.parts == (ToolCallResponse("1", "Oh", error=True),)
    assert read([Message("user", [Text("x"), Blob(b"x", "image/png")])])[0].parts[1] == Blob(b"x", "image/png")


@pytest.mark.parametrize(
    "messages",
    [
        LOOP,
        LOOP[:2],  # calls that are open at the very end
        [*LOOP, Message("assistant", "It shines"), Message("user", "And in Oslo?")],
        [*LOOP, *LOOP[1:]],  # ids that come again
        [*LOOP, Message("user", "x"), *LOOP[1:]],
        [LOOP[0], Message("assistant", [InvalidToolCall("1", "weather", "{", "cut")]), LOOP[2]],
        [
            LOOP[0],
            Message("assistant", [Reasoning("Hm."), Text("Let me see"), ASK, ToolCall("2", "news", {})]),
            Message("tool", [ToolCallResponse("2", "None")]),
            Message("tool", [SUN]),
        ],
        [
            LOOP[0],
            LOOP[1],
            Message("assistant", [ToolCall("2", "news", {})]),
            Message("tool", [SUN, ToolCallResponse("2", "x")]),
        ],
        [Message("system", [Text("Be brief"), CachePoint()]), *LOOP],
    ],
)
def test_conversations_that_fit(messages):
    assert read(messages) == tuple(messages)


def test_a_malformed_call_without_an_answer_gets_one():
    first, said, again = (
        LOOP[0],
        Message("assistant", [InvalidToolCall("1", "weather", "{", "Cut.")]),
        Message("user", "x"),
    )
    refusal = ToolCallResponse("1", "The tool was not run. Cut.", error=True, name="weather")
    assert read([first, said, again]) == (first, said, Message("tool", [refusal]), again)
    assert read([first, said]) == (first, said, Message("tool", [refusal]))
    both = Message("assistant", [*said.parts, ToolCall("2", "news", {})])
    answer = ToolCallResponse("2", "None")
    assert read([first, both, Message("tool", [answer])]) == (first, both, Message("tool", [answer, refusal]))


@pytest.mark.parametrize(
    ("messages", "sentence"),
    [
        (
            [LOOP[0], LOOP[2]],
            "The tool call '1' has a result, but no earlier message contains the call; give each call one result",
        ),
        ([LOOP[0], LOOP[2], LOOP[1]], "The tool call '1' has a result, but no earlier message contains the call"),
        ([*LOOP, LOOP[2]], "The tool call '1' has two results"),
        ([*LOOP[:2], Message("tool", [SUN, SUN])], "The tool call '1' has two results"),
        ([*LOOP[:2], ("user", "Well?")], "Tool calls without a result: '1' of 'weather'; every provider requires one"),
        (
            [LOOP[0], Message("assistant", [ASK, ToolCall("2", "news", {})]), LOOP[2]],
            "Tool calls without a result: '2' of 'news'",
        ),
        (
            [*LOOP[:2], {"role": "tool", "content": "Sun"}],
            "A tool result without a name has no id, and no open call matches",
        ),
        ([("tool", "Sun")], "A tool message contains a Text, which is not allowed there; expected"),
        (
            [("system", [Blob(b"x", "image/png")])],
            "A system message contains a Blob, which is not allowed there; expected",
        ),
        ([("user", [Reasoning("x")])], "A user message contains a Reasoning"),
        ([("user", [ASK])], "A user message contains a ToolCall,"),
        ([("assistant", [SUN])], "An assistant message contains a ToolCallResponse"),
        ([Message("assistant", [ToolCallDelta(0)])], "contains a ToolCallDelta, a chunk of a stream; join the chunks"),
        ([*LOOP[:2], Message("tool", [ToolCallResponse("1", [ASK])])], "A tool result contains a ToolCall"),
        ([*LOOP[:2], Message("tool", [ToolCallResponse("1", [5])])], "A tool result contains a int"),  # pyright: ignore[reportArgumentType]
        ([Message("user", [Text(5), Text("x")])], "A user message contains a Text whose text is a int"),  # pyright: ignore[reportArgumentType]
        ([Message("user", [Blob("x", "image/png")])], "A user message contains a Blob whose data is a str"),  # pyright: ignore[reportArgumentType]
        ([Message("user", [Uri(None)])], "A user message contains a Uri whose uri is a NoneType"),  # pyright: ignore[reportArgumentType]
        ([Message("assistant", [ToolCall("1", "x", "{}")])], "contains a ToolCall whose arguments is a str"),  # pyright: ignore[reportArgumentType]
        ([Message("assistant", [ToolCall(None, "x", {})])], "contains a ToolCall whose id is a NoneType"),  # pyright: ignore[reportArgumentType]
        ([("robot", "x")], "'robot' is not a valid role; expected one of 'system', 'user', 'assistant', 'tool'"),
        ([{"role": "user"}], "A message is a dict; expected Message('user', …)"),
        ([{"role": 5, "content": "x"}], "A message is a dict"),
        ([{"role": "user", "content": [{"type": "imge"}]}], "Unknown type of content 'imge': did you mean 'image'?"),
        ([{"role": "user", "content": 5}], "A content block is a int"),
        ([{"role": "assistant", "content": "", "tool_calls": 5}], "tool_calls is a int; expected a list"),
        ([{"role": "assistant", "content": "", "tool_calls": [5]}], "A content block is a int"),
        ({"role": "user", "content": "x"}, "messages is a dict; expected a string or a list of messages"),
    ],
)
def test_conversations_that_do_not_fit(messages, sentence):
    with pytest.raises(ConfigurationError) as caught:
        read(messages)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


TEXTS = st.builds(Text, st.text(max_size=5))
MEDIA = st.builds(Blob, st.binary(max_size=3), st.just("image/png"))


@st.composite
def loops(draw):
    """A conversation that fits: what users say, what models say and call, all calls answered in some order."""
    messages, number = [], 0
    for _ in range(draw(st.integers(1, 3))):
        messages.append(Message("user", draw(st.lists(st.one_of(TEXTS, MEDIA), min_size=1, max_size=2))))
        for _ in range(draw(st.integers(0, 2))):
            calls = [ToolCall(f"c{number + n}", "t", {}) for n in range(draw(st.integers(1, 3)))]
            number += len(calls)
            messages.append(Message("assistant", [*draw(st.lists(TEXTS, max_size=1)), *calls]))
            answers = [ToolCallResponse(c.id, draw(st.lists(TEXTS, max_size=2))) for c in draw(st.permutations(calls))]
            cut = draw(st.integers(0, len(answers)))
            messages += [Message("tool", some) for some in (answers[:cut], answers[cut:]) if some]
        messages.append(Message("assistant", draw(st.text(max_size=5))))
    return messages


@pytest.mark.slow
@given(loops(), st.data())
def test_any_conversation_that_fits_is_read_as_it_is_and_a_lost_or_second_answer_is_seen(messages, data):
    before = copy.deepcopy(messages)
    assert read(messages) == tuple(before)
    assert messages == before
    answered = [place for place, message in enumerate(messages) if message.role == "tool"]
    if answered:
        place = data.draw(st.sampled_from(answered))
        first, *others = messages[place].parts
        twice, lost = list(messages), list(messages)
        twice[place] = Message("tool", [first, *others, first])
        lost[place] = Message("tool", others)
        for broken in (twice, lost):
            with pytest.raises(ConfigurationError, match="result"):
                build([*broken, Message("user", "x")], {})
