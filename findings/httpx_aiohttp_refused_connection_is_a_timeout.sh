#!/bin/sh
# openai 2.54.0 with httpx-aiohttp 0.2.0 (PyPI, its extra `aiohttp`, Python 3.11): on `DefaultAioHttpClient` a connection
# that is refused raises `APITimeoutError`, caused by httpx.ConnectTimeout; on the default client it raises
# `APIConnectionError`, caused by httpx.ConnectError. The transport's table names ConnectTimeout for aiohttp's
# ClientConnectionError, and keeps it for the subclass ClientConnectorError, because ConnectError does not derive from it.
#
# Seen:
#   DefaultAsyncHttpxClient: APIConnectionError ConnectError
#   DefaultAioHttpClient: APITimeoutError ConnectTimeout
#
# Exits with 0 while that holds.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/ask.py" <<'PY'
import asyncio
import socket

import openai


async def main():
    with socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))  # it does not listen
        url = f"http://127.0.0.1:{refusing.getsockname()[1]}/v1"
        for http_class in (openai.DefaultAsyncHttpxClient, openai.DefaultAioHttpClient):
            async with http_class() as http_client:
                client = openai.AsyncOpenAI(api_key="k", base_url=url, max_retries=0, http_client=http_client)
                try:
                    await client.models.list()
                except openai.APIConnectionError as error:
                    name = "DefaultAioHttpClient" if "Aio" in http_class.__name__ else "DefaultAsyncHttpxClient"
                    print(f"{name}: {type(error).__name__} {type(error.__cause__).__name__}")


asyncio.run(main())
PY
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openai==2.54.0 httpx-aiohttp==0.2.0 httpx==0.28.1 aiohttp==3.14.5
"$folder/venv/bin/python" "$folder/ask.py" >"$folder/seen"
cat "$folder/seen"
grep -qx 'DefaultAsyncHttpxClient: APIConnectionError ConnectError' "$folder/seen"
grep -qx 'DefaultAioHttpClient: APITimeoutError ConnectTimeout' "$folder/seen"
