"""The server that speaks every API, and says what a test wants."""

from collections.abc import Iterator

import pytest

from tests.hostile.wire_server import WireServer


@pytest.fixture(scope="module")
def server() -> Iterator[WireServer]:
    with WireServer() as running:
        yield running
