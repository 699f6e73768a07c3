"""What shows itself, in real JupyterLab: trusted and untrusted, light and dark, narrow and wide, and without any style."""

from __future__ import annotations

import importlib
import re
from typing import Any

import pytest

from tests.display import lab
from tests.display.examples import examples

WIDTHS = (700, 1400)
CONTROL = "<p>A formula: $x^2$</p>"

PROBE = """() => [...document.querySelectorAll(".jp-RenderedHTML")].map((output) => {
  const boxes = [...output.querySelectorAll(".shown > *, .multiroute > *")].map((each) => each.getBoundingClientRect());
  return {
    text: output.innerText, formulas: output.querySelectorAll("mjx-container").length,
    styles: output.querySelectorAll("style, script, svg").length,
    wide: output.scrollWidth - output.clientWidth, height: output.getBoundingClientRect().height,
    overlaps: boxes.filter((box, place) => place && box.top < boxes[place - 1].bottom - 1).length,
    pictures: [...output.querySelectorAll("img")].map((each) => each.naturalWidth),
    bars: [...output.querySelectorAll("tt")].map((each) => [each.getBoundingClientRect().height, getComputedStyle(each).color]),
    aligned: [...output.querySelectorAll("td[align=right]")].every((each) => getComputedStyle(each).textAlign.endsWith("right")),
  };
})"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(lab.CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"),
]


def stripped(html: str) -> str:
    """Return a fragment as GitHub leaves it: without classes and styles."""
    return re.sub(r' (?:class|style)="[^"]*"', "", html)


def test_every_object_is_legible_trusted_and_untrusted_in_light_and_dark_narrow_and_wide(tmp_path) -> None:
    for package in ("jupyterlab", "playwright"):
        pytest.importorskip(package, reason=f"{package} is not installed: uv pip install --group browser")
    shown = examples()
    bundles = {name: lab.bundle(each) for name, each in shown.items()}
    bare = {f"{name} without styles": {"text/html": stripped(each["text/html"])} for name, each in bundles.items()}
    content = lab.notebook({**bundles, **bare, "control": {"text/html": CONTROL}})
    views: dict[tuple[bool, str, int], list[dict[str, Any]]] = {}
    with lab.start_lab(tmp_path, content) as server:
        for trusted in (False, True):
            if trusted:
                server.trust()
            for theme in ("Light", "Dark"):
                for width in WIDTHS:
                    with server.page(theme, width) as page:
                        views[trusted, theme, width] = page.evaluate(PROBE)
    for where, outputs in views.items():
        *rest, control = outputs
        assert len(rest) == 2 * len(shown), where
        assert control["formulas"] == 1, "formulas are set at all"
        for name, output in zip([*bundles, *bare], rest, strict=True):
            place = (where, name, output["text"][:200])
            assert output["formulas"] == 0, place
            assert output["styles"] == 0, place
            assert output["overlaps"] == 0, place
            assert output["height"] > 20, place
            assert output["aligned"], place
            assert all(output["pictures"]), place
            assert all(height > 4 for height, _ in output["bars"]), place
            if name in bundles:
                assert output["wide"] <= 1, place
    for theme in ("Light", "Dark"):
        for width in WIDTHS:
            for trusted, untrusted in zip(views[True, theme, width], views[False, theme, width], strict=True):
                assert trusted["text"] == untrusted["text"]
                assert trusted["bars"] == untrusted["bars"]


def test_every_object_is_legible_on_a_page_without_any_style(tmp_path) -> None:
    pytest.importorskip("playwright", reason="playwright is not installed: uv pip install --group browser")
    playwright_api: Any = importlib.import_module("playwright.sync_api")

    fragments = [lab.bundle(each)["text/html"] for each in examples().values()]
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=lab.CHROMIUM, args=lab.FLAGS.split())
        for keep in (True, False):
            for width in WIDTHS:
                page = browser.new_page(viewport={"width": width, "height": 900})
                outputs = (fragment if keep else stripped(fragment) for fragment in fragments)
                page.set_content("".join(f'<div class="jp-RenderedHTML">{output}</div>' for output in outputs))
                for output in page.evaluate(PROBE):
                    assert output["overlaps"] == 0, output["text"][:200]
                    assert output["aligned"], output["text"][:200]
                    assert all(output["pictures"]), output["text"][:200]
                    if keep:
                        assert output["wide"] <= 1, output["text"][:200]
                page.close()
        browser.close()
