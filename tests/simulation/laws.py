"""What must hold in every world. Each law gives the sentences that tell how it was broken."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Callable, Iterator

from multiroute_core.budgets.accounts import MemoryAccounts
from multiroute_core.engine.attempt import GOODBYE_SECONDS
from multiroute_core.errors import ContentFilterError, ContextOverflowError, RouteError
from multiroute_core.resilience import retry_budget
from multiroute_core.testing.faults import QUANTUM
from multiroute_core.testing.scripted import RecordedCall
from tests.simulation.callers import Caller
from tests.simulation.voices import one_voice, the_bill_is_true, the_end_is_true
from tests.simulation.watch import Endless
from tests.simulation.world import World

INSTANT = 1e-6
CALLERS_FAULTS = ("bad_request", "context_overflow", "content_filter")


def one_end(world: World) -> Iterator[str]:
    """Each request ends exactly once, by its deadline and a quantum; a stream is never silent for longer than it may."""
    settings = world.settings
    for caller in world.by_name.values():
        if not caller.end:
            assert caller.leaves == "cancel", "it was called off before it began"
            continue
        if caller.started != 1 or len(caller.told) != 1:
            yield f"{caller.name} began {caller.started} times and was told {len(caller.told)} ends"
        first = caller.heard[0][0] if caller.heard else caller.ended
        if first > caller.began + caller.deadline + QUANTUM:
            yield f"{caller.name} had nothing by its deadline: {first - caller.began:g} s for {caller.deadline:g} s"
        moments = [at for at, _ in caller.heard] + ([caller.ended] if not caller.left else [])
        mended = 0.0 if caller.on_stream_error == "raise" else caller.deadline
        for before, after in zip(moments, moments[1:], strict=False):
            if after - before > max(settings["stall_timeout"], GOODBYE_SECONDS) + mended + QUANTUM:
                yield f"{caller.name} heard nothing for {after - before:g} s in the middle of its stream"
        total = settings["total_timeout"]
        most = total and total + GOODBYE_SECONDS + QUANTUM
        if most and caller.on_stream_error == "raise" and caller.heard and caller.ended > first + most:
            yield f"the stream of {caller.name} took too long"


def permits_balance(world: World) -> Iterator[str]:
    """At rest every permit is back, nothing is in flight, and every stream is closed."""
    state = world.state
    if state.admitted != state.settled or state.out:
        yield f"permits are out: {state.admitted} were given, {state.settled} came back; missing {state.out}"
    for name, line in state.inner._route_states.items():
        if line.slots:
            yield f"{name} holds {len(line.slots)} places in flight for nobody"
    for take in world.takes:
        if take.ended is None:
            yield f"call {take.asked.number} of {take.asked.route} is still open"
    if len(world.takes) > sum(state.admitted.values()):
        yield f"{len(world.takes)} calls were made with {state.admitted} permits"


def bounded_work(world: World) -> Iterator[str]:
    """A request makes no more tries than it may, and all of them together no more than the budgets allow."""
    hedge = world.settings["hedge_budget"]
    # A try that lost a race does not count, but is paid for.
    most = len(world.routes) * (1 + world.settings["max_retries"] + (hedge is not None))
    again: list[float] = []
    beside: list[float] = []
    for name, takes in world.takes_of.items():
        if len(takes) > most:
            yield f"{name} caused {len(takes)} calls; {most} are allowed"
        asked: set[str] = set()
        end = 0.0
        for take in takes_in_order(takes):
            if take.asked.at < end - INSTANT:
                beside.append(take.asked.at)
            if take.asked.route in asked:
                again.append(take.asked.at)
            asked.add(take.asked.route)
            end = max(end, take.ended or 0.0)
    state = world.state
    if hedge is None and beside:
        yield f"at {beside[0]:g} s two calls of one request were out at once, without hedging"
    if len(again) > len(state.retries):
        yield f"{len(again)} calls asked a route again, and {len(state.retries)} were paid for"
    if len(beside) > len(state.hedges):
        yield f"{len(beside)} calls were made beside others, and {len(state.hedges)} were paid for"
    began = sorted(caller.began for caller in world.by_name.values())
    purses = [
        ("retries and hedges", [*again, *beside], retry_budget.RETRIES),
        ("hedges", beside, retry_budget.hedges(hedge or 0.0)),
    ]
    for what, moments, purse in purses:
        for number, at in enumerate(sorted(moments), start=1):
            held = purse.reserve + purse.share * bisect.bisect_right(began, at) + purse.per_second * (at - began[0])
            if number > held + INSTANT:
                yield f"{number} {what} by {at:g} s; {held:.1f} are allowed"
                break


def limits_hold(world: World) -> Iterator[str]:
    """Routes are asked no more often, and no more at once, than they take; those of one quota together."""
    for quota in {route.rate_limit_group for route in world.routes}:
        members = [route for route in world.routes if route.rate_limit_group == quota]
        names = {route.name for route in members}
        takes = sorted((t for t in world.takes if t.asked.route in names), key=lambda t: t.asked.at)
        if rpm := next((route.rpm for route in members if route.rpm), None):
            left, before = rpm, 0.0
            for take in takes:
                left = min(rpm, left + (take.asked.at - before) * rpm / 60) - 1
                before = take.asked.at
                if left < -INSTANT:
                    yield f"{quota} was asked more than {rpm:g} times a minute, at {before:g} s"
                    break
        if most := next((route.max_concurrency for route in members if route.max_concurrency), None):
            steps = [(take.asked.at, 1) for take in takes] + [(take.ended or 0.0, -1) for take in takes]
            in_flight = 0
            for at, step in sorted(steps):
                in_flight += step
                if in_flight > most:
                    yield f"{quota} had {in_flight} calls at {at:g} s, and takes {most}"
                    break


def callers_faults_end_it(world: World) -> Iterator[str]:
    """What is the caller's fault is not asked of the same route again; and of another only where that may help."""
    for name, takes in world.takes_of.items():
        fallback_on = world.by_name[name].options.get("fallback_on", ())
        for take in takes:
            error = take.error
            if not isinstance(error, RouteError) or error.code not in CALLERS_FAULTS:
                continue
            after = [other for other in takes if other is not take and other.asked.at > (take.ended or 0.0) + INSTANT]
            if any(later.asked.route == take.asked.route for later in after):
                yield f"{take.asked.route} was asked again for {name} after a {error.code}"
            # Who declined, or had begun to answer, has taken it for a good request.
            answered = any(t.finish_reason in fallback_on or t.parts for t in takes)
            helps = isinstance(error, ContextOverflowError | ContentFilterError)  # a filter is its vendor's
            if after and not helps and error.code not in fallback_on and not answered:
                yield f"{name} went on to {after[0].asked.route} after a {error.code}"


def retry_after_obeyed(world: World) -> Iterator[str]:
    """Nobody asks a route before the time that it named, nor one that shares its quota."""
    quotas = {route.name: route.rate_limit_group for route in world.routes}
    doors: dict[str, list[tuple[float, float]]] = {quota: [] for quota in quotas.values()}
    for take in world.takes:
        error = take.error
        if isinstance(error, RouteError) and error.retry_after and take.ended is not None:
            doors[quotas[take.asked.route]].append((take.ended, error.retry_after))
    for take in world.takes:
        at = take.asked.at
        for closed, seconds in doors[quotas[take.asked.route]]:
            # In the very moment in which it closes somebody may have asked just before.
            if closed + INSTANT < at < closed + seconds - INSTANT:
                yield f"{take.asked.route} was asked at {at:g} s; at {closed:g} s it wanted {seconds:g} s of rest"


def money_adds_up(world: World) -> Iterator[str]:
    """Every call is an attempt of its request, with the tokens that it told; and every attempt was a call."""
    for caller in world.by_name.values():
        takes = world.takes_of.get(caller.name, [])
        attempts = caller.attempts
        if Counter(t.asked.route for t in takes) != Counter(a.route for a in attempts):
            yield f"{caller.name}: calls {[t.asked.route for t in takes]}, attempts {[a.route for a in attempts]}"
            continue
        if caller.left:
            continue  # what was told last may not have been read
        told = Counter((t.asked.route, tokens_told(t)) for t in takes)
        kept = Counter((a.route, a.usage and a.usage.total_tokens) for a in attempts)
        if told != kept:
            yield f"{caller.name}: tokens told {told}, kept {kept}"
        shown = caller.response.attempts if caller.response else caller.error.attempts if caller.error else attempts
        if shown != attempts:
            yield f"{caller.name} was shown other attempts than the hooks were"


def the_ledger_is_true(world: World) -> Iterator[str]:
    """It has each try once, with what was told of its tokens; and an estimate where a try that had begun told nothing."""
    tries = Counter(
        (a.route, a.outcome, None if a.estimated_usage or a.usage is None else a.usage.total_tokens)
        for c in world.by_name.values()
        for a in c.attempts
    )
    kept = Counter(
        (r.route, r.outcome, None if r.input_tokens is None or r.estimated else r.input_tokens + (r.output_tokens or 0))
        for r in world.ledger.query()
    )
    if tries != kept:
        yield f"not in the ledger: {tries - kept}; in it and never tried: {kept - tries}"
    for record in world.ledger.query():
        begun = record.first_token_seconds is not None and record.outcome != "success"
        if record.estimated and not (begun and record.input_tokens):
            yield f"what was not begun is estimated: {record}"
        if begun and record.input_tokens is None:
            yield f"what was begun is not estimated: {record}"
        if not 0.0 <= record.ended_at <= world.loop.time():
            yield f"a record from another time: {record}"


def budgets_count_what_the_ledger_has(world: World) -> Iterator[str]:
    """To the cent and to the token; and when nobody is on the way any more, nothing is held."""
    spending = world.router._parts.spending
    tokens = sum((r.input_tokens or 0) + (r.output_tokens or 0) for r in world.ledger.query())
    owed = {"tokens/session:": tokens}
    for record in world.ledger.query():
        name = f"usd/month/route:{record.route}"
        owed[name] = owed.get(name, 0) + round((record.charged or 0.0) * 1e9)
    shared = spending.accounts
    assert isinstance(shared, MemoryAccounts)
    kept = {**spending._session._accounts, **shared._accounts}
    for name, amount in owed.items():
        account = kept[name].account
        if account.spent != amount:
            yield f"{name} counts {account.spent}, and the ledger {amount}"
        if account.held or kept[name].places:
            yield f"{name} still holds {account.held} for nobody"


def sound_routes_answer(world: World) -> Iterator[str]:
    """While one route is sound, who waits long enough is answered: but for faults of their own, and for streams that
    broke, where those are not to be mended."""
    if not world.sound:
        return
    for caller in world.callers:
        if caller.deadline < 30.0 or not caller.end or caller.left:
            continue
        excused = CALLERS_FAULTS if caller.on_stream_error == "restart" else (*CALLERS_FAULTS, "broken_stream")
        if caller.end != "success" and caller.end not in excused:
            yield f"{caller.name} was not answered ({caller.end}), though {world.sound[0]} was well"


def all_is_well_again(world: World) -> Iterator[str]:
    """When the faults are over, and the longest break, every request is answered at the first try."""
    most = 1 if world.settings["hedge_budget"] is None else 2
    for caller in world.late:
        if caller.end != "success" or not 1 <= len(caller.attempts) <= most:
            yield f"{caller.name} ended with {caller.end} after {len(caller.attempts)} attempts, without any faults"


def personal_data_stays(world: World) -> Iterator[str]:
    """Where it is guarded, no call carries personal data: at all, or to a route without the tag."""
    if world.privacy == "none":
        return
    tagged = {route.name for route in world.routes if route.tags}
    for take in world.takes:
        personal_data = world.caller_of(take).personal_data
        if not personal_data or (world.privacy == "restrict" and take.asked.route in tagged):
            continue
        if world.privacy == "restrict" or any("@" in message.text for message in take.asked.request.messages):
            yield f"{take.asked.route} saw the personal data of {world.caller_of(take).name}"


def watched(world: World) -> Iterator[str]:
    """What the watch over the state saw: probes, breaks, verdicts, and errors that nobody caught."""
    yield from world.state.wrongs


LAWS: tuple[Callable[[World], Iterator[str]], ...] = (
    one_end,
    one_voice,
    the_end_is_true,
    permits_balance,
    bounded_work,
    limits_hold,
    callers_faults_end_it,
    retry_after_obeyed,
    money_adds_up,
    the_bill_is_true,
    the_ledger_is_true,
    budgets_count_what_the_ledger_has,
    sound_routes_answer,
    all_is_well_again,
    personal_data_stays,
    watched,
)


def judged(world: World) -> list[str]:
    """Let it happen, and tell every broken law in words; empty where all hold."""
    try:
        world.run()
    except (Exception, Endless) as error:
        return [f"it came to no end: {error!r}"]
    return [f"{law.__name__}: {what}" for law in LAWS for what in law(world)]


def tokens_told(take: RecordedCall) -> int | None:
    """The tokens of which the caller could hear: nothing is read of half a reply that is not streamed."""
    whole = take.asked.stream or take.finish_reason is not None
    return take.usage.total_tokens if whole and take.usage else None


def takes_in_order(takes: list[RecordedCall]) -> list[RecordedCall]:
    """One request's calls, as they began."""
    return sorted(takes, key=lambda take: (take.asked.at, take.ended)) if len(takes) > 1 else takes


def told(caller: Caller) -> str:
    """A caller's story in one line."""
    tries = ", ".join(f"{a.route} {a.outcome} {a.seconds:.2f} s" for a in caller.attempts)
    way = "stream" if caller.stream else "whole"
    order = caller.options.get("order", "")
    wants = f"{caller.on_stream_error}, {order if isinstance(order, str) else 'own order'}"
    return (
        f"{caller.began:8.2f} {caller.name:>6} {way:6} deadline {caller.deadline:g}, {wants}: {caller.end or 'never began'} "
        f"after {caller.ended - caller.began:.2f} s, {len(caller.heard)} chunks [{tries}]"
    )
