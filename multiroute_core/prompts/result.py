"""The optimized prompt, and what was saved. Prints as a table, also in notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from multiroute_core.display.blocks import Paragraph, Table
from multiroute_core.display.displayable import Displayable
from multiroute_core.display.numbers import format_count, share
from multiroute_core.messages import Message


@dataclass(frozen=True, slots=True)
class OptimizedPrompt(Displayable):
    """A conversation in its shorter form.

    Attributes:
        messages: The messages. Those that did not change are the same objects.
        tokens_before: The tokens of the prompt as it was, with the tools.
        tokens_after: The tokens of the prompt as it is.
        saved_by_rule: The tokens that each rule has saved: `"whitespace"`, `"boilerplate"`, `"repeats"`, `"trimming"`.
        removed: How many messages were left out.
        summary: The summary that takes their place; empty for none.
    """

    messages: tuple[Message, ...] = field(repr=False)
    tokens_before: int
    tokens_after: int
    saved_by_rule: Mapping[str, int]
    removed: int = 0
    summary: str = field(default="", repr=False)

    @property
    def saved(self) -> int:
        """The tokens saved."""
        return self.tokens_before - self.tokens_after

    def _display(self) -> list[Paragraph | Table]:
        rows = [
            (rule, f"{tokens:,}", share(tokens, self.tokens_before))
            for rule, tokens in self.saved_by_rule.items()
            if tokens
        ]
        rows.append(("all", f"{self.saved:,}", share(self.saved, self.tokens_before)))
        text = f"{self.tokens_before:,} → {self.tokens_after:,} tokens"
        if self.removed:
            text += f", {format_count(self.removed, 'message')} left out"
            text += " for a summary" if self.summary else ""
        return [Paragraph(text), Table(("rule", "tokens saved", "share"), rows)]
