"""HTML rendering of a display for notebooks, legible wherever the page removes what it does not trust.

JupyterLab sanitizes the output of untrusted notebooks: it removes `<style>`, `<script>` and SVG elements, and keeps
tables, images with data in their address, classes and most inline styles. GitHub removes classes and inline styles as
well. So the meaning is in tables, characters and the `align` attribute, and inline styles only improve the looks.
Colours are of medium lightness, which is legible on light and dark pages; text inherits the page's colour.

Both set what stands between two dollar signs as a formula (MathJax). The classes on the root forbid that; where they
are removed, an element of its own around each `$` and each backslash does, since MathJax does not look for a formula
across elements (https://docs.mathjax.org/en/latest/options/document.html, read 2026-11-29).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from html import escape

from multiroute_core.display import bars
from multiroute_core.display.blocks import Bar, Block, Cell, Mark, Paragraph, Picture, Table, Tone
from multiroute_core.display.text import is_right_to_left, printable

COLOURS: dict[Tone, str] = {
    "plain": "inherit",
    "accent": "#3b82f6",
    "good": "#2e9e5b",
    "soft": "#8a94a3",
    "warning": "#cf8a14",
    "bad": "#e5484d",
}

_FORMULA = re.compile(r"[$\\]")
_JOINT = re.compile(r"(?<=[:/_.@-])(?=[^\W\d]{3})")
"""Where a long name may break."""

_RUN = re.compile(r"\S{24}(?=\S{4})")
"""Where a long run without spaces may break, also where styles are removed."""

_TABLE = "margin:2px 0 10px 0;border-collapse:collapse;table-layout:auto;max-width:100%"
_WORD = "text-align:left;vertical-align:top;padding:3px 10px 3px 4px;overflow-wrap:break-word"
_TITLE = "text-align:right;vertical-align:bottom;padding:3px 10px 3px 4px"
_NUMBER = "text-align:right;vertical-align:top;padding:3px 10px 3px 4px;white-space:nowrap"
_BAR = (
    "font-family:monospace;font-size:11px;line-height:1;white-space:pre;background-color:rgba(128,128,128,0.16);color:"
)
_NO_BREAK_SPACE = "\u00a0"


def render(blocks: Iterable[Block]) -> str:
    """Render blocks as an HTML fragment, which is also well-formed XML."""
    body = "".join(map(_render_block, blocks))
    return (
        '<div class="multiroute tex2jax_ignore mathjax_ignore" style="text-align:left;overflow-x:auto;'
        f'line-height:1.45">{body}</div>'
    )


def text(value: str) -> str:
    """Escape a line for HTML; a pair of dollar signs in it is never a formula.

    Example:
        >>> text("<b> costs $5")
        '&lt;b&gt; costs <span>$</span>5'
    """
    pieces = _RUN.sub("\\g<0>\0", printable(value)).split("\0")  # a printable text has no NUL
    return "<wbr/>".join(map(_escape, pieces))


def name(value: str) -> str:
    """Escape a name, which may break at its joints and keeps its writing direction to itself."""
    pieces = "<wbr/>".join(map(text, _JOINT.split(printable(value))))
    return f"<bdi>{pieces}</bdi>" if is_right_to_left(value) else pieces


def _escape(piece: str) -> str:
    return _FORMULA.sub(lambda sign: f"<span>{sign[0]}</span>", escape(piece))


def _render_block(block: Block) -> str:
    if isinstance(block, Paragraph):
        return _render_paragraph(block)
    if isinstance(block, Picture):
        return _render_picture(block)
    return _render_table(block)


def _render_paragraph(block: Paragraph) -> str:
    lines = "<br/>".join(map(_render_line, block.text.split("\n")))
    if block.strong:
        return f'<p style="margin:6px 0 2px 0"><b>{lines}</b></p>'
    return f'<p style="margin:2px 0 8px 0;overflow-wrap:break-word{";opacity:0.7" if block.soft else ""}">{lines}</p>'


def _render_line(line: str) -> str:
    """Render a line; the spaces before it stay, without a style."""
    rest = line.lstrip(" ")
    return _NO_BREAK_SPACE * (len(line) - len(rest)) + text(rest)


def _render_picture(block: Picture) -> str:
    data = base64.b64encode(block.data).decode()
    alternative = escape(printable(block.text))
    return (
        f'{_render_title(block.title)}<p style="margin:2px 0 10px 0"><img src="data:{escape(block.mime_type)};'
        f'base64,{data}" alt="{alternative}" style="max-width:100%;height:auto"/></p>'
    )


def _render_title(title: str) -> str:
    return f'<p style="margin:6px 0 2px 0"><b>{text(title)}</b></p>' if title else ""


def _render_table(block: Table) -> str:
    if not block.rows and block.empty:
        return _render_title(block.title) + _render_paragraph(Paragraph(block.empty))
    places = block.columns()

    def row(tag: str, cells: Iterable[str], style: str = "") -> str:
        numbers = _NUMBER if tag == "td" else _TITLE  # a narrow page wraps titles rather than hide columns
        inner = "".join(
            f'<{tag} align="{"left" if is_word else "right"}" style="{_WORD if is_word else numbers}">{cell}</{tag}>'
            for cell, is_word in zip(cells, (place in block.text_columns for place in places), strict=True)
        )
        return f"<tr{style}>{inner}</tr>"

    styles = [' style="opacity:0.6"' if is_faded else "" for is_faded in block.faded] or [""] * len(block.rows)
    body = "".join(
        row("td", (_render_cell(cells[place], place in block.text_columns) for place in places), style)
        for cells, style in zip(block.rows, styles, strict=True)
    )
    titles = [text(block.titles[place]) for place in places]
    head = f"<thead>{row('th', titles)}</thead>" if any(titles) else ""
    return f'{_render_title(block.title)}<table style="{_TABLE}">{head}<tbody>{body}</tbody></table>'


def _render_cell(cell: Cell, is_word: bool) -> str:  # noqa: FBT001
    if isinstance(cell, Bar):
        return "".join(
            (
                f'<tt style="{_BAR}{COLOURS[cell.tone]}">',
                "".join(bars.draw(cell)).replace(" ", _NO_BREAK_SPACE),
                "</tt>",
            )
        )
    if isinstance(cell, Mark):
        return f'<span style="color:{COLOURS[cell.tone]}">{text(cell.sign)}</span>{_NO_BREAK_SPACE}{text(cell.text)}'
    return name(cell) if is_word else text(cell)
