"""What is printed holds nothing that drives a terminal, whoever has chosen the names and written the errors."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from multiroute_core import Budget, ConfigurationError, Limit, Route, RouteError, Router
from multiroute_core.display.text import printable, printable_lines
from multiroute_core.errors import AllRoutesFailedError
from multiroute_core.ledger.totals import Totals
from multiroute_core.telemetry import LogEvents
from multiroute_core.testing import Answer, rate_limited, scripted_route

NAMES = [
    "\x1b[31mred\x1b]0;title\x07\x1b[2J",
    "over\rwritten\x08\x08",
    "\x9b31mC1\x85next",
    "right\u202eto\u2066left\u200f",
    "line one\nline two\tx\u2028three",
]
HARMFUL = "\x1b\x07\x08\r\x00\x7f\x85\x9b\u2028\u2029\u202e\u2066\u200f\u061c"


def harmful(text: str) -> set[str]:
    return set(text) & set(HARMFUL)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_names_drive_no_terminal(name, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "ledger.db"
    totals = Totals()
    provider = scripted_route("a", [rate_limited(), *[Answer("hi")] * 9]).llm
    route = Route("scripted:a", llm=provider, name=name, prices={"input": 1, "output": 1})
    budget = Budget(usd=1, per="day", scope="tenant", name=name)
    router = Router(
        [route],
        ledger=f"sqlite:///{path}",
        budget=budget,
        limit=Limit(rpm=600, name=name),
        on_event=[LogEvents(level="DEBUG")],
    )
    for _ in range(2):
        response = router.generate("hi", tenant=name, task=name, labels={name})
        totals.record_answer(name, response.usage, response.summary())
    said = {
        "report": str(router.report()),
        "health": str(router.health()),
        "explain": str(router.explain("hi")),
        "estimate": str(router.estimate("hi")),
        "budgets": str(router.budgets()),
        "limits": str(router.limit_statuses()),
        "totals of the calls": str(totals),
        **{by: str(router.ledger.totals(by)) for by in ("route", "tenant", "task", "label", "model")},
        "reprs": repr((router, router.routes, router.ledger, router.health())),
        "log": "\n".join(record.getMessage() for record in caplog.records),
        "html": router.health()._repr_html_() + router.explain("hi")._repr_html_(),
    }
    router.ledger.close()
    command = [sys.executable, "-m", "multiroute_core.cli", "report", str(path)]
    said["cli"] = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
    for where, text in said.items():
        assert harmful(text) == set(), (where, text)
    for where in ("health", "budgets", "explain"):
        assert "line one\nline two" not in said[where]


@pytest.mark.parametrize("name", NAMES)
def test_what_a_provider_says_of_an_error_drives_no_terminal(name):
    error = RouteError(name, route=name)
    failed = AllRoutesFailedError("No route answered.", errors=[error], skipped={name: name})
    for text in (str(error), error.message, repr(error), str(failed), repr(failed)):
        assert harmful(text) == set()
    assert len(str(failed).splitlines()) == 3


def test_the_errors_of_the_command_line_drive_no_terminal(tmp_path):
    command = [sys.executable, "-m", "multiroute_core.cli", "report", f"{tmp_path}/\x1b[2J\u202e.db"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode != 0
    assert harmful(done.stdout + done.stderr) == set()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Grüße, 你好, שלום, 👩\u200d💻 a\u00a0b", "Grüße, 你好, שלום, 👩\u200d💻 a\u00a0b"),
        ("a\nb\tc\r\nd", "a b c d"),
        ("\x1b[2J", "\ufffd[2J"),
        ("\ud83d", "\ufffd"),
    ],
)
def test_what_is_harmless_stays(text, shown):
    assert printable(text) == shown
    assert printable_lines(f"{text}") == "\n".join(printable(line) for line in text.split("\n"))


def test_a_wrong_name_is_told_without_harm():
    with pytest.raises(ConfigurationError) as caught:
        Route("openai:x", prices="\x1b[2J")
    assert harmful(str(caught.value)) == set()
