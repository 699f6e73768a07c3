"""Pyright's language server over stdio: opens a text and returns the completions at its end."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


class LanguageServer:
    """A running `pyright-langserver`, in a folder.

    Args:
        folder: The workspace.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "pyright.langserver", "--stdio"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder
        )
        self._number = 0
        root = folder.as_uri()
        folders = [{"uri": root, "name": "work"}]
        capabilities = {"workspace": {"configuration": True, "workspaceFolders": True}}
        self.request("initialize", processId=None, rootUri=root, workspaceFolders=folders, capabilities=capabilities)
        self._send({"method": "initialized", "params": {}})

    def __enter__(self) -> "LanguageServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.request("shutdown")
        self._send({"method": "exit"})
        self.process.wait(30)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def complete(self, name: str, text: str) -> set[str]:
        """The labels that are offered at the end of a text."""
        uri = (self.folder / name).as_uri()
        document = {"uri": uri, "languageId": "python", "version": 1, "text": text}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        lines = text.split("\n")
        position = {"line": len(lines) - 1, "character": len(lines[-1])}
        result = self.request("textDocument/completion", textDocument={"uri": uri}, position=position)
        return {item["label"] for item in (result or {}).get("items", ())}

    def request(self, method: str, **params: Any) -> Any:
        """Send a request; its result, after whatever the server asks meanwhile has been answered."""
        self._number += 1
        self._send({"id": self._number, "method": method, "params": params or None})
        while True:
            message = self._read()
            if "method" in message and "id" in message:
                result = None
                if message["method"] == "workspace/configuration":
                    settings = {"pythonPath": sys.executable, "analysis": {"indexing": False}}
                    result = [settings for _ in message["params"]["items"]]
                self._send({"id": message["id"], "result": result})
            elif message.get("id") == self._number:
                assert "error" not in message, message
                return message.get("result")

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        length = 0
        while line := self.process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert length, "the language server has ended"
        return json.loads(self.process.stdout.read(length))
