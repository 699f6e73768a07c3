"""The HTTP clients: what they reach for in private, and that they do without it."""

import threading

import anthropic
import openai
import pytest

from multiroute_core.providers import http
from multiroute_core.runtime.sockets import LimitedBackend, obey
from multiroute_core.testing.server import ReplayServer, Reply

CLIENTS = [openai.DefaultHttpxClient, anthropic.DefaultHttpxClient]


@pytest.mark.parametrize("client_class", CLIENTS)
def test_the_private_names_are_there_in_the_installed_versions(client_class):
    with http.client(client_class) as client:
        assert isinstance(client._transport._pool._network_backend, LimitedBackend)


@pytest.mark.parametrize("client_class", CLIENTS)
def test_proxies_of_the_environment_obey_too(client_class, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with http.client(client_class) as client:
        transports = [transport for transport in client._mounts.values() if transport is not None]
        assert transports
        assert all(isinstance(transport._pool._network_backend, LimitedBackend) for transport in transports)


@pytest.mark.parametrize("client_class", CLIENTS)
def test_without_the_private_names_the_client_is_left_as_it_is(client_class):
    with client_class() as client:
        del client._transport._pool._network_backend
        del client._transport._pool._optional_thread_lock
        obey(client)
        assert "_optional_thread_lock" not in vars(client._transport._pool)
        client._transport._pool._optional_thread_lock = threading.Lock()  # its own close asks for it


def test_obeying_twice_is_obeying_once():
    with http.client(openai.DefaultHttpxClient) as client:
        pool = client._transport._pool
        before = pool._network_backend, pool._optional_thread_lock, type(pool)
        obey(client)
        assert (pool._network_backend, pool._optional_thread_lock, type(pool)) == before


def test_the_ssl_context_is_shared():
    assert http._ssl_context("httpx") is http._ssl_context("httpx")


@pytest.mark.parametrize("client_class", CLIENTS)
@pytest.mark.parametrize("within", ["create_connection", "is_closed"])
def test_the_collector_may_close_a_stream_while_its_thread_is_inside_the_pool(client_class, within, monkeypatch):
    monkeypatch.setenv("MULTIROUTE_HTTPTOOLS", "0")
    client = http.client(client_class)
    with ReplayServer(Reply(body=[b"1", b"2"], stream=True)) as server:
        abandoned = client.send(client.build_request("POST", server.url), stream=True)
        pool = client._transport._pool
        place = pool if within == "create_connection" else pool.connections[0]
        inner = getattr(place, within)

        def collecting(*given):
            abandoned.close()  # as the garbage collector does, through the finally of the generator that reads it
            return inner(*given)

        setattr(place, within, collecting)
        statuses = []
        asking = threading.Thread(target=lambda: statuses.append(client.post(server.url).status_code), daemon=True)
        asking.start()
        asking.join(10)
        assert statuses == [200]
        assert abandoned.is_closed
        assert [connection.is_idle() for connection in pool.connections] == [True]
        assert client.post(server.url).status_code == 200
        assert server.connections == 2
        client.close()  # only here: where the thread waits for itself, this would wait for it too
