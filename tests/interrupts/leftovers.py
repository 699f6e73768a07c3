"""What a call may leave behind: looked for in the places themselves, not where the product says that they are."""

import gc
import sys
import threading
import time
import traceback

from multiroute_core import Router
from multiroute_core.budgets.accounts import MemoryAccounts
from multiroute_core.runtime import sockets
from multiroute_core.runtime.deadline import current

LOCKS = (threading.Lock().__class__, threading.RLock().__class__)


def holders(router: Router):
    """Everything of the router that may hold a lock."""
    parts = router._parts
    yield from (parts.state, parts.learned_capabilities)
    if parts.spending is not None:
        yield from (parts.spending.accounts, parts.spending._session)
    if parts.limiter is not None:
        yield from (parts.limiter, parts.limiter.accounts)
    if parts.cache is not None:
        yield parts.cache.store
        for connection in ("_reader", "_writer"):
            if hasattr(parts.cache.store, connection):
                yield getattr(parts.cache.store, connection)
    if parts.ledger is not None:
        yield from (parts.ledger._writer, parts.ledger.store)
    for provider in parts.providers.values():
        for value in vars(provider).values():
            yield value
            yield getattr(value, "_clients", None)


def locked(router: Router) -> list[str]:
    found = []
    for holder in holders(router):
        for name, value in getattr(holder, "__dict__", {}).items():
            if isinstance(value, LOCKS[0]) and value.locked():
                found.append(f"{type(holder).__name__}.{name} is locked")
    return found


def in_sockets() -> list[str]:
    found = []
    for pool in list(sockets._obeying):
        found += [f"a request is in the pool: {request.connection!r}" for request in pool._requests]
        found += [f"a connection is open: {one!r}" for one in pool._connections if not one.is_idle()]
    return found


def leftovers(router: Router) -> list[str]:
    """What is there though no call is."""
    found = after_a_while(lambda: locked(router), 2.0)  # the ledger's thread may be writing
    if found:  # whatever is asked now would hang
        return found
    parts = router._parts
    in_flight = {name: standing.in_flight for name, standing in router.health().routes.items() if standing.in_flight}
    if in_flight:
        found.append(f"in flight: {in_flight}")
    if parts.spending is not None:
        for accounts in (parts.spending.accounts, parts.spending._session):
            assert isinstance(accounts, MemoryAccounts)
            with accounts._lock:
                accounts._work_off(0.0)
            for name, kept in accounts._accounts.items():
                if kept.places or kept.account.held:
                    found.append(f"reserved in {name}: {kept.account.held}, {list(kept.places)}")
    if taken_places := [one for one in router.limit_statuses() if one.in_flight]:
        found.append(f"places are taken: {taken_places}")
    if parts.cache is not None and parts.cache._flights._flights:
        found.append(f"on their way: {list(parts.cache._flights._flights)}")
    if current.get() is not None:
        found.append("the limit of a call is still the current one")
    found += in_sockets()
    return found


def threads(before: set[threading.Thread]) -> list[str]:
    """Threads that are left, but for the ledger's, which stays with its ledger."""
    left = [t for t in threading.enumerate() if t not in before and t is not threading.current_thread()]
    frames = sys._current_frames()
    return [
        f"a thread is left: {t.name} {''.join(traceback.format_stack(frames.get(t.ident or 0))[-6:])}"
        for t in left
        if not t.name.startswith("multiroute-")
    ]


def after_a_while(look, seconds: float) -> list[str]:
    """What `look` still finds after so many seconds at most."""
    until = time.monotonic() + seconds
    while (found := look()) and time.monotonic() < until:
        time.sleep(0.002)
    return found


def without_collector() -> None:
    """The collector may not help."""
    gc.collect()
    gc.disable()
