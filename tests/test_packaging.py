"""The distributions that a release uploads: what they hold, what the index shows, and which extras there are.

`scripts/packaging` does the rest: it installs them into clean environments.
"""

import pkgutil
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.documents import blocks
from tests.packaging import contents, documents, quickstart
from tests.packaging.contents import ROOT
from tests.packaging.extras import ALL, NO_EXTRA, PROGRAMS, TRIALS

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """The wheel and the sdist, as the build backend writes them; a release lets `uv build` call it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=ROOT, check=True, capture_output=True
    )
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    return wheel, sdist


@pytest.mark.slow
def test_the_wheel_holds_the_packages_and_nothing_else(distributions):
    assert contents.check_wheel(distributions[0]) == []


@pytest.mark.slow
def test_the_sdist_holds_what_a_build_and_the_tests_need(distributions):
    assert contents.check_sdist(distributions[1]) == []


@pytest.mark.slow
def test_the_index_shows_the_readme_without_dead_links(distributions):
    assert contents.check_metadata(distributions[0]) == []
    text = contents.readme(contents.read_metadata(distributions[0]))
    assert contents.code_blocks(text) == contents.code_blocks(README)
    assert len(contents.dead_links(README)) > 20, "the rule has something to do"
    for label in re.findall(r"\[([^\]]+)\]\((?:docs|notebooks)/", README):
        assert label in text


@pytest.mark.slow
def test_the_command_is_installed(distributions):
    with zipfile.ZipFile(distributions[0]) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        text = archive.read(name).decode()
    for command, target in PROJECT["scripts"].items():
        assert f"{command} = {target}" in text
        assert callable(pkgutil.resolve_name(target))


@pytest.mark.slow
def test_misplaced_files_are_noticed(distributions, tmp_path):
    wheel = tmp_path / "x.whl"
    left_out = "multiroute_core/report/page.css"
    with zipfile.ZipFile(distributions[0]) as source, zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            if name != left_out:
                target.writestr(name, source.read(name))
        target.writestr("multiroute_core/__pycache__/router.cpython-311.pyc", b"")
        target.writestr("multiroute_core/keys.py", b"KEY = 'ghp_" + b"a1" * 18 + b"'")
        target.writestr("tests/test_x.py", b"open('/" + b"home/ada/x')")
    assert contents.check_wheel(wheel) == [
        "multiroute_core/__pycache__/router.cpython-311.pyc does not belong in a distribution",
        "multiroute_core/keys.py looks as if it held a secret",
        "tests/test_x.py names a path of a machine: /" + "home/ada/",
        f"{left_out} is missing",
        "multiroute_core/__pycache__/router.cpython-311.pyc does not belong in the wheel",
        "multiroute_core/keys.py does not belong in the wheel",
        "tests/test_x.py does not belong in the wheel",
    ]
    sdist = tmp_path / "x.tar.gz"
    with tarfile.open(sdist, "w:gz") as target:
        target.add(ROOT / "README.md", "multiroute_llm-1/build/README.md")
    problems = contents.check_sdist(sdist)
    assert {"build does not belong in the sdist", "README.md is missing", f"{left_out} is missing"} <= set(problems)


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("[a](docs/a.md), [b](https://b.example/), [c](mailto:c@c.example), [d](#d)", ["docs/a.md", "#d"]),
        ("![a](docs/a.png) <img src='b.png'> <a href=\"https://c.example\">", ["docs/a.png", "b.png"]),
        ("[a]: docs/a.md\n[b]: https://b.example", ["docs/a.md"]),
        ("```python\nx = f[0](1)\n```\n", []),
    ],
)
def test_dead_links_are_found(text, targets):
    assert contents.dead_links(text) == targets


def test_extras_are_those_of_the_documentation():
    page = (ROOT / "docs" / "installation.md").read_text(encoding="utf-8")
    section = page.partition("## Extras\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert sorted(name for cell in cells for name in re.findall(r"`([\w-]+)`", cell)) == sorted(EXTRAS)


def test_extras_name_packages_that_the_tests_use():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    versions = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}
    for extra, requirements in {**EXTRAS, "": PROJECT["dependencies"]}.items():
        for requirement in map(Requirement, requirements):
            name = canonicalize_name(requirement.name)
            if name == "multiroute-llm":
                assert requirement.extras == EXTRAS.keys() - {ALL, "google-legacy"}, extra
            else:
                assert requirement.specifier.contains(versions.get(name, "0.dev0"), prereleases=True), (extra, name)


def test_each_extra_is_tried():
    assert {*TRIALS, ALL} == {NO_EXTRA, *EXTRAS}
    assert {trial.program for trial in TRIALS.values()} == {path.stem for path in PROGRAMS.glob("*.py")}
    for trial in TRIALS.values():
        assert EXTRAS.keys() >= set(trial.beside)


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_pages_name_the_extras_that_their_examples_need(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = {extra for command in documents.extras_of(text) for extra in command}
    assert named <= EXTRAS.keys()
    needs = {"langchain": "langchain", "langchain_core": "langchain", "llama_index": "llamaindex"}
    needs |= {"langchain_multiroute": "langchain", "llamaindex_multiroute": "llamaindex", "multiroute_core": "openai"}
    modules = {module for block in documents.imports_of(text) for module in block}
    assert modules
    assert {needs.get(module.partition(".")[0], module) for module in modules} <= named
    code = "".join(block.code for block in blocks(text) if block.language == "python")
    assert {provider for provider in ("anthropic", "google", "openai") if f'"{provider}:' in code} <= named


def test_the_readme_has_the_steps_that_a_new_user_follows():
    section = quickstart.read_section(README)
    assert [command for command in section.commands if section.name in command] == [section.commands[-1]]
    assert len([command for command in section.commands if "multiroute-llm" in command]) == 1
    compile(section.program, section.name, "exec")
    assert "overloaded" in section.output
    with pytest.raises(ValueError, match="'Try it' has no block of 'sh'"):
        quickstart.read_section("# MultiRoute\n")
