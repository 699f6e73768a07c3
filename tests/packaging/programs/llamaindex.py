"""A LlamaIndex query engine with a failover."""

from llama_index.core import Document, SummaryIndex

from llamaindex_multiroute import MultiRoute
from multiroute_core.testing import Answer, rate_limited, scripted_route

llm = MultiRoute(scripted_route("first", rate_limited(retry_after=5)), scripted_route("second", Answer("Three.")))
index = SummaryIndex.from_documents([Document(text="Three failures in a row open a breaker.")])
assert str(index.as_query_engine(llm=llm).query("How many failures open a breaker?")) == "Three."
