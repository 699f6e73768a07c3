"""The cache in a file that is not what it should be, or on a disk that cannot be written."""

import contextlib
import hashlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
from pathlib import Path

import pytest

from multiroute_core.cache.sqlite import SQLiteCache, path_of
from multiroute_core.errors import ConfigurationError
from tests.cache.sqlite_files import child, files, get, put, said, sound, value, whole

# Files that are not what they should be

NOISE = hashlib.shake_256(b"noise").digest(20_000)


def refused(path, words):
    before = files(path.parent)
    with pytest.raises(ConfigurationError, match=words):
        SQLiteCache(path)
    assert files(path.parent) == before, "it is left as it is, and nothing is left beside it"


@pytest.mark.parametrize("content", [b"x", b"# notes\n" * 1000, NOISE[:100], NOISE, b"\0" * 4096])
def test_a_file_that_is_no_database(path, content):
    path.write_bytes(content)
    refused(path, "It was not changed")


def test_another_applications_database(path):
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript("CREATE TABLE entries (key); INSERT INTO entries VALUES ('theirs')")
    refused(path, "is not a MultiRoute cache")


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_another_applications_database_that_is_in_use(path, journal):
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(f"PRAGMA journal_mode = {journal}")
        db.execute("CREATE TABLE theirs (key)")
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO theirs VALUES (1)")
        refused(path, "is not a MultiRoute cache")
        with contextlib.closing(sqlite3.connect(path, timeout=0)) as other:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")  # they still have their lock
        db.execute("COMMIT")


def test_another_applications_database_whose_writer_was_killed(path, tmp_path):
    (tmp_path / "there").mkdir()
    there = tmp_path / "there" / "x.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = wal")
        db.execute("CREATE TABLE theirs (key)")
        for file in path.parent.glob("llm.db*"):
            shutil.copy(file, there.parent / file.name.replace("llm", "x"))
    refused(there, "is not a MultiRoute cache")


@pytest.mark.parametrize("form", [0, 2, 99])
def test_a_cache_of_another_form(path, form):
    SQLiteCache(path)
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {form}")
        db.commit()
        db.execute("PRAGMA journal_mode = delete")
    refused(path, f"has schema version {form}; this MultiRoute supports version 1")


def filled(path, entries=50):
    cache = SQLiteCache(path)
    for n in range(entries):
        put(cache, f"k{n}", value(f"k{n}", 3000))
    cache.close()
    return path.read_bytes()


@pytest.mark.parametrize("share", [0.001, 0.01, 0.05, 0.3, 0.7, 0.99])
def test_a_file_that_was_cut(path, share):
    """It is refused, or what is missing is missed; nothing wrong is said and nobody fails."""
    content = filled(path)
    cut = content[: int(len(content) * share)]
    path.write_bytes(cut)
    try:
        cache = SQLiteCache(path)
    except ConfigurationError as error:
        assert "It was not changed" in str(error)
        assert path.read_bytes() == cut
        return
    for n in range(50):
        assert get(cache, f"k{n}") in (None, value(f"k{n}", 3000))
    put(cache, "new", b"1")
    assert get(cache, "new") in (None, b"1")
    cache.close()


@pytest.mark.parametrize("seed", range(8))
def test_a_file_with_garbage_in_it(path, seed, caplog):
    content = bytearray(filled(path))
    where = int.from_bytes(hashlib.sha256(b"%d" % seed).digest()[:4]) % (len(content) - 30_000) + 8192
    content[where : where + 20_000] = hashlib.shake_256(b"%d" % seed).digest(20_000)
    path.write_bytes(content)
    try:
        cache = SQLiteCache(path)
    except ConfigurationError as error:
        assert "cannot be used" in str(error)
        assert path.read_bytes() == bytes(content)
        return
    for n in range(50):
        assert get(cache, f"k{n}") in (None, value(f"k{n}", 3000))
    put(cache, "new", b"1")
    assert get(cache, "new") in (None, b"1")
    cache.close()


def test_a_file_that_is_damaged_while_it_is_used(path, caplog):
    filled(path)
    cache = SQLiteCache(path)
    assert get(cache, "k0")
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(path.stat().st_size - 8192))
    for n in range(50):
        assert get(cache, f"k{n}") in (None, value(f"k{n}", 3000))
        put(cache, f"k{n}", b"1")
    assert any("malformed" in record.getMessage() for record in caplog.records)
    cache.close()


def test_an_empty_file_is_nobodys(path):
    path.touch()
    cache = SQLiteCache(path)
    put(cache, "a", b"1")
    assert get(cache, "a") == b"1"
    cache.close()


def test_a_file_that_is_deleted_is_begun_anew(cache, path):
    put(cache, "a", b"1")
    for file in path.parent.iterdir():
        file.unlink()
    assert get(cache, "a") is None
    put(cache, "a", b"2")
    assert get(cache, "a") == b"2"
    cache.close()
    assert sound(path) == {"a": b"2"}


def test_a_file_that_is_replaced_by_somebody_elses_is_left_alone(cache, path, caplog):
    put(cache, "a", b"1")
    cache.close()
    path.write_bytes(b"# notes\n" * 100)
    put(cache, "a", b"2")
    assert get(cache, "a") is None
    assert path.read_bytes() == b"# notes\n" * 100
    assert any("is not a database" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("bad", ["", ":memory:", "file:x.db", "file::memory:?cache=shared", "a\0b"])
def test_what_is_no_path_is_refused(bad):
    with pytest.raises(ConfigurationError, match="expected the path of a file"):
        SQLiteCache(bad)


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="is not a file"):
        SQLiteCache(tmp_path)
    with pytest.raises(ConfigurationError, match="is not a file"):
        SQLiteCache("/dev/null")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigurationError, match="Not a directory"):
        SQLiteCache(tmp_path / "file" / "llm.db")


def test_folders_are_made_and_only_the_owner_may_read(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    cache = SQLiteCache("~/.cache/a b?c#d%20e/llm.db")
    put(cache, "a", b"1")
    where = tmp_path / ".cache" / "a b?c#d%20e"
    assert {file.name: file.stat().st_mode & 0o777 for file in where.iterdir()} == dict.fromkeys(
        ("llm.db", "llm.db-wal", "llm.db-shm"), 0o600
    )
    cache.close()


def test_a_relative_path_stays_where_it_was(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    cache = SQLiteCache.of("sqlite:///llm.db")
    monkeypatch.chdir(tmp_path / "elsewhere")
    put(cache, "a", b"1")
    cache.close()
    assert set(sound(tmp_path / "llm.db")) == {"a"}


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///llm.db", "llm.db"),
        ("sqlite:///folder/llm.db", "folder/llm.db"),
        ("sqlite:////var/cache/llm.db", "/var/cache/llm.db"),
        ("sqlite:///~/llm.db", "~/llm.db"),
        ("sqlite:///C:/llm.db", "C:/llm.db"),
        ("sqlite:///100%25.db", "100%25.db"),
    ],
)
def test_a_url_names_a_path(url, path):
    assert path_of(url) == path


@pytest.mark.parametrize(
    "url",
    ["sqlite:", "sqlite://", "sqlite:///", "sqlite://llm.db", "sqlite://host/llm.db", "sqlite:///:memory:", "llm.db"]
    + ["sqlite:llm.db", "sqlite+aiosqlite:///llm.db", "sqlite:///llm.db?mode=ro", "SQLITE:///llm.db", "redis:///0", ""],
)
def test_other_urls_are_refused(url):
    with pytest.raises(ConfigurationError, match="expected 'sqlite:///relative/path.db'"):
        path_of(url)


# Disks that cannot be written


@pytest.fixture
def open_folder():
    """A folder that another user may look into, and not write."""
    folder = Path(tempfile.mkdtemp(prefix="multiroute-"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


STRANGER = """
    if os.getuid() == 0:
        os.setgid(65534), os.setuid(65534)
    cache = SQLiteCache(path)
    print("read", run(cache.get(io, "a")), flush=True)
    run(cache.put(io, "b", b"2", 1000))
    token = run(cache.claim(io, "c", 1000))
    run(cache.release(io, "c", token))
    print("token", bool(token))
    if len(sys.argv) > 2:
        sys.stdin.read(1)
        print("read", run(cache.get(io, "a")), run(cache.get(io, "d")))
    cache.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize("open_elsewhere", [False, True])
def test_a_file_that_cannot_be_written_is_read(open_folder, open_elsewhere):
    """Another process may write it meanwhile, or have left it as it is."""
    path = open_folder / "llm.db"
    cache = SQLiteCache(path)
    put(cache, "a", b"1")
    if not open_elsewhere:
        cache.close()
    for file in open_folder.iterdir():
        file.chmod(0o444)
    open_folder.chmod(0o555)
    process = child(STRANGER, path, "more", stdin=subprocess.PIPE)
    told = [process.stdout.readline() for _ in range(3)]
    assert "cannot be written; it is used read-only" in told[0]
    assert told[1:] == ["read b'1'\n", "token True\n"]
    if os.getuid() == 0:  # whoever owns it writes on
        put(cache, "a", b"3")
        put(cache, "d", b"4")
    process.stdin.write("x")
    out = said(process)
    if os.getuid() == 0:
        assert "read b'3' b'4'" in out
    open_folder.chmod(0o755)
    path.chmod(0o644)
    cache.close()
    assert "b" not in sound(path)


@pytest.mark.slow
def test_a_folder_that_cannot_be_written(open_folder):
    open_folder.chmod(0o555)
    code = """
        if os.getuid() == 0:
            os.setgid(65534), os.setuid(65534)
        try:
            SQLiteCache(path)
        except ValueError as error:
            print(error)
    """
    out = said(child(code, open_folder / "llm.db"))
    assert "cannot be created (Permission denied); give the path of a writable file" in out
    out = said(child(code, open_folder / "folder" / "llm.db"))
    assert "cannot be created (Permission denied)" in out
    assert not [*open_folder.iterdir()]


def test_a_full_disk_costs_no_call_and_no_entry(path):
    code = """
        cache = SQLiteCache(path)
        run(cache.put(io, "a", value("a", 1000), 1000))
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
        for n in range(100):
            run(cache.put(io, f"k{n}", value(f"k{n}", 20_000), 1000))
            assert run(cache.get(io, f"k{n}")) in (None, value(f"k{n}", 20_000))
            assert run(cache.get(io, "a")) == value("a", 1000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        time.sleep(1)
        run(cache.put(io, "z", value("z", 20_000), 1000))
        print("after", run(cache.get(io, "z")) == value("z", 20_000))
        cache.close()
    """
    out = said(child(code, path))
    assert "log: An answer was not cached: " in out
    assert "after True" in out
    found = sound(path)
    assert {"a", "z"} < set(found)
    assert all(whole(key, content) for key, content in found.items())
