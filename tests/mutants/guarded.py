"""The mutants of guards and of answers that are checked."""

from tests.mutants.mutant import Mutant

CALL = "multiroute_core/engine/guarded_call.py"
ANSWER = "multiroute_core/engine/guarded_answer.py"
EXECUTION = "multiroute_core/engine/execution.py"
REVIEW = "multiroute_core/engine/answer_review.py"
GUARDING = "tests/engine/test_guarding.py"
PRIVACY = "tests/engine/test_guarded_privacy.py"
ACCEPTANCE = "tests/engine/test_acceptance.py"

GUARDED = (
    Mutant(
        "options of a block reach what a check calls",
        "multiroute_core/options.py",
        "    with outside_options():\n        result = function(argument)",
        "    if True:\n        result = function(argument)",
        f"{ACCEPTANCE} -k block",
    ),
    Mutant(
        "what a call waited counts against its guards",
        CALL,
        "context.start_time + context.waited + (",
        "context.start_time + (",
        "tests/engine/test_limiting.py -k guard",
    ),
    Mutant(
        "the end of a longer secret gets out",
        "multiroute_core/guards/output.py",
        "if start >= len(whole) - window:",
        "if False:",
        "tests/guards/test_output.py",
    ),
    Mutant(
        "what the endpoint did not judge passes",
        "multiroute_core/guards/moderation.py",
        "if len(response.results) != len(pieces):",
        "if False:",
        "tests/guards/test_moderation.py",
    ),
    Mutant("a raw form is not looked at", CALL, "for text in texts_of_json(raw.body):", "for text in ():", PRIVACY),
    Mutant("a raw form keeps old placeholders", CALL, "if not is_same or await", "if await", PRIVACY),
    Mutant(
        "keys are not masked",
        CALL,
        "key if opaque_keys or is_identifier(key) else await self._guard_text(key, origin, role)",
        "key",
        PRIVACY,
    ),
    Mutant("a guard that fails lets everything pass", CALL, 'if guard.on_error != "pass":', "if False:", GUARDING),
    Mutant(
        "a long stream has no time for its checks",
        CALL,
        'return float("inf") if is_streamed else self._deadline',
        "return self._deadline",
        GUARDING,
    ),
    Mutant("a restricted request goes anywhere", CALL, "            routes = allowed\n", "", PRIVACY),
    Mutant(
        "nothing is held back",
        ANSWER,
        "released = text if last or not window else text[:-window]",
        "released = text",
        GUARDING,
    ),
    Mutant(
        "pieces of tool calls end each other",
        ANSWER,
        "if (chain := self._calls.get(part.index)) is None:",
        "if True:",
        PRIVACY,
    ),
    Mutant(
        "a rewritten answer keeps its raw form",
        ANSWER,
        "return None if has_rewritten and",
        "return None if False and",
        GUARDING,
    ),
    Mutant(
        "errors hold placeholders",
        "multiroute_core/engine/guarding.py",
        "if filters is None or (guarded_error",
        "if True or (guarded_error",
        PRIVACY,
    ),
    Mutant(
        "an unfinished turn is believed",
        EXECUTION,
        "if await self._review.find_rejection(paused.paused, self._deadline) is None:",
        "if True:",
        ACCEPTANCE,
    ),
    Mutant(
        "a rejected turn is resumed elsewhere",
        EXECUTION,
        "        self._request = self._call.request\n        self._extend",
        "        self._extend",
        ACCEPTANCE,
    ),
    Mutant(
        "pieces of a rejected stream are given out", EXECUTION, "                    held.clear()\n", "", ACCEPTANCE
    ),
    Mutant(
        "what is only better than nothing is cached",
        EXECUTION,
        "self._context.is_cacheable = False",
        "pass",
        ACCEPTANCE,
    ),
    Mutant("a check that fails accepts", REVIEW, "if result is not True:", "if result is False:", ACCEPTANCE),
    Mutant(
        "a cached answer is believed",
        "multiroute_core/engine/caching.py",
        "if entry is None or not (options.accept or options.fallback_on):",
        "if True:",
        ACCEPTANCE,
    ),
    Mutant(
        "a secret that goes on is redacted too early",
        "multiroute_core/guards/output.py",
        "if start >= len(whole) - window:",
        "if False:",
        "tests/guards/test_output.py",
    ),
    Mutant(
        "a conversation is moderated again and again",
        "multiroute_core/guards/moderation.py",
        "            return self._findings.get(digest)\n",
        "            return None\n",
        "tests/guards/test_moderation.py",
    ),
    Mutant(
        "spans of a finder overlap",
        "multiroute_core/guards/finder.py",
        "is_free = place == 0 or ends[place - 1] <= span.start",
        "is_free = True",
        "tests/guards/test_finder.py",
    ),
    Mutant(
        "a schema is expected of reasoning",
        "multiroute_core/guards/output.py",
        'if text.part != "text":',
        "if False:",
        "tests/guards/test_output.py",
    ),
)
