#!/bin/sh
# starlette 1.10.0 on anyio 4.16.0 (PyPI, Python 3.11): StreamingResponse neither closes a sync generator nor lets go of
# it when its client has left, on servers whose ASGI spec_version is below 2.4. The generator hangs in a reference cycle
# (generator, iterate_in_threadpool, StreamingResponse, frame of its cancelled task, traceback, CancelledError), so its
# `finally` runs when the garbage collector comes by, if ever: a service that freezes or disables the collector never
# gives back what its generators hold (a connection to a model's provider, a lock, a place in a limit), and others do so
# late. A generator that is read to its end closes at once.
#
# Seen:
#   read to its end: closed=True
#   client has left: closed=False
#   after gc.collect(): closed=True
#
# Exits with 0 while that holds.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check starlette==1.10.0 anyio==4.16.0
"$folder/venv/bin/python" - <<'PY'
import asyncio
import gc
import itertools

from starlette.responses import StreamingResponse

closed: set[str] = set()


def stream(name, numbers):
    try:
        for number in numbers:
            yield f"{name} {number} "
    finally:
        closed.add(name)


async def serve(content, *, leaves: bool) -> None:
    """Answer one request, whose client leaves after three chunks or stays."""
    left = asyncio.Event()
    chunks = 0

    async def send(message):
        nonlocal chunks
        chunks += message["type"] == "http.response.body"
        if leaves and chunks == 3:
            left.set()
        await asyncio.sleep(0)

    async def receive():
        await left.wait()
        return {"type": "http.disconnect"}

    await StreamingResponse(content)({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send)


async def main() -> None:
    await serve(stream("whole", range(5)), leaves=False)
    await serve(stream("left", itertools.count()), leaves=True)
    await asyncio.sleep(0.5)  # for all tasks and threads to end
    print(f"read to its end: closed={'whole' in closed}")
    print(f"client has left: closed={'left' in closed}")
    assert closed == {"whole"}, closed
    gc.collect()
    print(f"after gc.collect(): closed={'left' in closed}")
    assert closed == {"whole", "left"}, closed


gc.disable()
asyncio.run(main())
PY
