"""Money: a cap holds whatever happens, and periods begin with nothing spent."""

from hypothesis import given
from hypothesis import strategies as st

from multiroute_core.resilience import spend_account
from multiroute_core.resilience.spend_account import Account

AMOUNTS = st.integers(0, 100)


@given(cap=AMOUNTS, steps=st.lists(st.tuples(AMOUNTS, AMOUNTS, st.booleans()), max_size=60))
def test_who_takes_no_more_than_was_held_never_spends_more_than_the_cap(cap, steps):
    account, out = Account(), []
    for amount, took, reserves in steps:
        if reserves or not out:
            after = spend_account.reserve(account, cap, amount)
            assert (after is None) == (account.spent + account.held + amount > cap)
            if after is not None:
                account = after
                out.append(amount)
        else:
            held = out.pop()
            account = spend_account.settle(account, held, min(took, held))
        assert account.spent + account.held <= cap
        assert account.held == sum(out)


def test_a_reservation_counts_until_it_is_settled():
    first = spend_account.reserve(Account(), 10, 6)
    assert first is not None
    assert first == Account(held=6)
    assert spend_account.reserve(first, 10, 5) is None
    settled = spend_account.settle(first, 6, 2)
    assert settled == Account(spent=2)
    assert spend_account.reserve(settled, 10, 8) == Account(spent=2, held=8)


@given(amounts=st.lists(AMOUNTS))
def test_without_a_cap_everything_is_held(amounts):
    account = Account()
    for amount in amounts:
        account = spend_account.reserve(account, None, amount) or account
    assert account.held == sum(amounts)


def test_a_new_period_begins_with_nothing_spent_and_what_is_held():
    account, starts = Account(100.0, 7, 3), (0.0, 100.0, 200.0)
    assert spend_account.current(account, starts, 199.9) == account
    assert spend_account.current(account, starts, 200.0) == Account(200.0, 0, 3)


@given(
    spent=st.integers(1, 10**6),
    jumps=st.lists(st.floats(-10 * 86_400, 10 * 86_400), min_size=1),
)
def test_a_clock_that_is_set_back_gives_no_period_again(spent, jumps):
    """Whatever the clock says on the way: in the period in which it was spent it stays spent."""
    now = 1e9
    account = spend_account.settle(spend_account.current(Account(), days(now), now), 0, spent)
    latest = account.period
    for jump in jumps:
        account = spend_account.current(account, days(now + jump), now + jump)
        assert account.period >= latest
        assert account.spent == (spent if account.period == days(now)[1] else 0)
        latest = account.period


def days(at):
    day = at // 86_400 * 86_400
    return day - 86_400, day, day + 86_400


def test_what_is_known_from_elsewhere_counts_if_it_is_more_and_of_this_period():
    account, starts = Account(100.0, 7, 3), (0.0, 100.0, 200.0)
    assert spend_account.current(account, starts, 150.0, (100.0, 9)) == Account(100.0, 9, 3)
    assert spend_account.current(account, starts, 150.0, (100.0, 5)) == account
    assert spend_account.current(account, starts, 150.0, (0.0, 9)) == account
