"""What editors and notebooks offer inside a call, and what type checkers accept and refuse from outside."""

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_overloads, get_type_hints

import jedi
import pytest

from langchain_multiroute import ChatMultiRoute
from langchain_multiroute.fields import InheritedFields as OfLangChain
from llamaindex_multiroute import MultiRoute
from llamaindex_multiroute.fields import InheritedFields as OfLlamaIndex
from multiroute_core import Router
from multiroute_core.parsing.arguments import CallOptions
from tests.language_server import LanguageServer

ROOT = Path(__file__).parent.parent

PREPARATION = """\
from multiroute_core import Router
from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
router = Router("openai:gpt-4.1")
"""


def parameters(callable_: Any) -> set[str]:
    return set(inspect.signature(callable_).parameters) - {"self", "positional", "base_fields"}


OPTIONS = {"messages", *CallOptions.__annotations__}
CALLS = {
    "Router(": parameters(Router),
    "ChatMultiRoute(": parameters(ChatMultiRoute),
    "MultiRoute(": parameters(MultiRoute),
    "router.generate(": OPTIONS,
    "router.agenerate(": OPTIONS,
    "router.stream(": OPTIONS,
    "router.astream(": OPTIONS,
}


def offered(completions: Any) -> set[str]:
    return {c.name_with_symbols.removesuffix("=") for c in completions if c.name_with_symbols.endswith("=")}


@pytest.mark.slow
@pytest.mark.notebook
@pytest.mark.parametrize("code", CALLS)
def test_jedi_in_a_notebook_offers_every_option(code, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    namespace = {"Router": Router, "ChatMultiRoute": ChatMultiRoute, "MultiRoute": MultiRoute}
    with Router("openai:gpt-4.1") as router:
        script = jedi.Interpreter(code, [namespace | {"router": router}])
        assert CALLS[code] - offered(script.complete()) == set()


@pytest.mark.slow
@pytest.mark.notebook
@pytest.mark.parametrize("code", CALLS)
def test_jedi_in_a_file_offers_every_option(code):
    assert CALLS[code] - offered(jedi.Script(PREPARATION + code).complete()) == set()


@pytest.mark.parametrize("name", ["generate", "agenerate", "stream", "astream"])
def test_the_parameters_for_editors_are_the_options_of_a_call(name):
    _, overload = get_overloads(getattr(Router, name))
    options = {
        parameter.name: parameter
        for parameter in inspect.signature(overload).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    annotations = {option: kind.__forward_arg__ for option, kind in CallOptions.__annotations__.items()}
    assert {option: parameter.annotation for option, parameter in options.items()} == annotations
    assert list(options) == list(annotations)
    assert {parameter.default for parameter in options.values()} == {None}


@pytest.mark.slow
@pytest.mark.notebook
def test_pyrights_language_server_offers_every_option(tmp_path):
    with LanguageServer(tmp_path) as server:
        for number, (code, names) in enumerate(CALLS.items()):
            labels = server.complete(f"file_{number}.py", PREPARATION + code)
            assert names - {label.removesuffix("=") for label in labels if label.endswith("=")} == set(), code


def test_the_inherited_fields_are_those_of_the_frameworks():
    for model, fields in ((ChatMultiRoute, OfLangChain), (MultiRoute, OfLlamaIndex)):
        own = set(inspect.get_annotations(model)) | {"cache"}
        inherited = set(model.model_fields) - own
        assert set(get_type_hints(fields)) >= inherited - {"router"}


# From outside: a folder that holds nothing but the user's file.

MISSPELT = (
    "Router('openai:x', stratgy='cheapest')",
    "Router('openai:x', strategy=5)",
    "Router('openai:x', on_stream_error='contniue')",
    "Router('openai:x', dedline=5)",
    "Router('openai:x', hedge='0.05')",
    "Router('openai:x', on_event=print)",
    "Router('openai:x', temperature=0.5)",
    "ChatMultiRoute('openai:x', temprature=0.5)",
    "ChatMultiRoute('openai:x', max_token=5)",
    "ChatMultiRoute('openai:x', max_tokens='many')",
    "ChatMultiRoute('openai:x', model_name='gpt-4.1')",
    "ChatMultiRoute('openai:x', callback=[])",
    "MultiRoute('openai:x', temprature=0.5)",
    "MultiRoute('openai:x', contextwindow=5)",
    "MultiRoute('openai:x', system_promt='x')",
    "Route('openai:x', baseurl='http://x')",
    "Route('openai:x', api='completions')",
    "Route('openai:x', rpm='many')",
    "Budget(usd=5, per='days')",
    "Budget(dollars=5)",
    "CacheConfig(ttl='1h')",
    "router.generate('Hello', temprature=0)",
    "router.generate('Hello', temperature='hot')",
    "router.stream('Hello', max_tokns=5)",
)

IMPORTS = """\
from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import Budget, CacheConfig, Route, Router

router = Router("openai:x")
"""


MYPY_SETTINGS = """\
[mypy-openai.*,langsmith.*,langgraph.*,langgraph_sdk.*,workflows.*,sqlalchemy.*,numpy.*,pandas.*,matplotlib.*,PIL.*,\
nltk.*,IPython.*,prompt_toolkit.*,rich.*,pytest.*,_pytest.*,tornado.*,aiohttp.*,httpcore.*,httpcore2.*,urllib3.*,\
cryptography.*,opentelemetry.*,markdown_it.*]
follow_imports = skip
"""
"""No type of these is in our signatures, and they are three quarters of what mypy would read."""


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    """A folder with the README's examples, and a file in which each line is wrong."""
    folder = tmp_path_factory.mktemp("outside")
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(examples) >= 3
    (folder / "examples.py").write_text((ROOT / "tests/typing/readme_examples.py").read_text())
    (folder / "mypy.ini").write_text("[mypy]\n" + MYPY_SETTINGS)
    (folder / "misspelt.py").write_text(IMPORTS + "".join(f"{line}\n" for line in MISSPELT))
    return folder


CHECKERS = {
    "mypy": [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--python-executable", sys.executable],
    "pyright": [sys.executable, "-m", "pyright", "--pythonpath", sys.executable],
}


@pytest.mark.slow
@pytest.mark.notebook
@pytest.mark.parametrize("checker", CHECKERS)
def test_the_readmes_examples_pass_and_every_misspelt_line_is_refused(checker, outside):
    command = [*CHECKERS[checker], "examples.py", "misspelt.py"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=outside, check=False)
    output = re.sub(r":(\d+):(\d+) - error", r":\1: error", result.stdout)
    errors = re.findall(r"(examples|misspelt)\.py:(\d+): error", output)
    assert [line for file, line in errors if file == "examples"] == [], output
    first = IMPORTS.count("\n") + 1
    wrong = {int(line) - first for file, line in errors if file == "misspelt"}
    assert [MISSPELT[number] for number in range(len(MISSPELT)) if number not in wrong] == [], output
    assert len(MISSPELT) >= 20
