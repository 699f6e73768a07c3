"""Real JupyterLab in a real browser, without settings of the machine's user.

python -m tests.display.lab FOLDER  # writes pictures of every object that shows itself, as scripts/screenshot does
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from IPython.core.formatters import DisplayFormatter

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"
SECONDS = 120
NAME = "shown.ipynb"


def notebook(bundles: dict[str, dict[str, str]]) -> nbformat.NotebookNode:
    """Return a notebook with one output for each bundle."""
    cells = []
    for number, (source, bundle) in enumerate(bundles.items(), 1):
        output = nbformat.v4.new_output("execute_result", data=bundle, execution_count=number)
        cells.append(nbformat.v4.new_code_cell(source, execution_count=number, outputs=[output]))
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"}}
    return nbformat.v4.new_notebook(cells=cells, metadata=kernel)


def bundle(shown: Any) -> dict[str, str]:
    """Return what IPython sends to a front end for an object."""
    return DisplayFormatter().format(shown)[0]


class Lab:
    """A JupyterLab server with one notebook, and a browser to look at it."""

    def __init__(self, folder: Path, browser: Any, address: str, environment: dict[str, str]) -> None:
        self._folder = folder
        self._browser = browser
        self._address = address
        self._environment = environment

    def trust(self) -> None:
        """Sign the notebook as if this machine's user had run it."""
        command = [sys.executable, "-m", "jupyter", "trust", str(self._folder / "notebooks" / NAME)]
        subprocess.run(command, env=self._environment, check=True, capture_output=True)

    @contextlib.contextmanager
    def page(self, theme: str, width: int, height: int = 900) -> Iterator[Any]:
        """Open the notebook.

        Args:
            theme: `"Light"` or `"Dark"`.
            width: Of the window, in pixels.
            height: Likewise.
        """
        write_settings(self._folder, theme)
        page = self._browser.new_page(viewport={"width": width, "height": height})
        try:
            page.goto(self._address, timeout=SECONDS * 1000)
            page.wait_for_selector(".jp-RenderedHTML", timeout=SECONDS * 1000)
            page.wait_for_selector("mjx-container", timeout=SECONDS * 1000, state="attached")
            yield page
        finally:
            page.close()


def write_settings(folder: Path, theme: str) -> None:
    """Choose the theme, draw all cells at once, and look for no news."""
    settings = {
        "apputils-extension/themes": {"theme": f"JupyterLab {theme}"},
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
        "notebook-extension/tracker": {"windowingMode": "none"},
    }
    for name, values in settings.items():
        path = folder / "config/lab/user-settings/@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))


@contextlib.contextmanager
def start_lab(folder: Path, content: nbformat.NotebookNode) -> Iterator[Lab]:
    """Start JupyterLab on a free port, and a browser; both end with the context."""
    playwright_api: Any = importlib.import_module("playwright.sync_api")

    (folder / "notebooks").mkdir()
    nbformat.write(content, folder / "notebooks" / NAME)
    write_settings(folder, "Light")
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "HOME")
    places = ("config", "data", "runtime", "ipython", "home")
    environment = os.environ | {name: str(folder / place) for name, place in zip(names, places, strict=True)}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(8)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder / 'notebooks'}"]
    command += [f"--IdentityProvider.token={token}"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(f"http://127.0.0.1:{port}/api?token={token}", server)
        with playwright_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
            try:
                yield Lab(folder, browser, f"http://127.0.0.1:{port}/doc/tree/{NAME}?token={token}", environment)
            finally:
                browser.close()
    finally:
        server.terminate()
        server.wait(30)


def wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers."""
    until = time.monotonic() + SECONDS
    while True:
        try:
            with urllib.request.urlopen(address):
                return
        except (urllib.error.URLError, ConnectionError):
            if server.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.2)


def take_pictures(target: Path, folder: Path) -> None:
    """Write pictures of the examples for people, trusted and untrusted, light and dark, narrow and wide."""
    from PIL import Image

    from tests.display.examples import plain_examples

    bundles = {name: bundle(shown) for name, shown in plain_examples().items()}
    bundles["a formula, as a control"] = {"text/html": "<p>$x^2$</p>", "text/plain": ""}
    target.mkdir(parents=True, exist_ok=True)
    with start_lab(folder, notebook(bundles)) as lab:
        for trusted in (False, True):
            if trusted:
                lab.trust()
            for theme in ("Light", "Dark"):
                for width in (700, 1400):
                    with lab.page(theme, width, 3400) as page:
                        page.wait_for_timeout(1000)
                        path = target / f"{'trusted' if trusted else 'untrusted'}-{theme.lower()}-{width}.png"
                        page.screenshot(path=path)
                        with Image.open(path) as picture:
                            small = picture.convert("RGB").quantize(160, Image.Quantize.MAXCOVERAGE)
                        small.save(path, optimize=True)
                        if (trusted, theme, width) == (True, "Light", 1400):
                            small.crop((40, 90, 1360, 880)).save(target.with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        take_pictures(Path(sys.argv[1]), Path(scratch))
