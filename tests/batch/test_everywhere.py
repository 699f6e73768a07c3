"""Batches over real sockets, over a state on Redis, and with models of LangChain and LlamaIndex as routes."""

import asyncio
import gc
import os
import signal
import socket
import threading
import time

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from llama_index.core.base.llms.types import CompletionResponse, LLMMetadata
from llama_index.core.llms import CustomLLM

from multiroute_core import BatchInterrupted, Route, Router
from multiroute_core.state.redis import RedisState
from multiroute_core.testing import Answer, provider_of, scripted_route
from multiroute_core.testing.dialects import DialectServer
from tests.redis_servers import running

FACES = ("map", "amap")


class Chat(BaseChatModel):
    """A chat model of LangChain's; it blocks, as most that have no async methods do."""

    @property
    def _llm_type(self):
        return "chat"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        time.sleep(0.002)
        return ChatResult(generations=[ChatGeneration(message=AIMessage(f"{messages[-1].content}!"))])


class Complete(CustomLLM):
    """An LLM of LlamaIndex's."""

    @property
    def metadata(self):
        return LLMMetadata(model_name="complete", context_window=100_000)

    def complete(self, prompt, formatted=False, **kwargs):
        time.sleep(0.002)
        return CompletionResponse(text=prompt.split("user: ")[-1].split("\n")[0] + "!")

    def stream_complete(self, prompt, formatted=False, **kwargs):
        raise NotImplementedError


def send(router, face, prompts, **more):
    if face == "map":
        return router.map(prompts, progress=False, **more)

    async def run():
        try:
            return await router.amap(prompts, progress=False, **more)
        finally:
            await router.aclose()

    return asyncio.run(run())


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("model", [Chat, Complete])
def test_models_of_the_frameworks_as_routes(face, model):
    router = Router([Route(llm=model(), name="wrapped", max_concurrency=4)])
    results = send(router, face, [f"p{n}" for n in range(20)], concurrency=8)
    assert results.texts == [f"p{n}!" for n in range(20)]
    assert router.health()["wrapped"].in_flight == 0


@pytest.mark.parametrize("face", FACES)
def test_over_real_sockets(face):
    with DialectServer("openai", Answer("{asked}!")) as server:
        with Router([server.route()]) as router:
            results = send(router, face, [f"p{n}" for n in range(40)], concurrency=8)
    assert results.texts == [f"p{n}!" for n in range(40)]


class SilentServer:
    """Accepts connections and never answers."""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.connections = []
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def _accept(self):
        try:
            while True:
                self.connections.append(self.listener.accept()[0])
        except OSError:
            return

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            connection.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1"


def test_an_interrupt_closes_the_sockets_of_the_calls_in_flight():
    with SilentServer() as server:
        with Router([Route("openai:gpt-4.1", base_url=server.url, api_key="none", max_concurrency=9)]) as router:
            before = set(threading.enumerate())

            def press():
                until = time.monotonic() + 30.0
                while len(server.connections) < 4 and time.monotonic() < until:
                    time.sleep(0.01)
                time.sleep(0.05)
                os.kill(os.getpid(), signal.SIGINT)

            presser = threading.Thread(target=press)
            presser.start()
            with pytest.raises(BatchInterrupted) as stop:
                router.map((str(n) for n in range(100)), concurrency=4, progress=False)
            presser.join()
            assert len(stop.value.results) == 4
            until = time.monotonic() + 5.0
            while set(threading.enumerate()) - before and time.monotonic() < until:
                time.sleep(0.01)
            assert set(threading.enumerate()) - before == set()
            for connection in server.connections:
                connection.settimeout(5.0)
                while connection.recv(65_536):
                    pass  # what was sent; then the end: the client has closed it
            del stop
            gc.collect()
            assert router.health()[router.routes[0].name].in_flight == 0


PATIENCE = 10.0
"""Seconds until a Redis counts as away; on a busy machine the usual quarter of a second may pass."""


@pytest.mark.redis
@pytest.mark.slow
@pytest.mark.parametrize("face", FACES)
def test_a_batch_of_one_process_leaves_places_to_another(face):
    """Two routers that share nothing but Redis: one runs a batch, the other answers interactive calls."""
    with running("valkey") as server:
        skipped = []
        mine = scripted_route("a", Answer("{asked}!", headers=0.01), max_concurrency=4)
        other = scripted_route("a", Answer("{asked}!", headers=0.01), max_concurrency=4)
        states = [RedisState(server.unix_url, timeout=PATIENCE) for _ in range(2)]
        interactive = Router(
            [mine],
            state=states[0],
            on_event=[lambda e: skipped.append(e) if type(e).__name__ == "RouteSkipped" else None],
        )
        batch = Router([other], state=states[1])
        started, results = threading.Event(), []

        def work():
            prompts = [str(n) for n in range(120)]
            if face == "map":
                results.append(batch.map(prompts, progress=lambda _: started.set()))
            else:
                results.append(asyncio.run(batch.amap(prompts, progress=lambda _: started.set())))

        worker = threading.Thread(target=work)
        worker.start()
        assert started.wait(30)
        answers = [interactive.generate(f"mine {n}").text for n in range(15)]
        worker.join()
        assert answers == [f"mine {n}!" for n in range(15)]
        assert skipped == []
        assert results[0].texts == [f"{n}!" for n in range(120)]
        moments = sorted(
            step
            for take in provider_of(other).takes
            for step in ((take.asked.at, 1), (take.ended or take.asked.at, -1))
        )
        in_flight = most = 0
        for _, step in moments:
            in_flight += step
            most = max(most, in_flight)
        assert most <= 3
        for each in (interactive, batch, *states):
            each.close()
