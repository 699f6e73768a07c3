"""The four faces of a chat model of LangChain's."""

FACES = ("invoke", "ainvoke", "stream", "astream")


async def ask(llm, face, messages="Hi", **kwargs):
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
