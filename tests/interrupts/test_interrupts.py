"""Interrupts at random moments and forks beside threads, in short; scripts/interrupts is the long form."""

import os

import pytest

from tests.interrupts.__main__ import run_worker
from tests.interrupts.upstream import upstream
from tests.interrupts.worker import MODES

pytestmark = pytest.mark.slow

needs_signals = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")


@pytest.fixture(scope="module")
def server():
    with upstream() as running:
        yield running


@needs_signals
@pytest.mark.parametrize("mode", MODES)
def test_an_interrupt_leaves_nothing_behind(server, mode):
    report, noise = run_worker("worker", mode, "signal", 11, 25, server.url)
    assert report["wrongs"] == {}
    assert report["caught"] + report["done"] == 25
    assert noise == "" or mode == "waiting"  # whose breaker opens, and says so


@needs_signals
@pytest.mark.parametrize("mode", ["plain", "hedged"])
def test_an_exception_that_another_thread_sends_leaves_nothing_behind(server, mode):
    report, _ = run_worker("worker", mode, "thread", 12, 25, server.url)
    assert report["wrongs"] == {}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_child_of_a_fork_works_whatever_the_threads_of_its_parent_did(server):
    report, _ = run_worker("forks", 13, 8, server.url)
    assert report["wrongs"] == {}
