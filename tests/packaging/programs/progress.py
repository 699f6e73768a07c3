"""A batch with tqdm's bar, on a terminal of its own."""

import os
import pty
import subprocess
import sys
import termios

CHILD = """
from multiroute_core import Router
from multiroute_core.testing import Answer, rate_limited, scripted_route
routes = [scripted_route("first", rate_limited(retry_after=5)), scripted_route("second", Answer("I am here."))]
results = Router(routes).map(["one", "two", "three"], progress=True)
assert results.texts == ["I am here."] * 3, results
"""

reader, terminal = pty.openpty()
termios.tcsetwinsize(terminal, (24, 80))
child = subprocess.run([sys.executable, "-I", "-c", CHILD], stderr=terminal, check=False, timeout=60)
text = os.read(reader, 65_536).decode()
assert child.returncode == 0, text
assert "3/3" in text, text
