"""Failure summary: the cause of a failed attempt in a form that is safe to log.

A provider's message may echo the prompt, and a gateway's may echo the key. So a failure consists of three values that
can contain neither: the code of our own error class, the HTTP status, and the provider's error code if
`providers.error_code` knows all of its words.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Failure:
    """The cause of a failed attempt.

    Attributes:
        code: The class of the error in one word: `RouteError.code`.
        status: The HTTP status; None without one.
        provider_code: The provider's own short code; None if it gave none that is safe to log.
    """

    code: str
    status: int | None = None
    provider_code: str | None = None

    @property
    def details(self) -> str:
        """The HTTP status and the provider's code, such as `"HTTP 401, invalid_api_key"`; empty without both."""
        status = None if self.status is None else f"HTTP {self.status}"
        return ", ".join(piece for piece in (status, self.provider_code) if piece)

    def __str__(self) -> str:
        return f"{self.code} ({self.details})" if self.details else self.code
