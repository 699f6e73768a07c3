"""Tests of an LLM without requests: its metadata, serialization and copies."""

# pyright: reportUnknownMemberType=false, reportUnknownLambdaType=false, reportUnknownArgumentType=false
from __future__ import annotations

import copy
import json
import pickle
from typing import Any, cast

import pytest
from llama_index.core.base.llms.types import LLMMetadata, MessageRole
from llama_index.core.indices.prompt_helper import PromptHelper
from llama_index.core.llms import LLM, utils
from llama_index.core.prompts import PromptTemplate

from llamaindex_multiroute.testing.suite import Suite, to_messages


class StandingTests(Suite):
    """The LLM can be inspected, serialized and copied."""

    def test_class(self, llm: Any) -> None:
        """It is an LLM with a class name, and LlamaIndex resolves it to itself."""
        assert isinstance(llm, LLM)
        assert llm.class_name()
        assert cast("Any", utils).resolve_llm(llm) is llm

    def test_metadata(self, llm: Any) -> None:
        """Prompt packing can rely on the metadata: the output leaves room in the context window."""
        metadata = llm.metadata
        assert isinstance(metadata, LLMMetadata)
        assert metadata.is_chat_model
        assert metadata.model_name not in {"", "unknown"}
        assert isinstance(metadata.system_role, MessageRole)
        assert metadata.num_output == -1 or 0 < metadata.num_output < metadata.context_window
        assert llm.metadata == metadata

    def test_prompt_packing(self, llm: Any) -> None:
        """The framework's prompt helper can pack prompts with this metadata."""
        packed = PromptHelper.from_llm_metadata(llm.metadata).repack(PromptTemplate("Say {word}."), ["a", "b"])
        assert packed

    def test_payload(self, llm: Any) -> None:
        """The payload for instrumentation is plain JSON without secrets."""
        if not hasattr(llm, "to_payload"):
            pytest.skip("this version of llama-index-core has no to_payload")
        self._clean(json.dumps(llm.to_payload()))

    def test_dumps(self, llm: Any) -> None:
        """Dumps and the repr contain no secrets either."""
        dumped = llm.to_dict()
        assert dumped["class_name"] == llm.class_name()
        self._clean(json.dumps(dumped, default=str), repr(llm), str(llm), llm.to_json())

    def test_pickle(self, llm: Any) -> None:
        """It can be pickled, even after a request, and the pickle contains no secrets."""
        llm.chat(to_messages("Say hello."))
        stored = pickle.dumps(llm)
        self._clean(stored.decode("latin-1"))
        again = pickle.loads(stored)  # noqa: S301  (it was pickled above)
        assert again.metadata == llm.metadata

    def test_copies(self, llm: Any) -> None:
        """Frameworks copy LLMs; a copy works."""
        for duplicate in (copy.copy(llm), copy.deepcopy(llm), llm.model_copy()):
            assert duplicate.metadata == llm.metadata
            assert duplicate.chat(to_messages("Say hello.")).message.content

    def _clean(self, *texts: str) -> None:
        assert not [secret for secret in self.secrets for text in texts if secret in text]
