"""Addresses that are nearly right: why a server has no list of models."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from multiroute_core._util.redaction import redact_url
from multiroute_core.messages import Api
from multiroute_core.providers import registry
from multiroute_core.providers.model_list import fetch_models
from multiroute_core.route import Route
from multiroute_core.runtime.deadline import Deadline
from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO

_ENDPOINT = re.compile(r"(?:/chat/completions|/completions|/responses|/messages|/models(?:/[^/]*)?)/?\Z")
"""The paths that an SDK appends to its address."""


def explain_address(route: Route, api: Api, limit: Deadline) -> str:
    """Return what is wrong with the address of a server that has no list of models; empty if nothing is known.

    Args:
        route: The route, with a key.
        api: Its API.
        limit: The deadline of a request to the address that may be meant.
    """
    address = route.base_url
    if address is None or urlsplit(address).query:
        return ""
    shown = redact_url(address)
    if (match := _ENDPOINT.search(urlsplit(address).path)) is not None:
        return f"{shown} ends with the path of a request, which the SDK adds; leave {match[0]!r} out."
    bare = address.rstrip("/")
    meant = bare.removesuffix("/v1") if bare.endswith("/v1") else f"{bare}/v1"
    provider = registry.build(
        Route(
            f"{route.provider}:{route.model}",
            base_url=meant,
            api_key=registry.api_key(route),
            api=route.api,
            sdk=route.sdk,
        )
    )
    try:
        models = run(fetch_models(provider, api, SyncIO(), limit))
    except Exception:  # it is a guess
        models = None
    return f"{shown} has no list of models, and {redact_url(meant)} has one; is that the address?" if models else ""
