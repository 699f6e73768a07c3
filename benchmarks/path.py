"""The path of one request through the files: python -m benchmarks.path

Traces one sync `Router.generate` over a loopback server, plain and with cache, budget and ledger, and prints the files
and folders that it enters and the moves between them. A reader of the code makes the same moves.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from multiroute_core import Budget, Route, Router
from multiroute_core.testing import Received, ReplayServer, Reply

ROOT = Path(__file__).parent.parent / "multiroute_core"
LIMITS = {"plain": (13, 58), "with cache, budget and ledger": (17, 105)}
"""For each request: the most folders, and the most moves between folders."""

ANSWER = {
    "id": "a",
    "object": "chat.completion",
    "created": 0,
    "model": "gpt-4.1",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello."}}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
}


def reply(_: Received) -> Reply:
    """A whole answer."""
    return Reply(200, {"content-type": "application/json"}, json.dumps(ANSWER).encode())


def trace(router: Router) -> tuple[set[str], int, set[str], int]:
    """Ask once; return the files entered, the moves between files, the folders, the moves between folders."""
    here = threading.get_ident()
    stack: list[str] = ["router.py"]
    files: set[str] = set()
    moves = {"file": 0, "folder": 0}

    def move(origin: str, target: str) -> None:
        moves["file"] += origin != target
        moves["folder"] += folder(origin) != folder(target)

    def watch(frame: FrameType, event: str, _: Any) -> None:
        if threading.get_ident() != here or not frame.f_code.co_filename.startswith(str(ROOT)):
            return
        name = str(Path(frame.f_code.co_filename).relative_to(ROOT))
        if event == "call":
            files.add(name)
            move(stack[-1], name)
            stack.append(name)
        elif event == "return" and len(stack) > 1:
            stack.pop()

    sys.setprofile(watch)
    try:
        router.generate("Hello")
    finally:
        sys.setprofile(None)
    return files, moves["file"], {folder(name) for name in files}, moves["folder"]


def folder(file: str) -> str:
    """The folder of a file; a file at the top is a folder of its own."""
    return file.partition("/")[0]


def main() -> int:
    """Print both paths; 1 if one of them is longer than its limit."""
    is_short = True
    with ReplayServer(reply) as server:
        for name, more in (
            ("plain", {}),
            ("with cache, budget and ledger", {"cache": "memory", "budget": Budget(usd=1), "ledger": "memory"}),
        ):
            route = Route("openai:gpt-4.1", base_url=f"{server.url}/v1", api_key="k", prices="openai")
            with Router([route], **more) as router:
                router.generate("Warm up.")
                files, file_moves, folders, folder_moves = trace(router)
            most_folders, most_moves = LIMITS[name]
            is_short &= len(folders) <= most_folders and folder_moves <= most_moves
            print(
                f"{name}: {len(files)} files with {file_moves} moves between them; {len(folders)} folders "
                f"(at most {most_folders}) with {folder_moves} moves (at most {most_moves})"
            )
            print("  " + ", ".join(sorted(files)))
    return 0 if is_short else 1


if __name__ == "__main__":
    sys.exit(main())
