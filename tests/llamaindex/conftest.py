"""What several tests ask with: the vendors on one server, a tool, a form for an answer, and LlamaIndex's own LLM."""

import pytest
from pydantic import BaseModel

from tests.vendors.server import VendorServer


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
