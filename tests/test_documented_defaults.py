"""The defaults in the tables of docs/ are those of the signatures, and each parameter has a row."""

import argparse
import ast
import inspect
import re
from pathlib import Path

import pytest

from multiroute_core import Budget, CacheConfig, Limit, PromptOptimizer, Route, Router
from multiroute_core.cli.main import build_parser
from multiroute_core.guards import Guard
from multiroute_core.serving import build_app

DOCS = Path(__file__).parent.parent / "docs"
WORDS = {
    "none": (None, ()),
    "nothing": (None, ()),
    "empty": ((),),
    "all": (None, ("whitespace", "boilerplate", "repeats")),
    "a day": (86_400,),
    "0.8, 1.0": ((0.8, 1.0),),
}
"""What a word in a table may stand for."""

DERIVED = re.compile(
    r"^(from the environment|the vendor's own|learned|its own|by the address|the router's|the one that|derived|"
    r"the whole answer|`provider:model`|all but `\"answer\"`)"
)
"""How a table says where a default comes from whose value in the signature is none, or whose value would be too long."""

CALLABLES = [
    ("settings.md", "setting", Router, {"routes"}),
    ("routing.md", "`Route(...)`", Route, {"route"}),
    ("costs-and-budgets.md", "`Budget(...)`", Budget, set()),
    ("limits.md", "`Limit(...)`", Limit, set()),
    ("caching.md", "`CacheConfig(...)`", CacheConfig, set()),
    ("prompts.md", "setting", PromptOptimizer, set()),
    ("guards.md", "setting", Guard, {"check", "name", "masking"}),
]


def read_table(page, first_head):
    """Yield the names and the default of each row of the table of defaults of a page."""
    lines = iter((DOCS / page).read_text(encoding="utf-8").splitlines())
    assert any(line.startswith(f"| {first_head} | default |") for line in lines), page
    next(lines)
    for line in lines:
        if not line.startswith("|"):
            return
        cells = line.split("|")[1:]
        yield re.findall(r"`([-\w]+)=?`", cells[0]), cells[1].strip()


def read_default(text):
    """Return the values that a cell may mean; None: it is derived."""
    if not text or DERIVED.match(text):
        return None
    if (values := WORDS.get(text) or WORDS.get(text.partition(":")[0])) is not None:
        return values
    if match := re.match(r"(\d+) MiB$", text):
        return (int(match[1]) * 2**20,)
    if match := re.match(r"[\d,]*\.?\d+", text):
        return (float(match[0].replace(",", "")),)
    assert re.fullmatch(r"`.*`", text), text
    try:
        return (ast.literal_eval(text[1:-1]),)
    except (SyntaxError, ValueError):
        return (text[1:-1],)


@pytest.mark.parametrize(("page", "head", "target", "undocumented"), CALLABLES, ids=[one[0] for one in CALLABLES])
def test_a_table_has_the_defaults_of_the_signature(page, head, target, undocumented):
    parameters = inspect.signature(target).parameters
    seen = set()
    for names, text in read_table(page, head):
        for name in names:
            seen.add(name)
            expected = read_default(text)
            default = parameters[name].default
            if name == "sdk":
                assert default is None  # the route's provider has the name, see `SDKS`
            elif expected is not None and text:
                assert default in expected, f"{page}, {name}: {text} is not {default!r}"
            elif text and not text.startswith("all but"):
                assert default is None, f"{page}, {name}: {text} is not {default!r}"
    assert seen == set(parameters) - undocumented, page


def options_of(command):
    commands = next(one for one in build_parser()._actions if isinstance(one, argparse._SubParsersAction))
    return {name: one for one in commands.choices[command]._actions for name in one.option_strings}


@pytest.mark.parametrize(
    ("page", "head", "command"), [("command_line.md", "option", "drill"), ("serving.md", "setting", "serve")]
)
def test_a_table_has_the_defaults_of_the_options(page, head, command):
    options = options_of(command)
    arguments = inspect.signature(build_app).parameters
    for names, text in read_table(page, head):
        flags = [name for name in names if name.startswith("--")]
        texts = text.split(", ") if len(flags) > 1 else [text] * len(flags)
        for flag, one in zip(flags, texts, strict=True):
            default = options[flag].default
            assert one == "" or default in (*(read_default(one) or ()), *([""] if one == "none" else [])), flag
        for name in names:
            if name in arguments:
                assert arguments[name].default in (*(read_default(text) or ()), None), name


def test_the_default_timeout_of_a_check_is_what_the_page_says():
    assert (
        f"`--timeout` ({options_of('check')['--timeout'].default:g} seconds)" in (DOCS / "command_line.md").read_text()
    )
