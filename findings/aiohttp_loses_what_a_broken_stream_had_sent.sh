#!/bin/sh
# aiohttp 3.14.5 (PyPI, Python 3.11): what a response had sent before its connection broke is lost if the reader was busy
# meanwhile. `StreamReader.read`, `readany` and `iter_any` look for the error first, and raise it while received bytes
# wait in the buffer; `read_nowait` does so too, so that no public method gives them out. httpx 0.28.1, and openai 2.54.0
# on its default client, give out every byte and then raise. So on `DefaultAioHttpClient` (httpx-aiohttp 0.2.0) a stream
# that breaks has fewer chunks, the busier the program is: the partial answer that is shown, kept or continued is short.
# google-genai uses aiohttp for async calls wherever it is installed.
#
# Seen, for a stream of two chunks that breaks while its reader sleeps for 0.2 s after the headers:
#   aiohttp: 0 bytes, then ClientPayloadError
#   httpx: 11 bytes, then RemoteProtocolError
#   DefaultAsyncHttpxClient: 2 chunks, then RemoteProtocolError
#   DefaultAioHttpClient: 0 chunks, then ReadError
#
# Exits with 0 while that holds.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/ask.py" <<'PY'
import asyncio
import json
import socket
import threading

import aiohttp
import httpx
import openai

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def frame(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(text):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def serve(listening):
    while True:
        connection, _ = listening.accept()
        with connection:
            request = connection.recv(65536)
            connection.sendall(HEAD)
            pieces = [b"first", b"second"] if request.startswith(b"GET") else [event("first"), event("second")]
            for piece in pieces:
                connection.sendall(frame(piece))
            # closed without the last chunk


async def read(name, unit, pieces, size):
    await asyncio.sleep(0.2)
    count = 0
    try:
        async for piece in pieces:
            count += size(piece)
    except Exception as error:
        print(f"{name}: {count} {unit}, then {type(error).__name__}")


async def main():
    listening = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listening,), daemon=True).start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        await read("aiohttp", "bytes", response.content.iter_any(), len)
    async with httpx.AsyncClient() as client, client.stream("GET", url) as response:
        await read("httpx", "bytes", response.aiter_raw(), len)
    for http_class in (openai.DefaultAsyncHttpxClient, openai.DefaultAioHttpClient):
        async with http_class() as http_client:
            client = openai.AsyncOpenAI(api_key="k", base_url=url, max_retries=0, http_client=http_client)
            messages = [{"role": "user", "content": "Hello"}]
            chunks = await client.chat.completions.create(model="m", messages=messages, stream=True)
            name = "DefaultAioHttpClient" if "Aio" in http_class.__name__ else "DefaultAsyncHttpxClient"
            await read(name, "chunks", chunks, lambda chunk: 1)


asyncio.run(main())
PY
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openai==2.54.0 httpx-aiohttp==0.2.0 httpx==0.28.1 aiohttp==3.14.5
"$folder/venv/bin/python" "$folder/ask.py" >"$folder/seen"
cat "$folder/seen"
grep -qx 'aiohttp: 0 bytes, then ClientPayloadError' "$folder/seen"
grep -qx 'httpx: 11 bytes, then RemoteProtocolError' "$folder/seen"
grep -qx 'DefaultAsyncHttpxClient: 2 chunks, then [A-Za-z]*' "$folder/seen"
grep -qx 'DefaultAioHttpClient: 0 chunks, then [A-Za-z]*' "$folder/seen"
