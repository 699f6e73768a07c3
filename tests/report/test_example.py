"""The example that the picture in the docs is made of."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from multiroute_core import report
from multiroute_core.report.source import source

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
def test_a_day_of_it_is_the_same_in_print_and_in_the_ledger(tmp_path):
    command = [sys.executable, str(ROOT / "examples" / "report.py"), "--days", "1", "--ledger", f"{tmp_path}/day.db"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=120, env={"PYTHONPATH": str(ROOT)}
    )
    ledger = source(f"{tmp_path}/day.db")
    made = report.of(ledger.read())
    ledger.close()
    assert done.stderr == ""
    assert done.stdout == f"{made}\n"
    assert made.total.cost > 1
    assert made.total.unknown
    assert made.requests.answered > 200
    assert re.search(r"search +\$", done.stdout)


def test_the_picture_is_there_and_small():
    picture = ROOT / "docs" / "images" / "report.png"
    assert picture.stat().st_size < 300_000
    with Image.open(picture) as image:
        assert image.width > 1000
