"""The HTTP clients: what they reach for in private, and that they do without it."""

import anthropic
import openai
import pytest

from multiroute_core.drive.sockets import LimitedBackend, obey
from multiroute_core.providers import http

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
        obey(client)


def test_obeying_twice_is_obeying_once():
    with http.client(openai.DefaultHttpxClient) as client:
        before = client._transport._pool._network_backend
        obey(client)
        assert client._transport._pool._network_backend is before


def test_the_ssl_context_is_shared():
    assert http._ssl_context("httpx") is http._ssl_context("httpx")
