"""The chat page of `examples/`: what its server sends, and the page itself in a real browser.

python -m tests.serving.test_chat_page FILE  # writes a picture of a failover, as scripts/screenshot does
"""

import contextlib
import importlib
import importlib.util
import json
import re
import shutil
import socket
import sys
import threading
import time

import httpx
import pytest
import uvicorn

from examples import chat_page
from multiroute_core import Router
from multiroute_core.testing.behaviours import Answer, rate_limited
from multiroute_core.testing.scripted import provider_of, scripted_route

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None or importlib.util.find_spec("playwright") is None,
    reason="chromium or playwright is not installed: apt-get install chromium, pip install --group browser",
)


@contextlib.contextmanager
def served(router):
    """Serve the page on a free port; yields its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(chat_page.build(router), log_level="error", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


def read_events(text):
    """Return the events of a body: their names and their data."""
    events = []
    for frame in text.split("\n\n"):
        if data := re.search(r"^data: (.*)$", frame, re.MULTILINE):
            name = re.search(r"^event: (.*)$", frame, re.MULTILINE)
            events.append((name[1] if name else "chunk", json.loads(data[1])))
    return events


def ask(address, text="Hello"):
    return httpx.post(f"{address}/chat", json={"messages": [{"role": "user", "content": text}]})


@pytest.mark.slow
def test_the_stream_tells_each_attempt_before_its_words():
    with served(chat_page.build_demo_router()) as address:
        reply = ask(address)
    events = read_events(reply.text)
    states = [(data["route"], data["state"]) for name, data in events if name == "attempt"]
    assert states == [
        ("anthropic", "asked"),
        ("anthropic", "answers"),
        ("anthropic", "broken_stream"),
        ("openai", "asked"),
        ("openai", "answers"),
        ("openai", "success"),
    ]
    assert "".join(data.get("text", "") for name, data in events if name == "chunk").split() == chat_page.DEMO.split()
    name, summary = events[-1]
    assert (name, summary["route"], len(summary["attempts"])) == ("done", "openai", 2)
    assert summary["attempts"][0]["estimated_cost"] > 0
    assert summary["attempts"][1]["cost"] > 0


def test_an_error_is_a_status():
    with served(Router([scripted_route("a", rate_limited(2.0))], max_retries=0)) as address:
        reply = ask(address)
        assert reply.status_code == 429
        assert reply.json()["error"]["message"]
        assert httpx.post(f"{address}/chat", content=b"{").status_code == 400
        assert httpx.post(f"{address}/chat", json={"messages": [1]}).status_code == 400
        assert ask(address, "x" * 300_000).status_code == 413


@contextlib.contextmanager
def opened(address):
    """Open the page in a browser."""
    playwright = importlib.import_module("playwright.sync_api").sync_playwright
    with playwright() as tools:
        browser = tools.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 900, "height": 480})
        problems = []
        page.on("pageerror", lambda error: problems.append(error))  # noqa: PLW0108  (Playwright sets an attribute on it)
        page.goto(address)
        page.wait_for_selector(".route")
        yield page
        assert problems == []
        browser.close()


@pytest.mark.slow
@needs_browser
def test_a_browser_shows_a_failover_in_the_middle_and_can_stop():
    slow = scripted_route("slow", Answer(["word "] * 200, per_chunk=0.05))
    with served(chat_page.build_demo_router()) as address, opened(address) as page:
        page.fill("#text", "What does a router do?")
        page.click("#send")
        page.wait_for_selector(".note", timeout=20_000)
        assert "[anthropic broke off, openai goes on]" in page.inner_text("#log")
        assert page.inner_text("#routes").startswith("anthropic: broken stream after")
        assert re.search(r"openai, about 0\.\d+ USD, 2 attempt", page.inner_text(".note"))
    with served(Router([slow])) as address, opened(address) as page:
        page.fill("#text", "<b>Hello</b>")
        page.keyboard.press("Enter")
        page.wait_for_function("document.querySelector('#log').innerText.includes('word')")
        page.click("#stop")
        page.wait_for_selector(".note")
        assert page.inner_text(".note") == "Stopped."
        assert page.inner_text(".user") == "<b>Hello</b>"
        until = time.monotonic() + 5
        while provider_of(slow).takes[0].ended is None and time.monotonic() < until:
            time.sleep(0.05)
        assert provider_of(slow).takes[0].ended is not None, "the call to the provider was cancelled"


def main():
    """Write a picture of the page after a failover."""
    with served(chat_page.build_demo_router()) as address, opened(address) as page:
        page.fill("#text", "What does a router do?")
        page.click("#send")
        page.wait_for_selector(".note", timeout=20_000)
        page.screenshot(path=sys.argv[1])


if __name__ == "__main__":
    main()
