"""`docs/providers.md`, written from the provider table, the model catalogue and what the providers encode:
`python -m tests.providers_page > docs/providers.md`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from multiroute_core import Route
from multiroute_core.messages import Message
from multiroute_core.pricing.prices import Prices
from multiroute_core.provider_table import PROVIDERS, ProviderSpec
from multiroute_core.providers import registry
from multiroute_core.providers.models import MODELS, Model
from multiroute_core.providers.provider import Encoded
from multiroute_core.tools import OutputSchema, PromptCaching, ReasoningOptions, Tool
from multiroute_core.types import Request, Usage

HEAD = """\
---
hide: [toc]
---

# Providers

What each provider of MultiRoute can do, with which key and through which SDK. The tables are written from the code
(`python -m tests.providers_page`): from the provider table, the model catalogue, and from what each provider's encoder makes of a request.
Any other server that speaks OpenAI's Chat Completions is a route as well: `Route("openai:model", base_url=…)`.
"""

FEATURES = """\
The columns say what is sent for the default model. Text, streams, system messages and conversations across vendors work everywhere.

* **Structured output** `schema`: the vendor enforces the schema. `JSON mode`: any JSON object is enforced, the schema is an instruction;
  `accept=MyModel` checks it, see [Guards](guards.md#answers-that-are-checked). Schemas that a vendor does not support become a forced tool
  or an instruction, see [Dialects](dialects.md#schemas-tool-names-and-media).
* **Images, documents, audio, video** `bytes`: as bytes only, `bytes, URL`: both. For a model that is not in the catalogue below, content is
  sent as the API defines it, and the vendor decides; the answer that it lacks it is remembered for ten minutes.
* **Reasoning** `effort`: `reasoning=` is sent. `left out`: it is dropped, with an entry in the attempt's `dropped`; give the vendor's own
  field in `extra`, such as `extra={"xai": {"reasoning_effort": "high"}}`.
* **Prompt caching** `marks`: the request marks what is kept. `key`: the request names the conversation. `by itself`: the vendor caches, if
  it does, without being asked. See [Prompt caching](prompt_caching.md).
* **Price**: whether `genai-prices` knows the default model at the vendor's address; see [Costs](costs-and-budgets.md#cost-of-an-answer).
"""

MODELS_TEXT = """\
The first row that matches a model's name counts; a row `*` is for every other model of the provider. Mistral, DeepSeek, xAI, Groq and
OpenRouter use the rows of `openai` where they have none, by the name after the provider: `groq:openai/gpt-oss-120b` is `*gpt-oss*`.
Tokens; `–` is unknown.
"""

TAIL = """\
## Retirement of models

A retired model is a `NotFoundError`: the next route answers, the circuit breaker opens for about 5 minutes, and one warning names the
model. [`multiroute check`](command_line.md#multiroute-check) says when a model retires and what the vendor recommends instead: by the
vendor's list of models, else by the vendors' pages as of 2026-11-30, whose addresses are in
[retirements.py](../multiroute_core/providers/retirements.py). Other addresses, such as clouds, have dates of their own.

## Wrapped framework models

Azure, Bedrock and Vertex AI are no providers here: their keys, regions and signatures are those of LangChain's or LlamaIndex's
integrations. A model of these can be a route, with the [settings of a route](routing.md#routes):

```python
from langchain_openai import AzureChatOpenAI

from multiroute_core import Route, Router

azure = AzureChatOpenAI(
    azure_endpoint="https://example.openai.azure.com",
    azure_deployment="gpt-4.1",
    api_version="2024-10-21",
    api_key="…",
    max_retries=0,
)
router = Router([Route(llm=azure, name="azure-eu", tags={"eu"}), "openai:gpt-4.1"])
print(router.estimate("Hi", max_tokens=100))  # at the prices of Azure, and of OpenAI
```

| cloud | LangChain | LlamaIndex |
|---|---|---|
| Azure OpenAI | `AzureChatOpenAI` of `langchain-openai` | `AzureOpenAI` of `llama-index-llms-azure-openai` |
| Amazon Bedrock | `ChatBedrockConverse` of `langchain-aws` | `BedrockConverse` of `llama-index-llms-bedrock-converse` |
| Vertex AI | `ChatGoogleGenerativeAI(vertexai=True)` of `langchain-google-genai` | `GoogleGenAI(vertexai_config=…)` of `llama-index-llms-google-genai` |

Azure's own address of the form `https://NAME.openai.azure.com/openai/v1` speaks OpenAI's API: `Route("openai:DEPLOYMENT", base_url=…,
api_key=…, prices="azure")` needs no integration. What differs for a wrapped model:

* Its own retries and timeouts come before the fallback: build it with `max_retries=0`, and let `Route(timeout=…)` limit it.
* Tools, structured output and media go through the framework's interface; a parameter that the class does not know is left out.
* MultiRoute does not see the headers of their answers, so limits that vendors tell there are not known; set `rpm` and `tpm`.
* The price list is that of the address or the vendor that the class names; `Route(prices=…)` where neither is known.

## What is missing

* Embeddings, rerank, image and video generation, speech, realtime, moderation as a route, and the vendors' batch and file-upload endpoints.
  Ids of uploaded files can be sent to the vendor that has them.
* Anthropic and Gemini models through the clouds' own APIs without a framework: AWS signatures and Google service accounts.
* State that a vendor keeps: `previous_response_id`, conversations and stored responses of OpenAI. Each request carries the whole history.
* Vendors without an OpenAI-compatible API and without a row above: wrap a framework's model.
"""

SCHEMA = {"type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"]}
QUESTION = (Message("user", "Which?"),)
NONE = "–"


def page() -> str:
    """The page's text."""
    variables = [spec.base_url_variable for spec in PROVIDERS.values() if spec.base_url_variable]
    with patch.dict(os.environ):
        for name in variables:
            os.environ.pop(name, None)
        return "\n".join([HEAD, *keys(), *features(), *catalogue(), TAIL])[:-1] + "\n"


def keys() -> Iterator[str]:
    """The table of keys, addresses and SDKs."""
    yield "## Keys and SDKs\n"
    yield table("provider", "key", "address", "extra, SDK", "`api=`", "names that imply it", "default model")
    for spec in PROVIDERS.values():
        name = code(spec.name) + "".join(f", {code(alias)}" for alias in spec.aliases)
        key = ", else ".join(code(variable) for variable in spec.key_variables) or "needs none"
        address = code(spec.base_url or spec.base_url_variable) if not spec.is_local else "this machine"
        sdks = [f"{code(extra)}: {code(sdk)}" for sdk, (_, extra) in spec.sdks.items()]
        extras = ", ".join(sdks) or f"{code(spec.extra)}: {code('xllamacpp' if spec.is_local else spec.extra)}"
        apis = ", ".join(code(api) for api in spec.apis) or NONE
        implied = ", ".join(code(pattern) for pattern in spec.model_patterns) or NONE
        yield row(name, key, address, extras, apis, implied, code(spec.default_model) if spec.default_model else NONE)
    yield ""


def features() -> Iterator[str]:
    """The table of what is sent for the default models."""
    yield "## Features\n"
    yield FEATURES
    titles = ("structured output", "images", "documents", "audio", "video", "reasoning", "prompt caching", "price")
    yield table("route", "window", "tools", *titles)
    for spec in PROVIDERS.values():
        for api in spec.apis or (None,):
            yield row(*features_of(spec, api))
    yield ""


def features_of(spec: ProviderSpec, api: Any) -> Iterator[str]:
    """One row: what is sent for the default model on an API."""
    model = spec.default_model or "smollm2"
    route = Route(f"{spec.name}:{model}", api=api, api_key=None if spec.is_local else "none")
    provider = registry.build(route)
    facts = registry.facts(route, provider)
    tool = Tool("look_up", "Look a colour up.", SCHEMA)

    def encode(request: Request) -> Encoded:
        return provider.encode(request, route, stream=True)

    yield code(route.name) + (f" on {code(api)}" if api else "")
    yield tokens(facts.window)
    custom = ", custom" if "custom_tools" in facts.offers else ""
    yield (
        f"yes{custom}" if "tools" in facts.offers and "tools" in encode(Request(QUESTION, tools=(tool,))).body else "no"
    )
    form = encode(Request(QUESTION, output_schema=OutputSchema(SCHEMA)))
    native = any(word in str(form.body) for word in ("json_schema", "responseJsonSchema"))
    yield "a forced tool" if form.output_tool else "schema" if native else "JSON mode"
    for kind in ("image", "document", "audio", "video"):
        ways = [way for way, word in (("bytes", kind), ("URL", f"{kind}_url")) if word in facts.offers]
        yield ", ".join(ways) or NONE
    effort = encode(Request(QUESTION, reasoning=ReasoningOptions(effort="high")))
    yield "left out" if any(entry.startswith("reasoning") for entry in effort.dropped) else "effort"
    caching = str(encode(Request(QUESTION, prompt_cache=PromptCaching(True))).body)
    yield "marks" if "cache_control" in caching else "key" if "prompt_cache_key" in caching else "by itself"
    known = spec.is_local or Prices().cost(spec.price_list, model, Usage(1, 1)) is not None
    yield "0" if spec.is_local else "known" if known else "unknown"


def catalogue() -> Iterator[str]:
    """The table of the model families."""
    yield "## Models\n"
    yield MODELS_TEXT
    yield table("models", "window", "output", "API", "reads", "sampling", "reasoning", "schema", "notes")
    for model in MODELS:
        yield row(
            code(f"{model.provider}:{model.pattern}"),
            tokens(model.window),
            tokens(model.max_output),
            model.api if model.provider == "openai" else NONE,
            ", ".join(kind for kind in ("image", "document", "audio", "video") if kind in model.inputs) or "text",
            model.sampling,
            reasoning_of(model),
            "yes" if model.json_schema else "no",
            notes_on(model),
        )
    yield ""


def reasoning_of(model: Model) -> str:
    """How the reasoning of a family is set."""
    if model.reasoning == "effort":
        return " to ".join(dict.fromkeys((model.efforts[0], model.efforts[-1])))
    return f"{model.budgets[0]:,} to {model.budgets[1]:,} tokens" if model.reasoning == "budget" else NONE


def notes_on(model: Model) -> str:
    """What a family does not support."""
    lacks = {
        "no tools": not model.tools,
        "no forced tool": not model.forced_tool,
        "no stop": not model.stop,
        "no choice of parallel calls": not model.parallel_tool_calls,
        "no schema with tools": model.json_schema and not model.schema_with_tools,
    }
    return ", ".join(note for note, is_true in lacks.items() if is_true) or NONE


def tokens(count: int | None) -> str:
    """A number of tokens."""
    return NONE if count is None else f"{count:,}"


def code(text: str) -> str:
    """Text as code."""
    return f"`{text}`"


def row(*cells: str) -> str:
    """A row of a table."""
    return f"| {' | '.join(cells)} |"


def table(*titles: str) -> str:
    """The head of a table."""
    return f"{row(*titles)}\n|{'---|' * len(titles)}"


if __name__ == "__main__":
    print(page(), end="")
