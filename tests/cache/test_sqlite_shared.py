"""The cache in a file, used by many at once: processes, threads, tasks and forks, some of which are killed or take long."""

import asyncio
import contextlib
import gc
import logging
import signal
import sqlite3
import subprocess
import threading
import time

import pytest

from multiroute_core.cache.sqlite import SQLiteCache
from multiroute_core.runtime import sqlite_forks
from multiroute_core.runtime.async_io import AsyncIO
from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO
from tests.cache.sqlite_files import IO, child, get, put, said, sound, value, whole

pytestmark = pytest.mark.slow


@pytest.fixture(params=[SyncIO, AsyncIO])
def io(request):
    return request.param()


# Many at once


HAMMER = """
    who, cache = sys.argv[2], SQLiteCache(path)
    broken = lapses = 0
    print("ready", flush=True)
    sys.stdin.read(1)
    for n in range(300):
        mine, ours = f"{who}-{n}", f"ours-{n % 20}"
        run(cache.put(io, mine, value(mine, 50 + 37 * n), 1000))
        run(cache.put(io, ours, value(ours, 50 + 11 * n), 1000))
        for key in (mine, ours, f"{(int(who) + 1) % 4}-{n}"):
            found = run(cache.get(io, key))
            broken += found is not None and not whole(key, found)
        if (token := run(cache.claim(io, "one at a time", 100))) is not None:
            try:
                os.close(os.open(path + ".taken", os.O_CREAT | os.O_EXCL))
                os.unlink(path + ".taken")
            except OSError:
                lapses += 1
            run(cache.release(io, "one at a time", token))
    cache.close()
    print("broken", broken, "lapses", lapses)
"""


def test_four_processes_hammer_one_file(path):
    processes = [child(HAMMER, path, who, stdin=subprocess.PIPE) for who in range(4)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("x")
        process.stdin.flush()
    told = [said(process) for process in processes]
    assert all("broken 0" in words for words in told), told
    if not any(
        "A single-flight claim was not recorded" in words for words in told
    ):  # a busy file gives claims all the same
        assert all("lapses 0" in words for words in told), told
    found = sound(path)
    assert all(whole(key, content) for key, content in found.items())
    assert len(found) > 600, told


def test_a_new_file_waits_for_a_reader_before_its_first_commit(path):
    path.touch()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()  # takes SHARED, which stops a commit alone
        timer = threading.Timer(0.4, reader.execute, ["ROLLBACK"])
        timer.start()
        cache = SQLiteCache(path)
        timer.join()
    put(cache, "a", b"1")
    assert get(cache, "a") == b"1"
    cache.close()
    sound(path)


def test_a_new_cache_waits_for_another_process_that_holds_the_whole_file(path):
    SQLiteCache(path).close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as holder:
        holder.execute("PRAGMA journal_mode = DELETE")  # as before the first process has switched it
        holder.execute("BEGIN EXCLUSIVE")
        timer = threading.Timer(0.4, holder.execute, ["ROLLBACK"])
        timer.start()
        cache = SQLiteCache(path)
        timer.join()
    put(cache, "a", b"1")
    assert get(cache, "a") == b"1"
    cache.close()
    sound(path)


def test_many_processes_make_one_file(tmp_path):
    code = "cache = SQLiteCache(path); run(cache.put(io, sys.argv[2], b'1', 1000)); cache.close()"
    for turn in range(6):
        file = tmp_path / f"{turn}.db"
        told = {str(who): said(process) for who, process in [(who, child(code, file, who)) for who in range(6)]}
        wrote = {who for who, words in told.items() if "An answer was not cached: database is locked" not in words}
        assert wrote
        assert wrote == set(sound(file)), told  # a machine that is busy may keep one from its turn


def test_a_writer_that_is_killed_leaves_whole_entries(path):
    writer = """
        cache = SQLiteCache(path, max_bytes=400_000)
        print("ready", flush=True)
        n = 0
        while True:
            key = f"{sys.argv[2]}-{n}"
            run(cache.put(io, key, value(key, 100 + n * 97 % 20_000), 1000))
            n += 1
    """
    for turn in range(5):
        process = child(writer, path, turn)
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.05 + 0.07 * turn)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        process.stdout.close()
        cache = SQLiteCache(path, max_bytes=400_000)
        put(cache, f"after {turn}", value(f"after {turn}", 50))
        assert get(cache, f"after {turn}") == value(f"after {turn}", 50)
        assert cache.bytes <= 400_000
        cache.close()
        found = sound(path)
        assert all(whole(key, content) for key, content in found.items())
    assert len(found) > 5


def test_one_that_is_killed_while_the_file_is_made_leaves_one_that_can_be_used(tmp_path):
    for turn in range(6):
        path = tmp_path / f"{turn}.db"
        process = child("print('go', flush=True)\nfor n in range(500): SQLiteCache(f'{path}.{n}')", path)
        process.stdout.readline()
        time.sleep(0.01 * turn)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        process.stdout.close()
    made = {file.with_suffix(f".{file.suffix.split('-')[0][1:]}") for file in tmp_path.iterdir()}
    assert made
    for file in made:
        cache = SQLiteCache(file)
        put(cache, "a", b"1")
        assert get(cache, "a") == b"1"
        cache.close()


def test_the_claim_of_a_killed_process_lapses(path):
    holder = child("print(run(SQLiteCache(path).claim(io, 'a', 1.5)), flush=True); time.sleep(60)", path)
    assert holder.stdout.readline().strip() != "None"
    holder.kill()
    holder.wait(10)
    holder.stdout.close()
    cache, tries = SQLiteCache(path), 0
    until = time.monotonic() + 20
    while run(cache.claim(IO, "a", 1.5)) is None and time.monotonic() < until:
        tries += 1
        time.sleep(0.02)
    assert tries > 0
    assert time.monotonic() < until
    cache.close()


def test_many_threads(path):
    cache, errors = SQLiteCache(path), []

    def work(who):
        try:
            for n in range(100):
                key = f"{who}-{n}"
                put(cache, key, value(key, 500))
                assert get(cache, key) in (None, value(key, 500))
                other = get(cache, f"{(who + 1) % 8}-{n}")
                assert other is None or whole(f"{(who + 1) % 8}-{n}", other)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    cache.close()
    found = sound(path)
    assert len(found) > 400
    assert all(whole(key, content) for key, content in found.items())


async def test_many_tasks(path, caplog):
    cache, io = SQLiteCache(path), AsyncIO()

    async def work(n):
        await cache.put(io, f"k{n}", value(f"k{n}", 500), 1000)
        return await cache.get(io, f"k{n}")

    found = await asyncio.gather(*(work(n) for n in range(100)))
    lost = [n for n, content in enumerate(found) if content != value(f"k{n}", 500)]
    assert not lost or "An answer was not cached" in caplog.text  # a machine that is busy may keep one from its turn
    assert all(found[n] is None for n in lost)
    assert len(lost) < 50
    await cache.aclose()


def test_a_fork_has_connections_of_its_own(path):
    code = """
        import threading
        cache = SQLiteCache(path)
        run(cache.put(io, "a", b"parent", 1000))
        stop = threading.Event()

        def busy():
            while not stop.is_set():
                run(cache.get(io, "a")), run(cache.put(io, "busy", b"1" * 5000, 1000))

        def holds(key, value, *, write=False):
            # On a busy machine the cache passes over a file that others hold for too long.
            for _ in range(300):
                if write:
                    run(cache.put(io, key, value, 1000))
                stored = run(cache.get(io, key))
                assert stored in (None, value)
                if stored == value:
                    return True
                time.sleep(0.02)
            return False

        threads = [threading.Thread(target=busy, daemon=True) for _ in range(3)]
        [thread.start() for thread in threads]
        for n in range(10):
            if (pid := os.fork()) == 0:
                right = holds("a", b"parent") and holds(f"child {n}", b"child", write=True)
                cache.close()
                os._exit(0 if right else 1)
            assert os.waitpid(pid, 0)[1] == 0, n
            assert holds(f"child {n}", b"child"), n
        stop.set()
        [thread.join() for thread in threads]
        cache.close()
    """
    said(child(code, path))
    assert set(sound(path)) == {"a", "busy", *(f"child {n}" for n in range(10))}


def test_a_fork_that_python_is_not_told_of_uses_nothing_of_its_parents(path):
    code = """
        import ctypes
        cache = SQLiteCache(path)
        run(cache.put(io, "a", b"parent", 1000))
        sys.stdout.flush()
        if (pid := ctypes.PyDLL(None).fork()) == 0:
            right = run(cache.get(io, "a")) is None
            run(cache.put(io, "b", b"child", 1000))
            cache.close()
            sys.stdout.flush()
            os._exit(0 if right else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert run(cache.get(io, "a")) == b"parent"
        assert run(cache.get(io, "b")) is None
        cache.close()
    """
    assert "build the router after the fork" in said(child(code, path))
    assert set(sound(path)) == {"a"}


# Others hold it


@contextlib.contextmanager
def held(path):
    """Somebody else is in the middle of a long transaction."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")


async def test_a_busy_file_blocks_nobody_for_long(cache, path, io, caplog):
    await cache.put(io, "a", b"1", 100.0)
    with held(path):
        began = time.monotonic()
        await cache.put(io, "b", b"2", 100.0)
        for _ in range(20):
            await cache.put(io, "c", b"3", 100.0)
            token = await cache.claim(io, "d", 100.0)
            assert token, "to work a thing out twice beats not to answer"
            await cache.release(io, "d", token)
        assert await cache.get(io, "a") == b"1"
        assert time.monotonic() - began < 30.0
    assert await cache.get(io, "b") is None
    messages = [record.getMessage() for record in caplog.records]
    assert any(m.startswith("An answer was not cached: database is locked") and str(path) in m for m in messages)
    assert len(messages) <= 4, "the same trouble is told once"
    await cache.put(io, "b", b"2", 100.0)
    assert await cache.get(io, "b") == b"2"
    assert await cache.claim(io, "d", 100.0) is not None


async def test_the_loop_turns_while_a_write_waits(cache, path):
    io, turns = AsyncIO(), 0
    await cache.put(io, "a", b"1", 100.0)

    async def turn():
        nonlocal turns
        while True:
            await asyncio.sleep(0.001)
            turns += 1

    turning = asyncio.create_task(turn())
    with held(path):
        await cache.put(io, "b", b"2", 100.0)
    turning.cancel()
    assert turns >= 2  # a loop that waits itself turns once at most; a busy machine turns it seldom


def test_a_claim_is_given_back_where_its_thread_is_inside_the_lock(cache):
    """As a finalizer may, which the collector runs wherever it likes."""
    token = run(cache.claim(IO, "a", 100.0))
    with cache._writer.lock, cache._reader.lock, sqlite_forks.opening:
        run(cache.release(IO, "a", token))
    assert run(cache.claim(IO, "b", 100.0))
    assert run(cache.claim(IO, "a", 100.0))


def test_a_claim_that_ends_in_a_finalizer(cache):
    async def leading():
        token = await cache.claim(IO, "a", 100.0)
        try:
            yield
        finally:
            await cache.release(IO, "a", token)

    flow = leading()
    run(anext(flow))
    assert run(cache.claim(IO, "a", 100.0)) is None
    run(flow.aclose())
    del flow
    gc.collect()
    assert run(cache.claim(IO, "a", 100.0)) is not None


def test_trouble_is_told_once_and_again_when_it_lasts(cache, path, caplog):
    put(cache, "a", b"1")
    with held(path):
        for _ in range(5):
            put(cache, "b", b"2")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    cache._failures._last_logged = {line: when - 61 for line, when in cache._failures._last_logged.items()}
    with held(path):
        put(cache, "b", b"2")
    assert len(caplog.records) == 2
