"""HTTP clients for the SDKs: the SDK's own default client, made to obey the current time limit."""

from __future__ import annotations

import functools
import importlib
import ssl
import weakref
from types import ModuleType
from typing import Any

from multiroute_core.drive.limit import Limit, current
from multiroute_core.drive.sockets import obey, tidy


def family(client_class: type) -> ModuleType:
    """The HTTP library under an SDK's client class: httpx, or httpx2 in the newer ones."""
    for base in client_class.__mro__:
        name = base.__module__.partition(".")[0]
        if name in ("httpx", "httpx2"):
            return importlib.import_module(name)
    raise TypeError(f"{client_class.__name__} is built on neither httpx nor httpx2.")


def client(client_class: type, **settings: Any) -> Any:
    """A client of `client_class` (sync or async) that shares one SSL context and obeys the current limit."""
    library = family(client_class)
    native = issubclass(client_class, library.AsyncClient)
    watch = _body_watch(library.__name__)
    hook = watch.native if native else watch.blocking
    made = client_class(verify=_ssl_context(library.__name__), event_hooks={"response": [hook]}, **settings)
    (tidy if native else obey)(made)
    return made


@functools.cache
def _ssl_context(library: str) -> ssl.SSLContext:
    """Made once: reading the certificates takes 20 ms each time."""
    return importlib.import_module(library).create_ssl_context()


class _BodyWatch:
    """Response hooks that leave a provider which answers a plain request with a heartbeat and no answer.

    Between a plain reply's headers and the `{` or `[` that begins its JSON, some servers send blank lines to keep the
    connection alive. That counts as waiting for the first token, not as an answer on its way.
    """

    def __init__(self, library: ModuleType) -> None:
        class Body(library.SyncByteStream, library.AsyncByteStream):
            def __init__(self, inner: Any, limit: Limit, after: tuple[str, float, float]) -> None:
                # Not the limit itself: a response and its stream hold each other, and with it they would keep a call.
                self.inner, self.limit, self.after = inner, weakref.ref(limit), after

            def __iter__(self) -> Any:
                for chunk in self.inner:
                    self.seen(chunk)
                    yield chunk

            async def __aiter__(self) -> Any:
                async for chunk in self.inner:
                    self.seen(chunk)
                    yield chunk

            def seen(self, chunk: bytes) -> None:
                if self.after and chunk.lstrip()[:1] in (b"{", b"["):
                    if (limit := self.limit()) is not None:
                        limit.set(*self.after)
                    self.after = ()

            def close(self) -> None:
                self.inner.close()

            async def aclose(self) -> None:
                await self.inner.aclose()

        self._body = Body

    def blocking(self, response: Any) -> None:
        limit = current.get()
        if limit is None or limit.body_within is None or "content-encoding" in response.headers:
            return
        until = limit.clock() + limit.body_within
        if until < limit.until:
            after = (limit.phase, limit.until, limit.allowed)
            limit.set("the first token of the answer", until, limit.body_within)
            response.stream = self._body(response.stream, limit, after)

    async def native(self, response: Any) -> None:
        self.blocking(response)


@functools.cache
def _body_watch(library: str) -> _BodyWatch:
    return _BodyWatch(importlib.import_module(library))
