"""`multiroute check`: a file with twelve further mistakes, each of which a sentence names."""

import json
import os

import pytest

from tests.cli.model_server import MODELS, RIGHT_KEY, answering, serving
from tests.cli.runs import run

SPACED_KEY = "sk-a-key-from-a-file-of-a-secret"

PLANTED = """\
cache = "sqlite:///{folder}/notes.txt"
ledger = "sqlite:///{folder}/notes.txt/ledger.db"

[[routes]]
route = "openai:gpt-4.1-mini"
name = "line-break"
base_url = "{url}/v1"
api_key = "${{FILE_KEY}}"

[[routes]]
route = "openai:gpt-4.1-mini"
name = "nearly"
api_key = "${{OPENAI_API_KY}}"

[[routes]]
route = "openai:gpt-4.1-mini"
name = "without-v1"
base_url = "{url}"

[[routes]]
route = "openai:gpt-4.1-mini"
name = "path"
base_url = "{url}/w1/chat/completions"

[[routes]]
route = "openai:gpt-4.1-mini"
name = "plain-to-tls"
base_url = "{plain}"

[[routes]]
route = "openai:claude-sonnet-5-5"
name = "vendor"
base_url = "{url}/v1"

[[routes]]
route = "openai:our-own-model"
name = "negative"
base_url = "{url}/v1"
prices = {{ input = -1, output = 2 }}

[[routes]]
route = "openai:our-own-model"
name = "group-a"
base_url = "{url}/v1"
rate_limit_group = "ours"
rpm = 10

[[routes]]
route = "openai:our-own-model"
name = "group-b"
base_url = "{url}/v1"
rate_limit_group = "ours"
rpm = 20

[[routes]]
route = "openai:our-own-model"
name = "bare"
base_url = "127.0.0.1:8000/v1"

[[budget]]
eur = 20
"""

SENTENCES = {
    "a cache of another format": "line 1, cache: The file '{folder}/notes.txt' is not a cache",
    "a ledger in a folder that is none": "line 2, ledger: The ledger '{folder}/notes.txt/ledger.db' cannot be created",
    "limits that differ": "routes: Routes 'group-a' and 'group-b' share the rate limit group 'ours', and say rpm=10 and rpm=20",
    "a key with a line break": "route 'line-break': its value, from '${{FILE_KEY}}', is not valid; expected the key alone, and "
    "this one begins or ends with a space or a line break.",
    "a variable that is nearly right": "route 'nearly': the environment variable OPENAI_API_KY is not set; set it, or write a "
    "default: ${{OPENAI_API_KY:-…}}. OPENAI_API_KEY is set: is it meant?",
    "an address without /v1": "route 'without-v1': {url} has no list of models, and {url}/v1 has one; is that the address?",
    "an address with the path of a request": "route 'path': {url}/w1/chat/completions ends with the path of a request, which "
    "the SDK adds; leave '/chat/completions' out.",
    "http to a port of https": "route 'plain-to-tls': {plain} closes the connection without an answer; does this server speak https?",
    "a model of another vendor": "route 'vendor': {url}/v1 does not list the model 'claude-sonnet-5-5'; it is a model of "
    "anthropic: write 'anthropic:claude-sonnet-5-5'.",
    "a negative price": "route 'negative': input=-1 is not valid; expected USD per million tokens, at least 0.",
    "an address without http": "route 'bare': Route 'openai:our-own-model': base_url='127.0.0.1:8000/v1' is not valid",
    "another currency": "budget[0].eur: the key 'eur' is unknown; money is in US dollars: write 'usd'.",
}


@pytest.fixture
def keys(monkeypatch):
    for name in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_API_KEY", RIGHT_KEY)
    monkeypatch.setenv("FILE_KEY", f"{SPACED_KEY}\n")


def test_twelve_further_mistakes_are_named(keys, tmp_path):
    (tmp_path / "notes.txt").write_text("Not a database, but long enough to be looked at." * 20)
    (tmp_path / "tls").mkdir()
    listing = (200, "application/json", json.dumps({"data": MODELS}))
    with answering({"/v1": listing}) as url, serving(tls=tmp_path / "tls") as secure:
        places = {"folder": tmp_path, "url": url, "plain": secure.url.replace("https:", "http:")}
        file = tmp_path / "routes.toml"
        file.write_text(PLANTED.format(**places))
        done = run("check", file, "--timeout", "20")
    problems = [line for line in done.stdout.splitlines() if line.startswith("problem")]
    for mistake, sentence in SENTENCES.items():
        assert any(sentence.format(**places) in line for line in problems), f"{mistake}:\n{done.stdout}"
    assert len(problems) == len(SENTENCES) == 12, done.stdout
    assert done.returncode == 1
    assert SPACED_KEY not in done.stdout + done.stderr


def test_a_bad_key_of_the_environment_is_no_missing_package(keys, monkeypatch):
    for key in (f" {SPACED_KEY}", f"{SPACED_KEY}\n", f"{SPACED_KEY}…", f"{SPACED_KEY}\x00{SPACED_KEY}"):
        if "\x00" not in key:  # no variable can hold it
            monkeypatch.setenv("OPENAI_API_KEY", key)
            result = json.loads(run("check", "openai:our-own-model", "--json").stdout)
            assert [one["code"] for one in result["problems"]] == ["key"], repr(key)
            assert (result["routes"][0]["package"], result["routes"][0]["key"]) == ("installed", "OPENAI_API_KEY")
            assert SPACED_KEY not in json.dumps(result)


def test_a_name_that_is_there_twice_is_a_problem(keys, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    result = json.loads(run("check", "groq:a", "groq:a", "--json").stdout)
    assert [one["code"] for one in result["problems"]] == ["file", "key"]
    assert len(result["routes"]) == 1


def test_a_file_that_cannot_be_read_is_named_once_with_its_line(tmp_path):
    for name, text, line, words in (
        ("a.yaml", "routes:\n\t- openai:a\n", 2, "cannot start any token at column 1; correct the syntax there."),
        ("b.json", '"routes"', None, "it holds no table; expected keys"),
        ("c.json", "", None, "is empty; expected keys"),
        ("d.json", "{", 1, "column 2; correct the syntax there."),
    ):
        (tmp_path / name).write_text(text)
        problem = json.loads(run("check", tmp_path / name, "--json").stdout)["problems"][0]
        assert (problem["line"], problem["code"]) == (line, "file"), name
        assert words in problem["message"], name
        assert name not in problem["message"]
