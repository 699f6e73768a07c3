"""The address of a Redis: what may stand in a URL, what is refused at once, and that no secret shows."""

import asyncio
import logging
import os
import pickle
import ssl
import subprocess
import sys
import threading

import pytest

from multiroute_core.cache.redis import RedisCache
from multiroute_core.errors import ConfigurationError
from multiroute_core.ledger.redis import RedisStore
from multiroute_core.state.link import Down, Link
from multiroute_core.state.scripts import Script
from tests.redis_servers import Server, ask, eventually, free_port, is_down, running

pytestmark = pytest.mark.redis

PATIENT = 10.0  # no machine is so busy
ADD = Script.of("return redis.call('INCRBY', KEYS[1], ARGV[1])")


def test_database_and_socket_and_prefix(server):
    links = [Link(url, timeout=PATIENT) for url in (f"{server.url}/3", f"{server.unix_url}?db=3", server.url)]
    ask(links[0], "SET", "where", "three")
    assert [ask(link, "GET", "where") for link in links] == [b"three", b"three", None]
    assert repr(links[0]) == f"Link('redis://127.0.0.1:{server.port}/3')"
    assert repr(links[1]) == f"Link('unix://{server.folder}/redis.sock?db=3')"
    assert Link(server.url, prefix="a shop {1}").prefix == "a%20shop%20%7B1%7D", "a brace is no hash tag"
    for link in links:
        link.close()
        with pytest.raises(Down, match="closed"):
            ask(link, "PING")


def test_prefix_and_timeout_in_the_url(server):
    with_settings = f"{server.unix_url}?db=3&timeout=7.5&prefix=shop"
    link = Link(with_settings, timeout=PATIENT)
    assert (link.timeout, link.prefix) == (7.5, "shop")
    ask(link, "SET", "where", "three")
    assert ask(Link(f"{server.url}/3?timeout=9"), "GET", "where") == b"three"
    assert pickle.loads(pickle.dumps(RedisCache(with_settings))).link.timeout == 7.5
    assert RedisStore(f"{server.url}/3?timeout=9&prefix=shop").prefix == "shop"


SECRET = "s3cr/t"


BAD = (
    "",
    "localhost:6379",
    "http://:s3cr/t@h",
    "redis:/h",
    "redis://",
    "redis://:s3cr/t@h:6379",
    "redis://user:s3cr/t@h",
    "redis://h:port",
    "redis://h/first",
    "redis://h?db=first",
    "redis://h?timeout=soon",
    "redis://h?timeout=0",
    "redis://h?prefix=",
    "redis://h?pasword=s3cr/t",
    "redis://h?socket_timeout=5",
    "redis://h?decode_responses=1",
    "redis://h?ssl_ca_certs=x",
    "rediss://:s3cr%2Ft@h?ssl_cert_reqs=maybe",
    "rediss://h?ssl_nonsense=1",
    "unix://",
    "unix:///",
)


@pytest.mark.parametrize("url", BAD)
def test_a_bad_url_is_told_at_once_and_without_its_secrets(url):
    with pytest.raises(ConfigurationError) as told:
        Link(url)
    assert SECRET not in str(told.value)
    assert "s3cr" not in str(told.value)


@pytest.mark.parametrize("setting", [{"timeout": 0}, {"timeout": "a"}, {"prefix": ""}, {"prefix": " a"}])
def test_a_bad_setting_is_told_at_once(setting):
    with pytest.raises(ConfigurationError, match=next(iter(setting))):
        Link("redis://127.0.0.1:1", **setting)


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("redis://user:s3cr%2Ft@example.invalid", "redis://example.invalid:6379/0"),
        ("rediss://:s3cr%2Ft@[::1]:6390/2?ssl_cert_reqs=none", "rediss://[::1]:6390/2"),
        ("redis://h.invalid:1?db=4&password=s3cr%2Ft", "redis://h.invalid:1/4"),
        ("unix://user:s3cr%2Ft@/no/such.sock?db=1", "unix:///no/such.sock?db=1"),
    ],
)
def test_urls_are_shown_without_secrets(url, where, caplog):
    link = Link(url, timeout=0.2)
    eventually(lambda: is_down(link))
    assert repr(link) == f"Link({where!r})"
    assert where in caplog.text
    assert "s3cr" not in caplog.text
    assert all("s3cr" not in repr(thing) for thing in (link, link._multiplexer(), vars(link)))
    link.close()


def test_a_wrong_password_is_told_at_once():
    with running("valkey", "s3cr/t %") as server:
        for address in ("redis://{}127.0.0.1:" + str(server.port), f"unix://{{}}{server.folder}/redis.sock"):
            right = Link(address.format(":s3cr%2Ft%20%25@"), timeout=PATIENT)
            assert ask(right, "PING") == b"PONG"
            right.close()
            for wrong in ("", ":gu3ss@", "somebody:gu3ss@"):
                with pytest.raises(ConfigurationError, match="rejected the password") as told:
                    Link(address.format(wrong))
                assert "gu3ss" not in str(told.value)


def test_a_database_that_is_not_there_is_told_at_once(server):
    with pytest.raises(ConfigurationError, match="out of range"):
        Link(f"{server.url}/99")


def test_a_password_that_changes_under_a_running_program_fails_nothing_and_is_told(caplog):
    with running("redis", "before") as server:
        link = Link(server.url, timeout=PATIENT)
        assert ask(link, "PING") == b"PONG"
        with server.client() as client:
            client.config_set("requirepass", "after")
            for found in client.client_list():
                if found["name"] == "multiroute":
                    client.client_kill_filter(_id=found["id"])
        eventually(lambda: is_down(link))
        eventually(lambda: any(record.levelno == logging.ERROR for record in caplog.records))
        link.close()
    assert "before" not in caplog.text


class Front:
    """Speaks TLS to clients, and plainly to a server."""

    def __init__(self, server: Server, certificate, key) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server, self.loop, self.port = server, asyncio.new_event_loop(), free_port()
        self.context = context
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.ready = threading.Event()

    def __enter__(self):
        self.thread.start()
        self.ready.wait(20)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(20)

    def _serve(self):
        asyncio.set_event_loop(self.loop)
        begin = asyncio.start_server(self._client, "127.0.0.1", self.port, ssl=self.context)
        listening = self.loop.run_until_complete(begin)
        self.ready.set()
        self.loop.run_forever()
        listening.close()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0.1))
        self.loop.close()

    async def _client(self, reader, writer):
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.server.port)

        async def carry(source, target):
            try:
                while data := await source.read(65536):
                    target.write(data)
                    await target.drain()
            except (OSError, asyncio.CancelledError):
                pass
            finally:
                target.close()

        await asyncio.gather(carry(reader, inner_writer), carry(inner_reader, writer))


def test_over_tls(server, tmp_path, caplog):
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=here".split()
    make += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run(make, check=True, capture_output=True)
    with Front(server, certificate, key) as front:
        link = Link(f"rediss://127.0.0.1:{front.port}/1?ssl_ca_certs={certificate}", timeout=PATIENT)
        assert ask(link, ADD, ("tls",), 1) >= 1
        link.close()
        stranger = Link(f"rediss://127.0.0.1:{front.port}/1", timeout=PATIENT)
        eventually(lambda: is_down(stranger))
        assert "certificate verify failed" in caplog.text
        stranger.close()


def test_the_package_is_asked_for_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigurationError, match=r"multiroute-llm\[redis\]"):
        Link("redis://127.0.0.1")


def test_nothing_of_redis_is_loaded_before_it_is_needed():
    code = "import sys, multiroute_core.state.redis, multiroute_core.cache.redis; print('redis' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=os.getcwd())
    assert found.stdout.strip() == "False"
