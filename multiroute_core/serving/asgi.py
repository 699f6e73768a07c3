"""The parts of Starlette that serving uses, with a sentence if it is not installed, and the path of a request."""

from multiroute_core.errors import ConfigurationError

try:
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
except ImportError as error:  # pragma: no cover  (the tests install it)
    raise ConfigurationError(
        f"Serving needs a package that is not installed ({error}); run: pip install 'multiroute-llm[serve]'"
    ) from error

__all__ = [
    "ASGIApp",
    "ClientDisconnect",
    "JSONResponse",
    "Message",
    "Middleware",
    "Receive",
    "Request",
    "Response",
    "Route",
    "Scope",
    "Send",
    "Starlette",
    "find_path",
]


def find_path(scope: Scope) -> str:
    """Return the path of a request within the application, which may be mounted below another path.

    By ASGI the path includes the `root_path`, but not every server puts it there
    (https://asgi.readthedocs.io/en/latest/specs/www.html#http-connection-scope, read 2026-12-01).
    """
    path: str = scope["path"]
    rest = path.removeprefix(scope.get("root_path", ""))
    return rest if rest.startswith("/") else path
