"""Redis, of either kind."""

import pytest


@pytest.fixture(scope="module")
def server(redis_server):
    return redis_server
