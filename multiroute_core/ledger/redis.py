"""Redis ledger store: the records of all processes of a fleet in one Redis stream.

Each record is one stream entry. A writer numbers its records, and Redis remembers the last number of each writer. A
batch that is sent again after a lost reply is therefore not stored twice.

The store has its own client, whereas the state and the cache share a connection. No request waits for the ledger, so
its timeout can be a full second, and a batch of many records must not delay the circuit breaker's commands.
"""

from __future__ import annotations

import importlib
import logging
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields
from functools import partial
from itertools import chain
from typing import Any, TypeVar, cast, get_type_hints
from urllib.parse import quote

import msgspec

from multiroute_core._util.redis_url import split_settings
from multiroute_core.display.text import printable
from multiroute_core.errors import ConfigurationError
from multiroute_core.ledger.aggregate import Spent, sum_spending
from multiroute_core.ledger.query import LedgerQuery
from multiroute_core.ledger.record import LATEST, NAMES, Record, values
from multiroute_core.ledger.store import RowSelection
from multiroute_core.options import to_be_kept

PATIENCE = 1.0
"""Redis timeout in seconds; only the writer thread and readers of the ledger wait for it."""

BATCH = 500
"""Records per write: a few milliseconds of Redis time."""

PAGE = 2_000
"""Records per read."""

REMEMBERED = 7 * 86_400
"""Seconds for which Redis remembers a writer's last number. Records are stored twice if Redis fails after it stored
them but before it replied and stays down for longer than this, or if it evicts keys for lack of memory.
"""

SKEW = 3_600
"""Seconds by which the clocks of the fleet and of Redis may differ: entries are located by the Redis clock and filtered
by the record's time.
"""

_WRITE = """
local last, first = tonumber(redis.call('GET', KEYS[2]) or -1), tonumber(ARGV[1])
local before, added = redis.call('XLEN', KEYS[1]), 0
for i = 4, #ARGV do
  if first + i - 4 > last then
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'record', ARGV[i])
    added = added + 1
  end
end
if added > 0 then
  last = first + #ARGV - 4
end
redis.call('SET', KEYS[2], string.format('%.0f', last), 'EX', ARGV[3])
return before + added - redis.call('XLEN', KEYS[1])
"""

_DEFAULTS = dict(zip(NAMES, values(Record(0.0, "", "", "", "", "", 0.0)), strict=True))
_REQUIRED = NAMES[:7]
_FIELDS = [(field, get_type_hints(Record)[field.name]) for field in fields(Record)]

T = TypeVar("T")

logger = logging.getLogger("multiroute_core")


class _Spending(msgspec.Struct):
    """The fields that `spent` needs; decoding only these halves the time."""

    ended_at: float
    route: str
    cost: float | None = None
    charged: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    tenant: str | None = None
    task: str | None = None
    labels: tuple[str, ...] = ()


_Row: Any = msgspec.defstruct(
    "_Row",
    [(field.name, kind, *(() if field.default is MISSING else (field.default,))) for field, kind in _FIELDS],
)
"""A record as a struct, which is decoded in a third of the time."""


class RedisStore:
    """Stores records in a Redis stream named `<prefix>:ledger`.

    The constructor checks the settings against Redis; an unreachable Redis is not an error. Whether records survive a
    restart of Redis depends on its own settings (`appendonly yes`). The store pickles as its settings if the URL
    contains no password.

    Args:
        url: `redis://[[user]:password@]host[:port][/db]`, `rediss://…` for TLS, or `unix://[user@]/path?db=…`.
            The query may contain `prefix`; a `timeout`, which is for the state and the cache, has no effect here.
        prefix: The prefix of its keys. Processes with the same Redis and prefix share the ledger.
        max_records: Approximate maximum number of records; beyond it, the oldest are dropped and counted. One million
            by default, about 280 MB.

    Raises:
        ConfigurationError: if the URL is not valid, Redis rejects the password, the key has another type, or the
            package `redis` is missing.
    """

    quick = False

    def __init__(self, url: str, *, prefix: str = "multiroute", max_records: int = 1_000_000) -> None:
        self.dropped = 0
        server_url, own = split_settings(url)
        self.prefix = prefix = own.get("prefix", prefix)
        self.max_records = max_records
        self._url = server_url
        self._redis = _library()
        self._key = f"{quote(prefix, safe=':-_./%')}:ledger"  # braces mark hash tags in key names
        self._spoilt = False
        self._where = ""
        self.forked()
        self._check()

    def append(self, records: Sequence[Record], first: int) -> None:
        for start in range(0, len(records), BATCH):
            payloads = [_encoded(record) for record in records[start : start + BATCH]]
            # Both keys must be in the same cluster slot, which the part in braces determines.
            keys = (self._key, f"{{{self._key}}}:{self._writer}")
            trimmed = self._script(keys=keys, args=(first + start, self.max_records, REMEMBERED, *payloads))
            self.dropped += max(0, trimmed)

    def read(self, which: LedgerQuery) -> Iterator[Record]:
        return self._select(which, msgspec.msgpack.Decoder(Record))

    def select(self, which: LedgerQuery, more: Sequence[Record]) -> RowSelection:
        return RowSelection(chain(self._select(which, msgspec.msgpack.Decoder(_Row)), more))

    def read_spending(self, which: LedgerQuery) -> Spent:
        return sum_spending(self._select(which, msgspec.msgpack.Decoder(_Spending)))

    def forked(self) -> None:
        """Creates a new client and a new writer id."""
        self._writer = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._client: Any = self._build_client()
        self._script: Any = self._client.register_script(_WRITE)

    def close(self) -> None:
        self._client.close()

    def _select(self, which: LedgerQuery, decoder: msgspec.msgpack.Decoder[T]) -> Iterator[T]:
        last = self._client.xrevrange(self._key, count=1)  # entries added later are not read
        return filter(which.takes, self._decoded(which.since, last[0][0], decoder)) if last else iter(())

    def _decoded(self, since: float | None, last: bytes, decoder: msgspec.msgpack.Decoder[T]) -> Iterator[T]:
        start: Any = "-" if since is None or not since > SKEW else int((since - SKEW) * 1000)
        while True:
            page: list[tuple[bytes, dict[bytes, bytes]]] = self._client.xrange(self._key, start, last, count=PAGE)
            for _, entry in page:
                try:
                    record = decoder.decode(entry[b"record"])
                    if not 0 <= cast("Any", record).ended_at <= LATEST:
                        raise ValueError("its time is out of range")  # noqa: TRY301  (one place tells of it)
                    yield record
                except (KeyError, msgspec.DecodeError, ValueError) as error:
                    if not self._spoilt:
                        logger.warning(
                            "The ledger %r has entries that are not records; they are skipped: %s",
                            self,
                            printable(str(error)),
                        )
                    self._spoilt = True
            if len(page) < PAGE:
                return
            start = b"(" + page[-1][0]

    def _build_client(self) -> Any:
        redis = self._redis
        try:
            client = redis.Redis.from_url(
                self._url,
                protocol=2,
                client_name="multiroute-ledger",
                socket_timeout=PATIENCE,
                socket_connect_timeout=PATIENCE,
                retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0),
            )
            pool = client.connection_pool
            pool.connection_class(**pool.connection_kwargs)  # does not connect
        except (TypeError, ValueError, redis.RedisError):  # the text may contain part of the password
            raise ConfigurationError(
                "The URL of the ledger is not valid; expected redis://host:6379/0 or "
                "unix:///path/to/redis.sock, with special characters in a password percent-encoded, as in "
                "redis://:p%2Fw@host:6379/0."
            ) from None
        options = pool.connection_kwargs
        scheme = self._url.partition(":")[0]
        if scheme == "unix" and not options.get("path", "").strip("/"):
            raise ConfigurationError("The URL of the ledger has no socket path; expected unix:///path/to/redis.sock.")
        host = options.get("host", "localhost")
        place = options.get("path") or f"{f'[{host}]' if ':' in host else host}:{options.get('port', 6379)}"
        self._where = f"{scheme}://{place}/{options.get('db') or 0}"
        return client

    def _check(self) -> None:
        """Checks the settings against Redis, if it is reachable."""
        errors = self._redis
        try:
            kind = self._client.type(self._key)
        except errors.AuthenticationError as error:
            raise ConfigurationError(
                f"Redis at {self._where} rejected the password ({error}); give it as in redis://user:password@host."
            ) from None
        except (errors.RedisError, OSError):  # Redis is down; this is reported when records are written
            return
        if kind not in (b"none", b"stream"):
            raise ConfigurationError(
                f"The key {self._key!r} on Redis at {self._where} is not a ledger but a {kind.decode()}. It was not "
                "changed; give another prefix, as in Ledger(RedisStore(url, prefix='shop'))."
            )

    def __reduce__(self) -> tuple[Any, ...]:
        factory = partial(RedisStore, prefix=self.prefix, max_records=self.max_records)
        return factory, (to_be_kept("ledger", self._url),)

    def __repr__(self) -> str:
        return repr(self._where)


def _encoded(record: Record) -> bytes:
    """Encodes a record as a map, without fields that have their default value."""
    pairs = zip(NAMES, values(record), strict=True)
    return msgspec.msgpack.encode(
        {name: value for name, value in pairs if name in _REQUIRED or value != _DEFAULTS[name]}
    )


def _library() -> Any:
    try:
        return importlib.import_module("redis")
    except ImportError as error:
        raise ConfigurationError(
            f"A ledger on Redis needs a package that is not installed ({error}); "
            "run: pip install 'multiroute-llm[redis]'"
        ) from error
