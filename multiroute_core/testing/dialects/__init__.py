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

from multiroute_core.testing.dialects.catalogue import DIALECTS, FAILURES, Dialect, failures_of
from multiroute_core.testing.dialects.provider import DialectProvider, Failure, dialect_route
from multiroute_core.testing.dialects.server import DialectServer

__all__ = [
    "DIALECTS",
    "FAILURES",
    "Dialect",
    "DialectProvider",
    "DialectServer",
    "Failure",
    "dialect_route",
    "failures_of",
]
