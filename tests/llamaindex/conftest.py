"""What several tests ask with: the vendors on one server, a tool, and a form for an answer."""

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


@pytest.fixture
def server():
    with VendorServer() as server:
        yield server
