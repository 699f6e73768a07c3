"""Texts that mix prose with what an optimizer must not touch. Support for tests, no test."""

from hypothesis import strategies as st

PROTECTED = (
    "```python\ndef  add(a,   b):\n\n\n    return a  +  b\n```",
    "~~~\nany   thing  \n\n\n   here\n~~~",
    "````\n```\nnested   fence\n```\n````",
    "    indented =  1\n\n\n    more  = 2",
    '{"name":  "Ada",\n\n  "list": [1,   2,\n    3]\n}',
    '[\n  {"a":  1},\n\n\n  {"b":   2}\n]',
    "| name   | age |\n|--------|-----|\n| Ada    |  36 |",
    "name\tage\nAda\t36",
    "Name      Age   City\nAda        36   London\nGrace      85   New York",
    "name,age,city\nAda,36,London\nGrace,85,New York",
    "> quoted   words  \n> and   more",
    "name:   Ada\nroles:\n  - admin\n  - author",
    "2026-11-30 12:00:01  INFO   started   worker\n2026-11-30 12:00:02  WARN   slow",
    "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-  old   line\n+  new   line",
    'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\nKeyError:   1',
    "$ ls   -la\ntotal   8\ndrwxr-xr-x   2 root  root",
    "- one\n  - two\n    -  three",
    "$$\nx   =  y\n$$",
    "<pre>\nspaced   out\n\n\ntext   here\n</pre>",
    "<code_snippet>\nlet   x\n\n\nlet   y\n</code_snippet>",
    "\\begin{align}\nx   &= 1 \\\\\n\\end{align}",
    "SELECT  name,   age\nFROM    people\nWHERE   age  >  3;",
    "x = 1\ny   =   2",
    "INFO:   ready\nDEBUG:  waiting   for work",
    "“A quotation   of two\n\n\nparagraphs   here.”",
    "┌────┬────┐\n│ a  │ b  │\n└────┴────┘",
    "Subject:  Hello   there\nFrom:     ada@example.org",
)
"""Blocks, none of which may change by a byte."""

INLINE = (
    "`a   b`",
    "``a ` b   c``",
    "https://example.org/a?b=c",
    '"quoted   words"',
    "“quoted   words”",
    "«mots   cités»",
    '{"inline":   1}',
    "[1,   2]",
    '<a href="x"   class="y">',
    "[EMAIL_1]",
    "[PHONE_12]",
    "$x   + y_1$",
    "\\(x   y\\)",
    "[a link   text](https://example.org)",
)
"""Parts of a sentence, none of which may change."""

SENTENCES = (
    "The  router asks one   provider after another until one of them answers the request.",
    "A budget is counted per tenant,  and it resets at the beginning of each month in UTC.",
    "Nobody reads the terms of use,   although they are rather short in this particular case.",
    "Every attempt has a record with its tokens and its cost,  which the ledger keeps for a year.",
    "La réponse  arrive plus tard que prévu, mais elle arrive quand même à la fin de la journée.",
    "Die Antwort  kommt später als geplant,   aber sie kommt noch am selben Tag bei uns an.",
    "答えは  明日の朝に届くはずです。",
)

sentences = st.sampled_from(SENTENCES)
paragraphs = st.lists(sentences, min_size=1, max_size=5).map(" ".join)
mixed_sentences = st.tuples(sentences, st.sampled_from(INLINE), sentences).map(lambda parts: "  ".join(parts))
protected = st.sampled_from(PROTECTED)
gaps = st.sampled_from(("\n\n", "\n\n\n", "\n \n\n\n", "\n\n  \n"))


@st.composite
def documents(draw, *, least=0):
    """A text, and the protected blocks and parts in it, in order."""
    pieces = []
    spans = []
    for kind in draw(st.lists(st.sampled_from(("prose", "mixed", "block")), min_size=least, max_size=6)):
        if kind == "prose":
            pieces.append(draw(paragraphs))
        elif kind == "mixed":
            inline = draw(st.sampled_from(INLINE))
            pieces.append(f"{draw(sentences)}  {inline} {draw(sentences)}")
            spans.append(inline)
        else:
            block = draw(protected)
            pieces.append(block)
            spans.append(block)
        pieces.append(draw(gaps))
    return "".join(pieces), spans


wild = st.text(st.sampled_from("ab .\n\t\r\"'`{}[]<>|-#*:;,=$\\/1é漢\u2028\x0c"), max_size=80)
"""Texts of the characters that matter, in any order."""
