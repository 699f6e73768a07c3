"""The server as a whole: readiness, concurrency, draining, the access log, and the commands."""

import contextlib
import gc
import http.client
import itertools
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from multiroute_core import Budget, ConfigurationError, Limit, Router
from multiroute_core.cli.main import main
from multiroute_core.errors import AuthenticationError
from multiroute_core.serving import build_app, hash_key
from multiroute_core.serving import server as server_module
from multiroute_core.serving.server import VARIABLE, ServerSettings, create_app, supervise
from multiroute_core.telemetry import PrometheusMetrics
from multiroute_core.testing import Answer, Fail, Hang, ReplayServer, Reply, scripted_route
from tests.serving.servers import eventually, in_flight, running

pytestmark = pytest.mark.slow

BODY = {"model": "auto", "messages": [{"role": "user", "content": "KEYWORD-42"}]}
PATH = "/v1/chat/completions"


def test_ready_is_whether_a_route_can_take_a_call():
    router = Router([scripted_route("one", Fail(AuthenticationError))], max_retries=0)
    app = build_app(router)
    with running(app) as server:
        assert server.request("GET", "/healthz")[0] == 200
        assert server.request("GET", "/readyz")[0] == 200
        assert server.request("POST", PATH, BODY)[0] == 502  # the breaker opens for long
        assert server.request("GET", "/readyz")[0] == 503
        assert server.request("GET", "/healthz")[0] == 200
        app.state.serving.draining = True
        status, headers, content = server.request("POST", PATH, BODY)
        assert (status, json.loads(content)["error"]["code"]) == (503, "shutting_down")
        assert headers["retry-after"] == "1"


def test_calls_beyond_the_limit_get_a_503():
    router = Router([scripted_route("one", Hang())], max_retries=0)
    with running(build_app(router, max_concurrency=2)) as server:
        connections = [server.open(PATH, BODY) for _ in range(2)]
        eventually(lambda: in_flight(router) == 2)
        status, headers, content = server.request("POST", PATH, BODY)
        assert (status, headers["retry-after"]) == (503, "1")
        assert json.loads(content)["error"]["code"] == "too_many_calls"
        assert server.request("GET", "/v1/models")[0] == 200
        for connection in connections:
            connection.close()
        eventually(lambda: in_flight(router) == 0)


def test_limits_and_budgets_of_a_tenant_are_a_429():
    one = scripted_route("one", Answer("ok"), prices={"input": 1, "output": 1e6})
    limited = build_app(Router([scripted_route("one", Answer("ok"))], limit=Limit(rpm=1, name="few")))
    spent = build_app(Router([one], budget=Budget(usd=2, per="day", scope="tenant", hard=True, name="day")))
    with running(limited) as server:
        assert server.request("POST", PATH, BODY, {"x-multiroute-tenant": "a"})[0] == 200
        assert server.request("POST", PATH, BODY, {"x-multiroute-tenant": "b"})[0] == 200
        for stream in (False, True):
            body = BODY | {"stream": stream}
            status, headers, content = server.request("POST", PATH, body, {"x-multiroute-tenant": "a"})
            assert (status, json.loads(content)["error"]["code"]) == (429, "rate_limit_exceeded")
            assert 1 <= int(headers["retry-after"]) <= 60
    with running(spent) as server:
        status, headers, content = server.request("POST", PATH, BODY | {"max_tokens": 100})
        assert (status, json.loads(content)["error"]["code"]) == (429, "insufficient_quota")
        assert headers["x-should-retry"] == "false"


def test_what_is_loaded_at_the_start_is_frozen():
    before = gc.get_freeze_count()
    with running(build_app(Router([scripted_route("one", Answer("ok"))]), freeze=True)) as server:
        assert server.request("GET", "/healthz")[0] == 200
        assert gc.get_freeze_count() > before


def test_the_access_log_has_no_content(caplog):
    caplog.set_level(logging.INFO, "multiroute_core.serving.access")
    router = Router([scripted_route("one", Answer("SECRETWORD"))])
    with running(build_app(router, keys={hash_key("mr-k"): "shop"})) as server:
        for stream in (False, True):
            server.request("POST", PATH, BODY | {"stream": stream}, {"authorization": "Bearer mr-k"})
        server.request("POST", "/v1/KEYWORD-42", BODY)
    lines = [record.getMessage() for record in caplog.records if record.name.endswith("access")]
    assert len(lines) == 3
    for line in lines[:2]:
        assert re.match(rf"POST {PATH} 200 \d+\.\d+ s request_id=req_\w+ tenant=shop route=one", line)
    assert not re.search("KEYWORD|SECRET|mr-k", "".join(lines))


def test_a_page_of_another_name_cannot_call_an_open_server():
    """DNS rebinding: the page's name resolves to this machine, and the browser thinks it is the page's own site."""
    with running(build_app(Router([scripted_route("one", Answer("ok"))]), only_loopback=True)) as server:
        assert server.request("POST", PATH, BODY)[0] == 200
        for host in ("localhost", "localhost:8000", "[::1]:1", "127.0.0.2:8000", "127.1.2.3"):
            assert server.request("POST", PATH, BODY, {"host": host})[0] == 200
        for host in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example", "127.evil.example"):
            assert server.request("POST", PATH, BODY, {"host": host})[0] == 421


def test_no_site_is_allowed_to_read_answers():
    with running(build_app(Router([scripted_route("one", Answer("ok"))]))) as server:
        asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        status, headers, _ = server.request("OPTIONS", PATH, None, asked)
        assert status == 405
        assert not any(name.startswith("access-control") for name in headers)


def test_bad_settings_are_refused(tmp_path):
    router = Router([scripted_route("one", Answer("ok"))])
    wrong: list[Any] = [{"max_body_bytes": 0}, {"max_concurrency": True}, {"keys": {}}, {"keys": tmp_path / "none"}]
    for settings in wrong:
        with pytest.raises(ConfigurationError):
            build_app(router, **settings)
    for host in ("0.0.0.0", "::", "10.0.0.1"):
        with pytest.raises(ConfigurationError, match="--keys"):
            ServerSettings(host=host).check()
    ServerSettings(host="0.0.0.0", keys="keys").check()
    ServerSettings(host="127.0.0.2").check()


def test_commands_refuse_mistakes(capsys, tmp_path):
    for arguments in (["--host", "0.0.0.0"], ["--route", "nonsense"], ["routes.toml", "--route", "openai:x"]):
        assert main(["serve", *arguments]) == 2
        assert capsys.readouterr().err.startswith("multiroute: ")
    assert main(["key", " "]) == 2


def test_a_port_in_use_is_a_sentence(capsys, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", "--route", "openai:gpt-4.1", "--port", port]) == 2
    assert f"cannot use port {port} of 127.0.0.1" in capsys.readouterr().err


def test_a_command_makes_keys(capsys):
    from multiroute_core.serving import ApiKeys

    assert main(["key", "the shop"]) == 0
    key, line = (text.partition(": ")[2] for text in capsys.readouterr().out.splitlines())
    digest, _, tenant = line.partition(" ")
    assert ApiKeys({digest: tenant}).find_tenant(key) == "the shop"


@contextlib.contextmanager
def serving(upstream, *arguments, **options):
    """`multiroute serve` in a process of its own, with one route, or with a file among the arguments; its port."""
    code = "import sys; from multiroute_core.cli.main import main; sys.exit(main(sys.argv[1:]))"
    route = [] if arguments else ["--route", "openai:gpt-4.1-mini"]
    command = [sys.executable, "-c", code, "serve", "--port", "0", *route, *arguments]
    environment = os.environ | {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": upstream.url}
    root = Path(__file__).parent.parent.parent
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=root, **options)
    try:
        address = re.search(r"http://127\.0\.0\.1:(\d+)/v1", process.stderr.readline())
        assert address is not None
        yield process, int(address[1])
    finally:
        process.kill()
        process.communicate()


FILE_LIMIT = """
import resource
from multiroute_core.serving.server import raise_file_limit
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
assert raise_file_limit() == min(hard, 65_536)
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(hard, 65_536), hard)
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
assert raise_file_limit() == 128
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (128, 128)
"""


def test_a_server_may_open_as_many_files_as_the_system_allows():
    pytest.importorskip("resource", reason="Windows has no limit of open files")
    completed = subprocess.run([sys.executable, "-c", FILE_LIMIT], capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stderr


def test_a_limit_of_open_files_below_what_the_calls_need_is_a_warning(monkeypatch, caplog):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setattr(server_module, "raise_file_limit", lambda: 128)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = ServerSettings(["openai:gpt-4.1-mini"], port=taken.getsockname()[1], max_concurrency=100)
        with pytest.raises(ConfigurationError, match="cannot use port"):
            server_module.serve(settings)
    assert "128 files and sockets open here; 100 calls in flight need about 250" in caplog.text


def read_answer(port, chunks, begun):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    body = json.dumps(BODY | {"stream": True})
    connection.request("POST", PATH, body, {"content-type": "application/json"})
    response = connection.getresponse()
    while line := response.readline():
        chunks.append(line)
        begun.set()
    connection.close()


class Sleeper:
    """What a worker process is to its supervisor."""

    def start(self):
        self.process = subprocess.Popen(["sleep", "60"])
        self.pid = self.process.pid

    def is_alive(self):
        return hasattr(self, "process") and self.process.poll() is None

    def join(self):
        self.process.wait()

    def terminate(self):
        self.process.terminate()


def test_workers_are_replaced_and_end_with_the_server():
    built = []

    def build():
        built.append(Sleeper())
        return built[-1]

    def trouble():
        eventually(lambda: len(built) == 2 and all(worker.is_alive() for worker in built))
        built[0].process.kill()
        eventually(lambda: len(built) == 3 and built[2].is_alive())
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=trouble)
    thread.start()
    supervise(2, build)
    thread.join()
    assert [worker.process.returncode for worker in built] == [-signal.SIGKILL, -signal.SIGTERM, -signal.SIGTERM]


@pytest.mark.parametrize(("reloads", "name"), [(True, "SIGHUP"), (False, "SIGTERM")])
def test_sighup_reaches_workers_that_reload_and_ends_the_others_like_sigterm(reloads, name):
    built = []

    def build():
        built.append(Sleeper())
        return built[-1]

    def trouble():
        eventually(lambda: built and built[0].is_alive())
        os.kill(os.getpid(), signal.SIGHUP)
        built[0].join()
        if reloads:
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=trouble)
    thread.start()
    supervise(1, build, reloads=reloads)
    thread.join()
    assert built[0].process.returncode == -getattr(signal, name)


def test_workers_that_end_at_once_are_replaced_less_and_less_often(monkeypatch):
    times, starts = [0.0], []

    class Waits(threading.Event):
        def wait(self, timeout=None):
            times[0] += timeout or 0.0
            return self.is_set()

    class Fails(Sleeper):
        def start(self):
            starts.append(times[0])
            self.process = subprocess.Popen(["true"])
            self.pid = self.process.pid
            self.process.wait()
            if len(starts) == 9:
                os.kill(os.getpid(), signal.SIGHUP)
            if len(starts) == 11:
                os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(server_module.threading, "Event", Waits)
    monkeypatch.setattr(server_module.time, "monotonic", lambda: times[0])
    supervise(1, Fails, reloads=True)
    pauses = [later - earlier - 0.5 for earlier, later in itertools.pairwise(starts)]
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30, 1, 2]  # SIGHUP begins anew


def test_a_worker_that_cannot_start_says_so_in_one_line(tmp_path, monkeypatch, caplog):
    file = tmp_path / "routes.toml"
    file.write_text("routes = 3\ndeadline = -1\n")
    settings = ServerSettings(config=str(file))
    monkeypatch.setenv(VARIABLE, json.dumps(asdict(settings)))
    monkeypatch.setattr(server_module, "configure_logging", lambda: None)
    monkeypatch.setattr(os, "setpgid", lambda *_: None)  # this process stays in its group
    handler = signal.getsignal(signal.SIGHUP)
    with socket.socket() as listener, pytest.raises(SystemExit, match="1"):
        server_module._run_worker(settings, listener)
    signal.signal(signal.SIGHUP, handler)
    (record,) = caplog.records
    assert record.getMessage().startswith("A worker cannot start: ")
    assert "routes.toml has 2 errors: line 1, routes: routes=3 is not valid" in record.getMessage()


def answer_in_two_halves(go_on):
    """A stream that waits for an event after its first piece."""

    def pieces():
        for number in range(3):
            choice = {"index": 0, "delta": {"content": f"w{number} "}, "finish_reason": "stop" if number == 2 else None}
            yield b"data: " + json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode() + b"\n\n"
            if number == 0:
                go_on.wait(20)
        yield b"data: [DONE]\n\n"

    return lambda _: Reply(200, {"content-type": "text/event-stream"}, pieces(), stream=True)


@pytest.mark.slow
def test_ctrl_c_in_a_terminal_breaks_no_stream():
    """A terminal sends it to all processes of the group at once."""
    go_on = threading.Event()
    arguments = ("--route", "openai:gpt-4.1-mini", "--workers", "2")
    with ReplayServer(answer_in_two_halves(go_on)) as upstream:
        with serving(upstream, *arguments, start_new_session=True) as (process, port):
            eventually(lambda: status_of(port, "/readyz") == 200)
            chunks, begun = [], threading.Event()
            reader = threading.Thread(target=read_answer, args=(port, chunks, begun))
            reader.start()
            assert begun.wait(20)
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(1.0)  # the supervisor forwards it; calls in flight have five seconds
            go_on.set()
            reader.join()
            process.wait(20)
    assert b"".join(chunks).count(b'"content":"w') == 3
    assert chunks[-2] == b"data: [DONE]\n"


@pytest.mark.slow
def test_sigterm_lets_a_stream_finish():
    go_on = threading.Event()
    with ReplayServer(answer_in_two_halves(go_on)) as upstream, serving(upstream) as (process, port):
        eventually(lambda: status_of(port, "/readyz") == 200)
        chunks, begun = [], threading.Event()
        reader = threading.Thread(target=read_answer, args=(port, chunks, begun))
        reader.start()
        assert begun.wait(20)
        process.send_signal(signal.SIGTERM)
        eventually(lambda: status_of(port, "/readyz") == 503)
        assert status_of(port, PATH, BODY) == 503
        assert process.poll() is None
        go_on.set()
        reader.join()
        assert process.wait(20) == 0
        assert chunks[-2] == b"data: [DONE]\n"
        assert b"".join(chunks).count(b'"content":"w') == 3


def test_a_worker_ends_without_a_traceback_on_ctrl_c(monkeypatch):
    monkeypatch.setattr(server_module, "create_app", lambda: None)
    monkeypatch.setattr(server_module, "configure_logging", lambda: None)
    monkeypatch.setattr(os, "setpgid", lambda *_: None)  # this process stays in its group
    monkeypatch.setattr(server_module, "_run", lambda *_: signal.raise_signal(signal.SIGINT))
    with socket.socket() as listener:
        server_module._run_worker(ServerSettings(), listener)


def test_metrics_that_a_reload_adds_are_shown(tmp_path, monkeypatch):
    file = tmp_path / "routes.json"
    settings = {"routes": [{"route": "openai:gpt-6-luna", "api_key": "k"}]}
    file.write_text(json.dumps(settings))
    monkeypatch.setenv(VARIABLE, json.dumps(asdict(ServerSettings(config=str(file)))))
    app = create_app()
    with running(app) as server:
        status, _, text = server.request("GET", "/metrics")
        assert (status, b"PrometheusMetrics" in text) == (404, True)
        file.write_text(json.dumps(settings | {"on_event": ["PrometheusMetrics"]}))
        app.state.router.reload()
        status, headers, text = server.request("GET", "/metrics")
        assert (status, headers["content-type"]) == (200, PrometheusMetrics.CONTENT_TYPE)
        assert b'multiroute_route="openai:gpt-6-luna"' in text
    gc.unfreeze()
    app.state.router.close()


def test_workers_that_count_alone_are_a_warning(tmp_path, caplog):
    settings = ServerSettings(workers=2, config="routes.toml")
    for metrics in (PrometheusMetrics(tmp_path), PrometheusMetrics()):
        assert caplog.messages == []
        with Router([scripted_route("a", Answer("Hi."))], on_event=[metrics]) as router:
            server_module.warn_about_metrics(settings, router)
    assert "PrometheusMetrics has no directory: /metrics shows one of the 2 workers" in caplog.text


def test_metrics_are_shown_to_those_with_a_key():
    metrics = PrometheusMetrics()
    with Router([scripted_route("a", Answer("Hi."))], on_event=[metrics]) as router:
        with running(build_app(router, metrics=metrics, keys={hash_key("mr-key"): "shop"})) as server:
            key = {"authorization": "Bearer mr-key"}
            assert server.request("POST", PATH, BODY, key)[0] == 200
            assert server.request("GET", "/metrics")[0] == 401
            status, headers, text = server.request("GET", "/metrics", headers=key)
    assert (status, headers["content-type"]) == (200, PrometheusMetrics.CONTENT_TYPE)
    assert b'multiroute_requests_total{multiroute_outcome="success"} 1' in text
    assert b"shop" not in text
    with Router([scripted_route("a", Answer("Hi."))]) as router, running(build_app(router)) as server:
        assert server.request("GET", "/metrics")[0] == 404


@pytest.mark.slow
def test_a_configuration_file_is_served_and_reloaded_on_sighup(tmp_path):
    from multiroute_core.testing import ReplayServer, Reply

    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    reply = json.dumps({"id": "c", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage})

    def answer(_):
        return Reply(200, {"content-type": "application/json"}, reply.encode())

    def write(name):
        route = {"route": "openai:m", "name": name, "base_url": f"{upstream.url}/v1", "api_key": "k", "api": "chat"}
        config.write_text(json.dumps({"routes": [route], "on_event": ["PrometheusMetrics"]}))

    def models():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", "/v1/models")
            return connection.getresponse().read().decode()

    config = tmp_path / "routes.json"
    with ReplayServer(answer) as upstream:
        write("before")
        with serving(upstream, str(config)) as (process, port):
            eventually(lambda: status_of(port, "/readyz") == 200)
            assert "before" in models()
            assert status_of(port, PATH, BODY) == 200
            assert status_of(port, "/metrics") == 200
            write("after")
            process.send_signal(signal.SIGHUP)
            eventually(lambda: "after" in models())
            assert status_of(port, PATH, BODY) == 200
            config.write_text('{"routes": 3}')
            process.send_signal(signal.SIGHUP)
            assert status_of(port, PATH, BODY) == 200
            process.terminate()
            assert process.wait(20) == 0


def status_of(port, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        content = None if body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, content, {"content-type": "application/json"})
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()
