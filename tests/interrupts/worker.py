"""One process that is interrupted again and again: python -m tests.interrupts.worker MODE HOW SEED COUNT URL [ONLY]."""

import ctypes
import faulthandler
import json
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
import warnings
from typing import Any

from multiroute_core import Limit, Route, Router
from multiroute_core.budgets.budget import Budget
from multiroute_core.errors import MultiRouteError
from tests.interrupts.leftovers import after_a_while, leftovers, threads, without_collector

MODES = ("plain", "cached", "sqlite", "budgeted", "hedged", "waiting", "streaming", "ledger")
HANG_SECONDS = 60
DEADLINE = 5.0


class Interrupt(KeyboardInterrupt):
    """Told from a Ctrl-C of whoever runs the tests."""


def build(mode: str, url: str) -> Router:
    prices = {"input": 1.0, "output": 2.0}

    def route(name: str, model: str, **more) -> Route:
        return Route(f"openai:{model}", name=name, base_url=url, api_key="k", prices=prices, **more)

    routes = [route("one", "quick"), route("two", "quick")]
    options: dict[str, Any] = {"deadline": DEADLINE}
    if mode == "cached":
        options["cache"] = "memory"
    elif mode == "sqlite":
        options["cache"] = f"sqlite:///{tempfile.mkdtemp()}/cache.db"
    elif mode == "budgeted":
        options["budget"] = [
            Budget(usd=1e6, per="day", hard=True),
            Budget(tokens=10**9, per="session", scope="route", hard=True),
        ]
        options["limit"] = [Limit(rpm=1e9, tpm=1e9, concurrency=2), Limit(concurrency=2, scope="label")]
    elif mode == "hedged":
        options["hedge_budget"] = 0.5
    elif mode == "waiting":
        routes = [route("busy", "busy")]
        options |= {"max_retries": 50, "cache": "memory"}
    elif mode == "ledger":
        options["ledger"] = f"sqlite:///{tempfile.mkdtemp()}/ledger.db"
    return Router(routes, **options)


class Worker:
    def __init__(self, mode: str, how: str, seed: int, url: str) -> None:
        self.mode, self.how, self.seed = mode, how, seed
        self.router = build(mode, url)
        self.leader = build("cached", url) if mode == "waiting" else None
        if self.leader is not None:  # its cache is the router's, and its route answers slowly
            self.leader = Router(
                [Route("openai:slow", name="busy", base_url=url, api_key="k")], deadline=DEADLINE, cache="memory"
            )
        self.number = 0
        self.caught = self.done = 0

    def call(self, number: int, stream: bool) -> None:
        router = self.leader if self.leader is not None and number % 2 else self.router
        prompt = f"question {number % 3}" if self.mode in ("cached", "sqlite") and number % 4 == 0 else f"q {number}"
        try:
            if stream:
                for _ in router.stream(prompt):
                    pass
            else:
                router.generate(prompt)
        except MultiRouteError:
            if self.mode != "waiting":
                raise

    def stream(self, dice: random.Random) -> bool:
        return self.mode == "streaming" or (self.mode not in ("plain", "waiting") and dice.random() < 0.4)

    def measure(self) -> float:
        """How long a call takes; routes get to know their latencies as well."""
        if self.mode == "waiting":
            return 0.05
        dice, times = random.Random(0), []
        for number in range(30):
            began = time.monotonic()
            self.call(-1 - number, self.stream(dice))
            times.append(time.monotonic() - began)
        return statistics.median(times)

    def interrupted(self, number: int, seconds: float) -> list[str]:
        """One call that is interrupted; what it has left."""
        dice = random.Random(self.seed * 1_000_003 + number)
        delay, stream = dice.uniform(0.00005, 1.1 * seconds), self.stream(dice)
        before = set(threading.enumerate())
        beside = None
        if self.leader is not None and number % 2:  # somebody else asks the same, and is waited for
            beside = threading.Thread(target=self.call, args=(number, False))
            beside.start()
            time.sleep(0.005)
        (self.by_signal if self.how == "signal" else self.by_thread)(number, stream, delay)
        if beside is not None:
            beside.join()
        routers = [self.router] + ([self.leader] if self.leader is not None else [])
        # A thread that was called off needs a moment to end.
        seconds = 3.0 if self.mode == "hedged" else 0.0
        found = after_a_while(lambda: [one for router in routers for one in leftovers(router)], seconds)
        return found + after_a_while(lambda: threads(before), 3.0)

    def by_signal(self, number: int, stream: bool, delay: float) -> None:
        try:
            try:
                signal.setitimer(signal.ITIMER_REAL, delay)
                self.call(number, stream)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0.0)
        except Interrupt:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            self.caught += 1
        else:
            self.done += 1

    def by_thread(self, number: int, stream: bool, delay: float) -> None:
        ready = threading.Event()
        over = []

        def work() -> None:
            try:
                ready.set()
                self.call(number, stream)
                over.append("done")
                time.sleep(0.0)
            except Interrupt:
                over.append("caught")

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        ready.wait()
        time.sleep(delay)
        while not over and not _send(thread):
            time.sleep(0.0)
        thread.join()
        self.caught += "caught" in over
        self.done += "caught" not in over


def _send(thread: threading.Thread) -> bool:
    """Have `thread` raise an `Interrupt`, unless it is just starting another thread; whether it will.

    Before Python 3.12 a new thread has its parent's identifier until it runs, and gets the exception instead; then
    `Thread.start` waits for ever.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1.0)  # so that nothing happens between the look and the exception
    try:
        ident = thread.ident
        assert ident is not None
        frame = sys._current_frames().get(ident)
        while frame is not None:
            if frame.f_code is threading.Thread.start.__code__:
                return False
            frame = frame.f_back
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(Interrupt))
        return True
    finally:
        sys.setswitchinterval(interval)


def on_signal(*_: object) -> None:
    raise Interrupt


def main(mode: str, how: str, seed: int, count: int, url: str, only: int | None) -> int:
    noise: list[str] = []
    sys.unraisablehook = lambda found: noise.append(f"unraisable: {found.exc_value!r} in {found.object!r}")
    threading.excepthook = lambda found: (
        None if issubclass(found.exc_type, Interrupt) else noise.append(f"thread: {found.exc_value!r}")
    )
    warnings.simplefilter("always", RuntimeWarning)
    warnings.showwarning = lambda message, *_: (
        # An interrupt between a call of a coroutine function and its first step: nothing has been taken yet.
        None if "was never awaited" in str(message) else noise.append(f"warning: {message}")
    )
    signal.signal(signal.SIGALRM, on_signal)
    worker = Worker(mode, how, seed, url)
    seconds = worker.measure()
    without_collector()
    wrongs: dict[int, list[str]] = {}
    numbers = range(count) if only is None else [only]
    for number in numbers:
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        found = worker.interrupted(number, seconds) + noise
        noise.clear()
        if found:
            wrongs[number] = found
    faulthandler.cancel_dump_traceback_later()
    if mode != "waiting":
        worker.call(10**6, False)  # and everything still works
    print(json.dumps({"caught": worker.caught, "done": worker.done, "wrongs": wrongs}))
    return 1 if wrongs else 0


if __name__ == "__main__":
    mode, how, seed, count, url, *rest = sys.argv[1:]
    sys.exit(main(mode, how, int(seed), int(count), url, int(rest[0]) if rest else None))
