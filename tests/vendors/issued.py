"""What the server has handed out: ids, signatures and encrypted reasoning, so that it knows its own when they come back."""

from __future__ import annotations

import base64
import hashlib
import itertools

from tests.vendors.asked import Refused

RECORDED = (
    "ErUBCkYICBgCIkDCTQUXPc3O7nHXd302Zercaz8WrrpddpOqHITxBih5zeFPoJkwKBvkvZ8ID1aAfJftji6+ZI5gBYDo7XmNBIkzEgzVDHKopedAn/sc"
    "G80aDFDXVZrDOWgla7lEBiIwLq5kfFjQjvF/CyuL8J5V7dRwsJN5gQIXaMB6xXTs6T+2Zp0VdiyiMb/hcdrHt+7aKh0z2E1UnjiOCoTlofNFHzOnKk0q"
    "PIoPmfGgpPgGNRgC"
)
"""A signature that Anthropic itself once issued; the conversations of `langchain-tests` carry it."""

DUMMY = "skip_thought_signature_validator"
"""What Google lets stand where a signature is missing, as it is or in base64."""


class Issued:
    """Ids and secrets of one server."""

    def __init__(self) -> None:
        self._count = itertools.count(1)
        self._signatures: dict[str, tuple[str, str | None]] = {RECORDED: ("anthropic", None)}
        self.items: dict[str, str] = {}
        """Ids of output items, by the id of the reasoning item that each hangs on; and back."""

    def id(self, prefix: str, length: int = 24) -> str:
        """A new id."""
        digest = hashlib.sha512(f"{next(self._count)}".encode()).digest()
        return prefix + base64.b32encode(digest).decode()[:length]

    def signature(self, wire: str, model: str, prefix: str = "Er") -> str:
        """A new signature of `model`, in base64."""
        digest = hashlib.sha512(f"signature {next(self._count)}".encode()).digest()
        made = prefix + base64.b64encode(digest * 2).decode()[:168]
        self._signatures[made] = (wire, model)
        return made

    def check(self, signature: object, wire: str, model: str, message: str, param: str | None = None) -> None:
        """Refuse a signature that this server has not issued on this wire, to this model."""
        where, whose = self._signatures.get(signature if isinstance(signature, str) else "", ("", ""))
        if where != wire or whose not in (None, model):
            raise Refused(message, param)

    def check_owner(self, signature: object, wire: str, message: str, code: str | None = None) -> None:
        """Refuse a signature that this server has not issued on this wire, to any model."""
        where, _ = self._signatures.get(signature if isinstance(signature, str) else "", ("", ""))
        if where != wire:
            raise Refused(message, code=code)

    def check_google(self, signature: object, model: str) -> None:
        """The same, for a thought signature; the dummy is taken, and a signature of another Gemini."""
        signature = signature.replace("-", "+").replace("_", "/") if isinstance(signature, str) else ""
        if signature in (DUMMY.replace("_", "/"), base64.b64encode(DUMMY.encode()).decode()):
            return
        where, _ = self._signatures.get(signature, ("", ""))
        if where != "google":
            raise Refused("Thought signature is not valid.")
