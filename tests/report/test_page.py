"""The page is one well-formed file that needs nothing else, and what users have named cannot get out of its place."""

import base64
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.lib.pretty import pretty
from rich.console import Console

from multiroute_core import ConfigurationError, report
from multiroute_core.report import terminal
from multiroute_core.report.sections import MOST_ROWS, notes
from tests.examples import examples
from tests.report.conftest import failure, hit, record

ROOT = Path(__file__).parents[2]
EVIL = (
    "<script>alert(1)</script>",
    "</style></title><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "]]><!-- &amp; &#60;",
    "\x1b[31mred\x1b]0;title\x07",
    "[bold red]markup[/]",
    "[/nothing]",
    "left\u202etfel",
    "\ud800 half \x00 nul \ufffe",
    "https://example.com/a.js",
    "javascript:alert(1)",
    "שירות לקוחות 24",
    "x" * 10_000,
    "",
)
EMPTY = []
ALL_UNKNOWN = [record(n, cost=None) for n in range(40)]
ALL_FAILED = [failure(n, ("timeout", "server_error")[n % 2]) for n in range(40)]
NAMED = [
    record(n * 60, tenant=evil, model=evil, route=evil, provider=evil, task=evil, labels=(evil,), cost=1.0 + n)
    for n, evil in enumerate(EVIL)
] + [failure(n * 60, evil, route=evil) for n, evil in enumerate(EVIL)]
MIXED = [
    *(record(n * 3600, tenant=f"t{n % 30}", labels=("a", "b"), cost=0.1) for n in range(60)),
    *(hit(n * 3600, saved_cost=0.1) for n in range(60, 80)),
    *(failure(n * 3600, model="gemini-2.5-pro", route="google:gemini-2.5-pro") for n in range(80, 90)),
    record(90, cost=None, model="own"),
    record(91, outcome="broken_stream", estimated=True, cost=0.01),
]
CASES = {
    "empty": EMPTY,
    "one": [record()],
    "all unknown": ALL_UNKNOWN,
    "all failed": ALL_FAILED,
    "named": NAMED,
    "mixed": MIXED,
}
EVERY = pytest.mark.parametrize("records", CASES.values(), ids=CASES.keys())


def parsed(made, tmp_path):
    path = made.save(tmp_path / "report.html")
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition("\n")
    assert head == "<!DOCTYPE html>"
    return ElementTree.fromstring(rest)


@EVERY
class TestEveryPage:
    def test_is_well_formed_and_holds_only_what_we_put_in(self, records, tmp_path):
        page = parsed(report.of(records), tmp_path)
        tags = {each.tag for each in page.iter()}
        assert tags <= set(
            "html head meta title style body main header footer section h1 h2 p dl div dt dd ul li i b bdi wbr svg g rect "
            "span table thead tbody tr th td".split()
        )
        attributes = {name for each in page.iter() for name in each.attrib}
        assert attributes <= set(
            "lang charset name content http-equiv class style viewBox preserveAspectRatio role aria-label x y width height".split()
        )

    def test_needs_nothing_else(self, records, tmp_path):
        page = parsed(report.of(records), tmp_path)
        for each in page.iter():
            assert not {"src", "href", "srcset", "action"} & set(each.attrib)
        (style,) = page.iter("style")
        css = style.text or ""
        assert css.strip()
        assert "url(" not in css
        assert "@import" not in css
        (policy,) = (m.get("content") for m in page.iter("meta") if m.get("http-equiv") == "Content-Security-Policy")
        assert policy.startswith("default-src 'none'")

    def test_bars_stay_within_their_charts(self, records, tmp_path):
        for svg in parsed(report.of(records), tmp_path).iter("svg"):
            width = float(svg.get("viewBox").split()[2])
            for rect in svg.iter("rect"):
                x, y, wide, tall = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
                assert 0 <= x <= x + wide <= width
                assert -0.01 <= y <= y + tall <= 100.01

    def test_a_notebook_shows_every_name_and_figure_of_the_page_without_a_style(self, records, tmp_path):
        made = report.of(records)
        page = parsed(made, tmp_path)
        cell = ElementTree.fromstring(made._repr_html_())
        assert not {each.tag for each in cell.iter()} & {"style", "script", "svg"}
        words = "".join(cell.itertext())
        for kind in ("dd", "td"):
            for each in page.iter(kind):
                assert "".join(each.itertext()) in words
        pictures = list(cell.iter("img"))
        assert len(pictures) == len([*page.iter("svg")])
        for picture in pictures:
            assert picture.get("alt")
            data = base64.b64decode(picture.get("src").removeprefix("data:image/svg+xml;base64,"))
            svg = ElementTree.fromstring(data)
            assert svg.get("width") == "760"
            for rect in svg.iter("{http://www.w3.org/2000/svg}rect"):
                x, y, wide, tall = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
                assert 0 <= x and x + wide <= 760.5 and 0 <= y and y + tall <= 190

    def test_prints_with_rich_and_without(self, records):
        made = report.of(records)
        console = Console(width=100, record=True, file=open("/dev/null", "w"))
        console.print(made)
        console.file.close()
        for text in (str(made), terminal.plain(made), console.export_text()):
            assert "\x1b" not in text
            assert "\u202e" not in text
            text.encode()
            if records:
                assert "Spent" in text
            else:
                assert "no records of this period" in text


def shown(page):
    return " ".join(
        "".join(each.itertext()) for each in page.iter() if each.tag in ("dd", "dt", "td", "li", "h1", "h2")
    )


def test_names_are_shown_as_they_are(tmp_path):
    page = parsed(report.of(NAMED[:10]), tmp_path)
    text = shown(page)
    for name in (*EVIL[:4], "[bold red]markup[/]", "[/nothing]"):
        assert name in text
    assert "left�tfel" in text
    console = Console(width=200, record=True, file=open("/dev/null", "w"))
    console.print(report.of(NAMED[:10]))
    console.file.close()
    assert "[bold red]markup[/]" in console.export_text()


def test_what_is_not_known_is_said():
    made = report.of(MIXED)
    said = " ".join(notes(made))
    assert "1 attempt has an unknown cost" in said
    assert "Models: own." in said
    assert "1 attempt was interrupted" in said
    assert "$0.01" in said
    assert notes(report.of([record()])) == ()
    assert "unknown" in str(report.of(ALL_UNKNOWN))
    assert "$0 " not in re.sub(r"Saved.*", "", str(report.of(ALL_UNKNOWN)))


def test_many_groups_come_together_and_nothing_is_lost(tmp_path):
    made = report.of([record(n, tenant=f"t{n}", cost=1.0) for n in range(MOST_ROWS + 20)])
    assert "20 others" in str(made)
    assert "$20.00" in str(made)
    assert "20 others" in shown(parsed(made, tmp_path))


@pytest.mark.slow
@settings(deadline=None, max_examples=examples(25))
@given(st.lists(st.text(min_size=1), min_size=1, max_size=8))
def test_any_name_makes_a_well_formed_page(names):
    made = report.of([record(n, tenant=name, model=name, labels=(name,)) for n, name in enumerate(names)])
    ElementTree.fromstring(f"<div>{made._repr_html_()}</div>")
    str(made).encode()


def test_a_page_of_many_days_is_small(tmp_path):
    records = [record(n * 86400, model=f"m{n % 40}", tenant=f"t{n % 300}", cost=1.0) for n in range(1000)]
    assert report.of(records).save(tmp_path / "a.html").stat().st_size < 150_000


WITHOUT = """
import sys
sys.modules["rich"] = sys.modules["rich.console"] = sys.modules["rich.table"] = sys.modules["rich.text"] = None
from multiroute_core import ConfigurationError, report
from tests.report.conftest import record
made = report.of([record()])
print(made)
made.save(sys.argv[1])
try:
    made.__rich__()
except ConfigurationError as error:
    print(error)
"""


@pytest.mark.slow
def test_without_rich_it_prints_plainly_and_says_what_to_install(tmp_path):
    run = [sys.executable, "-c", WITHOUT, str(tmp_path / "a.html")]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert re.search(r"Spent +\$0.00200", done.stdout)
    assert "pip install 'multiroute-llm[report]'" in done.stdout
    assert (tmp_path / "a.html").stat().st_size > 5000


@pytest.mark.slow
def test_nothing_heavy_is_loaded_by_a_report_that_is_saved(tmp_path):
    code = (
        "import sys; from multiroute_core import report; from tests.report.conftest import record;"
        f"report.of([record()]).save({str(tmp_path / 'a.html')!r}); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"rich", "matplotlib", "numpy", "redis", "openai"} & set(done.stdout.split())


def test_ipython_in_a_terminal_shows_the_tables():
    made = report.of([record()])
    assert pretty(made) == str(made)


def test_where_the_page_cannot_be_written_it_says_so(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        report.of([]).save(tmp_path / "no" / "where.html")


def test_rich_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.live", None)
    with pytest.raises(ConfigurationError, match=r"multiroute-llm\[report\]"):
        terminal.module("live")


@pytest.mark.slow
def test_in_a_kernel_its_text_is_text_and_it_is_shown_once(tmp_path):
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(
        kernel_name="python3", env={**os.environ, "IPYTHONDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    )
    outputs = []
    try:
        code = (
            "from multiroute_core import report\nfrom tests.report.conftest import record\nmade = report.of([record()])"
        )
        client.execute_interactive(f"{code}\nassert len(str(made)) > 100\nmade", timeout=60, output_hook=outputs.append)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    shown = [
        message for message in outputs if message["msg_type"] in ("display_data", "execute_result", "stream", "error")
    ]
    assert [message["msg_type"] for message in shown] == ["execute_result"], shown
    assert "Spent" in shown[0]["content"]["data"]["text/plain"]
