"""The bar as people see it: in a real terminal (tmux), in a real notebook's kernel, and as lines of the log."""

import logging
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from multiroute_core import Router
from multiroute_core.batch import bars
from multiroute_core.batch.progress import BatchProgress, duration
from multiroute_core.testing import Answer, scripted_route

ROOT = Path(__file__).parent.parent.parent

PROGRAM = """
from multiroute_core import Router
from multiroute_core.testing import Answer, Fail, scripted_route
from multiroute_core.types import Usage

def behaviour(call):
    return Fail() if call.text.endswith("7") else Answer("{asked}!", headers=0.01, usage=Usage(1_000_000, 1))

route = scripted_route("a", behaviour, prices={"input": 0.5, "output": 0.0})
router = Router([route], max_retries=0)
"""
"""One in ten prompts fails; every response costs half a dollar."""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux shows what a terminal shows, and is not installed")
def test_the_bar_in_a_terminal(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        PROGRAM
        + "router.map([str(n) for n in range(400)], concurrency=4)\nprint('the end')\nimport time; time.sleep(60)"
    )
    tmux = ["tmux", "-S", str(tmp_path / "socket"), "-f", "/dev/null"]
    command = f"PYTHONPATH={ROOT} {sys.executable} {program}"
    subprocess.run([*tmux, "new-session", "-d", "-x", "100", "-y", "20", command], check=True)
    screens = []
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            captured = subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True, check=True)
            if (screen := captured.stdout.strip()) and screen not in screens:
                screens.append(screen)
            if "the end" in screen:
                break
            time.sleep(0.05)
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)
    assert "the end" in screens[-1], screens[-1:]
    assert screens[-1].count("|") == 2, "one bar, drawn over itself"
    moving = [screen for screen in screens if re.search(r"[1-9]\d?%\|", screen)]
    assert len(moving) > 1, screens
    assert re.search(
        r"^ *\d+%\|[^|]+\| \d+/400 \[\d\d:\d\d<\d\d:\d\d, +\d+\.\d\d/s, \d+ failed, \$[\d.,]+\]$",
        moving[len(moving) // 2],
        re.MULTILINE,
    ), moving[len(moving) // 2]
    assert re.search(r"100%\|█+\| 400/400 \[.+40 failed, \$180.00\]", screens[-1])


@pytest.mark.slow
async def test_the_bar_in_a_notebook(tmp_path, monkeypatch):
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [
        nbformat.v4.new_code_cell(PROGRAM),
        nbformat.v4.new_code_cell(
            "results = router.map([str(n) for n in range(200)], concurrency=4)\nresults[:3].texts"
        ),
        nbformat.v4.new_code_cell("(await router.amap((str(n) for n in range(30)))).table(2)"),
    ]
    kernel = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    updates = []

    class Client(NotebookClient):
        def process_message(self, msg, cell, cell_index):
            if msg["msg_type"] == "update_display_data":
                updates.append(msg["content"]["data"]["text/plain"])
            return super().process_message(msg, cell, cell_index)

    await Client(notebook, km=kernel, timeout=60).async_execute(cleanup_kc=True)
    first, second = notebook.cells[1].outputs, notebook.cells[2].outputs
    assert [output.output_type for output in first] == ["display_data", "execute_result"]
    assert len(updates) > 1, "it moves"
    bar = first[0].data
    assert bar["text/plain"].startswith("200 of 200 done, "), "what is saved is the last state"
    assert "20 failed, $90.00" in bar["text/plain"]
    assert '<progress value="200" max="200">' in bar["text/html"]
    assert "mathjax_ignore" in bar["text/html"]
    assert "<style" not in bar["text/html"]
    assert first[1].data["text/plain"] == "['0!', '1!', '2!']"
    assert second[0].data["text/plain"].startswith("30 done, "), "a generator has no total"
    assert "<progress" not in second[0].data["text/html"]
    assert "28 more" in second[1].data["text/html"]


def test_lines_of_the_log_where_there_is_neither(caplog, monkeypatch):
    caplog.set_level(logging.INFO, "multiroute_core")
    router = Router([scripted_route("a", Answer("x"))])
    monkeypatch.setattr(bars, "LOG_SECONDS", 0.0)
    router.map(["1", "2"])
    assert "Batch: 2 of 2 done, " in caplog.text


def test_without_tqdm_a_terminal_gets_the_log(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "multiroute_core")
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert isinstance(bars.build_display(), bars.LogLines)
    assert "pip install tqdm" in caplog.text


def test_importing_the_package_loads_no_bar():
    code = "import sys, multiroute_core.batch.threads; print([m for m in ('tqdm', 'rich', 'IPython', 'pandas') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_progress_in_words():
    progress = BatchProgress(done=1200, total=4000, failed=3, cached=12, cost=0.42, unknown_costs=0, seconds=60.0)
    assert str(progress) == "1,200 of 4,000 done, 20.0/s, 3 failed, 12 cached, $0.420, 2:20 left"
    assert str(BatchProgress()) == "0 done, 0.0/s"
    assert BatchProgress(done=1, unknown_costs=1).details() == "cost unknown"
    assert BatchProgress(done=2, cost=1.0, unknown_costs=1).details() == "$1.00 + ?"
    assert BatchProgress(total=5).remaining_seconds is None
    assert [duration(seconds) for seconds in (0.0, 12.34, 187, 3765)] == ["0.00 s", "12.3 s", "3:07", "1:02:45"]
