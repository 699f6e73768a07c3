"""Tags as models of a client: all routes with the tag may answer, backups too, as in a model group of a gateway."""

import json

import openai
import pytest

from multiroute_core import Router
from multiroute_core.errors import ServerError
from multiroute_core.serving import build_app
from multiroute_core.testing import Answer, Fail, scripted_route
from tests.serving.servers import running
from tests.serving.test_requests import VALID, call


def build_router():
    return Router(
        [
            scripted_route("other", Answer("from another group")),
            scripted_route("fast", Fail(ServerError), tags={"fast"}),
            scripted_route("backup", Answer("from the backup"), tags={"fast"}, backup=True),
        ],
        max_retries=0,
    )


@pytest.mark.parametrize("path", VALID)
async def test_a_tag_reaches_the_backups_and_no_other_route(path):
    with build_router() as router:
        app = build_app(router)
        for _ in range(2):
            status, headers, content = await call(app, path, json.dumps({**VALID[path], "model": "fast"}).encode())
            assert (status, headers["x-multiroute-route"]) == (200, "backup")
            assert b"from the backup" in content
        status, headers, _ = await call(app, path, json.dumps({**VALID[path], "model": "other"}).encode())
        assert (status, headers["x-multiroute-route"]) == (200, "other")
        status, _, content = await call(app, path, json.dumps({**VALID[path], "model": "slow"}).encode())
        assert (status, b"does not exist" in content) == (404, True)


def test_tags_are_listed():
    with build_router() as router, running(build_app(router)) as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
        assert {"fast", "other", "backup", "auto"} <= {model.id for model in client.models.list()}
        assert client.models.retrieve("fast").id == "fast"
        answer = client.chat.completions.create(model="fast", messages=[{"role": "user", "content": "Hi"}])
        assert answer.choices[0].message.content == "from the backup"
