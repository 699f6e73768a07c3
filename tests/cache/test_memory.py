"""A cache in memory against a model of it; and what threads, copies and pickles do to it."""

import copy
import pickle
import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from multiroute_core import ConfigurationError
from multiroute_core.cache.memory import OVERHEAD, MemoryCache
from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO
from tests.examples import examples

KEYS = st.sampled_from(["a", "b", "c", "d", "e"])


class MemoryMachine(RuleBasedStateMachine):
    """The model: a list of (key, value, until), the one that was used last at its end."""

    @initialize(room=st.sampled_from([1, 300, 700, 10_000]))
    def begin(self, room):
        self.now, self.room, self.model = 0.0, room, []
        self.cache, self.io = MemoryCache(room), SyncIO(lambda: self.now)

    @rule(seconds=st.sampled_from([0.5, 1.0, 10.0]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(key=KEYS, size=st.sampled_from([0, 1, 100, 400, 800]), seconds=st.sampled_from([1.0, 5.0, 100.0]))
    def put(self, key, size, seconds):
        run(self.cache.put(self.io, key, b"x" * size, seconds))
        self.model = [held for held in self.model if held[0] != key]
        if size + 1 + OVERHEAD <= self.room:
            self.model.append((key, b"x" * size, self.now + seconds))
        while self.size() > self.room:
            self.model.pop(0)

    @rule(key=KEYS)
    def get(self, key):
        found = run(self.cache.get(self.io, key))
        held = next((held for held in self.model if held[0] == key), None)
        if held is not None:
            self.model.remove(held)
        if held is None or self.now >= held[2]:
            assert found is None
        else:
            assert found == held[1]
            self.model.append(held)

    def size(self):
        return sum(len(key) + len(value) + OVERHEAD for key, value, _ in self.model)

    @invariant()
    def it_holds_what_the_model_holds(self):
        if hasattr(self, "cache"):
            assert len(self.cache) == len(self.model)
            assert self.cache.bytes == self.size() <= self.room


TestMemory = pytest.mark.slow(MemoryMachine.TestCase)
TestMemory.settings = settings(max_examples=examples(100), stateful_step_count=30, deadline=None)


def test_what_was_used_longest_ago_goes_first():
    cache, io = MemoryCache(3 * (OVERHEAD + 2)), SyncIO()
    for key in "abc":
        run(cache.put(io, key, b"x", 60.0))
    assert run(cache.get(io, "a")) == b"x"
    run(cache.put(io, "d", b"x", 60.0))
    assert [run(cache.get(io, key)) for key in "abcd"] == [b"x", None, b"x", b"x"]


def test_threads_at_once_leave_it_whole():
    cache, io = MemoryCache(20_000), SyncIO()

    def work(number):
        for n in range(500):
            key = f"{(n * number) % 50}"
            run(cache.put(io, key, key.encode() * 10, 60.0))
            found = run(cache.get(io, key))
            assert found in (None, key.encode() * 10)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.bytes == sum(len(k) + len(v) + OVERHEAD for k, (v, _) in cache._entries.items()) <= 20_000


def test_copies_are_the_same_cache_and_pickles_are_empty():
    cache = MemoryCache(5_000)
    run(cache.put(SyncIO(), "a", b"secret", 60.0))
    assert copy.deepcopy({"c": cache})["c"] is cache is copy.copy(cache)
    again = pickle.loads(pickle.dumps(cache))
    assert (again.max_bytes, len(again)) == (5_000, 0)
    assert b"secret" not in pickle.dumps(cache)
    assert "secret" not in repr(cache)
    cache.clear()
    assert (len(cache), cache.bytes) == (0, 0)


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "1 GB"])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(ConfigurationError, match="max_bytes"):
        MemoryCache(size)
