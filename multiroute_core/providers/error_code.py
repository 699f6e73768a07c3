"""Error code of a provider, if it is safe to log.

Bodies also come from gateways and self-hosted servers, which may echo the prompt or the key in any field. A pattern
alone does not prevent a leak: a key also matches `[A-Za-z0-9_.-]{1,40}`. So a code is returned only if each of its
words belongs to the vocabulary of error codes; then it cannot contain user text.

The words are those of the codes in:
    https://platform.claude.com/docs/en/api/errors (2026-11)
    https://platform.openai.com/docs/guides/error-codes (2026-11)
    https://github.com/googleapis/googleapis/blob/master/google/api/error_reason.proto, google/rpc/code.proto (2026-11)
    https://novita.ai/docs/api-reference/basic-error-code (2026-11)
and of Azure's and Bedrock's codes for the same errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from multiroute_core.errors import RouteError
from multiroute_core.resilience.failure import Failure

_CODE = re.compile(r"[A-Za-z_.-]{3,40}")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_VOCABULARY = """
    aborted access account action address admin allowed already an api argument auth authentication authorization
    authorized bad balance billing blocked budget busy cancelled capacity closed completion condition conflict
    connection consumer content context credential credentials credit credits daily data day deactivated deadline
    denied deployment deprecated disabled does enabled endpoint engine enough error exceed exceeded exceeds exception
    exhausted exist exists expired failed failure feature filter forbidden found free gateway hard header high http in
    incorrect insufficient internal invalid ip is key length limit limited load loading location long loss made many
    max maximum method minute missing model models monthly no not of on operation or org organization out overloaded
    owner parameter param payment per permission plan policy precondition processing project provider quota range rate
    ratelimit reached ready referrer refused region rejected request requests required resource resources restricted
    restriction retired revoked scope security server service size soft spend spending state status subscription
    supported suspended temporarily tenant throttled throttling tier timeout token tokens too type unauthenticated
    unauthorized unavailable unimplemented unknown unprocessable unsupported upstream url usage use user validation
    version violated violation visible wrong
"""
_WORDS = frozenset(_VOCABULARY.split())
_SAYS_NOTHING = frozenset({"error", "exception"})
_LEVELS = 4


def failure_of(error: RouteError) -> Failure:
    """Returns the failure without any text that could contain parts of the request or the key."""
    status: Any = error.status
    is_http_status = isinstance(status, int) and not isinstance(status, bool) and 100 <= status <= 599
    return Failure(error.code, status if is_http_status else None, error_code(error.body))


def error_code(body: Any) -> str | None:
    """Returns the provider's own code in an error body; None if no code is safe to log.

    Args:
        body: The decoded JSON, in any format.
    """
    return next((code for code in _candidates(body) if isinstance(code, str) and _is_safe(code)), None)


def _candidates(body: Any) -> Iterator[Any]:
    """Yield the codes in a body: innermost error first, and within one error the most specific code first."""
    levels: list[Mapping[str, Any]] = []
    while isinstance(body, Mapping) and len(levels) < _LEVELS:
        levels.append(cast("Mapping[str, Any]", body))
        body = levels[-1].get("error")
    for level in reversed(levels):
        yield level.get("code")
        details = level.get("details")  # Google's: [{"@type": …ErrorInfo, "reason": "API_KEY_INVALID"}]
        for detail in cast("list[Any]", details)[:_LEVELS] if isinstance(details, list) else ():
            if isinstance(detail, Mapping):
                yield cast("Mapping[str, Any]", detail).get("reason")
        yield from (level.get(name) for name in ("type", "status", "reason", "error"))


def _is_safe(code: str) -> bool:
    if not _CODE.fullmatch(code) or code.lower() in _SAYS_NOTHING:
        return False
    return all(word.lower() in _WORDS for word in _WORD.findall(code))
