"""Direct calls: prepared requests go straight to the transport, without the classes of httpx, where none is needed.

httpx builds a request and a response, and passes them through loops for authentication, redirects, hooks and cookies.
For a prepared request whose answer is plain, that takes longer than the network. So the head is kept as bytes, and only
an answer that is an error or a redirect, sets a cookie or is compressed becomes a response of httpx, which then takes
the same way as any other.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any

from multiroute_core._util.origin import is_defined_in
from multiroute_core.providers.httptools_transport import Payload
from multiroute_core.providers.response_guard import response_guard
from multiroute_core.providers.response_parser import Answer

_SEND_METHODS = "send", "_send_handling_auth", "_send_handling_redirects", "_send_single_request"
"""The methods of httpx's client that other libraries replace to see the requests."""

_NEEDS_HTTPX = frozenset((b"content-encoding", b"set-cookie", b"set-cookie2"))
"""Headers of a response that httpx has to read."""

_LENGTH = b"Content-Length: "


class RawHeaders(Mapping[str, str]):
    """The headers of a response by lower-case name; decoded when they are first read, as httpx does it.

    Attributes:
        raw: The headers as sent.
    """

    __slots__ = ("_decoded", "raw")

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self.raw = raw
        self._decoded: dict[str, str] | None = None

    def __getitem__(self, name: str) -> str:
        return self._decode()[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._decode())

    def __len__(self) -> int:
        return len(self._decode())

    def _decode(self) -> dict[str, str]:
        if (decoded := self._decoded) is None:
            try:
                pairs = [(name.decode().lower(), value.decode()) for name, value in self.raw]
            except UnicodeDecodeError:
                pairs = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in self.raw]
            decoded = dict[str, str]()
            for name, value in pairs:
                decoded[name] = f"{decoded[name]}, {value}" if name in decoded else value
            self._decoded = decoded
        return decoded


class DirectResponse:
    """A successful response whose body is not compressed; it has what is used of a response of httpx.

    Attributes:
        headers: The headers.
        content: The whole body; empty if it is streamed.
    """

    __slots__ = ("_body", "content", "headers")

    def __init__(self, headers: list[tuple[bytes, bytes]], body: Any) -> None:
        self.headers = RawHeaders(headers)
        self.content = b""
        self._body = body

    def iter_raw(self) -> Iterator[bytes]:
        """Return the pieces of the body."""
        return iter(self._body)

    def aiter_raw(self) -> AsyncIterator[bytes]:
        """Return the pieces of the body of an async client."""
        return aiter(self._body)

    def close(self) -> None:
        """Return the connection to the pool, or close it if the body was not read completely."""
        self._body.close()

    async def aclose(self) -> None:
        """Async variant of `close`."""
        await self._body.aclose()


class DirectTemplate:
    """The head of a request as bytes. It holds the key, so it cannot be pickled.

    Attributes:
        url: The URL of httpx.
        timeouts: The timeouts in seconds.
    """

    __slots__ = ("_after", "_before", "timeouts", "url")

    def __init__(self, request: Any, head: bytes) -> None:
        self.url = request.url
        self.timeouts = request.extensions.get("timeout", {})
        before, _, after = head.partition(_LENGTH)
        self._before = before + _LENGTH
        self._after = after[after.index(b"\r\n") :]

    def __reduce__(self) -> Any:
        raise TypeError("A DirectTemplate cannot be pickled, because it holds a key.")

    def build(self, body: bytes) -> Payload:
        """Return a request with this body."""
        return Payload(b"%b%d%b" % (self._before, len(body), self._after), body)

    @classmethod
    def of(cls, http: Any, request: Any) -> DirectTemplate | None:
        """Return the template of a prepared request, or None if httpx has to send it."""
        build_head = getattr(http._transport, "build_head", None)  # noqa: SLF001
        head = None if build_head is None else build_head(request)
        return None if head is None or _LENGTH not in head else cls(request, head)


class DirectSender:
    """Sends direct requests through the transport of one client of httpx.

    Args:
        library: The HTTP library: httpx or httpx2.
        http: The client, sync or async.
        success: The HTTP statuses of an answer; all others become a response of httpx.
        hooks: The response hooks of the client after the response guard's, which a direct request may skip.
    """

    def __init__(self, library: Any, http: Any, *, success: range, hooks: Sequence[Callable[[Any], Any]] = ()) -> None:
        self._http = http
        self._is_async = isinstance(http, library.AsyncClient)
        self._client_class = library.AsyncClient if self._is_async else library.Client
        self._methods = self._read_methods()
        self._is_own = all(is_defined_in(method, library.__name__) for method in self._methods)
        self._guard = response_guard(library.__name__)
        guard_hook = self._guard.native if self._is_async else self._guard.blocking
        self._hooks = {"request": [], "response": [guard_hook, *hooks]}
        self._success = success
        self._logger = logging.getLogger(library.__name__)

    def _read_methods(self) -> list[Any]:
        methods = self._client_class.__dict__
        return [methods.get(name) for name in _SEND_METHODS]

    def is_usable(self) -> bool:
        """Whether nothing of the client but its transport and our hooks has to do with a request."""
        http = self._http
        is_usable = getattr(http._transport, "is_usable", None)  # noqa: SLF001  (somebody may have replaced it)
        return (
            self._is_own
            and is_usable is not None
            and is_usable()
            and not http._mounts  # noqa: SLF001
            and http._auth is None  # noqa: SLF001
            and http._event_hooks == self._hooks  # noqa: SLF001
            and http.follow_redirects
            and not http.is_closed
            and not http.cookies
            and self._read_methods() == self._methods
            and not self._logger.isEnabledFor(logging.INFO)
        )

    def send(self, template: DirectTemplate, payload: Payload, *, stream: bool) -> DirectResponse | Any:
        """Send a request; returns a `DirectResponse`, or a response of httpx for an answer that is not plain."""
        transport = self._http._transport  # noqa: SLF001
        answer, body = transport.exchange(template.url, payload, template.timeouts)
        try:
            if (response := self._to_direct(answer, body)) is None:
                return transport.to_response(answer, body)
            if not stream:
                response.content = b"".join(response.iter_raw())
        except BaseException:
            body.close()
            raise
        return response

    async def asend(self, template: DirectTemplate, payload: Payload, *, stream: bool) -> DirectResponse | Any:
        """Async variant of `send`."""
        transport = self._http._transport  # noqa: SLF001
        answer, body = await transport.exchange(template.url, payload, template.timeouts)
        try:
            if (response := self._to_direct(answer, body)) is None:
                return transport.to_response(answer, body)
            if not stream:
                response.content = b"".join([piece async for piece in response.aiter_raw()])
        except BaseException:
            body.release()
            raise
        return response

    def _to_direct(self, answer: Answer, body: Any) -> DirectResponse | None:
        """Return the response to a plain answer; None if httpx has to look at it."""
        if answer.status not in self._success:
            return None
        length = None
        for name, value in answer.headers:
            if (lower := name.lower()) in _NEEDS_HTTPX:
                return None
            if lower == b"content-length":
                length = value.decode("latin-1")
        return DirectResponse(answer.headers, self._guard.bound(body, body, length))

    def finish(self, response: Any, request: Any, *, stream: bool) -> Any:
        """Do with a response of httpx what its client does.

        Args:
            response: What `send` returned.
            request: The request, as one of httpx.
            stream: Whether the body is streamed.
        """
        try:
            redirected = self._look_at(response, request)
            if not stream:
                response.read()
        except BaseException:
            response.close()
            raise
        if redirected is None:
            return response
        response.close()
        return self._http.send(redirected, stream=stream)

    async def afinish(self, response: Any, request: Any, *, stream: bool) -> Any:
        """Async variant of `finish`."""
        try:
            redirected = self._look_at(response, request)
            if not stream:
                await response.aread()
        except BaseException:
            await response.aclose()
            raise
        if redirected is None:
            return response
        await response.aclose()
        return await self._http.send(redirected, stream=stream)

    def _look_at(self, response: Any, request: Any) -> Any:
        """Apply cookies and hooks; returns the request that follows a redirect."""
        response.request = request
        self._http.cookies.extract_cookies(response)
        self._guard.blocking(response)
        if not response.has_redirect_location:
            return None
        return self._http._build_redirect_request(request, response)  # noqa: SLF001
