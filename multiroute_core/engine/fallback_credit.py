"""Fallback credit of a refusal, for the retry on another model of the same provider."""

from __future__ import annotations

from dataclasses import replace

from multiroute_core.engine.attempt import AttemptRunner
from multiroute_core.providers.anthropic.credit import read_credit
from multiroute_core.types import Request


def with_fallback_credit(request: Request, refused: AttemptRunner) -> Request:
    """Return the request with the credit that a refusal carries; the same object without one, or without the option."""
    caching = request.prompt_cache
    if caching is None or not caching.mode:
        return request
    credit = read_credit(refused.route.provider, refused.raw, refused.encoded.account, refused.route.model)
    return request if credit is None else replace(request, prompt_cache=replace(caching, credit=credit))
