"""Bad arguments of the constructors: one sentence, before the network, the same for Router and both frameworks."""

# The wrong types are the subject.
# pyright: reportArgumentType=false

import logging
import pickle
import re
import subprocess
import sys

import openai
import pytest
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from llama_index.llms.openai import OpenAI

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import Budget, CacheConfig, ConfigurationError, Route, Router

ROUTE = Route("openai:gpt-4.1", api_key="k")
LANGCHAIN = ChatOpenAI(model="gpt-4.1", api_key="sk-verysecretkey0000000")
LLAMAINDEX = OpenAI(model="gpt-4.1", api_key="sk-verysecretkey0000000")
CLIENT = openai.OpenAI(api_key="sk-verysecretkey0000000")

CONSTRUCTORS = (Router, ChatMultiRoute, MultiRoute)
ADAPTERS = (ChatMultiRoute, MultiRoute)


def sentence_of(call) -> str:
    """The error's text, which is one line of bearable length without a key."""
    with pytest.raises(ConfigurationError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 420
    assert "verysecret" not in text
    return text


@pytest.mark.parametrize("build", CONSTRUCTORS)
@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("on_event", [1], "on_event=[1] is not valid; expected a list of callables"),
        ("on_event", print, "on_event=print is not valid; expected a list of hooks, such as on_event=[print]"),
        ("on_event", 5, "on_event=5 is not valid; expected a list of hooks"),
        ("strict_params", "yes", "strict_params='yes' is not valid; expected True or False"),
        ("skip_missing_keys", 1, "skip_missing_keys=1 is not valid; expected True or False"),
        ("fallback", 1, "fallback=1 is not valid; expected True or False"),
        ("fallback_on", "refsal", "Unknown fallback_on 'refsal': did you mean 'refusal'?"),
        ("hedge_budget", 5, "hedge_budget=5 is not valid; expected a share"),
        ("deadline", "5", "deadline='5' is not valid; expected a number of seconds"),
        ("attempt_timeout", "x", "attempt_timeout='x' is not valid; expected a number of seconds"),
        ("max_response_bytes", "x", "max_response_bytes='x' is not valid; expected a number of bytes"),
        ("max_retries", 1.5, "max_retries=1.5 is not valid; expected an integer of at least 0"),
        ("on_stream_error", "x", "Unknown on_stream_error 'x': expected one of continue, raise, restart."),
        ("strategy", 5, "Unknown strategy 5: expected one of cheapest, fastest"),
        ("strategy", "cheap", "Unknown strategy 'cheap': did you mean 'cheapest'?"),
        ("state", "memry", "state='memry' is not a valid state; expected 'memory'"),
        ("state", CLIENT, "state=OpenAI(...) is not valid; expected 'memory'"),
        ("cache", 5, "cache=5 is not valid; expected 'memory'"),
        ("cache", "sqlite://x", "'sqlite://x' is not the URL of a file; expected 'sqlite:///relative/path.db'"),
        ("cache", "sqlite:////proc/x/y.db", "The cache /proc/x/y.db cannot be created"),
        ("cache", CLIENT, "cache=OpenAI(...) is not valid; expected 'memory'"),
        ("ledger", "sqlite:////proc/x.db", "The ledger file '/proc/x.db' cannot be used"),
        ("ledger", CLIENT, "ledger=OpenAI(...) is not valid; expected 'memory'"),
        ("limit", 5, "limit=5 is not valid; expected a Limit, such as Limit(rpm=60)"),
        ("budget", 5, "budget=5 is not valid; expected a Budget, such as Budget(usd=20)"),
        ("budget", "20", "budget='20' is not valid; expected a Budget"),
        ("budget", [ROUTE], "budget=Route(...) is not valid; expected a Budget"),
    ],
)
def test_a_wrong_setting_of_the_router(build, setting, value, sentence):
    assert sentence in sentence_of(lambda: build([ROUTE], **{setting: value}))


@pytest.mark.parametrize("build", ADAPTERS)
@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("temperature", 3, "temperature=3 is not valid; expected a number of at least 0 and at most 2."),
        ("temperature", "hot", "temperature='hot' is not valid; expected a number of at least 0 and at most 2."),
        ("max_tokens", "many", "max_tokens='many' is not valid; expected an integer of at least 1."),
        ("max_tokens", 0, "max_tokens=0 is not valid; expected an integer of at least 1."),
        ("top_p", 0, "top_p=0 is not valid; expected a number greater than 0 and at most 1."),
        ("stop", 5, "stop=5 is not valid; expected non-empty strings."),
        ("seed", "x", "seed='x' is not valid; expected an integer."),
        ("parallel_tool_calls", "no", "parallel_tool_calls='no' is not valid; expected True or False."),
        ("reasoning", "hihg", "Unknown reasoning effort 'hihg': did you mean 'high'?"),
        ("extra", {"opnai": {}}, "Unknown provider in extra 'opnai': did you mean 'openai'?"),
        ("extra", 5, "extra=5 is not valid; expected a mapping"),
        ("labels", 5, "labels=5 is not valid; expected one or more non-empty strings."),
        ("labels", [1], "labels=[1] is not valid; expected one or more non-empty strings."),
        ("tenant", 5, "tenant=5 is not valid; expected a non-empty string."),
        ("task", "", "task='' is not valid; expected a non-empty string."),
        ("model", "gpt-4.2", "Unknown model 'gpt-4.2': did you mean 'gpt-4.1'?"),
        ("region", "eu", "No route is in region='eu'; the routes' regions are none."),
        ("route_tags", {"fast"}, "No route has all of route_tags=['fast']; the routes' tags are none."),
        ("timeout", "x", "timeout='x' is not valid; expected a number of seconds greater than 0."),
        ("api_key", "", "api_key is not valid; expected a non-empty string."),
    ],
)
def test_a_wrong_option_of_each_call(build, setting, value, sentence):
    assert sentence in sentence_of(lambda: build([ROUTE], **{setting: value}))


def test_fields_of_the_frameworks_are_refused_in_one_sentence():
    for call, sentence in (
        (lambda: ChatMultiRoute([ROUTE], streaming="x"), "streaming='x' is not valid; expected a valid boolean"),
        (lambda: ChatMultiRoute([ROUTE], tags=5), "tags=5 is not valid; expected a valid list."),
        (lambda: MultiRoute([ROUTE], context_window=-1), "context_window=-1 is not valid; expected a number of tokens"),
        (lambda: MultiRoute([ROUTE], system_prompt=5), "system_prompt=5 is not valid; expected a valid string."),
    ):
        assert sentence in sentence_of(call)


def test_valid_values_are_kept_as_they_mean():
    for build in ADAPTERS:
        model = build([ROUTE], labels="a", temperature=1, stop=["x"], max_tokens=5)
        assert (model.labels, model.temperature, model.stop, model.max_tokens) == (frozenset({"a"}), 1.0, ["x"], 5)


@pytest.mark.parametrize("build", CONSTRUCTORS)
@pytest.mark.parametrize(
    ("routes", "sentence"),
    [
        (LANGCHAIN, "ChatOpenAI is a framework's model; write Route(llm=...)."),
        (LLAMAINDEX, "OpenAI is a framework's model; write Route(llm=...)."),
        ([LANGCHAIN], "ChatOpenAI is a framework's model; write Route(llm=...)."),
        ([LLAMAINDEX], "OpenAI is a framework's model; write Route(llm=...)."),
        (CLIENT, "The client OpenAI(...) is not a route; write Route('openai:"),
        ([CLIENT], "The client OpenAI(...) is not a route; write Route('openai:"),
        (
            ChatOpenAI,
            "The class ChatOpenAI is not a route; for a model of a framework, write Route(llm=ChatOpenAI(...)).",
        ),
        ([[ROUTE]], "A list is not a route; write all routes in one flat list."),
        ([ROUTE, ("openai:gpt-4.1",)], "A tuple is not a route; write all routes in one flat list."),
        ({"model": "gpt-4.1"}, "A dict is not a route; write Route('provider:model', ...)"),
        (Router([ROUTE]), "A Router is not a route; write router=... to use an existing one."),
        (HumanMessage("x"), "A LangChain HumanMessage is not a route; expected 'provider:model'"),
        (5, "5 is not a valid route; expected 'provider:model'"),
        ([None], "None is not a valid route; expected 'provider:model'"),
        ("gpt-4.1", "'gpt-4.1' is not a valid route; expected 'provider:model': write 'openai:gpt-4.1'."),
        (
            ["openai/gpt-4.1"],
            "'openai/gpt-4.1' is not a valid route; expected 'provider:model': write 'openai:gpt-4.1'.",
        ),
        ("gemini/gemini-3.8-flash", "write 'google:gemini-3.8-flash'."),
        ("anthropic.claude-haiku-5-5", "write 'anthropic:claude-haiku-5-5'."),
        ("OpenAI: gpt-4.1", "write 'openai:gpt-4.1'."),
        ("llama-9", "'llama-9' is not a valid route; expected 'provider:model', for example"),
    ],
)
def test_what_is_no_route_is_named_by_its_type(build, routes, sentence):
    frameworks = {ChatMultiRoute: LANGCHAIN, MultiRoute: LLAMAINDEX}
    own = frameworks.get(build, ...)
    if routes is own or (isinstance(routes, list) and routes[0] is own):
        assert build(routes).router.routes[0].llm is not None, "its own framework's models are routes"
    else:
        assert sentence in sentence_of(lambda: build(routes))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: Route("openai:x", api_key=5), "Route(api_key=...) is not valid; expected a non-empty string, or None"),
        (
            lambda: Route("openai:x", api_key=" "),
            "Route(api_key=...) is not valid; expected a non-empty string, or None",
        ),
        (lambda: Route("openai:x", base_url=5), "base_url=5 is not valid; expected a non-empty string."),
        (lambda: Route("openai:x", name=5), "name=5 is not valid; expected a non-empty string."),
        (lambda: Route("openai:x", backup="no"), "backup='no' is not valid; expected True or False."),
        (lambda: Router(Route("openai:x", llm=5)), "Route 'openai:x': llm is a int, which is neither a LangChain chat"),
        (
            lambda: Router(Route("openai:x", llm=CLIENT)),
            "Route 'openai:x': llm is a OpenAI, which is neither a LangChain",
        ),
        (lambda: Budget(usd=1, alerts=5), "alerts=5 is not valid; expected shares greater than 0"),
        (lambda: Budget(usd=1, alerts=["x"]), "alerts=['x'] is not valid; expected shares greater than 0"),
        (lambda: Budget(usd=1, on_alert=5), "on_alert=5 is not valid; expected functions that take a BudgetAlert."),
        (lambda: Budget(usd=-1), "usd=-1 is not valid; expected a number of at least 0."),
        (
            lambda: CacheConfig(cacheable_finish_reasons=5),
            "cacheable_finish_reasons=5 is not valid; expected one or more",
        ),
        (lambda: CacheConfig(semantic=True), "semantic=True is not valid; expected a SemanticCache"),
        (lambda: CacheConfig(ttl="1h"), "ttl='1h' is not valid; expected a number of seconds"),
    ],
)
def test_routes_budgets_and_caches(call, sentence):
    assert sentence in sentence_of(call)


def test_a_wrapped_key_is_a_key():
    from pydantic import SecretStr

    assert str(Route("openai:x", api_key=SecretStr("abc")).api_key) == "abc"


# Missing keys.

NAMES = ["anthropic:claude-haiku-5-5", "google:gemini-3.8-flash", "openai:gpt-4.1"]


@pytest.mark.parametrize("build", CONSTRUCTORS)
def test_all_missing_keys_are_listed_at_once(build, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert sentence_of(lambda: build(NAMES)) == (
        "2 routes have no API key: 'anthropic:claude-haiku-5-5' (ANTHROPIC_API_KEY), 'google:gemini-3.8-flash' "
        "(GOOGLE_API_KEY or GEMINI_API_KEY); set these variables, or pass Route(api_key=...), or write "
        "skip_missing_keys=True to use the other routes alone."
    )


@pytest.mark.parametrize("build", CONSTRUCTORS)
def test_routes_without_a_key_can_be_left_out(build, monkeypatch, caplog):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    routes = [*NAMES, Route("openai:x", base_url="http://127.0.0.1:9/v1"), Route("google:y", api_key="k")]
    with caplog.at_level(logging.WARNING, "multiroute_core"):
        router = build(routes, skip_missing_keys=True)
    router = getattr(router, "router", router)
    assert [route.name for route in router.routes] == ["openai:gpt-4.1", "openai:x", "google:y"]
    (record,) = caplog.records
    assert record.getMessage() == (
        "Routes without an API key are left out: 'anthropic:claude-haiku-5-5' (ANTHROPIC_API_KEY), "
        "'google:gemini-3.8-flash' (GOOGLE_API_KEY or GEMINI_API_KEY)."
    )
    monkeypatch.delenv("OPENAI_API_KEY")
    text = sentence_of(lambda: build(NAMES, skip_missing_keys=True))
    assert text.startswith("3 routes have no API key: ")
    assert "skip_missing_keys" not in text


def test_a_pickled_router_reads_the_keys_of_its_new_process(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    pickled = pickle.dumps(Router(["anthropic:claude-haiku-5-5", "openai:gpt-4.1"], skip_missing_keys=True))
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    assert [route.name for route in pickle.loads(pickled).routes] == ["openai:gpt-4.1"]


def test_a_similar_variable_is_named_but_not_its_value(monkeypatch):
    monkeypatch.setenv("OPENAI_KEY", "sk-verysecretkey0000000")
    text = sentence_of(lambda: Router(["openai:gpt-4.1"]))
    assert text == (
        "Route 'openai:gpt-4.1' has no API key: set OPENAI_API_KEY, or pass Route(api_key=...). "
        "OPENAI_KEY is set; rename it to OPENAI_API_KEY."
    )


def test_all_missing_packages_are_listed_at_once():
    code = (
        "import sys; sys.modules['anthropic'] = sys.modules['openai'] = None\n"
        "from multiroute_core import Route, Router\n"
        "try: Router([Route('anthropic:a', api_key='k'), Route('openai:b', api_key='k'), Route('groq:c', api_key='k')])\n"
        "except ValueError as error: print(error)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert re.fullmatch(
        r"Routes 'anthropic:a', 'openai:b', 'groq:c' need packages that are not installed; "
        r"run: pip install 'multiroute-llm\[anthropic,openai\]'\n",
        out,
    )
