"""A provider's official SDK against a server on this machine: a failover, a stream, an async call. Argument: the provider."""

import asyncio
import sys

from multiroute_core import Router
from multiroute_core.testing import Answer, DialectServer, Failure

dialect = {"openai": "openai_responses", "google-legacy": "google"}.get(sys.argv[1], sys.argv[1])
settings = {"sdk": "google-generativeai"} if sys.argv[1] == "google-legacy" else {}


async def answer(router: Router) -> str:
    """The text of an async call."""
    return (await router.agenerate("Name a colour.")).text


with DialectServer(dialect, Failure("overloaded")) as down, DialectServer(dialect, Answer("Blue.")) as up:
    routes = [down.route(name="down", **settings), up.route(name="up", **settings)]
    with Router(routes) as router:
        response = router.generate("Name a colour.")
        assert (response.text, response.route) == ("Blue.", "up")
        assert [attempt.outcome for attempt in response.attempts] == ["overloaded", "success"]
        assert "".join(chunk.text for chunk in router.stream("Name a colour.")) == "Blue."
        assert asyncio.run(answer(router)) == "Blue."
