"""The report's tables in a terminal, drawn by rich."""

import os
import subprocess
import sys
from pathlib import Path

from multiroute_core import Router
from multiroute_core.testing import Answer, rate_limited, scripted_route

routes = [scripted_route("first", rate_limited(retry_after=5)), scripted_route("second", Answer("I am here."))]
with Router(routes, ledger="sqlite:///ledger.db") as router:
    assert router.generate("Is anybody there?").route == "second"

command = [Path(sys.executable).with_name("multiroute"), "report", "ledger.db"]
environment = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm-256color"}
printed = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
assert "second" in printed
assert "\x1b[" in printed, "no colours"
