"""Check of stores: whether the ledger and the cache can be used, and whether Redis answers. Nothing is written."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from multiroute_core.cache.sqlite_file import APPLICATION
from multiroute_core.cli.checks.results import Problem
from multiroute_core.configuration.places import KeyPath
from multiroute_core.errors import ConfigurationError
from multiroute_core.options import path_of
from multiroute_core.report.source import REMOTE, source

_EFFECT = {
    "state": "until it answers, each process keeps breakers, limits and budgets for itself",
    "cache": "until it answers, nothing is cached",
    "ledger": "until it answers, records wait in memory",
}


def find_stores(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Yield the keys and addresses of the stores in a configuration file."""
    for key in ("state", "cache", "ledger"):
        value = data.get(key)
        if isinstance(value, str):
            yield (key,), str(value)
        elif isinstance(value, dict) and isinstance(store := cast("dict[str, Any]", value).get("store"), str):
            yield (key, "store"), str(store)


def find_shared_file(stores: Sequence[tuple[KeyPath, str]]) -> Iterator[Problem]:
    """Yield a problem where two stores are one file: the second one to be opened finds the other's tables."""
    first_kinds: dict[Path, str] = {}
    for path, place in stores:
        with contextlib.suppress(ConfigurationError):  # a problem of that store
            file = Path(path_of(place)).expanduser().absolute()
            kind = first_kinds.setdefault(file, str(path[0]))
            if kind != path[0]:
                message = f"The {path[0]} has the file of the {kind}, {str(file)!r}; give one of them another path."
                yield Problem("store", message, path)


def check_store(path: KeyPath, place: str, seconds: float) -> Problem | None:
    """Check one store; return what is wrong with it.

    Args:
        path: Its key in the file.
        place: Its address.
        seconds: Seconds to wait for Redis.
    """
    kind = str(path[0])
    check: Callable[[], str]
    if place.startswith(REMOTE):

        def check() -> str:
            return _check_redis(place, kind, seconds)
    elif place.startswith("sqlite:"):

        def check() -> str:
            return _check_file(Path(path_of(place)).expanduser(), kind)
    else:
        return None
    try:
        message = check()
    except ConfigurationError as error:
        message = str(error)
    except Exception as error:  # it must not end the other checks
        message = f"The {kind} cannot be checked ({type(error).__name__}: {error}); correct the address."
    return Problem("store", message, path) if message else None


def _check_redis(url: str, kind: str, seconds: float) -> str:
    from multiroute_core.state.address import Address

    address = Address.of(url, min(seconds, 5.0))  # names the package if it is missing
    import redis.exceptions

    connection: Any = None
    try:
        connection = address.connect()
        connection.send_command("PING")
        connection.read_response()
    except redis.exceptions.AuthenticationError:
        return f"Redis at {address.where} rejects the password; give it as in redis://user:password@host."
    except redis.exceptions.ResponseError as error:
        return f"Redis at {address.where} cannot be used: {error}; correct the address."
    except (redis.exceptions.RedisError, OSError) as error:
        reason = str(error).rstrip(".") or type(error).__name__
        if "SSL" in reason and url.startswith("rediss:"):
            return f"Redis at {address.where} cannot be used over TLS ({reason}); without TLS, write redis:// instead."
        return (
            f"Redis at {address.where} does not answer ({reason}); start it, or correct the address: {_EFFECT[kind]}."
        )
    finally:
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.disconnect()
    return ""


def _check_file(path: Path, kind: str) -> str:
    if path.exists():
        if kind == "ledger":
            return _check_ledger(path)
        return _check_cache(path)
    folder = next((parent for parent in path.absolute().parents if parent.exists()), Path("/"))
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return (
            f"The {kind} {str(path)!r} cannot be created: {str(folder)!r} is not a folder that this user may write to."
        )
    return ""


def _check_ledger(path: Path) -> str:
    try:
        if path.is_file() and not path.stat().st_size and not path.with_name(f"{path.name}-wal").exists():
            return ""  # a router makes a ledger of an empty file
        source(str(path)).close()
    except ConfigurationError as error:
        if "which migrates the file" in str(error):
            return ""  # a router does it by itself
        return f"{str(error).rstrip('.')}; give the path of a ledger, or of a file that does not exist yet."
    if not os.access(path, os.W_OK):
        return (
            f"The ledger {str(path)!r} may not be written by this user; correct its permissions, or give another path."
        )
    return ""


def _check_cache(path: Path) -> str:
    advice = "give the path of a cache, or of a file that does not exist yet"
    if path.is_dir():
        return f"The cache {str(path)!r} is a folder; {advice}."
    try:
        with path.open("rb+") as file:
            head = file.read(16)
    except OSError as error:
        return f"The cache {str(path)!r} cannot be used: {error.strerror}; {advice}."
    if not head:
        return ""
    try:
        is_cache = head.startswith(b"SQLite format 3") and _belongs_to_cache(path)
    except sqlite3.Error as error:
        return f"The cache {str(path)!r} cannot be used: {error}; {advice}."
    return "" if is_cache else f"The file {str(path)!r} is not a cache; {advice}."


def _belongs_to_cache(path: Path) -> bool:
    """Whether a database is a cache, or has no tables yet."""
    # Not mode=ro: SQLite must recover what a killed process left behind before it can read the file.
    address = f"{path.resolve().as_uri()}?mode=rw"
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=1.0)) as db:
        db.execute("PRAGMA query_only = ON")
        owner: int = db.execute("PRAGMA application_id").fetchone()[0]
        tables: int = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return owner == APPLICATION or not (owner or tables)
