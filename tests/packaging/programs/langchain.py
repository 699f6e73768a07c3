"""A LangChain chain with a failover, sync and async."""

import asyncio

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from langchain_multiroute import ChatMultiRoute
from multiroute_core.testing import Answer, rate_limited, scripted_route

llm = ChatMultiRoute(scripted_route("first", rate_limited(retry_after=5)), scripted_route("second", Answer("A fuse.")))
chain = ChatPromptTemplate.from_template("Explain: {topic}") | llm | StrOutputParser()
assert chain.invoke({"topic": "a circuit breaker"}) == "A fuse."
assert asyncio.run(chain.ainvoke({"topic": "a circuit breaker"})) == "A fuse."
assert llm.invoke("Hello").response_metadata["multiroute"]["route"] == "second"
