"""A server with OpenAI's list of models and its chat completions, plain or behind TLS with a certificate of its own."""

import contextlib
import json
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RIGHT_KEY = "sk-the-right-key-of-the-tests"
MODELS = [
    {"id": "gpt-4.1-mini", "object": "model", "created": 1, "owned_by": "openai", "shutdown_date": None},
    {"id": "gpt-4-turbo", "object": "model", "created": 1, "owned_by": "openai", "shutdown_date": "2026-10-23"},
    {"id": "our-own-model", "object": "model", "created": 1, "owned_by": "us", "max_model_len": 32_768},
]
ANSWER = {
    "id": "c-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4.1-mini",
    "choices": [{"index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": "OK"}}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
}
LIMITS = {
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-remaining-requests": "499",
    "x-ratelimit-reset-requests": "120ms",
}


NOT_FOUND = (404, "application/json", '{"error": {"message": "not found"}}')


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self):
        self._answer(None)

    def do_POST(self):
        self._answer(self.rfile.read(int(self.headers.get("content-length") or 0)))

    def _answer(self, body):
        self.server.requests.append((self.command, self.path))
        key = self.headers.get("authorization", "").removeprefix("Bearer ")
        if key != RIGHT_KEY:
            self._send(401, {"error": {"message": f"Incorrect API key provided: {key}", "code": "invalid_api_key"}})
        elif body is not None:
            self._send(200, ANSWER, LIMITS)
        elif not self.server.has_list:
            self._send(404, {"error": {"message": "not found"}})
        elif self.path.endswith("/models"):
            self._send(200, {"object": "list", "data": MODELS})
        elif self.path.endswith("/an-alias"):  # known by its name, and not in the list
            self._send(200, {**MODELS[0], "id": "an-alias"})
        else:
            self._send(404, {"error": {"message": "The model does not exist", "code": "model_not_found"}})

    def _send(self, status, body, headers=()):
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**dict(headers), "content-type": "application/json"}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    requests: list[tuple[str, str]]
    has_list: bool
    url: str

    def handle_error(self, *_):
        pass  # a client that distrusts the certificate hangs up


@contextlib.contextmanager
def serving(*, tls=None, has_list=True):
    """Yield a server and its URL.

    Args:
        tls: A folder for a certificate that signs itself; None serves plainly.
        has_list: Whether it has a list of models.
    """
    server = Server(("127.0.0.1", 0), Handler)
    server.has_list, server.requests = has_list, []
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certify(tls))
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    server.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def certify(folder):
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=here"
    extras = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *extras], check=True, capture_output=True)
    return certificate, key


@contextlib.contextmanager
def answering(replies):
    """Yield the URL of a server with a reply for each path: status, type and text; without a status it is silent."""

    class Replies(BaseHTTPRequestHandler):
        def do_GET(self):
            status, kind, text = replies.get("/" + self.path.split("/")[1], NOT_FOUND)
            if status is None:
                silence.wait(20)
                return
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    silence = threading.Event()
    server = Server(("127.0.0.1", 0), Replies)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        silence.set()
        server.shutdown()
        server.server_close()
