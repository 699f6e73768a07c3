"""Prompt optimizer: fewer tokens with the same meaning. The rules are pure; only a summary may call a model.

`optimizer` holds the settings and the order of the rules, `blocks` and `inline` decide what is prose and what is
protected, `whitespace`, `boilerplate`, `repeats` and `trimming` are the rules, and `counting` counts tokens.

Example:
    >>> router = Router(routes, prompt_optimizer=PromptOptimizer(max_tokens=100_000))  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

from multiroute_core._util.lazy import attach

if TYPE_CHECKING:
    from multiroute_core.prompts.counting import TokenCount, count_tokens
    from multiroute_core.prompts.optimizer import PromptOptimizer, optimize
    from multiroute_core.prompts.result import OptimizedPrompt
    from multiroute_core.prompts.summary import RouterSummary, Summarize, summarize_with
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "counting": "TokenCount count_tokens",
            "optimizer": "PromptOptimizer optimize",
            "result": "OptimizedPrompt",
            "summary": "RouterSummary Summarize summarize_with",
        },
    )

__all__ = [
    "OptimizedPrompt",
    "PromptOptimizer",
    "RouterSummary",
    "Summarize",
    "TokenCount",
    "count_tokens",
    "optimize",
    "summarize_with",
]
