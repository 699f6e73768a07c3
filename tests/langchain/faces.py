"""The four faces of a chat model of LangChain's."""

import itertools
from typing import Any

FACES = ("invoke", "ainvoke", "stream", "astream")


async def ask(llm, face, messages: Any = "Hi", **kwargs: Any) -> Any:
    """The answer, with the chunks of a stream merged."""
    match face:
        case "invoke":
            return llm.invoke(messages, **kwargs)
        case "ainvoke":
            return await llm.ainvoke(messages, **kwargs)
        case "stream":
            first, *rest = llm.stream(messages, **kwargs)
        case _:
            first, *rest = [chunk async for chunk in llm.astream(messages, **kwargs)]
    return first + rest


_NUMBERS = itertools.count(1)


def own_timeout():
    """A timeout in seconds that no other model has, and with it a client of its own.

    ChatAnthropic and ChatOpenAI share one async client among all models with the same address and timeout, in all event
    loops; a port comes again, and a connection of a loop that is closed fails.
    """
    return 60 + next(_NUMBERS) / 1000
