"""LangChain's own unit tests for chat models."""

import pytest
from langchain_tests.unit_tests import ChatModelUnitTests

from langchain_multiroute import ChatMultiRoute
from multiroute_core import Route


class TestStandard(ChatModelUnitTests):
    @property
    def chat_model_class(self):
        return ChatMultiRoute

    @property
    def chat_model_params(self):
        return {"routes": [Route("openai:gpt-4.1", api_key="k")]}

    @property
    def has_tool_calling(self):
        return False  # not carried yet

    @property
    def has_structured_output(self):
        return False  # works by tools

    @pytest.fixture(autouse=True)
    def _keys(self, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "k")
