#!/bin/sh
# google-genai 3.6.1 (PyPI, Python 3.11): a Gemini stream that holds a control-only frame of the server-sent events
# standard (`retry: 3000`, or an empty `data:`), as gateways send to keep a connection alive, ends with
# UnknownApiResponseError, though the standard (https://html.spec.whatwg.org/multipage/server-sent-events.html) makes
# such frames no events. The openai SDK reads the same frames without a word.
#
# Seen:
#   plain: Hello
#   retry: UnknownApiResponseError
#   empty data: UnknownApiResponseError
#
# Exits with 0 while that holds.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check google-genai==3.6.1
env -u GOOGLE_API_KEY -u GEMINI_API_KEY "$folder/venv/bin/python" - <<'PY'
import http.server
import json
import threading

from google import genai

FRAMES = {"plain": b"", "retry": b"retry: 3000\n\n", "empty data": b"data:\n\n"}
EVENT = {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hello"}]}, "finishReason": "STOP"}]}
frame = b""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        content = frame + b"data: " + json.dumps(EVENT).encode() + b"\n\n"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = genai.Client(api_key="key", http_options={"base_url": f"http://127.0.0.1:{server.server_port}"})
seen = {}
for name, frame in FRAMES.items():
    try:
        chunks = client.models.generate_content_stream(model="gemini-2.5-flash", contents="Hi")
        seen[name] = "".join(chunk.text or "" for chunk in chunks)
    except Exception as error:
        seen[name] = type(error).__name__
    print(f"{name}: {seen[name]}")
server.shutdown()
assert seen == {"plain": "Hello", "retry": "UnknownApiResponseError", "empty data": "UnknownApiResponseError"}
PY
