"""The mutants of the flow: what is broken, how, and which tests must notice. Those of the rules are in `rules`."""

from tests.mutants.cache import CACHED
from tests.mutants.commands import COMMANDS
from tests.mutants.configured import CONFIGURED
from tests.mutants.guarded import GUARDED
from tests.mutants.limited import LIMITED
from tests.mutants.money import MONEY
from tests.mutants.mutant import FACES, PLAN, RACE, Mutant
from tests.mutants.optimizer import OPTIMIZER
from tests.mutants.outside import OUTSIDE
from tests.mutants.packaging import PACKAGING
from tests.mutants.pages import PAGES
from tests.mutants.prompts import PROMPTS
from tests.mutants.rules import RULES
from tests.mutants.serving import SERVING

CORE = "multiroute_core/"

FLOW = (
    Mutant(
        "a bad request is asked of every route",
        CORE + "engine/execution.py",
        "fatal = not failure.fallback_allowed and",
        "fatal = False and",
    ),
    Mutant(
        "to ask a route again costs nothing",
        CORE + "engine/execution.py",
        "if step.is_retry and not await self._state.afford(io, now):",
        "if False:",
    ),
    Mutant(
        "hedges cost nothing",
        CORE + "engine/execution.py",
        "or not await self._state.afford(self._io, self._io.now(), hedge=True)",
        "",
        RACE,
    ),
    Mutant(
        "a restart is not marked", CORE + "engine/execution.py", "yield Chunk(restarted=True)", "yield Chunk()", RACE
    ),
    Mutant(
        "every stream that breaks begins anew",
        CORE + "engine/execution.py",
        '        elif how != "restart":\n            raise error\n',
        "",
    ),
    Mutant(
        "what was said is lost when the stream breaks", CORE + "engine/execution.py", "error.partial = partial", "pass"
    ),
    Mutant(
        "what was said is lost when nobody takes over",
        CORE + "engine/continuation.py",
        "    if interruption is None:\n        return error\n",
        "    return error\n",
    ),
    Mutant(
        "whoever declines is replaced, unasked",
        CORE + "engine/answer_review.py",
        "if finish_reason in reasons:",
        'if finish_reason in ("refusal", "content_filter"):',
        "tests/engine/test_acceptance.py",
    ),
    Mutant(
        "the end of a continued answer is held back",
        CORE + "engine/execution.py",
        "if self._continuation is not None and (parts := self._continuation.flush()):",
        "if False:",
        "tests/engine/test_continuation.py",
    ),
    Mutant(
        "a loser is never asked again",
        CORE + "engine/execution.py",
        "                self._plan.lost_race(attempt.route)\n",
        "                pass\n",
        RACE,
    ),
    Mutant(
        "what a model repeats is said again",
        CORE + "engine/continuation.py",
        "        if self.over:\n            return text\n        self._pending",
        "        if True:\n            return text\n        self._pending",
        "tests/engine/test_continuation.py",
    ),
    Mutant(
        "half a tool call is gone on with by another model",
        CORE + "engine/continuation.py",
        "return Text in kinds and kinds <= {Text, Reasoning} and",
        "return Text in kinds and",
        "tests/engine/test_continuation.py",
    ),
    Mutant(
        "only the last speaker is paid for",
        CORE + "engine/continuation.py",
        "usage=_sum(usages),",
        "usage=last.usage,",
        "tests/engine/test_continuation.py",
    ),
    Mutant(
        "the loser of a race is not closed",
        CORE + "engine/hedging.py",
        "                await _cancel(loser, on_end)\n",
        "                pass\n",
        RACE,
    ),
    Mutant(
        "the loser of a race is not recorded",
        CORE + "engine/hedging.py",
        "        on_end(racer.attempt, None)\n",
        "        pass\n",
        RACE,
    ),
    Mutant(
        "a tie loses a permit",
        CORE + "engine/hedging.py",
        "    finally:\n        await attempt.close(error)",
        "    finally:\n        if error is None or not attempt.committed or isinstance(error, RouteError):\n"
        "            await attempt.close(error)",
        RACE,
    ),
    Mutant(
        "a caller that gives up leaves its racers running",
        CORE + "engine/hedging.py",
        "        for racer in racers:\n            await _cancel(racer, on_end)",
        "        pass",
        RACE,
    ),
    Mutant(
        "a rival is asked at once",
        CORE + "engine/hedging.py",
        "seconds if alone else None)",
        "0.0 if alone else None)",
        RACE,
    ),
    Mutant(
        "Retry-After is waited out",
        CORE + "engine/retry_plan.py",
        "        if self._queue:\n            route = self._queue.pop(0)",
        "        waits = [error.retry_after or 0.0 for error in self._failed.values()]\n"
        "        if self._stale and max(waits, default=0.0) > 0:\n"
        "            self._stale = False\n"
        "            return Wait(max(waits))\n"
        "        if self._queue:\n            route = self._queue.pop(0)",
        PLAN,
    ),
    Mutant(
        "Retry-After is no floor",
        CORE + "engine/retry_plan.py",
        "min(self._failed[r.name].retry_after or 0.0 for r in ready)",
        "0.0",
        PLAN,
    ),
    Mutant(
        "what will last is asked again",
        CORE + "engine/retry_plan.py",
        "return error.retryable and self._attempts",
        "return self._attempts",
    ),
    Mutant(
        "one try too many",
        CORE + "engine/retry_plan.py",
        "self._attempts[route.name] <= self.max_retries",
        "self._attempts[route.name] <= self.max_retries + 1",
    ),
    Mutant(
        "every route is probed before its time, though another may be asked",
        CORE + "engine/retry_plan.py",
        "early = route is self._early",
        "early = True",
    ),
    Mutant(
        "every caller probes early again and again",
        CORE + "engine/retry_plan.py",
        " and not self._probed and",
        " and",
        PLAN,
    ),
    Mutant(
        "a backup is a rival",
        CORE + "engine/retry_plan.py",
        "if not r.backup and r.name not in",
        "if r.name not in",
        RACE,
    ),
    Mutant(
        "who cannot pay asks for ever",
        CORE + "engine/retry_plan.py",
        "        self.max_retries = 0\n        self._queue = [r for r in self._queue if r.name not in self._attempts]\n",
        "        pass\n",
        PLAN,
    ),
    Mutant(
        "what is too long is asked of smaller windows",
        CORE + "engine/retry_plan.py",
        "if not self._too_small(self._windows.get(r.name), window)]",
        "]",
        PLAN,
    ),
    Mutant(
        "a call that was cancelled counts as a failure",
        CORE + "engine/verdicts.py",
        "    if not isinstance(error, RouteError) or not is_counted(error):\n        return Verdict.NONE",
        "    if not isinstance(error, RouteError):\n        return Verdict.FAILURE\n"
        "    if not is_counted(error):\n        return Verdict.NONE",
    ),
    Mutant(
        "a rate limit counts as a failure",
        CORE + "engine/verdicts.py",
        "or not is_counted(error):",
        'or not (is_counted(error) or error.code == "rate_limit"):',
    ),
    Mutant(
        "timeouts are no failures",
        CORE + "engine/verdicts.py",
        "or not is_counted(error):",
        'or not is_counted(error) or error.code == "timeout":',
    ),
    Mutant(
        "a bad key is a failure like any other",
        CORE + "engine/verdicts.py",
        "Verdict.PERMANENT if error.permanent else Verdict.FAILURE",
        "Verdict.FAILURE",
    ),
    Mutant(
        "Retry-After is forgotten",
        CORE + "engine/attempt.py",
        "retry_after = error.retry_after if isinstance(error, RouteError) else None",
        "retry_after = None",
    ),
    Mutant(
        "a stream without its end is believed",
        CORE + "engine/attempt.py",
        'raise EOFError("The stream ended early: the answer is incomplete.")',
        "return None",
    ),
    Mutant(
        "the deadline does not hold within an attempt",
        CORE + "engine/attempt.py",
        "        if not self.committed:\n            phase =",
        "        if False:\n            phase =",
    ),
    Mutant(
        "a stream may be silent for ever",
        CORE + "engine/attempt.py",
        'self.limit.set("the next chunk", self._io.now() + limits.stall, limits.stall)',
        'self.limit.set("the next chunk", self._io.now() + 100 * limits.stall, limits.stall)',
    ),
    Mutant(
        "a long goodbye breaks a whole answer",
        CORE + "engine/attempt.py",
        "if not decoder.complete:\n                    raise",
        "if True:\n                    raise",
    ),
    Mutant(
        "the stream is not closed",
        CORE + "engine/attempt.py",
        "if self._source is not None:\n                await self._io.close(self._source)",
        "if False:\n                await self._io.close(self._source)",
        FACES,
    ),
    Mutant(
        "usage is lost", CORE + "engine/attempt.py", "self.usage = delta.usage or self.usage", "self.usage = self.usage"
    ),
)

MUTANTS = (
    *FLOW,
    *RULES,
    *CACHED,
    *MONEY,
    *LIMITED,
    *OUTSIDE,
    *PACKAGING,
    *GUARDED,
    *PROMPTS,
    *OPTIMIZER,
    *SERVING,
    *COMMANDS,
    *CONFIGURED,
    *PAGES,
)
