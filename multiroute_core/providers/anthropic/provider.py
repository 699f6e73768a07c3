"""Provider adapter for Anthropic's Messages API, built on the `anthropic` SDK."""

from __future__ import annotations

import importlib

from multiroute_core.errors import RouteError
from multiroute_core.messages import Api
from multiroute_core.providers import classify, history, models
from multiroute_core.providers.anthropic import decode, encode
from multiroute_core.providers.anthropic.credit import is_own_address
from multiroute_core.providers.provider import Decoder, Encoded, Reply
from multiroute_core.providers.stainless import StainlessTransport
from multiroute_core.providers.stated_cost import with_headers
from multiroute_core.providers.token_counts import to_anthropic_count
from multiroute_core.route import Route
from multiroute_core.types import Delta, Request


class AnthropicProvider(StainlessTransport):
    """Anthropic, or a server with a compatible API at `base_url` (without `/v1`)."""

    def __init__(self, api_key: str, base_url: str | None) -> None:
        sdk = importlib.import_module("anthropic")
        super().__init__(sdk, sdk.Anthropic, sdk.AsyncAnthropic, {"api_key": api_key, "base_url": base_url})
        address = base_url or "https://api.anthropic.com"
        self.api_key = api_key
        self.account = history.account_of(address, api_key)
        self._own = is_own_address(address)

    def api(self, route: Route) -> Api:
        """Return the API of the route."""
        return "anthropic"

    def encode(self, request: Request, route: Route, *, stream: bool) -> Encoded:
        """Encode the body of `POST /v1/messages`."""
        traits = models.lookup("anthropic", route.model)
        return encode.encode(request, route.model, traits, stream=stream, account=self.account, own_address=self._own)

    def encode_count(self, request: Request, route: Route) -> Encoded:
        """Encode the body of `POST /v1/messages/count_tokens`."""
        return to_anthropic_count(self.encode(request, route, stream=False))

    def decode(self, reply: Reply, encoded: Encoded) -> Delta:
        """Decode a complete message."""
        delta = decode.decode(reply, encoded)
        return delta if self._own else with_headers(delta, reply.headers)

    def decoder(self, encoded: Encoded) -> Decoder:
        """Return a decoder for one stream."""
        return decode.MessagesDecoder(encoded)

    def classify(self, error: Exception) -> RouteError:
        """Convert an SDK error to a `RouteError`."""
        return classify.classify(error)
