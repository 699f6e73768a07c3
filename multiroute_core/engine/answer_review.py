"""Answer review: decides whether a complete answer counts, by `fallback_on` and `accept`.

`fallback_on` names answers that are failures of their route, but still better than nothing: if no route does better,
the first of them is returned. An answer that a check of `accept` rejects is never returned.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from multiroute_core.display.text import printable, shorten
from multiroute_core.engine.user_code import call_function
from multiroute_core.errors import RefusalError, RejectedAnswerError, RouteError
from multiroute_core.guards.acceptance import LONGEST_REASON, AnswerCheck, matches_schema, to_checks
from multiroute_core.messages import Message, Part, Reasoning, Text
from multiroute_core.options import DECLINED
from multiroute_core.routing.call import Call
from multiroute_core.runtime.io import IO
from multiroute_core.types import Attempt, Request, Response

CHECK_SECONDS = 60.0
"""How long a check may take at most, in seconds; a judge is a call itself."""

REPAIR_PROMPT = (
    "This answer was rejected by an automatic check: {reason}. "
    "Answer again, completely, so that it passes; do not mention this message."
)

_MESSAGES = {
    "empty": "The answer is empty.",
    "length": "The answer is cut off by the token limit.",
    "schema": "The answer does not match the schema.",
}


class AnswerReview:
    """The review of the answers to one call.

    Args:
        io: Sync or async I/O.
        call: The call.
    """

    def __init__(self, io: IO, call: Call) -> None:
        self._io = io
        self._call = call
        self.accept: tuple[AnswerCheck, ...] = call.options.accept or ()

    @property
    def holds_streams(self) -> bool:
        """Whether no chunk may be given out before the whole answer is accepted."""
        return bool(self.accept) and self._call.stream and self._call.options.on_stream_error != "restart"

    async def find_rejection(self, response: Response, until: float) -> RejectedAnswerError | None:
        """Return the error of a response that a check of `accept` rejects; None if all accept it.

        Args:
            response: The response.
            until: The moment, on the clock of `io`, by which the checks must be done.
        """
        for check in self.accept:
            try:
                result = await self._call_check(check, response, until)
            except Exception as error:  # an answer that could not be checked is not believed
                result = f"the check {check.name!r} failed: {type(error).__name__}"
            if result is not True:
                reason = f"the check {check.name!r} did not accept it"
                if isinstance(result, str) and result.strip():
                    reason = printable(shorten(result.strip(), LONGEST_REASON)).rstrip(".")
                rejection = RejectedAnswerError(
                    f"The answer was rejected: {reason}.", route=response.route, provider=response.provider
                )
                rejection.answer = response
                rejection.reason = reason
                return rejection
        return None

    async def find_decline(self, response: Response, until: float, *, may_be_empty: bool) -> RefusalError | None:
        """Return the error of a response that counts as a failure by `fallback_on`; None if it does not.

        Args:
            response: The response.
            until: As of `find_rejection`.
            may_be_empty: Whether an empty response is one, unlike the last part of a paused turn.

        Raises:
            ConfigurationError: `"schema"` is one of them, and the package `jsonschema` is missing.
        """
        reason = await self._find_reason(response, until, may_be_empty=may_be_empty)
        if reason is None:
            return None
        message = _MESSAGES.get(reason) or (
            f"The model declined to answer ({reason})."
            if reason in DECLINED
            else f"The answer counts as a failure: {reason}."
        )
        return RefusalError(message, route=response.route)

    async def _find_reason(self, response: Response, until: float, *, may_be_empty: bool) -> str | None:
        reasons = self._call.options.fallback_on or frozenset()
        finish_reason = response.finish_reason
        if finish_reason in reasons:
            return cast("str", finish_reason)
        is_ended = finish_reason in ("stop", "other")
        if "empty" in reasons and may_be_empty and is_ended and self._is_empty(response.parts):
            return "empty"
        if "schema" in reasons and self._misses_schema(response):
            return "schema"
        for entry in reasons:
            if not isinstance(entry, str):
                (check,) = to_checks(entry)
                try:
                    if await self._call_check(check, response, until):
                        return f"the check {check.name!r} says so"
                except Exception as error:  # an answer that could not be checked is only better than nothing
                    return f"the check {check.name!r} failed: {type(error).__name__}"
        return None

    async def _call_check(self, check: AnswerCheck, response: Response, until: float) -> Any:
        function: Any = check.function
        if check.needs_request:
            function = functools.partial(_check_with_request, function, self._call.request)
        if check.inline:
            return function(response)
        latest = self._io.now() + CHECK_SECONDS
        # The deadline of a stream ends with its first chunk.
        until = latest if self._call.stream else min(until, latest)
        what = f"the check {check.name!r}"
        return await call_function(self._io, function, response, what, until, is_async=check.is_async)

    def _misses_schema(self, response: Response) -> bool:
        output_schema = self._call.request.output_schema
        if output_schema is None or response.tool_calls:
            return False
        schema = {"type": "object"} if output_schema.schema is None else output_schema.schema
        return cast("Any", matches_schema(schema).function)(response) is not True

    def _is_empty(self, parts: Sequence[Part]) -> bool:
        """Whether a response is empty. After tool results a model may validly say nothing."""
        if self._call.request.messages[-1].role == "tool":
            return False
        return not any(
            not isinstance(part, Text | Reasoning) or (part.text.strip() and type(part) is Text) for part in parts
        )


def _check_with_request(function: Any, request: Request, response: Response) -> Any:
    return function(response, request)


def to_rejected(attempt: Attempt | None, rejection: RejectedAnswerError | None) -> Attempt | None:
    """Return the record of an attempt whose response was rejected; the same record if it was not."""
    if attempt is None or rejection is None:
        return attempt
    return replace(attempt, outcome=rejection.code, error=rejection.message)


def to_declined(attempt: Attempt | None, refusal: RouteError | None) -> Attempt | None:
    """Return the record of an attempt whose response counts as a failure: it stays an answer, which may be returned."""
    return attempt if attempt is None or refusal is None else replace(attempt, error=refusal.message)


def to_repair_request(request: Request, rejection: RejectedAnswerError) -> Request | None:
    """Return the request that asks for a better answer; None after tool calls, which need their results first."""
    response = rejection.answer
    if response is None or response.tool_calls or response.invalid_tool_calls:
        return None
    prompt = REPAIR_PROMPT.format(reason=rejection.reason)
    turns = (Message("assistant", response.parts or [Text("…")]), Message("user", prompt))
    return replace(request, messages=(*request.messages, *turns))
