"""Providers: request encoding, response decoding and transport for each LLM API.

One folder or file per provider; `registry` looks them up by name.
"""

from typing import TYPE_CHECKING

from multiroute_core._util.lazy import attach

if TYPE_CHECKING:
    from multiroute_core.providers.models import Model
    from multiroute_core.providers.provider import Decoder, Done, Encoded, Provider, Reply
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "models": "Model",
            "provider": "Decoder Done Encoded Provider Reply",
        },
    )

__all__ = [
    "Decoder",
    "Done",
    "Encoded",
    "Model",
    "Provider",
    "Reply",
]
