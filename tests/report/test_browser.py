"""The page in a real browser: it fits screens of every width, in light and dark, and runs nothing."""

import json
import re
import shutil
import subprocess

import pytest
from PIL import Image

from multiroute_core import report
from tests.report.test_page import CASES, MIXED

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDTHS = (320, 390, 768, 1200)
DARK = "--blink-settings=preferredColorScheme=0"
SECONDS = 120

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"),
]

PROBE = """<!DOCTYPE html><html><body>%s<script>
window.hacked = 0;
window.alert = () => { window.hacked += 1; };
addEventListener("load", () => {
  const found = [...document.querySelectorAll("iframe")].map((frame) => {
    const page = frame.contentDocument, seen = frame.contentWindow;
    seen.alert = window.alert;
    for (const each of page.querySelectorAll("*")) each.dispatchEvent(new Event("mouseover", {bubbles: true}));
    const boxes = [...page.querySelectorAll("section, .tiles > div, .notes, header, footer")].map((each) => each.getBoundingClientRect());
    return {
      case: frame.title, width: seen.innerWidth, wide: page.documentElement.scrollWidth,
      outside: boxes.filter((box) => box.left < 0 || box.right > seen.innerWidth + 0.5).length,
      clipped: [...page.querySelectorAll(".scroll")].filter((each) => each.scrollWidth > each.clientWidth + 1).length,
      drawn: [...page.querySelectorAll("rect")].filter((each) => each.getBoundingClientRect().height > 0.4).length,
      rects: page.querySelectorAll("rect").length, scripts: page.scripts.length, hacked: window.hacked,
    };
  });
  document.body.dataset.found = JSON.stringify(found);
});
</script></body></html>"""


def chromium(tmp_path, *options):
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"]
    command += [f"--user-data-dir={tmp_path}/profile", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True).stdout


def test_it_fits_and_runs_nothing(tmp_path):
    frames = ""
    for number, (case, records) in enumerate(CASES.items()):
        report.of(records).save(tmp_path / f"{number}.html")
        for width in WIDTHS:
            frames += (
                f'<iframe title="{case}" src="{number}.html" style="width:{width}px;height:900px;border:0"></iframe>'
            )
    (tmp_path / "probe.html").write_text(PROBE % frames)
    options = ("--allow-file-access-from-files", "--virtual-time-budget=20000", "--window-size=1300,900")
    dom = chromium(tmp_path, *options, "--dump-dom", (tmp_path / "probe.html").as_uri())
    found = json.loads(re.search(r'data-found="([^"]*)"', dom)[1].replace("&quot;", '"'))
    assert len(found) == len(CASES) * len(WIDTHS)
    for each in found:
        assert each["wide"] <= each["width"], each
        assert (each["outside"], each["scripts"], each["hacked"]) == (0, 0, 0), each
        assert each["drawn"] >= 0.9 * each["rects"], each
        if each["width"] >= 390 and each["case"] != "named":
            assert each["clipped"] == 0, each
    assert sum(each["rects"] for each in found) > 100


@pytest.mark.parametrize(("flag", "dark"), [("--blink-settings=preferredColorScheme=1", False), (DARK, True)])
def test_it_is_readable_in_light_and_dark(tmp_path, flag, dark):
    page = report.of(MIXED).save(tmp_path / "page.html")
    shot = tmp_path / "shot.png"
    chromium(tmp_path, flag, "--window-size=900,700", f"--screenshot={shot}", page.as_uri())
    with Image.open(shot) as image:
        colours = image.convert("RGB").getcolors(2**20)
    colours = [(count, colour) for count, colour in colours or () if isinstance(colour, tuple)]
    light = [sum(colour) / 3 for _, colour in colours]
    weights = [count for count, _ in colours]
    mean = sum(a * b for a, b in zip(light, weights, strict=True)) / sum(weights)
    assert (mean < 80) if dark else (mean > 180)
    assert max(light) - min(light) > 200  # the words stand out
    assert any(b > r + 60 and b > 150 for _, (r, g, b) in colours)  # the bars are drawn
