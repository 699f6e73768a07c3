"""The live view of requests, in a real notebook's kernel."""

from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent

CELLS = (
    """
from multiroute_core import RequestLog, Router
from multiroute_core.request_log import view
from multiroute_core.testing import Answer, scripted_route
view.REFRESH_SECONDS = 0.05
router = Router([scripted_route("a", Answer("x", headers=0.01))], on_event=[RequestLog(capture_content=True)])
""",
    "live = router.requests().watch()\nlive",
    "import time\nfor number in range(5):\n    router.generate(f'question {number}')\n    time.sleep(0.1)",
    "live.stop()\ntime.sleep(0.3)\nimport threading\nlen([t for t in threading.enumerate() if 'refresh' in repr(t) or t.name.startswith('Thread-')]), live",
    "router.generate('unseen'); time.sleep(0.2); router.requests()[0]",
)


async def test_the_table_updates_while_other_cells_run(tmp_path, monkeypatch):
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    updates = []

    class Client(NotebookClient):
        def process_message(self, msg, cell, cell_index):
            if msg["msg_type"] == "update_display_data":
                updates.append(msg["content"]["data"]["text/html"])
            return super().process_message(msg, cell, cell_index)

    kernel = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    await Client(notebook, km=kernel, timeout=60).async_execute(cleanup_kc=True)
    table, handle = notebook.cells[1].outputs
    assert len(updates) >= 3
    assert "question 4" in table.data["text/html"], "the first cell's output shows what later cells did"
    assert "question 0" in table.data["text/plain"]
    assert "running; .stop() ends it" in handle.data["text/plain"]
    assert "stopped" in notebook.cells[3].outputs[0].data["text/plain"]
    assert "unseen" not in table.data["text/html"], "it is stopped"
    opened = notebook.cells[4].outputs[0].data
    assert "unseen" in opened["text/html"]
    assert "█" in opened["text/plain"]
