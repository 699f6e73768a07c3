#!/bin/sh
# langchain-core 1.8.3 (PyPI, Python 3.11): StrOutputParser, the last step of most chains, does no I/O, and in sync code
# it parses where it is called. In async code it sends every chunk of a stream to the event loop's default thread pool
# and waits for it. So each chunk costs a hop to a thread and back, and a stream stands still while that pool
# (min(32, cores + 4) threads) is busy with something else, such as asyncio.to_thread(blocking_call) of another request.
#
# Seen:
#   transform of 50 chunks: 0 of them parsed in another thread
#   atransform of 50 chunks: 50 of them parsed in another thread
#   ainvoke: 1 of 1 parsed in another thread
#   while the pool is busy: 0 chunks arrive; when it is free again: 50
#
# Exits with 0 while that holds.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check langchain-core==1.8.3
"$folder/venv/bin/python" - <<'PY'
import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.output_parsers import StrOutputParser

CHUNKS = [AIMessageChunk(content=f"{number} ") for number in range(50)]
elsewhere = []


class Parser(StrOutputParser):
    """Notes in which thread it parses."""

    def parse(self, text):
        elsewhere.append(threading.current_thread() is not threading.main_thread())
        return super().parse(text)


async def stream():
    for chunk in CHUNKS:
        yield chunk


def count():
    """How many were parsed in another thread, of how many; then counting starts anew."""
    counts = sum(elsewhere), len(elsewhere)
    elsewhere.clear()
    return counts


async def in_async_code():
    parser = Parser()
    async for _ in parser.atransform(stream()):
        pass
    streamed = count()
    await parser.ainvoke(AIMessage("x"))
    whole = count()

    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(2))
    free = threading.Event()
    others = [asyncio.ensure_future(asyncio.to_thread(free.wait)) for _ in range(2)]
    arrived = []

    async def read():
        async for piece in StrOutputParser().atransform(stream()):
            arrived.append(piece)

    reader = asyncio.ensure_future(read())
    await asyncio.sleep(1.0)
    while_busy = len(arrived)
    free.set()
    await asyncio.gather(reader, *others)
    return streamed, whole, while_busy, len(arrived)


list(Parser().transform(iter(CHUNKS)))
sync = count()
streamed, whole, while_busy, afterwards = asyncio.run(in_async_code())
print(f"transform of {sync[1]} chunks: {sync[0]} of them parsed in another thread")
print(f"atransform of {streamed[1]} chunks: {streamed[0]} of them parsed in another thread")
print(f"ainvoke: {whole[0]} of {whole[1]} parsed in another thread")
print(f"while the pool is busy: {while_busy} chunks arrive; when it is free again: {afterwards}")
sys.exit((sync, streamed, whole, while_busy, afterwards) != ((0, 50), (50, 50), (1, 1), 0, 50))
PY
