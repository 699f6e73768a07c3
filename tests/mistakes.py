"""Mistakes of newcomers, and the sentence that each gets: `python -m tests.mistakes` prints the table."""

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple
from unittest import mock

from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai import OpenAI

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import Budget, MultiRouteError, Route, Router
from multiroute_core.provider_table import PROVIDERS
from multiroute_core.testing import Answer, ScriptedProvider


class Mistake(NamedTuple):
    """One mistake.

    Attributes:
        title: What goes wrong.
        code: What is typed.
        sentence: What the error or the log says, or its beginning.
        environment: Variables of the environment.
        logged: Whether the sentence is in the log, because the call succeeds.
        by_python: Whether the sentence is Python's own.
    """

    title: str
    code: str
    sentence: str
    environment: dict[str, str] = {}
    logged: bool = False
    by_python: bool = False


KEY = {"OPENAI_API_KEY": "k"}

MISTAKES = (
    Mistake("wrong provider", "Router('openia:gpt-4.1')", "Unknown provider 'openia': did you mean 'openai'?"),
    Mistake(
        "missing key",
        "Router('openai:gpt-4.1')",
        "Route 'openai:gpt-4.1' has no API key: set OPENAI_API_KEY, or pass Route(api_key=...).",
    ),
    Mistake(
        "several missing keys",
        "ChatMultiRoute('openai:gpt-4.1', 'anthropic:claude-haiku-5-5')",
        "2 routes have no API key: 'openai:gpt-4.1' (OPENAI_API_KEY), 'anthropic:claude-haiku-5-5' (ANTHROPIC_API_KEY); "
        "set these variables, or pass Route(api_key=...).",
    ),
    Mistake(
        "a key that is None",
        "Router(Route('openai:gpt-4.1', api_key=os.environ.get('OPENAI_KEY')))",
        "Route 'openai:gpt-4.1' has no API key: set OPENAI_API_KEY, or pass Route(api_key=...).",
    ),
    Mistake(
        "a key in the wrong variable",
        "Router('openai:gpt-4.1')",
        "Route 'openai:gpt-4.1' has no API key: set OPENAI_API_KEY, or pass Route(api_key=...). "
        "OPENAI_APIKEY is set; rename it to OPENAI_API_KEY.",
        {"OPENAI_APIKEY": "k"},
    ),
    Mistake(
        "no routes and no keys",
        "Router()",
        "No routes: pass routes=[...], or set one of ANTHROPIC_API_KEY, GOOGLE_API_KEY, GEMINI_API_KEY, OPENAI_API_KEY",
    ),
    Mistake(
        "missing extra",
        "without('anthropic', lambda: Router(Route('anthropic:claude-haiku-5-5', api_key='k')))",
        "Route 'anthropic:claude-haiku-5-5' needs a package that is not installed (import of anthropic halted; None in "
        "sys.modules); run: pip install 'multiroute-llm[anthropic]'",
    ),
    Mistake(
        "a model by position, without its provider",
        "ChatMultiRoute('gpt-4.1')",
        "'gpt-4.1' is not a valid route; expected 'provider:model': write 'openai:gpt-4.1'.",
    ),
    Mistake(
        "LiteLLM's slash",
        "MultiRoute('openai/gpt-4.1')",
        "'openai/gpt-4.1' is not a valid route; expected 'provider:model': write 'openai:gpt-4.1'.",
    ),
    Mistake(
        "a dotted model",
        "Router('anthropic.claude-haiku-5-5')",
        "'anthropic.claude-haiku-5-5' is not a valid route; expected 'provider:model': write 'anthropic:claude-haiku-5-5'.",
    ),
    Mistake(
        "several routes by position",
        "Router('openai:gpt-4.1', 'anthropic:claude-haiku-5-5')",
        "Router takes its routes as one list; write Router(['openai:gpt-4.1', 'anthropic:claude-haiku-5-5'])",
    ),
    Mistake(
        "a misspelt option",
        "ChatMultiRoute('openai:gpt-4.1', stratgy='cheapest')",
        "Unknown option 'stratgy': did you mean 'strategy'?",
        KEY,
    ),
    Mistake(
        "a misspelt option of a route",
        "Route('openai:gpt-4.1', baseurl='http://localhost:8000/v1')",
        "Unknown argument of Route 'baseurl': did you mean 'base_url'?",
    ),
    Mistake(
        "an option of a call in the router",
        "Router('openai:gpt-4.1', temperature=0.5)",
        "Router takes no argument temperature: it is an option of a call; write "
        "Router('openai:gpt-4.1').generate('Hello', temperature=0.5)",
        KEY,
    ),
    Mistake(
        "temperature=3",
        "ChatMultiRoute('openai:gpt-4.1', temperature=3)",
        "temperature=3 is not valid; expected a number of at least 0 and at most 2.",
        KEY,
    ),
    Mistake(
        "max_tokens as a word",
        "MultiRoute('openai:gpt-4.1', max_tokens='many')",
        "max_tokens='many' is not valid; expected an integer of at least 1.",
        KEY,
    ),
    Mistake(
        "unknown strategy",
        "Router('openai:gpt-4.1', strategy='cheap')",
        "Unknown strategy 'cheap': did you mean 'cheapest'?",
        KEY,
    ),
    Mistake(
        "unreachable Redis",
        "Router(scripted, state='redis://127.0.0.1:1/0').generate('Hello')",
        "Redis at redis://127.0.0.1:1/0 is unavailable (ConnectionError: Error 111 connecting to 127.0.0.1:1. Connection "
        "refused.); local rules are used. Start it, or correct its address.",
        logged=True,
    ),
    Mistake(
        "a cache file where none can be",
        "Router('openai:gpt-4.1', cache='sqlite:////proc/answers.db')",
        "The cache /proc/answers.db cannot be created (No such file or directory); give the path of a writable file.",
        KEY,
    ),
    Mistake(
        "a ledger file where none can be",
        "Router('openai:gpt-4.1', ledger='sqlite:////proc/ledger.db')",
        "The ledger file '/proc/ledger.db' cannot be used: [Errno 2] No such file or directory: '/proc/ledger.db'. It was "
        "not changed; give another path.",
        KEY,
    ),
    Mistake("a closed router", "closed().generate('Hello')", "This Router is closed; build a new one."),
    Mistake("no messages", "router.generate('')", "There are no messages; expected a message, such as 'Hello'."),
    Mistake(
        "a list of prompts",
        "router.generate(['Red?', 'Blue?'])",
        "A message is a str; expected one conversation as a string or a list of messages: for several prompts, write "
        "router.map(prompts).",
    ),
    Mistake(
        "LangChain's message in a Router",
        "router.generate([HumanMessage('Hello')])",
        "A message is a HumanMessage, which is a message of ChatMultiRoute; write ChatMultiRoute(router=router), or pass "
        "Message('user', …), ('user', …) or {'role': 'user', 'content': …}.",
    ),
    Mistake(
        "LlamaIndex's message in LangChain",
        "ChatMultiRoute(router=router).invoke([ChatMessage('Hello')])",
        "A message is a ChatMessage, which is a message of MultiRoute; write MultiRoute(router=router), or pass "
        "Message('user', …), ('user', …) or {'role': 'user', 'content': …}.",
    ),
    Mistake(
        "a framework's model in a Router",
        "Router(ChatOpenAI(model='gpt-4.1'))",
        "ChatOpenAI is a framework's model; write Route(llm=...).",
        KEY,
    ),
    Mistake(
        "LlamaIndex's LLM in ChatMultiRoute",
        "ChatMultiRoute(OpenAI(model='gpt-4.1'))",
        "OpenAI is a framework's model; write Route(llm=...).",
        KEY,
    ),
    Mistake(
        "an address for several routes",
        "ChatMultiRoute('openai:gpt-4.1', 'anthropic:claude-haiku-5-5', base_url='http://localhost:8000/v1')",
        "ChatMultiRoute takes no argument base_url: each route has its own base_url; write "
        "ChatMultiRoute(Route('openai:gpt-4.1', base_url='http://localhost:8000/v1'), 'anthropic:claude-haiku-5-5')",
    ),
    Mistake("a negative budget", "Budget(usd=-5)", "usd=-5 is not valid; expected a number of at least 0."),
    Mistake(
        "a budget that is too small",
        "Router('openai:gpt-4.1', budget=Budget(usd=0.001, hard=True)).generate('Hello')",
        "The budget 'usd/day' has 0.001 USD left of 0.001 USD, and this call may cost 0.008206 USD; a smaller max_tokens= "
        "reserves less. It resets at",
        KEY,
    ),
    Mistake(
        "a hook that is not in a list",
        "Router('openai:gpt-4.1', on_event=print)",
        "on_event=print is not valid; expected a list of hooks, such as on_event=[print].",
        KEY,
    ),
    Mistake(
        "no ledger for a report",
        "router.report()",
        "This Router has no ledger; build it with Router(ledger='sqlite:///ledger.db').",
    ),
    Mistake(
        "await generate",
        "asyncio.run(awaiting())",
        "object Response can't be used in 'await' expression",
        by_python=True,
    ),
    Mistake(
        "agenerate without await",
        "router.agenerate('Hello').text",
        "'coroutine' object has no attribute 'text'",
        by_python=True,
    ),
)


@contextlib.contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """The environment with these keys alone."""
    names = [name for spec in PROVIDERS.values() for name in spec.key_variables]
    kept = {name: value for name, value in os.environ.items() if name not in names}
    with mock.patch.dict(os.environ, kept | variables, clear=True):
        yield


def namespace() -> dict[str, Any]:
    """What the codes use."""
    scripted = Route("test:model", llm=ScriptedProvider(Answer("Hello.")))
    router = Router(scripted)

    def closed() -> Router:
        other = Router(scripted)
        other.close()
        return other

    def without(package: str, call: Any) -> Any:
        with mock.patch.dict(sys.modules, {package: None}):
            return call()

    async def awaiting() -> Any:
        return await router.generate("Hello")  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]

    own = (Router, ChatMultiRoute, MultiRoute, Route, Budget, ChatOpenAI, OpenAI, HumanMessage, ChatMessage)
    helpers = {"os": os, "asyncio": asyncio, "closed": closed, "without": without, "awaiting": awaiting}
    return {c.__name__: c for c in own} | helpers | {"router": router, "scripted": scripted}


def make(mistake: Mistake) -> str:
    """Make a mistake; what the error or the log says."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = logging.getLogger("multiroute_core")
    logger.addHandler(handler)
    try:
        with environment(mistake.environment):
            result = eval(mistake.code, namespace())
        patience = time.monotonic() + 20
        while mistake.logged and not lines and time.monotonic() < patience:
            time.sleep(0.01)
        return lines[0] if lines else f"no error: {result!r}"
    except MultiRouteError as error:
        return str(error)
    except (TypeError, AttributeError) as error:
        if not mistake.by_python:
            raise
        return str(error)
    finally:
        logger.removeHandler(handler)


if __name__ == "__main__":
    logging.getLogger("multiroute_core").propagate = False
    print("| mistake | code | text |\n|---|---|---|")
    for each in MISTAKES:
        print(f"| {each.title} | `{each.code}` | {make(each)} |")
