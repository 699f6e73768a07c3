#!/bin/sh
# uvicorn 0.54.0 with httptools 0.9.0 (PyPI, Python 3.11): a response without content-length to a request of HTTP/1.0, such
# as a stream of events, has `transfer-encoding: chunked`. HTTP/1.0 does not know it, and RFC 9112, section 6.1, forbids to
# send it: the client reads the lengths of the chunks as content. The other parser (`http="h11"`) ends the body by closing
# the connection, as it should be. An application cannot change this, since uvicorn sets the header itself.
#
# Seen:
#   httptools: chunked=True, body=b'5\r\nhello\r\n0\r\n\r\n'
#   h11: chunked=False, body=b'hello'
#
# Exits with 0 while that holds.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/ask.py" <<'PY'
import socket
import threading
import time

import uvicorn


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    await send({"type": "http.response.body", "body": b"hello", "more_body": True})
    await send({"type": "http.response.body", "body": b""})


for parser in ("httptools", "h11"):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, http=parser, lifespan="off", log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        with socket.create_connection(listener.getsockname()) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            head, _, body = b"".join(iter(lambda: client.recv(4096), b"")).partition(b"\r\n\r\n")
        print(f"{parser}: chunked={b'transfer-encoding: chunked' in head.lower()}, body={body!r}")
        server.should_exit = True
        thread.join()
PY
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check uvicorn==0.54.0 httptools==0.9.0
"$folder/venv/bin/python" "$folder/ask.py" >"$folder/seen"
cat "$folder/seen"
grep -qxF "httptools: chunked=True, body=b'5\r\nhello\r\n0\r\n\r\n'" "$folder/seen"
grep -qxF "h11: chunked=False, body=b'hello'" "$folder/seen"
