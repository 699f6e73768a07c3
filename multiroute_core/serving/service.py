"""The service behind all transports: finds the API of a path, reads a call, and writes what comes back.

It knows neither sockets nor an event loop. `app` puts it behind HTTP, `in_process` behind a client in the same process.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import quote

from multiroute_core._util.json_text import NO_JSON, decode_json
from multiroute_core.route import Route
from multiroute_core.serving.call import JSON, EventWriter, ServedCall, ServedRouter
from multiroute_core.serving.decoding import chat as chat_requests
from multiroute_core.serving.decoding import messages as message_requests
from multiroute_core.serving.decoding import responses as response_requests
from multiroute_core.serving.encoding import chat, messages, responses
from multiroute_core.serving.encoding.response_events import ResponsesWriter
from multiroute_core.serving.errors import HTTPFailure, refuse
from multiroute_core.serving.keys import ApiKeys
from multiroute_core.types import Response

AUTOMATIC = ("auto", "multiroute")
"""Model names that leave the choice to the router."""

_TEXT = re.compile(r"[\x20-\x7e\u00a0-\uffff]{1,256}")
_PRIORITIES = ("interactive", "batch")


@dataclass(frozen=True, slots=True)
class Api:
    """One API: its reader and its writers."""

    read: Callable[[Mapping[str, Any]], ServedCall]
    write: Callable[[Response, ServedCall], JSON]
    writer: Callable[[ServedCall], EventWriter]
    is_anthropic: bool = False

    def status_of(self, failure: HTTPFailure) -> int:
        """Return the status of an error; Anthropic has one of its own for a model without capacity."""
        return 529 if self.is_anthropic and failure.code == "overloaded" else failure.status

    def write_error(self, failure: HTTPFailure, request_id: str | None) -> JSON:
        """Return the body of an error."""
        return failure.to_anthropic(request_id) if self.is_anthropic else failure.to_openai()


CHAT = Api(chat_requests.read, chat.write, chat.ChatWriter)
RESPONSES = Api(response_requests.read, responses.write, ResponsesWriter)
MESSAGES = Api(message_requests.read, messages.write, messages.MessagesWriter, is_anthropic=True)

TOKEN_COUNTS = Api(message_requests.read_count, messages.write, messages.MessagesWriter, is_anthropic=True)
"""Reads requests that count tokens; there is nothing to stream."""

APIS: Mapping[str, Api] = {
    "/v1/chat/completions": CHAT,
    "/v1/responses": RESPONSES,
    "/v1/messages": MESSAGES,
}


def find_api(path: str) -> Api:
    """Return the API whose format a path's errors have; OpenAI's for unknown paths."""
    return MESSAGES if path.startswith("/v1/messages") else APIS.get(path, CHAT)


class ModelCatalogue:
    """The models that a client may name: tags of routes, routes, their models, and `auto`.

    Args:
        routes: The routes.

    Attributes:
        routes: The routes.
        owners: The provider of each name.
        tags: The names that are tags: all routes with the tag may answer, which is a model group of other gateways.
        aliases: Further names, which are not listed.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = routes
        self.owners: dict[str, str] = dict.fromkeys(AUTOMATIC[:1], "multiroute")
        for route in routes:
            self.owners.setdefault(route.name, route.provider)
            self.owners.setdefault(route.model, route.provider)
        self.tags = {tag for route in routes for tag in route.tags}
        self.owners |= {tag: "multiroute" for tag in sorted(self.tags) if tag not in self.owners}
        self.aliases = {f"{route.provider}:{route.model}" for route in routes}


class Service:
    """Reads calls for a router.

    Args:
        router: The router.
        keys: The accepted keys; None accepts every call.
    """

    def __init__(self, router: ServedRouter, keys: ApiKeys | None = None) -> None:
        self.router = router
        self.keys = keys
        self._catalogue = ModelCatalogue(router.routes)

    @property
    def catalogue(self) -> ModelCatalogue:
        """The models of the router, which may have been reloaded."""
        if self._catalogue.routes is not (routes := self.router.routes):
            self._catalogue = ModelCatalogue(routes)
        return self._catalogue

    def authenticate(self, headers: Mapping[str, str]) -> str | None:
        """Return the tenant of the key in a request; None if every call is accepted.

        Raises:
            RefusedCall: The key is missing or unknown.
        """
        if self.keys is None:
            return None
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        key = (bearer.strip() if scheme.lower() == "bearer" else "") or headers.get("x-api-key", "")
        if not key:
            raise refuse("There is no API key; send it as 'Authorization: Bearer KEY' or 'x-api-key: KEY'.", status=401)
        if (tenant := self.keys.find_tenant(key)) is None:
            raise refuse("The API key is not valid.", status=401, code="invalid_api_key")
        return tenant

    def read_call(self, api: Api, headers: Mapping[str, str], body: bytes, tenant: str | None = None) -> ServedCall:
        """Read a call from the headers (with names in lower case) and the body of a request.

        Args:
            api: The API.
            headers: The headers.
            body: The body.
            tenant: The tenant of the key, which wins over the header.

        Raises:
            RefusedCall: Something in it is not valid.
        """
        call = api.read(_parse_body(headers, body))
        # These APIs cannot withdraw what a client has received.
        restarts = self.router.options.on_stream_error == "restart"
        defaults: JSON = {"on_stream_error": "raise"} if restarts else {}
        options = {**defaults, **call.options, **_read_headers(headers)}
        if tenant is not None:
            options["tenant"] = tenant
        if call.model not in AUTOMATIC:
            catalogue = self.catalogue
            if call.model not in catalogue.owners and call.model not in catalogue.aliases:
                raise refuse(
                    f"The model {call.model[:100]!r} does not exist; GET /v1/models lists the models, and 'auto' lets "
                    "the router choose.",
                    status=404,
                    param="model",
                    code="model_not_found",
                )
            if call.model in catalogue.tags:  # before a route of that name: the tag has its backups too
                options["route_tags"] = {call.model}
            else:
                options["model"] = call.model
        return replace(call, options=options)

    def list_models(self) -> JSON:
        """Return the models in a form that OpenAI's and Anthropic's clients read."""
        entries = [_describe(name, owner) for name, owner in self.catalogue.owners.items()]
        ends = {"has_more": False, "first_id": entries[0]["id"], "last_id": entries[-1]["id"]}
        return {"object": "list", "data": entries, **ends}

    def describe_model(self, name: str) -> JSON:
        """Return one model.

        Raises:
            RefusedCall: It does not exist.
        """
        if (owner := self.catalogue.owners.get(name)) is None:
            raise refuse(f"The model {name[:100]!r} does not exist.", status=404, param="model", code="model_not_found")
        return _describe(name, owner)


def _describe(name: str, owner: str) -> JSON:
    openai = {"id": name, "object": "model", "created": 0, "owned_by": owner}
    return {**openai, "type": "model", "display_name": name, "created_at": "1970-01-01T00:00:00Z"}


def write_headers(response: Response) -> dict[str, str]:
    """Return the response headers that say how a response was obtained."""
    headers = {
        "x-multiroute-route": quote(response.route, safe=" :/@+-._~()[]"),
        "x-multiroute-attempts": str(len(response.attempts)),
    }
    if response.cost is not None:
        headers["x-multiroute-cost"] = f"{response.cost:.10g}"
    if response.cached:
        headers["x-multiroute-cached"] = "true"
    return headers


def _parse_body(headers: Mapping[str, str], body: bytes) -> JSON:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    # A page on another site can send any other type to this server without asking: https://fetch.spec.whatwg.org
    # /#cors-safelisted-request-header (2026-11-30).
    if kind != "application/json":
        raise refuse("The content-type must be 'application/json'.", status=415)
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise refuse("A compressed body is not supported; leave 'content-encoding' out.", status=415)
    try:
        value = decode_json(body)
    except NO_JSON as error:
        raise refuse(f"The body is not valid JSON: {_explain(error)}.") from None
    if not isinstance(value, dict):
        raise refuse("The body is not a JSON object.")
    return cast("JSON", value)


def _explain(error: Exception) -> str:
    """Return what is wrong with a JSON text; nothing of it is quoted."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return str(error).removeprefix("JSON is malformed: ").partition(" - at ")[0].lower()


def _read_headers(headers: Mapping[str, str]) -> JSON:
    """Return the options of a call that its headers set."""
    options: JSON = {}
    for name in ("tenant", "task"):
        if (text := _read_text(headers, name)) is not None:
            options[name] = text
    if (text := _read_text(headers, "labels")) is not None:
        options["labels"] = [label for one in text.split(",") if (label := one.strip())]
    if (text := _read_text(headers, "priority")) is not None:
        if text not in _PRIORITIES:
            raise refuse("x-multiroute-priority is not valid; expected 'interactive' or 'batch'.")
        options["priority"] = text
    if (text := _read_text(headers, "deadline")) is not None:
        options["deadline"] = _read_seconds(text)
    return options


def _read_text(headers: Mapping[str, str], name: str) -> str | None:
    value = headers.get(f"x-multiroute-{name}")
    if value is not None and not value.isascii():
        # Servers read a header as Latin-1 (RFC 9110, section 5.5); many clients, such as curl, send UTF-8.
        with contextlib.suppress(UnicodeError):
            value = value.encode("latin-1").decode()
    if value is not None and not _TEXT.fullmatch(value):
        raise refuse(f"x-multiroute-{name} is not valid; expected 1 to 256 printable characters.")
    return value


def _read_seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise refuse("x-multiroute-deadline is not valid; expected a number of seconds greater than 0.")
    return value
