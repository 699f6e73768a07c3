"""The server that most tests of the providers replay answers on."""

from collections.abc import Iterator

import pytest

from multiroute_core.testing.server import ReplayServer


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer() as running:
        yield running
