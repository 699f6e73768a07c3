"""Fork safety: what a forked child must replace, because the parent's threads do not exist in it.

A lock that another thread holds at the moment of a fork stays locked in the child forever. So owners register their
locks here, and each child gets new ones. What the parent's threads were about to release (slots in flight,
reservations, requests that others wait for) belongs to the parent: the owner's `forked` method drops it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import weakref
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, cast

_owners: dict[int, tuple[weakref.ref[Any], dict[str, Callable[[], Any]]]] = {}
_generations = [0]


postponed = threading.RLock()
"""Held during work that a fork must not interrupt: imports, and the first use of OpenSSL, whose own locks would stay
locked in the child forever. A fork waits until it is released.
"""


PATIENCE_SECONDS = 10.0
_acquisitions: list[bool] = []


def generation() -> int:
    """Return the number of forks between the process that loaded this module and this one."""
    return _generations[0]


def renew(owner: Any, **factories: Callable[[], Any]) -> None:
    """Recreate attributes of `owner` in the child of a fork, and call its method `forked`, if it has one.

    Args:
        owner: The owner; a weak reference is kept.
        **factories: The factory of each attribute, such as `_lock=threading.Lock`.
    """
    key = id(owner)
    _owners[key] = weakref.ref(owner, partial(_forget, key)), factories


def _forget(key: int, reference: weakref.ref[Any]) -> None:
    if (entry := _owners.get(key)) is not None and entry[0] is reference:  # the id may have been reused
        _owners.pop(key, None)


def _in_child() -> None:
    _generations[0] += 1
    with contextlib.suppress(AttributeError):  # a private name that may be removed
        _free_imports(cast("Any", import_module("importlib._bootstrap")))
    for reference, factories in list(_owners.values()):
        if (owner := reference()) is None:
            continue
        for name, factory in factories.items():
            setattr(owner, name, factory())
        if (forked := getattr(owner, "forked", None)) is not None:
            forked()


def _free_imports(bootstrap: Any) -> None:
    """Re-import modules that the parent's threads were importing: their locks stay locked forever.

    Python releases its global import lock in a child, but not those of single modules (CPython 3.11).
    """
    for name, reference in list(bootstrap._module_locks.items()):  # noqa: SLF001
        lock = reference()
        if lock is not None and lock.owner not in (None, threading.get_ident()):
            bootstrap._module_locks.pop(name, None)  # noqa: SLF001
            if getattr(getattr(sys.modules.get(name), "__spec__", None), "_initializing", False):
                sys.modules.pop(name, None)
    bootstrap._blocking_on.clear()  # noqa: SLF001


def _before() -> None:
    """Wait for work that must not be interrupted.

    Python calls this before the hooks of modules that were imported earlier: so before `logging` takes its lock, which
    an import needs. A thread that needs a lock of a later hook would wait forever, hence the timeout.
    """
    _acquisitions.append(postponed.acquire(timeout=PATIENCE_SECONDS))


def _after() -> None:
    if _acquisitions.pop():
        postponed.release()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    for earlier in ("logging", "concurrent.futures.thread"):  # see `_before`
        import_module(earlier)
    os.register_at_fork(after_in_child=_in_child)
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
