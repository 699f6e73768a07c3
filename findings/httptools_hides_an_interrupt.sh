#!/bin/sh
# httptools 0.9.0 (PyPI, Python 3.11): a KeyboardInterrupt that is raised in a callback of the parser leaves `feed_data` as
# HttpParserCallbackError, which is an Exception: `except Exception` around the parser swallows Ctrl-C, and the interrupt
# is found in its `__context__` alone. Signals are handled between any two instructions of Python code, and the
# callbacks are most of the Python code that runs while a response is parsed.
#
# A parser's `should_keep_alive()` is true only inside the callbacks; asked after `feed_data`, it says no for a response
# after which the connection stays open.
#
# Seen:
#   interrupt: HttpParserCallbackError, an Exception: True, context: KeyboardInterrupt
#   keep-alive in the callback: True, afterwards: False
#
# Exits with 0 while that holds.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/parse.py" <<'PY'
import httptools

RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Interrupted:
    def on_header(self, name, value):
        raise KeyboardInterrupt


class Asking:
    def on_message_complete(self):
        self.keeps_alive = parser.should_keep_alive()


try:
    httptools.HttpResponseParser(Interrupted()).feed_data(RESPONSE)
except BaseException as error:
    kind, context = type(error).__name__, type(error.__context__).__name__
    print(f"interrupt: {kind}, an Exception: {isinstance(error, Exception)}, context: {context}")
asking = Asking()
parser = httptools.HttpResponseParser(asking)
parser.feed_data(RESPONSE)
print(f"keep-alive in the callback: {asking.keeps_alive}, afterwards: {parser.should_keep_alive()}")
PY
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check httptools==0.9.0
"$folder/venv/bin/python" "$folder/parse.py" >"$folder/seen"
cat "$folder/seen"
grep -qx 'interrupt: HttpParserCallbackError, an Exception: True, context: KeyboardInterrupt' "$folder/seen"
grep -qx 'keep-alive in the callback: True, afterwards: False' "$folder/seen"
