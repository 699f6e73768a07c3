"""Figures of the documentation stand in the outputs of benchmarks, which `scripts/figures` writes.

A comment before a paragraph, a list or a table names the outputs that its numbers come from:

    <!-- figures: served served_streams -->

`<!-- figures: none -->` says that they are settings, prices or facts of others, and that nothing was measured.
"""

import re

import pytest

from tests.documents import ROOT, pages

OUTPUTS = ROOT / "benchmarks" / "outputs"
NUMBER = re.compile(r"(?<![\w.,-])\d[\d,]*(?:\.\d+)?")
MARK = re.compile(r"^<!-- figures: (?P<outputs>[\w ]+) -->\n\n?(?P<block>(?:.+\n)+)", re.MULTILINE)
WITHOUT = re.compile(r"`[^`]*`|\]\([^)]*\)|<!--.*?-->|\d{4}-\d\d-\d\d|\d+\.\d+\.\d+", re.DOTALL)
"""What is no figure: code, addresses, comments, dates and versions."""
UNIT = re.compile(r"\d ?(?:µs|ms|[KMG]iB|kB|MB|%|×)(?![\w/])")
FENCED = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)


def numbers(text):
    return {number.replace(",", "").rstrip(".") for number in NUMBER.findall(text)}


def marked():
    for page in [*pages(), ROOT / "benchmarks" / "README.md"]:
        for match in MARK.finditer(page.read_text(encoding="utf-8")):
            line = page.read_text(encoding="utf-8")[: match.start()].count("\n") + 1
            yield pytest.param(match, id=f"{page.relative_to(ROOT)}:{line}")


@pytest.mark.parametrize("page", [*pages(), ROOT / "benchmarks" / "README.md"], ids=lambda page: page.name)
def test_figures_with_a_unit_are_marked(page):
    blocks = re.split(r"\n\n+", FENCED.sub("", page.read_text(encoding="utf-8")))
    for number, block in enumerate(blocks):
        is_marked = (
            "<!-- figures:" in block
            or (number > 0 and blocks[number - 1].endswith("-->"))
            and ("<!-- figures:" in blocks[number - 1].splitlines()[-1])
        )
        assert is_marked or not UNIT.search(WITHOUT.sub(" ", block)), (
            f"put `<!-- figures: OUTPUT -->` before this block (`none` if nothing was measured):\n{block}"
        )


@pytest.mark.parametrize("match", list(marked()))
def test_the_figures_of_a_page_stand_in_the_outputs(match):
    measured = set()
    if match["outputs"] == "none":
        return
    for name in match["outputs"].split():
        measured |= numbers((OUTPUTS / f"{name}.txt").read_text(encoding="utf-8"))
    missing = numbers(WITHOUT.sub(" ", match["block"])) - measured
    assert not missing, (
        f"{sorted(missing)}: run `scripts/figures {match['outputs']}`, and put its figures into the page"
    )


def test_an_output_names_its_command():
    for path in OUTPUTS.glob("*.txt"):
        assert path.read_text(encoding="utf-8").startswith("$ python -m benchmarks."), path
        assert path.stem in (ROOT / "scripts" / "figures").read_text(), path
