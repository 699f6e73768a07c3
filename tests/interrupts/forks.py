"""One process whose threads call while it forks: python -m tests.interrupts.forks SEED COUNT URL [ONLY].

The child of each fork must work by itself at once, whatever the threads of the parent were doing.
"""

import faulthandler
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings

from multiroute_core import Limit, Route, Router
from multiroute_core.budgets.budget import Budget
from multiroute_core.errors import MultiRouteError
from tests.interrupts.leftovers import leftovers

THREADS = 4
CHILD_SECONDS = 30.0
SAID = "one two three"


def build(url: str) -> Router:
    folder, prices = tempfile.mkdtemp(), {"input": 1.0, "output": 2.0}
    return Router(
        [Route("openai:quick", name=name, base_url=url, api_key="k", prices=prices) for name in ("one", "two")],
        deadline=10.0,
        cache=f"sqlite:///{folder}/cache.db",
        ledger=f"sqlite:///{folder}/ledger.db",
        hedge_budget=0.3,
        budget=[Budget(usd=1e6, per="day", hard=True), Budget(tokens=10**9, per="session", hard=True)],
        limit=Limit(rpm=1e9, tpm=1e9, concurrency=100),
    )


def call(router: Router, prompt: str, *, stream: bool) -> str:
    if not stream:
        return router.generate(prompt).text
    return "".join(chunk.text for chunk in router.stream(prompt))


def check_child(router: Router, number: int, inherited) -> list[str]:
    """What is wrong in a child."""
    found = leftovers(router)
    if inherited is not None:  # half of it may be in a socket that is the parent's
        try:
            for _ in inherited:  # what had been read before the fork may be told
                pass
        except MultiRouteError:
            pass
    for stream in (False, True):
        text = call(router, f"child {number} {stream} {os.getpid()}", stream=stream)
        if text.strip() != SAID:
            found.append(f"the child was answered {text!r}")
    return found + leftovers(router)


def in_child(router: Router, number: int, inherited, pipe: int) -> None:
    """Never returns."""
    signal.setitimer(signal.ITIMER_REAL, CHILD_SECONDS)  # whose signal shows the stacks, and ends it
    try:
        found = check_child(router, number, inherited)
    except BaseException:
        found = [traceback.format_exc()]
    os.write(pipe, json.dumps(found).encode()[:60_000])
    router.ledger.flush()
    os._exit(0)


def fork(router: Router, number: int, dice: random.Random) -> list[str]:
    inherited = None
    if dice.random() < 0.3:  # in the middle of an answer of its own
        inherited = router.stream(f"half {number}")
        next(inherited)
    time.sleep(dice.uniform(0.0, 0.01))
    reads, writes = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: that is what this is about
        pid = os.fork()
    if not pid:
        os.close(reads)
        in_child(router, number, inherited, writes)
    os.close(writes)
    with open(reads, "rb") as told:
        said = told.read()
    _, status = os.waitpid(pid, 0)
    found = json.loads(said) if said else ["the child said nothing"]
    if status:
        found.append(f"the child ended with {os.waitstatus_to_exitcode(status)}")
    if inherited is not None:
        rest = "".join(chunk.text for chunk in inherited)
        if not SAID.endswith(rest.strip()) or not rest.strip():
            found.append(f"the rest of the parent's answer is {rest!r}")
    return found


def main(seed: int, count: int, url: str, only: int | None) -> int:
    faulthandler.register(signal.SIGALRM, chain=True)
    router, over, wrong = build(url), threading.Event(), []
    calls = [0] * THREADS

    def work(which: int) -> None:
        dice = random.Random(seed + which)
        while not over.is_set():
            try:
                text = call(router, f"{which} {calls[which] // 2}", stream=dice.random() < 0.5)
                if text.strip() != SAID:
                    wrong.append(f"the parent was answered {text!r}")
            except Exception as error:
                wrong.append(f"the parent failed: {error!r}")
            calls[which] += 1

    threads = [threading.Thread(target=work, args=(which,), daemon=True) for which in range(THREADS)]
    for thread in threads:
        thread.start()
    wrongs: dict[int, list[str]] = {}
    for number in range(count) if only is None else [only]:
        signal.setitimer(signal.ITIMER_REAL, 3 * CHILD_SECONDS)
        if found := fork(router, number, random.Random(seed * 1_000_003 + number)):
            wrongs[number] = found
    over.set()
    for thread in threads:
        thread.join(20)
    signal.setitimer(signal.ITIMER_REAL, 0)
    if wrong:
        wrongs[-1] = wrong[:5]
    print(json.dumps({"forks": count, "calls": sum(calls), "wrongs": wrongs}))
    return 1 if wrongs else 0


if __name__ == "__main__":
    seed, count, url, *rest = sys.argv[1:]
    sys.exit(main(int(seed), int(count), url, int(rest[0]) if rest else None))
