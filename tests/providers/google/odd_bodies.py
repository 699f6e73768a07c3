"""Bodies of answers and streams, good and odd, that Gemini and the servers before it may send. Support for tests."""

from __future__ import annotations

import json
from typing import Any

from multiroute_core.testing.server import Reply
from tests.providers.google.gemini import ANSWER, JSON, STREAM, chunk, plain


def frame(event: Any) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\r\n\r\n"


FIRST, *REST = map(frame, STREAM)
GOOD_STREAM = FIRST + b"".join(REST)

RATE_LIMIT = {
    "code": 429,
    "message": "Quota exceeded.",
    "status": "RESOURCE_EXHAUSTED",
    "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}],
}
OVERLOADED = {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}

PLAIN_BODIES: dict[str, Reply] = {
    "a rate limit": plain({"error": RATE_LIMIT}, 429),
    "a list of one error": plain([{"error": OVERLOADED}], 503),
    "a page": Reply(502, {"content-type": "text/html"}, b"<html><title>Bad gateway</title></html>"),
    "a header": Reply(503, {**JSON, "retry-after": "7", "x-request-id": "abc"}, b'{"error": "overloaded"}'),
    "an odd error": plain({"error": "overloaded"}, 400),
    "a list of words": plain(["overloaded"], 500),
    "nothing": Reply(500, JSON, b""),
    "no UTF-8": Reply(500, JSON, b'{"error": {"message": "\xff"}}'),
    "created": plain(ANSWER, 201),
    "no content": Reply(204, JSON, b""),
    "not modified": Reply(304, JSON, b""),
    "an answer without UTF-8": Reply(200, JSON, json.dumps(chunk("@", "STOP")).encode().replace(b"@", b"a\xffb")),
    "Latin-1": Reply(
        200,
        {"content-type": "application/json; charset=ISO-8859-1"},
        json.dumps(chunk("Grüße", "STOP"), ensure_ascii=False).encode("latin-1"),
    ),
    "an unknown charset": Reply(200, {"content-type": "application/json; charset=x"}, json.dumps(ANSWER).encode()),
    "an empty body": Reply(200, JSON, b""),
    "a page instead": Reply(200, JSON, b"<html>Sign in</html>"),
    "a cut body": Reply(200, JSON, b'{"candidates": ['),
    "a blocked prompt": plain({"promptFeedback": {"blockReason": "SAFETY"}}),
}

STREAM_BODIES: dict[str, list[bytes]] = {
    "comments": [b": ping\n\n", b"retry: 3\n\n", FIRST, b"data:\n\nid: 1\n\nevent: x\n\n", *REST, b"data: [DONE]\n\n"],
    "a BOM": [b"\xef\xbb\xbf", GOOD_STREAM],
    "carriage returns": [GOOD_STREAM.replace(b"\r\n", b"\r")],
    "no last line": [GOOD_STREAM.rstrip()],
    "an array": [json.dumps(STREAM, indent=1).encode()],
    "an array of errors": [json.dumps([STREAM[0], {"error": OVERLOADED}]).encode()],
    "an empty array": [b"[]"],
    "an array of words": [b'["a"]'],
    "a cut array": [json.dumps(STREAM).encode()[:-9]],
    "one object": [json.dumps(chunk("Hello", "STOP")).encode()],
    "one object without an end": [json.dumps(chunk("Hello")).encode()],
    "one error": [json.dumps({"error": RATE_LIMIT}).encode()],
    "a page": [b"<html><title>Sign in</title></html>"],
    "words": [b"no healthy upstream"],
    "nothing": [],
    "blanks": [b"\n\n \n"],
    "an empty event": [FIRST, b"data: {}\n\n", *REST],
    "an event without an end": [FIRST, b'data: {"candidates": ['],
    "a broken event": [FIRST, b'data: {"candidates": [\n\n', *REST],
    "an event of words": [FIRST, b"data: nonsense\n\n", *REST],
    "an event of a list": [FIRST, b"data: [1]\n\n", *REST],
    "a null error": [FIRST, b'data: {"error": null, "candidates": []}\n\n', *REST],
    "an empty error": [FIRST, b'data: {"error": {"code": 0, "message": ""}}\n\n', *REST],
    "an error later": [FIRST, frame({"candidates": [], "error": OVERLOADED})],
    "no UTF-8": [FIRST.replace(b"Hel", b"H\xffl"), *REST],
    "separators": [frame(chunk("a\u2028b\u0085c")), *REST],
    "a code of words": [FIRST, frame({"error": {"code": "503", "message": "overloaded"}})],
    "a code beyond": [FIRST, frame({"error": {"code": 7, "message": "overloaded"}})],
    "words of an error": [FIRST, b"data: overloaded\n\n"],
    "an error of words": [FIRST, frame({"error": "overloaded"})],
    "a named error": [FIRST, b'event: error\ndata: {"message": "overloaded"}\n\n'],
    "a named error with a code": [FIRST, b"event: error\n", frame({"error": RATE_LIMIT})],
    "llama.cpp's error": [FIRST, b'error: {"code": 503, "message": "overloaded"}\n\n'],
    "a bare error": [FIRST, json.dumps({"error": OVERLOADED}).encode() + b"\n\n"],
    "an error at first": [frame({"error": RATE_LIMIT}), GOOD_STREAM],
    "an error after the end": [GOOD_STREAM, frame({"error": OVERLOADED})],
    "a blocked prompt": [frame({"promptFeedback": {"blockReason": "SAFETY"}})],
    "without an end": [FIRST, REST[0]],
}
