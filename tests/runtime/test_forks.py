"""A fork while a thread of the parent imports: the child imports the module again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os, signal, sys, threading
from importlib.machinery import SourceFileLoader
from multiroute_core import Router
from multiroute_core.testing import Answer, scripted_route

parent, importing, forked, load = os.getpid(), threading.Event(), threading.Event(), SourceFileLoader.exec_module

def load_slowly(self, module):
    if module.__name__ == sys.argv[1] and os.getpid() == parent:
        importing.set()
        forked.wait(20)
    load(self, module)

def add(a: int, b: int) -> int:
    return a + b

SourceFileLoader.exec_module = load_slowly
router = Router([scripted_route("a", Answer())])
thread = threading.Thread(target=router.generate, args=("Hi",), kwargs={"tools": [add]})
thread.start()
assert importing.wait(20)
if child := os.fork():
    _, status = os.waitpid(child, 0)
    forked.set()
    thread.join(20)
    sys.exit(os.waitstatus_to_exitcode(status))
signal.alarm(20)
os._exit(0 if router.generate("Hi", tools=[add]).text else 1)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("module", ["conversation", "tools", "json_schema"])
def test_a_child_does_not_wait_for_a_module_that_a_thread_of_its_parent_was_importing(module):
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, f"multiroute_core.parsing.{module}"]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=90
    )
    assert (done.returncode, done.stderr) == (0, "")
