"""Token counts of a call by its provider, or estimated.

The guards and the prompt optimizer see the prompt first, as they do in a call: what is counted is what would be sent,
and the provider gets nothing that a guard would hide from it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from multiroute_core._util.traceback import hide_from_pytest as __tracebackhide__  # noqa: F401
from multiroute_core.engine.guarding import GuardStage
from multiroute_core.engine.optimizing import OptimizerStage
from multiroute_core.engine.parts import Engine
from multiroute_core.engine.stage import CallContext, chain
from multiroute_core.parsing import token_count
from multiroute_core.prompts.counting import TokenCount, count_request, find_encoding
from multiroute_core.providers.token_counts import read_count
from multiroute_core.providers.whole import is_control_flow
from multiroute_core.routing.call import Call
from multiroute_core.runtime.deadline import Deadline, Expired
from multiroute_core.runtime.io import IO
from multiroute_core.types import Chunk

COUNT_SECONDS = 10.0
"""Default time limit of a count, in seconds."""


async def count_call(engine: Engine, io: IO, call: Call, seconds: float) -> TokenCount:
    """Return the tokens of the prompt of a call on the first of its routes.

    Args:
        engine: The components of the router.
        io: Sync or async I/O.
        call: The call.
        seconds: Seconds until the provider must have answered; after that the tokens are estimated.

    Raises:
        GuardBlockedError: A guard blocks the prompt.
        PromptTooLongError: The prompt cannot be trimmed to its budget.
    """
    call = await _prepare(engine, io, call)
    route = call.routes[0]
    provider: Any = engine.providers[route.name]
    encode = getattr(provider, "encode_count", None)
    encoded = None if encode is None else encode(call.request, route)
    if encoded is None:
        return _estimate(call, "The API of this route does not count tokens.")
    limit = Deadline(io.now)
    limit.set("the count", io.now() + seconds, seconds)
    try:
        tokens = read_count(await provider.call(io, limit, encoded))
    except Exception as error:
        if is_control_flow(error):
            raise
        reason = f"did not arrive within {seconds:g} s" if isinstance(error, Expired) else "failed"
        code = "" if isinstance(error, Expired) else f" ({provider.classify(error).code})"
        return _estimate(call, f"The provider's count {reason}{code}.")
    return TokenCount(tokens, "provider", route.name)


async def _prepare(engine: Engine, io: IO, call: Call) -> Call:
    """Return the call as it would reach the cache."""
    calls = [call]

    async def capture(context: CallContext) -> AsyncGenerator[Chunk, None]:
        calls.append(context.call)
        return
        yield  # what makes it a generator

    stages = [stage for stage in engine.stages if isinstance(stage, GuardStage | OptimizerStage)]
    async for _ in chain(stages, capture)(CallContext(io, call, engine.listeners, io.now())):
        pass
    return calls[-1]


def _estimate(call: Call, reason: str) -> TokenCount:
    route = call.routes[0]
    encoding = find_encoding(f"{route.provider}:{route.model}")
    tokens = count_request(call.request, encoding or token_count.of_text)
    return TokenCount(tokens, "estimate" if encoding is None else "tiktoken", route.name, reason)
