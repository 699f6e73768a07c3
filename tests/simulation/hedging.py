"""What hedging does to providers with a heavy tail: most first tokens come at once, and some take very long."""

import asyncio
import gc
import random
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from multiroute_core import Router
from multiroute_core.testing import Answer, IncomingCall, VirtualLoop, provider_of, run_in_virtual_time, scripted_route

QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
PER_SECOND = 10


@dataclass
class Measured:
    """Seconds to the first token of every request, in order of size, and how many calls a request took."""

    seconds: list[float]
    load: float

    def quantile(self, share: float) -> float:
        return self.seconds[min(len(self.seconds) - 1, int(share * len(self.seconds)))]


def measure(hedge: float | None, *, requests: int = 4000, seed: int = 0, stream: bool = True) -> Measured:
    """Ask two providers that are equally good and, with 3 % of their calls, very slow."""
    dice = random.Random(seed)
    loop = VirtualLoop()

    def script(asked: IncomingCall) -> Answer:
        slow = dice.random() < 0.03
        return Answer("word ", first_token=dice.uniform(4.0, 12.0) if slow else dice.lognormvariate(-1.0, 0.3))

    routes = [scripted_route(name, script) for name in ("a", "b")]
    more: dict[str, Any] = {} if hedge is None else {"hedge_budget": hedge}
    router = Router(routes, **more)
    run_in_virtual_time(router, loop, seed)
    waits: list[float] = []

    async def ask(at: float) -> None:
        await asyncio.sleep(at)
        if stream:
            chunks = router.astream("Hi")
            await anext(chunks)
            waits.append(loop.time() - at)
            async for _ in chunks:
                pass
        else:
            await router.agenerate("Hi")
            waits.append(loop.time() - at)

    async def everybody() -> None:
        await asyncio.gather(*(ask(dice.uniform(0, requests / PER_SECOND)) for _ in range(requests)))

    gc.disable()  # with so many tasks it takes half of the time
    try:
        loop.run_until_complete(everybody())
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        gc.enable()
        loop.close()
    calls = sum(len(provider_of(route).takes) for route in routes)
    assert not any(provider_of(route).in_flight for route in routes)
    return Measured(sorted(waits), calls / requests)


def show(console: Console) -> int:
    """The table, and the tail as bars."""
    shares = (None, 0.01, 0.02, 0.05, 0.1)
    with console.status("4,000 requests for each share"):
        found = {share: measure(share) for share in shares}
    table = Table("hedge", "extra load", *(f"p{100 * q:g}" for q in QUANTILES), title="Seconds to the first token")
    for share, measured in found.items():
        cells = [f"{measured.quantile(q):.2f}" for q in QUANTILES]
        table.add_row("none" if share is None else f"{share:g}", f"{measured.load - 1:.1%}", *cells)
    console.print(table)
    longest = found[None].quantile(0.99)
    for share, measured in found.items():
        wait = measured.quantile(0.99)
        console.print(
            f"p99 {'without' if share is None else f'{share:.0%}':>8} {'█' * round(50 * wait / longest)} {wait:.2f} s"
        )
    return 0
