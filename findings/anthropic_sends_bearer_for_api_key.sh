#!/bin/sh
# anthropic 2.14.0 (PyPI, Python 3.11): a client that is built with `api_key=` authenticates with
# `Authorization: Bearer <key>` and sends no `X-Api-Key` header, where 0.125.0 sends `X-Api-Key` and no `Authorization`.
# A gateway or a recorded test that looks for `x-api-key` sees no key after the upgrade; nothing in the call changes.
#
# Seen:
#   anthropic 0.125.0: x-api-key=True authorization=False
#   anthropic 2.14.0: x-api-key=False authorization=True
#
# Exits with 0 while that holds.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/ask.py" <<'PY'
import http.server
import json
import threading

import anthropic

seen = {}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        seen.update({name.lower(): value for name, value in self.headers.items()})
        body = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": "end_turn"}
        body["usage"] = {"input_tokens": 1, "output_tokens": 1}
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = anthropic.Anthropic(api_key="key", base_url=f"http://127.0.0.1:{server.server_port}")
client.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "Hi"}])
server.shutdown()
print(f"anthropic {anthropic.__version__}: x-api-key={'x-api-key' in seen} authorization={'authorization' in seen}")
PY
for version in 0.125.0 2.14.0; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "anthropic==$version"
    env -u ANTHROPIC_API_KEY -u ANTHROPIC_AUTH_TOKEN "$folder/$version/bin/python" "$folder/ask.py"
done >"$folder/seen"
cat "$folder/seen"
grep -qx 'anthropic 0.125.0: x-api-key=True authorization=False' "$folder/seen"
grep -qx 'anthropic 2.14.0: x-api-key=False authorization=True' "$folder/seen"
