#!/bin/sh
# llama-index-llms-openai 0.7.2 (PyPI, Python 3.11, with llama-index-core 0.14.5 and openai 2.54.0) sends the arguments of
# a tool call in the history as a JSON object if the `ToolCallBlock` holds a dict, which its type allows. OpenAI's API
# takes a text there (https://developers.openai.com/api/reference/resources/chat, read 2026-11-30) and answers 400,
# "expected a string". So a history written by another integration, whose blocks hold dicts, cannot be continued.
# 0.8.0 writes the text; a block that holds a text is right in both.
#
# Seen:
#   0.7.2  dict: dict   text: str
#   0.8.0  dict: str    text: str
#
# Exits with 0 while that holds.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cat > "$folder/look.py" <<'PY'
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from llama_index.core.base.llms.types import ChatMessage, TextBlock, ToolCallBlock
from llama_index.llms.openai import OpenAI

bodies = []
ANSWER = {
    "id": "1", "object": "chat.completion", "created": 1, "model": "gpt-4o",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Cold."}}],
}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        answer = json.dumps(ANSWER).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
llm = OpenAI(model="gpt-4o", api_key="k", api_base=f"http://127.0.0.1:{server.server_port}/v1", max_retries=0)
kinds = []
for arguments in ({"city": "Oslo"}, '{"city": "Oslo"}'):
    call = ToolCallBlock(tool_call_id="c1", tool_name="weather", tool_kwargs=arguments)
    result = ChatMessage(role="tool", blocks=[TextBlock(text="-3")], additional_kwargs={"tool_call_id": "c1"})
    llm.chat([ChatMessage(role="user", content="How is it?"), ChatMessage(role="assistant", blocks=[call]), result])
    (sent,) = bodies[-1]["messages"][1]["tool_calls"]
    kinds.append(type(sent["function"]["arguments"]).__name__)
print(f"dict: {kinds[0]:<6} text: {kinds[1]}")
assert kinds == sys.argv[1:], "the integration has changed"
PY
for pair in "0.7.2 dict" "0.8.0 str"; do
    version=${pair% *}
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check llama-index-core==0.14.5 openai==2.54.0 \
        "llama-index-llms-openai==$version" 2>/dev/null
    printf '%s  ' "$version"
    "$folder/venv/bin/python" "$folder/look.py" "${pair#* }" str
done
