"""llm-guard's scanners as guards. They are not installed with this library: `pip install llm-guard`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Collection
from typing import Any, Literal

from multiroute_core._util.surrogates import replace_surrogates
from multiroute_core.display.text import describe_value
from multiroute_core.errors import ConfigurationError
from multiroute_core.guards.guard import Block, Flag, Guard, GuardedText, Origin, Rewrite, Verdict

ACTIONS = ("block", "rewrite", "flag")


def scan_with_llm_guard(
    scanner: Any,
    *,
    action: Literal["block", "rewrite", "flag"] = "block",
    origins: Collection[Origin] | None = None,
    on_error: Literal["block", "pass"] = "block",
    timeout: float = 30.0,
) -> Guard:
    """Return a guard that asks a scanner of llm-guard.

    An input scanner sees the user's texts, tool results and documents; an output scanner sees the answer, and an empty
    prompt beside it, so scanners that compare both (`Relevance`, `FactualConsistency`) are not of use.

    Args:
        scanner: An object of `llm_guard.input_scanners` or `llm_guard.output_scanners`.
        action: What follows if the scanner rejects a text: `"block"`, `"flag"`, or `"rewrite"`, which passes the text
            as the scanner has changed it.
        origins: The texts that it checks.
        on_error: As of `Guard`.
        timeout: Seconds for one check; 30 by default, as models need time.

    Raises:
        ConfigurationError: It is not a scanner, or a value is invalid.

    Example:
        >>> from llm_guard.input_scanners import BanTopics  # doctest: +SKIP
        >>> Router(routes, guards=[scan_with_llm_guard(BanTopics(["violence"]))])  # doctest: +SKIP
    """
    if action not in ACTIONS:
        expected = " or ".join(map(repr, ACTIONS))
        raise ConfigurationError(f"action={describe_value(action)} is not valid; expected {expected}.")
    scan = getattr(scanner, "scan", None)
    if not callable(scan) or isinstance(scanner, type):
        raise ConfigurationError(
            f"{describe_value(scanner)} is not a scanner; expected an object such as "
            "llm_guard.input_scanners.BanTopics(['violence'])."
        )
    scans_answers = len(inspect.signature(scan).parameters) > 1
    if origins is None:
        origins = ("answer",) if scans_answers else ("user", "tool_result", "retrieved")
    check = functools.partial(_scan, scanner, action, ("",) if scans_answers else ())
    return Guard(check, type(scanner).__name__, origins, on_error=on_error, timeout=timeout)


def _scan(scanner: Any, action: str, prompt: tuple[str, ...], text: GuardedText) -> Verdict | None:
    scanned_text = replace_surrogates(text.text)  # tokenizers fail on them
    changed_text, is_valid, risk = scanner.scan(*prompt, scanned_text)
    reason = f"risk {risk:.2f}"
    if is_valid or action == "rewrite":
        return None if changed_text == scanned_text else Rewrite(changed_text, reason)
    return Block(reason) if action == "block" else Flag(reason)
