"""The ledger on Redis: a fleet's records in one stream, whatever becomes of Redis, nothing twice."""

import contextlib
import dataclasses
import multiprocessing
import pickle
import time
from typing import Any

import msgspec
import pytest

from multiroute_core import ConfigurationError, Ledger, Router
from multiroute_core.ledger import redis
from multiroute_core.ledger.aggregate import Spent
from multiroute_core.ledger.ledger import LedgerUnavailableError
from multiroute_core.ledger.query import LedgerQuery
from multiroute_core.ledger.record import Record
from multiroute_core.ledger.redis import RedisStore
from multiroute_core.testing import Answer, scripted_route
from tests.redis_servers import KINDS, Server, eventually, free_port, running

pytestmark = pytest.mark.redis

FORK = multiprocessing.get_context("fork")
ALL = LedgerQuery()
KEY = "multiroute:ledger"
ONE = Record(1.0, "r", "a", "p", "m", "success", 0.5, cost=0.25, input_tokens=10, output_tokens=5)
LASTING = ("--appendonly", "yes")


@pytest.fixture(scope="module", params=KINDS)
def running_server(request):
    with running(request.param) as found:
        yield found


@pytest.fixture
def server(running_server):
    with running_server.client() as client:
        client.flushall()
    return running_server


@pytest.fixture(params=KINDS)
def lasting(request):
    """A server of one's own, whose data outlive a kill."""
    with running(request.param, None, *LASTING) as found:
        yield found


def routed(ledger):
    return Router([scripted_route("a", Answer())], ledger=ledger)


def ask(router, numbers):
    for number in numbers:
        assert router.generate("Hi", tenant=str(number)).text == "ok"


def tenants(ledger):
    return sorted(int(record.tenant) for record in ledger.query())


class TestKept:
    def test_a_fleet_shares_one_ledger(self, server):
        first, second = routed(server.url), routed(server.url)
        ask(first, range(5))
        ask(second, range(5, 10))
        first.ledger.flush()
        assert tenants(second.ledger) == list(range(10))
        second.ledger.flush()
        assert first.ledger.spent(since=0) == second.ledger.spent(since=0)
        children = [FORK.Process(target=_ask_in_child, args=(first, start)) for start in (10, 20, 30)]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
        assert [child.exitcode for child in children] == [0] * 3
        assert tenants(first.ledger) == list(range(40))
        with server.client() as client:
            assert client.xlen(KEY) == 40
            assert {key.decode() for key in client.keys()} >= {KEY}
            assert all(client.ttl(key) > 0 for key in client.keys() if key != KEY.encode())
        for router in (first, second):
            router.ledger.close()

    def test_each_prefix_has_its_own(self, server):
        shop, other = (Ledger(RedisStore(server.url, prefix=prefix)) for prefix in ("shop", "o{th}er"))
        shop.store.append([ONE], 0)
        assert (shop.query(), other.query()) == ([ONE], [])
        assert shop.spent(since=0) == Spent(0.25, 15)
        again = pickle.loads(pickle.dumps(shop))
        assert again.query() == [ONE]
        for ledger in (shop, other, again):
            ledger.close()

    def test_over_a_socket(self, server):
        ledger = Ledger(server.unix_url)
        ledger.store.append([ONE], 0)
        assert ledger.query() == [ONE]
        assert repr(ledger) == f"Ledger('{server.unix_url}/0')"
        ledger.close()

    def test_the_oldest_make_room_and_are_counted(self, server):
        ledger = Ledger(RedisStore(server.url, max_records=500))
        for start in range(0, 3_000, 300):
            many = [dataclasses.replace(ONE, ended_at=float(number)) for number in range(start, start + 300)]
            ledger.store.append(many, start)
        kept = ledger.query()
        assert 500 <= len(kept) <= 900
        assert kept[-1].ended_at == 2_999.0
        assert ledger.dropped == 3_000 - len(kept)
        ledger.close()

    def test_what_comes_while_somebody_reads_is_not_read(self, server):
        store = RedisStore(server.url)
        store.append([ONE] * 3_000, 0)
        reading = store.read(ALL)
        next(reading)
        store.append([ONE] * 3_000, 3_000)
        assert len(list(reading)) == 2_999
        assert len(list(store.read(ALL))) == 6_000
        store.close()

    def test_only_what_may_be_in_the_window_is_read(self, server, monkeypatch):
        store, now = RedisStore(server.url), time.time()
        store.append([dataclasses.replace(ONE, ended_at=now - 90_000.0), dataclasses.replace(ONE, ended_at=now)], 0)
        assert len(list(store.read(LedgerQuery.of(now - 100_000.0, None, {})))) == 2
        assert len(list(store.read(LedgerQuery.of(now - 10.0, None, {})))) == 1, (
            "what came late is chosen by its own time"
        )
        assert list(store.read(LedgerQuery.of(now + 7_300.0, None, {}))) == []
        read = []
        xrange = store._client.xrange
        monkeypatch.setattr(store._client, "xrange", lambda *a, **k: read.extend(found := xrange(*a, **k)) or found)
        list(store.read(LedgerQuery.of(now + 7_300.0, None, {})))
        assert read == []
        store.close()

    def test_foreign_entries_and_those_of_newer_versions(self, server, caplog):
        store = RedisStore(server.url)
        with server.client() as client:
            client.xadd(KEY, {"record": b"\xc1 no msgpack"})
            client.xadd(KEY, {"something": b"else"})
            client.xadd(KEY, {"record": msgspec.msgpack.encode({"ended_at": "noon"})})
            newer = {**msgspec.to_builtins(ONE), "colour": "blue"}
            client.xadd(KEY, {"record": msgspec.msgpack.encode(newer)})
        assert list(store.read(ALL)) == [ONE]
        assert store.read_spending(ALL) == Spent(0.25, 15)
        assert [record.message.split(":")[0] for record in caplog.records] == ["The ledger 'redis"]
        store.close()


def _ask_in_child(router, start):
    ask(router, range(start, start + 10))


class TestNothingTwice:
    def test_what_is_sent_again_is_kept_once(self, server):
        store = RedisStore(server.url)
        many = [dataclasses.replace(ONE, ended_at=float(number)) for number in range(1_200)]
        store.append(many[:700], 0)
        store.append(many[:700], 0)
        store.append(many[300:1_200], 300)
        store.append(many[:100], 0)  # what was on its way for long comes after all
        store.append(many[600:], 600)
        assert list(store.read(ALL)) == many
        store.close()

    def test_a_reply_that_is_lost(self, server):
        """Redis has taken the records, and the ledger cannot know."""
        router = routed(server.url)
        store: Any = router.ledger.store
        script, asked = store._script, []

        def unheard(**arguments):
            script(**arguments)
            asked.append(arguments)
            if len(asked) <= 2:
                raise ConnectionError("cut off")
            return 0

        store._script = unheard
        ask(router, range(3))
        router.ledger.flush()
        ask(router, range(3, 6))
        router.ledger.flush()
        assert tenants(router.ledger) == list(range(6))
        with server.client() as client:
            assert client.xlen(KEY) == 6
        assert len(asked) >= 3
        router.ledger.close()

    def test_a_full_redis_takes_all_of_a_batch_or_nothing(self, server):
        router = routed(server.url)
        ask(router, range(3))
        router.ledger.flush()
        with server.client() as client:
            client.config_set("maxmemory", 1)
            try:
                ask(router, range(3, 6))
                router.ledger.flush()
                assert client.xlen(KEY) == 3
                assert tenants(router.ledger) == list(range(6)), "those that wait can be seen"
            finally:
                client.config_set("maxmemory", 0)
        router.ledger.flush()
        with server.client() as client:
            assert client.xlen(KEY) == 6
        assert tenants(router.ledger) == list(range(6))
        router.ledger.close()


class TestAway:
    def test_a_redis_that_comes_late_gets_everything(self, caplog):
        server = Server("valkey")
        router = routed(server.url)
        try:
            ask(router, range(100))
            router.ledger.flush()
            with pytest.raises(LedgerUnavailableError, match="cannot be read"):
                router.ledger.query()
            with pytest.raises(LedgerUnavailableError, match="cannot be read"):
                router.ledger.spent(since=0)
            server.start()
            eventually(lambda: len(Ledger(server.url).query()) == 100)  # the thread does it by itself
            assert router.ledger.dropped == 0
            assert sum("records are queued" in record.message for record in caplog.records) == 1
        finally:
            router.ledger.close()
            server.stop()

    def test_it_is_killed_paused_and_restarted_in_the_middle(self, lasting):
        router = routed(lasting.url)
        number = 0

        def some(seconds):
            nonlocal number
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                ask(router, range(number, number + 20))
                number += 20
                time.sleep(0.01)

        some(0.7)
        lasting.kill()
        some(0.7)
        lasting.start()
        some(1.2)
        lasting.pause()
        some(2.5)
        lasting.resume()
        some(0.5)
        with lasting.client() as client, contextlib.suppress(Exception):
            client.shutdown()
        lasting.process.wait()
        some(0.3)
        lasting.start()
        router.ledger.flush()
        assert tenants(router.ledger) == list(range(number)), "nothing is lost, nothing twice"
        with lasting.client() as client:
            assert client.xlen(KEY) == number
        assert router.ledger.dropped == 0
        router.ledger.close()

    def test_a_process_that_is_killed_loses_its_last_second_at_most(self, server):
        child = FORK.Process(target=_ask_for_ever, args=(server.url,))
        child.start()
        ledger = Ledger(server.url)
        eventually(lambda: len(ledger.query()) >= 10)
        child.kill()
        child.join(60)
        seen = tenants(ledger)
        assert seen == list(range(len(seen))), "no gap"
        ledger.close()

    def test_the_end_of_a_program_waits_for_no_redis(self):
        with running("valkey") as server:
            server.pause()
            began = time.monotonic()
            child = FORK.Process(target=_ask_in_child, args=(routed(server.url), 0))
            child.start()
            child.join(60)
            assert child.exitcode == 0
            assert time.monotonic() - began < 20.0
            server.resume()

    def test_what_waits_is_bounded_and_counted(self, monkeypatch, caplog):
        monkeypatch.setattr("multiroute_core.ledger.writer.WAITING", 300)
        server = Server("valkey")
        router = routed(server.url)
        try:
            ask(router, range(1_000))
            router.ledger.flush()
            assert router.ledger.dropped >= 700
            server.start()
            router.ledger.flush()
            assert tenants(router.ledger) == list(range(router.ledger.dropped, 1_000))
            assert sum("are dropped" in record.message for record in caplog.records) == 1
        finally:
            router.ledger.close()
            server.stop()


def _ask_for_ever(url):
    router = routed(url)
    for number in range(1_000_000):
        ask(router, [number])
        time.sleep(0.002)


PASSWORD = "sesame%2Fopen"


@pytest.fixture(scope="module")
def guarded():
    with running("valkey", "sesame/open") as found:
        found.url = f"redis://:{PASSWORD}@127.0.0.1:{found.port}"
        yield found


class TestSecrets:
    def test_a_password_is_in_no_repr_and_no_pickle(self, guarded):
        router = routed(guarded.url)
        ask(router, range(3))
        assert tenants(router.ledger) == [0, 1, 2]
        told = [repr(x) for x in (router, router.ledger, router.ledger.store, router._settings)]
        assert not any("sesame" in text for text in told), told
        for kept in (router, router.ledger, router.ledger.store):
            with pytest.raises(ConfigurationError, match="ledger contains a password") as caught:
                pickle.dumps(kept)
            assert "sesame" not in str(caught.value)
        router.ledger.close()

    def test_a_password_is_in_no_log_and_no_error(self, caplog):
        port = free_port()
        router = routed(f"redis://me:{PASSWORD}@127.0.0.1:{port}/3")
        ask(router, range(3))
        router.ledger.flush()
        with pytest.raises(LedgerUnavailableError) as caught:
            router.ledger.query()
        assert f"redis://127.0.0.1:{port}/3" in str(caught.value)
        assert "sesame" not in str(caught.value) + caplog.text
        router.ledger.close()

    def test_a_wrong_password_is_refused_at_once(self, guarded):
        for wrong in (f"redis://:hush@127.0.0.1:{guarded.port}", f"redis://127.0.0.1:{guarded.port}"):
            with pytest.raises(ConfigurationError, match="rejected the password") as caught:
                routed(wrong)
            assert "hush" not in str(caught.value)

    @pytest.mark.parametrize(
        "url",
        [
            "redis://:p/w@host",
            "redis://host:port",
            "redis://[::1",
            "redis://host/0?colour=blue",
            "redis:/host",
            "unix://",
        ],
    )
    def test_a_url_that_says_nothing_is_refused(self, url):
        with pytest.raises(ConfigurationError, match="is not valid|has no socket path") as caught:
            routed(url)
        assert "p/w" not in str(caught.value).replace("p%2Fw", "")
        assert caught.value.__cause__ is None


def test_a_key_that_is_something_else_is_left_as_it_is(server):
    with server.client() as client:
        client.set(KEY, "theirs")
        with pytest.raises(ConfigurationError, match="is not a ledger but a string"):
            routed(server.url)
        assert client.get(KEY) == b"theirs"


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "redis", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'multiroute-llm\[redis\]'"):
        Ledger("redis://127.0.0.1:1")


def test_a_batch_goes_in_pieces(server, monkeypatch):
    monkeypatch.setattr(redis, "BATCH", 7)
    store = RedisStore(server.url)
    many = [dataclasses.replace(ONE, ended_at=float(number)) for number in range(50)]
    store.append(many, 0)
    store.append(many[20:], 20)
    assert list(store.read(ALL)) == many
    store.close()
