"""When two requests are the same: laws over requests of every kind, and the cases in which other caches err."""

import json
import random
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiroute_core import Blob, Message, Raw, Reasoning, Route, Text, Tool, ToolCall, ToolCallResponse, Uri
from multiroute_core.cache.key import UnkeyableError, key, models, scope
from multiroute_core.messages import CachePoint, File, VendorPart
from multiroute_core.parsing.arguments import build
from multiroute_core.tools import OutputSchema, ReasoningOptions, ServerTool, ToolChoice
from multiroute_core.types import Request
from tests.examples import examples

few = st.sampled_from
words = few(["", "a", "b", "l", "id", "0", "Text"])
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | few([0.0, 0.5, 1.0]) | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(few(["a", "b", "id"]), inner, max_size=2),
    max_leaves=4,
)
objects = st.dictionaries(few(["a", "b", "id"]), plain, max_size=2)
raws = st.none() | st.builds(Raw, few(["anthropic", "openai.chat"]), objects, few([None, "m"]))
ids = few(["1", "2", "3"])
parts = st.one_of(
    st.builds(Text, words, raws),
    st.builds(Reasoning, words, raws),
    st.builds(ToolCall, ids, words, objects, raws),
    st.builds(ToolCallResponse, ids, st.builds(Text, words).map(lambda t: (t,)), error=st.booleans()),
    st.builds(Blob, few([b"", b"x"]), few(["image/png", "text/plain"])),
    st.builds(Uri, words, few([None, "image/png"])),
    st.builds(File, words, few(["openai", "google"])),
    st.builds(VendorPart, st.builds(Raw, few(["anthropic", "google"]), objects)),
    st.just(CachePoint()),
)
messages = st.builds(Message, few(["user", "assistant", "tool", "system"]), st.lists(parts, max_size=3))
tools = st.builds(Tool, words, words, objects, few([None, True, False])) | st.builds(
    ServerTool, few(["anthropic", "google"]), objects
)
requests = st.builds(
    Request,
    st.lists(messages, min_size=1, max_size=2).map(tuple),
    temperature=few([None, 0, 0.0, 1, 0.5]),
    max_tokens=few([None, 1, 2]),
    top_p=few([None, 1, 1.0]),
    stop=few([(), ("a",), ("a", "b"), ("ab",)]),
    seed=few([None, 0, 1]),
    tools=st.lists(tools, max_size=2).map(tuple),
    tool_choice=st.none() | st.builds(ToolChoice, few(["auto", "tool"]), few([None, "a"])),
    parallel_tool_calls=few([None, True, False]),
    output_schema=st.none() | st.builds(OutputSchema, st.none() | objects, words),
    reasoning=st.none() | st.builds(ReasoningOptions, few([None, "low"]), few([None, 0, 1])),
    extra=st.dictionaries(few(["openai", "google"]), objects, max_size=2),
)
askers = st.tuples(few(["x", "y"]), few([None, "", "t"]))


def meaning(value, calls=None, *, raw=False):
    """The second writing of the rule: what a request says, as something that Python can compare."""
    calls = {} if calls is None else calls
    if is_dataclass(value):
        told = []
        for field in fields(value):
            inner = getattr(value, field.name)
            if isinstance(value, Raw):
                if field.name == "body":
                    told.append({n: meaning(v, calls, raw=True) for n, v in inner.items() if n != "id"})
                elif field.name == "api":
                    told.append(inner)
            elif field.name == "id":
                told.append(calls.setdefault(inner, len(calls)))
            elif field.name == "parts":
                told.append([meaning(part, calls) for part in inner if not isinstance(part, CachePoint)])
            else:
                told.append(meaning(inner, calls))
        return [type(value).__name__, told]
    if isinstance(value, dict):
        return {name: meaning(inner, calls, raw=raw) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [meaning(inner, calls, raw=raw) for inner in value]
    if isinstance(value, bool):
        return f"bool {value}"
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        return ("call", calls[value]) if raw and value in calls else value
    return value


def calls_of(request):
    """The ids of calls in the order in which they come."""
    found = {}
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, ToolCall | ToolCallResponse):
                found.setdefault(part.id, len(found))
    return found


@pytest.mark.slow
@settings(max_examples=examples(600), deadline=None)
@given(requests, requests, askers, askers)
def test_two_keys_are_the_same_if_and_only_if_the_requests_mean_the_same(one, other, asker, stranger):
    same = (meaning(one, calls_of(one)), asker) == (meaning(other, calls_of(other)), stranger)
    assert (key(one, *asker) == key(other, *stranger)) == same


@pytest.mark.slow
@settings(max_examples=examples(300), deadline=None)
@given(requests, st.data())
def test_whatever_one_thing_is_changed_the_key_changes_with_its_meaning(request, data):
    name = data.draw(few([field.name for field in fields(Request)]))
    values = {field.name: getattr(request, field.name) for field in fields(Request)}
    other = Request(**{**values, name: getattr(data.draw(requests), name)})
    same = meaning(request, calls_of(request)) == meaning(other, calls_of(other))
    assert (key(request, "x", None) == key(other, "x", None)) == same


def shuffled(value: Any, chance: random.Random) -> Any:
    """The same, with the keys of every dict in another order."""
    if is_dataclass(value):
        return type(value)(**{f.name: shuffled(getattr(value, f.name), chance) for f in fields(value)})
    if isinstance(value, dict):
        return {n: shuffled(value[n], chance) for n in chance.sample(list(value), len(value))}
    if isinstance(value, list | tuple):
        return type(value)(shuffled(inner, chance) for inner in value)
    return value


@pytest.mark.slow
@settings(max_examples=examples(200), deadline=None)
@given(requests, st.integers(0, 9))
def test_the_order_of_keys_does_not_count(request, seed):
    other = Request(
        tuple(
            Message(
                m.role,
                [
                    p if isinstance(p, CachePoint | ToolCallResponse) else shuffled(p, random.Random(seed))
                    for p in m.parts
                ],
            )
            for m in request.messages
        ),
        **{f.name: shuffled(getattr(request, f.name), random.Random(seed)) for f in fields(Request)[1:]},
    )
    assert key(other, "x", None) == key(request, "x", None)


def of(messages, **given):
    return key(build(messages, given)[0], "x", None)


WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


class TestWhereOthersErr:
    def test_the_order_of_arguments_and_the_spelling_of_numbers(self):
        assert of("Hi", temperature=0, seed=1) == of("Hi", seed=1, temperature=0.0)
        assert of("Hi", temperature=0) != of("Hi")
        assert of("Hi", extra={"openai": {"a": 1, "b": 2.0}}) == of("Hi", extra={"openai": {"b": 2, "a": 1.0}})

    @pytest.mark.parametrize(
        "given",
        [
            {"tools": [WEATHER]},
            {"tools": [WEATHER], "tool_choice": "required"},
            {"output_schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
            {"extra": {"google": {"safety_settings": []}}},
            {"extra": {"openai": {"num_ctx": 4096}}},
            {"stop": "x"},
            {"reasoning": "high"},
            {"system": "Be kind."},
            {"max_tokens": 5},
        ],
        ids=lambda given: "+".join(given),
    )
    def test_all_that_may_change_the_answer_is_in_it(self, given):
        assert of("Hi", **given) != of("Hi")

    def test_a_history_with_other_ids_is_the_same_history(self):
        def history(call_id, message_id):
            raw = Raw("openai.chat", {"id": call_id, "type": "function", "function": {"name": "f"}})
            said = Raw("openai.responses", {"id": message_id, "call_id": call_id, "status": "completed"})
            call, answer = ToolCall(call_id, "f", {"x": 1}, raw), ToolCallResponse(call_id, (Text("2"),))
            return [
                Message("user", "Hi"),
                Message("assistant", [Text("Well.", said), call]),
                Message("tool", [answer]),
            ]

        assert of(history("call_1", "msg_1")) == of(history("toolu_9", "msg_2"))

    def test_an_id_that_a_user_speaks_of_is_a_word_like_any_other(self):
        def asks(word):
            call = ToolCall(word, "f", {"ticket": word})
            return [Message("user", word), Message("assistant", [call]), Message("tool", [ToolCallResponse(word, "x")])]

        assert of(asks("A-1")) != of(asks("A-2"))

    def test_which_answer_belongs_to_which_call_counts(self):
        calls = Message("assistant", [ToolCall("1", "f", {}), ToolCall("2", "f", {})])

        def told(first, second):
            answers = [ToolCallResponse(first, (Text("a"),)), ToolCallResponse(second, (Text("b"),))]
            return [Message("user", "Hi"), calls, Message("tool", answers)]

        assert of(told("1", "2")) != of(told("2", "1"))

    def test_what_a_mapping_of_ones_own_holds_cannot_pass_for_something_else(self):
        lists = [["l", "a"], ["a"], [["l", "a"]], {"l": "a"}, ["t", "a"]]
        keys = {of("Hi", extra={"openai": {"a": value}}) for value in lists}
        assert len(keys) == len(lists)

    def test_whole_numbers_that_a_float_cannot_tell_apart_are_told_apart(self):
        assert of("Hi", seed=2**53) != of("Hi", seed=2**53 + 1)
        assert of("Hi", seed=10**30) != of("Hi", seed=10**30 + 1)

    def test_what_has_no_canonical_form_has_no_key(self):
        with pytest.raises(UnkeyableError, match="object"):
            key(Request((Message("user", "Hi"),), extra={"openai": {"a": object()}}), "x", None)
        with pytest.raises(UnkeyableError):
            of("half a pair: \ud800")

    def test_another_group_of_models_has_another_key(self):
        request = Request((Message("user", "Hi"),))
        assert key(request, "some", None) == key(request, "some", None) != key(request, "others", None)

    def test_what_a_vendor_wrote_beside_the_neutral_form_counts(self):
        def thought(signature):
            raw = Raw("anthropic", {"type": "thinking", "thinking": "So.", "signature": signature}, "a", "b")
            turns = [Message("assistant", [Reasoning("So.", raw), Text("Well.")]), Message("user", "And?")]
            return of([Message("user", "Hi"), *turns])

        assert thought("EqoB") == thought("EqoB") != thought("EqoC")


class TestModels:
    def test_neither_order_nor_names_nor_keys_count(self):
        one, other = Route("openai:gpt-6.1-sol", api_key="sk-1"), Route("anthropic:claude-sonnet-5-5", name="a")
        renamed = Route("openai:gpt-6.1-sol", name="x", api_key="sk-2", weight=3)
        assert models([one, other]) == models([other, renamed, one])
        assert "sk-" not in models([one, other])

    def test_another_model_or_another_server_counts(self):
        routes = [
            Route("openai:a"),
            Route("openai:b"),
            Route("openai:a", base_url="http://127.0.0.1:1/v1"),
            Route("openai:a", base_url="http://127.0.0.1:2/v1"),
            Route("openai:a", api="responses"),
        ]
        assert len({models([route]) for route in routes}) == len(routes)

    def test_a_password_in_an_address_does_not_go_in(self):
        told = models([Route("openai:a", base_url="https://user:secret@host:1/v1?key=secret")])
        assert "secret" not in told
        assert json.loads(told)[0][2] == "https://host:1/v1"


class TestScope:
    def test_it_is_everything_but_the_last_words(self):
        one, other = (build([("system", "Be kind."), ("user", text)], {})[0] for text in ("Hi", "Hello"))
        strict = build([("system", "Be strict."), ("user", "Hi")], {})[0]
        assert scope(one, "x", None) == (scope(other, "x", None)[0], "Hi")
        assert scope(one, "x", None)[0] != scope(strict, "x", None)[0]
        assert scope(one, "x", "a")[0] != scope(one, "x", "b")[0]

    def test_there_is_none_where_the_last_turn_is_no_plain_text(self):
        assert scope(build([Message("user", [Text("x"), Blob(b"x", "image/png")])], {})[0], "x", None) is None
        assert scope(Request((Message("assistant", "x"),)), "x", None) is None
