"""The guard of the whole suite fails the tests that show a credential, and no others."""

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.leak_guard import OURS, LeakHandler, find_leak

KEY = "KEYMARK" + "-12345678"

SUITE = f"""
import logging, os, subprocess, sys
KEY = "KEYMARK" + "-12345678"

def test_warns():
    logging.getLogger("a.library").warning("sent with %s", KEY)

def test_tells_an_error():
    try:
        raise ValueError(KEY)
    except ValueError:
        logging.getLogger("a.library").exception("failed")

def test_debugs():
    logging.getLogger({OURS[0]!r}).debug({{"authorization": "Bearer k"}})

def test_prints():
    print("header", ("x-api-key", "k"))

def test_lets_a_process_print():
    subprocess.run([sys.executable, "-c", "print('GET /v1beta/models?key=k')"])

def test_is_careful(caplog):
    logging.getLogger("a.library").warning("sent with %s", {{"authorization": "<redacted>"}})
    print("GET https://…@host/v1?key=…")
    os.environ["K"] = KEY
"""


@pytest.mark.slow
def test_tests_that_leak_fail(tmp_path: Path):
    (tmp_path / "test_suite.py").write_text(SUITE)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-c",
        os.devnull,
        "--rootdir",
        str(tmp_path),
        "-p",
        "tests.leak_guard",
    ]
    ran = subprocess.run(
        [*command, "-p", "no:cacheprovider", "-p", "no:randomly", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    failed = set(re.findall(r"(?m)^(?:ERROR|FAILED) .*::(\w+)", ran.stdout))
    expected = {"test_warns", "test_tells_an_error", "test_debugs", "test_prints", "test_lets_a_process_print"}
    assert failed == expected, f"failed are {failed}"
    assert (
        "The logger 'a.library' shows a value that begins with 'KEYMARK-' in the message 'sent with %s'." in ran.stdout
    )
    assert "Captured stdout call shows a credential after" in ran.stdout


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        '{"Authorization": "Bearer k"}',
        "[(b'authorization', b'Bearer k')]",
        "{'proxy-authorization': 'Basic dTpw'}",
        "('x-goog-api-key', 'k')",
        "GET / HTTP/1.1\nx-api-key: k\n",
        "GET https://host/v1beta/models/m:generateContent?alt=sse&key=k",
    ],
)
def test_credentials_of_every_form_are_seen(text: str):
    assert find_leak(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "Check OPENAI_API_KEY, or pass Route(api_key=...).",
        "{'authorization': '<redacted>', 'x-api-key': '[secure]', 'api-key': None}",
        "authorization: …",
        "GET https://…@host/v1?key=…",
        "invalid x-api-key",
        "Bearer tokens are not supported.",
    ],
)
def test_what_shows_no_credential_passes(text: str):
    assert find_leak(text) is None


def test_malformed_records_are_read():
    handler = LeakHandler()
    handler.handle(logging.LogRecord("a", logging.WARNING, "", 0, "%d", (KEY,), None))
    assert len(handler.leaks) == 1
