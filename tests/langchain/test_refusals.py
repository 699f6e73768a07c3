"""Refusals: LangChain's standard block on every wire and face, and `ModelRefusalError` where LangChain raises it."""

from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import tool
from pydantic import BaseModel

from langchain_multiroute import ChatMultiRoute
from multiroute_core import RefusalError
from multiroute_core.testing.server import Reply
from tests.langchain.faces import FACES, ask, own_timeout
from tests.newer import needed
from tests.wire_replies import candidate_pair, chat_pair, message_pair, response_pair, route, served

pytestmark = pytest.mark.wire

create_agent = needed("langchain.agents", "create_agent", "langchain is not installed")
ModelFallbackMiddleware = needed("langchain.agents.middleware", "ModelFallbackMiddleware", "langchain is not installed")
ModelRefusalMiddleware = needed(
    "langchain.agents.middleware", "ModelRefusalMiddleware", "this langchain has no ModelRefusalMiddleware"
)
ModelRefusalError = needed(
    "langchain_core.exceptions", "ModelRefusalError", "langchain-core before 1.7.5 has no ModelRefusalError"
)
ChatOpenAI = needed("langchain_openai", "ChatOpenAI", "langchain-openai is not installed")

NO = "I cannot help with that."
DETAILS = {"type": "refusal", "category": "cyber", "explanation": "It would harm."}


def item(*parts):
    return {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": list(parts)}


SAID = {"type": "output_text", "text": "Well. ", "annotations": []}
REFUSED = {"type": "refusal", "refusal": NO}
CASES = {
    "chat": ("openai.chat", chat_pair({"refusal": NO}), NO, ""),
    "chat, with a reason": ("openai.chat", chat_pair({"refusal": NO}, "content_filter"), NO, ""),
    "responses": ("openai.responses", response_pair(item(REFUSED)), NO, ""),
    "responses, after words": ("openai.responses", response_pair(item(SAID, REFUSED)), NO, "Well. "),
    "anthropic": ("anthropic", message_pair(stop_reason="refusal", stop_details=DETAILS), "It would harm.", ""),
    "anthropic, after words": (
        "anthropic",
        message_pair({"type": "text", "text": "Well."}, stop_reason="refusal", stop_details=DETAILS),
        "It would harm.",
        "Well.",
    ),
    "anthropic, unexplained": (
        "anthropic",
        message_pair({"type": "text", "text": "Well."}, stop_reason="refusal"),
        "",
        "Well.",
    ),
    "google, after words": ("google", candidate_pair({"text": "Well."}, finish="SAFETY"), "", "Well."),
}


def refusals(message) -> list[Any]:
    return [block for block in message.content_blocks if block["type"] == "refusal"]


@pytest.mark.parametrize("options", [{}, {"output_version": "v1"}], ids=["plain", "blocks"])
@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("case", CASES)
async def test_it_is_the_standard_block(case, face, options):
    wire, reply, words, text = CASES[case]
    with served(reply) as server:
        model = ChatMultiRoute(routes=[route(server, wire)], **options)
        answer = await ask(model, face)
    (block,) = refusals(answer)
    assert block["refusal"] == words
    assert answer.text == text
    if not options:
        assert answer.content == text
    if words == "It would harm.":
        assert block["extras"] == {"category": "cyber"}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("wire", ["openai.chat", "openai.responses", "anthropic", "google"])
async def test_an_answer_has_none(wire, face):
    reply = {
        "openai.chat": chat_pair({"content": "Yes.", "refusal": None}),
        "openai.responses": response_pair(item(SAID)),
        "anthropic": message_pair({"type": "text", "text": "Yes."}),
        "google": candidate_pair({"text": "Yes."}),
    }[wire]
    with served(reply) as server:
        answer = await ask(ChatMultiRoute(routes=[route(server, wire)]), face)
    assert refusals(answer) == []
    assert "refusal" not in answer.additional_kwargs


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("case", CASES)
async def test_it_goes_back_in_words(case, face):
    wire, reply, words, text = CASES[case]
    with served(reply, chat_pair({"content": "ok"}) if wire == "openai.chat" else reply) as server:
        model = ChatMultiRoute(routes=[route(server, wire)])
        answer = await ask(model, face)
        await ask(model, "invoke", [HumanMessage("Help."), answer, HumanMessage("Why?")])
        told = str(server.bodies[1])
    assert (text or words).strip() in told or wire == "anthropic"
    assert "stop_details" not in told


class Form(BaseModel):
    """A form; all of it has defaults."""

    name: str = "none"


METHODS = ("json_schema", "function_calling", "json_mode")


@pytest.mark.parametrize("schema", [Form, Form.model_json_schema()], ids=["class", "schema"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", CASES)
async def test_structured_output_raises_it(case, method, schema):
    wire, reply, words, _ = CASES[case]
    with served(reply) as server:
        model = ChatMultiRoute(routes=[route(server, wire)])
        chain = model.with_structured_output(schema, method=method)
        with pytest.raises(ModelRefusalError) as caught:
            chain.invoke("Fill it.")
        with pytest.raises(ModelRefusalError):
            await chain.ainvoke("Fill it.")
        with pytest.raises(ModelRefusalError):
            list(chain.stream("Fill it."))
        raw = model.with_structured_output(schema, method=method, include_raw=True).invoke("Fill it.")
    assert words in str(caught.value)
    assert refusals(caught.value.raw_message)
    assert raw["parsed"] is None
    assert isinstance(raw["parsing_error"], ModelRefusalError)


@pytest.mark.parametrize("method", METHODS)
def test_a_content_filter_is_one_for_structured_output(method):
    with served(chat_pair({"content": '{"na'}, "content_filter")) as server:
        ours = ChatMultiRoute(routes=[route(server, "openai.chat")])
        theirs = ChatOpenAI(
            model="gpt-4.1", base_url=f"{server.url}/v1", api_key="k", timeout=own_timeout(), max_retries=0
        )
        # With a response format OpenAI's SDK is quicker, with an error of its own.
        for model in (theirs, ours) if method == "function_calling" else (ours,):
            with pytest.raises(ModelRefusalError, match="content filter") as caught:
                model.with_structured_output(Form, method=method).invoke("Fill it.")
            assert caught.value.raw_message.response_metadata["finish_reason"] == "content_filter"


@tool
def help_out(what: str = "") -> str:
    """Help."""
    return "done"


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("case", CASES)
async def test_the_refusal_middleware_sees_it(case, streaming):
    wire, reply, *_ = CASES[case]
    with served(reply) as server:
        model = ChatMultiRoute(routes=[route(server, wire)], streaming=streaming)
        agent = create_agent(model, [help_out], middleware=[ModelRefusalMiddleware()])
        with pytest.raises(ModelRefusalError):
            agent.invoke({"messages": [("user", "Help.")]})
        with pytest.raises(ModelRefusalError):
            await agent.ainvoke({"messages": [("user", "Help.")]})


@pytest.mark.parametrize("case", CASES)
def test_the_fallback_middleware_asks_the_next_model(case):
    wire, reply, *_ = CASES[case]
    with served(reply) as first, served(chat_pair({"content": "Done."})) as second:
        agent = create_agent(
            ChatMultiRoute(routes=[route(first, wire)]),
            [help_out],
            middleware=[
                ModelFallbackMiddleware(ChatMultiRoute(routes=[route(second, "openai.chat")])),
                ModelRefusalMiddleware(),
            ],
        )
        assert agent.invoke({"messages": [("user", "Help.")]})["messages"][-1].text == "Done."
        assert len(first.bodies) == len(second.bodies) == 1


def openai(server, **settings):
    return ChatOpenAI(
        model="gpt-4.1", base_url=f"{server.url}/v1", api_key="k", timeout=own_timeout(), max_retries=0, **settings
    )


@pytest.mark.parametrize("case", ["chat", "responses"])
def test_the_same_as_chat_openai(case):
    wire, reply, *_ = CASES[case]
    with served(reply) as server:
        theirs = openai(server, use_responses_api=wire == "openai.responses").invoke("Help.")
        ours = ChatMultiRoute(routes=[route(server, wire)]).invoke("Help.")
        wrapped = ChatMultiRoute(routes=[openai(server, use_responses_api=wire == "openai.responses")]).invoke("Help.")
    blocks = [{"type": "refusal", "refusal": NO}]
    for message in (theirs, ours, wrapped):
        assert [{key: block[key] for key in ("type", "refusal")} for block in refusals(message)] == blocks
        assert message.text == ""
    if wire == "openai.chat":
        assert theirs.content == ours.content == wrapped.content == ""
        assert theirs.additional_kwargs["refusal"] == ours.additional_kwargs["refusal"] == NO


class Refusing(BaseChatModel):
    """A model of somebody else's that declines in one of LangChain's ways."""

    how: str

    @property
    def _llm_type(self):
        return "refusing"

    def _about(self) -> dict[str, Any]:
        match self.how:
            case "beside":
                return {"content": "", "additional_kwargs": {"refusal": NO}}
            case "block":
                return {"content": [{"type": "refusal", "refusal": NO}]}
            case _:
                return {"content": "", "response_metadata": {"stop_reason": "refusal", "model_provider": "anthropic"}}

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return ChatResult(generations=[ChatGeneration(message=AIMessage(**self._about()))])

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        yield ChatGenerationChunk(message=AIMessageChunk(**self._about()))


@pytest.mark.parametrize("how", ["beside", "block", "reason"])
@pytest.mark.parametrize("face", FACES)
async def test_wrapped_models(how, face):
    answer = await ask(ChatMultiRoute(routes=[Refusing(how=how)]), face)
    (block,) = refusals(answer)
    assert block["refusal"] == ("" if how == "reason" else NO)
    assert answer.response_metadata["finish_reason"] == "refusal"


def test_nobody_is_left_so_the_refusal_is_the_answer():
    with served(chat_pair({"refusal": NO})) as server:
        model = ChatMultiRoute(routes=[route(server, "openai.chat")], fallback_on={"refusal"})
        assert refusals(model.invoke("Help."))


def test_an_error_of_the_routers_is_langchains_too():
    from langchain_multiroute.errors import as_langchain

    error = RefusalError("The model declined to answer (refusal).")
    as_langchain(error)
    assert isinstance(error, ModelRefusalError)
    assert isinstance(error, RefusalError)
    assert getattr(error, "raw_message") is None
    assert getattr(error, "is_retryable") is False


def test_a_refusal_inside_an_error_is_no_refusal():
    with served(
        Reply(400, {"content-type": "application/json"}, b'{"error": {"message": "No.", "code": "x"}}')
    ) as server:
        with pytest.raises(Exception) as caught:
            ChatMultiRoute(routes=[route(server, "openai.chat")]).invoke("Help.")
        assert not isinstance(caught.value, ModelRefusalError)
