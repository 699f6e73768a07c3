"""Money: a cap holds whatever happens, and periods begin with nothing spent."""

from hypothesis import given
from hypothesis import strategies as st

from multiroute_core.rules import spend
from multiroute_core.rules.spend import Account

AMOUNTS = st.integers(0, 100)


@given(cap=AMOUNTS, steps=st.lists(st.tuples(AMOUNTS, AMOUNTS, st.booleans()), max_size=60))
def test_who_takes_no_more_than_was_held_never_spends_more_than_the_cap(cap, steps):
    account, out = Account(), []
    for amount, took, reserves in steps:
        if reserves or not out:
            after = spend.reserve(account, cap, amount)
            assert (after is None) == (account.spent + account.held + amount > cap)
            if after is not None:
                account = after
                out.append(amount)
        else:
            held = out.pop()
            account = spend.settle(account, held, min(took, held))
        assert account.spent + account.held <= cap
        assert account.held == sum(out)


@given(amounts=st.lists(AMOUNTS))
def test_without_a_cap_everything_is_held(amounts):
    account = Account()
    for amount in amounts:
        account = spend.reserve(account, None, amount) or account
    assert account.held == sum(amounts)


def test_a_new_period_begins_with_nothing_spent_and_what_is_held():
    account, starts = Account(100.0, 7, 3), (0.0, 100.0, 200.0)
    assert spend.current(account, starts, 199.9) == account
    assert spend.current(account, starts, 200.0) == Account(200.0, 0, 3)
    assert spend.current(account, starts, 99.0) == Account(0.0, 0, 3)


def test_what_is_known_from_elsewhere_counts_if_it_is_more_and_of_this_period():
    account, starts = Account(100.0, 7, 3), (0.0, 100.0, 200.0)
    assert spend.current(account, starts, 150.0, (100.0, 9)) == Account(100.0, 9, 3)
    assert spend.current(account, starts, 150.0, (100.0, 5)) == account
    assert spend.current(account, starts, 150.0, (0.0, 9)) == account
