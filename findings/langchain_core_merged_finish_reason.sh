#!/bin/sh
# langchain-core 1.8.3 (PyPI, Python 3.11): adding the chunks of a stream puts equal metadata strings together. Two chunks
# that both say finish_reason "stop" (servers that repeat it with the usage chunk do so) make a message whose
# finish_reason is "stopstop", and the model's name is "mm". Whoever compares the reason with "stop" or
# "length" after a stream does not know the end of the answer any more.
#
# Seen:
#   finish_reason='stopstop' model_name='mm'
#
# Exits with 0 while that holds.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check langchain-core==1.8.3
"$folder/venv/bin/python" - <<'PY'
from langchain_core.messages import AIMessageChunk

about = {"finish_reason": "stop", "model_name": "m"}
message = AIMessageChunk(content="Hi", response_metadata=about) + AIMessageChunk(content="", response_metadata=about)
merged = message.response_metadata
print(f"finish_reason={merged['finish_reason']!r} model_name={merged['model_name']!r}")
assert merged == {"finish_reason": "stopstop", "model_name": "mm"}
PY
