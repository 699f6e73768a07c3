"""LangChain's own tests for ChatOpenAI and ChatAnthropic at `llmock`, and at a server whose routes lead to it.

`scripts/standard` runs them and compares. `llmock` cannot answer everything: what a client does not pass there
directly is not asked of it through the server. Support for tests, no test of the suite.
"""

from __future__ import annotations

import pytest
from llmock.testing import LLMockServer

from multiroute_core import Route, Router
from multiroute_core.serving import build_app
from tests.serving.servers import running
from tests.serving.test_standard import Standard, pytestmark
from tests.vendors.server import ROUTES, Wire

__all__ = ["pytestmark"]

_NAMES = {"anthropic": "anthropic", "chat": "openai", "responses": "openai", "google": "gemini"}
"""The APIs, as `llmock` names them."""


class Emulated(Standard):
    """A client's standard tests at `llmock`."""

    # `llmock` 0.2 knows Anthropic's schemas by their beta name only, `output_format`; these models take a tool.
    models = {**ROUTES, "anthropic": ("anthropic:claude-sonnet-4-0", "anthropic:claude-haiku-3-5")}

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _serve(cls):
        with LLMockServer() as vendors:
            if cls.wire is None:
                cls.url = vendors.base_url(_NAMES[cls.api]).removesuffix("/v1")
                yield
                return
            with (
                Router(_routes(vendors, cls.wire, cls.models[cls.wire])) as router,
                running(build_app(router)) as server,
            ):
                cls.url = server.url
                yield


def _routes(vendors: LLMockServer, wire: Wire, models: tuple[str, str]) -> list[Route]:
    api = wire if wire in ("chat", "responses") else None
    base_url = vendors.base_url(_NAMES[wire])
    return [Route(name, api_key="k", base_url=base_url, api=api) for name in models]


for _api in ("chat", "responses", "anthropic"):
    for _wire in (None, "anthropic", "chat", "responses", "google"):
        _name = f"Test_{_api}_{_wire or 'directly'}"
        globals()[_name] = type(_name, (Emulated,), {"api": _api, "wire": _wire, "__module__": __name__})
