"""What several tests ask with: the vendors on one server, a tool, and a form for an answer.

And what ran and what was skipped, for the test that knows the list of skips.
"""

import pytest
from langchain_core.tools import tool
from pydantic import BaseModel

from tests.vendors.server import VendorServer

RAN = pytest.StashKey[dict[str, str | None]]()
"""For every test of this folder its reason to be skipped, or None."""


class Weather(BaseModel):
    """A report of the weather."""

    city: str
    sunny: bool


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"It is sunny in {city}."


@pytest.fixture
def server():
    with VendorServer() as server:
        yield server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call" or report.skipped:
        reason = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else None
        item.config.stash.setdefault(RAN, {})[item.nodeid.partition("::")[2]] = reason
    return report
