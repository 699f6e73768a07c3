"""Streams that come to their end give their connection back, `[DONE]` or not."""

import asyncio

import pytest

from multiroute_core import Route, Router
from multiroute_core.testing.server import ReplayServer, Reply
from tests.providers.wires import WIRES

every_wire = pytest.mark.parametrize("wire", WIRES.values(), ids=list(WIRES))
STREAM = {"content-type": "text/event-stream"}


@every_wire
def test_streams_one_after_the_other_share_a_connection(wire):
    with ReplayServer(Reply(headers=STREAM, body=wire.stream, stream=True)) as server:
        base_url = f"{server.url}/v1" if wire.provider == "openai" else server.url
        with Router([Route(f"{wire.provider}:m", api_key="k", base_url=base_url)]) as router:
            for _ in range(3):
                assert "".join(chunk.text for chunk in router.stream("Hello")) == "Hello, world!"
        assert server.connections == 1


@every_wire
def test_on_an_event_loop_too(wire):
    async def main(base_url: str) -> None:
        async with Router([Route(f"{wire.provider}:m", api_key="k", base_url=base_url)]) as router:
            for _ in range(3):
                assert "".join([chunk.text async for chunk in router.astream("Hello")]) == "Hello, world!"

    with ReplayServer(Reply(headers=STREAM, body=wire.stream, stream=True)) as server:
        asyncio.run(main(f"{server.url}/v1" if wire.provider == "openai" else server.url))
        assert server.connections == 1
