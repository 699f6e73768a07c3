"""Shared by all tests: no keys of the machine get in, none get out; a server of Redis for the files that ask for one."""

import gc
import os
import re
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from multiroute_core.provider_table import PROVIDERS
from tests.examples import examples
from tests.leak_guard import pytest_configure, pytest_runtest_makereport, pytest_unconfigure
from tests.priming import prime

__all__ = ["pytest_configure", "pytest_runtest_makereport", "pytest_unconfigure"]

# A busy machine is no reason to fail.
settings.register_profile(
    "suite", max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts its background jobs so, and the programs that tests start and interrupt would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.setdefault("MULTIROUTE_TRACEBACK", "full")  # here a failure is ours to find

# One authority (its key was thrown away) in place of a hundred: the SDKs load them for every client, and that takes
# 20 ms. No test leaves this machine; those that speak TLS bring a certificate of their own.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).with_name("authority.pem"))

VARIABLES = [name for spec in PROVIDERS.values() for name in (*spec.key_variables, spec.base_url_variable) if name]


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Take what collection leaves out of the collector's sight: a million objects of modules that stay to the end.

    Every `gc.collect()` of a test, and those with which pytest ends a session, would walk through all of them.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True, scope="module")
def frozen_imports():
    """Do the same with what a file imported while its tests ran: LangChain and the SDKs are a million objects again."""
    yield
    gc.collect()
    gc.freeze()


def pytest_ignore_collect(collection_path, config):
    """Leave out the files that `-m "not slow and not redis"` leaves out as a whole: reading them takes time as well."""
    left_out = config.option.markexpr
    if collection_path.suffix != ".py" or not re.fullmatch(r"not \w+( and not \w+)*", left_out):
        return None
    marks = "|".join(re.findall(r"not (\w+)", left_out))
    text = collection_path.read_text(encoding="utf-8")
    return True if re.search(rf"^pytestmark = \[?pytest\.mark\.({marks})\b", text, re.MULTILINE) else None


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=os.environ.get("MULTIROUTE_TEST_PREPARED") == "1")
def prepared_requests():
    """Prepared requests from the first call on: for the tests that ask for it, or for all with the variable."""
    with pytest.MonkeyPatch.context() as patch:
        prime(patch)
        yield


@pytest.fixture(scope="module", params=["valkey", "redis"])
def redis_server(request):
    """A server of each kind, one for all tests of a file; they clear it themselves."""
    from tests.redis_servers import running

    with running(request.param) as server:
        yield server
