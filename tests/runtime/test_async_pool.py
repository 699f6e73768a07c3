"""The pool of an async client on httpx: connections are reused, bounded and dropped, whatever the calls in flight."""

import asyncio
import importlib
import threading
from collections.abc import Iterator

import anthropic
import httpcore
import openai
import pytest

from multiroute_core.providers import http, httptools_transport
from multiroute_core.providers.aiohttp_transport import SWITCH
from multiroute_core.runtime.async_pool import _LinearPool
from multiroute_core.runtime.sockets import tidy
from multiroute_core.testing.server import ReplayServer, Reply

CLIENTS = pytest.mark.parametrize(
    "client_class", [openai.DefaultAsyncHttpxClient, anthropic.DefaultAsyncHttpxClient], ids=["openai", "anthropic"]
)
COUNT = 40
SECONDS = 30.0


@pytest.fixture(autouse=True)
def httpx_transport(monkeypatch):
    monkeypatch.setenv(SWITCH, "0")
    monkeypatch.setenv(httptools_transport.SWITCH, "0")


class Barrier:
    """Answers when `count` requests are there, so that all of them are in flight at once."""

    def __init__(self, count: int) -> None:
        self.barrier = threading.Barrier(count)

    def __call__(self, _) -> Reply:
        self.barrier.wait(SECONDS)
        return Reply(body=b"ok")


@pytest.fixture
def server() -> Iterator[ReplayServer]:
    with ReplayServer(Barrier(COUNT)) as running:
        yield running


def limits(client_class, **settings):
    return {"limits": http.family(client_class).Limits(**settings)}


async def post_all(client, *urls):
    return [
        response.status_code for response in await asyncio.gather(*(client.post(url, content=b"x") for url in urls))
    ]


@CLIENTS
def test_calls_in_flight_have_connections_of_their_own_and_the_next_calls_use_them(client_class, server):
    async def main():
        async with http.client(client_class, **limits(client_class, max_connections=1000)) as client:
            for _ in range(3):
                assert await post_all(client, *[server.url] * COUNT) == [200] * COUNT

    asyncio.run(main())
    assert server.connections == COUNT


def test_a_call_looks_at_few_connections_however_many_are_idle(server, monkeypatch):
    anyio = importlib.import_module("httpcore._backends.anyio")
    looks = []
    is_readable = anyio.is_socket_readable

    def count(sock):
        looks.append(sock)
        return is_readable(sock)

    async def main():
        async with http.client(openai.DefaultAsyncHttpxClient) as client:
            await post_all(client, *[server.url] * COUNT)
            client._transport._pool._next_sweep = float("inf")
            monkeypatch.setattr(anyio, "is_socket_readable", count)
            with ReplayServer(Reply(body=b"ok")) as other:
                for _ in range(10):
                    await post_all(client, other.url)

    asyncio.run(main())
    assert len(looks) == 9


@CLIENTS
def test_more_calls_than_connections_wait_for_them(client_class):
    async def main(url):
        async with http.client(client_class, **limits(client_class, max_connections=3)) as client:
            assert await post_all(client, *[url] * COUNT) == [200] * COUNT

    with ReplayServer(Reply(body=b"ok")) as one:
        asyncio.run(main(one.url))
        assert one.connections == 3


@CLIENTS
def test_a_full_pool_closes_an_idle_connection_to_another_server(client_class):
    async def main(urls):
        async with http.client(client_class, **limits(client_class, max_connections=2)) as client:
            for url in (*urls, *urls):
                assert await post_all(client, url) == [200]
            assert len(client._transport._pool.connections) == 2

    with ReplayServer(Reply(body=b"ok")) as one, ReplayServer(Reply(body=b"ok")) as two, ReplayServer(Reply()) as three:
        asyncio.run(main([one.url, two.url, three.url]))


@CLIENTS
def test_connections_that_have_expired_are_closed(client_class):
    async def main(url):
        async with http.client(client_class, **limits(client_class, keepalive_expiry=0.0)) as client:
            for _ in range(3):
                assert await post_all(client, url) == [200]
                await asyncio.sleep(0.001)
            client._transport._pool._next_sweep = 0.0
            assert len(client._transport._pool.connections) <= 1

    with ReplayServer(Reply(body=b"ok")) as one:
        asyncio.run(main(one.url))
        assert one.connections == 3


@CLIENTS
def test_a_cancelled_call_leaves_the_pool_to_the_others(client_class):
    async def main(url):
        async with http.client(client_class, **limits(client_class, max_connections=1)) as client:
            slow = asyncio.create_task(client.post(f"{url}/slow", content=b"x"))
            await asyncio.to_thread(begun.wait, SECONDS)
            waiting = [asyncio.create_task(client.post(url, content=b"x")) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
            slow.cancel()
            outcomes = await asyncio.gather(slow, *waiting, return_exceptions=True)
            assert [getattr(outcome, "status_code", None) for outcome in outcomes] == [None, None, 200, 200]
            over.set()

    def answer(request):
        if request.path == "/slow":
            begun.set()
            over.wait(SECONDS)
        return Reply(body=b"ok")

    begun, over = threading.Event(), threading.Event()
    with ReplayServer(answer) as one:
        asyncio.run(main(one.url))


def test_only_pools_of_httpcore_1_are_replaced_and_once():
    client = http.client(openai.DefaultAsyncHttpxClient)
    pool_class = type(client._transport._pool)
    assert isinstance(client._transport._pool, _LinearPool)
    assert isinstance(client._transport._pool, httpcore.AsyncConnectionPool)
    tidy(client)
    assert type(client._transport._pool) is pool_class
    assert not isinstance(http.client(anthropic.DefaultAsyncHttpxClient)._transport._pool, _LinearPool)
