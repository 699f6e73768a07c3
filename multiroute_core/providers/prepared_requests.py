"""Prepared requests: what the SDK builds anew for every call, its headers, URL and timeouts, is built once and reused.

How this works: an SDK spends more time on its request than the HTTP client needs to send it. So the first two calls go
through the SDK. If both sent the same head, it becomes a template: from then on a call adds its body to a copy
and sends that through the same HTTP client, with its proxies, certificates, cookies, redirects and hooks. So a prepared
request equals the SDK's own but for the body, byte for byte, and errors become the SDK's own.

A template belongs to one client of the SDK and to one path, query, set of headers, and streaming or not. The SDK still
sends a body that is not plain JSON, and all requests of a client whose key is a function, while the SDK logs its
requests, and where another library has replaced its methods, as tracers do. What differs between SDKs are `SdkTraits`.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NoReturn

from multiroute_core._util.origin import is_defined_in
from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.providers.direct_calls import DirectResponse, DirectSender, DirectTemplate
from multiroute_core.providers.httptools_transport import Payload
from multiroute_core.providers.provider import Encoded

SWITCH = "MULTIROUTE_PREPARED_REQUESTS"
"""The environment variable that disables prepared requests if it is `0`; read when a client is created."""

MAX_TEMPLATES = 32
"""Templates kept for a client: a header or a query that changes with every call must not fill the memory."""

encode_compactly: Callable[[Any], str] = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":")
).encode
"""Encodes a body as httpx does, and the SDKs that leave it to httpx."""

_OF_A_CALL = frozenset((b"content-length", b"cookie", b"transfer-encoding"))
"""Headers that the HTTP client adds to each request."""


@dataclass(frozen=True, slots=True)
class SdkTraits:
    """How a client of an SDK encodes bodies and reports failures.

    Attributes:
        encode: Returns a body as JSON text; raises TypeError or ValueError for a value that it cannot encode.
        success: The HTTP statuses of an answer.
        to_transport_error: Returns the SDK's error for an error of the HTTP library and the request; the error itself
            if the SDK raises that.
        raise_status_error: Raises the SDK's error for a response of another status, whose body was read.
    """

    encode: Callable[[Any], str]
    success: range
    to_transport_error: Callable[[Exception, Any], Exception]
    raise_status_error: Callable[[Any], NoReturn]


class RequestTemplate:
    """The head of a request, without what belongs to one call. It holds the key, so it cannot be pickled."""

    __slots__ = ("_extensions", "_headers", "_request_class", "_stream_class", "_url", "direct")

    def __init__(self, library: ModuleType, request: Any) -> None:
        self._request_class = library.Request
        self._stream_class = library.ByteStream
        self._url = request.url
        self._headers = request.headers.copy()
        for name in ("Cookie", "Transfer-Encoding"):
            self._headers.pop(name, None)
        self._extensions = request.extensions
        self.direct: DirectTemplate | None = None

    def __reduce__(self) -> Any:
        raise TypeError("A RequestTemplate cannot be pickled, because it holds a key.")

    def build(self, content: bytes, cookies: Any) -> Any:
        """Return a request of the HTTP library.

        Args:
            content: The encoded body.
            cookies: The cookies of the HTTP client.
        """
        size = len(content)
        content = self._stream_class(content)  # a traceback may show local variables
        request = self._request_class(
            "POST", self._url, headers=self._headers, stream=content, extensions=self._extensions
        )
        request.headers["Content-Length"] = str(size)
        if cookies:
            cookies.set_cookie_header(request)
        return request

    def matches(self, request: Any) -> bool:
        """Whether `request` has the same head."""
        return self._url == request.url and _head(self._headers) == _head(request.headers)


class DirectRequest:
    """A prepared request as bytes.

    Args:
        template: Its template.
        payload: The bytes.
    """

    __slots__ = ("payload", "template")

    def __init__(self, template: RequestTemplate, payload: Payload) -> None:
        self.template = template
        self.payload = payload

    def to_request(self) -> Any:
        """Return it as a request of the HTTP library."""
        return self.template.build(self.payload.body, None)


def _head(headers: Any) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers.raw if name.lower() not in _OF_A_CALL]


class SdkClient:
    """A client of an SDK with its HTTP client and the requests that are prepared for it.

    Args:
        traits: How it encodes bodies and reports failures.
        library: The HTTP library of the SDK: httpx or httpx2.
        sdk: The client of the SDK.
        http: The HTTP client that it uses.
        prepares: Whether requests may be prepared; False sends them all through the SDK.
        hooks: The response hooks of the HTTP client after the response guard's, which a prepared request may skip.
    """

    __slots__ = ("_candidates", "_direct", "_library", "_prepares", "_templates", "_traits", "http", "sdk")

    def __init__(
        self,
        traits: SdkTraits,
        library: ModuleType,
        sdk: Any,
        http: Any,
        *,
        prepares: bool,
        hooks: Sequence[Callable[[Any], Any]] = (),
    ) -> None:
        self.sdk = sdk
        self.http = http
        self._traits = traits
        self._library = library
        self._prepares = prepares
        self._templates: dict[Any, RequestTemplate | None] = {}
        self._candidates: dict[Any, RequestTemplate] = {}
        has_transport = hasattr(getattr(http, "_transport", None), "exchange")
        self._direct = DirectSender(library, http, success=traits.success, hooks=hooks) if has_transport else None

    def prepare(self, key: Any, encoded: Encoded) -> Any:
        """Return the request to send, or None if the SDK has to build it.

        Args:
            key: The `template_key` of the request.
            encoded: The request.
        """
        if (template := self._templates.get(key)) is None:
            return None
        try:
            content = self._traits.encode(encoded.body).encode()
        except (TypeError, ValueError):  # the body is not plain JSON, and the SDK has an encoder of its own
            return None
        if template.direct is not None and self._direct is not None and self._direct.is_usable():
            return DirectRequest(template, template.direct.build(content))
        return template.build(content, self.http.cookies)

    def learn(self, key: Any, response: Any) -> None:
        """Prepare later requests from one that the SDK sent.

        Args:
            key: The `template_key` of the request.
            response: The HTTP response to it.
        """
        if not self._prepares or key in self._templates or response.history:
            return
        request = response.request
        if (candidate := self._candidates.pop(key, None)) is not None:
            self.keep(key, candidate if candidate.matches(request) else None)
        elif len(self._templates) + len(self._candidates) < MAX_TEMPLATES:
            self._candidates[key] = RequestTemplate(self._library, request)

    def keep(self, key: Any, template: RequestTemplate | None) -> None:
        """Use a template for later requests; None if their heads differ, so that the SDK builds them all."""
        if template is not None and self._direct is not None:
            template.direct = DirectTemplate.of(self.http, template.build(b"", None))
        self._templates[key] = template

    def send(self, request: Any, *, stream: bool) -> Any:
        """Send a prepared request; returns the response, and raises the SDK's errors."""
        direct = request if isinstance(request, DirectRequest) else None
        try:
            if direct is None or direct.template.direct is None or self._direct is None:
                response = self.http.send(request, stream=stream)
            else:
                response = self._direct.send(direct.template.direct, direct.payload, stream=stream)
                if isinstance(response, DirectResponse):
                    return response
                request = direct.to_request()
                response = self._direct.finish(response, request, stream=stream)
        except Exception as error:
            failure = self._traits.to_transport_error(error, request if direct is None else direct.to_request())
            if failure is error:
                raise
            raise failure from error
        if response.status_code not in self._traits.success:
            if not response.is_closed:
                response.read()
            self._traits.raise_status_error(response)
        return response

    async def asend(self, request: Any, *, stream: bool) -> Any:
        """Async variant of `send`."""
        direct = request if isinstance(request, DirectRequest) else None
        try:
            if direct is None or direct.template.direct is None or self._direct is None:
                response = await self.http.send(request, stream=stream)
            else:
                response = await self._direct.asend(direct.template.direct, direct.payload, stream=stream)
                if isinstance(response, DirectResponse):
                    return response
                request = direct.to_request()
                response = await self._direct.afinish(response, request, stream=stream)
        except Exception as error:
            failure = self._traits.to_transport_error(error, request if direct is None else direct.to_request())
            if failure is error:
                raise
            raise failure from error
        if response.status_code not in self._traits.success:
            if not response.is_closed:
                await response.aread()
            self._traits.raise_status_error(response)
        return response


def template_key(encoded: Encoded, *, stream: bool) -> Any:
    """Return what tells the heads of the requests to one client apart."""
    if not encoded.headers and not encoded.query:
        return encoded.path, stream
    return encoded.path, stream, tuple(encoded.headers.items()), tuple(encoded.query.items())


def is_untouched(client: Any, methods: Sequence[str], *, package: str, loggers: Sequence[str]) -> bool:
    """Whether nothing but the SDK needs to see the requests of its client.

    Args:
        client: The object of the SDK that sends requests.
        methods: Its methods through which each request goes; another library may have replaced them.
        package: The name of the outermost package of the SDK.
        loggers: The loggers to which the SDK writes its requests at level `DEBUG`.
    """
    return (
        os.environ.get(SWITCH) != "0"
        and not any(logging.getLogger(name).isEnabledFor(logging.DEBUG) for name in loggers)
        and all(is_defined_in(inspect.getattr_static(client, name, None), package) for name in methods)
    )
