"""What several tests ask with: the vendors on one server, a tool, a form for an answer, and LlamaIndex's own LLM."""

import pytest
from llama_index.core.llms import ChatMessage
from pydantic import BaseModel

from multiroute_core import Usage
from multiroute_core.testing import Answer, scripted_route
from tests.vendors.server import VendorServer

PRICES = {"input": 10.0, "output": 100.0}
TOLD = Usage(1000, 100)
HELLO = [ChatMessage("Hi")]


class Weather(BaseModel):
    """A report of the weather."""

    city: str
    sunny: bool


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"It is sunny in {city}."


def import_openai():
    """LlamaIndex's own LLM for OpenAI. It wants openai below 3, so beside the newest SDKs there is none."""
    return pytest.importorskip("llama_index.llms.openai", reason="llama-index-llms-openai is not installed").OpenAI


@pytest.fixture
def server():
    with VendorServer() as server:
        yield server


def route(name, *script, prices=PRICES):
    return scripted_route(name, script or [Answer(("one ", "two"), usage=TOLD)], prices=prices)


async def ask(llm, face):
    """The answer by one of LlamaIndex's faces: of a stream, the last chunk."""
    question = HELLO if "chat" in face else "Hi"
    answer = getattr(llm, face)(question)
    if face.startswith("a"):
        answer = await answer
    if "stream" not in face:
        return answer
    return [chunk async for chunk in answer][-1] if face.startswith("a") else list(answer)[-1]
