"""Prompt optimizer: its settings, and the rules in order.

The rules are pure; only a summary may call a model. White space and boilerplate are rules of one message, repetition
and trimming depend on the messages before. No rule looks at later messages, so the prefix of a growing conversation
stays as it is.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, cast

from multiroute_core.errors import unknown
from multiroute_core.messages import Message
from multiroute_core.options import call_outside_options, invalid, seconds, share
from multiroute_core.parsing import token_count
from multiroute_core.parsing.arguments import Messages, build
from multiroute_core.prompts.blocks import FindBlocks, find_blocks
from multiroute_core.prompts.boilerplate import find_boilerplate
from multiroute_core.prompts.counting import count_message, count_messages, find_encoding
from multiroute_core.prompts.edits import CountText, Edit, Piece, apply, join
from multiroute_core.prompts.message_texts import change_texts, freeze_pieces
from multiroute_core.prompts.repeats import RepeatRemover
from multiroute_core.prompts.result import OptimizedPrompt
from multiroute_core.prompts.summary import AskSummary, Summarize, SummaryMemory, fit, summarize_cuts, to_message
from multiroute_core.prompts.trimming import Shortener, TokenBudget, Trimmed, trim
from multiroute_core.prompts.whitespace import find_white_space
from multiroute_core.runtime.deadline import Deadline
from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO
from multiroute_core.runtime.user_code import call_in_thread
from multiroute_core.types import Request

logger = logging.getLogger("multiroute_core")

RULES = ("whitespace", "boilerplate", "repeats")
"""The rules that shorten texts."""

SHARE_OF_SUMMARY = 0.15
"""The part of the budget that a summary may have."""

_TEXT_RULES: dict[str, Callable[[str, FindBlocks], list[Edit]]] = {
    "boilerplate": find_boilerplate,  # first: it leaves blank lines
    "whitespace": find_white_space,
}


@dataclass(frozen=True, slots=True)
class PromptOptimizer:
    """What shortens the prompts of a router.

    Args:
        max_tokens: The most tokens of a prompt, tools included. A longer conversation loses its oldest exchanges. None,
            the default, leaves none out.
        trim_to: The share of `max_tokens` to which a conversation over it is trimmed, 0.7 by default: the smaller, the
            longer it keeps the same beginning, which prompt caches need.
        summarize: Takes the messages that are left out and returns a text, which takes their place; sync or async. See
            `summarize_with`. None, the default, puts nothing in their place, and so does a function that fails.
        summary_timeout: Seconds for one summary; 30 by default. The deadline of the call holds as well.
        rules: The rules that shorten texts: `"whitespace"`, `"boilerplate"`, `"repeats"`; all by default.
        model: A model of OpenAI, such as `"openai:gpt-4.1"`, by whose tokens texts are counted if tiktoken is installed
            and has its encoding in its cache. By default, and for other models, the counts are estimates.

    Raises:
        ConfigurationError: A value is invalid.

    Example:
        >>> PromptOptimizer(max_tokens=100_000).trim_to
        0.7
    """

    max_tokens: int | None = None
    trim_to: float = 0.7
    summarize: Summarize | None = None
    summary_timeout: float = 30.0
    rules: Collection[str] = RULES
    model: str | None = None

    def __post_init__(self) -> None:
        limit: Any = self.max_tokens
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise invalid("max_tokens", limit, "a number of tokens of at least 1, or None")
        object.__setattr__(self, "trim_to", share("trim_to", self.trim_to))
        object.__setattr__(self, "summary_timeout", seconds("summary_timeout", self.summary_timeout))
        if self.summarize is not None:
            if not callable(cast("Any", self.summarize)):
                raise invalid("summarize", self.summarize, "a function that takes messages and returns a text")
            if limit is None:
                raise invalid("summarize", self.summarize, "None without max_tokens: nothing is left out")
        rules: Any = (self.rules,) if isinstance(self.rules, str) else self.rules
        if not isinstance(rules, Collection):
            raise invalid("rules", rules, f"some of {', '.join(map(repr, RULES))}")
        for rule in cast("Collection[Any]", rules):
            if rule not in RULES:
                raise unknown("rule", rule, RULES)
        object.__setattr__(self, "rules", tuple(rule for rule in RULES if rule in rules))
        find_encoding(self.model)

    @classmethod
    def of(cls, setting: object) -> PromptOptimizer | None:
        """Return the optimizer for a setting: True for the defaults, None and False for none.

        Raises:
            ConfigurationError: It is something else.
        """
        if setting is None or setting is False:
            return None
        if setting is True:
            return cls()
        if isinstance(setting, cls):
            return setting
        raise invalid(
            "prompt_optimizer", setting, "True, or a PromptOptimizer such as PromptOptimizer(max_tokens=50000)"
        )


def optimize(
    messages: Messages,
    max_tokens: int | None = None,
    *,
    tools: Sequence[Any] | None = None,
    optimizer: PromptOptimizer | None = None,
    **settings: Any,
) -> OptimizedPrompt:
    """Return a conversation in a shorter form with the same meaning.

    Args:
        messages: As in `Router.generate`.
        max_tokens: As of `PromptOptimizer`.
        tools: The tools of the prompt, which count toward `max_tokens`; none by default.
        optimizer: The settings; instead, they can be given by name.
        **settings: The other arguments of `PromptOptimizer`.

    Raises:
        ConfigurationError: The messages or a setting are invalid.
        PromptTooLongError: What has to stay exceeds `max_tokens`.

    Example:
        >>> optimized = optimize("Please   tell me  what a router does,  in one sentence.")
        >>> optimized.messages[0].text
        'Please tell me what a router does, in one sentence.'
    """
    if optimizer is None:
        try:
            optimizer = PromptOptimizer(max_tokens, **settings)
        except TypeError:
            names = tuple(PromptOptimizer.__dataclass_fields__)
            raise unknown("argument of optimize", next(name for name in settings if name not in names), names) from None
    elif not isinstance(cast("Any", optimizer), PromptOptimizer):
        raise invalid("optimizer", optimizer, "a PromptOptimizer, or its settings by name")
    elif settings or max_tokens is not None:
        raise invalid("optimizer", optimizer, "either an optimizer or its settings by name")
    request, _ = build(messages, {"tools": tools})
    io = SyncIO()
    settings_of_call = optimizer

    def summarize(removed: tuple[Message, ...]) -> Any:
        return call_outside_options(settings_of_call.summarize, removed)

    async def ask(removed: tuple[Message, ...]) -> Any:
        limit = Deadline(io.now)
        limit.set("the summary", io.now() + settings_of_call.summary_timeout, settings_of_call.summary_timeout)
        return await call_in_thread(io, limit, summarize, removed)

    return run(optimize_request(optimizer, request, ask, SummaryMemory()))


async def optimize_request(
    optimizer: PromptOptimizer, request: Request, ask: AskSummary, memory: SummaryMemory
) -> OptimizedPrompt:
    """Return the messages of a request in their shorter form.

    Args:
        optimizer: The settings.
        request: The request.
        ask: Asks for a summary.
        memory: The summaries so far.

    Raises:
        PromptTooLongError: What has to stay exceeds the budget.
    """
    count = find_encoding(optimizer.model) or token_count.of_text
    overhead = token_count.of_tools(request) + 1
    before = count_messages(request.messages, count)
    saved: dict[str, int] = dict.fromkeys((*RULES, "trimming"), 0)
    find = functools.lru_cache(maxsize=len(request.messages) + 8)(find_blocks)
    shorten = _build_text_rules(optimizer.rules, count, find, saved)
    messages = tuple(
        change_texts(message, shorten) if message.role != "assistant" else message for message in request.messages
    )

    def measure(message: Message) -> int:
        return count_message(message, count)

    budget = _budget(optimizer, overhead)
    trimmed = trim(messages, budget, lambda: _build_repeat_rule(optimizer.rules, count, find), measure)
    after = trimmed.tokens
    summary = ""
    kept = trimmed.messages
    if trimmed.cuts:
        cut = trimmed.cuts[-1]
        removed_tokens = sum(measure(message) for message in messages[:cut] if message.role != "system")
        saved["trimming"] = removed_tokens
        if optimizer.summarize is not None and budget is not None:
            room = min(budget.reserve, budget.limit - after - overhead, removed_tokens)
            tidy = _build_text_rules(optimizer.rules, count, find, dict(saved))
            summary = await _summarize(messages, trimmed, ask, memory, room, budget.reserve, count, tidy)
        if summary:
            message = to_message(summary)
            place = sum(message.role == "system" for message in messages[:cut])
            kept = (*kept[:place], message, *kept[place:])
            after += measure(message)
            saved["trimming"] -= measure(message)
    left = len(messages) - len(trimmed.messages)
    others = saved["whitespace"] + saved["boilerplate"] + saved["trimming"]
    saved["repeats"] = before - after - others
    return OptimizedPrompt(kept, before + overhead, after + overhead, saved, left, summary)


def _budget(optimizer: PromptOptimizer, overhead: int) -> TokenBudget | None:
    if (limit := optimizer.max_tokens) is None:
        return None
    reserve = 0 if optimizer.summarize is None else int(limit * SHARE_OF_SUMMARY)
    return TokenBudget(limit, int(limit * optimizer.trim_to), overhead, reserve)


def _build_text_rules(
    rules: Collection[str], count: CountText, find_in: FindBlocks, saved: dict[str, int]
) -> Callable[[Sequence[Piece]], Sequence[Piece]]:
    """Return what applies the rules of one message to its texts, and adds up what each saves."""

    def shorten(pieces: Sequence[Piece]) -> Sequence[Piece]:
        if not any(piece.is_editable for piece in pieces):
            return pieces
        while True:
            start = pieces
            for rule, find in _TEXT_RULES.items():
                if rule in rules and (edits := find(join(pieces), find_in)):
                    shorter = apply(pieces, edits, count)
                    saved[rule] += sum(
                        count(one.text) - count(new.text) for one, new in zip(pieces, shorter, strict=True)
                    )
                    pieces = shorter
            if pieces == start:
                return pieces

    return shorten


def _build_repeat_rule(rules: Collection[str], count: CountText, find: FindBlocks) -> Shortener:
    """Return what removes repeated passages from the texts of users and tools, and reads those of the others."""
    if "repeats" not in rules:
        return lambda message: message
    remover = RepeatRemover(count, find)

    def shorten(message: Message) -> Message:
        is_changed = message.role in ("user", "tool")
        return change_texts(message, remover.add if is_changed else freeze_pieces(remover.add))

    return shorten


async def _summarize(
    messages: Sequence[Message],
    trimmed: Trimmed,
    ask: AskSummary,
    memory: SummaryMemory,
    room: int,
    most: int,
    count: CountText,
    shorten: Callable[[Sequence[Piece]], Sequence[Piece]],
) -> str:
    """Return the summary of the messages that are left out, with at most `room` tokens; empty if there is none.

    What is remembered has up to `most` tokens, whatever room this call has, and is shortened for this call only.
    """
    title = count_message(to_message(""), count)

    def finish(text: str, limit: int) -> str:
        text = fit(text, limit - title - 1, count)
        return join(shorten([Piece(text)])) if text else ""

    if room <= title + 1:
        return ""
    try:
        summary = await summarize_cuts(messages, trimmed.cuts, ask, memory, finish=lambda text: finish(text, most))
        return finish(summary, room)
    except Exception as error:
        # Not the message of the error, which may hold what was to be summarized.
        logger.warning("The summary of a trimmed prompt failed (%s); it has none.", type(error).__name__)
        return ""
