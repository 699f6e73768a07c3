"""Prepared requests: what the SDK builds anew for every call, its headers, URL and timeouts, is built once and reused.

How this works: an SDK's `post` spends more time on its request than the HTTP client needs to send it. So the first two
calls go through `post`. If both sent the same head, it becomes a template: from then on a call adds its body to a copy
and sends that through the same HTTP client, with its proxies, certificates, cookies, redirects and hooks. So a prepared
request equals the SDK's own but for the body, byte for byte, and errors become the SDK's own.

A template belongs to one client of the SDK and to one path, query, set of headers, and streaming or not. The SDK's
`post` is still used for a body that is not plain JSON, for a key that is a function, while the SDK logs its requests,
and where another library has replaced its methods, as tracers do.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from multiroute_core._util.origin import is_defined_in
from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.providers.direct_calls import DirectResponse, DirectSender, DirectTemplate
from multiroute_core.providers.httptools_transport import Payload
from multiroute_core.providers.provider import Encoded

SWITCH = "MULTIROUTE_PREPARED_REQUESTS"
"""The environment variable that disables prepared requests if it is `0`; read when a client is created."""

MAX_TEMPLATES = 32
"""Templates kept for a client: a header or a query that changes with every call must not fill the memory."""

_encode: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
"""Encodes a body as the SDKs and httpx do."""

_OF_A_CALL = frozenset((b"content-length", b"cookie", b"transfer-encoding"))
"""Headers that the HTTP client adds to each request."""


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

    def build(self, body: Mapping[str, Any], cookies: Any) -> Any:
        """Return a request of the HTTP library.

        Args:
            body: The body; a value that is not plain JSON raises TypeError.
            cookies: The cookies of the HTTP client.
        """
        return self.build_from(_encode(body).encode(), cookies)

    def build_from(self, content: bytes, cookies: Any) -> Any:
        """Return a request of the HTTP library with an encoded body."""
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
        return self.template.build_from(self.payload.body, None)


def _head(headers: Any) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers.raw if name.lower() not in _OF_A_CALL]


class SdkClient:
    """A client of an SDK with its HTTP client and the requests that are prepared for it.

    Args:
        module: The module of the SDK.
        library: The HTTP library of the SDK: httpx or httpx2.
        sdk: The client of the SDK.
        http: The HTTP client that it uses.
        api_key: The key; a function, which the SDK calls for every request, prevents prepared requests.
    """

    __slots__ = ("_candidates", "_direct", "_library", "_module", "_prepares", "_templates", "http", "sdk")

    def __init__(self, module: ModuleType, library: ModuleType, sdk: Any, http: Any, api_key: Any) -> None:
        self.sdk = sdk
        self.http = http
        self._module = module
        self._library = library
        self._prepares = isinstance(api_key, str) and _is_untouched(sdk, module)
        self._templates: dict[Any, RequestTemplate | None] = {}
        self._candidates: dict[Any, RequestTemplate] = {}
        has_transport = hasattr(getattr(http, "_transport", None), "exchange")
        self._direct = DirectSender(library, http) if has_transport else None

    def prepare(self, key: Any, encoded: Encoded) -> Any:
        """Return the request to send, or None if the SDK has to build it.

        Args:
            key: The `template_key` of the request.
            encoded: The request.
        """
        if (template := self._templates.get(key)) is None:
            return None
        try:
            if template.direct is not None and self._direct is not None and self._direct.is_usable():
                return DirectRequest(template, template.direct.build(_encode(encoded.body).encode()))
            return template.build(encoded.body, self.http.cookies)
        except TypeError:  # the body is not plain JSON, and the SDK has an encoder of its own
            return None

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
            template.direct = DirectTemplate.of(self.http, template.build_from(b"", None))
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
            if direct is not None:
                request = direct.to_request()
            raise self._transport_error(error, request) from error
        if response.is_success:
            return response
        if not response.is_closed:
            response.read()
        raise self._status_error(response)

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
            if direct is not None:
                request = direct.to_request()
            raise self._transport_error(error, request) from error
        if response.is_success:
            return response
        if not response.is_closed:
            await response.aread()
        raise self._status_error(response)

    def _transport_error(self, error: Exception, request: Any) -> Exception:
        is_timeout = isinstance(error, self._library.TimeoutException)
        return (self._module.APITimeoutError if is_timeout else self._module.APIConnectionError)(request=request)

    def _status_error(self, response: Any) -> Exception:
        build = getattr(self.sdk, "_make_status_error_from_response", None)
        if build is not None:
            return build(response)
        return self._module.APIStatusError(f"Error code: {response.status_code}", response=response, body=response.text)


def template_key(encoded: Encoded, *, stream: bool) -> Any:
    """Return what tells the heads of the requests to one client apart."""
    if not encoded.headers and not encoded.query:
        return encoded.path, stream
    return encoded.path, stream, tuple(encoded.headers.items()), tuple(encoded.query.items())


def _is_untouched(client: Any, module: ModuleType) -> bool:
    """Whether nothing but the SDK needs to see the requests of its client."""
    return (
        os.environ.get(SWITCH) != "0"
        and not logging.getLogger(module.__name__).isEnabledFor(logging.DEBUG)
        and all(_is_own(client, module, name) for name in ("post", "request"))
    )


def _is_own(client: Any, module: ModuleType, name: str) -> bool:
    method = inspect.getattr_static(client, name, None)
    return is_defined_in(method, module.__name__)
