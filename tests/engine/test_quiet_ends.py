"""The end of an event loop and of the interpreter, with a router that nobody has closed: nothing is written, all ends."""

import subprocess
import sys
import textwrap

import pytest

from tests.interrupts.upstream import upstream

pytestmark = pytest.mark.slow

HEAD = """
import asyncio, sys, threading, time
from multiroute_core import Route, Router
url, = sys.argv[1:]
route = lambda model="quick", name="one": Route(f"openai:{model}", name=name, base_url=url, api_key="k")
router = Router([route(), route(name="two")])

async def ask():
    await router.agenerate("Hi")

async def begin():
    stream = router.astream("Hi")
    await anext(stream)
    return stream

def new_loop(work):
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()
"""

ENDS = {
    "asyncio.run": "asyncio.run(ask())",
    "asyncio.run twice": "asyncio.run(ask()); asyncio.run(ask())",
    "a loop that is closed at once": "new_loop(ask()); new_loop(ask())",
    "a loop that is never closed": "loop = asyncio.new_event_loop(); loop.run_until_complete(ask())",
    "a loop in a thread": "t = threading.Thread(target=new_loop, args=(ask(),)); t.start(); t.join()",
    "a stream of a loop, half read": "asyncio.run(begin())",
    "a sync stream, half read": "stream = router.stream('Hi'); next(stream)",
    "a sync stream, dropped": "next(router.stream('Hi'))",
    "a call in a daemon thread": (
        "slow = Router([route('slow')]); "
        "threading.Thread(target=slow.generate, args=('Hi',), daemon=True).start(); time.sleep(0.005)"
    ),
    "a hedged call": (
        "hedged = Router([route(), route('slow', 'two')], hedge_budget=0.9)\nfor n in range(30): hedged.generate(f'q {n}')"
    ),
    "nest_asyncio": """
import gc
import nest_asyncio
async def cell():
    nest_asyncio.apply()
    for _ in range(3):
        t = threading.Thread(target=new_loop, args=(ask(),)); t.start(); t.join()
        asyncio.run(ask())
    gc.collect()
    await ask()
asyncio.run(cell())
""",
    "a router that is dropped in its loop": """
import gc
async def cell():
    global router
    await ask()
    router = None
    gc.collect()
    await asyncio.sleep(0.01)
asyncio.run(cell())
""",
}


@pytest.fixture(scope="module")
def server():
    with upstream() as running:
        yield running


@pytest.mark.parametrize("end", ENDS)
def test_nothing_is_written_and_the_interpreter_ends(server, end):
    if end == "nest_asyncio":
        pytest.importorskip("nest_asyncio")
    script = HEAD + textwrap.dedent(ENDS[end]) + "\nprint('last')\n"
    done = subprocess.run(
        [sys.executable, "-c", script, server.url], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("last\n", "", 0)
