"""Provider dialects for tests: how servers of one API differ in what they really send.

Each dialect responds in its API as real servers of that kind do: where and under which names usage is reported, which
model name a response has, what a failure under HTTP 200 looks like, how a stream starts and ends. The provider's real
decoder reads it.

Example:
    >>> from multiroute_core import Router
    >>> router = Router([dialect_route("openrouter", Failure("choice_error")), dialect_route("xai")])
    >>> router.generate("Hello").route
    'xai'

    In front of an application or a gateway, over a real socket:

    >>> with DialectServer("groq") as server:
    ...     Router([server.route()]).generate("Hello").usage.input_tokens
    2
"""

from typing import TYPE_CHECKING

from multiroute_core._util.lazy import attach

if TYPE_CHECKING:
    from multiroute_core.testing.dialects.catalogue import DIALECTS, FAILURES, Dialect, Place, failures_of
    from multiroute_core.testing.dialects.provider import DialectProvider, Failure, dialect_route
    from multiroute_core.testing.dialects.server import DialectServer
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "catalogue": "DIALECTS FAILURES Dialect Place failures_of",
            "provider": "DialectProvider Failure dialect_route",
            "server": "DialectServer",
        },
    )

__all__ = [
    "DIALECTS",
    "FAILURES",
    "Dialect",
    "DialectProvider",
    "DialectServer",
    "Failure",
    "Place",
    "dialect_route",
    "failures_of",
]
