#!/bin/sh
# rich 15.0.0: in a Jupyter kernel, `Console(file=StringIO()).print(...)` writes nothing to the file it was given; it
# displays the text as an output of the cell. Whoever renders into a string there (as `__str__` may do) draws it twice.
# `force_jupyter=False` makes it write. Seen with ipykernel 7.1.0 and jupyter_client 8.6.3 on Python 3.11; exit 0 as long
# as that is so.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check rich==15.0.0 ipykernel==7.1.0 jupyter_client==8.6.3
IPYTHONDIR="$scratch" JUPYTER_RUNTIME_DIR="$scratch" "$scratch/venv/bin/python" - <<'PYTHON'
from jupyter_client.manager import start_new_kernel

CODE = """
import io
from rich.console import Console
files = [io.StringIO(), io.StringIO()]
Console(file=files[0]).print("by default")
Console(file=files[1], force_jupyter=False).print("forced")
[each.getvalue() for each in files]
"""
manager, client = start_new_kernel(kernel_name="python3")
messages = []
try:
    client.execute_interactive(CODE, timeout=60, output_hook=messages.append)
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
displayed = [m["content"]["data"]["text/plain"] for m in messages if m["msg_type"] == "display_data"]
(files,) = [m["content"]["data"]["text/plain"] for m in messages if m["msg_type"] == "execute_result"]
print("displayed:", displayed)
print("files:", files)
assert [text.strip() for text in displayed] == ["by default"], displayed
assert files == repr(["", "forced\n"]), files
PYTHON
