"""What the tests of the cache in a file share: values that tell whether they are whole, processes, and a look into the file."""

import contextlib
import hashlib
import inspect
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

from multiroute_core.cache.sqlite import OVERHEAD
from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO

ROOT = Path(__file__).resolve().parents[2]
IO = SyncIO()


def value(key, size):
    """A value that says which key it belongs to, and whether it is whole."""
    body = (key * (size // len(key) + 1))[:size].encode()
    return hashlib.sha256(body).digest() + body


def whole(key, value):
    return hashlib.sha256(value[32:]).digest() == value[:32] and value[32:].startswith(key[: len(value) - 32].encode())


# What the children begin with.
BEGIN = f"""
import hashlib, logging, os, resource, signal, sys, time
from multiroute_core.cache.sqlite import SQLiteCache
from multiroute_core.runtime.sync_io import SyncIO
from multiroute_core.runtime.run_sync import run
logging.basicConfig(stream=sys.stdout, format="log: %(message)s")
io, path = SyncIO(), sys.argv[1]

{inspect.getsource(value)}
{inspect.getsource(whole)}
"""


class Clock:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


def get(cache, key):
    return run(cache.get(IO, key))


def put(cache, key, content, seconds=1000.0):
    run(cache.put(IO, key, content, seconds))


def child(code, *arguments, **options):
    """A process that runs `code` after `BEGIN`."""
    return subprocess.Popen(
        [sys.executable, "-c", BEGIN + textwrap.dedent(code), *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


def said(process, seconds=60):
    try:
        out, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:  # left alone it would take a core from all later tests
        process.kill()
        raise
    assert process.returncode == 0, out
    return out


def sound(path):
    """The file is in order, and its books are right."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = db.execute("SELECT key, size, value FROM entries").fetchall()
        assert db.execute("SELECT bytes FROM total").fetchone()[0] == sum(size for _, size, _ in rows)
    assert all(size == len(key) + len(content) + OVERHEAD for key, size, content in rows)
    return {key: content for key, _, content in rows}


def files(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}
