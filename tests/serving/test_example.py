"""The example for FastAPI works as it stands."""

import json

from examples.fastapi_chat import build
from multiroute_core import Router
from multiroute_core.testing import Answer, rate_limited, scripted_route
from tests.serving.servers import running


def test_the_example():
    with running(build(Router([scripted_route("one", Answer(("Hel", "lo")))]))) as server:
        status, _, content = server.request("POST", "/api/chat", {"message": "Hi"})
        assert (status, json.loads(content)["text"]) == (200, "Hello")
        status, headers, content = server.request("POST", "/api/chat/stream", {"message": "Hi"})
        assert status == 200
        assert headers["content-type"].startswith("text/event-stream")
        assert b'data: {"text":"Hel"}\n\n' in content
        assert b"event: done\n" in content
        assert server.request("POST", "/api/chat", {"message": "Hi", "deadline": -1})[0] == 400
    limited = Router([scripted_route("one", rate_limited(9))], max_retries=0)
    with running(build(limited)) as server:
        assert server.request("POST", "/api/chat", {"message": "Hi"})[0] == 429
