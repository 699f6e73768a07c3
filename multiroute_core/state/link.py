"""Redis link: two operations that are the same in sync code and on any event loop.

    call  sends a command and returns the reply, or raises `Down`: after one timeout no caller waits until Redis is back
    send  returns at once, and is safe in a finalizer

A process has one connection for all of its threads and loops; see `multiplexer`.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import time
import weakref
from typing import Any
from urllib.parse import quote

from multiroute_core._util.redis_url import split_settings
from multiroute_core.errors import ConfigurationError
from multiroute_core.options import invalid, seconds
from multiroute_core.runtime.deadline import Deadline, Expired
from multiroute_core.runtime.io import IO
from multiroute_core.state.address import Address, parse_timeout
from multiroute_core.state.job import Command, Down, Job, Listener, Refused
from multiroute_core.state.multiplexer import AWAY, PARTING_SECONDS, Multiplexer

__all__ = ["Down", "Link", "Refused", "key_name"]

PATIENCE = 1.0
"""Seconds to wait for a multiplexer that is up, or the timeout if that is longer: it detects a silent Redis itself."""


LONGEST_NAME = 200
"""Characters of a name in a key of Redis; a longer one is replaced by its hash."""


def key_name(*parts: str) -> str:
    """Return parts as one name in keys: quoted, as a tenant may have any name, and of bounded length.

    No other parts have the same name, and none of them contains the `:` before a suffix such as `:places`.

    Example:
        >>> key_name("usd/day", "a:b"), key_name("usd/day:a", "b")
        ('usd/day:a%3Ab', 'usd/day%3Aa:b')
    """
    name = ":".join(quote(part, safe="-._/", errors="surrogatepass") for part in parts)
    if len(name) <= LONGEST_NAME:
        return name
    return f"#{hashlib.sha256(name.encode()).hexdigest()}"  # a quoted name contains no "#"


class Link:
    """A Redis, by its URL. `copy` returns the same object.

    Creating it asks Redis once whether the settings are valid, for a second at most. A wrong password is an error then:
    it does not resolve itself, and a fleet that shares no state should not believe that it does. An unreachable Redis
    is not an error: a fleet must start while Redis restarts. A password that is rejected later, because it was changed
    under a running program, is logged as an error and fails no request.

    It supports one server, or the single address of a managed service. A cluster of several shards and Sentinel are not
    supported; the key names are ready for a cluster.

    Args:
        url: `redis://[[user]:password@]host[:port][/db]`, `rediss://…` for TLS, or `unix://[user@]/path?db=…`. The
            query may contain `db`, `username`, `password`, `client_name` and redis-py's `ssl_…` settings, such as
            `ssl_ca_certs`, and `prefix` and `timeout`, which win over the arguments.
        prefix: The prefix of all key names. Processes with the same Redis and prefix share their state.
        timeout: Seconds without a response in the middle of an operation before Redis counts as unavailable. A request
            waits no longer than that, once; later ones do not wait at all until Redis has answered a probe, which is
            sent after 0.25 s, and then after twice as long each time, up to 5 s.

    Raises:
        ConfigurationError: the URL or a setting is wrong, Redis rejects the password, the database or the commands that
            are needed, or the package `redis` is missing.

    Example:
        >>> Link("redis://:secret@127.0.0.1:6379/1", timeout=0.05)  # doctest: +SKIP
        Link('redis://127.0.0.1:6379/1')
    """

    def __init__(self, url: str, *, prefix: str = "multiroute", timeout: float = 0.02) -> None:
        server_url, own = split_settings(url)
        prefix = own.get("prefix", prefix)
        timeout = parse_timeout(own["timeout"]) if "timeout" in own else timeout
        if not prefix or not prefix.isprintable() or prefix.strip() != prefix:
            raise invalid("prefix", prefix, "a non-empty string")
        self.prefix = quote(prefix, safe=":-_./%")  # braces would set a hash tag in the key names
        self.timeout = seconds("timeout", timeout)
        self._address = Address.of(server_url, self.timeout)
        self._url = None if self._address.secret else url
        # A Redis that is full or read-only still answers PONG.
        self._probe = (("PING",), ("SET", f"{self.prefix}:probe", "", "PX", 1000), ("EVAL", "return 1", 0))
        # By process id, since a forked child needs its own: threads do not survive a fork.
        self._multiplexers: dict[int, Multiplexer] = {}
        weakref.finalize(self, _stop, self._multiplexers).atexit = False
        self._check()
        self._multiplexer().start()

    async def call(self, io: IO, *command: Any) -> Any:
        """Send a command and return its reply.

        Args:
            io: How to wait for it.
            *command: Its name and arguments: bytes, strings and numbers. A `Script` replaces the name, and is followed
                by a tuple of its keys.

        Raises:
            Down: Redis is unavailable; the call waited for `timeout` at most.
            Refused: Redis rejected the command.
        """
        multiplexer = self._multiplexer()
        if (down := multiplexer.down()) is not None:
            raise down
        limit = Deadline()
        job = Job(command)
        allowed = max(PATIENCE, self.timeout) if multiplexer.state == "up" else self.timeout
        limit.set("Redis", time.monotonic() + allowed, allowed)

        def begin(finish: Listener) -> None:
            job.listener = finish
            multiplexer.put(job)

        try:
            return await io.await_callback(limit, begin)
        except Expired:
            job.dropped = True
            multiplexer.late()
            raise Down(f"Redis at {self._address.where} did not answer within {allowed:g} s.", was_sent=True) from None
        except BaseException:
            job.dropped = True
            raise

    def send(
        self, command: Command, listener: Listener | None = None, *, keep: bool = False, lazy: bool = True
    ) -> None:
        """Queue a command before all later ones, without waiting for the reply. Safe in a finalizer.

        Args:
            command: As of `call`, in a tuple; or a function that builds it when it is sent, from whether the command
                may already have been executed.
            listener: Called once in another thread, with the reply or an error.
            keep: Whether it is sent later if Redis is unavailable.
            lazy: Whether it may wait a few milliseconds to be batched.
        """
        self._multiplexer().put(Job(command, listener, keep=keep, lazy=lazy))

    @property
    def up(self) -> bool:
        """Whether Redis is known to be available."""
        return self._multiplexer().state == "up"

    @property
    def away(self) -> bool:
        """Whether Redis is known to be unavailable."""
        return self._multiplexer().down() is not None

    @property
    def url(self) -> str:
        """Its URL, for pickling.

        Raises:
            ConfigurationError: it contains credentials, which are never pickled.
        """
        if self._url is None:
            raise ConfigurationError(
                f"The URL of Redis at {self._address.where} contains credentials, so it cannot be pickled; "
                "set it in each process."
            )
        return self._url

    def close(self) -> None:
        """Send pending commands, briefly, and close the connection. Later calls raise `Down`.

        While Redis is silent, the thread may outlive this call by a timeout.
        """
        self._multiplexer().stop(PARTING_SECONDS)

    def __copy__(self) -> Link:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Link:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.url, self.prefix, self.timeout)

    def __repr__(self) -> str:
        return f"Link({self._address.where!r})"

    def _multiplexer(self) -> Multiplexer:
        pid = os.getpid()
        if (multiplexer := self._multiplexers.get(pid)) is None:
            address = self._address
            new = Multiplexer(address.connect, where=address.where, probe=self._probe)
            multiplexer = self._multiplexers.setdefault(pid, new)
        return multiplexer

    def _check(self) -> None:
        """Check that Redis accepts the settings, if it is available."""
        where = self._address.where
        errors: Any = importlib.import_module("redis.exceptions")
        connection: Any = None
        try:
            connection = self._address.connect()
            for command in self._probe:
                connection.send_command(*command)
                connection.read_response()
        except errors.AuthenticationError as error:
            raise ConfigurationError(
                f"Redis at {where} rejected the password ({error}); give it as in redis://user:password@host."
            ) from None
        except (errors.ReadOnlyError, errors.OutOfMemoryError, errors.ClusterDownError):  # temporary
            return
        except errors.ResponseError as error:
            if not str(error).startswith(AWAY):
                raise ConfigurationError(f"Redis at {where} cannot be used: {error}.") from None
        except Exception:  # unavailable; the multiplexer detects and logs it
            return
        finally:
            if connection is not None:
                connection.disconnect()


def _rebuild(url: str, prefix: str, timeout: float) -> Link:
    return Link(url, prefix=prefix, timeout=timeout)


def _stop(multiplexers: dict[int, Multiplexer]) -> None:
    """End the thread of a link that no longer exists, without waiting for it."""
    if (multiplexer := multiplexers.get(os.getpid())) is not None:
        multiplexer.stop(0.0)
