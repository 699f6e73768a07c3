"""`Router.requests`: the last requests, from a request log or from the ledger; content only where it is captured."""

import asyncio
import copy
import gc
import pickle
import threading
import time
from dataclasses import replace

import pytest

from multiroute_core import (
    Attempt,
    ConfigurationError,
    Ledger,
    RequestLog,
    RequestRecord,
    Response,
    RouteError,
    Router,
    Text,
)
from multiroute_core.messages import Blob, ToolCall
from multiroute_core.request_log import log as request_log
from multiroute_core.request_log.ledger import read_requests
from multiroute_core.testing import Answer, Fail, Hang, provider_of, scripted_route
from multiroute_core.types import Usage

PRICES = {"input": 1.0, "output": 0.0}
COUNTED = Usage(1_000_000, 10)


def router_of(*scripts, log=None, **more):
    routes = [
        scripted_route(name, script, prices=PRICES)
        for name, script in zip("abc", scripts or [Answer("x")], strict=False)
    ]
    hooks = [RequestLog() if log is None else log]
    return Router(routes, on_event=hooks, **more)


def test_the_latest_request_comes_first_with_its_attempts():
    router = router_of(Fail(after=0.01), Answer("hello", headers=0.02, usage=COUNTED))
    router.generate("one", tenant="shop", task="greet", labels={"z", "a"})
    router.generate("two")
    requests = router.requests()
    assert [request.tenant for request in requests] == [None, "shop"]
    assert len(router.requests(last=1)) == 1
    first = requests[1]
    assert (first.state, first.route, first.task, first.labels) == ("success", "b", "greet", ("a", "z"))
    assert [attempt.outcome for attempt in first.attempts] == ["server_error", "success"]
    assert first.cost == pytest.approx(1.0)
    assert first.seconds is not None
    assert first.offsets[0] < first.offsets[1] <= first.seconds
    assert first.offsets[1] >= 0.009
    assert time.time() - 60 < first.started_at <= time.time()
    lines = str(first).split("\n")
    assert lines[0].startswith(f"Request {first.request_id}: success at ")
    assert "tenant shop; task greet; labels a, z" in lines[0]
    assert lines[2].split()[:4] == ["a", "✗", "server", "error"]
    assert lines[3].split()[:3] == ["b", "✓", "success"]
    assert "error of a:" in lines
    assert "As the script says." in str(first)
    assert "success" in str(requests)


def test_attempts_stand_on_a_time_line():
    attempts = tuple(
        Attempt(name, "openai", "m", outcome, 1.0) for name, outcome in (("a", "timeout"), ("b", "success"))
    )
    record = RequestRecord("id", 0.0, "success", 4.0, attempts=attempts, offsets=(0.0, 3.0))
    first, second = str(record).split("\n")[2:]
    begin = first.index("█")
    assert (first[begin:], second[begin:]) == ("███", " " * 9 + "███")
    short = replace(record, attempts=(replace(attempts[0], seconds=0.0),), offsets=(4.0,))
    assert str(short).endswith("█"), "every attempt is seen"


@pytest.mark.parametrize("face", ["generate", "agenerate", "stream", "astream"])
def test_every_face_and_state(face):
    router = router_of(lambda call: Fail() if "bad" in call.text else Answer("yes"), max_retries=0, cache="memory")

    async def ask(text):
        if face == "agenerate":
            await router.agenerate(text)
        else:
            async for _ in router.astream(text):
                pass

    def call(text):
        if face == "generate":
            router.generate(text)
        elif face == "stream":
            list(router.stream(text))
        else:
            asyncio.run(ask(text))

    call("good")
    call("good")
    with pytest.raises(RouteError):
        call("bad")
    states = [(request.state, request.stream) for request in router.requests()]
    stream = face.endswith("stream")
    assert states == [("failed", stream), ("cached", stream), ("success", stream)]
    failed, cached, _ = router.requests()
    assert failed.error == "ServerError: Route 'a': As the script says."
    assert cached.cost == 0.0
    assert cached.attempts == ()
    assert "Request" in str(cached)


def test_a_running_request_and_one_that_its_caller_left():
    route = scripted_route("a", Hang())
    log = RequestLog()
    router = Router([route], on_event=[log])

    async def leave():
        task = asyncio.create_task(router.agenerate("x"))
        while not provider_of(route).takes:
            await asyncio.sleep(0.001)
        running = router.requests()[0]
        table = str(router.requests())
        task.cancel()
        await asyncio.wait([task])
        return running, table

    running, table = asyncio.run(leave())
    assert (running.state, running.seconds) == ("running", None)
    assert "running" in table
    assert router.requests()[0].state == "cancelled"
    chunks = router_of(Answer(("one", "two")), log=log).stream("y")
    next(chunks)
    assert [request.state for request in router.requests()] == ["running", "cancelled"]
    chunks.close()
    assert [request.state for request in router.requests()] == ["cancelled", "cancelled"]


def test_content_is_kept_only_where_it_is_captured():
    secret = "my secret <script>alert(1)</script> $a$ \x1b[2J"
    plain, capturing = RequestLog(), RequestLog(capture_content=True)
    for log in (plain, capturing):
        router_of(Answer("a secret answer"), log=log).generate(secret, system="be kind")
    record = plain.read()[0]
    assert (record.prompt, record.answer) == (None, None)
    gc.collect()
    kept = [thing for thing in gc.get_referents(*vars(plain).values()) if "secret" in repr(thing)]
    assert kept == []
    record = capturing.read()[0]
    assert record.prompt == (("system", "be kind"), ("user", secret))
    assert record.answer == "a secret answer"
    assert "secret" not in repr(record), "a traceback may show local variables"
    text, page = str(record), record._repr_html_()
    assert "\x1b" not in text
    assert "a secret answer" in text
    assert "<script>" not in page
    assert "\x1b" not in page
    assert "mathjax_ignore" in page
    table = router_of(log=capturing).requests()
    assert "<script>" not in table._repr_html_()
    assert "my secret" in str(table)


def test_what_is_kept_of_a_prompt_is_bounded():
    log = RequestLog(3, capture_content=True)
    router = router_of(Answer("x" * 30_000, tool_calls=[ToolCall("1", "look", {"city": "Rome"})]), log=log)
    router.generate([("user", "y" * 30_000)])
    record = log.read()[0]
    assert record.answer is not None
    assert len(record.answer) <= request_log.MAX_CHARACTERS + 1
    assert record.prompt is not None
    assert len(record.prompt[0][1]) <= request_log.MAX_CHARACTERS + 1
    parts = (Text("see"), Blob(b"\x00" * 100, "image/png"), ToolCall("1", "look", {"city": "Rome"}))
    assert request_log.describe(parts) == "see\n[Blob]\n[calls look({'city': 'Rome'})]"
    for number in range(10):
        router.generate(str(number))
    assert len(log.read()) == 3
    log.clear()
    assert log.read() == []


def test_requests_that_never_end_make_room(monkeypatch):
    monkeypatch.setattr(request_log, "MAX_OPEN", 5)
    log = RequestLog()
    streams = [router_of(log=log).stream(str(number)) for number in range(9)]
    for stream in streams:
        next(stream)
    assert len(log.read()) == 5


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_without_a_log_the_ledger_is_read(store, tmp_path):
    ledger = "memory" if store == "memory" else f"sqlite:///{tmp_path}/ledger.db"
    routes = [scripted_route("a", lambda call: Fail() if "odd" in call.text else Answer(usage=COUNTED), prices=PRICES)]
    routes.append(scripted_route("b", Answer(headers=0.01, usage=COUNTED), prices=PRICES))
    router = Router(routes, ledger=ledger, cache="memory")
    router.generate("odd", tenant="shop")
    router.generate("even")
    router.generate("even")
    latest, even, odd = router.requests()
    assert [latest.state, even.state, odd.state] == ["cached", "success", "success"]
    assert (odd.tenant, odd.route, odd.prompt) == ("shop", "b", None)
    assert [attempt.outcome for attempt in odd.attempts] == ["server_error", "success"]
    assert odd.offsets[0] == pytest.approx(0.0, abs=1e-6)
    assert odd.offsets[1] > 0.0
    assert odd.cost == pytest.approx(1.0)
    assert len(router.requests(last=2)) == 2
    assert "server error" in str(odd)
    assert "█" in odd._repr_html_()


def test_old_requests_in_a_ledger_are_shown_too():
    ledger = Ledger(wall=lambda: 1000.0)
    Router([scripted_route("a", Answer())], ledger=ledger).generate("x")
    assert len(read_requests(ledger, 5)) == 1


def test_a_router_without_records_says_what_to_type():
    router = Router([scripted_route("a", Answer())])
    with pytest.raises(ConfigurationError, match=r"on_event=\[multiroute_core.RequestLog\(\)\]"):
        router.requests()
    for wrong in (0, True, "5"):
        with pytest.raises(ConfigurationError, match="last="):
            router_of().requests(wrong)  # pyright: ignore[reportArgumentType]
        with pytest.raises(ConfigurationError, match="last="):
            RequestLog(wrong)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigurationError, match="capture_content="):
        RequestLog(capture_content="yes")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigurationError, match="notebook"):
        router_of().requests().watch()
    assert "No requests yet" in str(router_of().requests())


def test_a_log_is_shared_by_copies_and_pickles_without_requests():
    log = RequestLog(7, capture_content=True)
    router = router_of(log=log)
    router.generate("x")
    assert copy.deepcopy(log) is log
    assert copy.copy(log) is log
    again = pickle.loads(pickle.dumps(log))
    assert (again.read(), repr(again)) == ([], "RequestLog(7, capture_content=True)")
    assert router.with_hooks(print).requests()[0].state == "success"


def test_many_threads_and_one_log():
    log = RequestLog(1000, capture_content=True)
    router = router_of(Answer("x"), log=log)
    readers = threading.Event()

    def read():
        while not readers.is_set():
            str(router.requests())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        answers = router.map((str(n) for n in range(400)), progress=False, concurrency=8)
    finally:
        readers.set()
        reader.join()
    assert all(isinstance(answer, Response) for answer in answers)
    records = log.read()
    assert len(records) == 400
    assert {record.state for record in records} == {"success"}
    assert {record.prompt[0][1] for record in records if record.prompt} == {str(n) for n in range(400)}
