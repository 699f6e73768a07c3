"""Limits hold over TLS as well: within the handshake, and inside the records."""

from __future__ import annotations

import datetime
import gc
import importlib.util
import ipaddress
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from multiroute_core import APIConnectionError, AttemptTimeoutError, StreamInterruptedError
from multiroute_core.providers import http
from tests.providers.faces import FACES, PLAIN, STREAMED
from tests.providers.misbehaving import AFTERWARDS, GRACE, INSTEAD, Misbehaving, asked
from tests.providers.wires import WIRES

pytestmark = pytest.mark.wire

LIMIT = 0.3
OPENAI = (WIRES["openai"],)


class OverTls(Misbehaving):
    """The same server behind TLS.

    Args:
        files: The certificate's and the key's.
    """

    def __init__(self, files: tuple[Path, Path]) -> None:
        super().__init__()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*files)

    @property
    def url(self) -> str:
        return super().url.replace("http://", "https://")

    def __enter__(self) -> OverTls:
        super().__enter__()
        # Without a handshake at accepting: that is the connection's thread's, so one client cannot hold up the others.
        plain = self._server.socket
        self._server.socket = self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        return self


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if importlib.util.find_spec("cryptography") is None:
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=here"
        extras = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
        subprocess.run([*command.split(), *extras], check=True, capture_output=True)
        return certificate, key
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "here")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(private, hashes.SHA256())
    )
    encodings = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(private.private_bytes(*encodings))
    return certificate, key


@pytest.fixture(scope="module")
def server(files: tuple[Path, Path]) -> Iterator[OverTls]:
    with OverTls(files) as running:
        yield running
        running.beat.over.set()


@pytest.fixture
def trusted(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.create_default_context(cafile=str(files[0]))
    monkeypatch.setattr(http, "_ssl_context", lambda library: context)


@pytest.fixture
def mute() -> Iterator[str]:
    """The address of a server that takes connections and never says a word, not even to shake hands."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listening:
        yield f"https://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.usefixtures("trusted", "prepared_requests")
def test_an_answer_to_a_prepared_request_comes_over_tls(server: OverTls) -> None:
    for key, outcome in asked(server.url, OPENAI, FACES, "good").items():
        assert outcome.finish_reason == "stop", (key, outcome)


@pytest.mark.usefixtures("trusted")
def test_an_answer_comes_over_tls(server: OverTls) -> None:
    for key, outcome in asked(server.url, OPENAI, FACES, "good").items():
        assert outcome.finish_reason == "stop", (key, outcome)
        assert outcome.text.startswith("Hello")


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("instead", INSTEAD)
def test_a_provider_that_does_not_answer_is_left(server: OverTls, instead: str) -> None:
    asked(server.url, OPENAI, FACES, "good")  # imports the SDK
    for key, outcome in asked(server.url, OPENAI, INSTEAD[instead][0], instead, "good", attempt_timeout=LIMIT).items():
        assert LIMIT - 0.02 <= outcome.seconds <= LIMIT + GRACE, (key, outcome)
        assert outcome.response is not None, (key, outcome)
        assert [attempt.outcome for attempt in outcome.response.attempts] == ["timeout", "success"]


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("afterwards", AFTERWARDS)
def test_a_stream_that_stalls_is_broken(server: OverTls, afterwards: str) -> None:
    for key, outcome in asked(server.url, OPENAI, STREAMED, afterwards, "good", stall_timeout=LIMIT).items():
        assert LIMIT - 0.02 <= outcome.seconds <= LIMIT + GRACE, (key, outcome)
        assert (outcome.kind, outcome.text) == (StreamInterruptedError, "Hello, world"), (key, outcome)


@pytest.mark.usefixtures("trusted")
def test_a_handshake_that_does_not_end_is_left(mute: str) -> None:
    asked(mute, tuple(WIRES.values()), FACES, "good", attempt_timeout=0.1)  # imports the SDKs
    for key, outcome in asked(mute, tuple(WIRES.values()), FACES, "good", attempt_timeout=LIMIT).items():
        assert LIMIT - 0.02 <= outcome.seconds <= LIMIT + GRACE, (key, outcome)
        assert outcome.kind is AttemptTimeoutError, (key, outcome)
    gc.collect()  # a socket left behind is a ResourceWarning, and so an error: httpcore leaves those of cancelled tasks


def test_an_untrusted_certificate_is_no_connection(server: OverTls) -> None:
    for key, outcome in asked(server.url, OPENAI, (PLAIN[0], STREAMED[1]), "good").items():
        assert outcome.kind is APIConnectionError, (key, outcome)
