"""Arguments, streams and exit codes that all commands share."""

import io
import os
import sys
from pathlib import Path

import pytest

from multiroute_core.cli.main import main
from tests.cli.runs import run


def test_a_word_that_is_no_route_says_whether_it_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("routes.toml").mkdir()
    Path("routes.ini").write_text("")
    for word, words in (
        ("routes.toml", "'routes.toml' is a folder"),
        ("routes.ini", "'routes.ini' is not a configuration file; its name has to end with .toml"),
        (".", "'.' is not a configuration file"),
        ("nowhere.TOML", "'nowhere.TOML' does not exist"),
    ):
        for arguments in (["check", word], ["ask", "Hi", "--routes", word], ["drill", word, "--outage", "openai"]):
            done = run(*arguments)
            assert (done.returncode, done.stdout) == (2, ""), arguments
            assert words in done.stderr, arguments


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["watch", "x.db", "--minutes", "abc"], "'abc' is not valid; expected a number of minutes greater than 0"),
        (["ask", "Hi", "--max-tokens", "0"], "'0' is not valid; expected a whole number greater than 0"),
        (["ask", "Hi", "--max-tokens", "many"], "'many' is not valid; expected a whole number greater than 0"),
        (["tail", "http://host/x"], "http:// is not the address of a ledger; expected a file"),
        (["report", ""], "The ledger has no name"),
    ],
)
def test_an_argument_that_cannot_be_used_says_what_is_expected(arguments, words):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is needed, a disk that is full")
def test_a_full_disk_is_a_sentence(monkeypatch):
    errors = io.StringIO()
    with Path("/dev/full").open("w") as full, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        patch.setattr(sys, "stderr", errors)
        assert main(["key", "shop"]) == 1
    assert errors.getvalue() == "multiroute: the output cannot be written: No space left on device.\n"


def test_closed_streams_are_no_failure(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["check", "groq:a"]) == 1
    assert main(["key", "shop"]) == 0
    sys.stdout.close()
    sys.stderr.close()


def test_a_closed_stdin_is_an_empty_question(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)  # as `<&-` leaves it
    done = run("ask", "-", "--routes", "openai:gpt-6.1-sol")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("multiroute: The question is empty;")


def test_advice_is_for_the_command_line(monkeypatch):
    for name in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
    for command in (("check",), ("ask", "Hi"), ("explain", "Hi"), ("drill", "--outage", "openai")):
        done = run(*command)
        assert done.returncode == 2
        assert "give a configuration file, or routes such as openai:gpt-6.1-sol, or set one of" in done.stderr
    monkeypatch.setenv("OPENAI_API_KEY", "a-key-of-the-test")
    done = run("ask", "Hi", "--routes", "openai:gpt-6.1-sol", "anthropic:claude-sonnet-5-5")
    assert done.stderr.endswith("has no API key: set ANTHROPIC_API_KEY, or leave the route out.\n")


def test_ctrl_c_during_the_start_is_exit_code_130(monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr("multiroute_core.cli.main.build_parser", interrupt)
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
