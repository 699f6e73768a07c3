"""Every notebook runs from its first cell to its last, and shows what it promises."""

import re
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

pytestmark = pytest.mark.slow

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
SECONDS = 120
SHOWN = {
    "01_quickstart": (
        r"anthropic:\S+ +✗ server error",  # the attempts of the failover
        r"openai:\S+ +✗ rate limit",
        r"google:\S+ +✓ success",
        r"12 of 12 done",
        r"The stream broke after \d+ characters",
        r"local:smollm2",
    ),
    "02_rag": (
        r"anthropic:\S+ +broken_stream",
        r"openai:\S+ +success",
        r"StreamInterruptedError after: Raise an error",
    ),
    "03_agent": (
        r"Anthropic is degraded since 14:02 and OpenAI is operational",
        r"anthropic:claude-sonnet-5-5: overloaded → openai:gpt-6.1-sol: success",
        r'assistant \[\'provider_status\{"provider": "anthropic"\}\'\]',
    ),
    "04_costs": (
        r"40 answered",
        r"40 from the cache",
        r"answers, then: The budget 'usd/day/tenant' of tenant 'acme'",
        r"Saved by the cache",
    ),
    "05_drill": (r"1260 questions in", r"1260 +0 +", r"1 passed"),
    "06_cache": (
        r"200 of 200 done.*, 1\d\d cached",
        r"reset my gmail password +● from the cache +0\.9",
        r"2000 mg of ibuprofen\? +○ a call",
        r"\d answers in this process, then: The limit 'rpm/tenant' of tenant 'acme' is reached",
        r"anthropic:\S+ +○ open",
        r"calls, all answered",
        r"Redis at \S+ is available again",
    ),
    "07_cascade": (
        r"small +✗ rejected",
        r"large +✓ success",
        r"large alone +79 ",
        r"cascade: and a small judge +78 ",
    ),
    "08_guards": (
        r"received: Opening hours: Monday to Friday, 9 to 17\. Parking is behind the house\. Dogs are welcome\.",
        r"'detect_injection' blocked .+ \(0 requests sent\)",
        r"the provider received +Write to \[EMAIL_1\] or call \[PHONE_1\]; please pay to \[IBAN_1\]\.",
        r"the user sees +I will write to ada@example\.org",
        r"I will write to bob@example\.com[^$]*cached",
        r"the EU is down +Please call me: 030 901820\. +no answer",
        r"blocked the answer: a part of the system prompt",
    ),
}
"""What a notebook must show, whatever else it does."""

WARNINGS = (
    r"(Route '\S+': circuit breaker opened for .+\n"
    r"|Budget '\S+' of '\S+': .+ spent\.\n"
    r"|(Redis at|The cache) .+\n)+"  # on a machine so busy that Valkey takes more than 20 ms
)


@pytest.fixture
def execute(tmp_path, monkeypatch):
    """Runs a notebook in this Python's own kernel: no kernel, profile or setting of the machine's user gets in."""
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.delenv("MPLBACKEND", raising=False)

    def run(path):
        notebook = nbformat.read(path, as_version=4)
        # Without directories to look in, the only kernel is the one that ipykernel brings along.
        kernel = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
        where = {"metadata": {"path": str(path.parent)}}
        NotebookClient(notebook, km=kernel, timeout=SECONDS, allow_errors=False, resources=where).execute(
            cleanup_kc=True  # nbclient leaves a kernel manager that it was given, and its kernel, to the giver
        )
        return notebook

    return run


def outputs(notebook):
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def told(path, notebook):
    """All that the notebook shows as text; what it promises is in it, and no error."""
    found = []
    for output in outputs(notebook):
        assert output.output_type != "error", output
        if output.get("name") == "stderr":  # the log's warnings, and nothing else
            assert re.fullmatch(WARNINGS, output.text), output
            continue
        found.append(output.get("text") or output.data.get("text/plain", ""))
    text = "\n".join(found)
    for pattern in SHOWN.get(path.stem, ()):
        assert re.search(pattern, text), (pattern, text)
    return text


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.notebook
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, execute):
    told(path, execute(path))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_with_its_outputs_and_without_paths_of_a_machine(path):
    notebook = nbformat.read(path, as_version=4)
    text = told(path, notebook)
    assert text
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
    assert "site-packages" not in text
    assert str(Path(__file__).parent.parent) not in path.read_text(encoding="utf-8")
