"""Remembers what ran and what was skipped, for the test that knows the list of skips."""

import pytest

RAN = pytest.StashKey[dict[str, str | None]]()
"""For every test of this folder its reason to be skipped, or None."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call" or report.skipped:
        reason = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else None
        item.config.stash.setdefault(RAN, {})[item.nodeid.partition("::")[2]] = reason
    return report
