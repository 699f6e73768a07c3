"""Base of the two Gemini providers: everything that does not depend on the SDK."""

from __future__ import annotations

from multiroute_core.errors import RouteError
from multiroute_core.messages import Api
from multiroute_core.providers import body, classify, history
from multiroute_core.providers.clients import Clients
from multiroute_core.providers.google import decode
from multiroute_core.providers.provider import Decoder, Encoded, Reply
from multiroute_core.providers.stated_cost import with_headers
from multiroute_core.route import Route
from multiroute_core.types import Delta

ENDPOINT = "https://generativelanguage.googleapis.com"
"""Google's own endpoint."""


class GeminiProvider:
    """What both SDKs share: the API, its decoders, the account and the clients' end.

    Args:
        api_key: The API key.
        address: The base URL in use; None for Google's endpoint.
    """

    _clients: Clients

    def __init__(self, api_key: str, address: str | None) -> None:
        self.api_key = api_key
        self._own = address is None or address.startswith(ENDPOINT)
        self.account = history.account_of(address or ENDPOINT, api_key)

    def api(self, route: Route) -> Api:
        """Return the API of the route."""
        return "google"

    def decode(self, reply: Reply, encoded: Encoded) -> Delta:
        """Decode a complete response."""
        delta = decode.decode(body.of(reply), encoded)
        return delta if self._own else with_headers(delta, reply.headers)

    def decoder(self, encoded: Encoded) -> Decoder:
        """Return a decoder for one stream."""
        return decode.GeminiDecoder(encoded)

    def classify(self, error: Exception) -> RouteError:
        """Convert an SDK error to a `RouteError`."""
        return classify.classify(error)

    def close(self) -> None:
        """Close the sync client."""
        self._clients.close()

    async def aclose(self) -> None:
        """Close the running loop's async client, if the SDK has one, and the sync client."""
        await self._clients.aclose()
        self._clients.close()
