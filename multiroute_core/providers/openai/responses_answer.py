"""Decoder for Responses API responses, complete and streamed; a stream sends each item complete once it is done."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from multiroute_core.messages import (
    Part,
    Raw,
    Reasoning,
    Text,
    ToolCallDelta,
    VendorPart,
    assemble,
    is_refusal,
    tool_call,
)
from multiroute_core.providers import in_band
from multiroute_core.providers.body import array, mapping, word
from multiroute_core.providers.body import event as object_of
from multiroute_core.providers.finish import finish_reason, normal_word
from multiroute_core.providers.openai import custom
from multiroute_core.providers.openai.chat_calls import CUT
from multiroute_core.providers.openai.responses_history import CALLS, WIRE, refusal_of, text_of
from multiroute_core.providers.openai.tool_usage import ServerTools, add_tools
from multiroute_core.providers.provider import DONE, Encoded, WireError
from multiroute_core.types import Delta, FinishReason

INCOMPLETE: Mapping[str, FinishReason] = {"max_output_tokens": "length", "content_filter": "content_filter"}


def decode(body: Mapping[str, Any], encoded: Encoded) -> Delta:
    """Decode a complete `response`."""
    if in_band.has_error(body) or not isinstance(body.get("output"), list):
        raise in_band.no_answer(body, "The answer has no output.", usage=add_tools(body), model=word(body.get("model")))
    _check(body)
    parts: list[Part] = []
    has_refusal = has_call = False
    for item in map(mapping, array(body.get("output"))):
        has_refusal = has_refusal or _refuses(item)
        has_call = has_call or item.get("type") in CALLS
        parts += _parts(item, Raw(WIRE, item, encoded.model, encoded.account))
    return Delta(
        parts=assemble(parts),  # merged as in a stream
        finish_reason=_finish(body, has_refusal=has_refusal, has_call=has_call),
        usage=add_tools(body),
        model=word(body.get("model")),
        raw=body,
    )


class ResponsesDecoder:
    """Decodes the typed events of the Responses API into deltas."""

    def __init__(self, encoded: Encoded) -> None:
        self.complete = False
        self._encoded = encoded
        self._refused = False
        self._refusals: dict[Any, list[str]] = {}  # by the output index of their item
        self._calls: dict[Any, _Call] = {}  # by the output index of their item
        self._told: set[Any] = set()  # indexes of items with emitted content
        self._has_items = False  # whether an item arrived complete
        self._tools = ServerTools()

    def feed(self, event: Any) -> Delta | None:
        """Return the new content of one event."""
        if event is DONE:  # this API has its own end event
            return None
        payload = object_of(event)
        place = payload.get("output_index")
        if place is None:  # some servers omit it; events of an item then name the item
            place = payload.get("item_id") or mapping(payload.get("item")).get("id")
        text = word(payload.get("delta")) or ""
        match payload.get("type"):
            case "response.output_text.delta":
                return self._emit_part(place, Text(text))
            case "response.refusal.delta":
                self._refused = True
                self._refusals.setdefault(place, []).append(text)  # emitted complete, with its item
                return None
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                return self._emit_part(place, Reasoning(text))
            case "response.reasoning_summary_part.added" if payload.get("summary_index"):
                return self._emit_part(place, Reasoning("\n\n"))
            case "response.output_item.added":
                item = mapping(payload.get("item"))
                if item.get("type") not in CALLS:
                    return None
                self._calls[place] = call = _Call(len(self._calls), item)
                return Delta(parts=(call.first(),))
            case "response.function_call_arguments.done" | "response.custom_tool_call_input.done" if (
                place in self._calls
            ):
                return self._calls[place].finish(payload)
            case "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" if (
                text and place in self._calls
            ):
                return Delta(parts=(self._calls[place].next(text),))
            case "response.output_item.done":
                return self._done(place, mapping(payload.get("item")))
            case "response.completed" | "response.incomplete" | "response.done":
                body = mapping(payload.get("response"))
                if in_band.has_error(body):
                    raise _failed(body, self._tools)
                if payload["type"] == "response.incomplete":
                    body = {"status": "incomplete", **body}
                _check(body, self._tools)
                parts = [*self._unsaid(), *self._unseen(body)]
                is_cut = body.get("status") == "incomplete"
                parts += [call.close(is_cut=is_cut) for call in self._calls.values() if call.is_open]
                self.complete = True
                return Delta(
                    parts=tuple(parts),
                    finish_reason=_finish(body, has_refusal=self._refused, has_call=bool(self._calls)),
                    usage=add_tools(body, self._tools) or add_tools(payload, self._tools),
                    model=word(body.get("model")),
                )
            case "response.failed" | "response.cancelled":
                body = mapping(payload.get("response"))
                raise _failed(body if in_band.has_error(body) else {**payload, **body}, self._tools)
            case "error" | "response.error":
                inner = mapping(payload.get("error")) or {k: v for k, v in payload.items() if k != "type"}
                message = "The provider reported an error inside the stream."
                raise in_band.as_error({**payload, "error": inner}, message)
            case _:
                if in_band.is_error_event(payload):  # an error of a gateway, in another API's format
                    raise in_band.no_answer(payload, "The provider reported an error inside the stream.")
                return None

    def _unsaid(self) -> list[Part]:
        """Return refusals whose item never arrived complete."""
        texts = ["".join(pieces) for pieces in self._refusals.values()]
        return [_refusal(text, self._encoded) for text in texts if text]

    def _unseen(self, body: Mapping[str, Any]) -> list[Part]:
        """Return the content of a response whose items arrived in no event but the last."""
        if self._has_items or self._told or self._calls or self._refused:
            return []
        parts: list[Part] = []
        for place, item in enumerate(map(mapping, array(body.get("output")))):
            if (delta := self._done(place, item)) is not None:
                parts += delta.parts
        return parts

    def _emit_part(self, place: Any, part: Text | Reasoning) -> Delta | None:
        if not part.text:
            return None
        self._told.add(place)
        return Delta(parts=(part,))

    def _done(self, place: Any, item: Mapping[str, Any]) -> Delta | None:
        """Return the content of a complete item that was not yet emitted, and its raw form."""
        self._has_items = True
        raw = Raw(WIRE, item, self._encoded.model, self._encoded.account)
        if item.get("type") in CALLS:
            first: tuple[Part, ...] = ()
            if place not in self._calls:
                self._calls[place] = _Call(len(self._calls), item)
                first = (self._calls[place].first(),)
            return Delta(parts=(*first, self._calls[place].last(raw)))
        parts = _parts(item, raw)
        self._tools.add(item)
        self._refused = self._refused or _refuses(item)
        if place in self._told:
            parts = [
                part if is_refusal(part) else type(part)("", part.raw)
                for part in parts
                if isinstance(part, Text | Reasoning) and part.raw
            ]
        if any(is_refusal(part) for part in parts):
            self._refusals.pop(place, None)
        return Delta(parts=tuple(parts)) if parts else None


class _Call:
    """A call whose arguments arrive in fragments."""

    def __init__(self, index: int, item: Mapping[str, Any]) -> None:
        self.is_open = True
        self._index = index
        self._item = item
        self._custom = item.get("type") == "custom_tool_call"
        self._told = self._text_of(item)

    def first(self) -> ToolCallDelta:
        """Return the beginning of the call."""
        beginning = custom.BEGINNING if self._custom else ""
        arguments = beginning + self._spell(self._told)
        return ToolCallDelta(self._index, _id(self._item), word(self._item.get("name")) or "", arguments)

    def next(self, text: str) -> ToolCallDelta:
        """Return the next fragment."""
        self._told += text
        return ToolCallDelta(self._index, arguments=self._spell(text))

    def last(self, raw: Raw) -> ToolCallDelta:
        """Return the end of the call, with arguments that arrived in no fragment."""
        arguments = self._text_of(raw.body)
        remaining = arguments.removeprefix(self._told) if arguments.startswith(self._told) else ""
        self._told += remaining
        is_cut = raw.body.get("status") == "incomplete"
        closing = self.cut().arguments if is_cut else custom.END if self._custom else ""
        self.is_open = False
        return ToolCallDelta(self._index, arguments=self._spell(remaining) + closing, raw=raw)

    def finish(self, payload: Mapping[str, Any]) -> Delta | None:
        """Return the arguments that the call's own end event has, if they arrived in no fragment."""
        text = self._text_of(payload)
        return None if self._told or not text else Delta(parts=(self.next(text),))

    def close(self, *, is_cut: bool) -> ToolCallDelta:
        """End a call whose item never arrived complete."""
        if is_cut:
            return self.cut()
        self.is_open = False
        return ToolCallDelta(self._index, arguments=custom.END if self._custom else "")

    def cut(self) -> ToolCallDelta:
        """End an incomplete call, so that its arguments are not valid JSON."""
        self.is_open = False
        return ToolCallDelta(self._index, arguments="" if self._custom or self._told.strip() else CUT)

    def _text_of(self, item: Mapping[str, Any]) -> str:
        return word(item.get("input" if self._custom else "arguments")) or ""

    def _spell(self, text: str) -> str:
        return custom.escape(text) if self._custom else text


def _parts(item: Mapping[str, Any], raw: Raw) -> list[Part]:
    """Return the parts of a complete item."""
    match item.get("type"):
        case "message":
            contents = [mapping(content) for content in array(item.get("content"))]
            text = text_of(item)
            refusal = refusal_of(item)
            more = item.get("phase") or any(each.get("annotations") or each.get("logprobs") for each in contents)
            # Adjacent texts are merged unless the first has a raw form.
            parts: list[Part] = [Text(text, raw if more or refusal else None)] if text else []
            if refusal and not text:
                return [Text(refusal, Raw(WIRE, {**item, "refusal": refusal}, raw.model, raw.account))]
            return [*parts, _refusal(refusal, raw)] if refusal else parts
        case "reasoning":
            texts = _texts(item.get("summary"))
            return [Reasoning("\n\n".join(texts) if texts else "".join(_texts(item.get("content"))), raw)]
        case "function_call":
            arguments = word(item.get("arguments")) or ""
            if item.get("status") == "incomplete" and not arguments.strip():
                arguments = CUT
            return [tool_call(_id(item), word(item.get("name")) or "", arguments, raw)]
        case "custom_tool_call":
            text = word(item.get("input")) or ""
            is_cut = item.get("status") == "incomplete"
            return [custom.to_call(_id(item), word(item.get("name")) or "", text, raw, is_cut=is_cut)]
        case str():
            return [VendorPart(raw)]
        case _:
            return []


def _refusal(text: str, source: Raw | Encoded) -> Text:
    return Text(text, Raw(WIRE, {"type": "refusal", "refusal": text}, source.model, source.account))


def _texts(pieces: Any) -> list[str]:
    return [text for piece in array(pieces) if (text := word(mapping(piece).get("text")))]


def _id(item: Mapping[str, Any]) -> str:
    """Return the ID of a call; generated if the server sends none."""
    return word(item.get("call_id")) or word(item.get("id")) or f"call_{uuid.uuid4().hex[:24]}"


def _refuses(item: Mapping[str, Any]) -> bool:
    contents = array(item.get("content")) if item.get("type") == "message" else ()
    return any(mapping(content).get("type") == "refusal" for content in contents)


def _finish(body: Mapping[str, Any], *, has_refusal: bool, has_call: bool) -> FinishReason:
    if body.get("status") == "incomplete":
        reason = mapping(body.get("incomplete_details")).get("reason")
        finish = INCOMPLETE.get(word(reason) or "") or finish_reason(normal_word(reason))
        return finish if finish in ("length", "content_filter") else "other"
    if has_refusal:
        return "refusal"
    return "tool_call" if has_call else "stop"


def _check(body: Mapping[str, Any], tools: ServerTools | None = None) -> None:
    """Check that a response is valid.

    Raises:
        WireError: If its status reports that it failed, was cancelled, or is unfinished.
    """
    status = body.get("status")
    if status == "completed":
        return
    details = mapping(body.get("incomplete_details")).get("reason")
    if status in _ANSWERED:
        if (status := details) is None:
            return
        details = None
    usage = add_tools(body, tools)
    model = word(body.get("model"))
    if (error := in_band.failed(status, body, detail=details, usage=usage, model=model)) is not None:
        raise error


_ANSWERED = ("incomplete", None)


def _failed(body: Mapping[str, Any], tools: ServerTools) -> WireError:
    """Return the error of a failed or cancelled response."""
    usage = add_tools(body, tools)
    model = word(body.get("model"))
    if in_band.has_error(body):
        message = "The provider reported that the response failed."
        return in_band.as_error({"error": body["error"]}, message, usage=usage, model=model)
    status = body.get("status")
    error = in_band.failed(status, body, usage=usage, model=model)
    return (
        error
        if isinstance(error, WireError)
        else WireError("The provider reported that the response failed.", body, 500, usage=usage, model=model)
    )
