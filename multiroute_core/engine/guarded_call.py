"""One call as its guards see it: the texts of its request, their verdicts, and the routes that may see it."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.engine.raw_texts import has_own_keys, is_identifier, is_opaque, texts_of_json, texts_of_part
from multiroute_core.engine.stage import CallContext
from multiroute_core.engine.user_code import call_function
from multiroute_core.errors import GuardBlockedError
from multiroute_core.events import GuardTriggered, tell
from multiroute_core.guards.guard import (
    VERDICTS,
    AnswerPart,
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


class GuardedCall:
    """One call, as its guards see it.

    Args:
        context: The call.
        guards: In order.

    Attributes:
        maskings: The reversible rewritings of this call, by the position of their guard; from `guard_messages` on.
    """

    def __init__(self, context: CallContext, guards: Sequence[Guard]) -> None:
        self._context = context
        self.guards = tuple(guards)
        self.maskings: dict[int, Masking] = {}
        self._restrictions: list[tuple[str, Restrict]] = []
        call = context.call
        self._instructions = call.request.instructions

    @property
    def _deadline(self) -> float:
        """When the deadline of the call ends; what it waited for a limit does not count."""
        context = self._context
        return context.start_time + context.waited + (context.call.options.deadline or float("inf"))

    @property
    def sees_answers(self) -> bool:
        """Whether a guard checks answers or restores something in them."""
        return bool(self.maskings) or any("answer" in guard.origins for guard in self.guards)

    async def guard_messages(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """Return the messages as the guards let them pass.

        Raises:
            GuardBlockedError: A guard blocks the request, or fails and blocks.
        """
        self._build_maskings(messages)
        guarded: list[Message] = []
        for message in messages:
            parts = [await self._guard_part(part, _ORIGINS[message.role], message.role) for part in message.parts]
            is_same = all(map(lambda one, other: one is other, parts, message.parts))
            guarded.append(message if is_same else Message(message.role, parts, message.name))
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

    def _build_maskings(self, messages: Sequence[Message]) -> None:
        texts: list[str] | None = None
        for place, guard in enumerate(self.guards):
            if guard.masking is None:
                continue
            if texts is None:
                texts = [*_collect_texts(part for message in messages for part in message.parts)]
            try:
                self.maskings[place] = guard.masking(texts)
            except Exception as error:
                self.handle_error(guard, error, GuardedText("", "user", self._context.call.options.tenant))

    async def _guard_part(self, part: Part, origin: Origin, role: str) -> Part:
        guarded = part
        if isinstance(part, Text | Reasoning):
            text = await self._guard_text(part.text, origin, role)
            guarded = part if text == part.text else replace(part, text=text)
        elif isinstance(part, ToolCall):
            arguments = await self._guard_values(part.arguments, origin, role)
            guarded = part if arguments is part.arguments else replace(part, arguments=arguments)
        elif isinstance(part, InvalidToolCall):
            arguments = await self._guard_text(part.arguments, origin, role)
            guarded = part if arguments == part.arguments else replace(part, arguments=arguments)
        elif isinstance(part, ToolCallResponse):
            parts = [await self._guard_part(one, "tool_result", role) for one in part.parts]
            if not all(map(lambda one, other: one is other, parts, part.parts)):
                guarded = ToolCallResponse(part.id, parts, error=part.error, name=part.name, raw=part.raw)
        elif isinstance(part, Blob):
            return await self._guard_document(part, role)
        elif isinstance(part, VendorPart):
            body = await self._guard_values(part.raw.body, "retrieved", role, opaque_keys=True)
            return part if body is part.raw.body else VendorPart(replace(part.raw, body=body))
        raw: Raw | None = getattr(guarded, "raw", None)
        if raw is None or await self._may_keep_raw(raw, guarded, origin, role, is_same=guarded is part):
            return guarded
        return (
            replace(cast("Text", guarded), raw=None)
            if not isinstance(guarded, ToolCallResponse)
            else (ToolCallResponse(guarded.id, guarded.parts, error=guarded.error, name=guarded.name))
        )

    async def _guard_document(self, part: Blob, role: str) -> Blob:
        if part.name:
            name = await self._guard_text(part.name, "retrieved", role)
            part = part if name == part.name else replace(part, name=name, raw=None)
        if (document := text_of(part)) is not None:
            text = await self._guard_text(document, "retrieved", role)
            part = part if text == document else replace(part, data=text.encode(), raw=None)
        return part

    async def _may_keep_raw(self, raw: Raw, guarded: Part, origin: Origin, role: str, *, is_same: bool) -> bool:
        """Whether the raw form says nothing but what the guarded part says, or nothing that has to be rewritten.

        A provider gets the raw form instead of the part, so it must hold neither what the guards have not seen nor
        placeholders of an earlier call, which may mean other values by now.
        """
        known = [*texts_of_part(guarded)]
        for text in texts_of_json(raw.body):
            if any(text in one for one in known):
                continue
            if not is_same or await self._guard_text(text, origin, role) != text:
                return False
        return True

    async def _guard_values(self, value: Any, origin: Origin, role: str, *, opaque_keys: bool = False) -> Any:
        """Return a JSON value with its texts as the guards let them pass; the same object if nothing changes.

        Args:
            value: The value.
            origin: The origin of its texts.
            role: The role of its message.
            opaque_keys: Whether values under a provider's own keys, such as ids, are left out.
        """
        if isinstance(value, str):
            return await self._guard_text(value, origin, role)
        if isinstance(value, Mapping):
            mapping = cast("Mapping[Any, Any]", value)
            guarded: dict[Any, Any] = {}
            for key, one in mapping.items():
                if opaque_keys and is_opaque(key):
                    guarded[key] = one
                    continue
                new_key = key if opaque_keys or is_identifier(key) else await self._guard_text(key, origin, role)
                is_own = opaque_keys and not has_own_keys(key)
                guarded[new_key] = await self._guard_values(one, origin, role, opaque_keys=is_own)
            return mapping if guarded == mapping else guarded
        if isinstance(value, list | tuple):
            items = cast("Sequence[Any]", value)
            guarded_items = [await self._guard_values(one, origin, role, opaque_keys=opaque_keys) for one in items]
            return items if all(map(lambda one, other: one == other, guarded_items, items)) else guarded_items
        return value

    async def _guard_text(self, text: str, origin: Origin, role: str) -> str:
        if not text:
            return text
        tenant = self._context.call.options.tenant
        for place, guard in enumerate(self.guards):
            if origin not in guard.origins:
                continue
            if (masking := self.maskings.get(place)) is not None:
                text = await self._mask(guard, masking, GuardedText(text, origin, tenant, role))
            if guard.check is not None:
                guarded = GuardedText(text, origin, tenant, role, instructions=self._instructions)
                text = await self.check(guard, guarded)
        return text

    async def _mask(self, guard: Guard, masking: Masking, guarded: GuardedText) -> str:
        """Return the text with placeholders; an event tells that there are any."""
        text = guarded.text
        try:
            masked = masking.mask(text) if guard.inline else await self._mask_in_thread(guard, masking, text)
        except Exception as error:
            self.handle_error(guard, error, guarded)
            return text
        if masked != text:
            self._tell(guard, "rewrite", "values were replaced by placeholders", guarded)
        return masked

    async def _mask_in_thread(self, guard: Guard, masking: Masking, text: str) -> str:
        io = self._context.io
        until = min(io.now() + guard.timeout, self._deadline)
        return await call_function(io, masking.mask, text, f"the guard {guard.name!r}", until, is_async=False)

    async def check(self, guard: Guard, guarded: GuardedText) -> str:
        """Return the text as a guard lets it pass.

        Raises:
            GuardBlockedError: The guard blocks the text, or fails and blocks.
        """
        try:
            verdict = _to_verdict(await self._ask(guard, guarded))
        except Exception as error:
            self.handle_error(guard, error, guarded)
            return guarded.text
        if isinstance(verdict, Block):
            self._tell(guard, "block", verdict.reason, guarded)
            raise self._blocked(guard, verdict.reason, guarded)
        if isinstance(verdict, Rewrite) and verdict.text != guarded.text:
            self._tell(guard, "rewrite", verdict.reason, guarded)
            return verdict.text if guarded.can_rewrite else guarded.text
        if isinstance(verdict, Restrict) and guarded.origin != "answer":
            self._tell(guard, "restrict", verdict.reason, guarded)
            self._restrictions.append((guard.name, verdict))
        elif isinstance(verdict, Flag):
            self._tell(guard, "flag", verdict.reason, guarded)
        return guarded.text

    def handle_error(self, guard: Guard, error: Exception, guarded: GuardedText) -> None:
        """Tell of a guard that failed or was too slow.

        Raises:
            GuardBlockedError: It blocks what it could not check.
        """
        # Not the message of the error, which may hold what was checked.
        reason = type(error).__name__
        if isinstance(error, Expired):
            is_late = self._context.io.now() >= self._until(guarded)
            reason = "the deadline of the call passed" if is_late else f"it took longer than {guard.timeout:g} s"
        self._tell(guard, "error", reason, guarded)
        if guard.on_error != "pass":
            raise self._blocked(guard, f"it failed: {reason}", guarded) from error

    def _until(self, guarded: GuardedText) -> float:
        """Return when the deadline ends a check; that of a stream holds until its first chunk only."""
        is_streamed = guarded.origin == "answer" and self._context.call.stream
        return float("inf") if is_streamed else self._deadline

    async def _ask(self, guard: Guard, guarded: GuardedText) -> Any:
        check = cast("Any", guard.check)
        if guard.inline:
            return check(guarded)
        io = self._context.io
        until = min(io.now() + guard.timeout, self._until(guarded))
        return await call_function(io, check, guarded, f"the guard {guard.name!r}", until, is_async=guard.is_async)

    def answer_text(
        self,
        text: str,
        before: str,
        *,
        is_complete: bool,
        answer_part: AnswerPart = "text",
        can_rewrite: bool = True,
    ) -> GuardedText:
        """Return a text of the answer as the guards see it."""
        return GuardedText(
            text,
            "answer",
            self._context.call.options.tenant,
            "assistant",
            is_complete,
            self._instructions,
            before,
            answer_part,
            can_rewrite,
        )

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


def _to_verdict(result: Any) -> Verdict | None:
    if inspect.iscoroutine(result):
        result.close()  # otherwise Python warns that it was never awaited
    if result is not None and not isinstance(result, VERDICTS):
        raise TypeError(f"A guard returned {type(result).__name__} instead of a verdict or None.")
    return cast("Verdict | None", result)
