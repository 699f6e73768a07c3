"""Comments of an event stream are hidden, wherever the network cuts it."""

import re

from hypothesis import given
from hypothesis import strategies as st

from multiroute_core.providers.google.comments import CommentFilter

LINES = st.lists(st.sampled_from([b": ping", b":", b"data: {}", b"data: :", b"", b"x: y"]), max_size=12)


@given(lines=LINES, end=st.sampled_from([b"\n", b"\r\n"]), cuts=st.lists(st.integers(0, 100), max_size=12))
def test_cut_anywhere_it_is_the_stream_without_its_comments(lines, end, cuts):
    body = b"".join(line + end for line in lines)
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    filtered = CommentFilter()
    seen = b"".join(filtered.feed(body[a:b]) for a, b in zip(places, places[1:], strict=False))
    assert seen == b"".join((b"" if line.startswith(b":") else line) + end for line in lines)
    assert not re.search(rb"(?m)^:", seen)
