"""One call as its guards see it: the texts of its request, their verdicts, and the routes that may see it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.engine.stage import CallContext
from multiroute_core.engine.user_code import call_function
from multiroute_core.errors import GuardBlockedError
from multiroute_core.events import GuardTriggered, tell
from multiroute_core.guards.guard import (
    VERDICTS,
    Block,
    Flag,
    Guard,
    GuardedText,
    Masking,
    Origin,
    Restrict,
    Rewrite,
    Verdict,
)
from multiroute_core.messages import (
    Blob,
    InvalidToolCall,
    Message,
    Part,
    Raw,
    Reasoning,
    Text,
    ToolCall,
    ToolCallResponse,
    VendorPart,
)
from multiroute_core.parsing.media_types import text_of
from multiroute_core.route import Route
from multiroute_core.runtime.deadline import Expired

_ORIGINS: Mapping[str, Origin] = {
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool_result",
}
_READABLE_KEYS = frozenset({"text", "content", "title", "snippet", "query", "output"})
"""Keys under which the parts of a provider's own tools have text for the model; other strings may be encrypted."""


class GuardedCall:
    """One call, as its guards see it.

    Args:
        context: The call.
        guards: In order.

    Attributes:
        maskings: The reversible rewritings of this call, by the position of their guard.
        sees_answers: Whether a guard checks answers or restores something in them.
    """

    def __init__(self, context: CallContext, guards: Sequence[Guard]) -> None:
        self._context = context
        self.guards = tuple(guards)
        self.maskings: dict[int, Masking] = {}
        if any(guard.masking is not None for guard in guards):
            texts = [*_collect_texts(part for message in context.call.request.messages for part in message.parts)]
            self.maskings = {
                place: guard.masking(texts) for place, guard in enumerate(guards) if guard.masking is not None
            }
        self.sees_answers = bool(self.maskings) or any("answer" in guard.origins for guard in guards)
        self._restrictions: list[tuple[str, Restrict]] = []
        call = context.call
        self._instructions = call.request.instructions
        self._deadline = context.start_time + (call.options.deadline or float("inf"))

    async def guard_messages(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """Return the messages as the guards let them pass.

        Raises:
            GuardBlockedError: A guard blocks the request, or fails and blocks.
        """
        guarded: list[Message] = []
        for message in messages:
            parts = [await self._guard_part(part, _ORIGINS[message.role], message.role) for part in message.parts]
            is_same = all(map(lambda one, other: one is other, parts, message.parts))
            guarded.append(message if is_same else replace_parts(message, parts))
        return tuple(guarded)

    def restrict(self, routes: tuple[Route, ...]) -> tuple[Route, ...]:
        """Return the routes that may see the request.

        Raises:
            GuardBlockedError: None of them may.
        """
        for name, restriction in self._restrictions:
            allowed = tuple(route for route in routes if route.tags & restriction.tags)
            if not allowed:
                tags = " or ".join(repr(tag) for tag in sorted(restriction.tags))
                message = (
                    f"The guard {name!r} lets only routes tagged {tags} see this request ({restriction.reason}), and "
                    "none of the candidates is; add such a route, or the tag to a route that may see it."
                )
                raise GuardBlockedError(message, guard=name, reason=restriction.reason)
            routes = allowed
        return routes

    async def _guard_part(self, part: Part, origin: Origin, role: str) -> Part:
        if isinstance(part, Text | Reasoning):
            text = await self._guard_text(part.text, origin, role)
            if text == part.text:
                return part
            return replace(part, text=text, raw=await self._guard_raw(part.raw, origin, role))
        if isinstance(part, ToolCall):
            arguments = await self._guard_values(part.arguments, origin, role)
            if arguments is part.arguments:
                return part
            return replace(part, arguments=arguments, raw=await self._guard_raw(part.raw, origin, role))
        if isinstance(part, InvalidToolCall):
            arguments = await self._guard_text(part.arguments, origin, role)
            return part if arguments == part.arguments else replace(part, arguments=arguments)
        if isinstance(part, ToolCallResponse):
            parts = [await self._guard_part(one, "tool_result", role) for one in part.parts]
            if all(map(lambda one, other: one is other, parts, part.parts)):
                return part
            raw = await self._guard_raw(part.raw, "tool_result", role)
            return ToolCallResponse(part.id, parts, error=part.error, name=part.name, raw=raw)
        if isinstance(part, Blob) and (document := text_of(part)) is not None:
            text = await self._guard_text(document, "retrieved", role)
            return part if text == document else Blob(text.encode(), part.mime_type, part.name, None, part.extras)
        if isinstance(part, VendorPart):
            body = await self._guard_values(part.raw.body, "retrieved", role, readable_only=True)
            return part if body is part.raw.body else VendorPart(replace(part.raw, body=body))
        return part

    async def _guard_raw(self, raw: Raw | None, origin: Origin, role: str) -> Raw | None:
        """Return a part's raw form if nothing in it has to be rewritten, such as a signature alone."""
        if raw is None or await self._guard_values(raw.body, origin, role) is not raw.body:
            return None
        return raw

    async def _guard_values(self, value: Any, origin: Origin, role: str, *, readable_only: bool = False) -> Any:
        """Return a JSON value with its texts as the guards let them pass; the same object if nothing changes."""
        if isinstance(value, str):
            return await self._guard_text(value, origin, role)
        if isinstance(value, Mapping):
            mapping = cast("Mapping[Any, Any]", value)
            guarded = {
                key: one
                if readable_only and isinstance(one, str) and key not in _READABLE_KEYS
                else await self._guard_values(one, origin, role, readable_only=readable_only)
                for key, one in mapping.items()
            }
            return (
                mapping if all(guarded[key] is one or guarded[key] == one for key, one in mapping.items()) else guarded
            )
        if isinstance(value, list | tuple):
            items = cast("Sequence[Any]", value)
            guarded_items = [await self._guard_values(one, origin, role, readable_only=readable_only) for one in items]
            return items if all(map(lambda one, other: one == other, guarded_items, items)) else guarded_items
        return value

    async def _guard_text(self, text: str, origin: Origin, role: str) -> str:
        if not text:
            return text
        for place, guard in enumerate(self.guards):
            if origin not in guard.origins:
                continue
            if (masking := self.maskings.get(place)) is not None:
                text = masking.mask(text)
            if guard.check is not None:
                tenant = self._context.call.options.tenant
                guarded = GuardedText(text, origin, tenant, role, instructions=self._instructions)
                text = await self.check(guard, guarded)
        return text

    async def check(self, guard: Guard, guarded: GuardedText, *, rewrites: bool = True) -> str:
        """Return the text as a guard lets it pass.

        Args:
            guard: The guard.
            guarded: The text.
            rewrites: False only flags what would be rewritten, such as a piece of JSON.

        Raises:
            GuardBlockedError: The guard blocks the text, or fails and blocks.
        """
        try:
            verdict = _to_verdict(await self._ask(guard, guarded))
        except Exception as error:
            reason = f"it took longer than {guard.timeout:g} s" if isinstance(error, Expired) else _describe(error)
            self._tell(guard, "error", reason, guarded)
            if guard.on_error == "pass":
                return guarded.text
            raise self._blocked(guard, f"it failed: {reason}", guarded) from error
        if isinstance(verdict, Block):
            self._tell(guard, "block", verdict.reason, guarded)
            raise self._blocked(guard, verdict.reason, guarded)
        if isinstance(verdict, Rewrite) and verdict.text != guarded.text:
            self._tell(guard, "rewrite", verdict.reason, guarded)
            return verdict.text if rewrites else guarded.text
        if isinstance(verdict, Restrict) and guarded.origin != "answer":
            self._tell(guard, "restrict", verdict.reason, guarded)
            self._restrictions.append((guard.name, verdict))
        elif isinstance(verdict, Flag):
            self._tell(guard, "flag", verdict.reason, guarded)
        return guarded.text

    async def _ask(self, guard: Guard, guarded: GuardedText) -> Any:
        check = cast("Any", guard.check)
        if guard.inline:
            return check(guarded)
        io = self._context.io
        until = min(io.now() + guard.timeout, self._deadline)
        return await call_function(io, check, guarded, f"the guard {guard.name!r}", until, is_async=guard.is_async)

    def answer_text(self, text: str, before: str, *, is_complete: bool) -> GuardedText:
        """Return a text of the answer as the guards see it."""
        tenant = self._context.call.options.tenant
        return GuardedText(text, "answer", tenant, "assistant", is_complete, self._instructions, before)

    def _tell(self, guard: Guard, action: Any, reason: str, guarded: GuardedText) -> None:
        context = self._context
        if hooks := context.listeners[GuardTriggered]:
            call = context.call
            event = GuardTriggered(call.request_id, guard.name, action, reason, guarded.origin, call.options.tenant)
            tell(hooks, event)

    def _blocked(self, guard: Guard, reason: str, guarded: GuardedText) -> GuardBlockedError:
        what = "the answer" if guarded.origin == "answer" else f"a text of origin {guarded.origin!r}"
        message = f"The guard {guard.name!r} blocked {what}: {reason}."
        return GuardBlockedError(message, guard=guard.name, reason=reason, origin=guarded.origin)


def _collect_texts(parts: Iterable[Part]) -> Iterator[str]:
    """Yield all texts of the parts."""
    for part in parts:
        if isinstance(part, Text | Reasoning):
            yield part.text
        elif isinstance(part, ToolCallResponse):
            yield from _collect_texts(part.parts)
        elif isinstance(part, ToolCall | InvalidToolCall):
            yield str(part.arguments)
        elif isinstance(part, VendorPart):
            yield str(part.raw.body)
        elif isinstance(part, Blob) and (document := text_of(part)) is not None:
            yield document


def replace_parts(message: Message, parts: Sequence[Part]) -> Message:
    """Return a message with other parts."""
    return Message(message.role, parts, message.name)


def _to_verdict(result: Any) -> Verdict | None:
    if result is not None and not isinstance(result, VERDICTS):
        raise TypeError(f"A guard returned {type(result).__name__} instead of a verdict or None.")
    return result


def _describe(error: Exception) -> str:
    """Return the class of an error, without its message, which may hold what was checked."""
    return type(error).__name__
