"""The rules on texts: what they protect, and what holds for any text."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from multiroute_core import Message
from multiroute_core.prompts import optimize
from multiroute_core.prompts.blocks import find_blocks
from multiroute_core.prompts.inline import find_spans
from tests.prompts.texts import INLINE, PROTECTED, documents, wild

any_text = st.one_of(wild, st.text(), documents().map(lambda document: document[0])).filter(str.strip)


def shorten(text, **settings):
    (message,) = optimize(text, **settings).messages
    return message.text


@settings(max_examples=60)
@given(any_text)
@example("a  \n---\nb  c d e f g  h")
@example('An open quote " here.\n\n\n\nAnd text  that follows it, with words.')
def test_it_is_idempotent_and_never_longer(text):
    once = optimize(text)
    again = optimize(once.messages)
    assert again.messages == once.messages
    assert again.saved == 0
    assert len(once.messages[0].text) <= len(text)
    assert 0 <= once.saved == sum(once.saved_by_rule.values())
    assert min(once.saved_by_rule.values()) >= 0


@settings(max_examples=40)
@given(any_text)
def test_only_white_space_is_lost_where_nothing_repeats(text):
    assert re.sub(r"\s", "", shorten(text, rules=["whitespace"])) == re.sub(r"\s", "", text)


@given(documents())
@settings(max_examples=60)
def test_protected_parts_stay_byte_for_byte(document):
    text, spans = document
    if not text.strip():
        return
    short = shorten(text)
    place = 0
    for span in spans:
        place = short.find(span, place)
        assert place >= 0, span
        place += len(span)


@pytest.mark.parametrize("block", PROTECTED)
def test_each_kind_of_block_is_protected(block):
    text = f"Some  prose before it is here.\n\n\n{block}\n\n\n\nSome  prose after it is here."
    assert block in shorten(text)
    assert shorten(text).startswith("Some prose before it is here.")
    assert shorten(text).endswith("Some prose after it is here.")


@pytest.mark.parametrize("part", INLINE)
def test_each_kind_of_part_is_protected(part):
    text = f"Some  prose before {part} and  some prose after it."
    assert part in shorten(text)
    if "\\" not in part:
        assert len(find_spans(text)) >= 1


def test_code_without_a_fence_and_tags_in_a_line_are_protected():
    for line in ("print(x)  # a comment", "<pre>a   b and c d e</pre>", "call_it(with, three,  words) and so on here"):
        assert shorten(line) == line


def test_time_is_linear_in_awkward_texts():
    """Each took minutes if its time were quadratic; no time is asserted, the suite's limit does that."""
    for text in (
        "x" * 200_000,
        "\n" * 200_000 + "x",
        "a b c" + " " * 200_000 + "d\ne f g  h",
        "`" * 200_000,
        "<pre>" * 20_000,
        "It is " + "hello" * 20_000 + "!" * 200_000 + "x",
        "It costs $5 and " + "word * " * 30_000 + "more",
        "Words " + "".join(f"<x{number}code>" for number in range(6_000)) + "</x1code>" * 6_000,
        "\n\n".join(f"<x{number}code>\n\n</x{number}code>" for number in range(6_000)),
        "好的。" * 20_000,
        "Alpha is here with us once more. Bravo is here with us once more. " * 6_000,
    ):
        assert len(shorten(text + "\n\nThe end.")) <= len(text) + 10


def test_what_is_open_protects_what_follows():
    for opening in ("```\nx", "<pre>\nx", '{\n"a": [', "<!-- x"):
        text = f"{opening}\n\n\n\nNot  prose at all, as it is within something.\n\n\n\nNor  is this one here."
        assert shorten(text) == text, opening


@settings(max_examples=40)
@given(any_text)
def test_blocks_cover_everything_but_blank_lines(text):
    place = 0
    for block in find_blocks(text):
        assert not text[place : block.start].strip(" \t\r\n")
        assert block.start < block.end
        place = block.end
    assert not text[place:].strip(" \t\r\n")


def test_white_space_of_prose():
    text = "One  word,   and another one here.   \nA second line of it.\n\n \n\n\nThe next paragraph.\n\n\n"
    assert shorten(text) == "One word, and another one here.\nA second line of it.\n\nThe next paragraph.\n\n"
    assert shorten("It ends with blanks  that may separate words. ") == "It ends with blanks that may separate words. "
    assert (
        shorten("One line  of this text.\r\n\r\n\r\n\r\nThe other one.")
        == "One line of this text.\r\n\r\nThe other one."
    )


def test_page_headers_and_numbers():
    pages = [
        f"The Annual Report\n\nThis is what page {number} says about the year, in the words of its authors {number * 7}."
        f"\n\nPage {number} of 5\n\n"
        for number in range(1, 6)
    ]
    short = shorten("".join(pages))
    assert short.count("The Annual Report") == 1
    assert short.count("of 5") == 1
    assert all(f"what page {number} says" in short for number in range(1, 6))
    assert "\n\n\n" not in short
    assert shorten("See below.\n\nPage 3 of 12\n\nThe end.") == "See below.\n\nPage 3 of 12\n\nThe end."
    assert shorten(f"One.\n\n{'=' * 70}\n\nTwo.") == "One.\n\n===\n\nTwo."
    assert shorten(f"{'-' * 70}\n\nTwo.") == f"{'-' * 70}\n\nTwo."
    assert shorten(f"Title\n{'=' * 70}\n\nTwo.") == f"Title\n{'=' * 70}\n\nTwo."


LONG = (
    "The circuit breaker of a route opens after five failures within a minute. While it is open the route is skipped. "
    "After a cooldown of some seconds a single probe is let through, and if it succeeds the route takes part again. "
    "Otherwise the cooldown doubles, up to a limit of five minutes."
)


def test_a_list_of_pages_is_no_boilerplate():
    for separator in ("\n", "\n\n", "\n\n* "):
        text = separator.join(["Print these pages of it:", "Page 1", "Page 4", "Page 9"])
        assert shorten(text) == text
    with_an_empty_page = "One is here.\n\nPage 1\n\nPage 2\n\nThree is here.\n\nPage 3"
    assert shorten(with_an_empty_page) == "One is here.\n\nPage 1\n\nThree is here.\n\n"


def test_repeated_passages_become_references():
    text = f"{LONG}\n\nA sentence between them.\n\n{LONG} And an end."
    short = shorten(text)
    assert short.count("circuit breaker of a route") == 1
    reference = "[Repeated from above: The circuit breaker of a … a limit of five minutes.]"
    assert short == f"{LONG}\n\nA sentence between them.\n\n{reference} And an end."
    assert shorten("Is it so? Yes. " * 3) == "Is it so? Yes. " * 3, "too short"
    assert shorten(text, rules=["whitespace"]) == text


def test_a_reference_that_fits_two_passages_is_not_made():
    other = LONG.replace("single probe", "second probe")
    assert other != LONG
    text = "\n\n".join([LONG, other.replace("within a minute", "within an hour"), LONG])
    short = shorten(text)
    assert short.count("five failures within a minute") == 2, "both passages begin with the same words"


def test_overlapping_chunks():
    sentences = [
        f"Sentence number {n} of the document says something about topic {n * n}, at length." for n in range(12)
    ]
    first, second = " ".join(sentences[:8]), " ".join(sentences[4:])
    short = shorten(f"Chunk 1:\n{first}\n\nChunk 2:\n{second}")
    assert all(short.count(sentence) == 1 for sentence in sentences[:4] + sentences[8:])
    assert len(short) < len(first) + len(second)


def test_a_cookie_notice_is_left_out_the_second_time():
    notice = "We use cookies to improve this site; accept all cookies or choose your preferences."
    notice = notice.replace(";", ",")
    text = f"A page about foxes.\n\n{notice}\n\nA page about badgers.\n\n{notice}\n\nThe end."
    assert shorten(text) == f"A page about foxes.\n\n{notice}\n\nA page about badgers.\n\nThe end."


def test_a_text_never_becomes_blank():
    assert [message.text for message in optimize([Message("user", "   "), Message("user", "x")]).messages] == [
        "   ",
        "x",
    ]
