"""Response caching: lookup, single-flight for identical requests, then the request itself.

How this works:

* `CacheStage.run` searches the store for a fresh entry under the request's key; with a semantic cache also for a
  paraphrase. It replays a fresh entry.
* Otherwise it joins an identical request that is in flight in this process (`Flights`), or becomes its leader.
* A leader claims the key in a shared store, so that a single process sends the request; the others poll the store.
* The leader runs the rest of the chain, stores its response if it is cacheable, and hands it to the waiting requests.
* A stale entry goes on in the call's context and is returned if all routes fail (stale-if-error).
* A store that fails, or holds an unreadable entry, does not fail the request: the error is logged, and the lookup is a
  cache miss.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.cache import entry as entries
from multiroute_core.cache.caching import CacheConfig
from multiroute_core.cache.entry import Entry, UnreadableError
from multiroute_core.cache.key import UnkeyableError, key, models, scope
from multiroute_core.cache.single_flight import Flights, Leader
from multiroute_core.display.text import printable
from multiroute_core.engine.answer_review import AnswerReview
from multiroute_core.engine.attempt_log import AttemptLog
from multiroute_core.engine.stage import CallContext, RunRest
from multiroute_core.events import RequestEnded, RequestStarted
from multiroute_core.messages import Part
from multiroute_core.route import Route
from multiroute_core.routing.call import Call
from multiroute_core.runtime.deadline import Deadline, Expired
from multiroute_core.runtime.io import IO
from multiroute_core.types import Chunk, Response

LEASE_SECONDS = 30.0
"""Lease of a process on a key: after a crash other processes are blocked no longer than this, in seconds."""

WAIT_SECONDS = 45.0
"""Maximum wait for an identical request, in seconds: long enough for another process to take over after a crash."""

POLL_SECONDS = 0.01
"""First interval between polls for the response of another process, in seconds; later intervals grow."""

SLOWEST_POLL_SECONDS = 0.2

JITTER = 0.1
"""Share by which the TTL of an entry is randomly longer or shorter."""

_T = TypeVar("_T")

logger = logging.getLogger("multiroute_core")


class CacheStage:
    """The cache of one router.

    Args:
        caching: Its configuration.
        random: Random numbers from 0 to 1.
        wall: The time in seconds since 1970, by which entries age.

    Raises:
        ConfigurationError: the store cannot be used.
    """

    def __init__(
        self,
        caching: CacheConfig,
        *,
        random: Callable[[], float],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.caching = caching
        self.store = caching.open_store()
        self._paraphrases = caching.paraphrases(self.store)
        self._random = random
        self._wall = wall
        self._flights = Flights()
        self._among: dict[tuple[str, ...], str] = {}
        self._latest: tuple[tuple[Route, ...], str] = ((), "")
        self._failing = False

    def run(self, context: CallContext, run_rest: RunRest) -> AsyncGenerator[Chunk, None]:
        """Yield the chunks of a cached response, or those of the rest of the chain, which are then stored."""
        return run_rest(context) if context.call.options.cache is False else self._run(context, run_rest)

    async def _run(self, context: CallContext, run_rest: RunRest) -> AsyncGenerator[Chunk, None]:
        io = context.io
        call = context.call
        start = context.start_time
        name = self._key(call)
        reads = name is not None and call.options.cache != "refresh"
        entry = None
        fresh = False
        if reads and name is not None:
            entry = await self._get_entry(io, name)
            fresh = self._fresh(entry)
            if not fresh and self._paraphrases is not None:
                entry = await self._find_paraphrase(io, call) or entry
                fresh = self._fresh(entry)
            fresh = fresh and await _is_accepted(context, entry)
        if fresh and entry is not None:
            _notify(context, entry)
            for chunk in entry.replayed(stream=call.stream):
                yield chunk
            return
        lead = value = None
        try:
            if reads and name is not None:
                until = start + min(WAIT_SECONDS, (call.options.deadline or WAIT_SECONDS * 2) / 2)
                entry, lead = await self._join_flight(io, name, until, entry)
                if entry is not None and self._fresh(entry) and await _is_accepted(context, entry):
                    _notify(context, entry)
                    for chunk in entry.replayed(stream=call.stream):
                        yield chunk
                    return
            context.stale_entry = entry
            chunk_parts: list[tuple[Part, ...]] = []
            chunks = run_rest(context)
            try:  # an interrupt on the exit of `aclosing` would warn of a coroutine that was never awaited
                async for chunk in chunks:
                    if chunk.restarted:
                        chunk_parts.clear()
                    elif chunk.parts and call.stream:
                        chunk_parts.append(chunk.parts)
                    if chunk.response is not None and name is not None:
                        value = await self._store_response(context, name, chunk.response, chunk_parts)
                    yield chunk
            finally:
                await chunks.aclose()
        except Exception:
            if lead is not None:
                self._flights.land(name or "", lead.flight, failed=True)
            raise
        finally:
            if lead is not None and name is not None:
                self._flights.land(name, lead.flight, value)
                if lead.token is not None:
                    await self._guard_store(self.store.release(io, name, lead.token), None)

    def close(self) -> None:
        """Close the sync resources of a store that the router owns."""
        if self._paraphrases is not None:
            self._paraphrases.close()
        if self.caching.store is not self.store:
            self.store.close()

    async def aclose(self) -> None:
        """Close the resources on the running event loop of a store that the router owns."""
        if self._paraphrases is not None:
            await self._paraphrases.aclose()
        if self.caching.store is not self.store:
            await self.store.aclose()

    def _who(self, call: Call) -> str:
        """Return the set of routes that may answer a call, in the form used in keys."""
        routes, among = self._latest
        if routes is not call.routes:
            names = tuple(route.name for route in call.routes)
            if (namespace := self._among.get(names)) is None:
                namespace = self._among[names] = self.caching.namespace or models(call.routes)
            self._latest = (call.routes, namespace)
            among = namespace
        return among

    def _key(self, call: Call) -> str | None:
        """Return the cache key of a call; None if it has none and so bypasses the cache."""
        try:
            return key(call.request, self._who(call), call.options.tenant)
        except UnkeyableError as error:
            logger.debug("A request bypasses the cache: %s", error)
            return None

    def _scope(self, call: Call) -> tuple[str, str] | None:
        """Return the scope within which two prompts are comparable, and the prompt; None if there is none."""
        return scope(call.request, self._who(call), call.options.tenant)

    async def _find_paraphrase(self, io: IO, call: Call) -> Entry | None:
        """Return a fresh response to a paraphrase of the prompt, with its similarity."""
        near = entry = None
        if self._paraphrases is not None and (place := self._scope(call)):
            near = await self._paraphrases.find(io, *place)
        if near is not None:
            entry = await self._get_entry(io, near.key)
        if near is None or entry is None or not self._fresh(entry):
            return None
        return replace(entry, response=replace(entry.response, similarity=near.similarity))

    async def _join_flight(
        self, io: IO, name: str, until: float, entry: Entry | None
    ) -> tuple[Entry | None, Leader | None]:
        """Wait for an identical request and return its entry, or become the leader. `entry` is stale.

        Returns None instead of a leader if the request runs on its own, not coalesced.
        """
        while True:
            flight, lead = self._flights.board(name)
            if lead is not None:
                break
            if flight.waits_for_me(native=io.native):
                return entry, None
            limit = Deadline(io.now)
            limit.set("an identical request", until, until - io.now())
            try:
                value: bytes | None = await io.await_callback(limit, flight.join)
            except Expired:
                return entry, None
            if value is not None:
                return self._read(value), None
            if flight.failed:
                return entry, None
        try:
            return await self._claim_key(io, name, until, entry, lead)
        except BaseException:
            self._flights.land(name, flight)
            raise

    async def _claim_key(
        self, io: IO, name: str, until: float, entry: Entry | None, lead: Leader
    ) -> tuple[Entry | None, Leader | None]:
        """Claim the key against other processes, and check that none has stored a response meanwhile."""
        pause = POLL_SECONDS
        while True:
            token = await self._guard_store(self.store.claim(io, name, LEASE_SECONDS), "") if self.store.shared else ""
            value = await self._guard_store(self.store.get(io, name), None)
            latest = None if value is None else self._read(value)
            if self._fresh(latest):
                if token:
                    await self._guard_store(self.store.release(io, name, token), None)
                self._flights.land(name, lead.flight, value)
                return latest, None
            if token is not None or io.now() >= until:
                lead.token = token or None
                return latest or entry, lead
            await io.sleep(min(pause, until - io.now()) * (0.5 + self._random()))
            pause = min(SLOWEST_POLL_SECONDS, pause * 1.5)

    async def _store_response(
        self, context: CallContext, name: str, response: Response, chunk_parts: list[tuple[Part, ...]]
    ) -> bytes | None:
        """Store a response if it is cacheable; return the encoded entry for the waiting requests."""
        if response.cached:
            return None
        io = context.io
        call = context.call
        now = self._wall()
        ttl = self.caching.ttl
        ttl *= 1.0 - JITTER + 2 * JITTER * self._random()
        try:
            value = entries.encode(response, chunk_parts if call.stream else None, now=now, fresh_until=now + ttl)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            logger.debug("An answer of route %r cannot be cached: %s", response.route, printable(str(error)))
            return None
        is_continued = call.options.on_stream_error == "continue"
        if context.is_cacheable and self.caching.worth(response, call.routes, continued=is_continued):
            await self._guard_store(self.store.put(io, name, value, ttl + self.caching.stale_if_error), None)
            if self._paraphrases is not None and (place := self._scope(call)):
                await self._paraphrases.add(io, *place, name, ttl)
        return value

    async def _get_entry(self, io: IO, name: str) -> Entry | None:
        try:
            value = await self.store.get(io, name)
        except Exception as error:
            return self._failed(error, None)
        self._failing = False
        return None if value is None else self._read(value)

    def _read(self, value: bytes) -> Entry | None:
        try:
            return entries.decode(value)
        except UnreadableError as error:
            logger.warning("A cached answer is ignored: %s", printable(str(error)))
            return None

    def _fresh(self, entry: Entry | None) -> bool:
        return entry is not None and entry.fresh_until > self._wall()

    async def _guard_store(self, work: Awaitable[_T], otherwise: _T) -> _T:
        """Await a store operation; `otherwise` if it fails. Only the first consecutive failure is a warning."""
        try:
            done = await work
        except Exception as error:
            return self._failed(error, otherwise)
        self._failing = False
        return done

    def _failed(self, error: Exception, otherwise: _T) -> _T:
        tell = logger.debug if self._failing else logger.warning
        tell("The cache %r failed; requests bypass it until it recovers: %r", self.store, error)
        self._failing = True
        return otherwise


async def _is_accepted(context: CallContext, entry: Entry | None) -> bool:
    """Whether a cached response passes the call's `accept` and `fallback_on`; it may be that of a call without them."""
    options = context.call.options
    if entry is None or not (options.accept or options.fallback_on):
        return True
    review = AnswerReview(context.io, context.call)
    until = context.start_time + (options.deadline or float("inf"))
    if await review.find_rejection(entry.response, until) is not None:
        return False
    return await review.find_decline(entry.response, until, may_be_empty=True) is None


def _notify(context: CallContext, entry: Entry) -> None:
    """Send the events of a call that the cache answers."""
    listeners = context.listeners
    if listeners[RequestStarted] or listeners[RequestEnded]:
        log = AttemptLog(listeners, context.call)
        log.request_started(context.call.routes)
        log.request_ended(context.io.now() - context.start_time, entry.response, None)
