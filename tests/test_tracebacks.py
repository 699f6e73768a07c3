"""What an error looks like in IPython, in pytest and in a plain traceback."""

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from langchain_multiroute import ChatMultiRoute
from multiroute_core import errors
from tests.chat_server import Fleet, error

ROOT = Path(__file__).parent.parent

PREPARATION = """
from langchain_core.prompts import ChatPromptTemplate
from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import Router
from tests.chat_server import Fleet, error
fleet = Fleet(error(400, "No such thing."), max_retries=0)
router = fleet.router
chain = ChatPromptTemplate.from_template("{x}") | ChatMultiRoute(router=router)
"""

CELLS = (
    "def ask():\n    return router.generate('Hi')\nask()",
    "await router.agenerate('Hi')",
    "for chunk in router.stream('Hi'):\n    print(chunk)",
    "async for chunk in router.astream('Hi'):\n    print(chunk)",
    "chain.invoke({'x': 'Hi'})",
    "await chain.ainvoke({'x': 'Hi'})",
    "list(ChatMultiRoute(router=router).stream('Hi'))",
    "MultiRoute(router=router).complete('Hi')",
    "for piece in MultiRoute(router=router).stream_complete('Hi'):\n    print(piece)",
    "ChatMultiRoute(router=router, temperature=3)",
    "Router('openai:gpt-4.1', temperature=0.5)",
)

SHELL = """
import asyncio, contextlib, io, json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance(colors="nocolor")
shell.run_cell(sys.argv[1])
outputs = []
for cell in json.loads(sys.argv[2]):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        shell.run_cell(cell, store_history=True)
    outputs.append(out.getvalue())
shell.run_cell("fleet.__exit__()")
print(json.dumps(outputs))
"""


def shown(**environment: str) -> list[str]:
    """What IPython prints for each cell."""
    import json

    kept = {name: value for name, value in os.environ.items() if name != "MULTIROUTE_TRACEBACK"}
    command = [sys.executable, "-c", SHELL, PREPARATION, json.dumps(CELLS)]
    result = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=ROOT, env=kept | {"PYTHONPATH": "."} | environment
    )
    return [re.sub(r"\x1b\[[\d;]*m", "", text) for text in json.loads(result.stdout.splitlines()[-1])]


@pytest.mark.slow
@pytest.mark.notebook
def test_ipython_shows_the_users_lines_and_our_sentence():
    texts = shown()
    for cell, text in zip(CELLS, texts, strict=True):
        lines = text.rstrip().splitlines()
        assert len(lines) <= 16, text
        assert cell.splitlines()[0] in text
        assert "multiroute_core/" not in text
        assert "site-packages" not in text
        assert "direct cause" not in text
    assert "BadRequestError: Route 'a': No such thing." in texts[0]
    assert "ConfigurationError: temperature=3 is not valid" in texts[9]
    assert "BadRequestError: Route 'a': No such thing." in texts[4], "not the name of a class of both libraries"


@pytest.mark.slow
@pytest.mark.notebook
def test_a_variable_shows_all_of_it():
    text = shown(MULTIROUTE_TRACEBACK="full")[0]
    assert "multiroute_core/engine/calls.py" in text
    assert "direct cause" in text
    assert len(text.splitlines()) > 60


FAILING = """
from multiroute_core import Route, Router

def test_it():
    router = Router(Route("openai:gpt-4.1", api_key="k"))
    router.generate("Hello", temperature=3)
"""


@pytest.mark.slow
@pytest.mark.notebook
def test_pytest_leaves_out_our_frames(tmp_path):
    (tmp_path / "test_failing.py").write_text(FAILING)
    kept = {name: value for name, value in os.environ.items() if name != "MULTIROUTE_TRACEBACK"}
    lines = {}
    for environment in ({}, {"MULTIROUTE_TRACEBACK": "full"}):
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:randomly",
            "test_failing.py",
        ]
        result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=kept | environment)
        lines[bool(environment)] = result.stdout
    assert "temperature=3 is not valid" in lines[False]
    assert "multiroute_core/" not in lines[False]
    assert "multiroute_core/parsing/arguments.py" in lines[True]


@pytest.mark.slow
@pytest.mark.notebook
def test_a_plain_traceback_is_complete_and_names_our_class():
    code = PREPARATION + "chain.invoke({'x': 'Hi'})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    lines = result.stderr.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("multiroute_core.errors."))
    assert lines[start] == "multiroute_core.errors.BadRequestError: Route 'a': No such thing. (BadRequestError)"
    assert "multiroute_core/engine/attempt.py" in result.stderr


def test_an_error_of_both_libraries_has_our_name_and_pickles():
    with Fleet(error(500), error(401), max_retries=0) as fleet, pytest.raises(errors.AllRoutesFailedError) as caught:
        ChatMultiRoute(router=fleet.router).invoke("Hi")
    kind = type(caught.value)
    assert (kind.__module__, kind.__qualname__) == ("multiroute_core.errors", "AllRoutesFailedError")
    assert kind is not errors.AllRoutesFailedError
    copy = pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is kind
    assert (str(copy), copy.attempts) == (str(caught.value), caught.value.attempts)
