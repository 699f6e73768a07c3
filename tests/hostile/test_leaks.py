"""A marked key, header, password and prompt are looked for in everything that the product says, keeps and sends."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.tracers import BaseTracer
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from langchain_multiroute import ChatMultiRoute
from llamaindex_multiroute import MultiRoute
from multiroute_core import Budget, ConfigurationError, Ledger, Limit, MemoryCache, PromptOptimizer, Route, Router
from multiroute_core._util.redaction import Address, Secret, redact_url, without_secrets
from multiroute_core.errors import MultiRouteError
from multiroute_core.events import Event, GuardTriggered
from multiroute_core.guards import (
    Guard,
    OpenAIModeration,
    ban_text,
    block_secrets,
    mask_personal_data,
    moderate,
    require_schema,
    restrict_personal_data,
)
from multiroute_core.guards.guard import ORIGINS
from multiroute_core.telemetry import JSONLines, LogEvents, OpenTelemetry
from tests.hostile.mutations import write_body
from tests.hostile.test_reply_bounds import MODELS, reply
from tests.hostile.wire_server import WireServer
from tests.providers.faces import FACES, ask

KEY, HEADER, PASSWORD = "KEYMARK-0a1b2c3d4e", "HEADERMARK-5f6a7b8c", "PASSMARK-9d0e1f2a"
PROMPT, ANSWER = "PROMPTMARK-3b4c5d6e", "ANSWERMARK-7f8a9b0c"
SECRETS = (KEY, HEADER, PASSWORD)
OURS = ("multiroute_core", "langchain_multiroute", "llamaindex_multiroute")
EXTRA = {"anthropic": "anthropic", "google": "google"}
every_wire = pytest.mark.parametrize("wire", [wire for wire in MODELS if wire != "google-legacy"])


@pytest.fixture
def logs() -> Iterator[list[str]]:
    """Every record of every logger, at DEBUG, as a formatter writes it."""
    lines: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.name}|{logging.Formatter().format(record)}|{record.__dict__!r}")

    root, handler = logging.getLogger(), Handler()
    level, levels = root.level, {}
    for name in ("openai", "anthropic", "httpx", "httpx2", "httpcore", "httpcore2", "google_genai", *OURS):
        levels[name] = logging.getLogger(name).level
        logging.getLogger(name).setLevel(logging.DEBUG)
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def route(server: WireServer, wire: str, **more: Any) -> Route:
    host = f"127.0.0.1:{server.port}"
    path = "/v1" if wire in ("chat", "responses") else ""
    if wire in ("chat", "responses"):
        more["api"] = wire
    return Route(MODELS[wire], base_url=f"http://user:{PASSWORD}@{host}{path}", api_key=KEY, name="first", **more)


def extra(wire: str) -> dict[str, Any]:
    vendor = EXTRA.get(wire, "openai")
    headers = {"x-gateway-key": HEADER}
    return {vendor: {"http_options": {"headers": headers}} if vendor == "google" else {"extra_headers": headers}}


def good(wire: str) -> bytes:
    body = json.dumps(write_body(wire, tool=False)).replace("Hello", ANSWER).encode()
    return reply(body, content_length=str(len(body)))


def local_variables(error: BaseException) -> str:
    """What a traceback of our own frames shows with the variables of each, over the whole chain of exceptions."""
    lines: list[str] = []
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        waiting += [cause for cause in (one.__cause__, one.__context__) if cause is not None]
        waiting += getattr(one, "errors", ())
        shown = traceback.TracebackException.from_exception(one, capture_locals=True)
        for frame in shown.stack:
            if any(f"/{package}/" in frame.filename for package in OURS):
                lines.append(f"{frame.filename}:{frame.name} {frame.locals}")
    return "\n".join(lines)


def assert_free(where: str, text: str, marks: tuple[str, ...]) -> None:
    for mark in marks:
        place = text.find(mark)
        assert place < 0, f"{mark} in {where}: …{text[max(0, place - 300) : place + 50]}"


class Tracer(BaseTracer):
    def __init__(self) -> None:
        super().__init__()
        self.params = ""

    def _persist_run(self, run: Any) -> None:
        self.params += repr((run.extra, run.serialized, run.metadata if hasattr(run, "metadata") else ""))


class Store(MemoryCache):
    """A cache that remembers what was put into it."""

    def __init__(self) -> None:
        super().__init__()
        self.put_values: list[tuple[str, bytes]] = []

    async def put(self, io: Any, key: str, value: bytes, seconds: float) -> None:
        self.put_values.append((key, value))
        await super().put(io, key, value, seconds)


@every_wire
@pytest.mark.parametrize("fails", [False, True], ids=["success", "failed"])
def test_no_secret_is_in_what_the_product_says_and_no_content_unless_it_is_switched_on(
    server, wire, fails, logs, tmp_path
):
    echo = json.dumps({"error": {"message": f"bad key {KEY}", "type": "server_error", "echo": [KEY]}}).encode()
    server.reply(reply(echo, status=500) if fails else good(wire))
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    store, lines = Store(), tmp_path / "records.jsonl"
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db", export=[JSONLines(str(lines))])
    router = Router(
        [route(server, wire)],
        deadline=20,
        max_retries=0,
        cache=store,
        ledger=ledger,
        budget=Budget(usd=10, per="day"),
        on_event=[LogEvents(level="DEBUG"), OpenTelemetry(tracer_provider=provider)],
    )
    errors: list[Exception] = []
    for face in FACES:
        outcome = ask(face, router, PROMPT, extra=extra(wire), tenant="t")
        assert (outcome.error is not None) == fails, outcome.error
        if outcome.error is not None:
            errors.append(outcome.error)
    tracer = Tracer()
    for model in (ChatMultiRoute(router=router),):
        try:
            model.invoke(PROMPT, config={"callbacks": [tracer]})
        except MultiRouteError as error:
            errors.append(error)
    llama = MultiRoute(router=router)
    try:
        llama.complete(PROMPT)
    except MultiRouteError as error:
        errors.append(error)
    ledger.flush()
    said = {
        "repr of the router": repr((router, router.routes, router._settings)),
        "repr of the models": repr((ChatMultiRoute(router=router), llama, llama.metadata)),
        "tracer of LangChain": tracer.params,
        "explain": f"{router.explain(PROMPT)}{router.explain(PROMPT)!r}",
        "health, budgets, estimate": f"{router.health()}{router.budgets()}{router.estimate(PROMPT)}",
        "report": f"{router.report()}{router.report()._repr_html_()}",
        "ledger": repr(ledger.to_dicts()) + (tmp_path / "ledger.db").read_bytes().decode("latin-1"),
        "JSON lines": lines.read_text(),
        "spans": repr(
            [(span.name, span.attributes, span.events, span.status) for span in exporter.get_finished_spans()]
        ),
        "keys of the cache": repr([key for key, _ in store.put_values]),
        "our own logs": "\n".join(line for line in logs if line.startswith("multiroute")),
        "reprs of errors": "".join(f"{error}{error!r}" for error in errors),
        "errors": "".join(repr(vars(error)) for error in errors if not hasattr(error, "response")),
        "pickles of errors": "".join(pickle.dumps(error).decode("latin-1") for error in errors),
        "local variables": "\n".join(map(local_variables, errors[: len(FACES)])),
    }
    for where, text in said.items():
        assert_free(where, text, (*SECRETS, PROMPT, ANSWER))
    assert_free("entries of the cache", repr(store.put_values), (*SECRETS, PROMPT))
    assert_free(
        "logs of other libraries", "\n".join(line for line in logs), SECRETS if not fails else (HEADER, PASSWORD)
    )
    assert len(errors) == (len(FACES) + 2 if fails else 0)
    sent = b"".join(request for _, request in server.requests())
    assert HEADER.encode() in sent  # it was there to be found
    assert PROMPT.encode() in sent
    if not fails:
        assert ANSWER in repr(store.put_values)  # to keep answers is what a cache is switched on for


def fail(text):
    raise ValueError(text.text)


def refuse(response):
    raise ValueError(response.text)


def fail_to_summarize(messages):
    raise ValueError([message.text for message in messages])


class Moderator:
    """A client of a moderation endpoint that fails with an error that quotes the text."""

    moderations: Any = None

    def __init__(self) -> None:
        self.moderations = self

    def create(self, **body: Any) -> None:
        raise ValueError(body)


GUARDS: dict[str, dict[str, Any]] = {
    "a guard fails": {"guards": [Guard(fail, origins=ORIGINS)]},
    "a guard fails and lets pass": {"guards": [Guard(fail, origins=ORIGINS, on_error="pass", inline=True)]},
    "moderation fails": {"guards": [moderate(OpenAIModeration(client=Moderator()))]},
    "moderation blocks": {"guards": [moderate(lambda text: "mark" in text.lower())]},
    "an answer is blocked": {"guards": [ban_text(ANSWER)]},
    "an answer holds a secret": {"guards": [block_secrets([ANSWER])]},
    "a secret is redacted": {"guards": [block_secrets([ANSWER], action="redact")]},
    "an answer has no schema": {"guards": [require_schema({"type": "object"})]},
    "personal data is masked": {"guards": [mask_personal_data(["email"])]},
    "personal data is restricted": {"guards": [restrict_personal_data("eu", ["email"])]},
    "an answer is rejected": {"accept": lambda response: f"not {response.text[:0]}good enough", "repairs": 1},
    "a check fails": {"accept": refuse},
    "a limit refuses": {"limit": Limit(rpm=1), "guards": [mask_personal_data(["email"])]},
    "a prompt is too long": {"prompt_optimizer": PromptOptimizer(max_tokens=2)},
    "a summary fails": {"prompt_optimizer": PromptOptimizer(max_tokens=200, summarize=fail_to_summarize)},
}


@pytest.mark.parametrize("case", GUARDS)
def test_guards_and_checks_say_nothing_of_what_they_saw(server, case, logs, tmp_path):
    server.reply(good("chat"))
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    triggered: list[Event] = []

    def hear(event: Event) -> None:
        triggered.append(event)

    hear.event_types = (GuardTriggered,)  # pyright: ignore[reportFunctionMemberAccess]
    router = Router(
        [route(server, "chat")],
        deadline=20,
        max_retries=0,
        cache="memory",
        ledger=ledger,
        on_event=[LogEvents(level="DEBUG"), OpenTelemetry(tracer_provider=provider), hear],
        **GUARDS[case],
    )
    errors: list[Exception] = []
    email = f"{PROMPT.lower()}@example.org"
    for face in FACES:
        history = [("user", f"{PROMPT} {email} " * 30), ("assistant", "I see.")] if "summary" in case else []
        outcome = ask(face, router, [*history, ("user", f"{PROMPT} {email}")])
        errors += [outcome.error] if outcome.error is not None else []
    assert all(isinstance(error, MultiRouteError) for error in errors)
    if "summary" in case:
        assert "summar" in "\n".join(logs), "it was there to fail"
    ledger.flush()
    said = {
        "repr of the router": repr((router, router._settings)),
        "events": repr(triggered),
        "health and report": f"{router.health()}{router.report()}{router.report()._repr_html_()}",
        "ledger": repr(ledger.to_dicts()) + (tmp_path / "ledger.db").read_bytes().decode("latin-1"),
        "spans": repr(
            [(span.name, span.attributes, span.events, span.status) for span in exporter.get_finished_spans()]
        ),
        "our own logs": "\n".join(line for line in logs if line.startswith("multiroute")),
        "reprs of errors": "".join(f"{error}{error!r}" for error in errors),
    }
    for where, text in said.items():
        assert_free(where, text, (*SECRETS, PROMPT, email, ANSWER))
    sent = b"".join(request for _, request in server.requests())
    assert (email.encode() in sent) == (case in SENT_AS_IT_IS)
    router.close()


SENT_AS_IT_IS = {
    "a guard fails and lets pass",
    "an answer is blocked",
    "an answer holds a secret",
    "a secret is redacted",
    "an answer has no schema",
    "an answer is rejected",
    "a check fails",
    "a summary fails",
}
"""The cases in which the prompt reaches the vendor with the address in it."""


@pytest.mark.parametrize(
    "build",
    [
        lambda: Route("openai:x", api_key=KEY, rpm=-1),
        lambda: Route("nobody:x", api_key=KEY),
        lambda: Route("openai:x", api_key=KEY, base_url=f"ftp://u:{PASSWORD}@h/"),
        lambda: Route("openai:x", api_key=KEY, base_url=f"http://u:{PASSWORD}@h/", weight="x"),  # pyright: ignore[reportArgumentType]
        lambda: Router([Route("openai:x", api_key=KEY)], deadline=-1),
        lambda: Router([Route("openai:x", api_key=KEY)], state=f"redis://:{PASSWORD}@h/0", cache="nowhere"),
        lambda: Router([Route("openai:x", api_key=KEY)], ledger=f"mysql://u:{PASSWORD}@h/0"),
        lambda: Router([Route("openai:x", api_key=KEY)], state=f"ftp://u:{PASSWORD}@h/0"),
        lambda: ChatMultiRoute(routes=["openai:x", "anthropic:y"], api_key=KEY),
    ],
)
def test_a_wrong_setting_shows_no_key_and_no_password(build):
    with pytest.raises((ConfigurationError, AttributeError, TypeError)) as caught:
        build()
    assert_free("the error", f"{caught.value}{caught.value!r}", SECRETS)
    assert_free("local variables", local_variables(caught.value), SECRETS)


def test_a_key_of_the_environment_is_in_no_local_variable(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.reply(reply(b"{}", status=500))
    router = Router([Route("openai:gpt-4o-mini", base_url=server.url, api="chat")], max_retries=0)
    with pytest.raises(MultiRouteError) as caught:
        router.generate(PROMPT)
    assert_free("local variables", local_variables(caught.value), (KEY, PROMPT))


VARIABLES = {
    "chat": ("OPENAI_API_KEY", "OPENAI_BASE_URL"),
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
    "google": ("GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL"),
}


@pytest.mark.parametrize("wire", VARIABLES)
@pytest.mark.parametrize("face", FACES)
def test_the_password_of_an_address_in_the_environment_is_sent_and_not_said(server, wire, face, logs, monkeypatch):
    key, address = VARIABLES[wire]
    path = "/v1" if wire == "chat" else ""
    monkeypatch.setenv(key, KEY)
    monkeypatch.setenv(address, f"http://user:{PASSWORD}@127.0.0.1:{server.port}{path}")
    server.reply(reply(b"{}", status=500))
    server.requests()
    more: dict[str, Any] = {"api": "chat"} if wire == "chat" else {}
    with Router([Route(MODELS[wire], **more)], max_retries=0) as router:
        outcome = ask(face, router, PROMPT)
    assert b"Basic " in server.requests()[-1][1]
    assert outcome.error is not None
    assert_free("the error", f"{outcome.error}{outcome.error!r}{local_variables(outcome.error)}", SECRETS)
    assert_free("logs", "\n".join(logs), SECRETS)


@pytest.mark.parametrize("face", FACES)
def test_an_address_with_a_password_still_sends_it(server, face):
    server.reply(good("chat"))
    server.requests()
    with Router([route(server, "chat")], max_retries=0) as router:
        assert ANSWER in ask(face, router, PROMPT).text
    import base64

    expected = base64.b64encode(f"user:{PASSWORD}".encode())
    assert b"Basic " + expected in server.requests()[-1][1]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:password@host/v1", "https://…@host/v1"),
        ("https://token@host:8/v1?key=abc&api-version=2024-10-21", "https://…@host:8/v1?key=…&api-version=2024-10-21"),
        ("redis://:pa:ss@host:6379/0", "redis://…@host:6379/0"),
        ("redis://:p@ss@host:6379/0", "redis://…@host:6379/0"),
        ("redis://:p/ss@host:6379/0", "redis://…"),
        ("https://host/v1", "https://host/v1"),
        ("https://host?sig=abc#x", "https://host?sig=…#x"),
    ],
)
def test_an_address_is_shown_without_what_is_secret_in_it(url, shown):
    assert redact_url(url) == shown
    assert repr(Address(url)) == repr(shown)
    assert Address(url) == url


@pytest.mark.parametrize(
    "sentence",
    [
        f"Incorrect API key: sk-proj-{'a' * 20}",
        "GET https://user:hunter22@host/path failed",
        "GET https://tokentoken@host/path failed",
        "proxy http://u:hunter22@proxy:3128 refused",
        "see https://host/x?client_secret=hunter22&y=1",
        "Authorization: Bearer hunter22",
        "authorization: basic hunter22==",
    ],
)
def test_what_looks_like_a_secret_is_taken_out_of_sentences(sentence):
    for mark in ("hunter22", "tokentoken", "a" * 20):
        assert mark not in without_secrets(sentence)


def test_a_secret_is_a_string_in_everything_but_its_repr():
    secret = Secret(KEY)
    assert (secret == KEY, f"Bearer {secret}", repr({"k": secret})) == (True, f"Bearer {KEY}", "{'k': '…'}")
    assert json.dumps(secret) == json.dumps(KEY)


def test_a_route_pickles_without_its_key_and_prints_without_its_password(server):
    one = route(server, "chat")
    assert KEY not in repr(one)
    assert PASSWORD not in repr(one)
    assert KEY.encode() not in pickle.dumps(one)


def test_the_sdk_of_an_async_client_is_given_no_password_in_its_address(server):
    async def main() -> str:
        async with Router([route(server, "anthropic")], max_retries=0) as router:
            server.reply(good("anthropic"))
            await router.agenerate(PROMPT)
            provider: Any = router._parts.providers["first"]
            client = await provider._clients.native()
            return str(client.sdk.base_url)

    assert PASSWORD not in asyncio.run(main())
