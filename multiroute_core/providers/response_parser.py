"""Response parser: what httptools (llhttp, the parser of Node.js) finds in the bytes of one HTTP response.

It accepts what h11, the parser of httpx, accepts as well: line feeds alone, a length beside chunks, blanks behind a
chunk's size. Interim responses, such as 103 Early Hints, are skipped.
"""

from __future__ import annotations

from typing import Any

INCOMPLETE = "peer closed connection without sending complete message body"
"""What httpx says of a body that ends early."""


class Answer:
    """What the parser has found so far; its methods are the parser's callbacks.

    Attributes:
        status: The status; 0 until the headers are complete.
        reason: The reason phrase.
        headers: The headers, as sent.
        pieces: The pieces of the body that were not given out yet.
        failure: Why the rest of the body cannot be read; raised after the pieces before it.
        is_complete: Whether the response is complete.
        has_surplus: Whether more came than the response.
    """

    __slots__ = (
        *("_is_interim", "_keeps_alive", "_parser", "failure", "feed", "has_surplus"),
        *("headers", "is_complete", "pieces", "reason", "status"),
    )

    def __init__(self, parser_class: Any) -> None:
        self._parser: Any = parser_class(self)
        self._parser.set_dangerous_leniencies(
            lenient_chunked_length=True,
            lenient_data_after_close=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        self.feed: Any = self._parser.feed_data
        self.status = 0
        self.reason = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.pieces: list[bytes] = []
        self.failure: Exception | None = None
        self.is_complete = False
        self.has_surplus = False
        self._is_interim = False
        self._keeps_alive = False

    def on_message_begin(self) -> None:
        self.has_surplus = self.is_complete

    def on_status(self, reason: bytes) -> None:
        if not self.is_complete:
            self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:  # not a trailer
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.is_complete:
            return
        status = self._parser.get_status_code()
        self._is_interim = 100 <= status < 200
        if not self._is_interim:
            self.status = status

    def on_body(self, piece: bytes) -> None:
        if not self.is_complete:
            self.pieces.append(piece)

    def on_message_complete(self) -> None:
        if self._is_interim:  # such as 103 Early Hints: the response itself follows
            self._is_interim = False
            self.reason = b""
            self.headers = []
        else:
            self.is_complete = True
            self._keeps_alive = self._parser.should_keep_alive()

    @property
    def version(self) -> bytes:
        """The version of HTTP."""
        return b"HTTP/" + self._parser.get_http_version().encode()

    @property
    def is_reusable(self) -> bool:
        """Whether the connection can send another request."""
        return self._keeps_alive and not self.has_surplus

    def ends_with_connection(self) -> bool:
        """Whether the body has neither a length nor chunks, so that the end of the connection is its end."""
        for name, value in self.headers:
            lower = name.lower()
            if lower == b"content-length" or (lower == b"transfer-encoding" and b"chunked" in value.lower()):
                return False
        return self.status > 0

    @property
    def early_end(self) -> str:
        """What httpx says if the connection ends now."""
        return INCOMPLETE if self.status else "Server disconnected without sending a response."

    def take_pieces(self) -> bytes:
        """Return the pieces of the body that were not given out yet, as one."""
        pieces = self.pieces
        if len(pieces) == 1:
            return pieces.pop()
        self.pieces = []
        return b"".join(pieces)

    def forget_parser(self) -> None:
        """Break the reference cycle with the parser; nothing can be fed any more."""
        self._parser = self.feed = None
