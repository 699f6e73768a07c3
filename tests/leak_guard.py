"""A guard for the whole suite: no log record and no output of any test shows a key.

One handler at the root logger reads every record that any logger hands up, at the levels that are set; our own loggers
are set to DEBUG. What a test or its subprocesses print is read from its report. A leak fails the test in which it was
seen, with a sentence that names the logger or the output and the form of what was shown, without the key.

Two things are looked for: the keys and passwords that tests use, as far as they are unmistakable, and the forms in
which clients show credentials, since most tests use a key of one letter.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest

MARKS = ("KEYMARK-", "HEADERMARK-", "PASSMARK-", "sk-secret", "sk-s3cret")
"""How the keys, header values and passwords begin that tests use and nothing else contains."""

_HIDDEN = r"(?!<|\*|…|None\b|\[)"
"""What takes the place of a key: httpx writes `[secure]`, the SDKs `<redacted>`, we `…`."""

_CREDENTIALS = re.compile(
    rf"""(?ix)
    ["'](?:proxy-)?authorization["'] \s* [:,] \s* b?["'] (?:(?:bearer|basic)\s+)? {_HIDDEN} [^"'\s]
    | ["'](?:x-api-key|api-key|x-goog-api-key)["'] \s* [:,] \s* b?["'] {_HIDDEN} [^"'\s]
    | ^ (?:authorization|x-api-key|api-key|x-goog-api-key): \s* (?:bearer\s+)? {_HIDDEN} \S
    | [?&](?:api_)?key= {_HIDDEN} \w
    """,
    re.MULTILINE,
)
"""A header with a credential, as a member of a mapping, as a pair, and as a line; and a key in an address."""

OURS = ("multiroute_core", "langchain_multiroute", "llamaindex_multiroute")


def find_leak(text: str) -> str | None:
    """The form of what a text shows of a credential; None where it shows none."""
    for mark in MARKS:
        if mark in text:
            return f"a value that begins with {mark!r}"
    credential = _CREDENTIALS.search(text)
    return None if credential is None else f"a credential after {credential.group()[:-1]!r}"


class LeakHandler(logging.Handler):
    """Keeps a sentence for every record that shows a credential."""

    def __init__(self) -> None:
        super().__init__()
        self.leaks: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001  (a malformed record is its own test's affair)
            text = f"{record.msg} {record.args}"
        if record.exc_info:
            text = f"{text}\n{logging.Formatter().formatException(record.exc_info)}"
        if (form := find_leak(text)) is not None:
            self.leaks.append(f"The logger {record.name!r} shows {form} in the message {str(record.msg)[:80]!r}.")


HANDLER = LeakHandler()


def pytest_configure() -> None:
    """Listen to all loggers from the beginning."""
    logging.getLogger().addHandler(HANDLER)
    for name in OURS:
        logging.getLogger(name).setLevel(logging.DEBUG)


def pytest_unconfigure() -> None:
    """Stop listening."""
    logging.getLogger().removeHandler(HANDLER)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Iterator[None]:
    """Fail the test at its end, where it or what it started showed a credential."""
    report: pytest.TestReport = yield
    if call.when == "teardown":
        leaks = [
            f"{title} shows {form}."
            for title, text in report.sections
            if "log" not in title and (form := find_leak(text)) is not None
        ]
        leaks += HANDLER.leaks
        HANDLER.leaks.clear()
        if leaks and report.passed:
            report.outcome = "failed"
            report.longrepr = "\n".join(leaks)
    return report
