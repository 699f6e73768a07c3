"""The way to Redis: addresses, settings that are refused, both worlds, threads, forks, and the end of things."""

import asyncio
import gc
import logging
import multiprocessing
import os
import ssl
import subprocess
import sys
import threading
import time

import pytest

from multiroute_core.drive.blocking import BlockingIO
from multiroute_core.drive.loopless import run
from multiroute_core.drive.native import NativeIO
from multiroute_core.errors import ConfigurationError
from multiroute_core.state.link import Down, Link, Refused
from multiroute_core.state.scripts import Script
from tests.redis_servers import KINDS, Server, free_port, running

PATIENT = 10.0  # no machine is so busy
ADD = Script.of("return redis.call('INCRBY', KEYS[1], ARGV[1])")


@pytest.fixture(scope="module", params=KINDS)
def server(request):
    with running(request.param) as found:
        yield found


@pytest.fixture
def link(server):
    with server.client() as client:
        client.flushall()
    found = Link(server.url, timeout=PATIENT)
    yield found
    found.close()


def ask(link, *command):
    return run(link.call(BlockingIO(), *command))


def eventually(holds, seconds=20.0):
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.01)


def is_down(link):
    try:
        ask(link, "PING")
    except Down:
        return True
    return False


def test_a_command_and_its_reply(link):
    assert ask(link, "SET", "a", b"\x00\xff") == b"OK"
    assert ask(link, "GET", "a") == b"\x00\xff"
    assert ask(link, "GET", "nothing") is None
    assert ask(link, ADD, ("sum",), 3) == 3
    assert ask(link, ADD, ("sum",), 4) == 7


async def test_a_command_and_its_reply_on_a_loop(link):
    io = NativeIO()
    assert await link.call(io, "SET", "b", "é") == b"OK"
    assert await asyncio.gather(*(link.call(io, ADD, ("many",), 1) for _ in range(300))) == list(range(1, 301))
    assert ask(link, "GET", "b") == "é".encode(), "a sync call inside a running loop blocks, and works"


def test_several_loops_one_after_the_other_and_at_once(link):
    async def some():
        return [await link.call(NativeIO(), ADD, ("loops",), 1) for _ in range(20)]

    for _ in range(3):
        asyncio.run(some())
    threads = [threading.Thread(target=asyncio.run, args=(some(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ask(link, "GET", "loops") == b"140"


def test_many_threads_share_one_connection(link, server):
    threads = [threading.Thread(target=lambda: [ask(link, ADD, ("threads",), 1) for _ in range(50)]) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ask(link, "GET", "threads") == b"800"
    with server.client() as client:
        assert sum(found["name"] == "multiroute" for found in client.client_list()) == 1


def test_what_is_sent_arrives_before_what_is_asked(link):
    heard = []
    for number in range(500):
        link.send((ADD, ("sent",), 1), lambda reply, error: heard.append((reply, error)))
        if number % 100 == 0:
            assert ask(link, "GET", "sent") == str(number + 1).encode()
    assert ask(link, "GET", "sent") == b"500"
    assert heard == [(number, None) for number in range(1, 501)]


def test_what_nobody_waits_for_arrives_by_itself(link, server):
    link.send((ADD, ("alone",), 1))
    with server.client() as client:
        eventually(lambda: client.get("alone") == b"1")


def test_a_wrong_command_is_refused_and_harms_no_other(link):
    ask(link, "SET", "text", "x")
    with pytest.raises(Refused, match="not an integer"):
        ask(link, "INCR", "text")
    with pytest.raises(Refused, match="WRONGTYPE"):
        ask(link, "LPUSH", "text", "1")
    link.send(lambda again: ("INCR", "text"))
    assert ask(link, "GET", "text") == b"x"
    assert link.up


def test_a_command_that_cannot_be_written_is_refused_and_harms_no_other(link):
    with pytest.raises(Refused):
        ask(link, "SET", "a", object())

    def broken(again):
        raise LookupError("no such thing")

    heard = []
    link.send(broken, lambda reply, error: heard.append(error))
    assert ask(link, "PING") == b"PONG"
    assert isinstance(heard[0], Refused)
    assert link.up


def test_scripts_are_loaded_again_when_they_are_gone(link, server):
    for expected in (1, 2):
        assert ask(link, ADD, ("scripted",), 1) == expected
        with server.client() as client:
            client.script_flush()
    link.send((ADD, ("scripted",), 1))
    assert ask(link, ADD, ("scripted",), 1) == 4


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
                with pytest.raises(ConfigurationError, match="refuses the password") as told:
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


def test_a_server_that_is_not_there_stops_nobody_and_is_told_once(caplog):
    link = Link(f"redis://127.0.0.1:{free_port()}")
    eventually(lambda: is_down(link))
    attempts = link._multiplexer().attempts
    began = time.monotonic()
    for _ in range(1000):
        assert is_down(link)
    assert time.monotonic() - began < 5.0, "a thousand calls that each waited would take 20 s"
    time.sleep(1.0)
    most = 2 + (time.monotonic() - began) / 0.25
    assert link._multiplexer().attempts - attempts <= most, (
        "calls do not knock; the probes do, each later than the last"
    )
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    link.close()


def test_a_server_that_comes_late_is_found(caplog):
    server = Server("valkey")
    link = Link(server.url, timeout=PATIENT)
    try:
        eventually(lambda: is_down(link))
        link.send((ADD, ("late",), 1), keep=True)
        link.send((ADD, ("late",), 10))
        server.start()
        eventually(lambda: not is_down(link))
        assert ask(link, "GET", "late") == b"1", "what was to be kept came, and nothing else"
        assert [record.message.split()[-1] for record in caplog.records] == ["rules.", "s."]
    finally:
        link.close()
        server.stop()


def test_what_is_kept_for_later_is_bounded_and_in_order(monkeypatch):
    monkeypatch.setattr("multiroute_core.state.multiplexer.KEPT", 200)
    server = Server("valkey")
    link = Link(server.url, timeout=PATIENT)
    try:
        eventually(lambda: is_down(link))
        for number in range(500):
            link.send(("RPUSH", "list", number), keep=True)
        server.start()
        eventually(lambda: not is_down(link))
        eventually(lambda: ask(link, "LLEN", "list") == 200)
        assert ask(link, "LRANGE", "list", 0, -1) == [str(n).encode() for n in range(300, 500)]
    finally:
        link.close()
        server.stop()


def test_one_that_only_reads_or_is_full_is_away_until_it_is_well_again(server):
    link = Link(server.url, timeout=PATIENT)
    with server.client() as client:
        for sick, well in (
            (lambda: client.replicaof("127.0.0.1", "1"), lambda: client.replicaof("NO", "ONE")),
            (lambda: client.config_set("maxmemory", 1), lambda: client.config_set("maxmemory", 0)),
        ):
            eventually(lambda: not is_down(link))
            sick()
            with pytest.raises(Down):
                ask(link, ADD, ("sick",), 1)
            time.sleep(0.6)
            assert is_down(link), "it says PONG, but can keep nothing"
            well()
            eventually(lambda: not is_down(link))
            ask(link, ADD, ("sick",), 1)
    assert ask(link, "GET", "sick") == b"2"
    link.close()


async def test_who_is_called_off_waits_no_longer(link, server):
    server.pause()
    try:
        task = asyncio.create_task(link.call(NativeIO(), "PING"))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    finally:
        server.resume()


def test_a_link_that_is_dropped_takes_its_thread_and_its_connection_along(server):
    def named():
        return [thread for thread in threading.enumerate() if thread.name == "multiroute-redis"]

    before = len(named())
    link = Link(server.url, timeout=PATIENT)
    ask(link, "PING")
    link.send(("SET", "parting", "1"))
    assert len(named()) == before + 1
    del link
    gc.collect()
    eventually(lambda: len(named()) == before)
    with server.client() as client:
        assert client.get("parting") == b"1"
        eventually(lambda: not any(found["name"] == "multiroute" for found in client.client_list()))


def _in_child(link, results):
    results.put([ask(link, ADD, ("forked",), 1) for _ in range(10)])
    link.close()


def test_a_forked_child_has_a_connection_of_its_own(link):
    assert ask(link, ADD, ("forked",), 1) == 1
    fork = multiprocessing.get_context("fork")
    results = fork.SimpleQueue()
    children = [fork.Process(target=_in_child, args=(link, results)) for _ in range(3)]
    for child in children:
        child.start()
    seen = [number for _ in children for number in results.get()]
    seen += [ask(link, ADD, ("forked",), 1) for _ in range(10)]
    for child in children:
        child.join(20)
        assert child.exitcode == 0
    assert len(set(seen)) == 40, "nobody reads another one's replies"
    assert ask(link, "GET", "forked") == b"41"


def test_what_was_sent_still_arrives_when_the_program_ends(server):
    code = f"from multiroute_core.state.link import Link; Link({server.url!r}, timeout=9.0).send(('SET', 'end', 1))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    with server.client() as client:
        assert client.get("end") == b"1"


def test_the_end_of_a_program_waits_for_no_redis():
    with running("valkey") as server:
        code = (
            "import os, signal, time; from multiroute_core.state.link import Link\n"
            f"link = Link({server.url!r}, timeout=60.0); time.sleep(0.5)\n"
            f"os.kill({server.process.pid}, signal.SIGSTOP); link.send(('SET', 'end', 1)); print(time.time())"
        )
        ended = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
        assert time.time() - float(ended.stdout) < 10.0


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
