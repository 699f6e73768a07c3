"""The way to Redis: both worlds, threads, forks, what it does while Redis is away, and the end of things."""

import asyncio
import gc
import multiprocessing
import subprocess
import sys
import threading
import time

import pytest

from multiroute_core.runtime.async_io import AsyncIO
from multiroute_core.state.address import Address
from multiroute_core.state.link import Down, Link, Refused
from multiroute_core.state.scripts import Script
from tests.redis_servers import Server, ask, eventually, free_port, is_down, running

pytestmark = pytest.mark.redis

PATIENT = 10.0  # no machine is so busy
ADD = Script.of("return redis.call('INCRBY', KEYS[1], ARGV[1])")


@pytest.fixture
def link(redis_server):
    with redis_server.client() as client:
        client.flushall()
    found = Link(redis_server.url, timeout=PATIENT)
    yield found
    found.close()


def test_a_command_and_its_reply(link):
    assert ask(link, "SET", "a", b"\x00\xff") == b"OK"
    assert ask(link, "GET", "a") == b"\x00\xff"
    assert ask(link, "GET", "nothing") is None
    assert ask(link, ADD, ("sum",), 3) == 3
    assert ask(link, ADD, ("sum",), 4) == 7


async def test_a_command_and_its_reply_on_a_loop(link):
    io = AsyncIO()
    assert await link.call(io, "SET", "b", "é") == b"OK"
    assert await asyncio.gather(*(link.call(io, ADD, ("many",), 1) for _ in range(300))) == list(range(1, 301))
    assert ask(link, "GET", "b") == "é".encode(), "a sync call inside a running loop blocks, and works"


def test_several_loops_one_after_the_other_and_at_once(link):
    async def some():
        return [await link.call(AsyncIO(), ADD, ("loops",), 1) for _ in range(20)]

    for _ in range(3):
        asyncio.run(some())
    threads = [threading.Thread(target=asyncio.run, args=(some(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ask(link, "GET", "loops") == b"140"


def test_many_threads_share_one_connection(link, redis_server):
    threads = [threading.Thread(target=lambda: [ask(link, ADD, ("threads",), 1) for _ in range(50)]) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ask(link, "GET", "threads") == b"800"
    with redis_server.client() as client:
        assert sum(found["name"] == "multiroute" for found in client.client_list()) == 1


def test_what_is_sent_arrives_before_what_is_asked(link):
    heard = []
    for number in range(500):
        link.send((ADD, ("sent",), 1), lambda reply, error: heard.append((reply, error)))
        if number % 100 == 0:
            assert ask(link, "GET", "sent") == str(number + 1).encode()
    assert ask(link, "GET", "sent") == b"500"
    assert heard == [(number, None) for number in range(1, 501)]


def test_what_nobody_waits_for_arrives_by_itself(link, redis_server):
    link.send((ADD, ("alone",), 1))
    with redis_server.client() as client:
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


def test_scripts_are_loaded_again_when_they_are_gone(link, redis_server):
    for expected in (1, 2):
        assert ask(link, ADD, ("scripted",), 1) == expected
        with redis_server.client() as client:
            client.script_flush()
    link.send((ADD, ("scripted",), 1))
    assert ask(link, ADD, ("scripted",), 1) == 4


def test_a_server_that_is_not_there_stops_nobody_and_is_told_once(caplog):
    link = Link(f"redis://127.0.0.1:{free_port()}")
    eventually(lambda: is_down(link))
    attempts = link._multiplexer().attempts
    began = time.monotonic()
    for _ in range(1000):
        assert is_down(link)
    assert time.monotonic() - began < 15.0, "a thousand calls that each waited would take 20 s"
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
        assert [record.message.split()[-1] for record in caplog.records] == ["address.", "s."]
    finally:
        link.close()
        server.stop()


def test_an_address_that_takes_long_to_be_found_is_waited_for_once(redis_server, monkeypatch, caplog):
    """As where a name server is silent."""
    found, connect, asked = threading.Event(), Address.connect, []

    def slow(address):
        asked.append(address)
        if len(asked) == 1:
            raise OSError("not yet")
        found.wait(20.0)
        return connect(address)

    monkeypatch.setattr(Address, "connect", slow)
    link = Link(redis_server.url, timeout=0.25)
    began = time.monotonic()
    for _ in range(100):
        assert is_down(link)
    assert time.monotonic() - began < 20.0, "a hundred that each waited would take 25 s"
    found.set()
    eventually(lambda: not is_down(link))
    assert [record.message.split()[-1] for record in caplog.records] == ["address.", "s."]
    link.close()


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


def test_one_that_only_reads_or_is_full_is_away_until_it_is_well_again(redis_server):
    link = Link(redis_server.url, timeout=PATIENT)
    with redis_server.client() as client:
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


async def test_who_is_called_off_waits_no_longer(link, redis_server):
    redis_server.pause()
    try:
        task = asyncio.create_task(link.call(AsyncIO(), "PING"))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    finally:
        redis_server.resume()


def test_a_link_that_is_dropped_takes_its_thread_and_its_connection_along(redis_server):
    def named():
        return [thread for thread in threading.enumerate() if thread.name == "multiroute-redis"]

    before = len(named())
    link = Link(redis_server.url, timeout=PATIENT)
    ask(link, "PING")
    link.send(("SET", "parting", "1"))
    assert len(named()) == before + 1
    del link
    gc.collect()
    eventually(lambda: len(named()) == before)
    with redis_server.client() as client:
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


def test_what_was_sent_still_arrives_when_the_program_ends(redis_server):
    code = (
        f"from multiroute_core.state.link import Link; Link({redis_server.url!r}, timeout=9.0).send(('SET', 'end', 1))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    with redis_server.client() as client:
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
