"""`multiroute check`: a file with twelve planted mistakes, on real servers, and what it says of routes that are right."""

import json
import os
import re
import site
import socket
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from multiroute_core.cli.checks.failures import explain_failure
from multiroute_core.errors import APIConnectionError
from tests.cli.model_server import RIGHT_KEY, answering, serving
from tests.cli.runs import run
from tests.redis_servers import free_port

ROOT = Path(__file__).parents[2]
WRONG_KEY = "sk-a-wrong-key-that-nobody-may-read"

PLANTED = """\
stategy = "cheapest"
ledger = "sqlite:///{folder}/notes.txt"
state = "redis://127.0.0.1:{closed}/0"
deadline = 20

[[routes]]
route = "anthropic:claude-sonnet-5-5"

[[routes]]
route = "mistral:mistral-large-latest"

[[routes]]
route = "openai:gpt-4.1-mini"
name = "refused"
base_url = "{url}"
api_key = "${{TEAM_KEY}}"

[[routes]]
route = "openai:gpt-4.1-mni"
name = "misspelt"
base_url = "{url}"

[[routes]]
route = "openai:gpt-4.1-mini"
name = "dead"
base_url = "http://127.0.0.1:{closed}/v1"

[[routes]]
route = "openai:gpt-4.1-mini"
name = "distrusted"
base_url = "{tls}"

[[routes]]
route = "openai:gpt-4.1-mini"
name = "dead"
base_url = "{url}"

[[routes]]
route = "openai:gpt-4-turbo"
name = "old"
base_url = "{url}"

[[routes]]
route = "openai:our-own-model"
name = "unpriced"
base_url = "{url}"

[[budget]]
usd = 20
hard = true
"""

SENTENCES = {
    "unknown setting": r"line 1, stategy: the key 'stategy' is unknown; did you mean 'strategy'\?",
    "unreadable ledger": r"line 2, ledger: The file '.*notes.txt' is not a MultiRoute ledger; give the path of a ledger",
    "Redis away": r"line 3, state: Redis at redis://127.0.0.1:\d+/0 does not answer \(.*\); start it, or correct",
    "package missing": r"line 7, routes\[0\].route, route 'anthropic:claude-sonnet-5-5': it needs a package that is not "
    r"installed \(No module named 'anthropic'\); run: pip install 'multiroute-llm\[anthropic\]'",
    "key missing": r"line 9, routes\[1\], route 'mistral:mistral-large-latest': it has no API key: set MISTRAL_API_KEY",
    "key refused": r"line 16, routes\[2\].api_key, route 'refused': http://127.0.0.1:\d+/v1 refuses the key "
    r"\(\$\{TEAM_KEY\}\) with HTTP 401; set a valid key",
    "unknown model": r"line 19, routes\[3\].route, route 'misspelt': http://127.0.0.1:\d+/v1 does not list the model "
    r"'gpt-4.1-mni'; did you mean 'gpt-4.1-mini'\?",
    "dead address": r"line 26, routes\[4\].base_url, route 'dead': http://127.0.0.1:\d+/v1 cannot be reached: the "
    r"connection is refused; start the server, or correct the address",
    "TLS failure": r"line 31, routes\[5\].base_url, route 'distrusted': https://127.0.0.1:\d+/v1 cannot be used over TLS: "
    r"its certificate is not trusted \(self.signed certificate\); .* SSL_CERT_FILE",
    "duplicate name": r"line 33, routes\[6\], route 'dead': the route is named 'dead', as routes\[4\] is; give one of them another name",
    "retired model": r"line 39, routes\[7\].route, route 'old': the model 'gpt-4-turbo' has retired on 2026-10-23 "
    r"\(http://.* says so\); use 'gpt-5.6-sol'",
    "no price under a hard USD budget": r"line 43, routes\[8\], route 'unpriced': The price of route 'unpriced' is "
    r"unknown, so the budget .* cannot count it; give Route\(prices=",
}


@pytest.fixture(scope="module")
def server():
    with serving() as one:
        yield one


@pytest.fixture
def keys(monkeypatch):
    for name in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_API_KEY", RIGHT_KEY)


def site_without(package, folder):
    """A folder with everything that is installed here but one package."""
    place = folder / "site"
    place.mkdir()
    for entry in Path(site.getsitepackages()[0]).iterdir():
        if not entry.name.startswith(package):
            (place / entry.name).symlink_to(entry)
    return place


@pytest.mark.slow
def test_a_file_with_twelve_planted_mistakes_names_all_twelve(server, tmp_path):
    (tmp_path / "notes.txt").write_text("Not a database, but long enough to be looked at." * 20)
    (tmp_path / "tls").mkdir()
    with serving(tls=tmp_path / "tls") as distrusted:
        file = tmp_path / "routes.toml"
        places = {"folder": tmp_path, "closed": free_port(), "url": server.url, "tls": distrusted.url}
        file.write_text(PLANTED.format(**places))
        env = {
            **{name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")},
            "ANTHROPIC_API_KEY": "sk-ant-not-a-key-of-anybody",
            "OPENAI_API_KEY": RIGHT_KEY,
            "TEAM_KEY": WRONG_KEY,
            "PYTHONPATH": f"{site_without('anthropic', tmp_path)}:{ROOT}",
            "COLUMNS": "80",
        }
        command = [sys.executable, "-S", "-m", "multiroute_core.cli", "check", str(file), "--timeout", "5"]
        done = subprocess.run(command, env=env, capture_output=True, encoding="utf-8", timeout=60)
    problems = [line for line in done.stdout.splitlines() if line.startswith("problem")]
    for mistake, sentence in SENTENCES.items():
        assert any(re.search(sentence, line) for line in problems), f"{mistake}:\n{done.stdout}\n{done.stderr}"
    assert len(problems) == len(SENTENCES) == 12, done.stdout
    assert all(str(file) in line for line in problems)
    assert (done.returncode, done.stderr) == (1, "")
    for secret in (WRONG_KEY, RIGHT_KEY, "not-a-key-of-anybody"):
        assert secret not in done.stdout


def answer_of(*arguments, **options):
    done = run("check", *arguments, "--json", **options)
    return done.returncode, json.loads(done.stdout)


def write(folder, text):
    file = folder / "routes.toml"
    file.write_text(text)
    return file


def test_a_file_that_is_right_is_good_and_costs_nothing(server, keys, tmp_path):
    file = write(
        tmp_path,
        f'[[routes]]\nroute = "openai:gpt-4.1-mini"\nname = "a"\nbase_url = "{server.url}"\nprices = "openai"\n',
    )
    del server.requests[:]
    code, result = answer_of(file)
    route = result["routes"][0]
    assert (code, result["good"], result["problems"]) == (0, True, [])
    assert (route["package"], route["key"], route["key_status"]) == ("installed", "OPENAI_API_KEY", "accepted")
    assert (route["model_status"], route["prices"], route["answer"]) == ("listed", {"input": 0.4, "output": 1.6}, None)
    assert server.requests == [("GET", "/v1/models")]


def test_an_answer_is_asked_for_only_with_the_flag(server, keys, tmp_path):
    file = write(
        tmp_path,
        f'[[routes]]\nroute = "openai:gpt-4.1-mini"\nname = "a"\nbase_url = "{server.url}"\nprices = "openai"\n',
    )
    del server.requests[:]
    code, result = answer_of(file, "--ask")
    route = result["routes"][0]
    assert (code, route["answer"], route["limits"]) == (0, "answered", "499 of 500 requests")
    assert route["cost"] == pytest.approx((9 * 0.4 + 1.6) / 1e6)
    assert ("POST", "/v1/chat/completions") in server.requests


def test_routes_of_one_key_share_the_list_and_an_alias_is_asked_for_by_name(server, keys, tmp_path):
    tables = [
        f'[[routes]]\nroute = "openai:{model}"\nname = "{n}"\nbase_url = "{server.url}"\n'
        for n, model in enumerate(["gpt-4.1-mini", "our-own-model", "an-alias"])
    ]
    del server.requests[:]
    code, result = answer_of(write(tmp_path, "\n".join(tables)))
    assert (code, [one["model_status"] for one in result["routes"]]) == (0, ["listed"] * 3)
    assert result["routes"][1]["window"] == 32_768
    assert sorted(server.requests) == [("GET", "/v1/models"), ("GET", "/v1/models/an-alias")]


def test_a_server_without_a_list_is_no_problem(keys, tmp_path):
    with serving(has_list=False) as server:
        code, result = answer_of(write(tmp_path, f'[[routes]]\nroute = "openai:x"\nbase_url = "{server.url}"\n'))
    assert (code, result["routes"][0]["model_status"]) == (0, "not listed by this server")


def test_a_retirement_that_comes_is_a_warning(keys, monkeypatch):
    from multiroute_core.cli.checks.route_check import CheckContext, RouteCheck, RouteTask
    from multiroute_core.route import Route

    def check(today, **options):
        one = RouteCheck(RouteTask(Route("anthropic:claude-opus-4-5", **options)), CheckContext(today=today))
        one.run()
        return one.result.model_status, [(p.code, p.is_warning) for p in one.problems if p.code == "retirement"]

    assert check(date(2026, 11, 1)) == ("not tested", [])
    assert check(date(2026, 12, 1)) == ("not tested", [("retirement", True)])
    assert check(date(2027, 1, 22)) == ("retired", [("retirement", False)])
    gateway = f"http://127.0.0.1:{free_port()}"
    assert check(date(2027, 1, 22), base_url=gateway, api_key="x") == ("not tested", [])  # a cloud sets its own dates


def test_names_are_whole_on_a_narrow_terminal(server, keys, tmp_path):
    name = "a-route-with-a-name-that-is-longer-than-the-terminal-is-wide"
    file = write(tmp_path, f'[[routes]]\nroute = "openai:gpt-4.1-mini"\nname = "{name}"\nbase_url = "{server.url}"\n')
    for columns in (20, 40, 80, 200):
        done = run("check", file, columns=columns)
        assert name in done.stdout.split(), columns
        assert done.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.toml"], "'nowhere.toml' does not exist"),
        (["gpt-4.1"], "gpt-4.1"),
        (["routes.toml", "openai:gpt-4.1"], "not both"),
        ([], "No routes: give a configuration file, or routes such as openai:gpt-6.1-sol, or set one of"),
        (["openai:gpt-4.1", "--timeout", "0"], "greater than 0"),
    ],
)
def test_wrong_arguments_exit_with_2(keys, monkeypatch, arguments, words):
    monkeypatch.delenv("OPENAI_API_KEY")
    done = run("check", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_a_syntax_error_is_a_problem_of_the_file(tmp_path):
    done = run("check", write(tmp_path, "deadline = = 3\n"))
    assert done.returncode == 1
    assert re.search(r"routes.toml, line 1: .* at column 12; correct the syntax there", done.stdout)


def test_a_key_that_is_missing_is_a_warning_where_the_router_leaves_the_route_out(server, keys, tmp_path):
    text = f'skip_missing_keys = true\nroutes = ["groq:a", {{route = "openai:our-own-model", base_url = "{server.url}"}}]\n'
    code, result = answer_of(write(tmp_path, text))
    assert code == 0
    assert [(one["code"], one["is_warning"]) for one in result["problems"]] == [("key", True)]


def test_other_failures_of_a_server_say_what_to_do(keys, tmp_path):
    replies = {
        "/page": (200, "text/html", "<html><title>Welcome</title></html>", "something else than a list of models"),
        "/broken": (
            500,
            "application/json",
            '{"error": {"message": "out of order"}}',
            "failed: out of order; try again",
        ),
        "/busy": (429, "application/json", '{"error": {"message": "slow down"}}', "no capacity now: slow down; try"),
        "/empty": (200, "application/json", '{"data": []}', "lists no models"),
        "/slow": (None, "", "", "did not answer within 0.3 s"),
    }
    with answering({path: reply[:3] for path, reply in replies.items()}) as url:
        addresses = {path: url + path for path in replies}
        addresses["/tls"] = url.replace("http://", "https://")
        messages = {}
        for path, address in addresses.items():
            text = f'[[routes]]\nroute = "openai:a"\nbase_url = "{address}"\n'
            code, result = answer_of(write(tmp_path, text), "--timeout", "0.3" if path == "/slow" else "20")
            assert code == 1
            messages[path] = result["problems"][0]["message"]
    expected = {path: reply[3] for path, reply in replies.items()}
    expected["/tls"] = "does this server speak https"
    for path, words in expected.items():
        assert words in messages[path], path


def test_an_unknown_host_is_told_from_a_dead_one():
    error = APIConnectionError("Connection error.")
    for cause in (
        socket.gaierror(-2, "Name or service not known"),
        socket.gaierror(8, "nodename nor servname provided, or not known"),
        OSError("Failed to resolve 'nowhere.invalid' ([Errno -3] Temporary failure in name resolution)"),
    ):
        error.__cause__ = cause
        code, sentence = explain_failure(error, error, "http://nowhere.invalid", "none", 5.0)
        assert code == "address"
        assert "its host name is unknown" in sentence


def test_a_key_that_a_server_quotes_is_not_printed(keys, tmp_path):
    key = "our own kind of token: 12345"
    with answering({"/x": (500, "application/json", json.dumps({"error": {"message": f"{key} failed"}}))}) as url:
        file = write(tmp_path, f'[[routes]]\nroute = "openai:a"\nbase_url = "{url}/x"\napi_key = "{key}"\n')
        for more in ([], ["--json"]):
            done = run("check", file, *more)
            assert done.returncode == 1
            assert "… failed" in done.stdout
            assert key not in done.stdout


def test_a_route_with_something_wrong_in_the_file_is_checked_all_the_same(server, keys, tmp_path):
    table = f'[[routes]]\nroute = "openai:our-own-model"\nwieght = 2\ntimeout = -3\nbase_url = "{server.url}"\n'
    code, result = answer_of(write(tmp_path, table))
    assert code == 1
    assert [(one["key"], one["line"]) for one in result["problems"]] == [
        ("routes[0].wieght", 3),
        ("routes[0].timeout", 4),
    ]
    assert result["routes"][0]["model_status"] == "listed"


@pytest.mark.redis
def test_stores_that_can_be_used_are_no_problem_and_are_not_created(server, keys, tmp_path):
    from tests.redis_servers import running

    route = f'[[routes]]\nroute = "openai:our-own-model"\nbase_url = "{server.url}"\n'
    with running("redis", "a-password") as one:
        wrong = one.url.replace("a-password", "another-password")
        for state, code in ((f"{one.url}/0", 0), (f"{wrong}/0", 1)):
            stores = f'state = "{state}"\nledger = "sqlite:///{tmp_path}/new/ledger.db"\ncache = "sqlite:///{tmp_path}/cache.db"\n'
            done = run("check", write(tmp_path, stores + route))
            assert done.returncode == code, done.stdout
            assert "another-password" not in done.stdout
        assert "line 1, state: Redis at redis://" in done.stdout
        assert "rejects the password" in done.stdout
    assert sorted(each.name for each in tmp_path.iterdir()) == ["routes.toml"]
