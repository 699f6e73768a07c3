"""Tests of structured output: objects instead of texts, complete and streamed."""

# pyright: reportUnknownMemberType=false, reportUnknownLambdaType=false, reportUnknownArgumentType=false
from __future__ import annotations

from typing import Any

from llama_index.core.bridge.pydantic import BaseModel, Field
from llama_index.core.prompts import PromptTemplate

from llamaindex_multiroute.testing.suite import Suite, arun_all, run, to_messages

PROMPT = PromptTemplate("Extract the person: '{name}' is {age} years old.")


class Person(BaseModel):
    """A person."""

    name: str = Field(description="The person's name.")
    age: int = Field(description="The person's age in years.")


class Team(BaseModel):
    """A team of people."""

    title: str
    members: list[Person]


class StructuredTests(Suite):
    """Programs get instances of their class."""

    def test_structured_predict(self, llm: Any) -> None:
        """The content of a prompt becomes an object."""
        prompt_args = {"name": "Ada", "age": 36}
        assert llm.structured_predict(Person, PROMPT, **prompt_args) == Person(name="Ada", age=36)
        assert run(llm.astructured_predict(Person, PROMPT, **prompt_args)) == Person(name="Ada", age=36)

    def test_structured_predict_of_objects_in_objects(self, llm: Any) -> None:
        """Nested lists and objects are filled too."""
        prompt = PromptTemplate("Describe a team called '{title}' that has at least one member.")
        team = llm.structured_predict(Team, prompt, title="Blue")
        assert isinstance(team, Team)
        assert all(isinstance(member, Person) for member in team.members)

    def test_stream_structured_predict(self, llm: Any) -> None:
        """Partial objects come first, and the last one is complete."""
        self._fills(list(llm.stream_structured_predict(Person, PROMPT, name="Ada", age=36)))

    def test_astream_structured_predict(self, llm: Any) -> None:
        """The same on an event loop."""
        self._fills(arun_all(llm.astream_structured_predict(Person, PROMPT, name="Ada", age=36)))

    def _fills(self, objects: list[Any]) -> None:
        assert objects
        assert objects[-1] == Person(name="Ada", age=36)
        assert all(set(type(partial).model_fields) == {"name", "age"} for partial in objects)
        filled = [sum(value is not None for value in dict(partial).values()) for partial in objects]
        assert filled == sorted(filled)

    def test_as_structured_llm(self, llm: Any) -> None:
        """An LLM that returns an object for every request."""
        structured = llm.as_structured_llm(Person)
        question = PROMPT.format(name="Ada", age=36)
        for response in (
            structured.complete(question),
            structured.chat(to_messages(question)),
            run(structured.achat(to_messages(question))),
            list(structured.stream_chat(to_messages(question)))[-1],
            arun_all(structured.astream_chat(to_messages(question)))[-1],
        ):
            assert response.raw == Person(name="Ada", age=36)
