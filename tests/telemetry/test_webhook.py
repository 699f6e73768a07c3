"""The webhook: signed as Standard Webhooks has it, sent until it is taken, silent about secrets."""

import base64
import contextlib
import json
import logging
import pickle
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import standardwebhooks

from multiroute_core import ConfigurationError, Router
from multiroute_core.telemetry.outbox import PATIENCE
from multiroute_core.telemetry.signature import SignatureError, verify_signature
from multiroute_core.telemetry.webhook import STALE, Webhook
from multiroute_core.testing import Answer, scripted_route
from multiroute_core.testing.server import Drop, ReplayServer, Reply
from tests.telemetry.patience import Clock, eventually

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdefghijklmno").decode()
OK = Reply(204)


@dataclass(frozen=True, slots=True)
class BudgetWarning:
    budget: str
    who: str
    share: float
    spent: float
    resets_at: float | None = None


ALERT = BudgetWarning("daily", "tenant ä", 0.8, 16.5)


def turns(*replies):
    """Each reply once, and then the last one for ever."""
    left = list(replies)

    def reply(received):
        now = left.pop(0) if len(left) > 1 else left[0]
        if now is Drop:
            raise Drop
        return now

    return reply


@pytest.fixture
def server():
    with ReplayServer(OK) as server:
        yield server


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(server, clock):
    """Makes webhooks to the server, whose pauses take no time, and closes them."""
    with contextlib.ExitStack() as stack:

        def made(secret=SECRET, url=None, **more):
            webhook = Webhook(url or f"{server.url}/hooks?key=hush-query", secret, **{"timing": clock.timing, **more})
            stack.callback(webhook.close, 0.0)
            return webhook

        yield made


class TestWhatIsSent:
    def test_an_alert_is_posted_as_json(self, make, server):
        webhook = make(headers={"X-Team": "ops"})
        webhook(ALERT)
        assert webhook.flush(20.0)
        (received,) = server.requests
        assert (received.method, received.path) == ("POST", "/hooks?key=hush-query")
        assert received.headers["content-type"] == "application/json"
        assert received.headers["x-team"] == "ops"
        body = json.loads(received.body)
        assert abs(time.time() - datetime.fromisoformat(body.pop("timestamp")).timestamp()) < 60
        assert body == {
            "type": "budget.warning",
            "data": {"budget": "daily", "who": "tenant ä", "share": 0.8, "spent": 16.5, "resets_at": None},
        }

    def test_its_signature_is_what_the_reference_library_wants(self, make, server):
        webhook = make()
        webhook(ALERT)
        assert webhook.flush(20.0)
        (received,) = server.requests
        said = standardwebhooks.Webhook(SECRET).verify(received.body, received.headers)
        assert said["data"]["who"] == "tenant ä"
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            standardwebhooks.Webhook(SECRET).verify(received.body + b" ", received.headers)

    def test_without_a_secret_there_is_no_signature(self, make, server):
        webhook = make(secret=None)
        webhook(ALERT)
        assert webhook.flush(20.0)
        assert "webhook-signature" not in server.requests[0].headers
        assert server.requests[0].headers["webhook-id"].startswith("msg_")

    def test_credentials_of_the_url_are_sent_as_such(self, make, server):
        webhook = make(url=server.url.replace("http://", "http://us%65r:hush%2Fword@") + "/a")
        webhook(ALERT)
        assert webhook.flush(20.0)
        assert server.requests[0].path == "/a"
        assert base64.b64decode(server.requests[0].headers["authorization"].split()[1]) == b"user:hush/word"

    def test_what_a_call_tells_of_itself_stays_here(self, make, server):
        webhook = make()
        router = Router([scripted_route("a", Answer("secret answer"))], on_event=[webhook])
        router.generate("secret question")
        webhook(ALERT)
        assert webhook.flush(20.0)
        assert [json.loads(received.body)["type"] for received in server.requests] == ["budget.warning"]

    def test_what_is_no_json_is_counted(self, make, server, caplog):
        webhook = make()
        webhook(BudgetWarning("daily", object(), 0.8, 1.0))  # pyright: ignore[reportArgumentType]  # no JSON
        webhook(BudgetWarning("daily", "x", float("nan"), 1.0))
        assert webhook.flush(20.0)
        assert webhook.dropped == 1
        assert "BudgetWarning cannot be serialized as JSON" in caplog.text
        assert json.loads(server.requests[0].body)["data"]["share"] is None


class TestTrouble:
    @pytest.mark.parametrize("first", [500, 503, 429, 425, 409, 408, Drop])
    def test_it_is_sent_again_with_the_same_id_and_in_order(self, make, server, first):
        server.serve(turns(*[first if first is Drop else Reply(first)] * 3, OK))
        webhook = make()
        webhook(ALERT)
        webhook(BudgetWarning("monthly", "x", 1.0, 2.0))
        eventually(lambda: webhook.pending == 0)
        names = [json.loads(received.body)["data"]["budget"] for received in server.requests]
        ids = [received.headers["webhook-id"] for received in server.requests]
        assert names == ["daily"] * 4 + ["monthly"]
        assert (len(set(ids[:4])), len(set(ids))) == (1, 2)
        assert webhook.dropped == 0
        for received in server.requests:
            verify_signature(received.body, received.headers, SECRET)

    def test_each_try_has_a_time_and_a_signature_of_its_own(self, make, server):
        server.serve(turns(Reply(500), OK))
        times = iter([1e9, 1e9, 1e9 + 600.0])  # when it was made, and the two tries
        webhook = make(wall=lambda: next(times))
        webhook(ALERT)
        eventually(lambda: webhook.pending == 0)
        for received, when in zip(server.requests, (1e9, 1e9 + 600.0), strict=True):
            assert received.headers["webhook-timestamp"] == str(int(when))
            verify_signature(received.body, received.headers, SECRET, wall=lambda when=when: when)

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422, 301, 302, 307])
    def test_other_answers_give_it_up_and_the_log_tells_no_secret(self, make, server, status, caplog):
        with ReplayServer(OK) as elsewhere:
            server.serve(turns(Reply(status, {"Location": f"{elsewhere.url}/x"}, b"hush-body"), OK))
            url = server.url.replace("http://", "http://user:hush-word@") + "/hush-path?key=hush-query"
            webhook = make(url=url, headers={"X-Key": "hush-header"})
            webhook(ALERT)
            webhook(ALERT)
            assert webhook.flush(20.0)
            assert elsewhere.requests == []
        assert (len(server.requests), webhook.dropped) == (2, 1)
        (line,) = caplog.messages
        assert f"HTTP {status}" in line
        assert server.url in line
        told = line + repr(webhook) + repr(webhook._queue.deliver)
        assert "hush" not in told
        assert "user" not in told
        assert SECRET.removeprefix("whsec_") not in told

    @pytest.mark.parametrize(
        ("after", "seconds"),
        [("120", 120.0), (formatdate(1e9 + 240.0, usegmt=True), 240.0), ("999999", 3600.0), ("soon", 0.5), ("-5", 0.5)],
    )
    def test_retry_after_is_kept(self, make, server, clock, after, seconds):
        server.serve(turns(Reply(429, {"Retry-After": after}), OK))
        webhook = make(wall=lambda: 1e9)
        webhook(ALERT)
        eventually(lambda: webhook.pending == 0)
        assert sum(clock.slept) == pytest.approx(seconds)

    def test_what_nobody_takes_for_a_day_is_given_up(self, make, server, clock):
        server.serve(Reply(500, {"Retry-After": "3600"}))
        webhook = make(wall=lambda: clock.now)
        webhook(ALERT)
        eventually(lambda: webhook.dropped == 1)
        assert STALE < sum(clock.slept) <= STALE + 3600.0
        assert len({received.headers["webhook-id"] for received in server.requests}) == 1

    def test_down_and_up_again(self, caplog):
        caplog.set_level(logging.INFO, "multiroute_core")
        reserved = socket.socket()
        reserved.bind(("127.0.0.1", 0))  # and nobody listens: connections are refused
        webhook = Webhook(f"http://127.0.0.1:{reserved.getsockname()[1]}/hook", SECRET)
        for number in range(5):
            webhook(BudgetWarning(f"budget {number}", "x", 0.8, 1.0))
        eventually(lambda: "are queued" in caplog.text)
        assert webhook.pending == 5
        with listening(reserved) as got:
            assert webhook.flush(60.0)
            assert [json.loads(body)["data"]["budget"] for body in got] == [f"budget {n}" for n in range(5)]
        assert webhook.dropped == 0
        eventually(lambda: len(caplog.records) == 2)
        assert "ConnectionRefusedError" in caplog.messages[0]
        assert "is available again" in caplog.messages[1]
        webhook.close()

    def test_one_that_does_not_answer_is_left_after_the_timeout_and_nobody_waits(self, server, caplog):
        gate = threading.Event()
        server.serve(turns(Reply(200, body=iter(lambda: b"" if gate.wait(60) else b"late", b"")), OK))
        webhook = Webhook(server.url, SECRET, timeout=2.0)
        began = time.monotonic()
        for _ in range(100):
            webhook(ALERT)
        took = time.monotonic() - began
        eventually(lambda: "are queued" in caplog.text)
        gate.set()
        assert took < 5.0
        assert "no response within 2 s" in caplog.text
        assert webhook.flush(60.0)
        assert len(server.requests) == 101
        webhook.close()

    def test_one_that_speaks_no_http_is_tried_again(self, caplog):
        with socket.create_server(("127.0.0.1", 0)) as strange:

            def chat():
                for _ in range(2):
                    connection, _ = strange.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(b"220 smtp.example ready\r\n")

            thread = threading.Thread(target=chat)
            thread.start()
            webhook = Webhook(f"http://127.0.0.1:{strange.getsockname()[1]}", SECRET)
            webhook(ALERT)
            thread.join(60)
            assert webhook.pending == 1
            webhook.close(0.0)
        assert "connection broke" in caplog.text


@contextlib.contextmanager
def listening(reserved):
    """A receiver on a port that was reserved."""
    got = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    port = reserved.getsockname()[1]
    reserved.close()
    with HTTPServer(("127.0.0.1", port), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield got
        server.shutdown()
        thread.join()


PROGRAM = """
import sys
from multiroute_core import {name} as Alert
from multiroute_core.telemetry.webhook import Webhook
webhook = Webhook(sys.argv[1], sys.argv[2])
webhook(Alert(1, 2))
"""


class TestEnd:
    def test_the_end_of_the_program_sends_what_waits(self, server):
        run(PROGRAM.format(name="Usage"), server.url)
        (received,) = server.requests
        assert json.loads(received.body)["data"]["input_tokens"] == 1
        verify_signature(received.body, received.headers, SECRET)

    def test_a_receiver_that_hangs_keeps_no_program_from_ending(self, server):
        gate = threading.Event()
        server.serve(Reply(200, body=iter(lambda: b"" if gate.wait(60) else b"late", b"")))
        began = time.monotonic()
        log = run(PROGRAM.format(name="Usage"), server.url)
        gate.set()
        assert time.monotonic() - began < PATIENCE + 30.0
        assert "1 dropped" in log


def run(code, url):
    done = subprocess.run([sys.executable, "-c", code, url, SECRET], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stderr


class TestVerify:
    NOW = 1_700_000_000

    def headers(self, body=b'{"a":1}', when=NOW):
        signature = standardwebhooks.Webhook(SECRET).sign("msg_1", datetime.fromtimestamp(when, UTC), body.decode())
        return {"Webhook-Id": "msg_1", "Webhook-Timestamp": str(when), "Webhook-Signature": signature}

    def check(self, body=b'{"a":1}', secret: str | bytes = SECRET, **changed):
        headers = {**self.headers(), **{name.replace("_", "-"): value for name, value in changed.items()}}
        verify_signature(
            body, {name: value for name, value in headers.items() if value}, secret, wall=lambda: self.NOW + 10.0
        )

    def test_what_the_reference_library_signs_is_right(self):
        self.check()
        self.check(secret=SECRET.removeprefix("whsec_"))
        self.check(secret=b"0123456789abcdefghijklmno")
        right = self.headers()["Webhook-Signature"]
        self.check(Webhook_Signature=f"v1,{base64.b64encode(b'old' * 11).decode()} v1a,xyz {right}")

    @pytest.mark.parametrize(
        ("changed", "sentence"),
        [
            ({"body": b'{"a":2}'}, "No signature"),
            ({"secret": b"another"}, "No signature"),
            ({"Webhook_Id": "msg_2"}, "No signature"),
            ({"Webhook_Timestamp": str(NOW + 1)}, "No signature"),
            ({"Webhook_Timestamp": str(NOW - 600)}, "more than 300 s"),
            ({"Webhook_Timestamp": str(NOW + 600)}, "more than 300 s"),
            ({"Webhook_Timestamp": "now"}, "not a number"),
            ({"Webhook_Timestamp": "²"}, "not a number"),
            ({"Webhook_Timestamp": "9" * 5000}, "not a number"),
            ({"Webhook_Signature": "v1,ü"}, "No signature"),
            ({"Webhook_Signature": None}, "webhook-signature is missing"),
            ({"Webhook_Id": None}, "webhook-id is missing"),
        ],
    )
    def test_anything_else_is_not(self, changed, sentence):
        with pytest.raises(SignatureError, match=sentence):
            self.check(**changed)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"url": "ops.example/hook"}, "is not a valid webhook URL"),
        ({"url": "ftp://ops.example"}, "is not a valid webhook URL"),
        ({"url": "https://"}, "is not a valid webhook URL"),
        ({"url": "https://ops.example:x/hush"}, "is not a valid webhook URL"),
        ({"url": "https://ops.example/hush hush"}, "is not a valid webhook URL"),
        ({"url": "https://ops.example/\r\nhush: 1"}, "is not a valid webhook URL"),
        ({"url": None}, "is not a valid webhook URL"),
        ({"secret": "whsec_hush!"}, "not valid base64"),
        ({"secret": "whsec_"}, "empty"),
        ({"secret": b""}, "empty"),
        ({"headers": {"X Y": "hush"}}, "not a valid header name"),
        ({"headers": {"X": "hush\r\nY: 1"}}, "headers do not allow"),
        ({"headers": {"X": "hush–"}}, "headers do not allow"),
        ({"timeout": 0}, "timeout"),
    ],
)
def test_what_cannot_be_used_is_refused_at_once(given, sentence):
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        Webhook(**{"url": "https://ops.example/hook", **given})
    assert "hush" not in str(caught.value)


def test_it_is_not_pickled():
    with pytest.raises(TypeError, match="contains secrets"):
        pickle.dumps(Webhook("https://ops.example/hook", SECRET))


@pytest.mark.parametrize("body", ["{}", {}, None], ids=type)
def test_a_body_that_is_not_bytes_is_refused_in_a_sentence(body):
    with pytest.raises(ConfigurationError, match="pass the raw body"):
        verify_signature(body, {}, SECRET)
