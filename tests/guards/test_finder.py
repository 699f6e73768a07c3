"""Further kinds of personal data by a finder, masked and restored beside the others."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core import ConfigurationError, GuardBlockedError, Router
from multiroute_core.guards import Masks, Span, mask_personal_data, restrict_personal_data
from multiroute_core.guards.finder import find_all
from multiroute_core.testing.behaviours import Answer
from multiroute_core.testing.scripted import provider_of, scripted_route
from tests.providers.faces import FACES, ask

NAMES = re.compile(r"Ada Lovelace|Ada|Bob")
PLACES = re.compile(r"Bob's Bay|Berlin")


class Names:
    """Finds two people and two places; the spans overlap and are not in order."""

    kinds = ("person_name", "place")

    def __call__(self, text):
        yield from [Span(*match.span(), "place") for match in PLACES.finditer(text)][::-1]
        yield from [Span(*match.span(), "person_name") for match in NAMES.finditer(text)]


def parrot(call):
    return Answer(f"You said: {call.request.messages[-1].text}")


@pytest.mark.parametrize("face", FACES)
def test_names_are_masked_and_restored(face):
    guards = [mask_personal_data(["email"], finder=Names())]
    text = "Ada (ada@example.org) and Bob live at Bob's Bay, not in Berlin; ask Ada Lovelace or Ada"
    with Router([scripted_route("a", parrot)], guards=guards) as router:
        assert ask(face, router, text).text == f"You said: {text}"
        (take,) = provider_of(router.routes[0]).takes
    assert take.asked.request.messages[-1].text == (
        "[PERSON_NAME_1] ([EMAIL_1]) and [PERSON_NAME_2] live at [PLACE_1], not in [PLACE_2]; "
        "ask [PERSON_NAME_3] or [PERSON_NAME_1]"
    )


@given(st.lists(st.integers(1, 12), max_size=40))
def test_a_stream_reads_right_however_it_is_cut(sizes):
    masks = Masks(kinds=["email"], finder=Names())
    masks.mask("Ada, Bob and ada@example.org in Berlin")
    answer = r"To [PERSON_NAME_1], **[person_name_2]**, \[PERSON\_NAME\_1\] at [EMAIL_1]: [PLACE_1] [PERSON_NAME_9]"
    restorer = masks.stream()
    restored = ""
    rest = answer
    for size in (*sizes, 200):
        restored += restorer.feed(rest[:size])
        rest = rest[size:]
    assert restored + restorer.finish() == masks.restore(answer)
    assert masks.restore(answer) == "To Ada, **Bob**, Ada at ada@example.org: Berlin [PERSON_NAME_9]"


def test_only_routes_with_the_tag_see_names():
    routes = [scripted_route("a", parrot), scripted_route("b", parrot, tags=["eu"])]
    with Router(routes, guards=[restrict_personal_data("eu", ["email"], finder=Names())]) as router:
        assert router.generate("Is Ada here?").route == "b"
        assert router.generate("Who is here?").route == "a"


@pytest.mark.parametrize("span", [Span(0, 3, "surname"), Span(-3, 40, "place"), Span(0, 400, "place")])
def test_a_span_that_could_not_be_restored_blocks(span):
    class Odd:
        kinds = ("place",)

        def __call__(self, text):
            return [span]

    with Router([scripted_route("a", parrot)], guards=[mask_personal_data(["email"], finder=Odd())]) as router:
        error = ask("generate", router, "Is Ada here, in the house at the end of the road?").error
    assert isinstance(error, GuardBlockedError)
    assert isinstance(error.__cause__, ConfigurationError)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), max_size=30))
def test_the_longest_spans_win_and_none_overlap(pairs):
    text = "ada@example.org " + "x" * 60

    class Any:
        kinds = ("name",)

        def __call__(self, text):
            return [Span(start, min(start + length, len(text)), "name") for start, length in pairs]

    spans = find_all(text, ["email"], (), Any())
    assert all(one.end <= other.start for one, other in itertools.pairwise(spans))
    for start, length in pairs:
        end = min(start + length, len(text))
        blockers = [span for span in spans if span.start < end and start < span.end]
        is_empty = not text[start:end].strip()
        assert is_empty or any(span.kind == "email" or span.end - span.start >= end - start for span in blockers)


def test_many_spans_take_no_time_each():
    """20,000 of them took 14 seconds when each was compared with all others."""
    comparisons = 0

    class Counted(int):
        def __le__(self, other):
            nonlocal comparisons
            comparisons += 1
            return int(self) <= int(other)

    class Many:
        kinds = ("name",)

        def __call__(self, text):
            return [Span(Counted(start), Counted(start + 1), "name") for start in range(0, 2000, 2)]

    assert len(find_all("x" * 2000, [], (), Many())) == 1000
    assert comparisons < 20_000


@pytest.mark.parametrize("kinds", [(), "name", ("email",), ("Name",), ("a b",), (3,), None])
def test_a_finder_names_its_kinds(kinds):
    finder = Names()
    finder.kinds = kinds
    with pytest.raises(ConfigurationError, match="finder"):
        mask_personal_data(finder=finder)
