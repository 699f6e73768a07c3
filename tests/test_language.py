"""The words of the code: names that say what a thing is, the field's standard terms, plain English."""

import ast
import functools
import io
import re
import tokenize
from pathlib import Path
from typing import TypeVar

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("multiroute_core", "langchain_multiroute", "llamaindex_multiroute")
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]

Node = TypeVar("Node", bound=ast.AST)

PARTICIPLES = frozenset(
    "told said found made given kept asked heard seen known called taken written named recorded mended declined counted opened "
    "refused fell spent settled looked got began begun wanted tried led waited spoken meant shown learned arranged chosen carried "
    "broken held answered paid begged begotten gone come sent brought bound drawn marked spelled whole rest".split()
)
"""Words that say what happened to a value instead of what it is: a sample, not a list to write around."""

VAGUE = frozenset({"result", "value", "item", "data", "obj", "tmp"})

TERMS = {
    "circuit breaker": "resilience/circuit_breaker.py",
    "cooldown": "resilience/rate_limits.py",
    "rate limit": "resilience/rate_limits.py",
    "throttling": "resilience/adaptive_concurrency.py",
    "token bucket": "resilience/token_bucket.py",
    "retry budget": "resilience/retry_budget.py",
    "backoff": "resilience/backoff.py",
    "load balancing": "routing/strategies.py",
    "hedging": "engine/hedging.py",
    "single-flight": "cache/single_flight.py",
    "prompt cache affinity": "routing/affinity.py",
    "capabilities": "providers/capabilities.py",
    "strategy": "routing/strategies.py",
    "deadline": "runtime/deadline.py",
    "thread pool": "runtime/threads.py",
    "serialization": "parsing/message_json.py",
    "exporter": "telemetry/otel.py",
}

STILTED = re.compile(r"\b(?:is no|are none|nobody|whoever|is told)\b", re.IGNORECASE)


def share(part, whole):
    return 100 * part / max(whole, 1)


@functools.cache
def all_nodes() -> tuple[ast.AST, ...]:
    return tuple(node for path in FILES for node in ast.walk(ast.parse(path.read_text())))


def nodes(kind: type[Node] | tuple[type[Node], ...]) -> list[Node]:
    return [node for node in all_nodes() if isinstance(node, kind)]


def test_functions_are_named_by_verbs_and_variables_by_what_they_hold():
    functions = [node.name.strip("_") for node in nodes((ast.FunctionDef, ast.AsyncFunctionDef))]
    variables = [node.id.strip("_") for node in nodes(ast.Name) if isinstance(node.ctx, ast.Store)]
    assert len(functions) > 1000
    assert share(sum(name in PARTICIPLES for name in functions), len(functions)) < 1
    assert share(sum(name in PARTICIPLES for name in variables), len(variables)) < 1
    assert share(sum(name in VAGUE for name in variables), len(variables)) < 2.9


def test_assignments_stand_one_to_a_line():
    assignments = nodes(ast.Assign)
    packed = [n for n in assignments if isinstance(n.targets[0], ast.Tuple) and isinstance(n.value, ast.Tuple)]
    assert share(len(packed), len(assignments)) < 2


def prose(path):
    """The docstrings and comments of a module."""
    text = path.read_text()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def test_prose_is_plain_english():
    texts = [text for path in FILES for text in prose(path)]
    words = sum(len(text.split()) for text in texts)
    assert words > 10_000
    assert 1000 * sum(len(STILTED.findall(text)) for text in texts) / words < 1


@pytest.mark.parametrize("term", TERMS)
def test_a_module_names_its_subject_by_the_standard_term(term):
    tree = ast.parse((ROOT / "multiroute_core" / TERMS[term]).read_text())
    first_line = (ast.get_docstring(tree) or "").partition("\n")[0]
    assert term in first_line.lower()


def test_the_top_folder_holds_the_public_vocabulary_only():
    assert len(list((ROOT / "multiroute_core").glob("*.py"))) <= 12
