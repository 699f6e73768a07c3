"""State in memory: what routes of one quota share, and what retries and hedges do."""

from multiroute_core.resilience.admission import Outcome, Permit, Rejection, Verdict
from multiroute_core.route import Route
from multiroute_core.runtime.sync_io import SyncIO
from multiroute_core.state.memory import MemoryState

IO = SyncIO()
ONE, OTHER = (Route(f"openai:{name}", name=name, rate_limit_group="account") for name in ("one", "other"))
SPENT = Outcome(Verdict.PERMANENT, shared=True)


async def permit(state, route, now, **more):
    leave = await state.admit(IO, route, now, **more)
    assert isinstance(leave, Permit)
    return leave


async def test_a_spent_quota_is_spent_for_every_route_of_it():
    state = MemoryState(random=lambda: 0.5)
    state.know([ONE, OTHER])
    await state.settle(IO, ONE, 0.0, await permit(state, ONE, 0.0), SPENT)
    for route in (ONE, OTHER):
        leave = await state.admit(IO, route, 1.0)
        assert isinstance(leave, Rejection)
        assert (leave.reason, leave.seconds) == ("open", 299.0)


async def test_a_spent_quota_leaves_those_alone_that_are_shut_or_being_probed():
    """A probe knows more than its neighbour; and one failure is not many breaks."""
    state = MemoryState(random=lambda: 0.5)
    state.know([ONE, OTHER])
    await state.settle(IO, ONE, 0.0, await permit(state, ONE, 0.0), SPENT)
    probe = await permit(state, OTHER, 1.0, early=True)
    for now in (2.0, 3.0, 4.0):
        await state.settle(IO, ONE, now, await permit(state, ONE, now, early=True), SPENT)
        leave = await state.admit(IO, OTHER, now, early=True)
        assert isinstance(leave, Rejection)
        assert leave.reason == "probing"
    await state.settle(IO, OTHER, 5.0, probe, Outcome(Verdict.SUCCESS))
    assert not (await permit(state, OTHER, 5.0)).probe


async def test_hedges_and_retries_share_a_purse():
    """Ten are there to begin with, and a fifth of each request."""
    state = MemoryState(hedge_budget=1.0)
    for _ in range(9):
        await state.begin_request(IO, 0.0)
    assert [await state.afford(IO, 0.0, hedge=True) for _ in range(11)] == [True] * 10 + [False]
    assert [await state.afford(IO, 0.0) for _ in range(2)] == [True, False]
