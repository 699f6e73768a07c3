"""Every object that shows itself: safe and legible text, well-formed HTML that needs no style, one description."""

from __future__ import annotations

import re
import time
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.formatters import DisplayFormatter
from IPython.lib.pretty import pretty

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import Attempt, MemoryCache, Record, Response, Route, Router, Text, Usage, report
from multiroute_core.display import bars, markup, plain
from multiroute_core.display.blocks import Bar, Mark, Paragraph, Table
from multiroute_core.display.displayable import Displayable
from multiroute_core.display.text import display_width
from multiroute_core.ledger.aggregate import grouped
from multiroute_core.ledger.totals import Totals
from tests.display.examples import FORMULA, HOSTILE, examples
from tests.hostile.test_terminal import harmful

SHOWN = examples()
EVERY = pytest.mark.parametrize("shown", SHOWN.values(), ids=SHOWN.keys())
KEPT_TAGS = set("div p b table thead tbody tr th td span tt bdi br wbr img".split())
"""JupyterLab keeps these in untrusted notebooks, GitHub as well."""


def elements(html: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(html).iter())


@EVERY
class TestEvery:
    def test_html_is_well_formed_and_needs_no_style_element(self, shown: Any) -> None:
        assert {element.tag for element in elements(shown._repr_html_())} <= KEPT_TAGS

    def test_html_has_no_formula_with_classes_and_without(self, shown: Any) -> None:
        root, *inner = elements(shown._repr_html_())
        assert {"tex2jax_ignore", "mathjax_ignore"} <= set(root.attrib["class"].split())
        for element in inner:
            for text in (element.text or "", element.tail or ""):
                assert text == "$" or "$" not in text  # alone in its element, a dollar sign opens nothing
                assert text == "\\" or "\\" not in text

    def test_text_drives_no_terminal(self, shown: Any) -> None:
        assert harmful(str(shown).replace("\n", "")) == set()
        assert harmful(repr(shown)) == set() or isinstance(shown, tuple)

    def test_the_bundle_holds_text_and_html(self, shown: Any) -> None:
        bundle, _ = DisplayFormatter().format(shown)
        assert bundle["text/html"] == shown._repr_html_()
        assert bundle["text/plain"] == str(shown) == pretty(shown)

    def test_in_a_list_it_is_its_repr(self, shown: Any) -> None:
        assert pretty([shown], max_width=10_000) == f"[{shown!r}]"


def test_an_unknown_cost_is_no_zero() -> None:
    attempt = Attempt("a", "openai", "gpt", "success", 1.0)
    response = Response((Text("Hi"),), "stop", Usage(5, 5), "gpt", "openai", "a", attempts=(attempt,))
    record = Record(time.time(), "r", "a", "openai", "gpt", "success", 1.0, input_tokens=5, output_tokens=5)
    totals = Totals()
    totals.record_answer("gpt", Usage(5, 5), response.summary())
    costs = "\n".join(map(str, (response, record, grouped([record], "model"), totals))).replace("0 hits, $0 saved", "")
    assert costs.count("unknown") >= 4
    assert "$" not in costs
    of_records = report.of([record])
    assert "$" not in f"{of_records!r}"
    assert "unknown" in f"{of_records!r}"


def test_a_repr_is_one_short_line() -> None:
    response = SHOWN["response"]
    assert repr(response).startswith("Response('It costs $5, not $6. ")
    assert len(repr(response)) < 300
    assert "\n" not in repr(response)
    assert f"attempts={len(response.attempts)}" in repr(response)
    assert "cost=None" in repr(Response((), None, None, "gpt", "openai", "a"))


@pytest.mark.parametrize("model", [ChatMultiRoute, MultiRoute])
def test_models_of_frameworks_show_their_routes_and_no_keys(model: type) -> None:
    routes = [
        Route("openai:gpt-5-mini", api_key="sk-secret-secret-secret", rpm=500),
        Route("anthropic:claude-sonnet-4-5", api_key="sk-ant-secret", backup=True, base_url="https://u:hush@a.example"),
    ]
    with Router(routes, state="redis://:sesame@127.0.0.1:1/0", cache=MemoryCache()) as router:
        llm = model(router=router, temperature=0.5)
        everything = f"{llm!r} {llm} {pretty(llm)} {llm._repr_html_()} {router} {router._repr_html_()}"
    for secret in ("secret", "hush", "sesame"):
        assert secret not in everything
    assert (
        repr(llm) == f"{model.__name__}(routes=['openai:gpt-5-mini', 'anthropic:claude-sonnet-4-5'], temperature=0.5)"
    )
    for shown in ("openai:gpt-5-mini", "backup", "500 rpm", "0.5", "redis://…@127.0.0.1:1/0"):
        assert shown in pretty(llm)


def test_a_timeline_shows_when_attempts_ran() -> None:
    attempts = (
        Attempt("slow", "openai", "gpt", "cancelled", 1.0, started_after=0.0),
        Attempt("hedge", "openai", "gpt", "success", 0.5, first_token_seconds=0.25, started_after=0.5),
    )
    lines = str(Response((), "stop", None, "gpt", "openai", "hedge", attempts=attempts)).splitlines()
    assert [line.partition("  ")[0] for line in lines[-2:]] == ["slow", "hedge"]
    assert re.findall("[░█]+", lines[-2]) == ["█" * 12]
    assert lines[-1][lines[-2].index("█") :][:12] == " " * 6 + "░░░███"


def test_the_engine_says_when_an_attempt_started() -> None:
    first, second = SHOWN["response"].attempts
    assert 0 <= first.started_after <= first.started_after + first.seconds <= second.started_after


WORDS = st.text(max_size=20)
CELLS = st.one_of(
    WORDS,
    st.builds(Bar, st.floats(0, 1), st.floats(0, 1)),
    st.builds(Mark, st.sampled_from("✓✗●"), WORDS, st.just("good")),
)
TABLES = st.integers(1, 5).flatmap(
    lambda width: st.builds(
        Table,
        st.lists(WORDS, min_size=width, max_size=width),
        st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=5),
        st.sets(st.integers(0, width - 1)),
        title=WORDS,
    )
)


@given(TABLES, WORDS)
def test_any_text_makes_a_safe_fragment(table: Table, words: str) -> None:
    page = markup.render([Paragraph(words), table])
    assert {element.tag for element in elements(page)} <= KEPT_TAGS
    assert harmful(plain.render([Paragraph(words), table]).replace("\n", "")) == set()


@given(TABLES)
def test_columns_are_aligned_whatever_is_in_them(table: Table) -> None:
    rows = [[*row, "|"] for row in table.rows]  # a last column that shows where it begins
    text = plain.table([*table.titles, "|"], rows, table.text_columns)
    lines = text.split("\n")
    assert len(lines) == len(rows) + 1
    assert len({display_width(line.rpartition("|")[0]) for line in lines}) == 1


@given(st.floats(0, 1), st.floats(0, 1), st.none() | st.floats(0, 1), st.integers(1, 40))
def test_a_bar_has_its_width_and_a_small_one_is_seen(begin: float, end: float, lead: float | None, width: int) -> None:
    begin, end = sorted((begin, end))
    before, body, after = bars.draw(Bar(begin, end, lead=lead), width)
    assert len(before + body + after) == width
    assert bool(body.strip()) == (end > 0)


def test_wide_characters_take_two_columns() -> None:
    assert [display_width(text) for text in ("abc", "日本", "e\u0301", "👍", "שלום")] == [3, 4, 1, 2, 4]


class Shown(Displayable):
    def _display(self) -> list[Paragraph]:
        return [Paragraph(FORMULA)]


def test_dollar_signs_and_backslashes_stand_alone() -> None:
    page = Shown()._repr_html_()
    assert "It costs <span>$</span>5, not <span>$</span>6. <span>\\</span>(x<span>\\</span>)" in page
    assert str(Shown()) == FORMULA
    assert HOSTILE not in page
