"""A faster transport, under OpenAI's SDK, against a server on this machine. Argument: the transport."""

import asyncio
import sys

from multiroute_core import Router
from multiroute_core.providers import aiohttp_transport, httptools_transport
from multiroute_core.testing import Answer, DialectServer

transport = {"aiohttp": aiohttp_transport, "httptools": httptools_transport}[sys.argv[1]]
assert transport.is_enabled()


async def main() -> None:
    """Ask once, and see through which library the client sends."""
    with DialectServer("openai", Answer("Blue.")) as server:
        async with Router([server.route()]) as router:
            assert (await router.agenerate("Name a colour.")).text == "Blue."
            assert router.generate("Name a colour.").text == "Blue."


asyncio.run(main())
assert sys.argv[1] in sys.modules
