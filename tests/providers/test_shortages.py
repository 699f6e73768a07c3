"""A machine that has no file descriptor left is not the provider's fault: no circuit breaker opens."""

import asyncio
import errno
import os
import subprocess
import sys

import httpx
import pytest

from multiroute_core import APIConnectionError, Route, Router
from multiroute_core.providers import http
from multiroute_core.providers.classify import classify
from multiroute_core.testing.server import Received, ReplayServer, Reply
from tests.providers.wires import WIRES

every_wire = pytest.mark.parametrize("wire", WIRES.values(), ids=list(WIRES))

CALLER = """
import asyncio, os, resource, sys
from multiroute_core import APIConnectionError, Route, Router

provider, base_url = sys.argv[1:]

def build():
    return Router([Route(f"{provider}:m", name="only", api_key="k", base_url=base_url)], max_retries=0)

async def ask(router, face):
    if face == "agenerate":
        return (await router.agenerate("Hello")).text
    if face == "astream":
        return "".join([chunk.text async for chunk in router.astream("Hello")])
    if face == "stream":
        return "".join(chunk.text for chunk in router.stream("Hello"))
    return router.generate("Hello").text

async def main():
    for face in ("generate", "stream", "agenerate", "astream"):
        async with build() as router:
            await ask(router, face)  # imports what a call needs
        await asyncio.sleep(0.1)  # its socket is closed by the loop
        async with build() as router:
            descriptors = []
            try:
                while True:
                    descriptors.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                pass
            try:
                await ask(router, face)
            except APIConnectionError as failure:
                error = failure
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)
            breaker = router.health()["only"].breaker
            print("many files and sockets open" in str(error), error.counts_against_breaker, breaker)
            print(await ask(router, face))
        await asyncio.sleep(0.1)

resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
asyncio.run(main())
"""


@every_wire
def test_a_process_without_a_free_descriptor_opens_no_circuit_breaker(wire):
    def answer(received: Received) -> Reply:
        if wire.streamed(received):
            return Reply(headers={"content-type": "text/event-stream"}, body=wire.stream, stream=True)
        return Reply(headers={"content-type": "application/json"}, body=wire.plain)

    with ReplayServer(answer) as server:
        base_url = f"{server.url}/v1" if wire.provider == "openai" else server.url
        command = [sys.executable, "-c", CALLER, wire.provider, base_url]
        completed = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    shortage = "True False closed"
    expected = [line for text in ("Hello", "Hello, world!") * 2 for line in (shortage, text)]
    assert completed.stdout.splitlines() == expected, completed.stderr


def test_a_client_whose_connections_are_in_use_opens_no_circuit_breaker():
    """A client of one's own may allow few connections, and wait for them with a timeout."""
    limits = httpx.Limits(max_connections=1)

    async def main(url: str) -> None:
        async with httpx.AsyncClient(limits=limits, timeout=httpx.Timeout(5.0, pool=0.05)) as http_client:
            first = await http_client.send(http_client.build_request("GET", url), stream=True)
            with pytest.raises(httpx.PoolTimeout) as caught:
                await http_client.get(url)
            await first.aclose()
        error = classify(caught.value)
        assert isinstance(error, APIConnectionError)
        assert not error.counts_against_breaker
        assert error.retryable
        assert "max_connections" in str(error)

    with ReplayServer(Reply(body=b"{}")) as server:
        asyncio.run(main(server.url))


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
@pytest.mark.parametrize("wrap", ["from", "while handling", "group"])
def test_a_shortage_is_seen_behind_the_error_of_any_library(number, wrap):
    shortage = OSError(number, os.strerror(number))
    try:
        if wrap == "group":
            raise ConnectionError("All connection attempts failed") from ExceptionGroup("multiple", [shortage])
        try:
            raise shortage
        except OSError as error:
            if wrap == "from":
                raise ConnectionError("Connection error.") from error
            raise ConnectionError("Connection error.")  # noqa: B904 - the context is what is under test
    except ConnectionError as error:
        found = classify(error)
    assert type(found) is APIConnectionError
    assert not found.counts_against_breaker
    assert found.code == "connection"


@pytest.mark.parametrize("number", [errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE, errno.EHOSTUNREACH])
def test_other_connection_errors_count(number):
    assert classify(OSError(number, os.strerror(number))).counts_against_breaker


@every_wire
def test_no_call_waits_for_a_connection_of_our_own_clients(wire, monkeypatch):
    """A call that waits would seem to wait for the provider, and its timeout would open the circuit breaker."""
    built = []
    build = http.client
    monkeypatch.setattr(http, "client", lambda *names, **settings: built.append(settings) or build(*names, **settings))
    with ReplayServer(Reply(headers={"content-type": "application/json"}, body=wire.plain)) as server:
        base_url = f"{server.url}/v1" if wire.provider == "openai" else server.url
        with Router([Route(f"{wire.provider}:m", api_key="k", base_url=base_url)]) as router:
            assert router.generate("Hello").text == "Hello"
    assert built
    assert all(settings["limits"].max_connections is None for settings in built)
