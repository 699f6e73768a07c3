"""Why two texts that are near ask for different things."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core.cache.semantic.veto import VETOES, Words, difference, normalised

WORDS = st.lists(
    st.sampled_from(
        "how do I not take 2 200 mg two of Aspirin Rome before after why best worst C++ the is it's".split()
    ),
    max_size=8,
).map(" ".join)


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ("Can I take 200 mg of aspirin?", "Can I take 2000 mg of aspirin?", "numbers"),
        ("Why is my period 8 days late?", "Why is my period one day late?", "numbers"),
        ("Which phone is best under 10k?", "Which phone is best under 15,000?", "numbers"),
        ("What happened in 1914?", "What happened?", "numbers"),
        ("Can I give honey to a baby?", "Can I not give honey to a baby?", "negation"),
        ("Does it work with Windows?", "Does it work without Windows?", "negation"),
        ("Is it allowed?", "Isn’t it allowed?", "negation"),
        ("Darf ich das Medikament nehmen?", "Darf ich das Medikament nicht nehmen?", "negation"),
        ("Puis-je le prendre ?", "Je ne peux pas le prendre ?", "negation"),
        ("What is the capital of France?", "What is the capital of Germany?", "names"),
        ("what is the capital of france", "What is the capital of Germany?", "names"),
        ("How do I cancel my Netflix plan?", "How do I cancel my Spotify plan?", "names"),
        ("How do I fly from Rome to Paris?", "How do I fly from Paris to Rome?", "order"),
        ("convert inches to feet", "convert feet to inches", "order"),
        ("Is 3 more than 5?", "Is 5 more than 3?", "order"),
        ("Should I buy a house now?", "Should I sell a house now?", "opposites"),
        ("How do I increase the volume?", "How do I decrease the volume?", "opposites"),
        ("What is the best phone?", "What is the worst phone?", "opposites"),
        ("When was Einstein born?", "Where was Einstein born?", "question"),
        ("How many bones has a cat?", "How old is a cat?", "question"),
        ("How do I sort a list in C++?", "How do I sort a list in C#?", "symbols"),
        ("What does `a == b` mean?", "What does `a != b` mean?", "symbols"),
        ("Forward mail from [EMAIL_1] to [EMAIL_2].", "Forward mail to [EMAIL_1] from [EMAIL_2].", "placeholders"),
    ],
)
def test_what_differs(one, other, why):
    assert difference(normalised(one), normalised(other)) == why


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I quit smoking?", "how can I stop smoking"),
        ("How do I reset my Gmail password?", "What is the way to reset a Gmail password?"),
        ("What's the population of India?", "What is the population of india?"),
        ("What is the best phone under 15k?", "Which phone is the best one under 15,000?"),
        ("Can two people use it?", "Can 2 people use it?"),
        ("Why isn't it working?", "Why is it not working?"),
        ("I'm in Rome. What should I see?", "What should I see in Rome?"),
        ("What is the reason that the sky is blue?", "Why is the sky blue?"),
        ("Which team won in 2014?", "In 2014, which team won?"),
        ("Is [EMAIL_1] with [PHONE_1] known?", "Do you know [EMAIL_1] with [PHONE_1]?"),
    ],
)
def test_what_does_not(one, other):
    assert difference(normalised(one), normalised(other)) is None


@given(WORDS, WORDS)
def test_it_is_the_same_both_ways_and_nothing_differs_from_itself(one, other):
    assert (difference(one, other) is None) == (difference(other, one) is None)
    assert difference(one, one) is None
    for differ in VETOES.values():
        assert not differ(Words(one), Words(one))
        assert differ(Words(one), Words(other)) == differ(Words(other), Words(one))


@given(st.text(), st.text())
def test_any_text_can_be_looked_at(one, other):
    one, other = normalised(one), normalised(other)
    assert difference(one, other) in (None, *VETOES)


@given(st.text())
def test_what_is_normalised_stays_so(text):
    once = normalised(text)
    assert normalised(once) == once
    assert normalised(f"  {text}\n") == once


def test_spaces_and_quotes_make_no_difference():
    assert normalised("  What’s \n“it”,\t then… ") == normalised('What\'s "it", then...')
