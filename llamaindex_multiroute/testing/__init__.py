"""Standard tests for any LLM of LlamaIndex's: does it keep the contract that agents, engines and programs rely on?

They ask the LLM what its users ask it, through the framework's own classes, and know nothing of how it is made. Give it
a real model, or a server that answers by what a request says: calls the tools that it is told to call, and says what
came of them. `pytest` is needed, and nothing else.

What the LLM lacks, say by the properties of `LLMTests`; the tests that need it are then skipped with that reason.

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

_ROOMS = ("suite", "faces", "told", "tools", "structured", "agents", "engines", "standing")
pytest.register_assert_rewrite(*(f"{__name__}.{room}" for room in _ROOMS))

from llamaindex_multiroute.testing.agents import AgentTests  # noqa: E402  (they are rewritten as they are loaded)
from llamaindex_multiroute.testing.engines import EngineTests  # noqa: E402
from llamaindex_multiroute.testing.faces import FaceTests  # noqa: E402
from llamaindex_multiroute.testing.standing import StandingTests  # noqa: E402
from llamaindex_multiroute.testing.structured import StructuredTests  # noqa: E402
from llamaindex_multiroute.testing.told import ToldTests  # noqa: E402
from llamaindex_multiroute.testing.tools import ToolTests  # noqa: E402

__all__ = ["LLMTests"]


class LLMTests(FaceTests, ToldTests, ToolTests, StructuredTests, AgentTests, EngineTests, StandingTests):
    """All standard tests. Subclass it, and override the fixture `llm`."""
