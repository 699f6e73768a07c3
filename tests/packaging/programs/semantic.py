"""A paraphrase gets the answer of the first question, by the embedding model of the extra."""

from multiroute_core import CacheConfig, Router, SemanticCache
from multiroute_core.testing import Answer, scripted_route

cache = CacheConfig("memory", semantic=SemanticCache())
with Router([scripted_route("only", Answer("By the link under the form."))], cache=cache) as router:
    assert not router.generate("How do I reset my Gmail password?").cached
    assert router.generate("how can I reset my gmail password").cached
    assert not router.generate("What is the capital of France?").cached
