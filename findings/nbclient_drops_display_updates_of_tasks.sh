#!/bin/sh
# nbclient 0.11.0 with ipykernel 7.4.0 (PyPI, Python 3.11): a display that an asyncio task (or a thread with a copied
# context) updates while a later cell runs keeps its first state in the executed notebook. ipykernel 7 holds the parent
# header in a context variable, so the message of the task names the cell that started the task; nbclient processes only
# the messages of the cell that runs, and drops the update. A plain thread has no copied context: its update names the
# running cell and is kept.
#
# So the progress display of a background task is stale in a notebook that nbclient has executed. A thread that is started
# in an empty context (contextvars.Context().run) names the running cell, as a plain one does.
#
# Seen:
#   asyncio task: 'start'
#   plain thread: 'updated'
#
# Exits with 0 while that holds.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check nbclient==0.11.0 ipykernel==7.4.0
HOME="$folder" "$folder/venv/bin/python" - 2>/dev/null <<'PY'
import nbformat
from nbclient import NotebookClient

DEFINE = """
import asyncio, threading, time
from IPython.display import display

def in_task():
    handle = display("start", display_id=True)
    async def update():
        await asyncio.sleep(1.0)
        handle.update("updated")
    global task  # asyncio holds tasks weakly
    task = asyncio.create_task(update())

def in_thread():
    handle = display("start", display_id=True)
    def update():
        time.sleep(1.0)
        handle.update("updated")
    threading.Thread(target=update).start()
"""


def shown(start: str) -> str:
    cells = [nbformat.v4.new_code_cell(source) for source in (DEFINE, start, "await asyncio.sleep(3.0)")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, kernel_name="python3").execute()
    return notebook.cells[1].outputs[0].data["text/plain"]


task, thread = shown("in_task()"), shown("in_thread()")
print(f"asyncio task: {task}\nplain thread: {thread}")
assert (task, thread) == ("'start'", "'updated'")
PY
