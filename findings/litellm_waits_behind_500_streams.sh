#!/bin/sh
# litellm 1.110.2 (PyPI, Python 3.11): a process opens at most 500 connections to one host. With 500 streams open, the next
# call to that host waits until one of them ends: no event, no log line, and neither the SDK's nor the server's limits say
# so. The limit is aiohttp's `limit_per_host`, set by the environment variable AIOHTTP_CONNECTOR_LIMIT_PER_HOST, read at
# import. The openai SDK opens 1,000 by default and raises PoolTimeout beyond.
#
# Seen, with 501 streams that stay open:
#   500 opened, then stream 501 had no answer within 5 s
#   with AIOHTTP_CONNECTOR_LIMIT_PER_HOST=1000: 501 opened
#
# Exits with 0 while that holds.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/ask.py" <<'PY'
import asyncio
import json
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm

CHOICE = {"index": 0, "delta": {"role": "assistant", "content": "Hello"}, "finish_reason": None}
CHUNK = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [CHOICE]}
EVENT = b"data: " + json.dumps(CHUNK).encode() + b"\n\n"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


async def serve(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HEAD + b"%x\r\n%b\r\n" % (len(EVENT), EVENT))
    await asyncio.sleep(600)  # the stream stays open


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    streams = []
    for number in range(1, 502):
        try:
            async with asyncio.timeout(5 if number > 500 else 60):
                chunks = await litellm.acompletion(
                    model="openai/m",
                    messages=[{"role": "user", "content": "Hello"}],
                    stream=True,
                    api_base=url,
                    api_key="k",
                    max_retries=0,
                )
                await anext(chunks)
        except TimeoutError:
            print(f"{len(streams)} opened, then stream {number} had no answer within 5 s", flush=True)
            os._exit(0)
        streams.append(chunks)
    print(f"{len(streams)} opened", flush=True)
    os._exit(0)


asyncio.run(main())
PY
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check litellm==1.110.2
"$folder/venv/bin/python" "$folder/ask.py" 2>/dev/null >"$folder/seen"
AIOHTTP_CONNECTOR_LIMIT_PER_HOST=1000 "$folder/venv/bin/python" "$folder/ask.py" 2>/dev/null >"$folder/more"
cat "$folder/seen" "$folder/more"
grep -qx '500 opened, then stream 501 had no answer within 5 s' "$folder/seen"
grep -qx '501 opened' "$folder/more"
