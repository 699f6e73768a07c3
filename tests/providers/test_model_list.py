"""What vendors say about their models: read from the real formats, requested through the real SDKs."""

import contextlib
import json
import threading
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from multiroute_core import Route
from multiroute_core.errors import AuthenticationError
from multiroute_core.providers import registry
from multiroute_core.providers.model_list import ListedModel, fetch_model, fetch_models, find_model
from multiroute_core.providers.retirements import find_retirement
from multiroute_core.runtime.deadline import Deadline
from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO

ANTHROPIC = {
    "data": [
        {
            "type": "model", "id": "claude-opus-4-5-20251101", "display_name": "Claude Opus 4.5",
            "created_at": "2025-11-01T00:00:00Z", "lifecycle": "deprecated", "retires_at": "2027-01-22T00:00:00Z",
            "deprecated_at": "2026-11-23T00:00:00Z", "max_input_tokens": 200_000, "max_tokens": 64_000,
        },
        {"type": "model", "id": "claude-sonnet-5-5", "lifecycle": "active", "retires_at": None},
    ],
    "has_more": False,
}  # fmt: skip
GOOGLE = {"models": [{"name": "models/gemini-3.8-flash", "inputTokenLimit": 1_048_576, "displayName": "Gemini"}]}
OPENAI = {
    "object": "list",
    "data": [{"id": "gpt-5", "object": "model", "created": 1, "owned_by": "o", "shutdown_date": "2026-12-11"}],
}
MISTRAL = {
    "object": "list",
    "data": [
        {
            "id": "magistral-small", "object": "model", "created": 1, "owned_by": "m", "max_context_length": 40_000,
            "deprecation": "2026-10-31T12:00:00Z", "deprecation_replacement_model": "mistral-small-latest",
        },
        {"id": 7}, "nonsense",
    ],
}  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    server: "Vendor"  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self):
        self.server.paths.append(self.path)
        key = (
            self.headers.get("x-api-key") or self.headers.get("x-goog-api-key") or self.headers.get("authorization", "")
        )
        entries = self.server.listing.get("data") or self.server.listing.get("models")
        name = self.path.partition("?")[0].rpartition("/models/")[2]
        one = [entry for entry in entries if "/models/" in self.path and name in str(entry)]
        status, body = (
            (200, one[0] if one else self.server.listing)
            if key.endswith("right")
            else (401, {"error": {"message": "no"}})
        )
        if "/models/" in self.path and not one:
            status, body = 404, {"error": {"message": "not found", "code": 404}}
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


class Vendor(ThreadingHTTPServer):
    paths: list[str]
    listing: dict


@contextlib.contextmanager
def vendor(listing):
    server = Vendor(("127.0.0.1", 0), Handler)
    server.paths, server.listing = [], listing
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def list_models(route, listing, *, key="right", **options):
    with vendor(listing) as server:
        address = f"http://127.0.0.1:{server.server_address[1]}"
        one = Route(route, base_url=address, api_key=key, **options)
        provider = registry.build(one)
        try:
            models = run(fetch_models(provider, provider.api(one), SyncIO(), limit()))
            alias = run(fetch_model(provider, provider.api(one), one.model, SyncIO(), limit()))
        except Exception as error:
            raise provider.classify(error) from None
        finally:
            provider.close()
        return models, alias, server.paths


def limit():
    deadline = Deadline()
    deadline.set("the list", deadline.clock() + 20, 20)
    return deadline


@pytest.mark.parametrize(
    ("route", "listing", "options", "expected"),
    [
        (
            "anthropic:claude-opus-4-5-20251101",
            ANTHROPIC,
            {},
            ListedModel("claude-opus-4-5-20251101", 200_000, date(2027, 1, 22), "deprecated"),
        ),
        ("google:gemini-3.8-flash", GOOGLE, {}, ListedModel("gemini-3.8-flash", 1_048_576)),
        ("google:gemini-3.8-flash", GOOGLE, {"sdk": "google-generativeai"}, ListedModel("gemini-3.8-flash", 1_048_576)),
        ("openai:gpt-5", OPENAI, {}, ListedModel("gpt-5", None, date(2026, 12, 11))),
        (
            "mistral:magistral-small",
            MISTRAL,
            {},
            ListedModel("magistral-small", 40_000, date(2026, 10, 31), "", "mistral-small-latest"),
        ),
    ],
)
def test_lists_of_the_vendors(route, listing, options, expected):
    if "sdk" in options:
        pytest.importorskip("google.generativeai")
    models, alias, paths = list_models(route, listing, **options)
    assert models is not None
    assert find_model(models, expected.name) == expected
    assert find_model(models, f"models/{expected.name}") == expected
    assert alias == expected
    assert len(paths) == 2
    with pytest.raises(AuthenticationError):
        list_models(route, listing, key="wrong", **options)


def test_the_table_knows_what_retires_and_nothing_else():
    assert find_retirement(Route("openai:gpt-4-turbo")).successor == "gpt-5.6-sol"
    assert find_retirement(Route("openai:gpt-4o")).on == date(2027, 1, 14)
    for living in (
        "openai:gpt-6.1-sol",
        "openai:gpt-4o-transcribe",
        "anthropic:claude-sonnet-5-5",
        "google:gemini-3.8-flash",
        "groq:a",
    ):
        assert find_retirement(Route(living)) is None, living
