"""A request to a server that speaks OpenAI's API, with a failover behind it; the command starts as well."""

import json
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import uvicorn

from multiroute_core import Router
from multiroute_core.serving import build_app
from multiroute_core.testing import Answer, rate_limited, scripted_route

routes = [scripted_route("first", rate_limited(retry_after=5)), scripted_route("second", Answer("I am here."))]
server = uvicorn.Server(uvicorn.Config(build_app(Router(routes)), port=0, log_level="error"))
thread = threading.Thread(target=server.run)
thread.start()
while not server.started and thread.is_alive():
    time.sleep(0.01)
try:
    address = server.servers[0].sockets[0].getsockname()
    request = urllib.request.Request(
        f"http://127.0.0.1:{address[1]}/v1/chat/completions",
        json.dumps({"model": "auto", "messages": [{"role": "user", "content": "Is anybody there?"}]}).encode(),
        {"content-type": "application/json"},
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=20) as response:
        assert json.load(response)["choices"][0]["message"]["content"] == "I am here."
finally:
    server.should_exit = True
    thread.join()

command = Path(sys.executable).with_name("multiroute")
assert "mr-" in subprocess.run([command, "key", "shop"], capture_output=True, text=True, check=True).stdout
