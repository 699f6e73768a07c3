"""`multiroute ask` and `multiroute explain`, on a real server."""

import re

import pytest

from tests.cli.model_server import RIGHT_KEY, serving
from tests.cli.runs import run
from tests.redis_servers import free_port


@pytest.fixture(scope="module")
def server():
    with serving() as one:
        yield one


@pytest.fixture
def routes(server, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", RIGHT_KEY)
    file = tmp_path / "routes.toml"
    file.write_text(f"""\
max_retries = 0

[[routes]]
route = "openai:gpt-4.1-mini"
name = "dead"
base_url = "http://127.0.0.1:{free_port()}/v1"

[[routes]]
route = "openai:gpt-4.1-mini"
name = "good"
base_url = "{server.url}"
prices = "openai"
""")
    return file


def test_the_answer_goes_to_stdout_and_what_it_took_to_stderr(routes):
    for more in ([], ["--strategy", "priority"], ["--max-tokens", 5, "--system", "Be brief.", "--timeout", "20"]):
        done = run("ask", "Hello", "--routes", routes, *more)
        assert (done.returncode, done.stdout) == (0, "OK\n")
        first, last = done.stderr.splitlines()
        assert re.match(r"dead  connection after \S+ s: Connection error", first)
        assert re.match(r"good  \$0.00000520  \S+ m?s  9 tokens in, 1 out  2 attempts", last), last
        assert RIGHT_KEY not in done.stderr


def test_a_stream_is_written_as_it_comes(routes):
    done = run("ask", "Hello", "--routes", routes, "--stream")
    assert (done.returncode, done.stdout) == (0, "OK\n")
    assert "good" in done.stderr


def test_a_question_from_stdin(routes, monkeypatch):
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("Hello"))
    assert run("ask", "-", "--routes", routes).stdout == "OK\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(" "))
    assert run("ask", "-", "--routes", routes).returncode == 2


def test_no_answer_is_exit_code_1(routes):
    done = run("ask", "Hello", "--routes", routes, "--model", "dead")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("dead") >= 2
    assert run("ask", "Hello", "--routes", routes, "--model", "nobody").returncode == 2


def test_explain_sends_nothing_and_says_why(routes, server):
    del server.requests[:]
    done = run("explain", "Hello", "--routes", routes, columns=200)
    assert done.returncode == 0, done.stderr
    assert re.search(r"1 +dead .*\n2 +good", done.stdout)
    assert server.requests == []


def test_explain_keeps_names_whole_on_a_narrow_terminal(routes):
    text = routes.read_text().replace('"good"', '"a-route-with-a-very-long-name-indeed"')
    routes.write_text(text)
    done = run("explain", "Hello", "--routes", routes, columns=30)
    assert "a-route-with-a-very-long-name-indeed" in done.stdout.split()


def test_the_question_may_stand_behind_the_routes(routes):
    for question in ("Why is the sky blue: dust, or air?", "Hello"):
        assert run("ask", "--routes", routes, question).stdout == "OK\n"
        assert "number 1 in the configured order" in run("explain", "--routes", routes, question).stdout
    for words in ((), ("--routes", routes), ("--routes", "openai:gpt-6.1-sol"), ("--routes", "openai/gpt-6.1-sol")):
        done = run("ask", *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("multiroute: There is no question; write it in quotes:")
