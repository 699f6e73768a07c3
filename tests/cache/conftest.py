"""A cache in a file."""

import pytest

from multiroute_core.cache.sqlite import SQLiteCache


@pytest.fixture
def path(tmp_path):
    return tmp_path / "llm.db"


@pytest.fixture
def cache(path):
    sqlite_cache = SQLiteCache(path)
    yield sqlite_cache
    sqlite_cache.close()
