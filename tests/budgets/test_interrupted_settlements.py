"""A settlement is interrupted at each of its steps."""

import contextlib

from multiroute_core.budgets.accounts import MemoryAccounts, ReservationRequest
from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO
from tests.interrupts.steps import Interrupt

MODULES = "multiroute_core.budgets.accounts", "multiroute_core.resilience.spend_account"


def reserve(accounts: MemoryAccounts, amount: int, slot: str):
    requests = [ReservationRequest(name, amount, 100, (0.0, 2.0**40), allow_new=True) for name in ("day", "session")]
    return requests, run(accounts.reserve(SyncIO(), requests, slot)).balances


def test_an_interrupted_settlement_is_booked_once_at_every_account():
    outcomes = set()
    for number in range(500):
        accounts = MemoryAccounts(lambda: 1000.0)
        requests, _ = reserve(accounts, 10, "1")
        interrupt = Interrupt(number, *MODULES)
        with contextlib.suppress(KeyboardInterrupt), interrupt:
            accounts.settle(requests, "1", [7, 7], lambda balances: None)
        _, (day, session) = reserve(accounts, 0, "next")
        assert day == session, number
        outcomes.add((interrupt.has_happened, day.spent, day.held))
        if not interrupt.has_happened:
            break
    # Interrupted before it was queued, it is still reserved; its slot, when it is gone, frees it.
    assert outcomes == {(True, 0, 10), (True, 7, 0), (False, 7, 0)}
