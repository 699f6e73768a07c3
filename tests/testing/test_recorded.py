"""The recordings are read as the index tells them, and are replayed as they are."""

from __future__ import annotations

import base64
import csv
import gzip
import http.client
import json
import subprocess
import sys
import zlib
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from multiroute_core.testing.recorded import Interaction, interactions, recorded_folder
from multiroute_core.testing.server import ReplayServer, Reply, split_events

PROVIDERS = {"gemini": "google", "vertex": "google", "azure-openai": "azure"}
# What the index leaves open about fixtures: their API and the status that goes with their body.
FIXTURES = {
    "F00": ("generate", 429),
    "F01": ("responses", 429),
    "F02": ("responses", 200),
    "F03": ("chat", 400),
    "F04": ("messages", 200),
    "F05": ("messages", 200),
    "F06": ("generate", 200),
    "F07": ("chat", 200),
    "F08": ("messages", 200),
    "F09": ("messages", 200),
    "F10": ("messages", 200),
}
# Asked for as a stream, but without alt=sse: Gemini answers with one JSON array, whose elements are the chunks.
ARRAYS = {("45_llm-gemini_test_tools_with_gemini_3_thought_signatures.yaml", i) for i in (0, 1)}


@pytest.fixture(scope="module")
def folder() -> Path:
    found = recorded_folder()
    if found is None:
        pytest.skip("no recordings: MULTIROUTE_SHARED does not name a folder with data/recorded in it")
    return found


@pytest.fixture(scope="module")
def recorded(folder: Path) -> dict[tuple[str, int], Interaction]:
    return {(each.file, each.index): each for each in interactions(folder)}


@pytest.fixture(scope="module")
def rows(folder: Path) -> dict[tuple[str, int], dict[str, str]]:
    with (folder / "index.tsv").open(encoding="utf-8", newline="") as table:
        return {(row["file"], int(row["i"] or 0)): row for row in csv.DictReader(table, delimiter="\t")}


def data_lines(body: bytes) -> list[bytes]:
    return [line.removeprefix(b"data:").strip() for line in body.splitlines() if line.startswith(b"data:")]


def test_every_row_of_the_index_is_found_and_nothing_else(
    recorded: dict[tuple[str, int], Interaction], rows: dict[tuple[str, int], dict[str, str]]
) -> None:
    assert recorded.keys() == rows.keys()
    for key, row in rows.items():
        found = recorded[key]
        assert found.provider == PROVIDERS.get(row["provider"], row["provider"]), key
        assert found.endpoint == row["endpoint"], key
        assert found.stream == (row["stream"] == "True"), key
        if row["endpoint"] == "fixture":  # the index gives neither model nor status nor API for these
            assert (found.api, found.status) == FIXTURES[found.file[:3]], key
            assert found.model is None, key
            assert found.request is None, key
            continue
        assert found.status == int(row["status"]), key
        if row["model"] != "None":
            assert found.model == row["model"], key
        elif found.provider == "google":  # it stands in the URL only
            assert f"/models/{found.model}:" in row["endpoint"], key
        else:
            assert (found.model, found.api) == (None, "other"), key


def test_what_generates_is_told_from_what_does_not(recorded: dict[tuple[str, int], Interaction]) -> None:
    others = [each for each in recorded.values() if each.api == "other"]
    ends = {urlsplit(each.endpoint).path.rsplit("/")[-1] for each in others if each.provider != "upload.wikimedia.org"}
    assert ends == {"embeddings", "count_tokens", "token"}
    for key, each in recorded.items():
        if each.api != "other" and each.endpoint != "fixture":
            assert each.request, key
            assert {"messages", "input", "contents"} & each.request.keys(), key


def test_bodies_are_what_their_kind_says(recorded: dict[tuple[str, int], Interaction]) -> None:
    for key, each in recorded.items():
        if each.provider == "upload.wikimedia.org":
            continue  # a picture, and a refusal in plain text
        if not each.stream or each.status != 200:
            assert isinstance(json.loads(each.body), dict), key
        elif key in ARRAYS:
            chunks = json.loads(each.body)
            assert chunks, key
            assert all("candidates" in chunk for chunk in chunks), key
        else:
            assert each.headers["content-type"].startswith("text/event-stream"), key
            assert each.body.endswith((b"\n\n", b"\r\n\r\n")), key
            lines = data_lines(each.body)
            assert all(json.loads(line) for line in lines if line != b"[DONE]"), key
            assert (lines[-1] == b"[DONE]") == (each.api == "chat"), key
            assert (b"event:" in each.body) == (each.api in ("messages", "responses")), key


def test_headers_are_the_replys_own(recorded: dict[tuple[str, int], Interaction]) -> None:
    for key, each in recorded.items():
        assert "content-type" in each.headers, key
        assert not each.headers.keys() & {"transfer-encoding", "content-length", "content-encoding", "set-cookie"}, key
        for name, value in each.headers.items():
            assert name == name.lower(), key
            assert "REDACTED" not in value, key
            assert not value.endswith("-XXX"), key
    limited = recorded["00_ai-gateway_chat-basic.yaml", 0].headers
    assert int(limited["x-ratelimit-remaining-requests"]) > 0


def test_compressed_and_bare_bodies_are_read(tmp_path: Path) -> None:
    reply = b'{"choices":[]}'
    bare = zlib.compressobj(wbits=-15)
    packed = {
        "gzip": gzip.compress(reply),
        "deflate": bare.compress(reply) + bare.flush(),
        "identity": reply,
        "x-gzip": base64.b64encode(gzip.compress(reply)),
        "br": reply,  # undone by the recorder, which kept the header
    }
    for encoding, body in packed.items():
        text = base64.b64encode(body).decode()
        tape = "interactions:\n- request: {uri: 'https://h.example/v1/chat/completions', body: 'a=b'}\n  response:\n"
        tape += f"    status: {{code: 200}}\n    headers: {{Content-Encoding: [{encoding}]}}\n"
        tape += f"    body: {{string: !!binary {text}}}\n"
        (tmp_path / f"{encoding}.yaml").write_text(tape)
    agent = {"request": {"url": "https://h.example/v1/responses"}, "response": {"status_code": 500, "body": "{}"}}
    (tmp_path / "trace.json").write_text(json.dumps(agent))
    (tmp_path / "stray.txt").write_text("no row of the index names this")
    (tmp_path / "cut.txt").write_text('{"choices":[{"delta":{},"finish_reason":null}]}\n')
    header = "file\tpath\tprovider\tmodel\tstream\tstatus\n"
    (tmp_path / "index.tsv").write_text(header + "cut.txt\ta/cut.txt\topenai\t\tTrue\t\n")
    found = {each.file: each for each in interactions(tmp_path)}
    assert found.keys() == {*(f"{encoding}.yaml" for encoding in packed), "trace.json", "cut.txt"}
    assert {each.body for each in found.values() if each.file.endswith(".yaml")} == {reply}
    assert (found["trace.json"].status, found["trace.json"].provider) == (500, "h.example")
    assert b"[DONE]" not in found["cut.txt"].body, "a stream without its end keeps none"


def test_a_recording_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "index.tsv").write_text("file\n")
    (tmp_path / "odd.json").write_text('{"interactions": [{"request": {}}]}')
    with pytest.raises(ValueError, match=r"odd\.json"):
        interactions(tmp_path)


def test_the_folder_is_found_through_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIROUTE_SHARED", str(tmp_path))
    assert recorded_folder() is None
    (tmp_path / "data" / "recorded").mkdir(parents=True)
    assert recorded_folder() == tmp_path / "data" / "recorded"


def test_importing_needs_no_yaml() -> None:
    code = "import sys; sys.modules['yaml'] = None; import multiroute_core.testing.recorded"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_every_recording_is_replayed_as_it_is(recorded: dict[tuple[str, int], Interaction]) -> None:
    with ReplayServer() as server:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=5)
        for key, each in recorded.items():
            server.serve(Reply(each.status, each.headers, each.body, each.stream))
            connection.request("POST", "/v1/messages", b"{}")
            reply = connection.getresponse()
            headers = {name.lower(): value for name, value in reply.getheaders()}
            assert (reply.status, reply.read()) == (each.status, each.body), key
            assert headers.items() >= each.headers.items(), key
            assert ("transfer-encoding" in headers) == each.stream, key
        connection.close()


def test_recorded_streams_are_split_into_their_events(recorded: dict[tuple[str, int], Interaction]) -> None:
    for each in recorded.values():
        if each.body.startswith((b"data", b"event")):
            events = split_events(each.body)
            assert b"".join(events) == each.body
            assert len(events) == len(data_lines(each.body))
