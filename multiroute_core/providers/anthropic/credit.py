"""Fallback credit: a refusal's token, which lets another model of Anthropic's read the refused prompt at cache prices.

A prompt cache belongs to one model, so the retry of a refused request on another model would write it again. With the
beta header, a refusal carries a token in `stop_details`; a retry of the same body within five minutes, by the same
workspace, presents it, and its cache writes are billed as reads. `best_effort` serves the retry at the normal price if
the token is not accepted. Sources: https://platform.claude.com/docs/en/build-with-claude/fallback-credit (2026-11-30);
anthropic 2.14, `types/beta/beta_fallback_credit_token_param.py` and `types/beta/beta_refusal_stop_details.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from multiroute_core.providers.body import mapping, word
from multiroute_core.tools import FallbackCredit, PromptCaching

BETA = "fallback-credit-2026-07-01"
"""The beta flag that grants the token, and the object form in which it is sent back."""

_HOST = "api.anthropic.com"
"""Other servers with this API may reject a beta flag that they do not know."""

_MODELS = re.compile(r"claude-(?:fable|mythos|opus|sonnet|haiku)-[5-9]")
"""Models from version 5 on, which may refuse by policy or take over after a refusal."""


def is_own_address(base_url: str | None) -> bool:
    """Return whether an address is Anthropic's own."""
    return base_url is None or urlsplit(base_url).hostname == _HOST


def grants_credit(model: str, caching: PromptCaching | None, *, own_address: bool) -> bool:
    """Return whether the beta flag is sent: with `prompt_cache`, to Anthropic itself, for a model that has credits."""
    return own_address and caching is not None and bool(caching.mode) and _MODELS.match(model) is not None


def redeem_credit(
    model: str, account: str | None, caching: PromptCaching | None, betas: Iterable[str]
) -> dict[str, Any] | None:
    """Return the body's `fallback_credit_token`; None without a credit of this account for another model."""
    credit = None if caching is None else caching.credit
    if credit is None or credit.account != account or credit.model == model or BETA not in betas:
        return None
    return {"token": credit.token, "mode": "best_effort"}


def read_credit(provider: str, raw: Any, account: str | None, model: str) -> FallbackCredit | None:
    """Return the credit of a refusal; None if the answer carries none.

    Args:
        provider: The provider of the answer.
        raw: Its body, or the part of it that a stream ends with.
        account: Digest of the account that was asked.
        model: The model that refused.
    """
    if provider != "anthropic" or account is None:
        return None
    details = mapping(mapping(raw).get("stop_details"))
    token = word(details.get("fallback_credit_token"))
    return FallbackCredit(token, account, model) if token and details.get("type") == "refusal" else None
