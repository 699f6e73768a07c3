#!/bin/sh
# llama-index-llms-anthropic 0.12.3 (PyPI, Python 3.11) requires anthropic>=0.75 without an upper bound, so pip installs
# anthropic 2.14.0. There MessageParam, which it calls to build each message, is a Union and cannot be called: the first
# message of any conversation raises a TypeError before anything is sent. With anthropic 0.125.0 it works.
#
# Seen:
#   anthropic 2.14.0: TypeError: Cannot instantiate typing.Union
#   anthropic 0.125.0: a message is built
#
# Exits with 0 while that holds.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
install() {
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check llama-index-llms-anthropic==0.12.3 llama-index-core==0.14.25 "$1"
}
build() {
    "$folder/venv/bin/python" - <<'PY'
import anthropic
from llama_index.core.llms import ChatMessage
from llama_index.llms.anthropic.utils import messages_to_anthropic_messages

try:
    messages, _ = messages_to_anthropic_messages([ChatMessage(role="user", content="Hello")])
    print(f"anthropic {anthropic.__version__}: a message is built")
except TypeError as error:
    print(f"anthropic {anthropic.__version__}: TypeError: {error}")
PY
}
install anthropic==2.14.0
new=$(build)
echo "$new"
install anthropic==0.125.0
old=$(build)
echo "$old"
case "$new" in *"TypeError: Cannot instantiate typing.Union") ;; *) exit 1 ;; esac
case "$old" in *"a message is built") ;; *) exit 1 ;; esac
