"""The parts of Starlette that serving uses, with a sentence if it is not installed."""

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
]
