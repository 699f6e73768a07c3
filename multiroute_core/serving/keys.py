"""API keys of a server's clients: kept as hashes, compared in constant time, each for one tenant.

A key has 256 random bits, so a fast hash is enough: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from multiroute_core.errors import ConfigurationError
from multiroute_core.options import invalid

PREFIX = "mr-"

_Form: TypeAlias = tuple[str, int]
"""An algorithm, and the bytes of its digest."""

_DIGESTS: Mapping[_Form, Callable[[bytes], bytes]] = {
    ("sha256", 32): lambda key: hashlib.sha256(key).digest(),
    ("blake2b", 32): lambda key: hashlib.blake2b(key, digest_size=32).digest(),
    ("blake2b", 64): lambda key: hashlib.blake2b(key).digest(),
}
_BY_SIZE = {32: "sha256", 64: "blake2b"}
"""The algorithm of a hash that does not name it: what `hashlib` returns by default."""


def create_key() -> str:
    """Create a random key. Give it to the client, and keep its `hash_key`.

    Example:
        >>> create_key().startswith("mr-")
        True
    """
    return PREFIX + secrets.token_urlsafe(32)


def hash_key(key: str, algorithm: Literal["sha256", "blake2b"] = "sha256") -> str:
    """Return the hash of a key, as `ApiKeys` and files of keys hold it.

    Example:
        >>> hash_key("mr-example")[:20]
        'sha256:59d47ecfa10cd'
    """
    return f"{algorithm}:{_DIGESTS[algorithm, 32](key.encode()).hex()}"


class ApiKeys:
    """The keys that a server accepts, and their tenants.

    Args:
        source: A mapping of hashes (`hash_key`, or the hexadecimal SHA-256 or BLAKE2b of a key) to tenants, or the path
            of a file with a hash and a tenant in each line, separated by spaces or tabs; `#` begins a comment line.

    Raises:
        ConfigurationError: The file cannot be read, there are no keys, or an entry is not a hash. No entry is quoted,
            because it may be a key.

    Example:
        >>> ApiKeys({hash_key("mr-example"): "shop"}).find_tenant("mr-example")
        'shop'
    """

    __slots__ = ("_entries",)

    def __init__(self, source: Mapping[str, str] | str | os.PathLike[str]) -> None:
        entries = list(cast("Mapping[Any, Any]", source).items()) if isinstance(source, Mapping) else _read_file(source)
        if not entries:
            raise ConfigurationError("There are no API keys; create one with: multiroute key TENANT")
        self._entries = [_parse(number, *entry) for number, entry in enumerate(entries, 1)]

    def find_tenant(self, key: str) -> str | None:
        """Return the tenant of a key; None if the key is unknown. The time does not depend on the key."""
        data = key.encode("utf-8", "surrogatepass")
        digests = {form: digest(data) for form, digest in _DIGESTS.items()}
        tenant: str | None = None
        for form, digest, owner in self._entries:
            if hmac.compare_digest(digest, digests[form]):
                tenant = owner
        return tenant

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"ApiKeys(<{len(self)} keys>)"


def _read_file(path: Any) -> list[tuple[str, str]]:
    if not isinstance(path, str | os.PathLike):
        raise invalid("keys", type(path).__name__, "a mapping of hashes to tenants, or the path of a file")
    try:
        lines = Path(cast("str", path)).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigurationError(
            f"The file of keys {os.fspath(cast('str', path))!r} cannot be read: {reason}."
        ) from None
    entries: list[tuple[str, str]] = []
    for line in lines:
        if line.strip() and not line.lstrip().startswith("#"):
            digest, *tenant = line.strip().split(maxsplit=1)
            entries.append((digest, "".join(tenant)))
    return entries


def _parse(number: int, entry: Any, tenant: Any) -> tuple[_Form, bytes, str]:
    algorithm, _, text = entry.rpartition(":") if isinstance(entry, str) else ("", "", "")
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    form = (algorithm or _BY_SIZE.get(len(digest), ""), len(digest))
    if form not in _DIGESTS:
        raise ConfigurationError(
            f"Entry {number} of the API keys is not a hash; expected 'sha256:' or 'blake2b:' and hexadecimal digits, "
            "as `multiroute key TENANT` prints it."
        )
    if not isinstance(tenant, str) or not tenant:
        raise ConfigurationError(f"Entry {number} of the API keys has no tenant; write it after the hash.")
    return form, digest, tenant
