"""`multiroute drill`: what an outage does to requests, in virtual time, with the routes and settings of a file."""

import json
import re

import pytest

from tests.cli.runs import run

THREE = 'routes = ["anthropic:claude-sonnet-5-5", "openai:gpt-6.1-sol", "google:gemini-3.8-flash"]\n'


@pytest.fixture
def routes(tmp_path):
    def write(text):
        (tmp_path / "routes.toml").write_text(text)
        return tmp_path / "routes.toml"

    return write


def drill(*arguments):
    done = run("drill", *arguments, "--json", "--requests", "150")
    return done.returncode, {one["phase"]: one for one in json.loads(done.stdout)["phases"]}


@pytest.mark.parametrize("kind", ["errors", "rate_limit", "slow", "hang"])
def test_the_next_vendor_answers_during_an_outage(routes, kind):
    code, phases = drill(routes(THREE), "--outage", "anthropic", "--kind", kind)
    assert code == 0
    assert phases["before"]["routes"] == {"anthropic:claude-sonnet-5-5": 50}
    assert phases["before"]["median_seconds"] == 1.0
    assert [one["answered"] for one in phases.values()] == [50, 50, 50]
    assert phases["before"]["cost"] > 0
    if kind == "slow":
        assert phases["during"]["median_seconds"] == 10.0
    else:
        assert phases["during"]["routes"] == {"openai:gpt-6.1-sol": 50}
        assert phases["after"]["routes"].get("anthropic:claude-sonnet-5-5", 0) > 0


def test_settings_of_the_file_count(routes):
    file = routes(
        f'attempt_timeout = 5\ndeadline = 30\nstate = "redis://127.0.0.1:1/0"\nledger = "sqlite:///x/y.db"\n{THREE}'
    )
    code, phases = drill(file, "--outage", "anthropic", "--kind", "hang")
    assert (code, phases["during"]["p95_seconds"]) == (0, 6.0)
    assert not (file.parent / "x").exists()


def test_without_another_vendor_requests_fail_and_the_exit_code_is_1(routes):
    code, phases = drill("openai:gpt-6.1-sol", "--outage", "openai")
    assert code == 1
    assert phases["during"]["answered"] == 0
    assert sum(phases["during"]["errors"].values()) == 50
    assert phases["before"]["answered"] == 50


def test_two_runs_are_the_same(routes):
    file = routes(THREE)
    first, second = (run("drill", file, "--outage", "anthropic", "--requests", "60").stdout for _ in range(2))
    assert first == second


def test_names_are_whole_on_a_narrow_terminal(routes):
    file = routes(
        f'[[routes]]\nroute = "openai:gpt-6.1-sol"\nname = "{"long-" * 12}name"\n\n[[routes]]\nroute = "groq:a"\n'
    )
    done = run("drill", file, "--outage", "groq", "--requests", "6", columns=30)
    assert f"{'long-' * 12}name" in done.stdout.split()
    assert re.search(r"^during +2 +100 %", done.stdout, re.MULTILINE)


def test_wrong_arguments(routes):
    for arguments, words in (
        ([THREE, "--outage", "mistral"], "expected a provider or a route: anthropic, "),
        ([THREE], "--outage"),
        ([THREE, "--outage", "openai", "--requests", "0"], "from 3 to"),
        (["dead_line = 3\n" + THREE, "--outage", "openai"], "dead_line"),
    ):
        done = run("drill", routes(arguments[0]), *arguments[1:])
        assert done.returncode == 2
        assert words in done.stderr


def test_the_model_of_this_machine_takes_part_and_costs_nothing(routes):
    file = routes('routes = ["openai:gpt-6.1-sol", {route = "local:smollm2", backup = true}]\n')
    code, phases = drill(file, "--outage", "openai")
    assert (code, phases["during"]["routes"], phases["during"]["cost"]) == (0, {"local:smollm2": 50}, 0)


def test_a_rate_that_never_ends_is_rejected():
    for rate in ("5e-324", "1e300"):
        done = run("drill", "openai:gpt-4.1", "--outage", "openai", "--rate", rate)
        assert done.returncode == 2
        assert f"{rate!r} is not valid; expected a number from 0.000001 to 1000000" in done.stderr
