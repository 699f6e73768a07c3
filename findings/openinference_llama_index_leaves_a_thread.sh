#!/bin/sh
# openinference-instrumentation-llama-index 4.6.1 with llama-index-core 0.14.25 (PyPI, Python 3.11): whoever instruments
# and uninstruments in turn, as a test suite does for each test, keeps one more thread every time. The handler's queue of
# ended spans starts a thread that wakes ten times a second, and is to end when the queue is collected. But the thread
# runs a bound method of that queue, so the queue is never collected, and neither are the thread nor the spans in it:
# uninstrument() removes the handler from LlamaIndex's dispatcher and leaves the rest.
#
# Seen:
#   5 rounds of instrument() and uninstrument(): 5 more threads, all in _ExportQueue._sweep, after gc.collect() too
#
# Exits with 0 while that holds.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    openinference-instrumentation-llama-index==4.6.1 llama-index-core==0.14.25 opentelemetry-sdk==1.45.2
"$folder/venv/bin/python" - <<'PY'
import gc
import sys
import threading
import time

from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
from opentelemetry.sdk.trace import TracerProvider

ROUNDS = 5


def sweeping() -> int:
    """Threads that are in the queue's method now."""
    names = []
    for frame in sys._current_frames().values():
        while frame is not None:
            names.append(frame.f_code.co_qualname)
            frame = frame.f_back
    return names.count("_ExportQueue._sweep")


before = threading.active_count()
for _ in range(ROUNDS):
    instrumentor = LlamaIndexInstrumentor()
    instrumentor.instrument(tracer_provider=TracerProvider(shutdown_on_exit=False))
    instrumentor.uninstrument()
del instrumentor
gc.collect()
time.sleep(1.0)  # ten turns of the thread
more = threading.active_count() - before
print(f"{ROUNDS} rounds of instrument() and uninstrument(): {more} more threads, {sweeping()} in _ExportQueue._sweep")
assert more == sweeping() == ROUNDS
PY
