"""Provider adapter for OpenAI and compatible servers: Chat Completions, or Responses if a model of OpenAI needs it."""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from multiroute_core.errors import RouteError
from multiroute_core.messages import Api
from multiroute_core.providers import body, classify, history, models
from multiroute_core.providers.openai import chat, chat_answer, responses, responses_answer
from multiroute_core.providers.openai.prompt_cache import takes_prompt_cache_key
from multiroute_core.providers.provider import Decoder, Encoded, Reply
from multiroute_core.providers.stainless import StainlessTransport
from multiroute_core.providers.stated_cost import with_headers
from multiroute_core.providers.token_counts import to_openai_count
from multiroute_core.route import Route
from multiroute_core.types import Delta, Request

OWN_HOST = "api.openai.com"
ENCODE = {"chat": chat.encode, "responses": responses.encode}
DECODE = {"/chat/completions": chat_answer.decode, "/responses": responses_answer.decode}
DECODERS = {"/chat/completions": chat_answer.ChatDecoder, "/responses": responses_answer.ResponsesDecoder}


class OpenAIProvider(StainlessTransport):
    """OpenAI, or a server with a compatible API at `base_url`.

    Args:
        api_key: The API key; a self-hosted server often needs none, then any string works.
        base_url: Usually ends with `/v1`; None for OpenAI's endpoint.
    """

    _is_openai = True

    def __init__(self, api_key: str, base_url: str | None) -> None:
        sdk = importlib.import_module("openai")
        settings = {"api_key": api_key, "base_url": base_url, "default_headers": self._headers(sdk, api_key)}
        super().__init__(sdk, sdk.OpenAI, sdk.AsyncOpenAI, settings)
        address = base_url or f"https://{OWN_HOST}/v1"
        self._has_cache_key = self._is_openai and takes_prompt_cache_key(address)
        self._own = urlsplit(address).hostname == OWN_HOST
        self.api_key = api_key
        self.account = history.account_of(address, api_key)

    def api(self, route: Route) -> Api:
        """Return the API of the route."""
        return "openai.responses" if self._api(route) == "responses" else "openai.chat"

    def encode(self, request: Request, route: Route, *, stream: bool) -> Encoded:
        """Encode the request for the API that the route uses."""
        traits = models.lookup(route.provider, route.model)
        return ENCODE[self._api(route)](
            request, route.model, traits, stream=stream, account=self.account, has_cache_key=self._has_cache_key
        )

    def encode_count(self, request: Request, route: Route) -> Encoded | None:
        """Encode the body of `POST /responses/input_tokens`; None for a server that may not have it."""
        if not self._own and self._api(route) != "responses":
            return None
        traits = models.lookup(route.provider, route.model)
        return to_openai_count(responses.encode(request, route.model, traits, stream=False, account=self.account))

    def decode(self, reply: Reply, encoded: Encoded) -> Delta:
        """Decode a complete response."""
        delta = DECODE[encoded.path](body.of(reply), encoded)
        return delta if self._own else with_headers(delta, reply.headers)

    def decoder(self, encoded: Encoded) -> Decoder:
        """Return a decoder for one stream."""
        return DECODERS[encoded.path](encoded)

    def classify(self, error: Exception) -> RouteError:
        """Convert an SDK error to a `RouteError`."""
        return classify.classify(error)

    def _headers(self, sdk: ModuleType, api_key: str) -> dict[str, Any]:
        """Return headers that take precedence over those that the SDK reads from the environment."""
        return {}

    def _api(self, route: Route) -> str:
        needed = models.lookup(route.provider, route.model).api if self._own else "chat"
        return route.api or needed


class CompatibleProvider(OpenAIProvider):
    """Another vendor's server with OpenAI's Chat Completions API.

    The SDK sends what the environment sets for an account of OpenAI, `OPENAI_ORG_ID`, `OPENAI_PROJECT_ID` and
    `OPENAI_CUSTOM_HEADERS`, to every address, and an `Authorization` among the latter replaces the given key (openai
    2.x, `_client.py`, read 2026-11-29). None of it concerns another vendor, so it is left out.
    """

    _is_openai = False

    def _headers(self, sdk: ModuleType, api_key: str) -> dict[str, Any]:
        lines = os.environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n")
        names = [name.strip() for name, colon, _ in (line.partition(":") for line in lines) if colon]
        headers: dict[str, Any] = dict.fromkeys(("OpenAI-Organization", "OpenAI-Project", *names), sdk.Omit())
        headers |= {name: f"Bearer {api_key}" for name in names if name.lower() == "authorization"}
        return headers
