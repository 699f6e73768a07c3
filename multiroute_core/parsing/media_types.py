"""Media types (MIME): canonical names, text detection, and the capability that a route needs to read a medium.

All decisions are based on the media type alone:

- `canonical` removes parameters and aliases, since providers compare types literally.
- `is_text` and `text_of` find media that can be decoded into text. Every provider reads text, so these need no
  capability.
- `ability_of` names the capability that a route needs for all other media (see
  `multiroute_core.providers.capabilities`).
"""

from __future__ import annotations

import codecs
import mimetypes
from dataclasses import replace
from urllib.parse import urlsplit

from multiroute_core.messages import Blob, Modality, Uri, modality_of

_ALIASES = {
    "application/x-pdf": "application/pdf",
    "audio/aacp": "audio/aac",
    "audio/m4a": "audio/mp4",
    "audio/mp3": "audio/mpeg",
    "audio/mpeg3": "audio/mpeg",
    "audio/vnd.wave": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-aac": "audio/aac",
    "audio/x-aiff": "audio/aiff",
    "audio/x-flac": "audio/flac",
    "audio/x-m4a": "audio/mp4",
    "audio/x-mp3": "audio/mpeg",
    "audio/x-mpeg": "audio/mpeg",
    "audio/x-ogg": "audio/ogg",
    "audio/x-pn-wav": "audio/wav",
    "audio/x-wav": "audio/wav",
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/svg": "image/svg+xml",
    "image/x-ms-bmp": "image/bmp",
    "image/x-png": "image/png",
    "image/x-webp": "image/webp",
}
"""Names in use that are not registered, or other names of the same format."""

_TEXT_TYPES = frozenset(
    "application/" + name
    for name in (
        *("csv", "ecmascript", "graphql", "javascript", "json", "json5", "jsonl", "markdown", "ndjson", "node"),
        *("rtf", "sql", "tex", "toml", "typescript", "x-csh", "x-httpd-php", "x-javascript", "x-json", "x-latex"),
        *("x-ndjson", "x-perl", "x-php", "x-powershell", "x-python", "x-ruby", "x-sh", "x-sql", "x-subrip", "x-tex"),
        *("x-toml", "x-typescript", "x-yaml", "xml", "xml-dtd", "yaml", "x-httpd-php-source", "x-shellscript"),
    )
) | {"message/rfc822"}
"""Text types outside `text/*`, besides those that end in `+json`, `+xml` or `+yaml` (RFC 6839, RFC 9512)."""

_UNKNOWN = ("", "application/octet-stream", "application/x-binary", "binary/octet-stream", "application/unknown")
"""Types without information: the file name may be more specific."""

_SOURCE_FILES = frozenset(
    (
        *(".c", ".cc", ".cfg", ".conf", ".cpp", ".cs", ".css", ".csv", ".env", ".go", ".h", ".hpp", ".htm", ".html"),
        *(".ini", ".ipynb", ".java", ".js", ".json", ".jsonl", ".jsx", ".kt", ".log", ".lua", ".md", ".mjs", ".php"),
        *(".pl", ".ps1", ".py", ".r", ".rb", ".rs", ".rst", ".scala", ".sh", ".sql", ".srt", ".svg", ".swift", ".tex"),
        *(".toml", ".ts", ".tsv", ".tsx", ".txt", ".vue", ".xml", ".yaml", ".yml", ".zig"),
    )
)
"""File extensions of text, whatever the system's type table contains (`.ts` is a video there)."""

_USUAL = frozenset({"image/png", "image/jpeg", "image/webp", "application/pdf", "audio/wav", "audio/mpeg"})
"""Types that every model supports that supports their modality at all."""


def canonical(mime_type: str) -> str:
    """Return `mime_type` in lower case, without parameters, and under its usual name.

    Example:
        >>> canonical("Image/JPG; q=0.9")
        'image/jpeg'
    """
    kind = mime_type.partition(";")[0].strip().lower()
    return _ALIASES.get(kind, kind)


def is_text(mime_type: str) -> bool:
    """Whether media of this type can be decoded into text that a model reads."""
    kind = canonical(mime_type)
    return kind.startswith("text/") or kind in _TEXT_TYPES or kind.endswith(("+json", "+xml", "+yaml"))


def type_of(blob: Blob) -> str:
    """Return the canonical type of a blob, from its file name if its type carries no information."""
    kind = canonical(blob.mime_type)
    if kind not in _UNKNOWN or not blob.name:
        return kind
    return _by_name(blob.name) or kind


def normalize(blob: Blob) -> Blob:
    """Return `blob` with its canonical type; `blob` itself if it already has it."""
    kind = type_of(blob)
    return blob if kind == blob.mime_type else replace(blob, mime_type=kind)


def text_of(blob: Blob) -> str | None:
    """Return the text of a blob whose type is text; None for any other type.

    The charset is the type's parameter, otherwise that of a byte-order mark, otherwise UTF-8 (RFC 8259, RFC 7111).
    Invalid bytes become U+FFFD.
    """
    if not is_text(type_of(blob)):
        return None
    data = blob.data
    for mark, charset in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(charset, "replace")
    try:
        return data.decode(_charset(blob.mime_type), "replace")
    except (LookupError, UnicodeError):  # an unknown charset, or a codec that is not a charset, such as "base64"
        return data.decode("utf-8", "replace")


_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def titled_text(blob: Blob) -> str | None:
    """Return the text of a blob below its file name, for APIs without a file name field; None if it is not text."""
    text = text_of(blob)
    return text if text is None or not blob.name else f"{blob.name}:\n{text}"


def ability_of(part: Blob | Uri) -> str | None:
    """Return the capability that a route needs to read `part`; None for text, which is decoded.

    It is the modality (`"image"`) for formats that every model of that modality supports, otherwise the type
    (`"image/heic"`). For URLs it ends in `_url`; text at a URL is `"text_url"`, since only a provider that fetches it
    can decode it. Video formats are not distinguished.
    """
    if isinstance(part, Blob):
        kind = type_of(part)
        return None if is_text(kind) else _ability(kind, modality_of(kind))
    kind = _type_at(part)
    if kind is None:
        return f"{part.modality}_url"
    if is_text(kind) and not kind.startswith("image/"):
        return "text_url"
    return f"{_ability(kind, modality_of(kind))}_url"


def _ability(kind: str, modality: Modality) -> str:
    return modality if kind in _USUAL or modality == "video" else kind


def _type_at(uri: Uri) -> str | None:
    """Return the type of the resource at a URL: as stated, or by the path's extension if that fits the modality."""
    if uri.mime_type and canonical(uri.mime_type) not in _UNKNOWN:
        return canonical(uri.mime_type)
    try:
        guess = mimetypes.guess_type(urlsplit(uri.uri).path)[0]
    except ValueError:
        return None
    if guess is None or modality_of(guess) != uri.modality:
        return None
    return canonical(guess)


def _by_name(name: str) -> str | None:
    ending = "." + name.rpartition(".")[2].lower()
    if ending in _SOURCE_FILES:
        return "text/plain"
    guess = mimetypes.guess_type(name)[0]
    return None if guess is None else canonical(guess)


def _charset(mime_type: str) -> str:
    for parameter in mime_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'") or "utf-8"
    return "utf-8"
