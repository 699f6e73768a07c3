"""What a wheel and a source distribution must hold, and what the package index will show."""

from __future__ import annotations

import email.message
import email.parser
import re
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]
PACKAGES = ("multiroute_core", "langchain_multiroute", "llamaindex_multiroute")

KINDS = frozenset({".py", ".typed", ".json", ".css", ".bin", ".lua", ".md"})
"""The suffixes of the files of a package. Another kind is a new rule, and belongs here if it is meant."""

NEEDED = (
    *(f"{package}/py.typed" for package in PACKAGES),
    "multiroute_core/configuration/schema.json",
    "multiroute_core/guards/injection/weights.bin",
    "multiroute_core/report/page.css",
    "multiroute_core/state/lua/prelude.lua",
    "multiroute_core/state/lua/operations/admit.lua",
    "multiroute_core/state/lua/rules/circuit_breaker.lua",
)
"""Data that the code reads, or that tools look for; a sample, in case that the checkout lacks it too."""

SOURCES = frozenset(
    "benchmarks docs examples findings notebooks scripts tests .gitignore CHANGELOG.md CONTRIBUTING.md LICENSE PKG-INFO "
    "README.md SECURITY.md constraints.txt mkdocs.yml pyproject.toml".split()
) | {*PACKAGES}

LITTER = re.compile(
    r"(^|/)(__pycache__|\.venv[^/]*|\.git|\.pytest_cache|\.ruff_cache|\.hypothesis|\.ipynb_checkpoints|\.benchmarks|build|"
    r"dist|site|node_modules|\.env[^/]*|\.netrc|\.pypirc|\.DS_Store)(/|$)|\.(pyc|pyo|so|db|db-wal|db-shm|log|orig|rej|swp)$"
)
"""Caches, builds, environments and files of keys."""

SECRETS = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{200}|\bpypi-AgEI[\w-]{50}|\bghp_[A-Za-z0-9]{36}\b"
    rb"|\bsk-ant-api\d\d-[\w-]{80}|\bsk-proj-[\w-]{80}|\bAIza[\w-]{35}\b|\bAKIA[A-Z0-9]{16}\b(?<!EXAMPLE)"
)
MACHINE = re.compile(rb"(?<![\w.~/])/(?:root|home/[a-z]+|Users/[a-z]+)/")
"""A path of the machine on which something was written."""

MAX_BYTES = {"wheel": 3_000_000, "sdist": 12_000_000}

_TARGET = re.compile(
    r"\]\(\s*<?([^)\s>]*)|^ {0,3}\[[^\]]+\]:\s*(\S+)|<[^>]+?(?:href|src)=[\"']?([^\"'\s>]*)", re.MULTILINE
)
_FENCED = re.compile(r"^(```+).*?^\1$", re.DOTALL | re.MULTILINE)


def check_wheel(path: Path) -> list[str]:
    """The problems of a wheel; none: it holds the packages as they are in the checkout, and nothing else."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    problems = [*_check_files(files), *_check_size("wheel", path)]
    shipped = {name for name in files if ".dist-info/" not in name}
    expected = {name for package in PACKAGES for name in _package_files(package)}
    problems += [f"{name} is missing" for name in sorted({*expected, *NEEDED} - shipped)]
    problems += [f"{name} does not belong in the wheel" for name in sorted(shipped - expected)]
    distribution = {PurePosixPath(name).name for name in files if ".dist-info/" in name}
    if distribution != {"METADATA", "WHEEL", "entry_points.txt", "LICENSE", "RECORD"}:
        problems.append(f"dist-info holds {sorted(distribution)}")
    return problems


def check_sdist(path: Path) -> list[str]:
    """The problems of a source distribution; none: a wheel, the tests and the documentation can be built from it."""
    with tarfile.open(path) as archive:
        members = [(member, archive.extractfile(member)) for member in archive.getmembers()]
        files = {member.name.partition("/")[2]: content.read() for member, content in members if content}
    problems = [*_check_files(files), *_check_size("sdist", path)]
    problems += [f"{member.name} is a link" for member, _ in members if member.issym() or member.islnk()]
    tops = {name.partition("/")[0] for name in files}
    problems += [f"{name} does not belong in the sdist" for name in sorted(tops - SOURCES)]
    problems += [f"{name} is missing" for name in sorted(SOURCES - tops)]
    expected = {name for package in PACKAGES for name in _package_files(package)}
    problems += [f"{name} is missing" for name in sorted(expected - set(files))]
    return problems


def check_metadata(path: Path) -> list[str]:
    """The problems of what the package index reads from a wheel: fields, and the text that it shows."""
    metadata = read_metadata(path)
    needed = ("Name", "Version", "Summary", "License-Expression", "Requires-Python", "Description-Content-Type")
    problems = [f"the metadata has no {name}" for name in needed if not metadata[name]]
    if (kind := str(metadata["Description-Content-Type"])) != "text/markdown":
        problems.append(f"the text's type is {kind}, not text/markdown")
    return problems + [f"a link of the index's page leads nowhere: {target}" for target in dead_links(readme(metadata))]


def read_metadata(path: Path) -> email.message.Message:
    """The metadata of a wheel."""
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.parser.BytesParser().parsebytes(archive.read(name))


def readme(metadata: email.message.Message) -> str:
    """The text that the package index shows."""
    content = metadata.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content.decode()


def dead_links(text: str) -> list[str]:
    """The links and pictures of Markdown that lead nowhere from another site: relative ones, and `#headings`.

    The package index gives headings no anchors.
    """
    prose = _FENCED.sub("", text)
    targets = [next(filter(None, match.groups()), "") for match in _TARGET.finditer(prose)]
    return [target for target in targets if not re.match(r"(https?|mailto):", target)]


def code_blocks(text: str) -> list[str]:
    """The fenced blocks of Markdown."""
    return [match[0] for match in _FENCED.finditer(text)]


def _package_files(package: str) -> Iterator[str]:
    for path in (ROOT / package).rglob("*"):
        if path.suffix in KINDS and path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(ROOT).as_posix()


def _check_files(files: Mapping[str, bytes]) -> Iterator[str]:
    for name, content in files.items():
        if LITTER.search(name):
            yield f"{name} does not belong in a distribution"
        if SECRETS.search(content):
            yield f"{name} looks as if it held a secret"
        if match := MACHINE.search(content):
            yield f"{name} names a path of a machine: {match[0].decode()}"


def _check_size(kind: str, path: Path) -> Iterator[str]:
    if path.stat().st_size > MAX_BYTES[kind]:
        yield f"{path.name} has {path.stat().st_size:,} bytes; expected at most {MAX_BYTES[kind]:,}"
