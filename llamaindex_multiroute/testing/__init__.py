"""Standard tests for any LlamaIndex LLM: the contract that agents, engines and programs rely on.

The tests call the LLM as users do, through the framework's own classes, and are independent of its implementation. Use
a real model, or a server that derives its response from the request: it calls the tools that the prompt names, and
reports their results. Only `pytest` is required.

Declare missing features by the properties of `LLMTests`; tests that need them are skipped with that reason.

Example:
    >>> import pytest
    >>> from llama_index.llms.ollama import Ollama  # doctest: +SKIP
    >>> from llamaindex_multiroute.testing import LLMTests
    >>> class TestOllama(LLMTests):
    ...     has_images = False
    ...
    ...     @pytest.fixture
    ...     def llm(self):
    ...         return Ollama(model="qwen3")
"""

import pytest

_MODULES = ("suite", "faces", "callbacks", "tools", "structured", "agents", "engines", "standing")
pytest.register_assert_rewrite(*(f"{__name__}.{submodule}" for submodule in _MODULES))

from llamaindex_multiroute.testing.agents import AgentTests  # noqa: E402  (pytest rewrites their assertions on import)
from llamaindex_multiroute.testing.callbacks import CallbackTests  # noqa: E402
from llamaindex_multiroute.testing.engines import EngineTests  # noqa: E402
from llamaindex_multiroute.testing.faces import FaceTests  # noqa: E402
from llamaindex_multiroute.testing.standing import StandingTests  # noqa: E402
from llamaindex_multiroute.testing.structured import StructuredTests  # noqa: E402
from llamaindex_multiroute.testing.tools import ToolTests  # noqa: E402

__all__ = ["LLMTests"]


class LLMTests(FaceTests, CallbackTests, ToolTests, StructuredTests, AgentTests, EngineTests, StandingTests):
    """All standard tests. Subclass it, and override the fixture `llm`."""
