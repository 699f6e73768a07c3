"""Serving: a router behind HTTP.

`streaming` and `errors` are for applications of your own; `app` is a server that speaks OpenAI's and Anthropic's APIs,
and `command` starts it. They need the extra `serve`.

Example:
    >>> from multiroute_core import Router
    >>> app = build_app(Router(["openai:gpt-6.1-sol", "anthropic:claude-sonnet-5-5"]))  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

from multiroute_core._util.lazy import attach

if TYPE_CHECKING:
    from multiroute_core.serving.app import build_app
    from multiroute_core.serving.call import EventWriter, Metrics, ServedRouter
    from multiroute_core.serving.encoding.events import ChunkWriter
    from multiroute_core.serving.errors import HTTPFailure, http_error
    from multiroute_core.serving.keys import ApiKeys, create_key, hash_key
    from multiroute_core.serving.streaming import EventStream, event_stream
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "app": "build_app",
            "call": "EventWriter Metrics ServedRouter",
            "encoding.events": "ChunkWriter",
            "errors": "HTTPFailure http_error",
            "keys": "ApiKeys create_key hash_key",
            "streaming": "EventStream event_stream",
        },
    )

__all__ = [
    "ApiKeys",
    "ChunkWriter",
    "EventStream",
    "EventWriter",
    "HTTPFailure",
    "Metrics",
    "ServedRouter",
    "build_app",
    "create_key",
    "event_stream",
    "hash_key",
    "http_error",
]
