"""Recorded provider traffic, read from the shared data folder.

The folder contains cassettes of several recorders (vcrpy, pydantic-ai's dialect of it, go-vcr, dd-trace, gzipped ones)
and bare fixtures: an error body, the text of a stream, or a stream's events, one JSON object per line. Cassettes are
self-describing; the folder's `index.tsv` describes the fixtures. Only reading cassettes requires a package: PyYAML.
"""

from __future__ import annotations

import base64
import csv
import gzip
import importlib
import json
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

# Headers of the connection or of the recording's encoding, not of the reply; cookies are private.
_DROPPED_HEADERS = {
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"),
    *("transfer-encoding", "upgrade", "content-length", "content-encoding", "set-cookie"),
}
# Placeholders of recorders for hidden values. A parser of rate-limit headers must not see them.
_REDACTED = re.compile(r"\*\*REDACTED\*\*|[A-Z-]+-XXX")
_SSE = re.compile(rb"\s*(data|event|id|retry)?:")
_PROVIDERS = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "google",
    "aiplatform.googleapis.com": "google",
    "gemini": "google",
    "vertex": "google",
    "azure-openai": "azure",
}
_APIS = (
    ("chat", re.compile(r"/chat/completions$")),
    ("responses", re.compile(r"/responses$")),
    ("messages", re.compile(r"/messages$")),
    ("generate", re.compile(r":(streamG|g)enerateContent$")),
)
_FIXTURE_APIS = {"anthropic": "messages", "google": "generate"}
_ERROR_STATUS = {
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "insufficient_quota": 429,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "api_error": 500,
    "server_error": 500,
    "overloaded_error": 529,
}


@dataclass(frozen=True, slots=True)
class Interaction:
    """One recorded request and its reply.

    Attributes:
        file: The file's name.
        index: Its number within the file, from 0.
        provider: `"openai"`, `"anthropic"`, `"google"` (Gemini and Vertex), `"azure"`, or another host's name.
        endpoint: The URL without its query, or `"fixture"`.
        model: The requested model or deployment; None for fixtures whose model is not known.
        api: `"chat"`, `"responses"`, `"messages"`, `"generate"`, or `"other"` for endpoints that do not generate.
        stream: Whether a stream was requested. The reply may still be an error in plain JSON.
        status: The HTTP status; for fixtures the one that matches the body.
        headers: The reply's headers, names in lower case, without those of the connection and the encoding, cookies,
            and those that the recorder redacted. Always includes a `content-type`.
        body: The reply's body, decoded; for streams the text of the events.
        request: The request's body, if it was recorded and is a JSON object.
    """

    file: str
    index: int
    provider: str
    endpoint: str
    model: str | None
    api: str
    stream: bool
    status: int
    headers: dict[str, str]
    body: bytes
    request: dict[str, Any] | None


def recorded_folder() -> Path | None:
    """Finds the recordings: `data/recorded` in `$MULTIROUTE_SHARED`, by default `../shared` from the project's root.

    Returns:
        The folder, or None if it does not exist.
    """
    shared_folder = os.environ.get("MULTIROUTE_SHARED")
    # The second default finds a checkout's folder from any working directory.
    places = (
        [Path(shared_folder)] if shared_folder else [Path("../shared"), Path(__file__).resolve().parents[3] / "shared"]
    )
    folders = (place / "data" / "recorded" for place in places)
    return next((folder for folder in folders if folder.is_dir()), None)


def interactions(folder: Path) -> list[Interaction]:
    """Reads all recordings of a folder.

    Args:
        folder: The folder with cassettes, fixtures and their `index.tsv`. A file that is neither a cassette nor listed
            in the index is skipped, because nothing describes it.

    Returns:
        The interactions, by file name and then in the order of the file.

    Raises:
        ModuleNotFoundError: if PyYAML, or the module for a compressed body (`brotli`, `zstandard`), is not installed.
        ValueError: if a recording cannot be parsed; the message names it.
    """
    with (folder / "index.tsv").open(encoding="utf-8", newline="") as table:
        rows = {row["file"]: row for row in csv.DictReader(table, delimiter="\t")}
    recordings: list[Interaction] = []
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.name == "index.tsv":
            continue
        try:
            exchanges = _exchanges(path)
            if exchanges is not None:
                recordings += [_to_interaction(path.name, i, *exchange) for i, exchange in enumerate(exchanges)]
            elif path.name in rows:
                recordings.append(_fixture(path.name, path.read_bytes(), rows[path.name]))
        except (ValueError, KeyError, TypeError, zlib.error) as error:
            raise ValueError(f"{path.name} is not a valid recording: {error!r}") from error
    return recordings


def _exchanges(path: Path) -> list[tuple[dict[str, Any], dict[str, Any]]] | None:
    """Returns the request and response of each exchange in a cassette; None if the file is not a cassette."""
    suffixes = [suffix for suffix in path.suffixes if suffix != ".gz"][-1:]
    if suffixes not in ([".yaml"], [".yml"], [".json"]):
        return None
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    tape: Any
    if suffixes == [".json"]:
        tape = json.loads(raw)
    else:
        yaml = importlib.import_module("yaml")  # used only in tests, so importing this module must not require it
        tape = yaml.load(raw, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # the C loader is ten times as fast
    if "interactions" in tape:  # vcrpy, pydantic-ai, go-vcr, dd-trace
        return [(each["request"], each["response"]) for each in tape["interactions"]]
    if "requests" in tape:  # langchain's gzipped cassettes
        return list(zip(tape["requests"], tape["responses"], strict=True))
    if "request" in tape:  # dd-trace's test agent: one exchange per file
        return [(tape["request"], tape["response"])]
    return None


def _to_interaction(file: str, index: int, request: dict[str, Any], response: dict[str, Any]) -> Interaction:
    """Converts a cassette's entry of any recorder to an interaction."""
    url = urlsplit(str(request["uri"] if "uri" in request else request["url"]))  # go-vcr uses url
    endpoint = f"{url.scheme}://{url.netloc}{url.path}"
    request_body = _request_body(request)
    model_match = re.search(r"/(?:models|deployments)/([^/:]+)", url.path)
    model = (request_body or {}).get("model") or (unquote(model_match[1]) if model_match else None)
    status = response.get("status")  # vcrpy: a mapping; go-vcr: "200 OK", with the number in code
    code = cast("dict[str, Any]", status)["code"] if isinstance(status, dict) else response.get("code")
    raw_headers = cast("dict[str, Any]", response.get("headers") or {})
    headers = {name.lower(): value for name, value in raw_headers.items()}
    body = _decoded(_response_body(response), _joined(headers.get("content-encoding")))
    return Interaction(
        file=file,
        index=index,
        provider=_provider(url.hostname or ""),
        endpoint=endpoint,
        model=model,
        api=next((api for api, pattern in _APIS if pattern.search(url.path)), "other"),
        stream=(request_body or {}).get("stream") is True or ":stream" in url.path,
        status=int(response["status_code"] if code is None else code),
        headers=_headers(headers, body),
        body=body,
        request=request_body,
    )


def _provider(name: str) -> str:
    """Returns the provider's name for a host, or for its name in the index."""
    if name.endswith(".azure.com"):
        return "azure"
    # Vertex prefixes its host name with the region: europe-west4-aiplatform.googleapis.com
    return _PROVIDERS.get(re.sub(r"^.*-(?=aiplatform\.googleapis\.com$)", "", name), name)


def _request_body(request: Mapping[str, Any]) -> dict[str, Any] | None:
    body: Any = request.get("parsed_body", request.get("body"))
    if isinstance(body, (str, bytes)):
        try:
            body = json.loads(body)
        except ValueError:
            return None  # a form, or a file's bytes
    return cast("dict[str, Any]", body) if isinstance(body, dict) else None


def _response_body(response: Mapping[str, Any]) -> bytes:
    if "parsed_body" in response:  # pydantic-ai stores JSON as YAML; the original reply was JSON
        return json.dumps(response["parsed_body"], ensure_ascii=False, separators=(",", ":")).encode()
    body: Any = response.get("body", response.get("content"))  # older dd-trace cassettes use content
    if isinstance(body, dict):
        fields = cast("dict[str, Any]", body)
        body = base64.b64decode(fields["base64_string"]) if "base64_string" in fields else fields.get("string")
    if isinstance(body, str):
        return body.encode()
    return bytes(body or b"")


def _decoded(body: bytes, encoding: str) -> bytes:
    """Removes the content-encoding, detected from the bytes: recorders may decode a body but keep the header."""
    if encoding and body.startswith((b"H4sI", b"KLUv")):  # base64 of gzip, of zstd
        body = base64.b64decode(body)
    if body.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(47).decompress(body)  # 47: gzip or zlib; an object: a truncated stream has no end
    if body.startswith(b"\x28\xb5\x2f\xfd"):
        return importlib.import_module("zstandard").ZstdDecompressor().decompressobj().decompress(body)
    if _SSE.match(body) or body.lstrip()[:1] in (b"{", b"[", b""):
        return body
    if encoding == "br":
        return importlib.import_module("brotli").decompress(body)
    # Many servers send deflate without its zlib header.
    return zlib.decompress(body, 15 if body.startswith(b"\x78") else -15) if encoding == "deflate" else body


def _joined(value: Any) -> str:
    return ", ".join(map(str, cast("list[Any]", value))) if isinstance(value, list) else str(value or "")


def _headers(raw_headers: Mapping[str, Any], body: bytes) -> dict[str, str]:
    values = {name: _joined(value) for name, value in raw_headers.items() if name not in _DROPPED_HEADERS}
    headers = {name: value for name, value in values.items() if value and not _REDACTED.fullmatch(value)}
    if "content-type" not in headers:  # without it the SDKs do not parse the body as JSON
        headers["content-type"] = "text/event-stream" if _SSE.match(body) else "application/json"
    return headers


def _fixture(file: str, body: bytes, row: Mapping[str, str]) -> Interaction:
    """Converts a bare body to an interaction, as the index's row describes it."""
    provider = _provider(row["provider"])
    api = _FIXTURE_APIS.get(provider, "responses" if "/responses/" in row["path"] else "chat")
    if row["stream"] == "True" and not _SSE.match(body):
        body = b"".join(_framed([json.loads(line) for line in body.splitlines() if line.strip()], body, api))
    elif row["stream"] == "True" and not body.endswith((b"\n\n", b"\r\n\r\n")):
        body = body.rstrip(b"\r\n") + b"\n\n"  # an editor removed the blank line that completes the last event
    return Interaction(
        file=file,
        index=0,
        provider=provider,
        endpoint="fixture",
        model=row["model"] if row["model"] not in ("", "None") else None,
        api=api,
        stream=row["stream"] == "True",
        status=int(row["status"]) if row["status"] else _status(body),
        headers=_headers({}, body),
        body=body,
        request=None,
    )


def _framed(events: list[dict[str, Any]], text: bytes, api: str) -> Iterator[bytes]:
    """Yields the events of a stream in the provider's framing."""
    # Keeps the original lines: serialized again, they would differ from what the provider sent.
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for event, line in zip(events, lines, strict=True):
        if api in ("messages", "responses"):
            yield b"event: %b\ndata: %b\n\n" % (event["type"].encode(), line)
        else:
            yield b"data: %b%b" % (line, b"\r\n\r\n" if api == "generate" else b"\n\n")
    # A truncated stream has no end marker; one whose choices are complete has.
    if api == "chat" and any(choice.get("finish_reason") for event in events for choice in event.get("choices") or ()):
        yield b"data: [DONE]\n\n"


def _status(body: bytes) -> int:
    """Returns the HTTP status of a bare body: the error's own, or the usual one of its type; 200 otherwise."""
    if _SSE.match(body):
        return 200  # an error within a stream comes after the status
    error: Any = json.loads(body).get("error") or {}
    if not error:
        return 200
    if isinstance(error.get("code"), int):  # Google includes the status
        return error["code"]
    return next((_ERROR_STATUS[k] for k in (error.get("code"), error.get("type")) if k in _ERROR_STATUS), 400)
