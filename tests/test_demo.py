"""What a newcomer runs first: the demo, and the samples in the README."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from llmock.testing import LLMockServer

from multiroute_core.provider_table import PROVIDERS

pytestmark = [pytest.mark.slow, pytest.mark.notebook]

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
SECONDS = 240

BROKEN = """
import sys
import demo
import scenes

def surprise(show):
    show.stage.down("google")
    scenes.rate_limit(show)

def bug(show):
    raise ZeroDivisionError("division by zero")

sys.exit(demo.main([
    scenes.Scene("Well", "the real provider answers", scenes.all_well),
    scenes.Scene("By task", "as ever", scenes.by_task),
    scenes.Scene("Surprise", "Gemini answers", surprise),
    scenes.Scene("Bug", "no bug", bug),
]))
"""


README = r"""
import re
from pathlib import Path

words, names = Path("README.md").read_text(encoding="utf-8"), {}
for sample in re.findall(r"```python\n(.*?)```", words, re.DOTALL):
    exec(sample, names)
"""


def play(*arguments, **variables):
    gone = {name for spec in PROVIDERS.values() for name in spec.key_variables}
    env = {name: value for name, value in os.environ.items() if name not in gone}
    env |= {"PYTHONPATH": os.pathsep.join([str(EXAMPLES), str(ROOT)]), "PYTHONIOENCODING": "utf-8", "COLUMNS": "80"}
    done = subprocess.run(
        [sys.executable, *arguments],
        env=env | variables,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=SECONDS,
    )
    for noise in ("Traceback", "Warning", "WARNING", "Error in"):
        assert noise not in done.stdout, done.stdout
    return done


def table(output):
    """The last column of the summary: a mark for each scene."""
    *_, summary = output.split("tried → answered")
    return re.findall(r"\d +(✓|✗)", summary)


def test_every_scene_ends_as_it_should():
    done = play(str(EXAMPLES / "demo.py"))
    assert done.returncode == 0, done.stdout
    assert table(done.stdout) == ["✓"] * 10, done.stdout
    assert "10 of 10 scenes ended as they should" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_scenes_that_do_not_end_as_they_should_fail_the_demo_and_the_others_still_play():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens: a real provider that cannot be reached
        done = play("-c", BROKEN, **key(f"http://127.0.0.1:{taken.getsockname()[1]}"))
    assert done.returncode == 1, done.stdout
    assert table(done.stdout) == ["✗", "✓", "✗", "✗"], done.stdout
    words = " ".join(done.stdout.split())
    assert "Without keys in the environment this scene uses the embedded providers." in words
    assert "Not as expected: Gemini answered 0 of 4 calls" in words
    assert "Not as expected: ZeroDivisionError: division by zero" in words


def test_where_a_real_key_is_the_first_scene_asks_the_real_provider_and_no_other_scene_does():
    with LLMockServer() as server:
        done = play(
            "-c",
            "import sys, demo, scenes; sys.exit(demo.main(scenes.SCENES[:2]))",
            **key(server.base_url("openai")),
        )
        assert len(server.state.journal.records()) == 2
    assert done.returncode == 0, done.stdout
    assert "Keys found" in done.stdout


def test_the_samples_in_the_readme_run():
    with LLMockServer() as server:
        wires = {"ANTHROPIC": "anthropic", "OPENAI": "openai", "GOOGLE_GEMINI": "gemini"}
        bases = {f"{name}_BASE_URL": server.base_url(wire) for name, wire in wires.items()}
        keys = dict.fromkeys(("ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "OPENAI_API_KEY"), "real")
        done = play("-c", README, NO_PROXY="127.0.0.1", **keys, **bases)
        asked = {record.provider for record in server.state.journal.records()}
    assert done.returncode == 0, done.stdout
    assert asked == {"anthropic", "gemini", "openai"}
    assert "'route': 'anthropic:claude-sonnet-5-5'" in done.stdout


def key(base_url):
    return {"OPENAI_API_KEY": "real", "OPENAI_BASE_URL": base_url, "NO_PROXY": "127.0.0.1"}
