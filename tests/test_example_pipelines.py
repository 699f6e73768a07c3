"""The examples of the trade run as a newcomer starts them: without a key, and with one that leads to a stand-in."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from multiroute_core.provider_table import PROVIDERS
from tests.vendors.server import VendorServer

pytestmark = [pytest.mark.slow, pytest.mark.notebook]

ROOT = Path(__file__).parent.parent


def run(folder, *arguments, **variables):
    keys = {name for spec in PROVIDERS.values() for name in spec.key_variables}
    env = {name: value for name, value in os.environ.items() if name not in keys}
    env |= {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "COLUMNS": "100", "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, f"{ROOT}/examples/{folder}", *arguments]
    process = subprocess.run(command, env=env | variables, capture_output=True, encoding="utf-8", timeout=120)
    assert process.returncode == 0, process.stdout + process.stderr
    assert "Traceback" not in process.stderr
    return process.stdout


def test_the_literature_is_quoted_with_sources_through_a_failover_until_the_budget_is_spent():
    output = run("literature_qa")
    assert "INVENTED" in output
    assert "Tarivone did not reduce monthly headache days compared with placebo" in output
    assert "[1] INV-02, 2023." in output
    assert "offline-a: broken_stream → offline-b: success" in output
    assert "do not trust" not in output
    assert "difference -2.1," in output  # in the table of the evidence
    assert "The budget 'this run' has" in output
    assert "3 of 4 questions answered." in output


def test_every_abstract_says_that_it_is_invented():
    corpus = json.loads((ROOT / "examples/literature_qa/abstracts.json").read_text(encoding="utf-8"))
    assert corpus["notice"].startswith("INVENTED")
    assert all("(invented)" in abstract["title"] for abstract in corpus["abstracts"])


def test_the_audit_report_lists_all_faults_with_quotes_and_what_they_cost(tmp_path):
    path = tmp_path / "report.md"
    assert "Written to" in run("audit_report", "--output", str(path))
    report = path.read_text(encoding="utf-8")
    assert "| Payments journal | 5 | 0 | 0 | 5 |" in report
    assert "| Access review | 5 | 0 | 0 | 5 |" in report
    assert "| Minutes of purchasing | 0 | 5 | 0 | 5 |" in report
    assert "> P-1006: Approval: none recorded." in report
    assert "| map | 18 | 1 |" in report  # the rate limit of the first model is one failed attempt
    assert "180 email, 180 phone, 60 iban" in report
    assert "Every section was read." in report


def test_where_a_key_is_set_the_provider_is_asked_and_sees_no_address(tmp_path):
    with VendorServer() as server:
        key = {"OPENAI_API_KEY": "real", "OPENAI_BASE_URL": server.base_url("openai")}
        run("audit_report", "--output", str(tmp_path / "report.md"), **key)
        bodies = [json.dumps(request.body) for request in server.seen]
    assert len(bodies) == 19
    assert "[EMAIL_1]" in "".join(bodies)
    assert not any("@" in body for body in bodies)
