"""`multiroute check`: what surrounds a route: keys that are not keys, proxies, certificates, variables, files, settings."""

import json
import os
import sqlite3
import subprocess
import sys
from typing import Any

import anthropic
import openai
import pytest

from multiroute_core import ConfigurationError, Route, Router
from multiroute_core.cli.checks.keys import explain_key
from multiroute_core.provider_table import PROVIDERS
from multiroute_core.providers import registry
from tests.cli.model_server import RIGHT_KEY, serving
from tests.cli.runs import run
from tests.redis_servers import free_port

TAIL = "0123456789abcdef0123"  # no part of a key is printed
PROXIES = [name for kind in ("HTTP", "HTTPS", "ALL", "NO") for name in (f"{kind}_PROXY", f"{kind}_proxy".lower())]


@pytest.fixture(scope="module")
def server():
    with serving() as one:
        yield one


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
    for name in (*PROXIES, *(spec.base_url_variable for spec in PROVIDERS.values() if spec.base_url_variable)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", RIGHT_KEY)


def check(folder, text, **options):
    """Run the command for a file; return the exit code, and the problems by code and message."""
    file = folder / "routes.toml"
    file.write_text(text)
    done = run("check", file, "--json", "--timeout", "5", **options)
    return done.returncode, [(one["code"], one["key"], one["message"]) for one in json.loads(done.stdout)["problems"]]


def table(server, more="", model="gpt-4.1-mini"):
    return (
        f'[[routes]]\nroute = "openai:{model}"\nbase_url = "{server.url}"\nprices = {{ input = 1, output = 2 }}\n{more}'
    )


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (f'"sk-{TAIL}"', "it is in quotes; leave them out"),
        (f"Bearer sk-{TAIL}", "it begins with the word Bearer"),
        (f"OPENAI_API_KEY=sk-{TAIL}", "it begins with the name of a variable"),
        (f"sk-ant-api03-{TAIL}", "it has the form of a key of anthropic"),
        (f"AIza{TAIL}", "it has the form of a key of google"),
        (f"gsk_{TAIL}", "it has the form of a key of groq"),
        (f"sk-{TAIL[:9]} {TAIL[9:]}", "it has a space in it"),
        ("your-api-key-here", "it looks like a placeholder"),
        ("os.environ/OPENAI_API_KEY", "it is a reference to a variable"),
        (f"sk-proj-{TAIL}", ""),
    ],
)
def test_a_refused_key_says_what_is_seen_in_it_and_shows_nothing_of_it(server, tmp_path, monkeypatch, key, words):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    file = tmp_path / "routes.toml"
    file.write_text(table(server))
    for arguments, columns in (([], 40), (["--json"], 100)):
        done = run("check", file, *arguments, columns=columns)
        shown = done.stdout + done.stderr
        assert done.returncode == 1
        assert f"refuses the key (OPENAI_API_KEY{': ' * bool(words)}{words}" in shown
        assert TAIL[:9] not in shown


def test_a_key_of_the_own_vendor_is_not_suspected():
    for provider, key in (("anthropic", "sk-ant-api03-x"), ("openrouter", "sk-or-v1-x"), ("deepseek", "sk-0123")):
        assert not explain_key(key, provider)


def test_an_empty_variable_is_no_key(server, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "")
    code, problems = check(tmp_path, table(server))
    assert code == 1
    assert "refuses a request without a key with HTTP 401; give the route an api_key" in problems[0][2]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}", "127.0.0.1:{port}", "http://name:hush-hush@127.0.0.1:{port}"]
)
def test_a_proxy_that_points_nowhere_is_named_with_its_variable(server, tmp_path, monkeypatch, url):
    port = free_port()
    monkeypatch.setenv("HTTP_PROXY", url.format(port=port))
    code, problems = check(tmp_path, table(server))
    assert (code, problems[0][0]) == (1, "address")
    assert f"127.0.0.1:{port} (HTTP_PROXY): the connection is refused; correct the proxy" in problems[0][2]
    assert "hush-hush" not in str(problems)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert check(tmp_path, table(server)) == (0, [])


def test_a_certificate_file_that_is_none_is_named(tmp_path):
    file = tmp_path / "routes.toml"
    with serving(tls=tmp_path) as server:
        file.write_text(table(server))
        for name, code in ((tmp_path / "certificate.pem", 0), (tmp_path / "missing.pem", 1), (file, 1)):
            command = [sys.executable, "-m", "multiroute_core.cli", "check", str(file)]
            done = subprocess.run(  # its own process: the TLS context is made once
                command, env={**os.environ, "SSL_CERT_FILE": str(name)}, capture_output=True, text=True
            )
            assert done.returncode == code, done.stdout
            assert ("the variable SSL_CERT_FILE holds no certificates" in done.stdout) is bool(code)


ADDRESSES = ["http://127.0.0.1:99999/v1", "http://127.0.0.1:80a0/v1", "http://127.0.0.1:0/v1", "http://[::1/v1"]
ADDRESSES += ["http://127.0.0.1/v1 ", "http://a b/v1", "http://a\n/v1", "127.0.0.1/v1", "htp://a/v1"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_to_which_nothing_can_be_sent_is_a_sentence(tmp_path, monkeypatch, address):
    for provider in ("openai:gpt-4.1-mini", "anthropic:claude-sonnet-5-5", "google:gemini-3.8-flash"):
        with pytest.raises(ConfigurationError, match="is not valid; expected a "):
            Route(provider, base_url=address)
        spec = PROVIDERS[provider.partition(":")[0]]
        monkeypatch.setenv(spec.key_variables[0], "a-key-of-the-test")
        monkeypatch.setenv(spec.base_url_variable, address)
        with pytest.raises(ConfigurationError, match=f"no valid address: {spec.base_url_variable}="):
            Router([provider])
        done = run("check", provider, "--json")
        (problem,) = [one for one in json.loads(done.stdout)["problems"] if not one["is_warning"]]
        assert (done.returncode, problem["code"]) == (1, "address")
        assert spec.base_url_variable in problem["message"]
        monkeypatch.delenv(spec.base_url_variable)


@pytest.mark.parametrize("value", ["", " "])
@pytest.mark.parametrize("client", [openai.OpenAI, anthropic.Anthropic])
def test_an_address_variable_that_is_empty_is_not_set(monkeypatch, client, value):
    provider = client.__module__.partition(".")[0]
    default = str(client(api_key="a-key-of-the-test").base_url).rstrip("/")
    monkeypatch.setenv(PROVIDERS[provider].base_url_variable, value)
    assert registry.base_url(Route(f"{provider}:m")) == default


def test_files_that_a_router_would_reject_are_problems_and_those_it_takes_are_not(server, tmp_path):
    foreign, empty, shared = (tmp_path / name for name in ("foreign.db", "empty.db", "shared.db"))
    with sqlite3.connect(foreign) as db:
        db.execute("CREATE TABLE x (y)")
    empty.touch()
    for kind in ("cache", "ledger"):
        code, problems = check(tmp_path, f'{kind} = "sqlite:///{foreign}"\n{table(server)}')
        assert (code, [one[:2] for one in problems]) == (1, [("store", kind)])
        assert "is not a" in problems[0][2]
        options: Any = {kind: f"sqlite:///{foreign}"}
        with pytest.raises(ConfigurationError):
            Router([Route("openai:x", base_url=server.url)], **options)
        assert check(tmp_path, f'{kind} = "sqlite:///{empty}"\n{table(server)}') == (0, [])
    both = f'cache = "sqlite:///{shared}"\nledger = "sqlite:///{shared}"\n'
    code, problems = check(tmp_path, both + table(server))
    assert (code, len(problems)) == (1, 1)
    assert "The ledger has the file of the cache" in problems[0][2]


@pytest.mark.parametrize("model", ["GPT-4.1-MINI", "gpt-4.1-mini-2025-04-14", "openai/gpt-4.1-mini", "gpt-4.1_mini"])
def test_another_spelling_of_a_model_is_recognized(server, tmp_path, model):
    code, problems = check(tmp_path, table(server, model=model))
    assert (code, problems[0][:2]) == (1, ("model", "routes[0].route"))
    assert problems[0][2].endswith(f"does not list the model {model!r}; did you mean 'gpt-4.1-mini'?")


def test_a_wrong_address_of_a_store_is_named_once(server, tmp_path):
    code, problems = check(tmp_path, f'ledger = "sqlite://ledger.db"\n{table(server)}')
    assert (code, len(problems)) == (1, 1)


def test_no_routes_are_a_problem_as_for_a_router(tmp_path):
    code, problems = check(tmp_path, "routes = []\n")
    assert (code, problems[0][:2]) == (1, ("file", "routes"))
    with pytest.raises(ConfigurationError, match="at least one route"):
        Router.from_file(tmp_path / "routes.toml")


SECOND = 'name = "b"\n'


@pytest.mark.parametrize(
    ("head", "more", "key", "words"),
    [
        ("hedge_budget = 0.1\n", None, "hedge_budget", "it has no effect with one route"),
        ("", ("", "gpt-4.1-mini"), "routes[1]", "it has the account and the model of 'openai:gpt-4.1-mini'"),
        ("", ('tags = ["eu"]\n', "gpt-4.1-mini"), None, ""),
        ("", ("", "our-own-model"), None, ""),
        (
            "deadline = 20\n",
            ("", "our-own-model"),
            "deadline",
            "the time of one attempt is 120 s, and the deadline 20 s",
        ),
        ("deadline = 20\nattempt_timeout = 'none'\n", ("", "our-own-model"), "attempt_timeout", "is unlimited"),
        ("deadline = 20\nattempt_timeout = 8\n", ("", "our-own-model"), None, ""),
        ("deadline = 20\nattempt_timeout = 8\n", ("timeout = 30\n", "our-own-model"), "routes[1].timeout", "is 30 s"),
        ("deadline = 20\nhedge_budget = 0.1\n", ("", "our-own-model"), None, ""),
    ],
)
def test_settings_that_do_nothing_are_warnings(server, tmp_path, head, more, key, words):
    text = head + table(server) + (table(server, SECOND + more[0], more[1]) if more else "")
    code, problems = check(tmp_path, text)
    assert code == 0  # a warning
    assert [one[:2] for one in problems] == ([("file", key)] if key else [])
    assert words in (problems[0][2] if problems else "")


def test_backups_alone_are_a_warning(server, tmp_path):
    text = table(server, "backup = true\n") + table(server, f"{SECOND}backup = true\n", "our-own-model")
    assert check(tmp_path, text) == (
        0,
        [("file", "routes", "all routes are backups, which is the same as none; leave backup out of the routes to ask first.")],
    )  # fmt: skip
