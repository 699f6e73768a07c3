"""HTTP clients for the SDKs: each SDK's default client, changed to obey the current deadline."""

from __future__ import annotations

import functools
import importlib
import ssl
from types import ModuleType
from typing import Any

from multiroute_core.providers import aiohttp_transport, httptools_async_transport, httptools_transport
from multiroute_core.providers.response_guard import ACCEPTED_ENCODINGS, response_guard
from multiroute_core.runtime.sockets import obey, tidy


def family(client_class: type) -> ModuleType:
    """Returns the HTTP library of an SDK's client class: httpx, or httpx2 in newer SDKs."""
    for base in client_class.__mro__:
        name = base.__module__.partition(".")[0]
        if name in ("httpx", "httpx2"):
            return importlib.import_module(name)
    raise TypeError(f"{client_class.__name__} uses neither httpx nor httpx2.")


def client(client_class: type, **settings: Any) -> Any:
    """Create a client of `client_class` (sync or async) that shares one SSL context and obeys the current deadline.

    It sends through httptools where that is installed, an async one otherwise through aiohttp; see
    `httptools_transport`, `httptools_async_transport` and `aiohttp_transport`.
    """
    library = family(client_class)
    native = issubclass(client_class, library.AsyncClient)
    guard = response_guard(library.__name__)
    hook = guard.native if native else guard.blocking
    context = _ssl_context(library.__name__)
    http_client = _with_lazy_cookies(client_class)(
        verify=context,
        event_hooks={"response": [hook]},
        headers={"Accept-Encoding": ACCEPTED_ENCODINGS},
        **settings,
    )
    if native and aiohttp_transport.is_enabled():
        aiohttp_transport.use_aiohttp(http_client, library, context, settings.get("limits"))
    (tidy if native else obey)(http_client)
    if httptools_transport.is_enabled():
        if native:
            httptools_async_transport.use_httptools(http_client, library, context, settings.get("limits"))
        else:
            httptools_transport.use_httptools(http_client, library, settings.get("limits"))
    return http_client


@functools.cache
def _with_lazy_cookies(client_class: Any) -> Any:
    """Return a client class that looks for cookies only in responses that set some.

    httpx copies the headers of every request and response into the classes of `urllib` and `email`, for
    `http.cookiejar`: a seventh of the time of a whole request over the loopback interface.
    """
    library: Any = family(client_class)
    cookies_class: Any = library.Cookies

    class LazyCookies(cookies_class):
        def extract_cookies(self, response: Any) -> None:
            if any(name.lower() in _COOKIE_HEADERS for name, _ in response.headers.raw):
                cookies_class.extract_cookies(self, response)

    class Client(client_class):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._lazy_cookies = LazyCookies()
            client_class.__init__(self, *args, **kwargs)

        @property
        def cookies(self) -> Any:
            return self._lazy_cookies

        @cookies.setter
        def cookies(self, cookies: Any) -> None:
            self._lazy_cookies = LazyCookies(cookies)

    Client.__name__ = Client.__qualname__ = client_class.__name__
    return Client


_COOKIE_HEADERS = (b"set-cookie", b"set-cookie2")


@functools.cache
def _ssl_context(library: str) -> ssl.SSLContext:
    """Created once: loading the certificates takes 20 ms each time."""
    return importlib.import_module(library).create_ssl_context()
