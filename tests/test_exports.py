"""Public names: what `__all__` says exists, what the docs import and what public signatures name is exported."""

import ast
import importlib
import inspect
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOP = ("multiroute_core", "langchain_multiroute", "llamaindex_multiroute")
FOLDERS = [path for top in TOP for path in sorted((ROOT / top).rglob("__init__.py"))]
NAMES = {path: ".".join(path.parent.relative_to(ROOT).parts) for path in FOLDERS}
PUBLIC = [NAMES[path] for path in FOLDERS if re.search(r"^__all__ = \[", path.read_text(), re.MULTILINE)]
INTERNAL = [NAMES[path] for path in FOLDERS if NAMES[path] not in PUBLIC]
LAZY = [name for name in PUBLIC if name != "llamaindex_multiroute.testing"]
"""Pytest must rewrite the assertions of the modules in `llamaindex_multiroute.testing` before they are imported."""


def init(package):
    return ROOT.joinpath(*package.split("."), "__init__.py")


def exports(package):
    return importlib.import_module(package).__all__


def declared(package):
    """For each module, the names that a package declares for type checkers, and those that it loads lazily."""
    tree = ast.parse(init(package).read_text())
    (branch,) = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    typed = {}
    for node in branch.body:
        assert isinstance(node, ast.ImportFrom)
        typed.setdefault(node.module, set()).update(alias.name for alias in node.names)
    (assignment,) = branch.orelse
    assert isinstance(assignment, ast.Assign)
    assert isinstance(assignment.value, ast.Call)
    lazy = ast.literal_eval(assignment.value.args[1])
    return typed, {f"{package}.{module}": set(names.split()) for module, names in lazy.items()}


@pytest.mark.parametrize("package", PUBLIC)
def test_what_all_names_exists_and_is_listed(package):
    module = importlib.import_module(package)
    names = module.__all__
    assert len(names) == len(set(names))
    assert set(names) <= set(dir(module))
    for name in names:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'Nonsense'"):
        _ = module.Nonsense


@pytest.mark.parametrize("package", LAZY)
def test_type_checkers_see_the_names_that_are_loaded(package):
    typed, lazy = declared(package)
    assert typed == lazy
    eager = {"Options", "options"} if package == "multiroute_core" else set()
    assert set(exports(package)) == set().union(*typed.values()) | eager
    for home, names in lazy.items():
        for name in names:
            assert getattr(importlib.import_module(package), name) is getattr(importlib.import_module(home), name)


@pytest.mark.parametrize("package", LAZY)
def test_no_module_hides_a_name(package):
    """Importing a module sets it on its package: `options` is loaded at once, so the function replaces the module."""
    modules = {path.stem for path in init(package).parent.iterdir()}
    assert modules & set(exports(package)) <= {"options"}


def test_modules_imported_first_hide_nothing():
    code = (
        "import multiroute_core.options, multiroute_core.report.report\nfrom multiroute_core import options, report\n"
    )
    code += "with options(task='x'): print(report.Report.__name__)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "Report\n"


def test_a_package_loads_what_it_exports_on_first_access():
    code = "import sys, multiroute_core, langchain_multiroute, llamaindex_multiroute; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    own = [name for name in modules if name.startswith(TOP)]
    assert "multiroute_core.router" not in own
    assert len(own) < 20


@pytest.mark.parametrize(
    ("package", "name", "framework", "extra"),
    [
        ("langchain_multiroute", "ChatMultiRoute", "langchain_core", "langchain"),
        ("llamaindex_multiroute", "MultiRoute", "llama_index", "llamaindex"),
    ],
)
def test_a_missing_framework_is_an_error_that_names_the_extra(package, name, framework, extra):
    code = f"import sys; sys.modules['{framework}'] = None\nfrom {package} import {name}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    advice = (
        rf"ModuleNotFoundError: {package} needs a package that is not installed \(.*{framework}.*\); "
        rf"run: pip install 'multiroute-llm\[{extra}\]'"
    )
    assert re.fullmatch(advice, done.stderr.splitlines()[-1])
    hidden = f"import sys; sys.modules['msgspec'] = None\nfrom {package} import {name}"
    done = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, check=False)
    assert "pip install" not in done.stderr, "another package that is missing is no matter of an extra"


@pytest.mark.parametrize("package", INTERNAL)
def test_a_package_without_public_names_says_so(package):
    assert (ast.get_docstring(ast.parse(init(package).read_text())) or "").startswith("Internal: ")


# What documents import.

IMPORT = re.compile(
    r"^\s*(?:>>> |\.\.\. )?from ((?:multiroute_core|langchain_multiroute|llamaindex_multiroute)[\w.]*) import "
    r"(\([^)]*\)|.*)$",
    re.MULTILINE,
)


def documents():
    """Everything that shows users an import, by file."""
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").rglob("*.py"))]
    paths += [ROOT / "tests/typing/public_face.py"]
    for path in paths:
        # What stands in a comment is for the tests (tests/documents.py).
        yield path, re.sub(r"<!--.*?-->", "", path.read_text(), flags=re.DOTALL)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text())["cells"]
        yield path, "\n".join("".join(cell["source"]) for cell in cells)
    for top in TOP:
        for path in sorted((ROOT / top).rglob("*.py")):
            docstrings = [
                ast.get_docstring(node) or ""
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            ]
            yield path, "\n".join(docstrings)


def imported(text):
    for package, names in IMPORT.findall(text):
        for name in re.sub(r"#.*|[()]", "", names).replace("\n", " ").split(","):
            if name.strip():
                yield package, name.split(" as ")[0].strip()


def test_documents_import_from_package_roots_only():
    pairs = [(path, package, name) for path, text in documents() for package, name in imported(text)]
    assert len(pairs) > 80
    wrong = {
        f"{path.relative_to(ROOT)}: from {package} import {name}"
        for path, package, name in pairs
        if package not in PUBLIC or (name not in exports(package) and f"{package}.{name}" not in PUBLIC)
    }
    assert wrong == set()


def test_documents_name_packages_that_exist():
    """`multiroute_core.telemetry.OpenTelemetry` in a text is as good as an import; a logger's name is not one."""
    wrong = set()
    for path, text in documents():
        if path.suffix not in (".md", ".ipynb"):
            continue
        for dotted in re.findall(r"`((?:multiroute_core|langchain_multiroute|llamaindex_multiroute)\.[\w.]+\w)", text):
            package, _, name = dotted.rpartition(".")
            if dotted not in PUBLIC and not (package in PUBLIC and name in (*exports(package), "__version__")):
                wrong.add((path.name, dotted))
    assert wrong <= {("telemetry.md", "multiroute_core.events"), ("architecture.md", "multiroute_core.adapter")}


# What signatures name.

SOURCES = [path for top in TOP for path in sorted((ROOT / top).rglob("*.py"))]
DEFINED = {
    name
    for path in SOURCES
    for name in re.findall(r"^(?:class )?(\w+)(?::? TypeAlias =|\(|:$)", path.read_text(), re.MULTILINE)
    if name[0].isupper() and not name.isupper()
}
"""The classes and type aliases of all modules."""

EXPORTED = {name for package in PUBLIC for name in exports(package)}

OPAQUE = {"State"}
"""Users pass these on, and need nothing of what their methods name."""

ENGINES = {"Restoration", "SemanticMatcher"}
"""What fields and methods name that only the engine uses."""

KEYWORDS = {"InheritedFields"}
"""Types of `**keywords`, which no one names."""


def annotations(public):
    """The annotations of a class's fields, properties and public methods, or of a function."""
    if inspect.isfunction(public):
        yield from inspect.unwrap(public).__annotations__.values()
        return
    for name, annotation in inspect.get_annotations(public).items():
        if not name.startswith("_"):
            yield annotation
    for name, member in dict(vars(public)).items():
        function = getattr(getattr(member, "fget", member), "__func__", getattr(member, "fget", member))
        if callable(function) and (not name.startswith("_") or name == "__init__"):
            yield from getattr(inspect.unwrap(function), "__annotations__", {}).values()


def test_what_public_signatures_name_is_public():
    missing = set()
    for package in PUBLIC:
        for name in exports(package):
            public = getattr(importlib.import_module(package), name)
            if name in OPAQUE or not (inspect.isclass(public) or inspect.isfunction(public)):
                continue
            for annotation in annotations(public):
                text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
                words = set(re.findall(r"(?<!['\".\w])[A-Z]\w*", text))
                missing |= {f"{package}.{name}: {word}" for word in words & DEFINED - EXPORTED - ENGINES - KEYWORDS}
    assert missing == set()


def test_a_name_means_one_thing():
    """A package may export again what another exports; where two share a name for two things, the folder says which."""
    homes = {}
    for package in PUBLIC:
        for name in exports(package):
            homes.setdefault(name, {})[id(getattr(importlib.import_module(package), name))] = package
    several = {name: sorted(packages.values()) for name, packages in homes.items() if len(packages) > 1}
    assert several == SEVERAL


SEVERAL = {
    "Failure": ["multiroute_core.report", "multiroute_core.testing.dialects"],
    "ProgressBar": ["langchain_multiroute", "llamaindex_multiroute"],
    "Reply": ["multiroute_core.providers", "multiroute_core.testing"],
    "Step": ["multiroute_core.report", "multiroute_core.testing"],
}


def test_lazy_names_survive_pickles():
    core = importlib.import_module("multiroute_core")
    assert pickle.loads(pickle.dumps(core.Options(task="x"))) == core.Options(task="x")
    assert pickle.loads(pickle.dumps(core.Router)) is core.Router
